# SPDX-License-Identifier: MIT
"""The golden cases: what a node is asked, and whether its answers are right."""

import json
import os
from pathlib import Path

from hsxctl import fat_image

HERE = Path(__file__).parent
GOLDEN = Path(os.environ.get("HSX_GOLDEN", HERE.parent / "golden")).resolve()
CHUNKS = (1, 7, 64, 0)  # bytes; 0: whole
SEGMENTED = 0
FLAT = 72 * 1024  # bytes of a pool for the flat memory map

PROGRAMS = {path.stem: json.loads(path.read_text()) for path in GOLDEN.glob("programs/*.json")}
NEED_FLAT = sorted(name for name, case in PROGRAMS.items() if case["needs_flat"])
NEED_NO_FLAT = sorted(name for name, case in PROGRAMS.items() if not case["needs_flat"])
SCENARIOS = {path.stem: json.loads(path.read_text()) for path in sorted(GOLDEN.glob("svc/*.json"))}
_INDEX = GOLDEN / "malformed/index.json"
IMAGES = json.loads(_INDEX.read_text()) if _INDEX.is_file() else {}

# What the node must have run before it is asked; for scenarios the second too.
ON_NODE = (HERE / "on_node.py").read_text()
SCENARIOS_ON_NODE = (HERE / "scenarios.py").read_text()


def write_card(path):
    """A card image with all golden images."""
    folders = ("programs", "malformed", "svc")
    files = [file for folder in folders for file in GOLDEN.glob(f"{folder}/*.hxe")]
    names = [file.name for file in files]
    assert len(set(names)) == len(names), "two images share a name"
    fat_image.write(path, fat_image.SMALLEST, [(file.name, file.read_bytes()) for file in files])


def programs_call(names, flat) -> str:
    """Asks for these programs, with each chunk size; `flat`: SEGMENTED or FLAT."""
    caps = {name: PROGRAMS[name]["step_cap"] for name in names}
    return f"programs('/sd', {names!r}, {CHUNKS!r}, {caps!r}, {flat})"


def verdicts_call(flat) -> str:
    """Asks for all images' verdicts, with each chunk size."""
    return f"verdicts('/sd', {sorted(IMAGES)!r}, {CHUNKS!r}, {flat})"


def scenarios_call() -> str:
    """Asks for all scenarios."""
    plans = {name: case["load_order"] for name, case in SCENARIOS.items()}
    return f"scenarios(Judge(a_vm({SEGMENTED})), '/sd', {plans!r})"


def answers(text) -> dict:
    """What the node printed for a call: by name, then by chunk size."""
    found: dict = {}
    for name, chunk, answer in map(json.loads, text.splitlines()):
        found.setdefault(name, {})[chunk] = answer
    return found


def assert_as_in_the_reference(found, name) -> None:
    """One program, however it was cut."""
    assert sorted(found[name]) == sorted(CHUNKS)
    expected = {key: PROGRAMS[name][key] for key in next(iter(found[name].values()))}
    for chunk, answer in found[name].items():
        assert answer == expected, f"chunks of {chunk or 'the whole'}"


def assert_verdict(found, name) -> None:
    """One image, however it was cut; nothing is left of it."""
    accepted = IMAGES[name]["spec"] == "accept"
    assert sorted(found[name]) == sorted(CHUNKS)
    reasons = {(errno, rule) for errno, rule, _ in found[name].values()}
    assert len(reasons) == 1, "the reason depends on the cut"
    errno, rule = reasons.pop()
    assert errno == ("accept" if accepted else "EBADMSG")
    assert (rule == 0) == accepted
    assert all(clean for _, _, clean in found[name].values())


def assert_scenario(found, name) -> None:
    """One scenario, task by task."""
    assert found[name][0] == SCENARIOS[name]["tasks"]
