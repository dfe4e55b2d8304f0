# SPDX-License-Identifier: MIT
import json
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hsx.store.layout import COPY, layout_of
from hsx.store.record import seal
from hsx.store.store import CONFIRMATION, Store
from hsx.store.wear import LIMIT
from hsxctl.cli import main
from powercut.medium import Medium
from powercut.scenarios import KEY, World

SIZE = 0x8000
LAYOUT = layout_of(SIZE)
VERBS = ("info", "check", "dump")


def formatted(world: World) -> None:
    world.store.format(CONFIRMATION)


def one(world: World) -> None:
    """Set one confirmed, two values, a counter, floor 1."""
    formatted(world)
    world.confirmed("one", 1)
    world.store.values.save(1, 0x3C00)
    world.store.values.save(2, 0x4000)
    world.store.counters.enrol(KEY, 5)


def both(world: World) -> None:
    one(world)
    world.confirmed("two")


def trial(world: World) -> None:
    one(world)
    world.push("two")
    world.store.values.save(1, 0x5555)


def half_staged(world: World) -> None:
    """So much of a set that its progress is recorded."""
    one(world)
    world.store.commit._progress = 128
    world.stage("three", 0.7)


def reverted(world: World) -> None:
    trial(world)
    world.store.commit.revert()


WHOLE = (formatted, one, both, trial, half_staged, reverted)


def cells(arrange, size: int = SIZE) -> bytearray:
    memory = bytearray(b"\xff" * size)
    arrange(World(Medium(memory)))
    return memory


@pytest.fixture
def fram(tmp_path, capsys):
    """fram(verb, memory, ...) -> (exit code, stdout, stderr), with `memory` as the file."""
    path = tmp_path / "fram.bin"

    def run(verb: str, memory: bytes, *options: str) -> tuple[int, str, str]:
        path.write_bytes(memory)
        code = main(["fram", verb, *options, str(path)])
        assert path.read_bytes() == memory, "the file was written"
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def objects(text: str) -> list[dict]:
    return [json.loads(line) for line in text.splitlines()]


def info(fram, memory: bytes) -> dict:
    (facts,) = objects(fram("info", memory, "--json")[1])
    return facts


# ---- info -------------------------------------------------------------------------------------


@pytest.mark.parametrize("arrange", WHOLE)
def test_banks_are_those_that_the_node_shows(fram, arrange):
    memory = cells(arrange)
    store = Store(Medium(bytearray(memory)))
    store.open()
    seen = info(fram, memory)["banks"]
    for slot, bank in zip(store.slots(), seen, strict=True):
        assert bank["digest"] == slot.pop("digest").hex()
        images = slot.pop("images")
        for image in images or ():
            image["sha256"] = image["sha256"].hex()
        assert {key: bank[key] for key in slot} == slot
        assert [{key: image[key] for key in images[0]} for image in bank["images"]] == images


def test_everything_that_a_store_holds_is_shown(fram):
    facts = info(fram, cells(trial))
    assert [copy["generation"] for copy in facts["superblocks"]] == [7, 8]
    assert [copy["in_use"] for copy in facts["superblocks"]] == [False, True]
    in_use = facts["superblocks"][1]
    assert (in_use["active"], in_use["states"], in_use["floor"]) == (
        "B",
        ["confirmed", "trial"],
        1,
    )
    assert (in_use["open"], in_use["ok"], in_use["decl"], in_use["attempts"]) == (7, 3, 1, 0)
    images = facts["banks"][1]["images"]
    assert [image["name"] for image in images] == ["two0", "two1", "two2"]
    assert all(image["crc_good"] and image["sha256_good"] for image in images)
    assert [(v["key"], v["bits"], v["value"]) for v in facts["values"]] == [
        (1, 0x5555, 85.3125),
        (2, 0x4000, 2.0),
    ]
    assert [s.get("tag") for s in facts["values"][0]["slots"]] == [0, 7, None]
    assert facts["counters"] == [{"place": 0, "kind": "valid", "key": KEY.hex(), "counter": 5}]
    assert facts["differences"] == []
    assert facts["next_boot"] == "the node starts bank B, on trial, attempt 1 of 3"


def test_a_value_of_a_reverted_trial_is_shown_as_not_accepted(fram):
    value = info(fram, cells(reverted))["values"][0]
    assert value["bits"] == 0x3C00
    assert [slot.get("accepted") for slot in value["slots"]] == [True, False, None]


def test_a_staging_that_goes_on_counts_and_one_of_a_filled_bank_does_not(fram):
    memory = cells(half_staged)
    staging = info(fram, memory)["staging"]
    assert staging["counts"] and staging["bank"] == "B" and staging["progress"] >= 128
    world = World(Medium(memory))
    world.push("three")
    assert info(fram, memory)["staging"]["counts"] is False


