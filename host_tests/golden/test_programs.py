# SPDX-License-Identifier: MIT
"""Whole programs: `hsxctl run` and `hsxctl info` against the results of the reference."""

import json
import os
from pathlib import Path

import pytest

from hsxctl.cli import main

GOLDEN = Path(os.environ.get("HSX_GOLDEN", Path(__file__).parent))
PROGRAMS = sorted((GOLDEN / "programs").glob("*.json"))
each_program = pytest.mark.parametrize("case", PROGRAMS, ids=lambda path: path.stem)


def run(case: Path, profile: str, capsys) -> tuple[dict, dict]:
    """What `hsxctl run` says of a program, and what the reference said, field by field."""
    golden = json.loads(case.read_text())
    start = golden["start"]
    main(
        [
            "run",
            str(case.with_suffix(".hxe")),
            "--json",
            f"--profile={profile}",
            f"--max-steps={golden['step_cap']}",
            f"--stack={start['sp'] - start['stack_limit']}",
        ]
    )
    ours = json.loads(capsys.readouterr().out)
    return ours, {key: golden[key] for key in ours}


@pytest.mark.requirement("P-16")
@each_program
def test_a_program_ends_as_in_the_reference(case, capsys):
    ours, theirs = run(case, "flat", capsys)
    assert ours == theirs


@each_program
def test_a_program_that_keeps_to_its_memory_does_the_same_when_it_has_no_other(case, capsys):
    ours, theirs = run(case, "segmented", capsys)
    if json.loads(case.read_text())["needs_flat"]:
        assert ours["stop"] == "fault:mem"
    else:
        assert ours == theirs


@each_program
def test_info_shows_header_and_metadata_as_the_reference_reads_them(case, capsys):
    golden = json.loads(case.read_text())
    assert main(["info", "--json", str(case.with_suffix(".hxe"))]) == 0
    ours = json.loads(capsys.readouterr().out)
    assert (ours["sha256"], ours["header"], ours["metadata"]) == (
        golden["hxe_sha256"],
        golden["header"],
        golden["metadata"],
    )


def test_without_options_a_program_runs_with_the_stack_of_the_reference(capsys):
    case = GOLDEN / "programs" / "stack_overflow.json"
    if not case.exists():
        pytest.skip("this folder has no program stack_overflow")
    main(["run", "--json", str(case.with_suffix(".hxe"))])
    assert json.loads(capsys.readouterr().out)["steps"] == json.loads(case.read_text())["steps"]
