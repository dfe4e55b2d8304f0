# SPDX-License-Identifier: MIT
"""bxCAN and the bus: alone in loop back, with a host, arbitration, errors, bus-off."""

import ctypes
import os
import random
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from hsxctl.simulate import can_bus
from stm32.emulator import (
    FLAGS,
    HERE,
    MS,
    REFUSED,
    US,
    Machine,
    flash_image,
    program,
    run_program,
)

BIT = 2 * US


@pytest.mark.parametrize("name", ["can_alone", "can_two"])
def test_bxcan_without_a_host(name: str) -> None:
    done = run_program(name)
    assert done.returncode == 0, done.stdout + done.stderr


REFUSALS = {
    1: "CAN1: write to BTR outside of initialization",
    2: "CAN1: write to filter register 204",
    3: "CAN1: write to mailbox 0, which is pending",
    4: "CAN1: write of 2 bytes",
    5: "CAN1.MCR: bits 00000080",
    6: "CAN1: loop back to the bus",
    7: "CAN1 leaves initialization, but PB8 is not its pin",
    8: "CAN1+020, which is not modelled",
    9: "CAN1: write to filter register 240",
}


@pytest.mark.parametrize("case", REFUSALS)
def test_what_is_undefined_is_refused(case: int) -> None:
    done = run_program("can_alone", f"CASE={case}")
    assert done.returncode == REFUSED, done.stdout + done.stderr
    assert REFUSALS[case] in done.stderr


class Frame(ctypes.Structure):
    """CanFrame of src/machine.h."""

    _fields_ = [
        ("id", ctypes.c_uint32),
        ("extended", ctypes.c_bool),
        ("remote", ctypes.c_bool),
        ("fd", ctypes.c_bool),
        ("brs", ctypes.c_bool),
        ("dlc", ctypes.c_uint8),
        ("data", ctypes.c_uint8 * 64),
    ]


def test_frames_have_the_lengths_of_the_bench_bus(tmp_path: Path) -> None:
    library = tmp_path / "can_bus.so"
    source = HERE / "src" / "can_bus.c"
    command = ["gcc", *FLAGS, "-shared", "-fPIC", str(source), "-o", str(library)]
    subprocess.run(command, check=True)
    bits = ctypes.CDLL(str(library), mode=os.RTLD_LAZY).can_frame_bits
    rng = random.Random(1)
    for _ in range(5000):
        extended, remote = rng.random() < 0.5, rng.random() < 0.2
        # Few bits that differ from their neighbours make many stuff bits.
        ident = rng.getrandbits(29) & rng.getrandbits(29) & (0x1FFF_FFFF if extended else 0x7FF)
        fill = rng.choice((0x00, 0xFF, rng.getrandbits(8)))
        data = bytes(rng.choice((fill, rng.getrandbits(8))) for _ in range(rng.randrange(9)))
        frame = Frame(ident, extended, remote, False, False, len(data))
        ctypes.memmove(frame.data, data, len(data))
        flags = (can_bus.EXTENDED if extended else 0) | (can_bus.REMOTE if remote else 0)
        assert bits(ctypes.byref(frame)) == can_bus.bits(ident | flags, data)


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    """A board that echoes; the host's channel is closed."""
    image = flash_image(program("can_echo"), tmp_path / "flash")
    with Machine("PYBV11", flash=image, semihosting="1") as machine:
        machine.power(True)
        machine.run(1 * MS)
        yield machine


def ask(machine: Machine, *lines: str, wait: int = 2 * MS) -> list[str]:
    """Sends SLCAN lines, and gives those that come within a time."""
    machine.send("can", "".join(line + "\r" for line in lines).encode())
    machine.run(wait)
    return re.findall(r"[^\r\a]*[\r\a]", machine.take("can").decode())


def on_the_bus(machine: Machine) -> None:
    assert ask(machine, "C", "S6", "O") == ["\r", "\r", "\r"]


