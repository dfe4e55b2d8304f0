# SPDX-License-Identifier: MIT
"""build: the bytes of the reference's linker, and what is written is what is read."""

import hashlib
import json
import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsx.image.build import (
    build,
    command_section,
    f16,
    f16_value,
    mailbox_section,
    seal,
    value_section,
)
from hsx.image.verify import verify
from image.cases import (
    CODE,
    GOLDEN,
    a_command,
    a_mailbox,
    a_value,
    an_image,
    commands,
    facts,
    mailboxes,
    read,
    source,
    values,
)

RET42 = bytes.fromhex("0100002a25000000")

# spec/hxe_v2.md section 12
G1 = """
4853584500020000000000000000000800000000000000000000000091b17a7e
7265743432000000000000000000000000000000000000000000000000000000
0000000000000000000000000000000000000000000000000000000000000000
0100002a25000000
"""
G2 = """
48535845000200020000000000000008000000030000000000000003ec6f6b4f
6d65746100000000000000000000000000000000000000000000000000000000
0000006b00000003000000000000000000000000000000000000000000000000
0100002a25000000686900000000010000009b00000035000000020000000200
0000d0000000220000000100000003000000f20000004b000000010102100000
000028000000000000000000000000010502003e00002b002b34000000564012
05002f6f6e0072706d006d6f746f72000107010200000004001000160000001c
7265736574005265736574006d6f746f72007b226d61696c626f786573223a5b
7b226361706163697479223a39362c226d6f64655f6d61736b223a32372c2274
6172676574223a226170703a74227d5d2c2276657273696f6e223a317d
"""
G3 = """
485358450001000000000000000000080000000000000000000000008299430d
0100002a25000000
"""


def test_vector_g1_a_single_instance():
    assert build(RET42, name="ret42", flags=0) == bytes.fromhex(G1)


def test_vector_g2_values_a_command_and_a_mailbox():
    on = a_value(1, 2, flags=16, auth=0, init=0, name="on", unit=None, epsilon=0, min=0, max=0)
    on.persist_key, on.group_name = 0, None
    rpm = a_value(1, 5, auth=0, init=f16(1.5), name="rpm", epsilon=f16(0.25), group_name="motor")
    rpm.max = f16(100)
    reset = a_command(1, 7, handler=4, help="Reset", group_name="motor")
    sections = [
        value_section([rpm, on]),
        command_section([reset]),
        mailbox_section([a_mailbox("app:t", capacity=96, mode=27)]),
    ]
    image = build(RET42, b"hi\0", name="meta", req_caps=3, sections=sections)
    assert image == bytes.fromhex(G2)
    assert hashlib.sha256(image).hexdigest().startswith("2513b5c8648350ee")


def test_vector_g3_version_1():
    assert build(RET42, version=1, flags=0) == bytes.fromhex(G3)


@pytest.mark.parametrize("path", sorted((GOLDEN / "programs").glob("*.hxe")), ids=lambda p: p.stem)
def test_a_golden_image_is_rebuilt_from_what_it_says(path):
    golden = path.read_bytes()
    header, metadata, _ = verify(source(golden), bytearray(512))
    sections = [value_section(metadata.values), command_section(metadata.commands)]
    for kind, offset, size, _ in metadata.sections:
        if kind == 3:
            sections.append(
                mailbox_section(json.loads(golden[offset : offset + size])["mailboxes"])
            )
    rebuilt = build(
        golden[header.size : header.size + header.code_len],
        golden[header.size + header.code_len : header.body_end],
        name=header.app_name,
        entry=header.entry,
        flags=header.flags,
        req_caps=header.req_caps,
        bss_size=header.bss_size,
        sections=sections,
        version=header.version,
    )
    assert rebuilt == golden


@given(values, commands, mailboxes, st.binary(max_size=9), st.integers(0, 0xFFFF))
def test_what_is_built_is_what_is_read(values, commands, mailboxes, rodata, caps):
    image = an_image(values, commands, mailboxes, rodata=rodata, req_caps=caps, entry=8)
    header, metadata, length = verify(source(image), bytearray(64))
    by_oid = {"key": lambda record: (record.group, record.id)}
    assert facts(metadata) == (
        [vars(value) for value in sorted(values, **by_oid)],
        [vars(command) for command in sorted(commands, **by_oid)],
        [vars(mailbox) for mailbox in mailboxes],
    )
    assert (header.req_caps, header.entry, header.ro_len) == (caps, 8, len(rodata))
    assert (header.app_name, length) == ("app", len(image))


