# SPDX-License-Identifier: MIT
"""`hsxctl fram`: what a store holds, whether it is whole, and its bytes."""

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from hsx.errors import HsxError
from hsx.store.bank import ENTRY, HEADER
from hsx.store.layout import COPY, COUNTER, STAGING_COPY, VALUE
from hsx.store.saved_values import SLOT

from .. import errors, store_check
from ..output import Output
from ..store_check import Finding
from ..store_file import VALID, StoreFile
from . import Commands

_HELP = """\
Looks at a store: the content of a node's FRAM, as 'hsxctl sim --fram FILE' keeps it or as it was
read from a part. FILE is the whole part, 8, 32, 128 or 512 KiB; devices that are one medium lie
one after the other in it. It is only read, never written.

  info    a map of it: superblocks, banks with their images, values, counters, wear
  check   every rule a reader can check, and what the node does at its next hard reset
  dump    the bytes of its records, with what each record is

docs/fram_layout.md explains every field.

examples:
  hsxctl sim --sd card.img --fram fram.bin
  hsxctl fram info fram.bin
"""

_INFO_HELP = """\
Shows what the store holds. Needs: a store file. A blank part is shown as one.
Exit code 0: shown; 1: no store that this program can read.

example:
  hsxctl fram info fram.bin
"""

_CHECK_HELP = """\
Checks the store: superblock checksums and whether the copies agree, digests of the directories,
CRC-32 and SHA-256 of every image, epochs against the floor, staging record, values, counters,
wear. Then says what a node does at its next hard reset, by letting the node's own code do it to a
copy in memory. Needs: a store file.

  error    a set, a counter or the store is lost, or the active set will not start
  warning  what the node repairs or gets by without, as a power cut leaves it behind
  note     nothing wrong, but good to know

Exit code 0: no error; 1: an error, or no store.

example:
  hsxctl fram check fram.bin && echo whole
"""

_DUMP_HELP = """\
Shows the bytes of the records, each with what it is, in hexadecimal. Without --part: all records
and the directories of the banks, not their images. Addresses are those of the part. Records that
were never written are counted, not shown. Needs: a store file.

example:
  hsxctl fram dump --part values fram.bin
"""

_PARTS = ("superblocks", "staging", "counters", "values", "bank-a", "bank-b")
_RECORD_PARTS = 4  # of them; then come the banks
_LINE = 16  # bytes

Record = tuple[int, int, str]  # address in its partition, bytes, what it is


