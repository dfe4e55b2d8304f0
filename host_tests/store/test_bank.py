# SPDX-License-Identifier: MIT
import hashlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hsx.errors import EBADMSG, EINVAL, ENOSPC, HsxError
from hsx.store.bank import ENTRY, HEADER, BankReader, BankWriter, lay_out, parse_entry
from hsx.store.layout import MAX_IMAGES
from powercut.medium import Medium
from powercut.world import finish
from store.bench import ONE, TWO, an_image, entries, errno

SIZE = 2048
CHUNK = 32


def buffer() -> memoryview:
    return memoryview(bytearray(CHUNK))


def written(parts: list[bytes], part: Medium | None = None) -> tuple[Medium, BankWriter]:
    part = part or Medium(bytearray(b"\xff" * SIZE))
    writer = BankWriter(part, entries(parts), buffer())
    writer.begin()
    for index, data in enumerate(parts):
        writer.put(writer.place(index, 0, len(data)), memoryview(data))
    return part, writer


def opened(part: Medium, digest: bytes | None = None) -> BankReader:
    reader = BankReader(part, buffer())
    reader.open(digest)
    return reader


def refused(part: Medium, digest: bytes | None = None) -> bool:
    try:
        opened(part, digest)
    except HsxError as error:
        assert error.errno == EBADMSG
        return True
    return False


# ---- entries ----------------------------------------------------------------------------------

U8, U16, U32 = st.integers(0, 0xFF), st.integers(0, 0xFFFF), st.integers(0, 0xFFFFFFFF)


def a_text(size: int, least: int = 0):
    printable = st.characters(exclude_characters="\0", exclude_categories=("Cs",))
    texts = st.text(printable, min_size=least, max_size=size)
    return texts.filter(lambda text: len(text.encode()) <= size)


@pytest.mark.requirement("P-48")
@given(
    name=a_text(32, 1),
    version=a_text(16),
    sha256=st.binary(min_size=32, max_size=32),
    numbers=st.fixed_dictionaries(
        {
            **dict.fromkeys(("offset", "length", "crc", "epoch", "quantum"), U32),
            **dict.fromkeys(("stack", "heap", "flags"), U16),
            **dict.fromkeys(("pid", "priority"), U8),
        }
    ),
)
def test_an_entry_says_what_went_into_it(name, version, sha256, numbers):
    image = an_image(name, b"", version=version, sha256=sha256, **numbers)
    buf = bytearray(ENTRY)
    image.pack_into(buf)
    assert vars(parse_entry(buf)) == vars(image)


@pytest.mark.parametrize(
    "fields",
    [
        {"name": ""},
        {"name": "n" * 33},
        {"name": "é" * 17},
        {"version": "v" * 17},
        {"sha256": b"short"},
        {"stack": 0x10000},
        {"heap": -1},
        {"flags": 0x10000},
        {"pid": 256},
        {"pid": -1},
        {"priority": 256},
        {"epoch": 1 << 32},
        {"quantum": -1},
        {"crc": 1 << 32},
    ],
)
def test_what_does_not_fit_its_field_is_einval(fields):
    with pytest.raises(HsxError) as caught:
        image = an_image("app", b"x")
        vars(image).update(fields)
        image.pack_into(bytearray(ENTRY))
    assert errno(caught) == EINVAL


@pytest.mark.parametrize("at", [0, 32])
def test_a_text_that_is_no_utf8_is_ebadmsg(at):
    buf = bytearray(ENTRY)
    an_image("app", b"x", version="1").pack_into(buf)
    buf[at] = 0xFF
    with pytest.raises(HsxError) as caught:
        parse_entry(buf)
    assert errno(caught) == EBADMSG


# ---- places -----------------------------------------------------------------------------------


@given(st.lists(st.integers(1, 300), min_size=1, max_size=MAX_IMAGES))
def test_images_lie_in_order_aligned_and_as_close_as_that_allows(lengths):
    images = [an_image(f"a{n}", bytes(length)) for n, length in enumerate(lengths)]
    end = HEADER + len(images) * ENTRY
    used = lay_out(images, 1 << 20)
    for image in images:
        assert image.offset % 4 == 0
        assert 0 <= image.offset - end < 4
        end = image.offset + image.length
    assert used == end


