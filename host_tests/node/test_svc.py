# SPDX-License-Identifier: MIT
import pytest

from bench.images import (
    BRK,
    CAN_TX,
    EXIT,
    FS_READ,
    FS_WRITE,
    UART_WRITE,
    VERSION,
    an_image,
    ldi,
    ldi32,
    svc,
)
from bench.node import NodeBench

ENOSYS = 0xFFFFFF01


def result(*code: int, bench: NodeBench | None = None, **more) -> int:
    """R0 after this code."""
    bench = bench or NodeBench()
    pid = bench.load(an_image(*code, EXIT, **more))
    bench.poll()
    return bench.task(pid).exit_code


def write(size: int, fd: int | None = None):
    if fd is None:
        return (*ldi32(1, 0x4000), *ldi32(2, size), UART_WRITE)
    return (ldi(1, fd), *ldi32(2, 0x4000), *ldi32(3, size), FS_WRITE)


def test_text_reaches_the_sink_with_its_task():
    bench = NodeBench()
    assert result(*write(5), rodata=b"hello", bench=bench) == 5
    assert bench.text == [("app", b"hello", 1)]


def test_an_empty_write_is_told_as_one():
    bench = NodeBench()
    assert result(*write(0), rodata=b"hello", bench=bench) == 0
    assert bench.text == [("app", b"", 1)]


def test_long_text_comes_in_pieces_of_the_buffer():
    bench = NodeBench(io_size=64)
    text = bytes(range(200))
    assert result(*write(200), rodata=text, bench=bench) == 200
    assert [len(piece) for _, piece, _ in bench.text] == [64, 64, 64, 8]
    assert b"".join(piece for _, piece, _ in bench.text) == text


def test_text_beyond_the_memory_ends_where_it_ends():
    bench = NodeBench()
    assert result(*write(60000), rodata=b"abcd", bench=bench) == 60000
    assert bench.text == [("app", b"abcd", 1)]


def test_files_one_and_two_are_out_and_err():
    bench = NodeBench()
    assert result(*write(3, fd=1), *write(3, fd=2), rodata=b"abcd", bench=bench) == 3
    assert bench.text == [("app", b"abc", 1), ("app", b"abc", 2)]


@pytest.mark.parametrize("fd", [0, 3, 99])
def test_a_write_to_another_file_gives_no_bytes(fd):
    bench = NodeBench()
    assert result(*write(3, fd=fd), rodata=b"abcd", bench=bench) == 0
    assert bench.text == []


def test_standard_input_is_empty():
    assert result(ldi(1, 0), *ldi32(2, 0x4000), ldi(3, 4), FS_READ, rodata=b"abcd") == 0


@pytest.mark.parametrize("function", [0, 3, 0xA, 0xB, 0xC, 0xD, 0x77])
def test_there_is_no_file_system(function):
    assert result(svc(4, function)) == 0xFFFFFFFF


def test_a_frame_reaches_the_bus():
    bench = NodeBench()
    code = (ldi(1, 0x123), *ldi32(2, 0x4000), ldi(3, 8), CAN_TX)
    assert result(*code, rodata=bytes(range(8)), bench=bench) == 0
    assert bench.frames == [("app", 0x123, bytes(range(8)))]


def test_a_frame_of_nine_bytes_is_refused():
    bench = NodeBench()
    assert result(ldi(1, 1), *ldi32(2, 0x4000), ldi(3, 9), CAN_TX, rodata=bytes(16)) == 0xFFFFFFEA
    assert bench.frames == []


def test_a_frame_from_memory_that_does_not_exist_is_refused():
    assert result(ldi(1, 1), ldi(2, 0), ldi(3, 4), CAN_TX) == 0xFFFFFFEA


def test_a_full_bus_is_told():
    bench = NodeBench()
    bench.bus_full = True
    assert result(ldi(1, 1), ldi(2, 0), ldi(3, 0), CAN_TX, bench=bench) == 0xFFFFFFF0


@pytest.mark.requirement("P-27")
def test_the_abi_version_is_one_point_zero():
    assert result(VERSION) == 0x00010000


class Saved:
    def restore(self, key):
        return None

    def change(self, key, bits, now, debounce_ms):
        pass


def test_an_app_learns_what_the_node_has():
    def capabilities(bench) -> int:
        pid = bench.load(an_image(VERSION, BRK))
        bench.poll()
        return bench.vm.get(pid, 1)

    assert capabilities(NodeBench()) == 0x01 | 0x02 | 0x08 | 0x10
    assert capabilities(NodeBench(saved=Saved())) == 0x01 | 0x02 | 0x04 | 0x08 | 0x10
    bench = NodeBench()
    bench.node.svc.stdout = bench.node.svc.can_tx = None
    assert capabilities(bench) == 0x01 | 0x02


@pytest.mark.parametrize("module", [0, 1, 2, 3, 6, 9, 0xA, 0xB, 0xC, 0xD, 0xF])
def test_an_unknown_function_gives_enosys_and_the_app_goes_on(module):
    assert result(svc(module, 0x77)) == ENOSYS
