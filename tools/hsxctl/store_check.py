# SPDX-License-Identifier: MIT
"""What is wrong with a store, and what a node does with it at its next hard reset.

An error is a set, a counter or the store itself that is lost, or an active set that will not
start. A warning is what the node repairs or gets by without, as power cuts leave it behind; a note
is nothing wrong.
"""

from collections.abc import Iterator
from typing import NamedTuple

from hsx.errors import HsxError
from hsx.store.bank import BankReader
from hsx.store.commit import ATTEMPTS
from hsx.store.store import BANK_NAMES, STATE_NAMES
from hsx.store.superblock import CONFIRMED, EMPTY, NONE, REVERTED, TRIAL, State

from .store_file import VALID, StoreFile, good, named

ERROR = "error"
WARNING = "warning"
NOTE = "note"

_NO_STORE = {
    "blank": "the part is blank, it was never formatted",
    "formatting": "a format was cut before its end and has to be done again",
    "damaged": "both superblock copies are damaged, or this was never a store",
}


class Finding(NamedTuple):
    """`severity`: ERROR, WARNING or NOTE."""

    severity: str
    where: str
    what: str


def findings(file: StoreFile) -> list[Finding]:
    """All there is to say, from the superblocks to the wear."""
    if file.kind != "store":
        return [Finding(ERROR, "superblocks", _NO_STORE[file.kind])]
    found = [*_superblocks(file)]
    impossible = [*_impossible(file.state)]
    if impossible:
        return found + impossible
    for part in (_active, _banks, _staging, _values, _counters, _wear):
        found += part(file)
    return found


def _superblocks(file: StoreFile) -> Iterator[Finding]:
    first, second = file.copies
    for number, copy in enumerate(file.copies):
        if copy.kind != VALID:
            what = f"copy {number} is {copy.kind}; the node writes it anew (R4)"
            yield Finding(WARNING, "superblocks", what)
    differences = " and ".join(file.differences())
    if first.generation == second.generation and differences:
        what = f"both copies have generation {first.generation} and differ in {differences}"
        yield Finding(ERROR, "superblocks", what)
    elif differences:
        what = f"copies differ in {differences}; the node takes copy {file.in_use} (R4)"
        yield Finding(WARNING, "superblocks", what)
    elif first.kind == second.kind == VALID and abs(first.generation - second.generation) > 1:
        what = "a copy is more than one generation behind; the node writes it anew (R4)"
        yield Finding(WARNING, "superblocks", what)


def _impossible(state: State) -> Iterator[Finding]:
    """What no node has written: its CRC fits, and it says what cannot be."""
    if state.active >= len(BANK_NAMES):
        yield Finding(ERROR, "superblocks", f"active bank is number {state.active}")
    for value in state.states:
        if value >= len(STATE_NAMES):
            yield Finding(ERROR, "superblocks", f"a bank is in state number {value}")
    for name in ("open", "ok", "decl"):
        if getattr(state, name) > state.generation:
            yield Finding(ERROR, "superblocks", f"'{name}' is an id above the generation")


def _active(file: StoreFile) -> Iterator[Finding]:
    state = file.state
    if state.active == NONE:
        yield Finding(NOTE, "superblocks", "no set is active")
        return
    where = f"bank {BANK_NAMES[state.active]}"
    active = state.states[state.active - 1]
    if active not in (TRIAL, CONFIRMED):
        yield Finding(ERROR, where, f"is active and {STATE_NAMES[active]}")
    if (active == TRIAL) != bool(state.open):
        yield Finding(ERROR, where, f"is {STATE_NAMES[active]}, and the open trial {state.open}")
    if active == TRIAL and state.attempts >= ATTEMPTS:
        what = f"has used its {ATTEMPTS} attempts without being confirmed; it will be reverted"
        yield Finding(ERROR, where, what)


