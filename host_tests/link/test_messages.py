# SPDX-License-Identifier: MIT
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsx.errors import EBADMSG, EINVAL, ENOENT, HsxError
from hsx.link import messages as m
from hsx.link.host_messages import (
    NAMES,
    pack_request,
    read_list,
    unpack_reply,
    unpack_told,
)
from hsx.link.wire import MAX_EVENT, Writer, pack_event

numbers = st.integers(0, (1 << 64) - 1)
names = st.sampled_from(NAMES)


def refused(call, *arguments, **more) -> int:
    with pytest.raises(HsxError) as error:
        call(*arguments, **more)
    return error.value.errno


def a_reply(name: str, *values, errno: int = 0, rows: tuple | None = None, at: int = 0) -> bytes:
    """As a node would write it that follows the description only."""
    buf = bytearray(m.MAX)
    buf[:3] = bytes([m.REPLY + NAMES.index(name) + 1, 7, errno])
    writer = Writer(buf, 3, m.MAX)
    if rows is not None:
        writer.byte(at & 0xFF)
        writer.byte(at >> 8)
    for value in values:
        writer.value(value)
    for row in rows or ():
        start = writer.at
        writer.byte(0)
        for value in row:
            writer.value(value)
        buf[start] = writer.at - start - 1
    return bytes(buf[: writer.at])


def test_numbers_of_the_requests_are_their_places_in_the_table():
    for number, name in enumerate(NAMES, 1):
        assert getattr(m, name.upper()) == number
    assert len(set(NAMES)) == len(NAMES) < m.REPLY - 1


@given(names, st.integers(0, 255), st.lists(numbers, min_size=3, max_size=3))
def test_what_a_host_packs_a_node_unpacks(name, tag, values):
    wanted = values[: len(m.TABLE[NAMES.index(name)][1])]
    raw = pack_request(name, tag, *wanted)
    assert (raw[0], raw[1]) == (NAMES.index(name) + 1, tag)
    assert m.unpack_request(raw) == wanted


def test_a_request_that_does_not_fit_the_table_is_not_packed():
    for arguments in (("reboot",), ("get", 0, 1), ("get", 0, 1, 2, 3), ("get", 0, -1, 2)):
        assert refused(pack_request, *arguments) == EINVAL
    assert refused(pack_request, "get", 0, 1, 2, data=b"x") == EINVAL
    assert refused(pack_request, "command", data=bytes(254)) == EINVAL
    assert pack_request("command", 3, data=bytes(253)) == b"\x0d\x03" + bytes(253)


def test_a_reply_is_read_by_the_names_of_the_table():
    reply = unpack_reply(a_reply("get", 0x3C00))
    assert (reply.name, reply.tag, reply.values) == ("get", 7, {"bits": 0x3C00})
    assert reply.require() is reply
    reply = unpack_reply(
        a_reply("images", rows=(("one", "1", 5, b"1"), ("two", "", 6, b"2")), at=0x1234)
    )
    assert reply.next == 0x1234
    assert reply.rows == [
        {"name": "one", "version": "1", "length": 5, "sha256": b"1"},
        {"name": "two", "version": "", "length": 6, "sha256": b"2"},
    ]


def test_what_a_newer_node_says_more_is_ignored_and_what_an_older_one_says_less_is_left_out():
    assert unpack_reply(a_reply("get", 1, "more")).values == {"bits": 1}
    assert unpack_reply(a_reply("get")).values == {}
    rows = unpack_reply(a_reply("images", rows=(("one", "1", 5, b"1", True), ("two",)))).rows
    assert rows == [
        {"name": "one", "version": "1", "length": 5, "sha256": b"1"},
        {"name": "two"},
    ]


def test_a_refusal_is_raised_with_what_the_node_said():
    reply = unpack_reply(a_reply("set", "begin", "the task has no such value", errno=ENOENT))
    with pytest.raises(HsxError, match="no such value") as error:
        reply.require()
    assert (error.value.errno, error.value.where) == (ENOENT, "begin")


@given(
    st.binary(max_size=80)
    | st.builds(
        lambda op, raw: bytes([op, 0, 0]) + raw, st.integers(128, 254), st.binary(max_size=40)
    )
)
def test_any_bytes_are_a_reply_or_refused(raw):
    try:
        reply = unpack_reply(raw)
    except HsxError as error:
        assert error.errno == EBADMSG
    else:
        assert raw[0] > m.REPLY or reply.errno
        assert reply.errno == raw[2]


@given(st.binary(max_size=80))
def test_any_bytes_are_an_event_or_refused(raw):
    try:
        seq, _, kind, _, data = unpack_told(b"\xff" + raw)
    except HsxError as error:
        assert error.errno == EBADMSG
    else:
        assert 0 <= seq < 1 << 32 and isinstance(kind, str) and isinstance(data, dict)


@given(st.integers(0, (1 << 32) - 1))
def test_an_event_has_its_seq_in_front(seq):
    buf = bytearray(MAX_EVENT)
    size = pack_event(buf, 5, "task", 2, {"state": "ready"})
    raw = b"\xff" + seq.to_bytes(4, "little") + buf[:size]
    assert unpack_told(raw) == (seq, 5, "task", 2, {"state": "ready"})
    assert refused(unpack_told, b"\x81" + raw[1:]) == EBADMSG


def test_cut_rows_are_refused():
    raw = a_reply("images", rows=(("one", "1.2", 5),))
    for size in range(6, len(raw)):
        assert refused(unpack_reply, raw[:size]) == EBADMSG


def test_a_list_is_read_to_its_end():
    asked = []
    pages = {0: (("one", "", 1), 2), 2: (("two", "", 2), 0)}

    def ask(raw: bytes) -> bytes:
        asked.append(m.unpack_request(raw))
        row, following = pages[asked[-1][0]]
        return a_reply("images", rows=(row,), at=following)

    assert [row["name"] for row in read_list(ask, "images", 1)] == ["one", "two"]
    assert asked == [[0, 1], [2, 1]]


def test_a_list_that_goes_in_circles_is_refused():
    assert refused(read_list, lambda raw: a_reply("ps", rows=(), at=3), "ps") == EBADMSG