def test_all_kinds_of_frames_come_back(machine: Machine) -> None:
    on_the_bus(machine)
    assert ask(machine, "t1232AABB") == ["z\r", "t1242AABB\r"]
    assert ask(machine, "T0ABCDEF80") == ["Z\r", "T0ABCDEF90\r"]
    assert ask(machine, "r7004") == ["z\r", "r7014\r"]
    assert ask(machine, "R000000018") == ["Z\r", "R000000028\r"]
    # A length of 9 to 15 is allowed, and means 8 bytes.
    assert ask(machine, "t0FFF0011223344556677") == ["z\r", "t100F0011223344556677\r"]


def test_the_adapter_answers_as_others_do(machine: Machine) -> None:
    assert ask(machine, "t1230") == ["\a"]  # the channel is closed
    assert ask(machine, "V", "N", "F", "") == ["V1010\r", "NHSXE\r", "F00\r", "\r"]
    on_the_bus(machine)
    bad = ["S6", "t12", "t8000", "t1232AA", "t1230AA", "T200000000", "x", "t123400112233" * 4]
    assert ask(machine, *bad) == ["\a"] * len(bad)
    assert ask(machine, *["t1230"] * 300, wait=0).count("\a") == 300 - 256


def test_a_frame_takes_its_bits(machine: Machine) -> None:
    on_the_bus(machine)
    machine.send("can", b"t20080000000000000000\r" * 4)
    times = []
    for _ in range(4):
        machine.until("can", b"z\r")
        machine.take("can")
        times.append(machine.time_ps // 1000)
    # The first one starts the burst of the board.
    length = can_bus.bits(0x200, bytes(8)) * BIT
    assert abs(times[3] - times[2] - length) < US


def test_the_lowest_identifier_goes_first(machine: Machine) -> None:
    on_the_bus(machine)
    said = ask(machine, *["t2000"] * 20, wait=10 * MS)
    assert said.count("z\r") == 20
    assert said.index("t1000\r") in (1, 2)
    assert said[-2:] == ["t2010\r", "t3000\r"]


def errors(machine: Machine) -> tuple[int, int, int]:
    """TEC, REC and the three flags, as the board tells them."""
    (told,) = (line for line in ask(machine, "t0100") if line.startswith("t011"))
    esr = int.from_bytes(bytes.fromhex(told[5:13]), "little")
    return esr >> 16 & 0xFF, esr >> 24, esr & 7


def test_a_host_that_only_listens_acknowledges_nothing(machine: Machine) -> None:
    on_the_bus(machine)
    machine.send("can", b"t1230\r")
    machine.until("can", b"z\r")
    machine.take("can")
    assert ask(machine, "C", "L", wait=10 * MS) == ["\r", "\r"]  # the echo stays in its mailbox
    assert ask(machine, "t1230") == ["\a"]
    said = ask(machine, "C", "O")
    assert said == ["\r", "\r", "t1240\r"]
    tec, rec, flags = errors(machine)
    assert (tec, rec, flags) == (127, 0, 1)


def test_a_host_at_another_bit_rate_disturbs(machine: Machine) -> None:
    assert ask(machine, "S5", "O", "t1230", wait=30 * MS) == ["\r", "\r"]
    on_the_bus(machine)
    tec, rec, flags = errors(machine)
    assert tec == 0
    assert rec >= 127
    assert flags & 1


def test_bus_off_and_the_way_back(machine: Machine) -> None:
    on_the_bus(machine)
    machine.send("can", b"t1230\r")
    machine.until("can", b"z\r")
    machine.command("disturb", 5 * MS)
    machine.take("can")
    start = machine.time_ps // 1000
    machine.until("can", b"t1240\r")
    back = machine.time_ps // 1000 - start
    # After 128 sequences of 11 recessive bits that follow the disturbance.
    assert 0 < back - 5 * MS - 128 * 11 * BIT < MS // 2
    machine.run(2 * MS)
    assert errors(machine)[0] < 8
