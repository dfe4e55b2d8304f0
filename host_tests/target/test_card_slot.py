# SPDX-License-Identifier: MIT
"""A FAT volume that comes into the emulated slot, goes, and breaks in the middle of a file."""

import ast

import pytest

from bench.images import IDLE, SPIN, an_image
from hsxctl import fat_image

pytestmark = pytest.mark.target

LONG = "Pump controller, 2nd edition " + "x" * 222 + ".hxe"  # 255 characters
WORKER = an_image(*IDLE, name="worker")
BIG = an_image(*IDLE, *[SPIN] * 3000, name="big")


@pytest.fixture
def cards(tmp_path):
    """Makes a card of files and their manifest."""

    def make(**images: bytes):
        path = tmp_path / "made.img"
        text = "schema = 1\n" + "".join(f'[[image]]\nfile = "{name}"\n' for name in images)
        files = list(images.items())
        fat_image.write(path, fat_image.SMALLEST, [("hsx.toml", text.encode()), *files])
        return path

    return make


@pytest.fixture
def slot(tmp_path):
    """The file that is the slot: empty."""
    path = tmp_path / "slot.img"
    path.touch()
    return path


def apps(repl):
    rows = "[row['app_name'] for row in hsx.runtime().node.ps()]"
    return ast.literal_eval(repl.run(f"import hsx; print({rows})"))


@pytest.mark.requirement("P-61")
def test_a_card_is_loaded_when_it_comes_in_and_its_apps_stay_when_it_goes(
    power_up, connect, cards, slot, tmp_path
):
    node = power_up(sd=slot)
    repl = connect(node)
    assert apps(repl) == []
    cards(**{LONG: WORKER}).rename(slot)
    node.wait_console("listed=1 source=SD started=1 state=done")
    assert apps(repl) == ["worker"]

    slot.rename(tmp_path / "pocket.img")
    node.wait_console("state=removed")
    assert apps(repl) == ["worker"]
    assert repl.run("import os; print(os.listdir('/'))") == "[]"

    cards(**{LONG: WORKER, "big.hxe": BIG}).rename(slot)
    node.wait_console("listed=2 source=SD started=1 state=done")
    assert apps(repl) == ["worker", "big"]


def test_a_card_that_breaks_in_mid_file_costs_the_load_and_not_the_node(
    power_up, connect, cards, tmp_path
):
    """The file that is the card ends in the middle of an image: reads beyond it fail."""
    path = cards(**{"worker.hxe": WORKER, "big.hxe": BIG})
    whole = path.read_bytes()
    at = whole.index(BIG[6000:6400])
    path.write_bytes(whole[: at // 512 * 512])
    node = power_up(sd=path)
    repl = connect(node)
    assert apps(repl) == ["worker"]
    codes = "[e[4]['code'] for e in hsx.runtime().events.since(0) if e[2] == 'provisioning.error']"
    assert repl.run(f"print({codes})") == "['EIO']"
    path.unlink()
    node.wait_console("state=removed")
    (tmp_path / "next.img").write_bytes(whole)
    (tmp_path / "next.img").rename(path)
    node.wait_console("listed=2 source=SD started=1 state=done")
    assert apps(repl) == ["worker", "big"]
