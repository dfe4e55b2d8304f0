# SPDX-License-Identifier: MIT
"""Foreign bytes at both ends: never an exception, never more memory, and usable ever after."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.uart_engines import FAULTS, HEADER, StrictSink, UartEngines
from hsx.link import uart_master, uart_node
from hsx.link.uart_framing import Deframer

DATA = bytes(range(1, 200))
KINDS = (0x01, 0x02, 0x03, 0x04, 0x41, 0x42, 0x43, 0x44, 0x45, 0x80, 0x81, 0xFF)

rubbish = st.binary(max_size=300)
# What passes the CRC, and is wrong behind it.
frames = st.builds(
    lambda kind, rest: uart_master._frame(bytes([kind]) + rest, False),
    st.one_of(st.sampled_from(KINDS), st.integers(0, 255)),
    st.binary(max_size=100),
)
# As a host or a node of another make would say it, with our token.
close = st.builds(
    lambda kind, rest: uart_master._frame(bytes([kind, 1, 0x34, 0x12]) + rest, False),
    st.sampled_from(KINDS),
    st.binary(max_size=20),
)
states = st.builds(
    lambda phase, rest: uart_master._frame(bytes([0x42, 0x34, 0x12, phase]) + rest, False),
    st.integers(0, 5),
    st.one_of(st.binary(max_size=11), st.binary(min_size=10, max_size=10)),
)
foreign = st.lists(st.one_of(rubbish, frames, close, states), max_size=6).map(b"".join)


class Tolerant(StrictSink):
    """A foreign BEGIN may pass for a good one here: only what cannot be is refused."""

    def begin(self, header, total, source):
        return super().begin(header, total, source) if total < 5000 else -1


@given(foreign, st.integers(1, 64), st.booleans(), st.integers(0, 30))
def test_a_node_takes_any_bytes_and_then_a_transfer(line, split, ordered, moment):
    ends = UartEngines(Tolerant(ordered))
    ends.master.begin(HEADER, DATA)
    for _ in range(moment):
        ends.line.step()
    node = ends.line.node
    for at in range(0, len(line), split):
        node.receive(line[at : at + split], len(line[at : at + split]), ends.line.ms())
        node.poll(ends.line.ms())
    ends.line.master = ends.a_master()
    assert ends.push(DATA) == "done"
    assert bytes(ends.sink.medium.data) == DATA


@given(foreign, st.integers(1, 64), st.integers(0, 30))
def test_a_host_takes_any_bytes_and_then_makes_a_transfer(line, split, moment):
    ends = UartEngines()
    ends.master.begin(HEADER, DATA)
    ends.master.request(b"?")
    for _ in range(moment):
        ends.line.step()
    for at in range(0, len(line), split):
        ends.master.receive(line[at : at + split], ends.line.ms())
        ends.master.poll(ends.line.ms())
        ends.master.output(ends.line.ms())
    ends.line.run()
    assert ends.push(DATA) == "done"
    assert bytes(ends.sink.medium.data) == DATA


@given(foreign)
def test_an_end_grows_by_nothing_that_it_hears(line):
    node = UartEngines(Tolerant()).line.node
    before = {name: len(v) for name, v in vars(node).items() if isinstance(v, bytearray)}
    node.receive(line, len(line), 0)
    after = {name: len(v) for name, v in vars(node).items() if isinstance(v, bytearray)}
    assert before == after and len(node.deframer.into) <= len(node._slot)


def test_events_that_nobody_fetches_are_dropped_at_last():
    master = UartEngines().master
    for n in range(3000):
        master.receive(uart_master._frame(b"\x45" + n.to_bytes(2, "big"), True), 0)
    assert len(master.events) == 1024 and master.events[-1] == (2999).to_bytes(2, "big")


@pytest.mark.requirement("P-73")
@pytest.mark.parametrize("ordered", [False, True])
def test_a_host_that_comes_in_mid_rubbish_is_understood_at_once(ordered):
    for rubbish in (b"\x55" * 5000, bytes(50), b"\xff" * 77, uart_master._frame(DATA, False)[:50]):
        ends = UartEngines(StrictSink(ordered))
        ends.line.node.receive(rubbish, len(rubbish), 0)
        assert ends.push(DATA) == "done"
        assert ends.line.now < 0.2  # nothing was asked for twice


def test_what_is_no_frame_is_counted():
    deframer = Deframer(memoryview(bytearray(50)))
    line = b"\x55\0\0" + uart_master._frame(b"good", True) + b"\x09rubbish\0" + b"\3"
    at, found = 0, []
    while (at := deframer.take(line, at, len(line))) != 0:
        found.append(deframer.size)
    assert found == [0, 4, 0]
    assert (deframer.frames, deframer.broken) == (1, 2)


def test_all_faults_are_faults():
    for kind, becomes in FAULTS.items():
        for byte in range(256):
            assert becomes(byte) != bytes([byte]), kind


def test_both_ends_and_the_document_have_the_same_numbers():
    ends = [
        {name: value for name, value in vars(module).items() if isinstance(value, int)}
        for module in (uart_node, uart_master)
    ]
    shared = {name: ends[0][name] for name in set(ends[0]) & set(ends[1])}
    assert shared == {name: ends[1][name] for name in shared}
    kinds = ["HELLO", "BEGIN", "ABORT", "REQUEST", "LIMITS", "STATE", "ACK", "REPLY", "EVENT"]
    phases = ["NONE", "RECEIVING", "VERIFYING", "DONE", "FAILED"]
    text = (Path(__file__).parents[2] / "docs/links.md").read_text()
    listed = dict(re.findall(r"^\| `(0x[0-9A-F]{2})` \| ([A-Z]+) \|", text, re.M))
    assert {name: int(number, 16) for number, name in listed.items() if name != "DATA"} == {
        name: shared[f"_{name}"] for name in kinds
    }
    told = dict(re.findall(r"^\| (\d) \| ([a-z]+) \|", text, re.M))
    assert [told[str(shared[f"_{name}"])] for name in phases] == [n.lower() for n in phases]
