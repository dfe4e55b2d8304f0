# SPDX-License-Identifier: MIT
"""A store file, read by the node's own code and never written.

The node repairs what it opens and counts what it boots. So it is let loose on a copy in RAM only.
"""

from pathlib import Path
from typing import Any, NamedTuple

from hsx.errors import EBADMSG, ENOTSUP, HsxError
from hsx.image.build import f16_value
from hsx.store.bank import BankReader, Image
from hsx.store.counters import ID, Counters
from hsx.store.file_region import FileRegion
from hsx.store.layout import COPY, COUNTER, VALUE, VERSION, Layout, layout_of
from hsx.store.record import blank
from hsx.store.region import Region, SubRegion
from hsx.store.saved_values import SLOT
from hsx.store.staging import StagingRecord
from hsx.store.store import BANK_NAMES, STATE_NAMES, Store
from hsx.store.superblock import BANK_A, BANK_B, SIZE, State, aside, read_copy
from hsx.store.wear import LIMIT

from .errors import ToolError

VALID = "valid"
_CHUNK = 4096  # bytes
_SHARED = ("active", "states", "digests", "floor", "open", "ok", "decl")  # of both copies (R4)


class Ram(Region):
    """A copy of a part, that the node's code may write to."""

    def __init__(self, data: bytes) -> None:
        super().__init__(len(data))
        self.data = bytearray(data)

    def _read(self, addr: int, buf: memoryview) -> None:
        buf[:] = self.data[addr : addr + len(buf)]

    def _write(self, addr: int, buf: memoryview) -> None:
        self.data[addr : addr + len(buf)] = buf


class Copy(NamedTuple):
    """A superblock copy. `kind`: VALID, "set aside", "blank" or "damaged"; `generation`: -1 for
    one without; `state`: what a valid one says."""

    kind: str
    generation: int
    state: State


