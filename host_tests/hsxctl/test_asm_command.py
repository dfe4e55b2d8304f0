# SPDX-License-Identifier: MIT
import json
import re

import pytest

from hsxctl.assembler.encoder import INSTRUCTIONS
from hsxctl.cli import main

DIRECTIVES = (
    ".text .data .entry .org .byte .half .word .ascii .asciz .align .zero .value .cmd .mailbox "
    ".include .extern .export .import"
)


@pytest.fixture
def source(tmp_path):
    """source(text) -> the path of a source file with that text."""

    def written(text: str):
        path = tmp_path / "hello.mvasm"
        path.write_text(text)
        return path

    return written


def test_the_app_is_named_after_the_output_file(source, tmp_path, capsys):
    target = tmp_path / "Blink-é.hxe"
    assert main(["asm", "--json", str(source("RET")), "-o", str(target)]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["app_name"] == "Blink-"
    assert facts["size"] == target.stat().st_size == 100


def test_name_capabilities_and_single_instance_go_into_the_header(source, tmp_path, capsys):
    target = tmp_path / "a.hxe"
    options = ["--app-name", "n" * 40, "--req-cap", "0x18", "--single-instance"]
    assert main(["asm", str(source("RET")), "-o", str(target), *options]) == 0
    capsys.readouterr()
    main(["info", "--json", str(target)])
    header = json.loads(capsys.readouterr().out)["header"]
    assert header["app_name"] == "n" * 31
    assert header["req_caps"] == 0x18
    assert header["allow_multiple_instances"] is False


def shown(path, capsys) -> dict:
    capsys.readouterr()
    assert main(["info", "--json", str(path)]) == 0
    return json.loads(capsys.readouterr().out)


def test_an_image_says_of_itself_what_the_options_say(source, tmp_path, capsys):
    target = tmp_path / "a.hxe"
    options = ["--image-version", "1.2-é", "--epoch", "7", "--stack", "512", "--heap", "0x40"]
    assert main(["asm", str(source("RET")), "-o", str(target), *options]) == 0
    said = {"version": "1.2-é", "epoch": 7, "abi": "1.0", "stack": 512, "heap": 64}
    assert shown(target, capsys)["info"] == said
    assert main(["info", str(target)]) == 0
    text = capsys.readouterr().out
    assert "info      version '1.2-é', epoch 7, ABI 1.0, stack 512, heap 64\n" in text
    assert "section   info: 28 bytes" in text


@pytest.mark.parametrize(
    "option", [["--image-version", ""], ["--epoch", "0"], ["--stack", "0"], ["--heap", "0"]]
)
def test_one_option_is_enough_for_an_info_section_and_none_makes_none(
    source, tmp_path, capsys, option
):
    target = tmp_path / "a.hxe"
    assert main(["asm", str(source("RET")), "-o", str(target), *option]) == 0
    said = {"version": "", "epoch": 0, "abi": "1.0", "stack": 0, "heap": 0}
    assert shown(target, capsys)["info"] == said
    assert main(["asm", str(source("RET")), "-o", str(target)]) == 0
    assert shown(target, capsys)["info"] is None


def test_a_version_that_is_too_long_writes_no_image(source, tmp_path, capsys):
    target = tmp_path / "a.hxe"
    options = ["--image-version", "1" * 17]
    assert main(["asm", str(source("RET")), "-o", str(target), *options]) == 1
    assert "at most 16 bytes" in capsys.readouterr().err
    assert not target.exists()


def test_errors_are_listed_and_no_image_is_written(source, tmp_path, capsys):
    target = tmp_path / "a.hxe"
    path = source("JMP x\nLDI R1, 99999\n")
    assert main(["asm", str(path), "-o", str(target)]) == 1
    said = capsys.readouterr().err.splitlines()
    assert said[0].startswith(f"{path}:1: no symbol 'x'")
    assert said[1].startswith(f"{path}:2: 99999 does not fit")
    assert said[2] == "hsxctl: 2 errors; no image written"
    assert not target.exists()


def test_with_json_each_error_is_an_object(source, tmp_path, capsys):
    main(["asm", "--json", str(source("HALT\nHALT")), "-o", str(tmp_path / "a.hxe")])
    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    assert (first["line"], second["line"]) == (1, 2)
    assert set(first) == {"file", "line", "what", "hint"}


def test_a_hundred_errors_are_not_all_shown(source, tmp_path, capsys):
    main(["asm", str(source("HALT\n" * 100)), "-o", str(tmp_path / "a.hxe")])
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 21
    assert said[-1] == "hsxctl: 100 errors, 20 shown; no image written"


def test_a_warning_does_not_stop_the_image(source, tmp_path, capsys):
    target = tmp_path / "a.hxe"
    path = source('RET\n.data\n.ascii "a\\n"')
    assert main(["asm", str(path), "-o", str(target)]) == 0
    assert capsys.readouterr().err.startswith(f"warning: {path}:3: escape")
    assert target.exists()


def test_metadata_that_no_node_takes_is_refused_here(source, tmp_path, capsys):
    entries = ", ".join(f'{{"group": {i // 256}, "id": {i % 256}}}' for i in range(500))
    assert main(["asm", str(source(f"RET\n.value [{entries}]")), "-o", str(tmp_path / "a")]) == 1
    assert "A node would refuse the image" in capsys.readouterr().err


def test_strings_beyond_what_an_offset_reaches_are_refused(source, tmp_path, capsys):
    entries = ", ".join(f'{{"group": 1, "id": {i}, "name": "{i:0400}"}}' for i in range(200))
    assert main(["asm", str(source(f"RET\n.value [{entries}]")), "-o", str(tmp_path / "a")]) == 1
    assert "no image can hold this" in capsys.readouterr().err


def test_the_help_shows_the_whole_language(capsys):
    with pytest.raises(SystemExit):
        main(["asm", "--help"])
    words = set(re.findall(r"[.\w]+", capsys.readouterr().out))
    assert set(INSTRUCTIONS) <= words
    assert set(DIRECTIVES.split()) <= words
