# SPDX-License-Identifier: MIT
"""The tables of docs/links.md say what the engines do; those of the UART's frames and phases are
compared in link/test_uart_framing.py, the measured ones are `make bench`'s."""

import re

import pytest

from bench.uart_engines import Echo, StrictSink, UartEngines
from docs.tables import DOCS, coded, table
from hsx.link import can_framing as can
from hsx.link import can_values
from hsx.link.can_messages import MAX_MESSAGE, CanMessages, short_id
from hsx.link.can_node import CanNode
from hsx.link.uart_node import UartNode

TEXT = (DOCS / "links.md").read_text()
UID = b"unique"


# ---- UART -------------------------------------------------------------------------------------


def granted():
    """(needs order, chunk, granted chunk and window, frame buffer, receive buffer) a row."""
    kind = ""
    for row in table("links.md", "node with", "chunk asked for"):
        kind = row[0] or kind
        chunk, window = re.findall(r"\d+", row[2])
        for asked in re.findall(r"\d+", row[1]):
            yield (
                "needs order" in kind,
                int(asked),
                (int(chunk), int(window)),
                int(row[3]),
                int(row[4]),
            )


@pytest.mark.parametrize(("ordered", "asked", "grant", "frame", "receive"), list(granted()))
def test_a_node_grants_what_the_table_says(ordered, asked, grant, frame, receive):
    node = UartNode(StrictSink(ordered), Echo(), "UART:2")
    assert (len(node._slot), node._backlog) == (frame, receive)
    ends = UartEngines(StrictSink(ordered), None, 0, 115200, asked, 8, node._largest, receive)
    assert ends.push(bytes(4000)) == "done"
    assert (ends.master.chunk, ends.master.window) == grant


# ---- CAN --------------------------------------------------------------------------------------


OPERATIONS = ("GET", "SET", "PUB", "CALL", "RET", "LOAD", "DATA", "BLOCK")


def test_the_operations_have_the_identifiers_of_the_table():
    rows = table("links.md", "operation", "", "identifiers")
    assert [(int(number), name) for number, name, *_ in rows] == [
        (getattr(can, name), name) for name in OPERATIONS
    ]
    for number, _, identifiers, sender in rows:
        for said in identifiers.split(", "):
            assert int(said.split(" ")[0], 16) == can.ident(int(number))
        assert (" + node" in identifiers) == (sender in ("nodes", "both"))
    by_nodes = {getattr(can, name) for _, name, _, sender in rows if sender != "master"}
    assert by_nodes == {can_values._PUB, can_values._RET, can.LOAD}  # what CanNode ever sends
    (most,) = re.findall(r"0x781 to (0x\w+) are never sent", TEXT)
    assert int(most, 16) == can.ident(can.BLOCK, 127)


# What a frame of each type is made of.
LOAD = {
    head.split()[1]: (int(head.split()[0]), coded(parts))
    for head, parts, _ in table("links.md", "type", "bytes", "from")
}
TYPES = ("BEGIN", "POLL", "STATUS", "NACK", "ABORT", "NUMBER", "WHO", "FIRST", "NEXT")


def test_the_types_of_load_frames_are_the_codes():
    found = [(name, number) for name, (number, _) in LOAD.items()]
    assert found == [(name, getattr(can, name)) for name in TYPES]


def test_actions_and_states_are_the_codes():
    (actions,) = re.findall(r"`action`: (.*?)\. Bit", TEXT, re.DOTALL)
    assert [int(number) for number in re.findall(r"\d", actions)] == [can.JOIN, can.ASK, can.END]
    (states,) = re.findall(r"`state`: (.*?)\. Byte", TEXT, re.DOTALL)
    found = re.findall(r"(\d) (\w+)", states)
    assert [(getattr(can, name), name) for _, name in found] == [
        (int(number), name) for number, name in found
    ]
    assert len(found) == 7