def _banks(file: StoreFile) -> Iterator[Finding]:
    state = file.state
    for bank in file.banks():
        where = f"bank {BANK_NAMES[bank]}"
        held = state.states[bank - 1]
        if held == EMPTY:
            continue
        # A set that was reverted never starts again: what it looks like harms nobody.
        severity = NOTE if held == REVERTED else ERROR
        reader = file.reader(bank)
        try:
            reader.open(state.digests[bank - 1])
        except HsxError as error:
            yield Finding(severity, where, f"{error.detail}: the set is lost")
            continue
        for at in range(reader.count):
            image = reader.image(at)
            if not good(reader, image, False):
                yield Finding(severity, where, f"image {image.name}: CRC-32 differs")
            elif not good(reader, image, True):
                yield Finding(severity, where, f"image {image.name}: SHA-256 differs")
        if reader.epoch < state.floor:
            # Right for the set before one that raised the floor, and why it stays where it is.
            severity = ERROR if bank == state.active else NOTE
            what = f"epoch {reader.epoch} is below the floor {state.floor}: it may not start"
            yield Finding(severity, where, what)


def _staging(file: StoreFile) -> Iterator[Finding]:
    record = file.record
    if not record.seq:
        return
    bank = named(BANK_NAMES, record.bank)
    if record.bank not in file.banks() or record.progress > file.layout.bank_size:
        what = f"record of {record.progress} bytes in bank {bank}, which cannot be"
        yield Finding(WARNING, "staging", what)
    elif file.staging_counts() and record.progress:
        what = f"{record.progress} bytes of a set are in bank {bank}: the same set goes on there"
        yield Finding(NOTE, "staging", what)


def _values(file: StoreFile) -> Iterator[Finding]:
    places: dict[int, int] = {}
    for value in file.value_facts():
        place, key = value["place"], value["key"]
        where = f"value {key:#06x}" if key else f"value place {place}"
        kinds = [slot["kind"] for slot in value["slots"]]
        damaged = kinds.count("damaged")
        if damaged and key is None:
            yield Finding(WARNING, where, "no slot is whole: whatever was saved here is lost")
        elif damaged:
            yield Finding(
                WARNING, where, f"{damaged} of its slots damaged; the newest whole counts"
            )
        if len({slot["key"] for slot in value["slots"] if slot["kind"] == VALID}) > 1:
            yield Finding(ERROR, where, "its slots have several keys")
        if key in places:
            yield Finding(ERROR, where, f"is saved in places {places[key]} and {place}")
        elif key is not None:
            places[key] = place


def _counters(file: StoreFile) -> Iterator[Finding]:
    for counter in file.counter_facts():
        if counter["kind"] == "lost":
            what = "both records are damaged: commands of a key without a counter are refused"
            yield Finding(ERROR, f"counter place {counter['place']}", what)
        elif counter["kind"] == "unequal":
            what = f"records differ; the node takes the higher, {counter['counter']} (C1)"
            yield Finding(WARNING, f"counter of {counter['key']}", what)


def _wear(file: StoreFile) -> Iterator[Finding]:
    for partition in file.partition_facts():
        if partition["worn"]:
            writes, limit = partition["writes_per_cell"], partition["limit"]
            what = f"{writes} writes of each cell, worn from {limit} on"
            yield Finding(WARNING, partition["name"], what)


def next_boot(file: StoreFile) -> str:
    """What a node does at its next hard reset, found by letting one do it to a copy."""
    if file.kind != "store":
        return f"there is no store: {_NO_STORE[file.kind]}; the node says so and writes nothing"
    if [*_impossible(file.state)]:
        return "cannot be said: no node has written this"
    before = file.state
    store = file.store()
    store.open()
    repaired = before.generation != store.superblocks.state.generation
    start = "the node repairs a superblock copy and " if repaired else "the node "
    bank = _finish(store.commit.run(store.commit.choose(True), _read))
    after = store.superblocks.state
    return start + _started(before, after, bank)


def _read(reader: BankReader) -> Iterator[None]:
    """Stands for the loading: every image is read and checked."""
    return reader.check_all(False)


def _finish(steps: Iterator[None]) -> int:
    """Takes all steps of what the node would do bit by bit; the bank that they end with."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def _started(before: State, after: State, bank: int) -> str:
    if before.active == NONE:
        return "starts no set from the store: none is active"
    was = f"bank {BANK_NAMES[before.active]}"
    now = f"starts bank {BANK_NAMES[bank]}, confirmed" if bank else "starts no set from the store"
    if before.states[before.active - 1] == TRIAL:
        if bank == before.active:
            return f"starts {was}, on trial, attempt {after.attempts} of {ATTEMPTS}"
        why = "its attempts are used up" if before.attempts >= ATTEMPTS else "it may not start"
        return f"reverts {was} ({why}) and {now}"
    if bank == before.active:
        return now
    return f"finds that {was} may not start, and {now}"
