# SPDX-License-Identifier: MIT
"""Malformed images: every way to judge one gives the verdict of the specification, and a refused
image leaves nothing behind."""

import json
import os
from pathlib import Path

import pytest

from bench.node import NodeBench
from hsx.errors import HsxError
from hsxctl.cli import main

GOLDEN = Path(os.environ.get("HSX_GOLDEN", Path(__file__).parent))
INDEX = GOLDEN / "malformed" / "index.json"
CASES = json.loads(INDEX.read_text()) if INDEX.exists() else {}
POOL = 256 * 1024  # bytes; none is refused for want of memory

each_image = pytest.mark.parametrize("name", CASES)


def load(bench: NodeBench, name: str, chunk: int) -> str:
    """The verdict of a load in pieces of `chunk` bytes; an accepted image is unloaded again."""
    image = (GOLDEN / "malformed" / name).read_bytes()
    try:
        pid = bench.load(image, chunk=chunk)
    except HsxError:
        return "reject"
    bench.poll()
    bench.node.kill(pid)
    return "accept"


@pytest.mark.requirement("P-24", "P-96")
@each_image
@pytest.mark.parametrize("flat", [False, True], ids=["segmented", "flat"])
def test_a_load_in_any_pieces_gives_the_verdict_and_leaves_nothing(name, flat):
    bench = NodeBench(pool=POOL, flat=flat)
    for chunk in (1, 7, 64, 1 << 20):
        assert load(bench, name, chunk) == CASES[name]["spec"], CASES[name]["why"]
        assert bench.state() == bench.idle


@each_image
def test_verify_gives_the_verdict_with_a_reason(name, capsys):
    status = main(["verify", "--json", str(GOLDEN / "malformed" / name)])
    said = json.loads(capsys.readouterr().out)
    if CASES[name]["spec"] == "accept":
        assert status == 0
    else:
        assert status == 1
        assert said["errno"] == "EBADMSG"
        assert said["where"] == "verify"
        assert said["detail"]


@each_image
def test_info_and_run_take_the_same_images_as_verify(name, capsys):
    path = str(GOLDEN / "malformed" / name)
    shown = main(["info", "--json", path])
    main(["run", "--json", "--max-steps=100", path])
    facts = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (shown == 0, "stop" in facts) == (CASES[name]["spec"] == "accept",) * 2