def add_parser(commands: Commands) -> None:
    """Adds `fram` with its three verbs to the argument tree."""
    group = commands.add_parser(
        "fram",
        help="look at a store: info, check, dump",
        description=_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = group.add_subparsers(title="verbs", metavar="VERB", required=True)
    for name, help_line, description, run in (
        ("info", "what the store holds", _INFO_HELP, run_info),
        ("check", "whether it is whole, and what a node does with it", _CHECK_HELP, run_check),
        ("dump", "its bytes", _DUMP_HELP, run_dump),
    ):
        parser = verbs.add_parser(
            name,
            help=help_line,
            description=description,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        if name == "dump":
            parser.add_argument("--part", choices=_PARTS, help="only this, and all of it")
        parser.add_argument("file", type=Path, metavar="FILE")
        parser.add_argument("--json", action="store_true", help="one JSON object per line")
        parser.set_defaults(run=run)


# ---- check ------------------------------------------------------------------------------------


def run_check(arguments: argparse.Namespace, output: Output) -> int:
    """Exit code 0, or 1 if there is an error among the findings."""
    file = StoreFile(arguments.file)
    found = store_check.findings(file)
    for finding in found:
        output.result(finding._asdict(), f"{finding.severity}: {finding.where}: {finding.what}")
    boot = store_check.next_boot(file)
    counts = {name: _count(found, name) for name in ("error", "warning", "note")}
    said = ", ".join(
        f"{count} {name}{'' if count == 1 else 's'}" for name, count in counts.items()
    )
    output.result(
        {"file": str(arguments.file), "next_boot": boot, **counts},
        f"next hard reset: {boot}\n{arguments.file}: {said}",
    )
    return errors.REFUSED if counts["error"] else errors.DONE


def _count(found: list[Finding], severity: str) -> int:
    return sum(finding.severity == severity for finding in found)


# ---- info -------------------------------------------------------------------------------------


def run_info(arguments: argparse.Namespace, output: Output) -> int:
    """Shows the store; a part without one too."""
    file = StoreFile(arguments.file)
    facts = file.facts() | {"next_boot": store_check.next_boot(file)}
    output.result(facts, "\n".join(_info(facts)))
    return errors.DONE


def _info(facts: dict[str, Any]) -> Iterator[str]:
    yield f"{facts['file']}: {facts['size']} bytes"
    yield "map            address      bytes  writes of a cell"
    for part in facts["partitions"]:
        worn = f", worn: {part['limit']} is the limit" if part["worn"] else ""
        if part["size"]:
            yield (
                f"  {part['name']:11}  {part['address']:#08x} {part['size']:10}"
                f"  {part['writes_per_cell']}{worn}"
            )
    yield from _copies(facts)
    if facts["kind"] == "store":
        for bank in facts["banks"]:
            yield from _bank(bank)
        yield from _staging(facts["staging"])
        yield from _values(facts["values"])
        yield from _counters(facts["counters"])
    yield f"next hard reset: {facts['next_boot']}"


def _copies(facts: dict[str, Any]) -> Iterator[str]:
    yield "superblocks"
    for copy in facts["superblocks"]:
        if copy["kind"] != VALID:
            yield f"  copy {copy['copy']}: {copy['kind']}"
            continue
        use = ", in use" if copy["in_use"] else ""
        yield f"  copy {copy['copy']}: generation {copy['generation']}{use}"
        banks = ", ".join(
            f"{name} {state}" for name, state in zip("AB", copy["states"], strict=True)
        )
        yield f"    active {copy['active']} (bank {banks}), floor {copy['floor']}"
        yield (
            f"    trial {copy['open'] or 'none'}, attempts {copy['attempts']}, last confirmed "
            f"{copy['ok'] or 'none'}, declaration {copy['decl']}"
        )
    if facts["differences"]:
        yield f"  copies differ in {', '.join(facts['differences'])}"


def _bank(bank: dict[str, Any]) -> Iterator[str]:
    active = ", active" if bank["active"] else ""
    yield f"bank {bank['bank']}: {bank['state']}{active}"
    if bank["images"] is None:
        yield f"  {bank['detail']}"
    elif bank["images"]:
        yield f"  {bank['used']} bytes, epoch {bank['epoch']}, digest {bank['digest']}"
    for image in bank["images"] or ():
        checks = f"CRC-32 {_good(image['crc_good'])}, SHA-256 {_good(image['sha256_good'])}"
        yield (
            f"  {image['name']} {image['version'] or '(no version)'}: {image['length']} bytes, "
            f"CRC-32 {image['crc']}, {checks}, epoch {image['epoch']}"
        )


def _good(good: bool) -> str:
    return "good" if good else "WRONG"


def _staging(staging: dict[str, Any] | None) -> Iterator[str]:
    if staging is None:
        yield "staging: never"
        return
    counts = "counts" if staging["counts"] else "does not count"
    yield (
        f"staging: record {staging['seq']} {counts}: bank {staging['bank']}, "
        f"{staging['progress']} bytes, digest {staging['digest']}"
    )


def _values(values: list[dict[str, Any]]) -> Iterator[str]:
    yield f"values: {len(values)}"
    for value in values:
        yield f"  {_value(value)}"
        for slot in value["slots"]:
            if slot["kind"] == VALID:
                accepted = "accepted" if slot["accepted"] else "not accepted"
                current = ", the value" if slot["current"] else ""
                yield (
                    f"    {slot['bits']:#06x} seq {slot['seq']} tag {slot['tag']}, "
                    f"{accepted}{current}"
                )
            elif slot["kind"] != "blank":
                yield f"    {slot['kind']}"


def _value(value: dict[str, Any]) -> str:
    name = f"place {value['place']}" if value["key"] is None else f"{value['key']:#06x}"
    if value["bits"] is None:
        return f"{name}: no value, the app's init counts"
    number = "no number" if value["value"] is None else f"{value['value']:g}"
    return f"{name} = {number} ({value['bits']:#06x})"


def _counters(counters: list[dict[str, Any]]) -> Iterator[str]:
    yield f"counters: {len(counters)}"
    for counter in counters:
        if counter["key"] is None:
            yield f"  place {counter['place']}: lost"
        else:
            kind = "" if counter["kind"] == VALID else f" ({counter['kind']})"
            yield f"  {counter['key']}: {counter['counter']}{kind}"


# ---- dump -------------------------------------------------------------------------------------


def run_dump(arguments: argparse.Namespace, output: Output) -> int:
    """Shows records as bytes."""
    file = StoreFile(arguments.file)
    only = arguments.part
    records: tuple[Callable[[StoreFile], Iterator[Record]], ...] = (
        _superblock_records,
        _staging_records,
        _counter_records,
        _value_records,
        lambda file: _bank_records(file, 1, only is not None),
        lambda file: _bank_records(file, 2, only is not None),
    )
    for number, part in enumerate(_PARTS):
        if only not in (None, part) or file.regions[number].size == 0:
            continue
        name, base, size = file.layout.partitions()[number]
        if not output.as_json:
            output.result({}, f"{name}: {size} bytes from {base:#08x}")
        unused = 0
        for at, count, what in records[number](file):
            data = file.raw(number, at, count)
            if len(set(data)) == 1 and data[0] in (0x00, 0xFF):
                unused += 1
                continue
            facts = {"part": part, "address": base + at, "what": what, "bytes": data.hex()}
            output.result(facts, "\n".join([f" {what}", *_hex(base + at, data)]))
        if unused and not output.as_json:
            output.result({}, f" {unused} records of nothing but zeros or 0xff")
    return errors.DONE


def _superblock_records(file: StoreFile) -> Iterator[Record]:
    for number, copy in enumerate(file.copies):
        generation = f", generation {copy.generation}" if copy.generation >= 0 else ""
        use = ", in use" if number == file.in_use else ""
        yield number * COPY, COPY, f"copy {number}: {copy.kind}{generation}{use}"


def _staging_records(file: StoreFile) -> Iterator[Record]:
    for number in (0, 1):
        yield number * STAGING_COPY, STAGING_COPY, f"record {number}"


def _counter_records(file: StoreFile) -> Iterator[Record]:
    for place in range(file.layout.counters):
        yield place * COUNTER, COUNTER, f"place {place}: two records"


def _value_records(file: StoreFile) -> Iterator[Record]:
    values = {value["place"]: _value(value) for value in file.value_facts()}
    for place in range(file.layout.values):
        what = f"place {place}: {values.get(place, 'free')}; {VALUE // SLOT} slots"
        yield place * VALUE, VALUE, what


def _bank_records(file: StoreFile, bank: int, whole: bool) -> Iterator[Record]:
    reader = file.reader(bank)
    try:
        reader.open(None)
    except HsxError as error:
        # What is no directory is nothing but bytes, which only those want who ask for them.
        if whole:
            yield 0, file.layout.bank_size, error.detail
        return
    yield 0, HEADER, f"directory of {reader.count} images, {reader.used} bytes in use"
    images = [reader.image(at) for at in range(reader.count)]
    for at, image in enumerate(images):
        what = f"entry {at}: {image.name}, {image.length} bytes at {image.offset}"
        yield HEADER + at * ENTRY, ENTRY, what
    for image in images if whole else ():
        yield image.offset, image.length, f"image {image.name}"


def _hex(base: int, data: bytearray) -> Iterator[str]:
    """Lines of 16 bytes; equal ones after the first are one `*`."""
    before, starred = bytearray(), False
    for at in range(0, len(data), _LINE):
        line = data[at : at + _LINE]
        if line == before:
            if not starred:
                yield "  *"
            starred = True
            continue
        before, starred = line, False
        text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in line)
        yield f"  {base + at:06x}  {line.hex(' '):{3 * _LINE - 1}}  {text}"