def test_the_map_is_the_layout_with_its_wear(fram):
    memory = cells(both)
    partitions = info(fram, memory)["partitions"]
    assert [(p["name"], p["address"], p["size"]) for p in partitions] == LAYOUT.partitions()
    assert partitions[0]["wear_units"] > 0
    assert not any(p["worn"] for p in partitions)


def test_text_names_what_counts(fram):
    code, text, _ = fram("info", cells(trial))
    assert code == 0
    for part in ("bank B: trial, active", "two2", "SHA-256 good", "0x0001 = 85.3125", "in use"):
        assert part in text


def test_smallest_part_has_values_and_no_banks(fram):
    def arrange(world: World) -> None:
        formatted(world)
        world.store.values.save(7, 0xC000)

    memory = cells(arrange, 0x2000)
    facts = info(fram, memory)
    assert facts["banks"] == []
    assert [(v["key"], v["value"]) for v in facts["values"]] == [(7, -2.0)]
    assert fram("check", memory)[0] == 0


@pytest.mark.parametrize("size", [0x20000, 0x80000])
def test_larger_parts_are_read(fram, size):
    assert info(fram, cells(one, size))["banks"][0]["state"] == "confirmed"


@pytest.mark.parametrize("bits", [0x7C00, 0xFC00, 0x7E00])
def test_a_value_that_is_no_number_is_no_number_in_json(fram, bits):
    def arrange(world: World) -> None:
        formatted(world)
        world.store.values.save(7, bits)

    (value,) = info(fram, cells(arrange))["values"]
    assert (value["bits"], value["value"]) == (bits, None)


# ---- no store ---------------------------------------------------------------------------------


def test_a_blank_part_is_called_blank(fram):
    memory = b"\xff" * SIZE
    code, text, _ = fram("check", memory)
    assert code == 1
    assert "the part is blank" in text and "writes nothing" in text
    assert fram("info", memory)[0] == 0
    assert info(fram, memory)["kind"] == "blank"


def test_a_format_that_was_cut_is_called_so(fram):
    memory = cells(one)
    World(Medium(memory)).store.superblocks.set_aside()
    assert info(fram, memory)["kind"] == "formatting"
    code, text, _ = fram("check", memory)
    assert code == 1 and "a format was cut" in text


def test_two_bad_copies_are_no_store(fram):
    memory = cells(one)
    memory[20] ^= 1
    memory[COPY + 20] ^= 1
    assert info(fram, memory)["kind"] == "damaged"
    assert fram("check", memory)[0] == 1


def sealed_over(memory: bytearray, copy: int, at: int, data: bytes) -> None:
    """Changes bytes of a superblock copy, with a CRC that fits."""
    raw = memory[copy * COPY : copy * COPY + 96]
    raw[at : at + len(data)] = data
    seal(raw)
    memory[copy * COPY : copy * COPY + 96] = raw


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize(
    ("at", "byte", "message"), [(4, 2, "layout version 2"), (5, 17, "a part of 2^17 bytes")]
)
def test_a_store_of_another_version_or_size_is_refused(fram, verb, at, byte, message):
    memory = cells(one)
    sealed_over(memory, 1, at, bytes([byte]))
    code, text, said = fram(verb, memory)
    assert (code, text) == (1, "")
    assert "ENOTSUP" in said and message in said


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("size", [0, 1, SIZE - 1, SIZE + 1, 0x10000])
def test_a_file_of_no_part_s_size_is_refused(fram, verb, size):
    code, text, said = fram(verb, b"\xff" * size)
    assert (code, text) == (1, "")
    assert f"{size} bytes" in said and "8, 32, 128 or 512 KiB" in said


def test_no_file_is_an_error_and_no_verb_is_wrong_usage(tmp_path, capsys):
    assert main(["fram", "info", str(tmp_path / "none.bin")]) == 1
    assert "ENOENT" in capsys.readouterr().err
    with pytest.raises(SystemExit) as caught:
        main(["fram"])
    assert caught.value.code == 2


@pytest.mark.parametrize("verb", VERBS)
def test_help_has_an_example(verb, capsys):
    with pytest.raises(SystemExit) as caught:
        main(["fram", verb, "--help"])
    assert caught.value.code == 0
    assert f"hsxctl fram {verb}" in capsys.readouterr().out


# ---- check ------------------------------------------------------------------------------------


@pytest.mark.parametrize("arrange", WHOLE)
def test_what_a_node_leaves_behind_has_no_error_and_no_warning(fram, arrange):
    code, text, _ = fram("check", cells(arrange))
    assert code == 0
    assert "0 errors, 0 warnings" in text


