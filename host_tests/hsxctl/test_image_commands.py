# SPDX-License-Identifier: MIT
import hashlib
import json

import pytest

from bench.images import an_image
from hsx.errors import EBADMSG, HsxError
from hsx.image.build import command_section, mailbox_section, value_section
from hsx.image.metadata import Command, Value
from hsxctl.cli import main
from hsxctl.commands.image import check

VALUE = Value(1, 5, 2, 1, 0x3E00, "rpm", "rpm", 0x3400, 0, 0x5640, 0x1205, "motor")
COMMAND = Command(1, 7, 1, 2, 0, "reset", "Reset", "motor")
SECTIONS = (
    value_section([VALUE]),
    command_section([COMMAND]),
    mailbox_section([{"target": "app:t", "capacity": 96, "mode_mask": 27}]),
    (0x77, b"future", 1),
)


@pytest.fixture
def rich(tmp_path):
    path = tmp_path / "rich.hxe"
    path.write_bytes(an_image(rodata=b"hi", sections=SECTIONS, req_caps=0x23, bss_size=12))
    return path


def test_info_json_has_header_metadata_sections_size_and_digest(rich, capsys):
    assert main(["info", "--json", str(rich)]) == 0
    facts = json.loads(capsys.readouterr().out)
    image = rich.read_bytes()
    assert facts["size"] == len(image)
    assert facts["sha256"] == hashlib.sha256(image).hexdigest()
    assert facts["header"]["req_caps"] == 0x23
    assert [section["type"] for section in facts["sections"]] == [1, 2, 3, 0x77]
    (value,) = facts["metadata"]["values"]
    assert (value["init_value"], value["max"], value["persist_key"]) == (1.5, 100.0, 0x1205)


def test_info_text_tells_a_person_the_same(rich, capsys):
    assert main(["info", str(rich)]) == 0
    text = capsys.readouterr().out
    for part in (
        "app       app, several at once",
        "data      2 bytes, and 12 of zeros",
        "needs     mailboxes|values and commands|0x20",
        "section   type 0x77: 6 bytes",
        "1:5 motor.rpm = 1.5 rpm, 0.0 to 100.0, PERSIST, USER, key 0x1205",
        "1:7 motor.reset: 'Reset', PIN, ADMIN, handler 0x0000",
        "app:t: 96 bytes, RDONLY|WRONLY|FANOUT|FANOUT_DROP",
    ):
        assert part in text


def test_numbers_that_json_does_not_have_are_null(tmp_path, capsys):
    strange = Value(1, 1, 0, 9, 0x7E00, None, None, 0, 0xFC00, 0x7C00, 0, None)
    path = tmp_path / "strange.hxe"
    path.write_bytes(an_image(sections=(value_section([strange]),)))
    assert main(["info", "--json", str(path)]) == 0
    (value,) = json.loads(capsys.readouterr().out)["metadata"]["values"]
    assert (value["init_value"], value["min"], value["max"]) == (None, None, None)
    assert value["init_raw"] == 0x7E00
    assert main(["info", str(path)]) == 0
    assert "1:1 (no name)" in capsys.readouterr().out


def test_an_image_without_a_name_says_so(tmp_path, capsys):
    path = tmp_path / "old.hxe"
    path.write_bytes(an_image(version=1))
    assert main(["info", str(path)]) == 0
    text = capsys.readouterr().out
    assert "HXE version 1" in text
    assert "(none: named after the file)" in text


def test_every_truncation_of_an_image_is_refused(rich, tmp_path):
    image = rich.read_bytes()
    path = tmp_path / "cut.hxe"
    for length in range(len(image)):
        path.write_bytes(image[:length])
        with pytest.raises(HsxError) as refused:
            check(path)
        assert refused.value.errno == EBADMSG
