# SPDX-License-Identifier: MIT
"""What a UART's time is used for, and that the line which counts it counts right."""

import pytest

from hsx.link.uart_master import UartMaster
from hsx.link.uart_node import UartNode
from measure import uart, uart_peers
from measure.bench import TARGETS
from measure.record import met
from measure.uart_line import TO_HOST, TO_NODE, Line


@pytest.fixture(scope="module")
def counted():
    return uart.count()


@pytest.mark.requirement("P-73")
@pytest.mark.parametrize("name", [name for name in TARGETS if name.startswith("uart.eff")])
def test_a_transfer_keeps_its_share_of_the_line(counted, name):
    assert met(counted[name], TARGETS[name]), counted[name]


def test_no_payload_is_dearer_than_one_without_zeros(counted):
    assert 0.98 <= counted["uart.eff_5ms_dense"] <= counted["uart.eff_5ms"]


def test_a_late_node_costs_two_waits():
    at_once, late = (1 / uart.efficiency(1024, latency) for latency in (0, 0.005))
    own = len(uart.PAYLOAD) * 10 / uart.BAUD
    assert (late - at_once) * own == pytest.approx(2 * 0.005, abs=1e-4)


def test_the_line_takes_ten_bits_for_every_byte():
    master = UartMaster(lambda: 1)
    line = Line(master, UartNode(uart.Memory(), uart.Silent(), "UART"), 9600)
    question = master.hello()
    end = line.run(question.over)
    assert line.bytes[TO_NODE] == len(question.frame) == 11
    assert end == pytest.approx(sum(line.bytes) * 10 / 9600)
    assert line.bytes[TO_HOST] == 17


def test_both_directions_are_on_the_line_at_once():
    own = len(uart.PAYLOAD) * 10 / uart.BAUD
    sink = uart.Memory()
    master = UartMaster(lambda: 1, rate=11520)
    line = Line(master, UartNode(sink, uart.Silent(), "UART"))
    master.begin(bytes(64), uart.PAYLOAD)
    end = line.run()
    assert end < (line.bytes[TO_NODE] + 60) * 10 / 115200 < sum(line.bytes) * 10 / 115200
    assert end > own


def test_all_that_others_make_of_it_is_less_at_5_ms(counted):
    known = [value for name, value in uart_peers._KNOWN_LRZSZ.items() if name.endswith("5ms")]
    known += [value for name, value in uart_peers._KNOWN.items() if "5ms" in name]
    known.append(len(uart.PAYLOAD) / len(uart_peers.intel_hex(uart.PAYLOAD)))
    assert len(known) == 8 and max(known) < counted["uart.eff_5ms_512"]


@pytest.mark.skipif(not uart_peers.installed(), reason="no lrzsz: make setup brings it")
def test_a_peer_is_counted_as_it_was_elsewhere():
    for ms in (0, 5):
        efficiency = uart_peers.lrzsz("zmodem", uart.PAYLOAD, ms / 1000)
        known = uart_peers._KNOWN_LRZSZ[f"uart.peers.known.zmodem_{ms}ms"]
        assert efficiency == pytest.approx(known, abs=0.005)


def test_a_hex_file_is_one_that_its_readers_take():
    lines = uart_peers.intel_hex(bytes(range(40)) + bytes(8)).split()
    assert lines[0] == b":10000000000102030405060708090A0B0C0D0E0F78"
    assert lines[-1] == b":00000001FF"
    assert all(sum(bytes.fromhex(line[1:].decode())) & 0xFF == 0 for line in lines)
