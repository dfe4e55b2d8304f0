# SPDX-License-Identifier: MIT
"""The streaming loader: rules, places, states, and that no cut of the bytes changes anything."""

import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

import hsxvm as n
from bench.images import RET, an_image, words
from hsx import errors
from hsx.image.build import build, seal

POOL = 70000
CODE_LEN, RO_LEN, BSS_SIZE, ENTRY, META_OFFSET = 0x0C, 0x10, 0x14, 0x08, 0x40


def with_field(image: bytes, offset: int, value: int) -> bytes:
    """The image with a 32-bit header field changed and the checksum made right again."""
    return seal(image[:offset] + struct.pack(">I", value) + image[offset + 4 :])


def with_bytes(image: bytes, offset: int, new: bytes) -> bytes:
    return seal(image[:offset] + new + image[offset + len(new) :])


def outcome(vm: n.VM, pieces: list, stack: int = 0) -> tuple:
    """What a load in these pieces gives: the error with its call, or what was loaded."""
    pid = vm.load_begin()
    try:
        for piece in pieces:
            vm.load_write(pid, piece)
        vm.load_end(pid, stack)
    except OSError as e:
        assert vm.state(pid) == n.FAILED
        assert vm.free() == POOL
        with pytest.raises(OSError) as busy:
            vm.load_write(pid, b"more")
        assert busy.value.errno == errors.EBUSY
        vm.load_abort(pid)
        return "refused", e.errno
    data = bytearray(vm.get(pid, n.RO_LEN))
    vm.read(pid, 0x4000, data)
    facts = [vm.get(pid, which) for which in (n.PC, n.SP, n.CODE_LEN, n.RO_LEN, n.ARENA)]
    vm.clock(pid, 50)
    facts += [vm.get(pid, which) for which in (*range(16), n.PC, n.PSW, n.STEPS)]
    vm.unload(pid)
    return "loaded", bytes(data), facts


def refusal(image: bytes, *, pool: int = POOL, stack: int = 0) -> tuple:
    """(errno, offset, rule) of an image that must be refused."""
    vm = n.VM(bytearray(pool), 2)
    with pytest.raises(OSError) as refused:
        vm.load(image, stack)
    assert vm.error()[0] == refused.value.errno
    assert vm.free() == pool
    assert vm.pids() == ()
    return vm.error()


GOOD = an_image(0x01000007, RET, name="good")
DATA = build(words(0x01000007, RET), b"rodata!", name="data", bss_size=9)

