# SPDX-License-Identifier: MIT
"""`hsxctl info` and `hsxctl verify`: what an image says, and whether a node would take it."""

import argparse
import hashlib
import math
import struct
from pathlib import Path

from hsx.errors import HsxError
from hsx.image import build, metadata
from hsx.image.header import Header
from hsx.image.sections import Metadata
from hsx.image.signature import ImageDigest, is_good
from hsx.image.verify import verify

from .. import errors
from ..output import Output
from . import Commands, keys

_INFO_HELP = """\
Shows header and metadata of an image. Needs: an .hxe file that 'verify' accepts.

example:
  hsxctl info hello.hxe
"""

_VERIFY_HELP = """\
Checks an image by every rule that a node checks, checksum and metadata included. Needs: a file.
With --key also whether it is signed by that key. Exit code 0: a node takes it; 1: it would not,
and why.

example:
  hsxctl verify hello.hxe && echo good
  hsxctl verify signed.hxe --key site.pem.pub
"""

_CHUNK = 4096  # bytes
_CAPABILITIES = ("mailboxes", "values and commands", "FRAM", "CAN", "UART")
_VALUE_FLAGS = ("RO", "PERSIST", "STICKY", "PIN", "BOOL")
_COMMAND_FLAGS = ("PIN", "ASYNC")
_MODES = ("RDONLY", "WRONLY", "TAP", "FANOUT", "FANOUT_DROP", "FANOUT_BLOCK")
_AUTH = ("PUBLIC", "USER", "ADMIN", "FACTORY")
_SECTIONS = {1: "values", 2: "commands", 3: "mailboxes", 0x10: "info", 0x11: "signature"}
_SECTION_COMMANDS = 2
_COMMAND_SIZE = 16  # bytes of a record, spec/hxe_v2.md section 7.2


