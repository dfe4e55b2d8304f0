# SPDX-License-Identifier: MIT
import json

import pytest

from bench.images import (
    BRK,
    CAN_TX,
    EXIT,
    FS_WRITE,
    RET,
    SLEEP,
    SPIN,
    UART_WRITE,
    an_image,
    ldi,
    ldi32,
)
from hsxctl.cli import main


@pytest.fixture
def run(tmp_path, capsys):
    """run(words..., options...) -> (exit code, the JSON of `hsxctl run`)."""

    def executed(*code: int, options: tuple = (), **image) -> tuple[int, dict]:
        path = tmp_path / "app.hxe"
        path.write_bytes(an_image(*code, **image))
        status = main(["run", str(path), "--json", *options])
        return status, json.loads(capsys.readouterr().out)

    return executed


@pytest.mark.parametrize(
    ("code", "stop", "status"),
    [
        ([ldi(0, 3), EXIT], "exit", 0),
        ([ldi(0, 3), RET], "returned", 0),
        ([BRK], "brk", 0),
        ([SPIN], "step_cap", 0),
        ([0x05000000], "illegal_opcode", 1),
        ([ldi(0, 1)], "pc_out_of_range", 1),
        ([0x13000000], "fault:div_zero", 1),
        ([0x41000000, 0x41000000], "fault:stack_underflow", 1),
    ],
)
def test_the_exit_code_says_whether_it_faulted(run, code, stop, status):
    got, facts = run(*code, options=("--max-steps", "1000"))
    assert (facts["stop"], got) == (stop, status)
    assert facts["exit_code"] == (3 if stop in ("exit", "returned") else None)


def test_the_cap_holds_to_the_instruction(run):
    for cap in (0, 1, 2, 100_000, 100_001):
        _, facts = run(SPIN, options=("--max-steps", str(cap)))
        assert facts["steps"] == cap


def test_a_sleep_takes_no_time_and_is_reported(run):
    day = 24 * 3600 * 1000
    code = [ldi(0, 5), SLEEP, *ldi32(0, 0xFFFFFFFF), SLEEP, *ldi32(0, 30 * day), SLEEP, RET]
    _, facts = run(*code)
    assert facts["sleeps_ms"] == [5, 0xFFFFFFFF, 30 * day]
    assert (facts["stop"], facts["exit_code"]) == ("returned", 0)


def test_a_cap_that_falls_on_a_sleep_is_the_cap(run):
    _, facts = run(ldi(0, 5), SLEEP, RET, options=("--max-steps", "2"))
    assert (facts["stop"], facts["steps"], facts["pc"]) == ("step_cap", 2, 8)


def test_text_of_any_length_is_one_write(run):
    code = [*ldi32(1, 0x4000), *ldi32(2, 5000), UART_WRITE, ldi(2, 0), UART_WRITE, RET]
    _, facts = run(*code, rodata=b"x" * 5000)
    assert facts["uart"] == [b"x".hex() * 5000, ""]


def test_can_frames_are_reported_with_their_identifier(run):
    _, facts = run(*ldi32(1, 0x8123), *ldi32(2, 0x4000), ldi(3, 2), CAN_TX, RET, rodata=b"ab")
    assert facts["can"] == [[0x123, b"ab".hex()]]


def test_the_segmented_profile_has_the_stack_that_is_asked_for(run):
    deep = [0x40000000, SPIN]  # PUSH for ever
    for options, pushes in (((), 384), (("--stack", "4096"), 1024), (("--stack", "16"), 4)):
        _, facts = run(*deep, options=("--profile", "segmented", *options))
        assert (facts["stop"], facts["steps"]) == ("fault:stack_overflow", 2 * pushes)


def test_the_text_of_the_app_goes_to_stdout_and_the_summary_to_stderr(tmp_path, capfd):
    path = tmp_path / "app.hxe"
    code = [*ldi32(1, 0x4000), ldi(2, 3), UART_WRITE, ldi(0, 9), EXIT]
    path.write_bytes(an_image(*code, rodata=b"hi\n"))
    assert main(["run", str(path)]) == 0
    said = capfd.readouterr()
    assert said.out == "hi\n"
    assert said.err == f"hsxctl: {path}: exit 9 after 5 steps, PC 0x0018\n"


def test_a_fault_shows_the_registers(tmp_path, capfd):
    path = tmp_path / "app.hxe"
    path.write_bytes(an_image(ldi(4, 0x123), 0x13000000))
    assert main(["run", str(path)]) == 1
    said = capfd.readouterr().err
    assert "fault:div_zero after 1 steps, PC 0x0004" in said
    assert "R4  00000123" in said


def test_files_written_to_standard_output_are_text_too(run):
    _, facts = run(ldi(1, 1), *ldi32(2, 0x4000), ldi(3, 2), FS_WRITE, RET, rodata=b"ok")
    assert facts["uart"] == [b"ok".hex()]
