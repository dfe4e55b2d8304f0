# SPDX-License-Identifier: MIT
import pytest

from hsxctl import fat_image
from judge import asked

pytestmark = pytest.mark.target

HELD = 2048  # bytes of heap that a first Requests may take, its modules included
TOOK = 3072  # that a message may take until they are collected


def test_the_firmware_answers_messages_as_the_host_does(power_up, connect, tmp_path):
    card = tmp_path / "card.img"
    fat_image.write(card, fat_image.SMALLEST, asked.FILES)
    counted = asked.judge(connect(power_up(sd=card)).run(asked.script()))
    assert counted["held"] < HELD and counted["took"] < TOOK, counted
