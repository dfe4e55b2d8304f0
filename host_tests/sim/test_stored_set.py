# SPDX-License-Identifier: MIT
"""The set that the unix node keeps in a file, from one run of the program to the next."""

import pytest

from bench.images import SPIN, an_image
from hsxctl import fat_image

pytestmark = pytest.mark.sim

BOOT = """
import boot, hsx
def shown():
    print([(row["app_name"], row["program"]) for row in hsx.runtime().node.ps()])
"""


@pytest.fixture
def card(tmp_path):
    path = tmp_path / "card.img"
    files = [(f"{name}.hxe", an_image(SPIN, name=name)) for name in ("one", "two")]
    manifest = b'schema = 1\n[[image]]\nfile = "one.hxe"\n'
    fat_image.write(path, fat_image.SMALLEST, [*files, ("hsx.toml", manifest)])
    return path


def last(text):
    return text.splitlines()[-1]


def test_a_set_runs_from_the_file_in_the_next_run(script, card, tmp_path):
    fram = tmp_path / "fram.bin"
    first = BOOT + "hsx.format('erase everything'); hsx.persist(1); hsx.activate(); shown()"
    assert last(script(first, card, fram)) == "[('one', 'FRAM:A/one')]"
    second = BOOT + "hsx.confirm(); shown()"
    assert last(script(second, None, fram)) == "[('one', 'FRAM:A/one')]"
    third = BOOT + "hsx.persist('/sd/two.hxe'); hsx.activate(); shown()"
    both = "[('one', 'FRAM:B/one'), ('two', 'FRAM:B/two')]"
    assert last(script(third, card, fram)) == both
    fourth = BOOT + "shown(); hsx.rollback(); shown()"
    said = script(fourth, None, fram).splitlines()
    assert both in said
    assert said[-1] == "[('one', 'FRAM:A/one')]"