@given(st.text(max_size=40))
def test_a_name_keeps_its_ascii_and_31_characters(name):
    image = build(CODE, name=name)
    kept = name.encode("ascii", "ignore")[:31]
    assert image[0x20:0x40] == kept.ljust(32, b"\0")


def test_capabilities_keep_their_low_half():
    assert build(CODE, req_caps=0x12345678)[0x18:0x1C] == b"\0\0\x56\x78"


def test_sections_without_payload_are_left_out():
    assert an_image() == build(CODE, b"hi\0", name="app")
    assert build(CODE, sections=[(1, b"", 0)])[0x40:0x48] == bytes(8)


def test_strings_are_shared_within_a_section():
    _, payload, _ = value_section([a_value(name="x", unit="x", group_name="x")])
    assert payload.count(b"x") == 1


@pytest.mark.parametrize(
    "write",
    [
        lambda: value_section([a_value(), a_value(init=0)]),
        lambda: command_section([a_command(), a_command(flags=0)]),
        lambda: value_section([a_value(name="a\0b")]),
        lambda: value_section([a_value(name="a" * 65536), a_value(id=3, name="b", unit=None)]),
        lambda: build(CODE, sections=[(1, b"x", 1)], version=1),
    ],
)
def test_what_has_no_encoding_is_refused(write):
    with pytest.raises(ValueError):
        write()


def test_a_mailbox_object_is_written_as_it_stands():
    _, payload, count = mailbox_section([{"target": "a", "mode": "RDWR", "x": "é"}])
    assert count == 1
    assert payload == (b'{"mailboxes":[{"mode":"RDWR","target":"a","x":"\\u00e9"}],"version":1}')


def test_a_mailbox_record_leaves_defaults_out():
    _, payload, _ = mailbox_section([a_mailbox("a", capacity=0, mode=3)])
    assert json.loads(payload)["mailboxes"] == [{"target": "a"}]


def test_seal_gives_any_image_its_checksum():
    for image in (an_image([a_value()]), build(CODE, version=1)):
        broken = bytearray(image)
        broken[-1] ^= 1
        assert seal(image) == image
        resealed = seal(bytes(broken))
        assert resealed[-1] == broken[-1]
        assert resealed[0x1C:0x20] != image[0x1C:0x20]


def test_every_f16_survives_the_way_there_and_back():
    for bits in range(0x10000):
        number = f16_value(bits)
        if math.isnan(number):
            assert math.isnan(f16_value(f16(number)))
        else:
            assert f16(number) == bits


@pytest.mark.parametrize(
    ("number", "bits"),
    [
        (0.0, 0x0000),
        (-0.0, 0x8000),
        (1.0, 0x3C00),
        (1 + 2**-11, 0x3C00),
        (1 + 3 * 2**-11, 0x3C02),
        (1 + 2**-11 + 2**-30, 0x3C01),
        (65504.0, 0x7BFF),
        (65519.999, 0x7BFF),
        (65520.0, 0x7C00),
        (1e300, 0x7C00),
        (-65520.0, 0xFC00),
        (math.inf, 0x7C00),
        (-math.inf, 0xFC00),
        (2.0**-24, 0x0001),
        (2.0**-25, 0x0000),
        (3 * 2.0**-25, 0x0002),
        (12, 0x4A00),
    ],
)
def test_a_number_goes_to_the_nearest_f16_ties_to_even(number, bits):
    assert f16(number) == bits


@given(st.floats(allow_nan=False))
def test_no_f16_is_nearer_than_the_one_chosen(number):
    chosen = f16(number)
    if chosen & 0x7C00 == 0x7C00:
        assert abs(number) >= 65520
        return
    distance = abs(f16_value(chosen) - number)
    for bits in {chosen + 1, max(chosen - 1, 0)}:
        if bits & 0x7C00 != 0x7C00:
            assert distance <= abs(f16_value(bits) - number)


def test_a_built_image_has_its_table_right_behind_the_rodata():
    image = an_image([a_value()], rodata=b"abc")
    assert struct.unpack_from(">II", image, 0x40) == (96 + len(CODE) + 3, 1)
    assert len(read(image).values) == 1
