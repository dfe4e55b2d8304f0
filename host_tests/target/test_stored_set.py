# SPDX-License-Identifier: MIT
"""The set that the emulated node keeps in its FRAM, over power-offs."""

import ast
import json
import subprocess
import sys

import pytest
from mpremote.transport import TransportExecError

from bench.images import IDLE, an_image
from hsx.image.build import value_section
from hsx.image.metadata import Value
from hsxctl import fat_image
from waiting import PATIENCE

pytestmark = pytest.mark.target

LEVEL = (value_section([Value(1, 1, 2, 0, 0x3C00, "level", "m", 0, 0, 0, 7, "tank")]),)
IMAGES = {
    "plain": an_image(*IDLE, name="plain", multiple=False),
    "level": an_image(*IDLE, name="level", multiple=False, sections=LEVEL),
}
MANIFEST = b"schema = 1\n" + b"".join(
    b'[[image]]\nfile = "%s.hxe"\n' % name.encode() for name in IMAGES
)


@pytest.fixture
def card(tmp_path):
    path = tmp_path / "card.img"
    files = [(f"{name}.hxe", image) for name, image in IMAGES.items()]
    fat_image.write(path, fat_image.SMALLEST, [*files, ("hsx.toml", MANIFEST)])
    return path


def fram_info(path):
    """What `hsxctl fram info --json` says of a store file."""
    said = subprocess.run(
        [sys.executable, "-m", "hsxctl", "fram", "info", str(path), "--json"],
        capture_output=True,
        check=True,
        timeout=PATIENCE,
    )
    return json.loads(said.stdout)


@pytest.mark.requirement("P-61")
def test_a_node_without_card_starts_what_it_keeps_and_the_host_reads_the_same(
    power_up, connect, card, tmp_path
):
    fram = tmp_path / "fram.bin"
    first = power_up(sd=card, fram=fram)
    repl = connect(first)
    repl.run("import hsx; hsx.format('erase everything')")
    repl.run("hsx.persist(1, 2, version='1.0'); hsx.activate(); hsx.confirm()")
    first.kill()

    second = power_up(fram=fram)
    repl = connect(second)
    rows = ast.literal_eval(
        repl.run("import hsx; print([dict(r) for r in hsx.runtime().node.ps()])")
    )
    assert [row["program"] for row in rows] == ["FRAM:A/plain", "FRAM:A/level"]
    repl.run("hsx.set(2, 257, 4.5)")
    slots = ast.literal_eval(repl.run("print(list(hsx.runtime().provisioning.slots()))"))
    status = ast.literal_eval(repl.run("print(dict(hsx.runtime().provisioning.status()))"))
    second.kill()

    info = fram_info(fram)
    used = next(copy for copy in info["superblocks"] if copy["in_use"])
    assert used["generation"] == status["generation"]
    for slot, bank in zip(slots, info["banks"], strict=True):
        assert (bank["bank"], bank["active"], bank["state"]) == (
            slot["bank"],
            slot["active"],
            slot["state"],
        )
        assert bytes.fromhex(bank["digest"]) == slot["digest"]
        found = [(i["name"], i["version"], i["length"]) for i in bank["images"]]
        assert found == [(i["name"], i["version"], i["length"]) for i in slot["images"]]

    third = power_up(fram=fram)
    repl = connect(third)
    assert repl.run("import hsx; print(hsx.runtime().node.values.rows()[0]['value'])") == "4.5"


def test_a_machine_without_fram_says_that_there_is_no_store(node, connect):
    repl = connect(node)
    with pytest.raises(TransportExecError, match="the board has no store"):
        repl.run("import hsx; hsx.status()")


def test_an_empty_part_is_told_and_left_alone(power_up, connect, tmp_path):
    fram = tmp_path / "fram.bin"
    machine = power_up(fram=fram)
    connect(machine)
    assert b"there is no store: format it" in machine.console_log
    machine.kill()
    assert set(fram.read_bytes()) == {0xFF}
