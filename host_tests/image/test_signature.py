# SPDX-License-Identifier: MIT
"""signature: what is covered, however the bytes come, and that nothing else is taken for it."""

import hashlib
import struct

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from docs.hxe_format import fields, section
from hsx.errors import EBADMSG, HsxError
from hsx.image.build import build, info_section, seal, signed
from hsx.image.signature import CONTEXT, SIZE, ImageDigest, is_good
from hsx.image.verify import verify
from image.cases import CODE, a_command, a_mailbox, a_value, an_image, an_info, judge, source

PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
KEY = PRIVATE.public_key().public_bytes_raw()
OTHER = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))


def ed25519_verify(key: bytes, message: bytes, signature: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, message)
    except InvalidSignature:
        return False
    return True


def plain() -> bytes:
    return an_image([a_value()], [a_command()], [a_mailbox()], extra=[info_section(an_info())])


def sign(image: bytes, private=PRIVATE) -> bytes:
    return signed(image, private.public_key().public_bytes_raw(), private.sign)


def trusted(image: bytes, key: bytes = KEY, buffer: int = 64, pieces=()) -> bool:
    """Whether a node that knows `key` would take the image."""
    digest = ImageDigest()
    try:
        _, metadata, _ = verify(source(image, pieces), bytearray(buffer), digest)
    except HsxError:
        return False
    if metadata.signature is None:
        return False
    return is_good(metadata.signature, digest.message(), key, ed25519_verify)


@pytest.mark.parametrize(
    "image",
    [plain(), build(CODE), build(CODE, b"odd", name="x"), seal(plain() + b"trailing")],
    ids=["full", "bare", "rodata", "trailing"],
)
def test_a_signed_image_is_good_and_says_what_it_said(image):
    whole = sign(image)
    assert trusted(whole)
    assert len(whole) == len(image) + 16 + SIZE
    before, after = judge(image), judge(whole)
    assert after[3] == before[3]
    assert [entry[0] for entry in after[2]] == [*(entry[0] for entry in before[2]), 0x11]


def test_an_unsigned_image_and_one_of_another_key_are_not_trusted():
    assert not trusted(plain())
    assert not trusted(sign(plain(), OTHER))


def test_every_changed_byte_is_refused():
    whole = sign(plain())
    for at in range(len(whole)):
        for mask in (0x01, 0x80, 0xFF):
            changed = bytearray(whole)
            changed[at] ^= mask
            assert not trusted(bytes(changed)), at


def test_every_changed_byte_under_a_right_checksum_is_refused():
    whole = sign(plain())
    for at in range(len(whole)):
        if 0x1C <= at < 0x20:
            continue  # sealing puts these back
        for mask in (0x01, 0x80, 0xFF):
            changed = bytearray(whole)
            changed[at] ^= mask
            assert not trusted(seal(bytes(changed))), at


def test_every_truncation_and_an_appended_byte_are_refused():
    whole = sign(plain())
    for length in range(len(whole)):
        assert not trusted(whole[:length])
        if length >= 96:
            assert not trusted(seal(whole[:length]))
    assert not trusted(seal(whole + b"\0"))


def test_every_cut_in_two_and_every_buffer_size_cover_the_same():
    whole = sign(plain())
    for cut in range(1, len(whole)):
        assert trusted(whole, buffer=len(whole) + 1, pieces=[cut])
    for buffer in range(1, 200):
        assert trusted(whole, buffer=buffer)


@given(st.binary(max_size=40), st.lists(st.integers(1, 300), max_size=9), st.integers(1, 600))
def test_any_split_covers_the_same(rodata, pieces, buffer):
    whole = sign(an_image([a_value()], rodata=rodata))
    assert trusted(whole, buffer=buffer, pieces=pieces)


def test_what_is_signed_is_what_the_document_says():
    whole = sign(plain())
    at = len(whole) - SIZE
    covered = hashlib.sha256(whole[:0x1C] + bytes(4) + whole[0x20:at]).digest()
    assert CONTEXT == b"HSX image 1\0"
    assert ed25519_verify(KEY, CONTEXT + covered, whole[at + 8 :])
    assert whole[at : at + 8] == KEY[:8]


