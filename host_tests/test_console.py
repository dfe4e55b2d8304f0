# SPDX-License-Identifier: MIT
from types import SimpleNamespace

from hsx.console import Console, Rows, event_line


class Screen:
    def __init__(self) -> None:
        self.text = b""

    def write(self, data) -> None:
        self.text += data.encode() if isinstance(data, str) else bytes(data)


A = SimpleNamespace(instance="a")
B = SimpleNamespace(instance="b")


def said(*pieces) -> bytes:
    screen = Screen()
    console = Console(screen)
    for task, text, *stream in pieces:
        console.text(task, memoryview(text), *(stream or [1]))
    return screen.text


def test_each_line_carries_its_speaker():
    assert said((A, b"one\ntwo\n")) == b"a> one\r\na> two\r\n"


def test_a_line_may_come_in_pieces():
    assert said((A, b"on"), (A, b""), (A, b"e\n")) == b"a> one\r\n"


def test_a_second_voice_begins_a_new_line():
    assert said((A, b"one"), (B, b"two\n"), (A, b"three\n")) == (
        b"a> one\r\nb> two\r\na> three\r\n"
    )


def test_errors_are_told_apart():
    assert said((A, b"bad\n", 2)) == b"a! bad\r\n"


def test_an_event_ends_an_unfinished_line():
    screen = Screen()
    console = Console(screen, quiet=("dull",))
    console.text(A, memoryview(b"one"), 1)
    console.event((1, 1234, "task", 3, {"state": "ready", "instance": "x"}))
    console.event((2, 1235, "dull", 3, {}))
    assert screen.text == b"a> one\r\n[      1.234] pid 3  task instance=x state=ready\r\n"


def test_events_of_the_node_itself_say_so():
    assert event_line((1, 5, "scan", 0, {})) == "[      0.005] node   scan "


def test_the_echo_of_a_table_is_short():
    assert repr(Rows([1, 2])) == "<2 rows>"
