# SPDX-License-Identifier: MIT
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsx.errors import EBADMSG, HsxError
from hsx.link import wire
from hsx.link.wire import MAX_EVENT, pack_event, unpack_event

texts = st.one_of(st.text(max_size=20), st.sampled_from(wire._WORDS))
values = st.one_of(
    st.none(), st.booleans(), st.integers(-(1 << 40), 1 << 40), texts, st.binary(max_size=20)
)
ticks = st.integers(0, (1 << 32) - 1)
pids = st.integers(0, 255)


def packed(ts: int, kind: str, pid: int, data: dict) -> bytes:
    buf = bytearray(MAX_EVENT)
    return bytes(buf[: pack_event(buf, ts, kind, pid, data)])


@given(ticks, texts, pids, st.dictionaries(texts, values, max_size=4))
def test_what_is_packed_is_unpacked(ts, kind, pid, data):
    raw = packed(ts, kind, pid, data)
    assert unpack_event(raw) == (ts, kind, pid, data)
    assert unpack_event(raw + b"more") == (ts, kind, pid, data)


@given(st.dictionaries(texts, st.one_of(values, st.text(max_size=300)), max_size=40))
def test_what_does_not_fit_is_left_out_from_the_end(data):
    raw = packed(1, "task", 2, data)
    assert len(raw) <= MAX_EVENT
    kept = unpack_event(raw)[3]
    assert list(kept) == list(data)[: len(kept)]
    for key, value in kept.items():
        assert value == data[key] or data[key].startswith(value)


def test_long_text_is_cut_between_characters():
    for size in range(100, 125):
        cut = unpack_event(packed(0, "task", 0, {"detail": "x" * (size % 3) + "é" * size}))[3]
        assert len(cut["detail"].encode()) in (110, 111)


@given(st.binary(max_size=80))
def test_any_bytes_are_an_event_or_refused(raw):
    try:
        ts, kind, pid, data = unpack_event(raw)
    except HsxError as error:
        assert error.errno == EBADMSG
    else:
        assert isinstance(kind, str) and isinstance(data, dict)
        assert 0 <= ts < 1 << 32 and 0 <= pid < 256


@given(ticks, pids, st.dictionaries(texts, values, max_size=4))
def test_every_cut_of_an_event_is_refused(ts, pid, data):
    raw = packed(ts, "task", pid, data)
    for size in range(len(raw)):
        with pytest.raises(HsxError):
            unpack_event(raw[:size])


def test_words_are_told_once_and_fit_their_byte():
    assert len(set(wire._WORDS)) == len(wire._WORDS) <= 128


def test_a_typical_event_takes_some_forty_bytes():
    data = {"phase": "LOADING", "source": "SD:counter.hxe", "bytes_written": 512}
    data |= {"total_bytes": 2048, "percent": 25}
    assert len(packed(123456, "provisioning.progress", 3, data)) == 36