BROKEN = [
    ("empty", b"", 0, errors.RULE_SHORT),
    ("31 bytes", GOOD[:31], 31, errors.RULE_SHORT),
    ("95 bytes", GOOD[:95], 95, errors.RULE_SHORT_V2),
    ("version 0", with_bytes(GOOD, 4, b"\0\0"), 4, errors.RULE_VERSION),
    ("version 3", with_bytes(GOOD, 4, b"\0\3"), 4, errors.RULE_VERSION),
    ("version before magic", with_bytes(GOOD, 0, b"XXXX\0\3"), 4, errors.RULE_VERSION),
    ("reserved first", with_bytes(GOOD, 0x48, b"\1"), 0x48, errors.RULE_RESERVED),
    ("reserved last", with_bytes(GOOD, 0x5F, b"\1"), 0x5F, errors.RULE_RESERVED),
    ("reserved before name", with_bytes(GOOD, 0x20, b"\x80" * 64), 0x48, errors.RULE_RESERVED),
    ("name", with_bytes(GOOD, 0x20, b"a\x80"), 0x21, errors.RULE_NAME_ASCII),
    ("name full", with_bytes(GOOD, 0x20, b"a" * 31 + b"\xff"), 0x3F, errors.RULE_NAME_ASCII),
    ("magic", with_bytes(GOOD, 3, b"F"), 0, errors.RULE_MAGIC),
    ("code too large", with_field(GOOD, CODE_LEN, 0x10004), CODE_LEN, errors.RULE_TOO_LARGE),
    ("rodata too large", with_field(GOOD, RO_LEN, 0x10001), RO_LEN, errors.RULE_TOO_LARGE),
    ("bss too large", with_field(GOOD, BSS_SIZE, 0xFFFFFFFF), BSS_SIZE, errors.RULE_TOO_LARGE),
    ("code length", with_field(GOOD, CODE_LEN, 7), CODE_LEN, errors.RULE_ALIGN),
    ("entry odd", with_field(GOOD, ENTRY, 2), ENTRY, errors.RULE_ALIGN),
    ("entry at end", with_field(GOOD, ENTRY, 8), ENTRY, errors.RULE_ENTRY),
    ("no code", with_field(GOOD, CODE_LEN, 0), ENTRY, errors.RULE_ENTRY),
    ("table in code", with_field(GOOD, META_OFFSET, 103), META_OFFSET, errors.RULE_TABLE_OVERLAP),
    ("data window", with_field(GOOD, BSS_SIZE, 0xAFFD), RO_LEN, errors.RULE_DATA_WINDOW),
    ("crc", GOOD[:-1] + b"\1", 0x1C, errors.RULE_CRC),
    ("cut, crc wrong", GOOD[:-1], 0x1C, errors.RULE_CRC),
    ("cut, crc right", seal(GOOD[:-1]), 103, errors.RULE_TRUNCATED),
    ("no body, crc right", seal(GOOD[:96]), 96, errors.RULE_TRUNCATED),
    ("one byte too many", GOOD + b"\0", 0x1C, errors.RULE_CRC),
]


@pytest.mark.requirement("P-16", "P-46a", "P-96")
@pytest.mark.parametrize(("why", "image", "offset", "rule"), BROKEN, ids=[b[0] for b in BROKEN])
def test_a_broken_image_is_refused_by_its_rule_at_its_place(why, image, offset, rule):
    assert refusal(image) == (errors.EBADMSG, offset, rule)


@pytest.mark.parametrize("image", [b[1] for b in BROKEN], ids=[b[0] for b in BROKEN])
def test_any_cut_in_two_gives_the_same_refusal(image):
    vm = n.VM(bytearray(POOL), 2)
    whole = outcome(vm, [image]), vm.error()
    for cut in range(len(image) + 1):
        assert (outcome(vm, [image[:cut], image[cut:]]), vm.error()) == whole, cut


@pytest.mark.parametrize("flat", [False, True], ids=["segmented", "flat"])
def test_any_cut_of_a_good_image_loads_the_same(good_image, flat):
    vm = n.VM(bytearray(POOL), 2, flat)
    whole = outcome(vm, [good_image])
    assert whole[0] == "loaded"
    for cut in range(len(good_image) + 1):
        assert outcome(vm, [good_image[:cut], good_image[cut:]]) == whole, cut


@pytest.mark.requirement("P-18")
def test_byte_by_byte_loads_the_same(good_image):
    vm = n.VM(bytearray(POOL), 2)
    pieces = [bytes([byte]) for byte in good_image]
    assert outcome(vm, pieces) == outcome(vm, [good_image])


@pytest.mark.requirement("P-18")
@given(st.data())
def test_any_split_gives_the_same(data):
    image = data.draw(st.sampled_from([DATA, GOOD, *(broken[1] for broken in BROKEN)]))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(image)), max_size=8)))
    edges = [0, *cuts, len(image)]
    pieces = [image[a:b] for a, b in zip(edges, edges[1:], strict=False)]
    vm = n.VM(bytearray(POOL), 2)
    whole = outcome(vm, [image]), vm.error()
    assert (outcome(vm, pieces), vm.error()) == whole


@pytest.mark.requirement("P-19")
def test_every_truncation_is_refused(good_image):
    for length in range(len(good_image)):
        assert refusal(good_image[:length])[0] == errors.EBADMSG