def findings(fram, memory: bytes) -> tuple[int, list[tuple[str, str, str]]]:
    code, text, _ = fram("check", memory, "--json")
    *found, last = objects(text)
    assert last["error"] == sum(one["severity"] == "error" for one in found)
    assert code == (1 if last["error"] else 0)
    return code, [tuple(one.values()) for one in found]


BANK_A = LAYOUT.bank_base
BANK_B = BANK_A + LAYOUT.bank_size
VALUE = LAYOUT.values_base
COUNTER = LAYOUT.counters_base


@pytest.mark.parametrize(
    ("arrange", "at", "severity", "where", "what"),
    [
        (trial, 20, "warning", "superblocks", "copy 0 is damaged"),
        (trial, COPY + 20, "warning", "superblocks", "copy 1 is damaged"),
        (trial, BANK_B + 30, "error", "bank B", "directory is not the set's"),
        (trial, BANK_B, "error", "bank B", "there is no directory"),
        (trial, BANK_B + 352 + 5, "error", "bank B", "image two0: CRC-32 differs"),
        (trial, BANK_A + 240 + 5, "error", "bank A", "image one0: CRC-32 differs"),
        (reverted, BANK_B + 352 + 5, "note", "bank B", "image two0: CRC-32 differs"),
        (one, VALUE + 2, "warning", "value place 0", "no slot is whole"),
        (trial, VALUE + 2, "warning", "value 0x0001", "1 of its slots damaged"),
        (one, COUNTER + 3, "warning", f"counter of {KEY.hex()}", "records differ"),
    ],
)
def test_a_flipped_bit_is_found_where_it_is(fram, arrange, at, severity, where, what):
    memory = cells(arrange)
    memory[at] ^= 4
    code, found = findings(fram, memory)
    assert code == (1 if severity == "error" else 0)
    assert len([f for f in found if f[:2] == (severity, where) and what in f[2]]) == 1


def test_a_counter_with_two_bad_records_is_lost(fram):
    memory = cells(one)
    memory[COUNTER] ^= 1
    memory[COUNTER + 16] ^= 1
    code, found = findings(fram, memory)
    assert code == 1
    assert ("error", "counter place 0") in [f[:2] for f in found]


def test_an_image_with_the_right_crc_and_another_digest_is_found(fram):
    """CRC-32 is linear: this pattern changes bytes and not the checksum."""
    memory = cells(one)
    at = BANK_A + 240
    polynomial = int(f"{0x104C11DB7:033b}"[::-1], 2)  # as the bits stand on the medium
    for n, byte in enumerate(polynomial.to_bytes(5, "little")):
        memory[at + n] ^= byte
    assert ("error", "bank A", "image one0: SHA-256 differs") in findings(fram, memory)[1]


@pytest.mark.parametrize(
    ("at", "data", "severity", "what"),
    [
        (6, b"\3", "error", "active bank is number 3"),
        (13, b"\4", "error", "a bank is in state number 4"),
        (52, struct.pack("<I", 99), "error", "'open' is an id above the generation"),
        (6, b"\1", "warning", "copies differ in active"),
        (48, struct.pack("<I", 9), "error", "epoch 2 is below the floor 9"),
        (64, b"\3", "error", "has used its 3 attempts"),
        (52, bytes(4), "error", "the open trial 0"),
        (12, b"\0", "warning", "copies differ in states"),
        (13, b"\0", "error", "is active and empty"),
        (68, struct.pack("<I", 0xFFFFFFFF), "warning", "writes of each cell"),
    ],
)
def test_a_superblock_that_cannot_be_is_found(fram, at, data, severity, what):
    memory = cells(trial)
    if at == 68:
        assert LIMIT < 0xFFFFFFFF * 64 // 256
    sealed_over(memory, 1, at, data)
    assert [f for f in findings(fram, memory)[1] if f[0] == severity and what in f[2]]
    assert fram("info", memory)[0] == fram("dump", memory)[0] == 0


def test_copies_of_one_generation_that_differ_are_an_error(fram):
    memory = cells(trial)
    sealed_over(memory, 0, 8, struct.pack("<I", 8))
    assert findings(fram, memory)[0] == 0
    sealed_over(memory, 0, 48, struct.pack("<I", 0))
    assert findings(fram, memory)[0] == 1


def test_a_copy_left_far_behind_is_a_warning(fram):
    memory = cells(trial)
    sealed_over(memory, 0, 8, struct.pack("<I", 5))
    code, found = findings(fram, memory)
    assert code == 0
    assert [f for f in found if "one generation behind" in f[2]]


def test_a_key_in_two_places_is_an_error(fram):
    memory = cells(one)
    memory[VALUE + 48 : VALUE + 96] = memory[VALUE : VALUE + 48]
    assert ("error", "value 0x0001", "is saved in places 0 and 1") in findings(fram, memory)[1]