def frame(name: str, place: int = 0, **fields: int | bytes) -> bytes:
    """A LOAD frame as the table writes it, numbers of one byte unless it says more. `place`: which
    of the ways in which the row writes it."""
    data, low = b"", 0
    for part in LOAD[name][1][place].split(", "):
        word = part.split(" ")[0]
        if bits := re.search(r"\(bits (\d)–\d\)", part):
            low |= int(fields[word]) << int(bits[1])
            data += b"" if bits[1] == "0" else bytes([low])
        elif re.match(r"(up to )?\d bytes", part):
            data += fields["rest"]
        elif re.match(r"0x|\d", word):
            more = re.search(r"\+ 16 · (\w+)", part)
            data += bytes([int(word, 0) + (16 * int(fields[more[1]]) if more else 0)])
        elif isinstance(value := fields[word], bytes):
            data += value
        else:
            size = re.search(r" u(\d+)$", part)
            data += value.to_bytes(int(size[1]) // 8 if size else 1, "little")
    return data


def test_what_a_master_sends_is_as_in_the_table():
    begin = frame("BEGIN", session=0x1234, total=0x56789A, header=18, slot=3)
    assert begin == can.begin(0x1234, 0x56789A, 18, 3)
    poll = frame("POLL", action=2, tag=0x34, group=3, mask=0x89ABCDEF)
    assert poll == can.poll(2, 0x34, 3, 0x89ABCDEF)
    assert frame("ABORT", destination=127, session=0x1234) == can.abort(127, 0x1234)
    (layout,) = [row[1] for row in table("links.md", "frame", "bytes") if row[0] == "BLOCK"]
    assert re.findall(r" u(\d+)", layout) == ["32", "16"]
    assert can.block(0x01020304, 0x0506, 64, 1, 7) == bytes((4, 3, 2, 1, 6, 5, 64 | 0x80, 7))


class Nobody:
    """What a node's engine asks of a node."""

    def number(self, number: int) -> int:
        return 0

    def message(self, message, now):
        return bytes(message)


def test_who_and_number_are_as_in_the_table():
    messages = CanMessages(Nobody(), UID)
    given = frame("NUMBER", new=5, short=short_id(UID))
    assert messages.frame(given, 127, 0) == 5
    assert messages.frame(frame("WHO", destination=5), 5, 0) == 0
    buf = bytearray(8)
    assert messages.next_frame(buf)
    assert bytes(buf) == frame("WHO", 1, short=short_id(UID))


def test_a_message_goes_in_fragments_as_in_the_table():
    message = bytes(range(17))
    assert re.search(rf"A request or reply of 1 to {MAX_MESSAGE} bytes", TEXT)
    sent = [frame("FIRST", destination=5, sequence=3, length=17, rest=message[:3])]
    for order, at in enumerate(range(3, 17, 5)):
        sent.append(
            frame("NEXT", destination=5, order=order, sequence=3, rest=message[at : at + 5])
        )
    node = CanMessages(Nobody(), UID)
    for data in sent:
        node.frame(data, 5, 0)
    buf, answered = bytearray(8), []
    while node.next_frame(buf):
        answered.append(bytes([5]) + bytes(buf[1 : node.buf_len]))  # to the master: 0
    assert answered == sent


def test_a_status_is_as_in_the_table():
    node = CanNode(StrictSink(), 5)
    node._need, node._todo = 0x0102, 0x0304
    node.frame(can.ident(can.LOAD), can.poll(can.JOIN, 9, 0, 1 << 5), 0)
    buf = bytearray(8)
    assert node.next_frame(buf) == can.ident(can.LOAD, 5)
    told = {"state": can.NOBEGIN, "tag": 9, "errno": 0, "first": 0x0102, "missing": 0x0304}
    assert bytes(buf) == frame("STATUS", **told)


def test_a_nack_is_as_in_the_table():
    data = frame("NACK", kind=1, block=0x0203, rest=b"\1\0\0\x80")
    assert can.wanted(data) == [(0x0203, 1 << 32 | 1 << 63)]


def test_frames_of_values_are_as_in_the_table():
    rows = re.findall(r"^\| byte \|.*\n\|[-|]*\n\|.*\|$", TEXT, re.MULTILINE)
    head, _, names = [
        [cell.strip() for cell in line.split("|")[2:-1]] for line in rows[0].splitlines()
    ]
    values = can_values.CanValues(None)
    assert values._put(can.RET, 0x1234, 0x5678, 9, 10, 11, 12)
    buf = bytearray(8)
    assert values.next_frame(buf)
    found = {}
    for name, place in zip(names, head, strict=True):
        first, _, last = place.partition("–")
        raw = buf[int(first) : int(last or first) + 1]
        found[re.split(r"[,: (]", name)[0]] = int.from_bytes(raw, "little")
    assert found == {
        "OID": 0x1234,
        "f16": 0x5678,
        "destination": 9,
        "sequence": 10,
        "PID": 11,
        "errno": 12,
    }
