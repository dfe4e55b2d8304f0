# SPDX-License-Identifier: MIT
"""Which tests a file needs, and a run of those that the changed files need.

    python -m changed tests-of FILE...   prints the test files of each file, the closest first
    python -m changed check              tests what differs from the last commit, in about a minute

The answer comes from the lines that each test file ran in the last `make test`; before there was
one, and for files that no test imports, from the folders, which tests mirror.
"""

import argparse
import subprocess
import sys
from pathlib import Path

import covered

ROOT = Path(__file__).resolve().parents[1]
TESTS = Path("host_tests")
ALWAYS = TESTS / "test_house.py"
_SECONDS = 80  # of all tests together, each as long as it was measured; two cores share them

# Where a folder's tests are; the first entry that fits counts, deeper ones come first.
MIRROR = (
    ("firmware/hsx", TESTS),
    ("firmware/native", TESTS / "native"),
    ("boards/qemu_m4", TESTS / "target"),
    ("boards/sim", TESTS / "sim"),
    ("boards/stock", TESTS / "stock"),
    ("boards", TESTS / "boards"),
    ("tools/boardcheck", TESTS / "boards"),
    ("tools/flash", TESTS / "boards"),
    ("tools/demo", TESTS / "hsxctl/test_demo.py"),
    ("tools", TESTS),
    ("docs", TESTS / "docs"),
    ("README.md", TESTS / "docs"),
)


def changed() -> list[Path]:
    """Files that differ from the last commit or are new, as paths in the project."""
    listed: list[str] = []
    for words in ("diff --name-only HEAD", "ls-files --others --exclude-standard"):
        done = subprocess.run(
            ["git", *words.split()], cwd=ROOT, capture_output=True, text=True, check=True
        )
        listed += done.stdout.splitlines()
    return [Path(name) for name in listed]


def tests_of(path: Path) -> list[str]:
    """The test files that a file of the project needs, the one that runs most of it first."""
    if path.is_relative_to(TESTS):
        return _in(path if path.name.startswith("test_") else path.parent)
    return covered.tests_of(ROOT / path) or _mirrored(path)


def _mirrored(path: Path) -> list[str]:
    for folder, tests in MIRROR:
        if path.is_relative_to(folder):
            inside = path.relative_to(folder)
            named = tests / inside.parent / f"test_{inside.stem}.py"
            if (ROOT / named).exists():
                return [str(named)]
            below = tests / inside.parts[0] if len(inside.parts) > 1 else tests
            return _in(below if (ROOT / below).is_dir() else tests)
    return []


def _in(place: Path) -> list[str]:
    """A test file, or all of a folder but of the whole tree."""
    if (ROOT / place).is_file():
        return [str(place)]
    if place == TESTS or not (ROOT / place).is_dir():
        return []
    return sorted(str(path.relative_to(ROOT)) for path in (ROOT / place).rglob("test_*.py"))


def check(jobs: str) -> int:
    """Runs the tests of all changed files; pytest's exit code."""
    files = changed()
    wanted = {name: True for path in files for name in tests_of(path)}
    wanted[str(ALWAYS)] = True
    there = [name for name in wanted if (ROOT / name).exists()]
    print(f"{len(files)} files differ from the last commit; {len(there)} test files for them")
    command = [sys.executable, "-m", "pytest", "-q", "-n", jobs, f"--within={_SECONDS}", *there]
    return subprocess.run(command, cwd=ROOT).returncode


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m changed", description=__doc__)
    does = parser.add_subparsers(dest="does", required=True)
    of = does.add_parser("tests-of", help="print the test files of these files")
    of.add_argument("files", nargs="+", type=Path)
    run = does.add_parser("check", help="run the tests of what differs from the last commit")
    run.add_argument("--jobs", default="4", help="processes of pytest")
    asked = parser.parse_args()
    if asked.does == "check":
        return check(asked.jobs)
    for path in asked.files:
        if not (ROOT / path).exists():
            parser.error(f"{path}: no such file of the project")
        for name in tests_of(path.resolve().relative_to(ROOT) if path.is_absolute() else path):
            print(name)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
