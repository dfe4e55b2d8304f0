# SPDX-License-Identifier: MIT
"""What flash and RAM a board has left, of a small program that is linked as its firmware is."""

from bench.board_build import linked
from release.room import Room, room, table

EXPECTED = Room(400 + 1000 + 24, 48 * 1024 - 1024, 224, 15 * 1024 - 224)


def test_what_is_left_is_counted_to_the_end_of_the_part(tmp_path):
    linked(tmp_path)
    assert room(tmp_path) == EXPECTED
    head, line = table({"BOARD": tmp_path}).splitlines()
    assert line.split() == ["BOARD", "1,424", "48,128", "224", "15,136"]
    assert len(head) == len(line)