def test_every_truncation_with_the_checksum_made_right_is_refused_up_to_the_body(good_image):
    body_end = 96 + sum(struct.unpack_from(">II", good_image, CODE_LEN))
    for length in range(96, body_end):
        assert refusal(seal(good_image[:length])) == (
            errors.EBADMSG,
            length,
            errors.RULE_TRUNCATED,
        )


@pytest.mark.requirement("P-20", "P-91")
def test_abort_after_every_byte_gives_everything_back(good_image):
    vm = n.VM(bytearray(POOL), 2)
    for length in range(len(good_image) + 1):
        pid = vm.load_begin()
        vm.load_write(pid, good_image[:length])
        vm.load_abort(pid)
        assert vm.pids() == ()
        assert vm.free() == POOL


@pytest.mark.requirement("P-19", "P-46a")
def test_every_changed_bit_behind_the_header_is_refused(good_image):
    vm = n.VM(bytearray(POOL), 1)
    for at in range(96, len(good_image)):
        for bit in range(8):
            image = bytearray(good_image)
            image[at] ^= 1 << bit
            with pytest.raises(OSError):
                vm.load(image)
            assert vm.error() == (errors.EBADMSG, 0x1C, errors.RULE_CRC)


@pytest.mark.requirement("P-18", "P-96")
def test_the_header_is_refused_as_soon_as_it_is_complete():
    vm = n.VM(bytearray(POOL), 2)
    pid = vm.load_begin()
    broken = with_bytes(GOOD, 3, b"F")
    vm.load_write(pid, broken[:95])
    with pytest.raises(OSError) as refused:
        vm.load_write(pid, broken[95:96])
    assert refused.value.errno == errors.EBADMSG


def test_an_unknown_version_is_refused_after_32_bytes():
    vm = n.VM(bytearray(POOL), 2)
    pid = vm.load_begin()
    broken = with_bytes(GOOD, 4, b"\0\3")
    vm.load_write(pid, broken[:31])
    with pytest.raises(OSError):
        vm.load_write(pid, broken[31:32])


@pytest.mark.requirement("P-34")
def test_write_says_where_metadata_begins(good_image):
    body_end = 96 + sum(struct.unpack_from(">II", good_image, CODE_LEN))
    for cut in range(len(good_image) + 1):
        vm = n.VM(bytearray(POOL), 1)
        pid = vm.load_begin()
        assert vm.load_write(pid, good_image[:cut]) == min(cut, body_end)
        rest = good_image[cut:]
        assert vm.load_write(pid, rest) == min(max(body_end - cut, 0), len(rest))


def test_an_empty_piece_changes_nothing():
    vm = n.VM(bytearray(POOL), 1)
    pid = vm.load_begin()
    assert vm.load_write(pid, b"") == 0
    vm.load_write(pid, GOOD)
    assert vm.load_write(pid, b"") == 0
    vm.load_end(pid)


def test_version_1_has_no_name_and_no_table():
    # Bytes 0x20 to 0x5F are code there: neither reserved nor ASCII nor a meta offset.
    code = b"\xff" * 60 + words(RET)
    vm = n.VM(bytearray(POOL), 1)
    pid = vm.load(build(code, version=1))
    assert vm.get(pid, n.CODE_LEN) == 64


def test_version_1_covers_all_behind_its_header():
    image = bytearray(build(words(RET) * 4, version=1))
    image[33] ^= 1
    assert refusal(bytes(image))[2] == errors.RULE_CRC


def test_name_and_table_fields_are_outside_the_checksum():
    image = bytearray(GOOD)
    image[0x20:0x24] = b"evil"
    vm = n.VM(bytearray(POOL), 1)
    assert vm.load(bytes(image)) == 1


@given(st.binary(max_size=400))
def test_the_checksum_is_that_of_zlib(tail):
    body = GOOD[96:] + tail
    head = GOOD[:0x1C]
    crc = zlib.crc32(body, zlib.crc32(head))
    vm = n.VM(bytearray(POOL), 1)
    assert vm.load(head + struct.pack(">I", crc) + GOOD[0x20:96] + body) == 1