@given(st.lists(st.integers(1, 300), min_size=1, max_size=MAX_IMAGES))
def test_a_set_fits_into_exactly_the_bytes_it_takes(lengths):
    images = [an_image(f"a{n}", bytes(length)) for n, length in enumerate(lengths)]
    used = lay_out(images, 1 << 20)
    assert lay_out(images, used) == used
    with pytest.raises(HsxError) as caught:
        lay_out(images, used - 1)
    assert errno(caught) == ENOSPC


@pytest.mark.parametrize(
    ("lengths", "number"),
    [
        ([], EINVAL),
        ([1] * (MAX_IMAGES + 1), EINVAL),
        ([4, 0, 4], EINVAL),
        ([-1], EINVAL),
        ([0xFFFFFFFF], ENOSPC),
        ([SIZE], ENOSPC),
    ],
)
def test_a_set_that_cannot_be_is_refused_and_nothing_is_written(lengths, number):
    part = Medium(bytearray(SIZE))
    images = [an_image(f"a{n}", b"", length=length) for n, length in enumerate(lengths)]
    with pytest.raises(HsxError) as caught:
        BankWriter(part, images, buffer())
    assert errno(caught) == number
    assert part.log == []


# ---- writing and reading ----------------------------------------------------------------------


@pytest.mark.requirement("P-48")
def test_a_set_is_read_as_it_was_written():
    part, writer = written(TWO)
    reader = opened(part, writer.digest)
    assert (reader.count, reader.used) == (3, writer.used)
    finish(reader.check_all(True))
    for index, data in enumerate(TWO):
        image = reader.image(index)
        assert vars(image) == vars(writer.images[index])
        found = bytearray(len(data) - 2)
        reader.read(image, 1, memoryview(found))
        assert found == data[1:-1]


def test_the_digest_is_the_start_of_the_sha256_over_the_directory():
    part, writer = written(ONE)
    directory = part.memory[: HEADER + len(ONE) * ENTRY]
    assert writer.digest == hashlib.sha256(directory).digest()[:16]


def test_the_epoch_of_a_set_is_the_lowest_of_its_images():
    images = [an_image(f"a{n}", b"data", epoch=epoch) for n, epoch in enumerate((7, 3, 5))]
    part = Medium(bytearray(SIZE))
    writer = BankWriter(part, images, buffer())
    writer.begin()
    assert opened(part, writer.digest).epoch == 3


@pytest.mark.parametrize("size", [1, 3, 31, 33, 1000])
def test_an_image_is_a_source_of_its_bytes(size):
    part, _ = written(TWO)
    source = opened(part).source(1)
    buf, found = memoryview(bytearray(size)), b""
    while count := source.readinto(buf):
        found += bytes(buf[:count])
    assert found == TWO[1]
    assert source.readinto(buf) == 0


def test_an_image_is_found_by_its_bytes_and_not_by_its_name():
    part, writer = written(TWO)
    reader = opened(part)
    second = writer.images[1]
    assert reader.find(second.sha256, second.length).offset == second.offset
    assert reader.find(second.sha256, second.length + 1) is None
    assert reader.find(bytes(32), second.length) is None


@pytest.mark.parametrize("index", [-1, 2])
def test_an_image_that_is_not_there_is_einval(index):
    part, writer = written(ONE)
    for call in (lambda: opened(part).image(index), lambda: writer.place(index, 0, 1)):
        with pytest.raises(HsxError) as caught:
            call()
        assert errno(caught) == EINVAL


@pytest.mark.parametrize(
    ("offset", "count"), [(0, 102), (101, 1), (100, 2), (102, 0), (-1, 1), (1 << 40, 1)]
)
def test_bytes_beyond_the_image_are_enospc_and_reach_nothing(offset, count):
    part, writer = written(ONE)
    before = bytes(part.memory)
    with pytest.raises(HsxError) as caught:
        writer.place(0, offset, count)
    assert errno(caught) == ENOSPC
    assert part.memory == before


def test_equal_bytes_are_not_written_again():
    part, _ = written(TWO)
    before = part.written
    written(TWO, part)
    assert part.written == before


def test_only_what_differs_within_a_chunk_is_written():
    part, writer = written(ONE)
    changed = bytearray(ONE[0])
    changed[40] ^= 1
    changed[50] ^= 1
    before = part.written
    writer.put(writer.place(0, 0, len(changed)), memoryview(changed))
    assert part.written - before == 11


