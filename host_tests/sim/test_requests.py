# SPDX-License-Identifier: MIT
import pytest

from hsxctl import fat_image
from judge import asked

pytestmark = pytest.mark.sim


def test_the_unix_port_answers_messages_as_the_host_does(script, tmp_path):
    card = tmp_path / "card.img"
    fat_image.write(card, fat_image.SMALLEST, asked.FILES)
    asked.judge(script("import boot\n" + asked.script(), card))