def test_bytes_behind_a_name_that_has_ended_may_be_anything():
    vm = n.VM(bytearray(POOL), 1)
    assert vm.load(with_bytes(GOOD, 0x20, b"a\0\xff\xff")) == 1


def test_the_largest_data_loads_and_one_more_byte_does_not():
    vm = n.VM(bytearray(POOL), 1)
    image = build(words(RET), bss_size=0xAFFC)
    pid = vm.load(image)
    assert vm.read(pid, 0xEFFB, bytearray(1)) == 1
    assert vm.read(pid, 0xEFFC, bytearray(1)) == 0
    assert refusal(build(words(RET), bss_size=0xAFFD))[2] == errors.RULE_DATA_WINDOW
    assert refusal(build(words(RET), b"x", bss_size=0xAFFC))[2] == errors.RULE_DATA_WINDOW


def test_the_data_window_is_refused_in_the_flat_profile_too():
    vm = n.VM(bytearray(POOL), 1, True)
    with pytest.raises(OSError):
        vm.load(build(words(RET), bss_size=0xAFFD))
    assert vm.error()[2] == errors.RULE_DATA_WINDOW


@pytest.mark.requirement("P-16", "P-22", "P-46b")
def test_no_memory_for_the_image_is_enospc_at_the_end_of_the_header():
    # code 8, word behind it 4, data 16
    assert refusal(DATA, pool=27) == (errors.ENOSPC, 96, errors.RULE_MEMORY)


def test_no_memory_for_the_stack_is_enospc_at_the_end():
    assert refusal(DATA, pool=28 + 1539) == (errors.ENOSPC, len(DATA), errors.RULE_MEMORY)
    n.VM(bytearray(28 + 1540), 1).load(DATA)


def test_a_stack_that_would_reach_the_data_is_enospc():
    top = 0xFFFC - 0x4000 - 16
    assert refusal(DATA, stack=top + 1)[0] == errors.ENOSPC
    n.VM(bytearray(POOL), 1).load(DATA, top)


@pytest.mark.parametrize("stack", [0xFFFFFFFF, 1 << 40, -1])
def test_an_absurd_stack_is_enospc(stack):
    assert refusal(DATA, stack=stack) == (errors.ENOSPC, len(DATA), errors.RULE_MEMORY)


@pytest.mark.requirement("P-16")
def test_what_is_not_rodata_is_zero_even_in_a_used_pool():
    pool = bytearray(b"\xa5" * POOL)
    vm = n.VM(pool, 1)
    pid = vm.load(DATA, 64)
    data = bytearray(100)
    stack = bytearray(100)
    assert vm.read(pid, 0x4000, data) == 16
    assert data[:16] == b"rodata!" + bytes(9)
    assert vm.read(pid, 0xFFFC - 64, stack) == 68
    assert stack[:68] == bytes(68)


def test_what_is_not_rodata_is_zero_in_the_flat_profile_too():
    vm = n.VM(bytearray(b"\xa5" * POOL), 1, True)
    pid = vm.load(DATA)
    memory = bytearray(0x10000)
    assert vm.read(pid, 0, memory) == 0x10000
    assert memory == bytes(0x4000) + b"rodata!" + bytes(0x10000 - 0x4007)


@given(st.binary(max_size=300), st.integers(0, 3))
def test_arbitrary_bytes_never_load_by_accident_nor_leave_anything(junk, kind):
    junk = (b"", b"HSXE", b"HSXE\0\1", b"HSXE\0\2")[kind] + junk
    vm = n.VM(bytearray(POOL), 2)
    with pytest.raises(OSError):
        vm.load(junk)
    assert vm.free() == POOL
    assert vm.pids() == ()


