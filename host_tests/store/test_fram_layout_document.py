# SPDX-License-Identifier: MIT
"""docs/fram_layout.md is enough to write another reader: here is one, which knows of offsets,
types and addresses only what the tables say, and of the rest only what the text says."""

import hashlib
import re
import zlib
from itertools import pairwise
from pathlib import Path

import pytest

from hsx.store.bank import FIXED_PID, GRANTS, Image
from hsx.store.faults import KINDS, Faults
from hsx.store.layout import layout_of
from hsx.store.store import BANK_NAMES, CONFIRMATION, STATE_NAMES, Store
from powercut.medium import Medium
from store.bench import THREE, an_image, entries

DOCUMENT = Path(__file__).parents[2] / "docs/fram_layout.md"
SIZES = (0x2000, 0x8000, 0x20000, 0x80000)
Rows = list[dict[str, str]]


def sections() -> dict[str, str]:
    """The text below each heading, up to the next one."""
    parts = re.split(r"^#+ (.*)\n", DOCUMENT.read_text(), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def tables(heading: str) -> list[Rows]:
    found: list[Rows] = []
    for block in re.findall(r"(?:^\|.*\n)+", sections()[heading], re.MULTILINE):
        head, _, *rows = [
            [cell.strip() for cell in line.strip("|\n").split("|")] for line in block.splitlines()
        ]
        found.append([dict(zip(head, row, strict=True)) for row in rows])
    return found


def number(text: str) -> int:
    return 0 if text == "–" else int(text, 0)


RECORDS = ("Superblock", "Staging record", "Counter record", "Value slot", "Fault record")
ALL_RECORDS = (*RECORDS, "Directory header", "Directory entry")


# In the order of the kinds that the code has.
FAULT_COUNTS = ("exceptions", "watchdog", "tasks", "brown_outs", "hard_faults")


class Record:
    """One table of offsets."""

    def __init__(self, heading: str) -> None:
        (self.rows,) = tables(heading)
        self.size = max(int(row["offset"]) + int(row["bytes"]) for row in self.rows)

    def read(self, data: bytes) -> dict:
        fields = {}
        for row in self.rows:
            at, count = int(row["offset"]), int(row["bytes"])
            raw = data[at : at + count]
            if row["type"].startswith("u"):
                assert int(row["type"][1:]) == 8 * count
                fields[row["field"]] = int.from_bytes(raw, "little")
            elif row["type"] == "bytes":
                fields[row["field"]] = raw
            elif row["type"] == "text":
                fields[row["field"]] = raw.rstrip(b"\0").decode()
            else:
                assert row["type"] == "zero"
        return fields

    def valid(self, data: bytes) -> bool:
        """The CRC is the last field."""
        return self.read(data)["crc"] == zlib.crc32(data[: self.size - 4])


class Reader:
    """All that the document lets one know of a part."""

    def __init__(self, data: bytes) -> None:
        media, steps = tables("Media")
        self.data = data
        (self.medium,) = [row for row in media if int(row["size"]) == len(data)]
        self.steps = {r["partition"]: int(r["bytes from one to the next"]) for r in steps}
        self.superblock = self._superblock()

    def _records(self, partition: str, heading: str, count: int) -> list[bytes]:
        base, step = number(self.medium[partition]), self.steps[partition]
        size = Record(heading).size
        return [self.data[base + n * step : base + n * step + size] for n in range(count)]

    def _superblock(self) -> dict | None:
        record = Record("Superblock")
        found = [
            record.read(raw)
            for raw in self._records("superblocks", "Superblock", 2)
            if raw.startswith(b"HSXS") and record.valid(raw)
        ]
        return max(found, key=lambda fields: fields["generation"]) if found else None

    def staging(self) -> tuple[dict, bool] | None:
        """The newest record, and whether it counts."""
        record = Record("Staging record")
        found = [
            record.read(raw)
            for raw in self._records("staging", "Staging record", 2)
            if record.valid(raw)
        ]
        if not found:
            return None
        newest = max(found, key=lambda fields: fields["seq"])
        block = self.superblock
        state = block["state_a"] if newest["bank"] == 1 else block["state_b"]
        counts = newest["bank"] != block["active"] and state == 0
        return newest, counts and newest["decl"] == block["decl"]

    def values(self) -> dict[int, int]:
        record = Record("Value slot")
        slots = self._records("values", "Value slot", 3 * int(self.medium["number of values"]))
        newest: dict[int, dict] = {}
        for raw in slots:
            slot = record.read(raw)
            good = record.valid(raw) and slot["key"] not in (0, 0xFFFF)
            accepted = (
                slot["tag"] <= self.superblock["ok"] or slot["tag"] == (self.superblock["open"])
            )
            before = newest.get(slot["key"])
            if good and accepted and (before is None or slot["seq"] > before["seq"]):
                newest[slot["key"]] = slot
        return {key: slot["bits"] for key, slot in newest.items()}

    def counters(self) -> tuple[dict[bytes, int], int]:
        """By key, and how many are lost."""
        record = Record("Counter record")
        count = 2 * int(self.medium["number of counters"])
        raws = self._records("counters", "Counter record", count)
        found, lost = {}, 0
        for first, second in zip(raws[::2], raws[1::2], strict=True):
            good = [record.read(raw) for raw in (first, second) if record.valid(raw)]
            if good:
                newest = max(good, key=lambda fields: fields["counter"])
                found[newest["key"]] = newest["counter"]
            elif any(second):
                lost += 1
        return found, lost

    def bank(self, which: int) -> tuple[bytes, dict, list[tuple[dict, bytes]]]:
        """Digest, header, and each entry with its image."""
        base = number(self.medium[f"bank {'AB'[which - 1]}"])
        data = self.data[base : base + int(self.medium["bytes of a bank"])]
        head, entry = Record("Directory header"), Record("Directory entry")
        header = head.read(data)
        end = head.size + header["count"] * entry.size
        found = []
        for at in range(head.size, end, entry.size):
            fields = entry.read(data[at : at + entry.size])
            found.append((fields, data[fields["offset"] : fields["offset"] + fields["length"]]))
        return hashlib.sha256(data[:end]).digest()[:16], header, found


# ---- a store with something in every field ----------------------------------------------------


KEY = b"trusted1"
PARTS = [b"first image" * 20, b"second" * 33 + b"!", bytes(range(256))]


def full_entry(name: str, data: bytes, number: int) -> Image:
    """A directory entry whose every field differs from its default and its neighbours."""
    return an_image(
        name,
        data,
        version=f"1.{number}.0-ä",
        epoch=7 + number,
        quantum=70000,
        stack=1537,
        heap=258,
        flags=0x1234,
        pid=9,
        priority=200,
    )


def push(store: Store, names: str) -> None:
    entries = [full_entry(n * 32, data, at) for at, (n, data) in enumerate(zip(names, PARTS))]  # noqa: B905  a set may be shorter
    staging = store.commit.stage(entries)
    for index, data in enumerate(PARTS[: len(entries)]):
        staging.write(index, 0, memoryview(data))
    store.commit.commit(staging)


def a_store(size: int, steps: int) -> tuple[Store, bytes]:
    """A store after the first `steps` of what there is to do, and its bytes."""
    part = Medium(bytearray(b"\xff" * size))
    store = Store(part)
    store.format(CONFIRMATION)

    def stage_half() -> None:
        store.commit._progress = 128
        staging = store.commit.stage(entries(THREE))
        staging.write(0, 0, memoryview(THREE[0])[:200])

    def again() -> None:
        nonlocal store
        store = Store(part)
        store.open()

    always = [
        lambda: store.values.save(1, 0x3C00),
        lambda: store.values.save(0xFFFE, 0x8001),
        lambda: store.counters.enrol(KEY, 41),
        lambda: store.counters.advance(KEY, 0xFFFFFFFF),
        lambda: store.counters.enrol(b"another!", 3),
        lambda: store.values.save(1, 0x4000),
        again,
    ]
    banks = [
        lambda: push(store, "ab"),
        lambda: store.commit.confirm(7),
        lambda: push(store, "cde"),
        lambda: store.values.save(1, 0x5555),
        lambda: store.values.save(2, 0x6666),
        lambda: store.commit.choose(True),
        again,
        lambda: store.commit.revert(),
        lambda: store.values.save(3, 0x7777),
        lambda: stage_half(),
        lambda: push(store, "cde"),
        lambda: store.commit.confirm(),
        lambda: store.fold(),
    ]
    todo = always + banks if store.layout.bank_size else always
    for step in todo[:steps]:
        step()
    return store, bytes(part.memory)


STEPS = [(size, n) for size in SIZES for n in range(8 if size == 0x2000 else 21)]


@pytest.mark.requirement("P-106")
@pytest.mark.parametrize(("size", "steps"), STEPS)
def test_the_superblock_is_read_as_it_is(size, steps):
    store, data = a_store(size, steps)
    state = store.superblocks.state
    block = Reader(data).superblock
    assert (block["version"], 1 << block["log2_size"]) == (1, size)
    assert [block["state_a"], block["state_b"]] == state.states
    assert [block["digest_a"], block["digest_b"]] == state.digests
    for name in ("generation", "active", "floor", "open", "ok", "decl", "attempts"):
        assert block[name] == getattr(state, name), name
    assert [value for name, value in block.items() if name.startswith("wear_")] == state.wear


@pytest.mark.requirement("P-54")
@pytest.mark.parametrize(("size", "steps"), STEPS)
def test_staging_values_and_counters_are_read_as_they_are(size, steps):
    store, data = a_store(size, steps)
    reader = Reader(data)
    assert reader.values() == {key: store.values.restore(key) for key in store.values.keys()}  # noqa: SIM118  it is no dict
    counters, lost = reader.counters()
    assert counters == {key: store.counters.value(key) for key in counters}
    assert (len(counters), lost) == (0 if steps < 3 else 1 if steps < 5 else 2, 0)
    record = store.staging
    found = reader.staging()
    assert (found is None) == (record.seq == 0)
    if found is not None:
        fields, counts = found
        fields.pop("crc")
        assert fields == {name: getattr(record, name) for name in fields}
        assert counts == record.counts(store.superblocks.state, record.bank)


@pytest.mark.requirement("P-48")
@pytest.mark.parametrize(("size", "steps"), [s for s in STEPS if s[0] > 0x2000 and s[1] > 7])
def test_banks_are_read_as_they_are(size, steps):
    store, data = a_store(size, steps)
    state = store.superblocks.state
    reader = Reader(data)
    for which in (1, 2):
        if not state.states[which - 1]:
            continue
        digest, header, found = reader.bank(which)
        assert header["magic"] == b"HSXB" and header["version"] == 1
        assert digest == state.digests[which - 1]
        theirs = store._images(which, digest)
        assert [fields["name"] for fields, _ in found] == [image["name"] for image in theirs]
        for number, (fields, image) in enumerate(found):
            assert image == PARTS[number]
            expected = full_entry(fields["name"], image, number)
            expected.offset = fields["offset"]
            assert fields == vars(expected)
            assert fields["crc"] == zlib.crc32(image)
            assert fields["sha256"] == hashlib.sha256(image).digest()
            assert fields["offset"] % 4 == 0
        assert header["used"] == found[-1][0]["offset"] + found[-1][0]["length"]


def test_staging_records_that_count_and_that_do_not_were_among_them():
    seen = {Reader(a_store(0x8000, n)[1]).staging() is not None for n in range(21)}
    assert seen == {False, True}
    counted = {found[1] for n in range(21) if (found := Reader(a_store(0x8000, n)[1]).staging())}
    assert counted == {False, True}


def test_a_lost_counter_is_told_from_a_free_place():
    _, data = a_store(0x8000, 5)
    cells = bytearray(data)
    base = number(Reader(data).medium["counters"])
    cells[base] ^= 1
    cells[base + 16] ^= 1
    assert Reader(bytes(cells)).counters() == ({b"another!": 3}, 1)
    store = Store(Medium(cells))
    store.open()
    assert store.counters.lost == 1


@pytest.mark.parametrize("size", SIZES[1:])
def test_faults_are_read_as_they_were_noted(size):
    part = Medium(bytearray(size))
    faults = Faults(layout_of(size).faults(part))
    noted = [kind for times, kind in enumerate(KINDS, 1) for _ in range(times)]
    for generation, kind in enumerate(noted, 70):
        faults.note(kind, 2, "pump: fault:mem", generation)
    record = Record("Fault record")
    (row,) = [row for row in tables("Media")[0] if int(row["size"]) == size]
    base = number(row["bank A"]) - 128
    found = [bytes(part.memory[at : at + record.size]) for at in (base, base + 64)]
    assert not any(part.memory[:base]) and all(map(record.valid, found))
    fields = max(map(record.read, found), key=lambda fields: fields["seq"])
    counts = {name: fields[name] for name in FAULT_COUNTS}
    assert list(counts.values()) == [noted.count(kind) for kind in KINDS]
    assert (fields["seq"], fields["generation"]) == (len(noted), 70 + len(noted) - 1)
    assert (KINDS[fields["kind"]], fields["bank"]) == (noted[-1], 2)
    assert fields["name"] == "pump: fault:mem"


def test_a_part_without_banks_has_no_fault_record():
    assert layout_of(SIZES[0]).faults(Medium(bytearray(SIZES[0]))) is None


def test_a_copy_set_aside_is_as_written():
    _, data = a_store(0x8000, 9)
    part = Medium(bytearray(data))
    store = Store(part)
    store.open()
    generation = store.superblocks.state.generation
    store.superblocks.set_aside()
    data = bytes(part.memory)
    record = Record("Superblock")
    for at in (0, 128):
        raw = data[at : at + record.size]
        fields = record.read(raw)
        assert record.valid(raw)
        assert fields.pop("magic") == b"HSXF"
        assert fields.pop("generation") == generation
        assert (fields.pop("version"), fields.pop("log2_size")) == (1, 15)
        fields.pop("crc")
        assert not any(any(v) if isinstance(v, bytes) else v for v in fields.values())
    assert Reader(data).superblock is None


# ---- the tables -------------------------------------------------------------------------------


@pytest.mark.parametrize("heading", ALL_RECORDS)
def test_the_fields_of_a_record_leave_no_gap(heading):
    rows = Record(heading).rows
    for row, after in pairwise(rows):
        assert int(row["offset"]) + int(row["bytes"]) == int(after["offset"])
    assert int(rows[0]["offset"]) == 0


@pytest.mark.parametrize("heading", RECORDS)
def test_the_size_of_a_record_is_said_in_its_first_words(heading):
    assert sections()[heading].strip().startswith(f"{Record(heading).size} bytes")


def test_every_size_that_has_a_layout_is_in_the_table():
    assert [int(row["size"]) for row in tables("Media")[0]] == list(SIZES)
    assert [1 << int(row["log2"]) for row in tables("Media")[0]] == list(SIZES)


@pytest.mark.parametrize(
    ("heading", "field", "names"),
    [
        ("Superblock", "active", BANK_NAMES),
        ("Superblock", "state_a", STATE_NAMES),
    ],
)
def test_numbers_have_the_names_of_the_code(heading, field, names):
    (row,) = [row for row in Record(heading).rows if row["field"] == field]
    listed = re.findall(r"(\d) (\w+)", row["meaning"])
    assert [name for _, name in listed] == list(names)
    assert [int(value) for value, _ in listed] == list(range(len(names)))


def test_flags_of_an_entry_are_the_codes():
    (row,) = [row for row in Record("Directory entry").rows if row["field"] == "flags"]
    bits = [
        int(bit) for bit in re.findall(r"(\d)[: ]", row["meaning"].partition(" for the app")[2])
    ]
    assert bits == [1, 2, 4, 8]
    assert (sum(bits[:3]), bits[3]) == (GRANTS, FIXED_PID)