# ---- damage -----------------------------------------------------------------------------------


def test_every_flipped_bit_of_a_directory_is_seen():
    part, writer = written(ONE)
    for bit in range(8 * (HEADER + len(ONE) * ENTRY)):
        part.memory[bit // 8] ^= 1 << bit % 8
        assert refused(part, writer.digest), bit
        part.memory[bit // 8] ^= 1 << bit % 8
    assert not refused(part, writer.digest)


def test_another_set_s_directory_is_not_the_set_s():
    part, _ = written(ONE)
    assert refused(part, written(TWO)[1].digest)


@pytest.mark.parametrize(
    ("at", "data"),
    [
        (0, b"HSXS"),
        (4, b"\2"),
        (5, b"\0"),
        (5, bytes([MAX_IMAGES + 1])),
        (8, struct.pack("<I", SIZE + 1)),
        (8, struct.pack("<I", HEADER + 2 * ENTRY - 1)),
        (HEADER + 80, struct.pack("<I", HEADER + 2 * ENTRY - 1)),  # on the directory
        (HEADER + ENTRY + 80, struct.pack("<I", 240)),  # on the image before
        (HEADER + 84, struct.pack("<I", 0xFFFFFFFF)),
        (HEADER + ENTRY + 84, struct.pack("<I", 141)),  # over the end
        (HEADER + 80, struct.pack("<I", 0xFFFFFFFF)),
        (HEADER, b"\xff"),
    ],
)
def test_a_directory_that_cannot_be_is_refused_without_a_digest_too(at, data):
    part, _ = written(ONE)
    assert not refused(part)
    part.memory[at : at + len(data)] = data
    assert refused(part)


@pytest.mark.parametrize("count", [MAX_IMAGES, MAX_IMAGES + 1])
def test_a_directory_of_more_images_than_a_set_has_is_none(count):
    part = Medium(bytearray(SIZE))
    struct.pack_into("<4sBBHII", part.memory, 0, b"HSXB", 1, count, 0, SIZE, 0)
    for n in range(count):
        image = an_image(f"a{n}", b"x", offset=HEADER + count * ENTRY + n)
        entry = bytearray(ENTRY)
        image.pack_into(entry)
        part.memory[HEADER + n * ENTRY : HEADER + (n + 1) * ENTRY] = entry
    assert refused(part) == (count > MAX_IMAGES)


@pytest.mark.parametrize("size", [0, HEADER - 1])
def test_where_there_is_no_bank_there_is_no_set(size):
    assert refused(Medium(bytearray(size)))


@pytest.mark.parametrize("deep", [False, True])
def test_every_flipped_bit_of_an_image_is_seen(deep):
    part, writer = written(ONE)
    for bit in range(8 * writer.images[0].length):
        at = writer.images[0].offset + bit // 8
        part.memory[at] ^= 1 << bit % 8
        with pytest.raises(HsxError) as caught:
            finish(opened(part, writer.digest).check_all(deep))
        assert errno(caught) == EBADMSG
        part.memory[at] ^= 1 << bit % 8


def test_bytes_of_the_same_crc_are_seen_by_the_deep_check():
    part, writer = written(ONE)
    polynomial = int(f"{0x104C11DB7:033b}"[::-1], 2)  # a multiple of it changes no CRC
    for n, byte in enumerate(polynomial.to_bytes(5, "little")):
        part.memory[writer.images[0].offset + n] ^= byte
    finish(opened(part).check_all(False))
    with pytest.raises(HsxError) as caught:
        finish(opened(part).check_all(True))
    assert errno(caught) == EBADMSG


def test_a_check_reads_one_chunk_a_step():
    class Reads(Medium):
        sizes: list[int] = []

        def _read(self, addr, buf):
            self.sizes.append(len(buf))
            super()._read(addr, buf)

    part, _ = written(ONE, Reads(bytearray(SIZE)))
    reader = opened(part)
    image = reader.image(1)
    part.sizes.clear()
    steps = sum(1 for _ in reader.check(image, True))
    assert steps == len(part.sizes) == -(-image.length // CHUNK)
    assert max(part.sizes) <= CHUNK