@given(
    st.lists(st.integers(0, 0xFFFFFFFF), min_size=1, max_size=40),
    st.binary(max_size=30),
    st.integers(0, 40),
    st.integers(1, 2),
    st.booleans(),
    st.integers(0, 3000),
    st.lists(st.tuples(st.integers(0, 127), st.integers(0, 255)), max_size=2),
)
def test_what_loads_also_runs_and_stays_inside_its_memory(
    code, rodata, bss, version, flat, steps, changes
):
    image = bytearray(build(words(*code), rodata, bss_size=bss, version=version))
    for at, value in changes:
        image[at % len(image)] = value
    image = seal(bytes(image))
    # What lies around the pool must stay as it is.
    memory = bytearray(b"\x5a" * (POOL + 128))
    vm = n.VM(memoryview(memory)[64:-64], 3, flat)
    try:
        pid = vm.load(image)
    except OSError:
        assert vm.free() == POOL
        return
    left = steps
    while left:
        before = vm.get(pid, n.STEPS)
        stop = vm.clock(pid, left)
        left -= vm.get(pid, n.STEPS) - before
        assert left >= 0
        if vm.state(pid) == n.PARKED:
            assert stop & 0xFF in (n.FAULT, n.EXIT, n.RETURNED)
            break
        if stop & 0xFF == n.SLEEP:
            vm.set(pid, 0, 0)
        assert stop & 0xFF != n.OK or left == 0
    vm.unload(pid)
    assert vm.free() == POOL
    assert memory[:64] == memory[-64:] == b"\x5a" * 64


# ---- heap -------------------------------------------------------------------------------------


def streamed(vm: n.VM, image: bytes) -> int:
    """The PID of an image whose bytes are in."""
    pid = vm.load_begin()
    vm.load_write(pid, image)
    return pid


@pytest.mark.requirement("P-29")
@pytest.mark.parametrize("rodata", [b"", b"abc", bytes(range(64))])
@pytest.mark.parametrize("before", [0, 1])
@pytest.mark.parametrize("size", [0, 1, 3, 4, 500])
def test_a_heap_is_zeroed_memory_behind_the_data_wherever_the_arena_has_to_go(
    rodata, before, size
):
    vm = n.VM(bytearray(b"\xa5" * POOL), 4)
    image = build(struct.pack(">2I", 0x21000000, 0), rodata=rodata, bss_size=5)
    first = streamed(vm, image)
    if before:  # another arena right behind it: it must move
        vm.load_end(streamed(vm, image))
    vm.load_heap(first, size)
    vm.load_end(first)
    whole = (len(rodata) + 5 + 3 & ~3) + (size + 3 & ~3)
    found = bytearray(whole + 8)
    assert vm.read(first, 0x4000, found) == whole
    assert bytes(found[:whole]) == rodata + bytes(whole - len(rodata))
    assert vm.clock(first, 10) == n.OK  # the code came along
    vm.unload(first)


@pytest.mark.requirement("P-29", "P-28")
@pytest.mark.parametrize("size", [POOL, 0xBFFC, 0xFFFFFFFF])
def test_a_heap_that_does_not_fit_refuses_the_load_and_gives_all_back(size):
    vm = n.VM(bytearray(POOL), 2)
    pid = streamed(vm, build(bytes(8), bss_size=8))
    with pytest.raises(OSError) as refused:
        vm.load_heap(pid, size)
    assert refused.value.errno == errors.ENOSPC
    assert (vm.state(pid), vm.free()) == (n.FAILED, POOL)


def test_a_heap_before_the_header_is_in_is_busy_and_changes_nothing():
    vm = n.VM(bytearray(POOL), 2)
    image = build(bytes(8))
    pid = vm.load_begin()
    vm.load_write(pid, image[:31])
    with pytest.raises(OSError) as refused:
        vm.load_heap(pid, 8)
    assert refused.value.errno == errors.EBUSY
    vm.load_write(pid, image[31:])
    vm.load_end(pid)
    with pytest.raises(OSError) as refused:
        vm.load_heap(pid, 8)
    assert refused.value.errno == errors.EBUSY
