# SPDX-License-Identifier: MIT
import json
import re
import shlex
import signal
import subprocess
import sys

import pytest

from bench.images import RET, SPIN, UART_WRITE, an_image, ldi, ldi32
from hsxctl.cli import argument_tree, main

COMMANDS = ("asm", "verify", "info", "key", "sign", "run", "sdcard", "sim")
COMMANDS += (
    "push",
    "serve",
    "nodes",
    "ps",
    "status",
    "slots",
    "activate",
    "confirm",
    "rollback",
    "kill",
)
COMMANDS += ("values", "call", "events", "log", "abort", "completion", "fleet", "boot", "reset")


@pytest.fixture
def image(tmp_path):
    path = tmp_path / "app.hxe"
    path.write_bytes(an_image(ldi(0, 7), RET))
    return path


def shown(argv: list[str], capsys) -> str:
    with pytest.raises(SystemExit) as ended:
        main(argv)
    assert ended.value.code == 0
    return capsys.readouterr().out


def test_help_names_every_command_and_the_exit_codes(capsys):
    text = shown(["--help"], capsys)
    assert all(re.search(rf"^    {command}\b", text, re.MULTILINE) for command in COMMANDS)
    assert "130 interrupted" in text


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_a_command_says_what_it_needs_and_gives_an_example(command, capsys):
    text = shown([command, "--help"], capsys)
    assert "Needs:" in text
    assert f"example:\n  hsxctl {command} " in text


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_the_examples_of_a_help_are_right_usage(command, capsys):
    text = shown([*command.split(), "--help"], capsys)
    examples = re.findall(r"^  hsxctl (.*?)(?:  .*| && .*)?$", text, re.MULTILINE)
    assert examples
    for example in examples:
        assert argument_tree().parse_args(shlex.split(example)).run


@pytest.mark.parametrize(
    "argv",
    [
        [],
        ["fly"],
        ["run"],
        ["run", "x.hxe", "--max-steps", "-1"],
        ["run", "x.hxe", "--stack", "many"],
        ["asm", "x.mvasm"],
        ["asm", "x.mvasm", "-o", "x.hxe", "--req-cap", "0x10000"],
        ["sdcard", "x", "-o", "y", "--size", "17M"],
        ["sdcard", "x", "-o", "y", "--size", "64G"],
    ],
    ids=" ".join,
)
def test_wrong_usage_is_exit_code_2_and_nothing_on_stdout(argv, capsys):
    with pytest.raises(SystemExit) as ended:
        main(argv)
    assert ended.value.code == 2
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("command", ["verify", "info", "run"])
def test_a_file_that_is_not_there_is_named_with_the_system_s_own_words(command, capsys):
    assert main([command, "gone.hxe"]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == "hsxctl: gone.hxe: ENOENT: No such file or directory. Check the path.\n"


@pytest.mark.parametrize("command", ["verify", "info", "run"])
def test_a_damaged_image_is_exit_code_1_with_what_where_and_what_to_do(command, image, capsys):
    image.write_bytes(image.read_bytes()[:-1] + b"!")
    assert main([command, str(image)]) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"hsxctl: {image}: EBADMSG at ")
    assert "offset 28: checksum differs. The file is damaged" in said


@pytest.mark.parametrize("command", ["verify", "info", "run"])
def test_with_json_a_refusal_is_one_object_on_stdout(command, image, capsys):
    image.write_bytes(b"")
    assert main([command, "--json", str(image)]) == 1
    (line,) = capsys.readouterr().out.splitlines()
    facts = json.loads(line)
    assert facts["errno"] == "EBADMSG"
    assert facts["detail"] == "image ends inside its header"
    assert (facts["rule"], facts["offset"]) == (1, 0)


def test_the_installed_command_is_this_one(image):
    done = subprocess.run(
        [sys.executable, "-m", "hsxctl", "verify", str(image)], capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{image}: good, {image.stat().st_size} bytes, app 'app'\n"


def test_a_reader_that_goes_away_is_no_traceback(image):
    process = subprocess.Popen(
        [sys.executable, "-m", "hsxctl", "info", str(image)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    process.stdout.close()
    assert "Traceback" not in process.stderr.read()
    assert process.wait() == 1
    process.stderr.close()


def test_ctrl_c_ends_a_run_with_the_state_it_was_in(tmp_path):
    endless = tmp_path / "endless.hxe"
    code = [*ldi32(1, 0x4000), ldi(2, 6), UART_WRITE]
    endless.write_bytes(an_image(*code, SPIN | 4 * len(code), rodata=b"ready\n"))
    process = subprocess.Popen(
        [sys.executable, "-m", "hsxctl", "run", str(endless), "--max-steps", "0xFFFFFFFF"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    _, said = process.communicate()
    assert process.returncode == 130
    assert "interrupted, still running after" in said
    assert "PC 0x0010" in said