class StoreFile:
    """The file at `path`. ToolError for one that this program cannot read, and why; OSError of the
    filesystem passes through."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.data, self.layout = _read_file(path)
        self.medium = Ram(self.data)
        self.regions: list[SubRegion] = self.layout.regions(self.medium)
        self.copies = [self._copy(0), self._copy(1)]
        generations = [c.generation if c.kind == VALID else -1 for c in self.copies]
        # The copy that counts, -1: there is no store.
        self.in_use = generations.index(max(generations)) if max(generations) >= 0 else -1
        self.record = StagingRecord(self.regions[1])
        self.record.open()
        self.counters = Counters(self.regions[2], self.layout.counters)

    @property
    def state(self) -> State:
        """What the superblock in use says; that of an empty store if there is none."""
        return self.copies[self.in_use].state if self.in_use >= 0 else State()

    @property
    def kind(self) -> str:
        """What the file is: "store", or why it is none: "blank", "formatting", "damaged"."""
        if self.in_use >= 0:
            return "store"
        if self.data.count(b"\xff") == len(self.data):
            return "blank"
        return "formatting" if "set aside" in (c.kind for c in self.copies) else "damaged"

    def store(self) -> Store:
        """A node's store on a copy of its own."""
        return Store(Ram(self.data))

    def differences(self) -> list[str]:
        """The fields, attempts and wear left out, in which two valid copies differ (R4)."""
        first, second = self.copies
        if not first.kind == second.kind == VALID:
            return []
        return [n for n in _SHARED if getattr(first.state, n) != getattr(second.state, n)]

    def banks(self) -> list[int]:
        """The banks that the layout has."""
        return [BANK_A, BANK_B] if self.layout.bank_size else []

    def reader(self, bank: int) -> BankReader:
        """The bank's reader, not opened."""
        return BankReader(self.regions[3 + bank], memoryview(bytearray(_CHUNK)))

    def staging_counts(self) -> bool:
        """R6: whether the staging record speaks of what is in its bank now."""
        return self.record.bank in self.banks() and self.record.counts(
            self.state, self.record.bank
        )

    def _copy(self, copy: int) -> Copy:
        buf = bytearray(SIZE)
        try:
            generation = read_copy(self.regions[0], copy, buf, self.layout.log2_size)
        except HsxError as error:
            raise self._foreign(error, buf) from None
        state = State()
        if generation >= 0:
            state.unpack(buf)
            return Copy(VALID, generation, state)
        if aside(buf) >= 0:
            return Copy("set aside", aside(buf), state)
        return Copy("blank" if buf == b"\xff" * SIZE else "damaged", -1, state)

    def _foreign(self, error: HsxError, buf: bytearray) -> ToolError:
        version, log2_size = buf[4], buf[5]
        if version != VERSION:
            what = f"store of layout version {version}, this hsxctl reads version {VERSION}"
            remedy = (
                "Take the hsxctl of the firmware that made it; a node of ours leaves it alone."
            )
        else:
            what = f"store of a part of 2^{log2_size} bytes in a file of {len(self.data)}"
            remedy = "Read the whole part again, and only that."
        return ToolError(
            f"ENOTSUP: {what}",
            str(self.path),
            remedy,
            facts={"errno": "ENOTSUP", "version": version, "log2_size": log2_size},
        )

    # ---- facts, as `--json` prints them -------------------------------------------------------

    def facts(self) -> dict[str, Any]:
        """Everything there is to see."""
        there = self.in_use >= 0
        return {
            "file": str(self.path),
            "size": len(self.data),
            "kind": self.kind,
            "partitions": self.partition_facts(),
            "superblocks": [self._copy_facts(n) for n in (0, 1)],
            "differences": self.differences(),
            "banks": [self._bank_facts(bank) for bank in self.banks()] if there else [],
            "staging": self._staging_facts() if there else None,
            "values": self.value_facts() if there else [],
            "counters": self.counter_facts() if there else [],
        }

    def partition_facts(self) -> list[dict[str, Any]]:
        """Where everything stands, and how often it was written."""
        wear = self.store().wear
        found = []
        for at, (name, base, size) in enumerate(self.layout.partitions()):
            units = self.state.wear[at]
            writes = wear.writes(at, units)
            found.append(
                {
                    "name": name,
                    "address": base,
                    "size": size,
                    "wear_units": units,
                    "writes_per_cell": writes,
                    "limit": LIMIT,
                    "worn": writes >= LIMIT,
                }
            )
        return found

    def _copy_facts(self, number: int) -> dict[str, Any]:
        copy = self.copies[number]
        facts: dict[str, Any] = {
            "copy": number,
            "address": number * COPY,
            "kind": copy.kind,
            "in_use": number == self.in_use,
            "generation": copy.generation if copy.generation >= 0 else None,
        }
        if copy.kind == VALID:
            state = copy.state
            facts |= {
                "active": named(BANK_NAMES, state.active),
                "states": [named(STATE_NAMES, value) for value in state.states],
                "digests": [digest.hex() for digest in state.digests],
                "floor": state.floor,
                "open": state.open,
                "ok": state.ok,
                "decl": state.decl,
                "attempts": state.attempts,
                "wear": state.wear,
            }
        return facts

    def _bank_facts(self, bank: int) -> dict[str, Any]:
        digest = self.state.digests[bank - 1]
        facts: dict[str, Any] = {
            "bank": BANK_NAMES[bank],
            "active": self.state.active == bank,
            "state": named(STATE_NAMES, self.state.states[bank - 1]),
            "digest": digest.hex(),
            "images": [],
        }
        if not self.state.states[bank - 1]:
            return facts
        reader = self.reader(bank)
        try:
            reader.open(digest)
        except HsxError as error:
            return facts | {"images": None, "detail": error.detail}
        images = [image_facts(reader, reader.image(at)) for at in range(reader.count)]
        return facts | {"used": reader.used, "epoch": reader.epoch, "images": images}

    def _staging_facts(self) -> dict[str, Any] | None:
        record = self.record
        if not record.seq:
            return None
        return {
            "seq": record.seq,
            "decl": record.decl,
            "bank": named(BANK_NAMES, record.bank),
            "progress": record.progress,
            "digest": record.digest.hex(),
            "counts": self.staging_counts(),
        }

    def value_facts(self) -> list[dict[str, Any]]:
        """The places for values that are not free, slot by slot."""
        store = self.store()
        store.open()
        found = []
        for place in range(self.layout.values):
            slots: list[dict[str, Any]] = []
            for number, slot in enumerate(store.values.slots(place)):
                raw = self.raw(3, place * VALUE + number * SLOT, SLOT)
                if slot is None:
                    slots.append({"kind": "blank" if blank(raw) else "damaged"})
                    continue
                key, bits, seq, tag, accepted, current = slot
                slots.append(
                    {
                        "kind": VALID,
                        "key": key,
                        "bits": bits,
                        "seq": seq,
                        "tag": tag,
                        "accepted": accepted,
                        "current": current,
                    }
                )
            if any(slot["kind"] != "blank" for slot in slots):
                found.append({"place": place, **_value(slots), "slots": slots})
        return found

    def counter_facts(self) -> list[dict[str, Any]]:
        """The places for counters that are not free. `kind`: "valid"; "unequal", the higher record
        counts and the node repairs the other; "lost", that key is refused (C1)."""
        found = []
        for place in range(self.layout.counters):
            records = [bytearray(COUNTER // 2), bytearray(COUNTER // 2)]
            counts = [self.counters.read(place, copy, records[copy]) for copy in (0, 1)]
            if max(counts) < 0:
                # As the node: a cut enrolment leaves the second record blank.
                if not blank(records[1]):
                    found.append({"place": place, "kind": "lost", "key": None, "counter": None})
                continue
            newest = records[counts.index(max(counts))]
            kind = VALID if counts[0] == counts[1] else "unequal"
            key = bytes(newest[:ID]).hex()
            found.append({"place": place, "kind": kind, "key": key, "counter": max(counts)})
        return found

    def raw(self, partition: int, addr: int, count: int) -> bytearray:
        """Bytes of a partition, by its number in the layout."""
        buf = bytearray(count)
        self.regions[partition].readinto(addr, buf)
        return buf


def _read_file(path: Path) -> tuple[bytes, Layout]:
    file = FileRegion(str(path), read_only=True)
    try:
        layout = layout_of(file.size)
        data = bytearray(file.size)
        file.readinto(0, data)
        return bytes(data), layout
    except HsxError as error:
        if error.errno != ENOTSUP:
            raise
        raise ToolError(
            f"ENOTSUP: {file.size} bytes, and no layout for a part of this size",
            str(path),
            "A store file is as large as its part: 8, 32, 128 or 512 KiB.",
            facts={"errno": "ENOTSUP", "size": file.size},
        ) from None
    finally:
        file.close()


def _value(slots: list[dict[str, Any]]) -> dict[str, Any]:
    """Key, and the bits that a node restores (None: it takes the init), of a place."""
    keys = [slot["key"] for slot in slots if "key" in slot]
    bits = next((slot["bits"] for slot in slots if slot.get("current")), None)
    value = None if bits is None else f16_value(bits)
    finite = value is not None and abs(value) < float("inf")
    return {"key": keys[-1] if keys else None, "bits": bits, "value": value if finite else None}


def named(names: tuple[str, ...], number: int) -> str:
    """The name of a number of the store, the number itself for one that has none."""
    return names[number] if number < len(names) else str(number)


def good(reader: BankReader, image: Image, deep: bool) -> bool:
    """Whether an image reads back with its CRC-32 and, `deep`, its SHA-256."""
    try:
        for _ in reader.check(image, deep):
            pass
    except HsxError as error:
        if error.errno != EBADMSG:
            raise
        return False
    return True


def image_facts(reader: BankReader, image: Image) -> dict[str, Any]:
    """A directory entry, and whether its image is whole."""
    return {
        "name": image.name,
        "version": image.version,
        "length": image.length,
        "offset": image.offset,
        "crc": f"{image.crc:08x}",
        "crc_good": good(reader, image, False),
        "sha256": image.sha256.hex(),
        "sha256_good": good(reader, image, True),
        "epoch": image.epoch,
        "pid": image.pid,
        "priority": image.priority,
        "quantum": image.quantum,
        "stack": image.stack,
        "heap": image.heap,
        "flags": image.flags,
    }
