# SPDX-License-Identifier: MIT
"""SDIO and DMA of the F4 with an SD card: identification, blocks, errors, cards that change."""

import struct
from pathlib import Path

import pytest

from stm32.emulator import MS, REFUSED, US, Machine, flash_image, program, run_program

CARD_SIZE = 1 << 20
CTIMEOUT, DCRCFAIL = 1 << 2, 1 << 1
TOLD = 0x1000_0000


@pytest.fixture
def card(tmp_path: Path) -> Path:
    path = tmp_path / "card"
    words = b"".join(struct.pack("<I", 0x0100_0000 + i) for i in range(128))
    path.write_bytes(words.ljust(CARD_SIZE, b"\0"))
    return path


def test_identification_blocks_and_errors(card: Path) -> None:
    done = run_program("sd_card", card=card, card_ready="10000")
    assert done.returncode == 0, done.stdout + done.stderr
    blocks = card.read_bytes()[7 * 512 : 9 * 512]
    assert blocks == b"".join(struct.pack("<I", 0x5A00_0000 + i) for i in range(256))
    assert not any(card.read_bytes()[9 * 512 :])


REFUSALS = {
    1: "SDIO.CMD is written while a command is sent",
    2: "SDIO: a transfer without a clock",
    3: "SD card: CMD0 after 48 clocks",
    4: "SD card: CMD8 at 24000000 Hz",
    5: "SDIO.FIFO is read",
    6: "SDIO.POWER: PWRCTRL is 1",
    7: "DMA2: a burst at 20000bfc crosses a boundary",
    8: "DMA2 stream 3: register 0c is changed while it is enabled",
    9: "DMA2 stream 3 is enabled, but its flags 20 are set",
    10: "SD card: CMD32 is not modelled",
    11: "DMA2 stream 3: CR 08a05401 FCR 00000027 is not modelled",
    12: "SDIO: a command, but not all of its lines are at pins",
    13: "SD card: CMD13 at 48000000 Hz",
}


@pytest.mark.parametrize("case", REFUSALS)
def test_what_is_undefined_is_refused(case: int, card: Path) -> None:
    done = run_program("sd_card", f"CASE={case}", card=card)
    assert done.returncode == REFUSED, done.stdout + done.stderr
    assert REFUSALS[case].split(" at 2000")[0] in done.stderr


def test_a_card_leaves_and_another_comes(card: Path, tmp_path: Path) -> None:
    image = flash_image(program("sd_exchange"), tmp_path / "flash")
    other = tmp_path / "other"
    other.write_bytes(b"\2\2\2\2".ljust(CARD_SIZE, b"\0"))
    with Machine("PYBV11", flash=image, semihosting="1", card_ready="3000") as machine:

        def told() -> list[int]:
            return list(struct.unpack("<5I", machine.read(TOLD, 20)))

        machine.power(True)
        machine.run(10 * MS)
        assert told() == [0, 0, 0, 0, 0]
        machine.command("card", "in", card)
        machine.run(20 * MS)
        cards, reads, failures, _, word = told()
        assert (cards, failures, word) == (1, 0, 0x0100_0000)
        assert reads > 5
        # Within the transfer of a block, which begins 500 us after the command and takes 43.
        while told()[1] == reads:
            machine.run(5 * US)
        machine.run(535 * US)
        machine.command("card", "out")
        machine.run(5 * MS)
        assert told() == [1, reads + 1, 1, DCRCFAIL, 0x0100_0000]
        machine.command("card", "in", card)
        machine.run(20 * MS)
        assert told()[0] == 2
        # Exchanged without a look at the switch: the new card has no address.
        machine.command("card", "in", other)
        machine.run(20 * MS)
        cards, _, failures, last_failure, word = told()
        assert (cards, failures, word) == (3, 2, 0x0202_0202)
        assert last_failure in (CTIMEOUT, DCRCFAIL)