def test_a_signature_over_the_same_hash_for_another_purpose_is_refused():
    def elsewhere(message: bytes) -> bytes:
        assert message.startswith(CONTEXT)
        return PRIVATE.sign(b"HSX other 1\0" + message[len(CONTEXT) :])

    assert not trusted(signed(plain(), KEY, elsewhere))
    assert not trusted(signed(plain(), KEY, lambda message: PRIVATE.sign(message[-32:])))


def test_a_signature_of_another_image_is_refused():
    one, other = sign(plain()), sign(seal(plain().replace(b"speed", b"spend")))
    assert trusted(other)
    assert not trusted(seal(one[:-SIZE] + other[-SIZE:]))


def entry(kind: int, offset: int, size: int, count: int = 1) -> bytes:
    return struct.pack(">IIII", kind, offset, size, count)


def with_table(*entries: bytes, front: bytes = b"", behind: bytes = bytes(300)) -> bytes:
    """An image whose table has these entries; `front` stands between body and table."""
    image = bytearray(build(CODE) + front + b"".join(entries) + behind)
    struct.pack_into(">II", image, 0x40, 96 + len(CODE) + len(front), len(entries))
    return seal(bytes(image))


END = 96 + len(CODE)  # of the body


@pytest.mark.parametrize(
    ("image", "detail"),
    [
        (with_table(entry(0x11, END + 16, SIZE - 1)), "signature has another size"),
        (with_table(entry(0x11, END + 16, SIZE + 1)), "signature has another size"),
        (with_table(entry(0x11, END + 16, 0)), "signature has another size"),
        (with_table(entry(0x11, END + 16, SIZE, 0)), "signature has another size"),
        (with_table(entry(0x11, END + 16, SIZE, 2)), "signature has another size"),
        (
            with_table(entry(0x11, END, SIZE), front=bytes(SIZE)),
            "signature does not lie behind the section table",
        ),
        (
            with_table(entry(0x11, END, SIZE)),
            "signature does not lie behind the section table",
        ),
        (
            with_table(entry(0x11, END + 15, SIZE)),
            "signature does not lie behind the section table",
        ),
        (
            with_table(entry(0x11, END + 32, SIZE), entry(0x11, END + 200, SIZE)),
            "there is more than one signature section",
        ),
        (
            with_table(entry(0x11, END + 32, SIZE), entry(0x77, END + 32 + SIZE - 1, 1)),
            "a section lies on the signature",
        ),
        (
            with_table(entry(0x77, END + 32, 5), entry(0x11, END + 36, SIZE)),
            "a section lies on the signature",
        ),
    ],
)
def test_a_signature_section_that_could_mean_two_things_is_refused(image, detail):
    verdict = judge(image)
    assert verdict[:2] == ("reject", EBADMSG)
    assert (verdict[3], verdict[5]) == (15, detail)


def test_sections_beside_the_signature_are_fine():
    beside = with_table(
        entry(0x77, END + 48, 5), entry(0x11, END + 53, SIZE), entry(0x77, END + 53 + SIZE, 5)
    )
    assert judge(beside)[0] == "accept"


def test_a_table_in_the_middle_stays_readable_when_it_grows():
    front = info_section(an_info())[1]
    image = with_table(entry(0x10, END, len(front)), front=front, behind=b"behind")
    assert trusted(sign(image))
    _, metadata, _ = verify(source(sign(image)), bytearray(64))
    assert vars(metadata.info) == vars(an_info())


def test_signing_twice_and_signing_version_1_are_refused():
    with pytest.raises(ValueError, match="already"):
        sign(sign(plain()))
    with pytest.raises(ValueError, match="version 1"):
        sign(build(CODE, version=1))


def test_the_document_says_where_every_field_is():
    payload = bytes(range(72))
    assert fields("`signature`", payload) == {"key": payload[:8], "signature": payload[8:]}
    assert "`HSX image 1`" in section("`signature`")