def add_parser(commands: Commands) -> None:
    """Adds `info` and `verify` to the argument tree."""
    for name, help_line, description, run in (
        ("verify", "check an image as a node would", _VERIFY_HELP, run_verify),
        ("info", "show what an image says of itself", _INFO_HELP, run_info),
    ):
        parser = commands.add_parser(
            name,
            help=help_line,
            description=description,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        parser.add_argument("file", type=Path, metavar="FILE.hxe")
        if name == "verify":
            parser.add_argument("--key", type=Path, metavar="PUB", help="public or private, PEM")
        parser.add_argument("--json", action="store_true", help="one JSON object per line")
        parser.set_defaults(run=run)


def check(path: Path, digest: ImageDigest | None = None) -> tuple[Header, Metadata]:
    """Header and metadata of the image in a file; `digest` takes what a signature covers. HsxError
    for one that a node would refuse; OSError if it cannot be read."""
    with path.open("rb") as file:
        head, meta, _ = verify(file.readinto, bytearray(_CHUNK), digest)
        return head, meta


def run_verify(arguments: argparse.Namespace, output: Output) -> int:
    """Exit code 0, or 1 with the reason."""
    key = keys.public_key(arguments.key).public_bytes_raw() if arguments.key else None
    digest = ImageDigest()
    try:
        head, meta = check(arguments.file, digest)
    except HsxError as error:
        raise errors.refused_image(str(arguments.file), error) from None
    size = arguments.file.stat().st_size
    facts = {"file": str(arguments.file), "size": size, "app_name": head.app_name}
    text = f"{arguments.file}: good, {size} bytes, app '{head.app_name}'"
    if key is not None:
        _check_signature(arguments.file, meta, digest.message(), key)
        facts["key"] = key.hex()
        text += f", signed by {key.hex()}"
    output.result(facts, text)
    return errors.DONE


def _check_signature(path: Path, meta: Metadata, message: bytes, key: bytes) -> None:
    """ToolError unless the image is signed by the public key `key`."""
    if meta.signature is None:
        what, remedy = "image is not signed", "Sign it: 'hsxctl sign'."
    elif not is_good(meta.signature, message, key, keys.ed25519_verify):
        what = "signature is not that key's"
        remedy = "Either it was signed with another key, or changed since: do not trust it."
    else:
        return
    facts = {"errno": "EACCES", "where": "verify", "detail": what}
    raise errors.ToolError(f"EACCES at verify: {what}", str(path), remedy, facts=facts)


def run_info(arguments: argparse.Namespace, output: Output) -> int:
    """Shows an image; one that a node would refuse is refused here too."""
    try:
        head, meta = check(arguments.file)
    except HsxError as error:
        raise errors.refused_image(str(arguments.file), error) from None
    image = arguments.file.read_bytes()
    facts = {
        "file": str(arguments.file),
        "size": len(image),
        "sha256": hashlib.sha256(image).hexdigest(),
        "header": header_facts(head),
        "metadata": metadata_facts(image, meta),
        "info": None if meta.info is None else info_facts(meta.info),
        "sections": [
            {"type": kind, "offset": offset, "size": size, "count": count}
            for kind, offset, size, count in meta.sections
        ],
    }
    output.result(facts, _text(facts))
    return errors.DONE


def header_facts(head: Header) -> dict:
    """The header under the names of spec/hxe_v2.md sections 1 and 10."""
    return {
        "version": head.version,
        "flags": head.flags,
        "entry": head.entry,
        "code_len": head.code_len,
        "ro_len": head.ro_len,
        "bss_size": head.bss_size,
        "req_caps": head.req_caps,
        "crc32": head.crc,
        "app_name": head.app_name,
        "allow_multiple_instances": head.allow_multiple,
        "meta_offset": head.meta_offset,
        "meta_count": head.meta_count,
    }


def info_facts(info: metadata.Info) -> dict:
    """What an image says of itself: docs/hxe_format.md."""
    return {
        "version": info.version,
        "epoch": info.epoch,
        "abi": f"{info.abi >> 16}.{info.abi & 0xFFFF}" if info.abi else None,
        "stack": info.stack,
        "heap": info.heap,
    }


def metadata_facts(image: bytes, meta: Metadata) -> dict:
    """Values, commands and mailboxes under the reference's names."""
    reserved = _command_reserved(image, meta)
    return {
        "values": [_value(value) for value in meta.values],
        "commands": [_command(*pair) for pair in zip(meta.commands, reserved, strict=True)],
        "mailboxes": [_mailbox(mailbox) for mailbox in meta.mailboxes],
    }


def _half(bits: int) -> float | None:
    """An f16 as a number; None where JSON has none (NaN and the infinities)."""
    value = build.f16_value(bits)
    return value if math.isfinite(value) else None


def _value(value: metadata.Value) -> dict:
    return {
        "group_id": value.group,
        "value_id": value.id,
        "flags": value.flags,
        "auth_level": value.auth,
        "init_raw": value.init,
        "init_value": _half(value.init),
        "name": value.name,
        "unit": value.unit,
        "epsilon_raw": value.epsilon,
        "epsilon": _half(value.epsilon),
        "min_raw": value.min,
        "min": _half(value.min),
        "max_raw": value.max,
        "max": _half(value.max),
        "persist_key": value.persist_key,
        "group_name": value.group_name,
    }


def _command(command: metadata.Command, reserved: int) -> dict:
    return {
        "group_id": command.group,
        "cmd_id": command.id,
        "flags": command.flags,
        "auth_level": command.auth,
        "handler_offset": command.handler,
        "name": command.name,
        "help": command.help,
        "group_name": command.group_name,
        "reserved": reserved,
    }


def _command_reserved(image: bytes, meta: Metadata) -> list[int]:
    """The reserved half-word of each command, which no record keeps."""
    return [
        struct.unpack_from(">H", image, offset + _COMMAND_SIZE * index + 12)[0]
        for kind, offset, _, count in meta.sections
        if kind == _SECTION_COMMANDS
        for index in range(count)
    ]


def _mailbox(mailbox: metadata.Mailbox) -> dict:
    reserved = mailbox.reserved
    return {
        "target": mailbox.target,
        "name": mailbox.target,
        "capacity": mailbox.capacity or None,
        "queue_depth": mailbox.capacity,
        "mode_mask": mailbox.mode,
        "flags": mailbox.mode,
        "reserved": reserved.hex() if isinstance(reserved, bytes) else reserved,
        "owner_pid": mailbox.owner_pid,
        "bindings": [{"pid": pid, "flags": flags} for pid, flags in mailbox.bindings],
        "_source": "json" if mailbox.from_json else "legacy",
    }


def _bits(mask: int, names: tuple[str, ...]) -> str:
    found = [name for bit, name in enumerate(names) if mask >> bit & 1]
    rest = mask >> len(names) << len(names)
    return "|".join(found + ([f"{rest:#x}"] if rest else [])) or "none"


def _text(facts: dict) -> str:
    head = facts["header"]
    several = "several at once" if head["allow_multiple_instances"] else "one at a time"
    lines = [
        f"{facts['file']}: {facts['size']} bytes, HXE version {head['version']}",
        f"  sha256    {facts['sha256']}",
        f"  app       {head['app_name'] or '(none: named after the file)'}, {several}",
        f"  code      {head['code_len']} bytes, entry {head['entry']:#06x}",
        f"  data      {head['ro_len']} bytes, and {head['bss_size']} of zeros",
        f"  needs     {_bits(head['req_caps'], _CAPABILITIES)}",
        f"  checksum  {head['crc32']:08x}",
    ]
    if facts["info"]:
        lines.append(f"  info      {_info_line(facts['info'])}")
    for section in facts["sections"]:
        name = _SECTIONS.get(section["type"], f"type {section['type']:#x}")
        lines.append(f"  section   {name}: {section['size']} bytes at {section['offset']:#x}")
    for kind, describe in (
        ("values", _value_line),
        ("commands", _command_line),
        ("mailboxes", _mailbox_line),
    ):
        entries = facts["metadata"][kind]
        lines += [kind] if entries else []
        lines += [f"  {describe(entry)}" for entry in entries]
    return "\n".join(lines)


def _info_line(info: dict) -> str:
    line = f"version {info['version']!r}, " if info["version"] else "no version, "
    line += f"epoch {info['epoch']}, ABI {info['abi'] or 'any'}"
    for what in ("stack", "heap"):
        line += f", {what} {info[what]}" if info[what] else ""
    return line


def _name(entry: dict) -> str:
    return ".".join(part for part in (entry["group_name"], entry["name"]) if part) or "(no name)"


def _auth(level: int) -> str:
    return _AUTH[level] if level < len(_AUTH) else str(level)


def _value_line(value: dict) -> str:
    line = f"{value['group_id']}:{value['value_id']} {_name(value)} = {value['init_value']}"
    if value["unit"]:
        line += f" {value['unit']}"
    if value["min_raw"] or value["max_raw"]:
        line += f", {value['min']} to {value['max']}"
    line += f", {_bits(value['flags'], _VALUE_FLAGS)}, {_auth(value['auth_level'])}"
    if value["persist_key"]:
        line += f", key {value['persist_key']:#06x}"
    return line


def _command_line(command: dict) -> str:
    return (
        f"{command['group_id']}:{command['cmd_id']} {_name(command)}: {command['help']!r}, "
        f"{_bits(command['flags'], _COMMAND_FLAGS)}, {_auth(command['auth_level'])}, "
        f"handler {command['handler_offset']:#06x}"
    )


def _mailbox_line(mailbox: dict) -> str:
    capacity = f"{mailbox['capacity']} bytes" if mailbox["capacity"] else "default size"
    return f"{mailbox['target']}: {capacity}, {_bits(mailbox['mode_mask'], _MODES)}"
