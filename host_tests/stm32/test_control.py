# SPDX-License-Identifier: MIT
"""The control channel: time, lines, pins, the power and its cut, the same run twice."""

import subprocess
import time
from pathlib import Path

import pytest

from stm32.emulator import (
    FLASH,
    MS,
    REFUSED,
    US,
    CommandError,
    Machine,
    Refused,
    S,
    flash_image,
    machine,
    program,
)

COUNTER = 0x2000_F000


def started(folder: Path, name: str, *defines: str, **settings: str) -> Machine:
    image = flash_image(program(name, *defines), folder / "flash")
    board = Machine("PYBV11", flash=image, semihosting="1", **settings)
    board.power(True)
    return board


def counted(board: Machine) -> int:
    return int.from_bytes(board.read(COUNTER, 4), "little")


def test_an_echo_takes_the_time_of_its_frames(tmp_path: Path) -> None:
    with started(tmp_path, "usart_v1") as board:
        assert board.until("text", b"ready\n", 10 * MS) == "text"
        begin = board.time_ps
        board.send("uart2", b"hello")
        assert board.until("uart2", b"hello", 10 * MS) == "text"
        # Five frames in, then five out, of 10 bits of 139 periods of 16 MHz each.
        frames = (board.time_ps - begin) / (10 * 139 * 62_500)
        assert 10 <= frames < 10.3
        assert board.run(10 * MS) == "exit"
        assert board.take("uart2") == b"hello"


def test_a_byte_too_many_is_an_overrun(tmp_path: Path) -> None:
    with started(tmp_path, "usart_v1", "CASE=1") as board:
        board.until("text", b"ready\n", 10 * MS)
        board.send("uart2", b"ab")
        assert board.run(10 * MS) == "exit"
        assert board.take("text") == b"ready\n"


def test_the_power_is_cut_at_the_very_cycle(tmp_path: Path) -> None:
    counts = []
    for cycle in range(20_000, 20_007):
        with started(tmp_path, "counting") as board:
            board.command("cut", "cycle", cycle)
            assert board.run(S) == "cut"
            assert board.cycles == cycle
            counts.append(counted(board))
            board.power(True)
            board.run(1 * MS)
            assert board.cycles > cycle and counted(board) < counts[-1]
    steps = [after - before for before, after in zip(counts, counts[1:], strict=False)]
    assert sum(steps) == 2 and set(steps) == {0, 1}  # one count each three cycles


def test_a_pin_is_driven_and_read(tmp_path: Path) -> None:
    with started(tmp_path, "pins", "FIGHT") as board:
        board.until("text", b"ready\n", 10 * MS)
        assert board.command("pin", "PC1") == "0"
        board.command("drive", "PC1", "low")
        with pytest.raises(Refused, match="one driver pulls PC1 low, another pushes it high"):
            board.run(S)


def test_writes_are_watched(tmp_path: Path) -> None:
    with started(tmp_path, "counting") as board:
        board.command("watch", f"{COUNTER:x}", 4)
        board.run(1 * MS)
        _, pc, write = board.command("watched").split()[0].split(":")
        assert FLASH < int(pc, 16) < FLASH + 0x1000
        assert write == f"{COUNTER:08x}=00000001"


def test_what_is_no_command_says_so(tmp_path: Path) -> None:
    with started(tmp_path, "counting") as board, pytest.raises(CommandError, match="no such"):
        board.command("explode")


@pytest.mark.parametrize("seed", ["1", "2"])
def test_a_run_is_the_same_twice(tmp_path: Path, seed: str) -> None:
    def run() -> list[object]:
        with started(tmp_path, "exceptions", seed=seed) as board:
            board.command("mask", 100 * US)
            ended = board.run(S)
            return [ended, board.time_ps, board.cycles, board.read(0x2001_0000, 64)]

    assert run() == run()


def test_the_seed_gives_id_and_noise(tmp_path: Path) -> None:
    def of(seed: str) -> tuple[bytes, bytes]:
        with started(tmp_path, "counting", seed=seed) as board:
            return board.read(0x1FFF_7A10, 12), board.read(0x2001_0000, 64)

    one, two = of("1"), of("2")
    assert one[0] != two[0] and one[1] != two[1]


def test_a_cut_erase_leaves_bits_between(tmp_path: Path) -> None:
    with started(tmp_path, "flash_f4", "CASE=4") as board:
        board.until("text", b"erasing\n", S)
        board.run(100 * MS)
        board.power(False)
    word = (tmp_path / "flash").read_bytes()[0x20000:0x20004]
    assert word not in (bytes(4), b"\xff" * 4)


def test_live_mode_offers_ptys_and_ends(tmp_path: Path) -> None:
    image = flash_image(program("usart_v1"), tmp_path / "flash")
    command = [str(machine()), "PYBV11", "mode=live", f"flash={image}", "semihosting=1"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    ptys = dict(line.split() for line in iter(process.stdout.readline, "ok\n"))
    with Path(ptys["uart2"]).open("r+b", buffering=0) as line:
        time.sleep(0.2)
        line.write(b"hello")
        echo = b""
        while len(echo) < 5:
            echo += line.read(5) or b""
    assert echo == b"hello"
    process.terminate()
    assert process.wait(10) == 0


def test_a_board_that_is_not_there() -> None:
    done = subprocess.run([str(machine()), "TOASTER"], capture_output=True, text=True)
    assert done.returncode not in (0, REFUSED)
    assert "no such board: TOASTER" in done.stderr
