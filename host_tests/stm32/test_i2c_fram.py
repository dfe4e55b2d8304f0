# SPDX-License-Identifier: MIT
"""I2C of the F4 and the FRAM at it: sequences of flags, refusals, power cuts between bits."""

from pathlib import Path

import pytest

from stm32.emulator import MS, REFUSED, Machine, flash_image, program, run_program


def test_transfers_and_a_stuck_bus(tmp_path: Path) -> None:
    fram = tmp_path / "fram"
    done = run_program("i2c_fram", fram=fram)
    assert done.returncode == 0, done.stdout + done.stderr
    memory = fram.read_bytes()
    assert len(memory) == 0x20000
    assert memory[0x1234:0x1238] == bytes.fromhex("11228044")
    assert memory[0x11234] == 0x80
    assert memory[0xFFFF:0x10001] == bytes.fromhex("1122")


REFUSALS = {
    1: "I2C1.CCR is changed while PE is set",
    2: "I2C1.DR is written, but neither SB nor TXE is set",
    3: "I2C1.CR2: FREQ is 42",
    4: "I2C1.CR1 is written while START or STOP is pending",
    5: "PB7 is push-pull",
    6: "FRAM: the low time of SCL",
    7: "FRAM: device ID",
    8: "I2C1: a third byte is received with POS",
    9: "I2C1.DR is read with BTF set",
    10: "I2C1.CR1: STOP",
    11: "I2C1.CR2: bits 00000800",
    12: "I2C1.DR is written, but neither SB nor TXE is set",
    13: "I2C1.CR1: STOP",
    14: "I2C1+000, which has no clock",
}


@pytest.mark.parametrize("case", REFUSALS)
def test_what_is_undefined_is_refused(case: int, tmp_path: Path) -> None:
    done = run_program("i2c_fram", f"CASE={case}", fram=tmp_path / "fram")
    assert done.returncode == REFUSED, done.stdout + done.stderr
    assert REFUSALS[case] in done.stderr


def test_without_a_fram_nobody_answers() -> None:
    # Without its resistors both wires are low, so there is no START.
    done = run_program("i2c_fram", limit="20")
    assert done.returncode == 2


def test_a_power_cut_leaves_the_bytes_that_were_acknowledged(tmp_path: Path) -> None:
    fram = tmp_path / "fram"
    image = flash_image(program("i2c_fram", "CASE=20"), tmp_path / "flash")
    with Machine("PYBV11", flash=image, semihosting="1", fram=fram) as machine:
        for edge in range(20, 64):
            fram.write_bytes(bytes(64))
            machine.power(True)
            machine.command("cut", "edge", "PB6", edge)
            assert machine.run(5 * MS) == "cut"
            # Three bytes of addresses, and then nine bits a byte: it is there before the ninth.
            whole = max(0, (edge - 27) // 9)
            assert fram.read_bytes()[:64] == bytes(range(1, whole + 1)).ljust(64, b"\0"), edge