def test_slots_of_several_keys_in_one_place_are_an_error(fram):
    memory = cells(one)
    memory[VALUE + 16 : VALUE + 32] = memory[VALUE + 48 : VALUE + 64]
    assert [f for f in findings(fram, memory)[1] if f[2] == "its slots have several keys"]


def test_a_staging_record_that_cannot_be_is_a_warning(fram):
    memory = cells(half_staged)
    world = World(Medium(memory))
    world.store.staging.write(2, 1, bytes(16), LAYOUT.bank_size + 1)
    assert [f for f in findings(fram, memory)[1] if f[:2] == ("warning", "staging")]


# ---- what the node does next ------------------------------------------------------------------


def damaged(arrange, *places: int):
    def both_of_them(world: World) -> None:
        arrange(world)
        for at in places:
            world.part.memory[at] ^= 1

    return both_of_them


def crashed(world: World) -> None:
    trial(world)
    for _ in range(3):
        world.crash()


@pytest.mark.parametrize(
    ("arrange", "said"),
    [
        (formatted, "the node starts no set from the store: none is active"),
        (one, "the node starts bank A, confirmed"),
        (both, "the node starts bank B, confirmed"),
        (trial, "the node starts bank B, on trial, attempt 1 of 3"),
        (
            crashed,
            "the node reverts bank B (its attempts are used up) and starts bank A, confirmed",
        ),
        (
            damaged(trial, BANK_B + 360),
            "the node reverts bank B (it may not start) and starts bank A, confirmed",
        ),
        (
            damaged(both, BANK_B + 360),
            "the node finds that bank B may not start, and starts bank A, confirmed",
        ),
        (
            damaged(both, BANK_B + 360, BANK_A + 245),
            "the node finds that bank B may not start, and starts no set from the store",
        ),
        (
            damaged(one, 20),
            "the node repairs a superblock copy and starts bank A, confirmed",
        ),
    ],
)
def test_the_next_boot_is_told_as_it_happens(fram, arrange, said):
    memory = cells(arrange)
    assert f"next hard reset: {said}\n" in fram("check", memory)[1]
    bank = World(Medium(memory)).reset()
    started = said.rpartition("starts ")[2]
    assert started.startswith(f"bank {'-AB'[bank]}" if bank else "no set")


@settings(max_examples=60)
@given(
    arrange=st.sampled_from(WHOLE),
    start=st.integers(0, SIZE - 1) | st.integers(0, 0x500) | st.integers(BANK_A, BANK_A + 500),
    noise=st.binary(min_size=1, max_size=64),
)
def test_whatever_the_file_holds_it_is_told_and_not_written(
    arrange, start, noise, tmp_path_factory
):
    memory = cells(arrange)
    memory[start : start + len(noise)] = noise
    path = tmp_path_factory.mktemp("fram") / "fram.bin"
    path.write_bytes(memory[:SIZE])
    path.chmod(0o400)
    for verb in VERBS:
        assert main(["fram", verb, str(path)]) in (0, 1)
    assert path.read_bytes() == memory[:SIZE]


# ---- dump -------------------------------------------------------------------------------------


def test_every_byte_of_the_records_is_shown_or_was_never_written(fram):
    memory = cells(trial)
    shown = bytearray(memory)
    for record in objects(fram("dump", memory, "--json")[1]):
        data = bytes.fromhex(record["bytes"])
        at = record["address"]
        assert memory[at : at + len(data)] == data
        shown[at : at + len(data)] = bytes(len(data))
    assert set(shown[: LAYOUT.bank_base]) <= {0x00, 0xFF}
    assert shown[BANK_B : BANK_B + 352] == bytes(352)
    assert any(shown[BANK_B + 352 : BANK_B + 640])


def test_a_bank_that_is_asked_for_is_shown_with_its_images(fram):
    memory = cells(trial)
    records = objects(fram("dump", memory, "--part", "bank-b", "--json")[1])
    assert {record["part"] for record in records} == {"bank-b"}
    assert sum(len(r["bytes"]) // 2 for r in records) == 352 + 110 + 140 + 36


def test_lines_have_address_bytes_and_text(fram):
    text = fram("dump", cells(trial), "--part", "superblocks")[1]
    assert "copy 1: valid, generation 8, in use" in text
    assert "  000080  48 53 58 53 01 0f 02 00 08 00" in text and "HSXS" in text
    assert "superblocks: 256 bytes from 0x000000" in text
    assert "values" not in text


def test_a_blank_part_is_counted_not_shown(fram):
    code, text, _ = fram("dump", b"\xff" * SIZE)
    assert code == 0
    assert "ff ff" not in text and "64 records of nothing but zeros or 0xff" in text
