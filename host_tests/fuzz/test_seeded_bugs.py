# SPDX-License-Identifier: MIT
"""Bugs put in by hand, each in a copy of the core: the checks that are there must find them.

A harness that misses one is broken. Which check finds which bug is said here, and is part of the
test.
"""

import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest

from fuzz import seeds
from fuzz.build import CHECKED, FAST, HERE, NATIVE, build


class Bug(NamedTuple):
    """One text in one file of the core, and what stands there instead."""

    file: str
    right: str
    wrong: str


BUGS = {
    "missing bounds check": Bug(
        "memory.h",
        "if (offset <= run->data.last + (4 - size)) {",
        "if (offset <= run->data.last + 4) {",
    ),
    "missing check of the entry": Bug("loader.c", "if (entry >= code_len) {", "if (false) {"),
    "wrong carry of a comparison": Bug("vm.c", "return left >= right;", "return left > right;"),
    "wrong carry of a subtraction with borrow": Bug(
        "vm.c", "kind = a >= taken", "kind = a > taken"
    ),
    "last byte of a split lost": Bug(
        "loader.c",
        "memcpy(to + load->have, buf, n);",
        "memcpy(to + load->have, buf, n - (n == len && load->have + n < load->need));",
    ),
    "metadata begins one byte late": Bug("loader.c", "*body = at;", "*body = at + 1;"),
}

# Check -> harness, driver, flags and arguments; kept inputs are appended to a replay.
CHECKS = {
    "states": ("vm", "random", FAST, ["states", "1", "2000"]),
    "programs": ("vm", "random", FAST, ["programs", "1", "20000"]),
    "regressions of vm": ("vm", "replay", CHECKED, []),
    "golden and regressions of loader": ("loader", "replay", CHECKED, []),
}

FOUND_BY = [
    ("missing bounds check", "states"),
    ("missing bounds check", "regressions of vm"),
    ("missing check of the entry", "golden and regressions of loader"),
    ("wrong carry of a comparison", "states"),
    ("wrong carry of a comparison", "programs"),
    ("wrong carry of a subtraction with borrow", "programs"),
    ("last byte of a split lost", "golden and regressions of loader"),
    ("metadata begins one byte late", "golden and regressions of loader"),
]


def seeded(bug: Bug, folder: Path) -> Path:
    """A copy of the core that has the bug."""
    native = folder / "native"
    shutil.copytree(NATIVE, native, ignore=shutil.ignore_patterns("bindings"))
    source = native / bug.file
    text = source.read_text()
    assert text.count(bug.right) == 1, f"{bug.file} reads differently now: adapt the bug"
    source.write_text(text.replace(bug.right, bug.wrong))
    return native


def inputs(harness: str, folder: Path) -> list:
    seeds.write(harness, folder)
    return [*sorted(folder.iterdir()), *sorted((HERE / "regressions" / harness).iterdir())]


@pytest.mark.sharded
@pytest.mark.parametrize(("bug", "check"), FOUND_BY, ids=lambda text: text.replace(" ", "_"))
def test_a_seeded_bug_is_found(bug, check, tmp_path):
    harness, driver, flags, arguments = CHECKS[check]
    native = seeded(BUGS[bug], tmp_path)
    program = build(harness, driver, tmp_path / "check", flags=flags, native=native)
    files = inputs(harness, tmp_path / "golden") if driver == "replay" else []
    done = subprocess.run(
        [str(program), *arguments, *map(str, files)], capture_output=True, text=True
    )
    assert done.returncode != 0
    assert "not so" in done.stderr or "not equal" in done.stderr or "Sanitizer" in done.stderr
