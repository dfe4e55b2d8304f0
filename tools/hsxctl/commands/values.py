# SPDX-License-Identifier: MIT
"""`hsxctl values` and `hsxctl call`: what the apps of a node show, and what they do when asked."""

import argparse
import contextlib
import math
import struct
from typing import Any

from hsx.errors import ENOENT, HsxError
from hsx.link import command as c
from hsx.node.float16 import from_float, to_float

from .. import errors
from ..arguments import integer
from ..errors import ToolError
from ..output import Output
from ..reach import LINK_HELP, Reach, add_options
from ..told import Told
from . import Commands
from .node import shown

_HELP = f"""\
Shows, sets and watches the values of the apps on a node. A value is named by its name or its OID,
0x0101 or 1.1 (group and number); --pid says whose, where several apps have one. Numbers are f16:
the nearest one is what is set.

  list   all of them (default)
  get    one or more
  set    one; a PUBLIC one as it is, any other with --key
  watch  those that change, as they change, until Ctrl-C

{LINK_HELP}
example:
  hsxctl values --uart /dev/ttyUSB0
  hsxctl values set limit 21.5 --uart /dev/ttyUSB0 --key site.pem
"""

_CALL_HELP = f"""\
Calls a command of an app, by its name or its OID, 0x0110 or 1.16 (group and number), and shows
what it gives back. Without a name, shows the commands that there are. A PUBLIC one is called as it
is, any other with --key.

{LINK_HELP}
example:
  hsxctl call reset --uart /dev/ttyUSB0
"""

_PUBLIC = 0
_TOKEN = 28  # bytes
_VALUES = {
    "pid": "PID",
    "oid": "OID",
    "name": "NAME",
    "value": "VALUE",
    "unit": "UNIT",
    "auth": "AUTH",
    "group_name": "GROUP",
}
_COMMANDS = {
    "pid": "PID",
    "oid": "OID",
    "name": "NAME",
    "auth": "AUTH",
    "group_name": "GROUP",
    "help": "HELP",
}


def add_parser(commands: Commands) -> None:
    """Adds `values` and `call` to the argument tree."""
    parser = commands.add_parser(
        "values",
        help="values of the apps: list, get, set, watch",
        description=_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("verb", nargs="?", default="list", choices=("list", "get", "set", "watch"))
    parser.add_argument("words", nargs="*", metavar="NAME|OID", help="and for 'set' the number")
    parser.add_argument("--pid", type=integer(1, 255), help="of the app")
    parser.add_argument(
        "--count", type=integer(1, 1 << 30), metavar="N", help="watch: end after N changes"
    )
    add_options(parser)
    parser.set_defaults(run=run, usage=parser.error)
    parser = commands.add_parser(
        "call",
        help="call a command of an app",
        description=_CALL_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("name", nargs="?", metavar="NAME|OID")
    parser.add_argument("--pid", type=integer(1, 255), help="of the app")
    parser.add_argument("--token", default="", help="of a command that wants one")
    add_options(parser)
    parser.set_defaults(run=run_call)


def run(arguments: argparse.Namespace, output: Output) -> int:
    """Does the verb."""
    words: list[str] = arguments.words
    number = 0.0
    if arguments.verb == "set":
        if len(words) != 2:
            arguments.usage("set needs a name and a number")
        number = _number(words.pop())
    elif arguments.verb == "get" and not words:
        arguments.usage("get needs a name")
    with Reach(arguments, output) as reach:
        if arguments.verb == "watch":
            return _watch(reach, arguments, output)
        if arguments.verb == "set":
            return reach.each(lambda node: _set(reach, node, words[0], arguments.pid, number))
        return reach.each(
            lambda node: shown(reach, node, _chosen(reach, node, arguments), _VALUES, output)
        )


def _number(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(to_float(from_float(number))):
        raise ToolError(f"'{text}' is no number of f16", "", "At most 65504.", errors.USAGE)
    return number


def _value(bits: int) -> float | str:
    """What people and JSON can read."""
    value = to_float(bits)
    return value if math.isfinite(value) else str(value)


def _rows(reach: Reach, node: int, of: str, pid: int | None) -> list[dict[str, Any]]:
    """Of the request `of`, with OIDs as people read them."""
    rows = reach.rows(node, of)
    for row in rows:
        row["number"] = row["oid"]
        row["oid"] = f"0x{row['oid']:04X}"
        if "bits" in row:
            row["value"] = _value(row["bits"])
    return [row for row in rows if pid in (None, row["pid"])]


def _named(reach: Reach, node: int, rows: list[dict[str, Any]], what: str) -> dict[str, Any]:
    """The row with this name or OID. ToolError: none has it, or several."""
    group, dot, number = what.partition(".")
    oid = -1
    with contextlib.suppress(ValueError):
        oid = int(group, 0) << 8 | int(number, 0) if dot else int(what, 0)
    found = [row for row in rows if row["name"] == what or row["number"] == oid]
    if len(found) == 1:
        return found[0]
    if found:
        owners = ", ".join(f"{row['oid']} of PID {row['pid']}" for row in found)
        raise ToolError(
            f"{len(found)} have '{what}': {owners}",
            reach.where(node),
            "Say whose by --pid, or its OID.",
            facts={"node": node, "pids": [row["pid"] for row in found]},
        )
    names = ", ".join(str(row["name"] or row["oid"]) for row in rows) or "nothing"
    error = HsxError(ENOENT, "begin", "no such value or command")
    raise ToolError(
        f"ENOENT: no '{what}'",
        reach.where(node),
        f"There is {names}.",
        facts=reach.refused(node, what, error).facts,
    )


def _chosen(reach: Reach, node: int, arguments: argparse.Namespace) -> list[dict[str, Any]]:
    rows = _rows(reach, node, "values", arguments.pid)
    if arguments.words:
        rows = [_named(reach, node, rows, word) for word in arguments.words]
    return rows


def _set(reach: Reach, node: int, what: str, pid: int | None, number: float) -> None:
    row = _named(reach, node, _rows(reach, node, "values", pid), what)
    bits = from_float(number)
    where = (row["pid"], row["number"])
    if row["auth"] == _PUBLIC and not reach.signs:
        reach.ask(node, "set", *where, bits)
    else:
        reach.command(node, "set", c.SET, struct.pack("<BxHH", *where, bits))
    facts = {"node": node, "pid": row["pid"], "oid": row["oid"], "value": _value(bits)}
    reach.output.result(facts, f"{reach.where(node)}: {what} is {_value(bits)}")


def _watch(reach: Reach, arguments: argparse.Namespace, output: Output) -> int:
    """Changes as they come, the present values first."""
    rows: dict[tuple[int, int, int], dict[str, Any]] = {}
    told = Told(reach)
    for node in reach.numbers:
        for row in _chosen(reach, node, arguments):
            rows[node, row["pid"], row["number"]] = row
            _show(reach, node, row, output)
    left = arguments.count
    for node, event in told.follow():
        if event.kind != "value_changed":
            continue
        changed = rows.get((node, event.pid, event.data["oid"]))
        if changed is None:
            continue
        changed["value"] = _value(event.data["new"])
        _show(reach, node, changed, output)
        if left is not None:
            left -= 1
            if not left:
                break
    return errors.DONE


def _show(reach: Reach, node: int, row: dict[str, Any], output: Output) -> None:
    facts = {key: row[key] for key in ("pid", "oid", "name", "value", "unit")}
    what = f"{row['name'] or row['oid']} {row['value']} {row['unit'] or ''}".rstrip()
    output.result({"node": node, **facts}, f"{reach.where(node)}: {what}")


# ---- commands ---------------------------------------------------------------------------------


def run_call(arguments: argparse.Namespace, output: Output) -> int:
    """Calls a command on each node."""
    token = arguments.token.encode()
    if len(token) > _TOKEN:
        raise ToolError("the token is longer than 28 bytes", "", "Check it.", errors.USAGE)
    with Reach(arguments, output) as reach:

        def call(node: int) -> None:
            rows = _rows(reach, node, "commands", arguments.pid)
            if arguments.name is None:
                shown(reach, node, rows, _COMMANDS, output)
                return
            row = _named(reach, node, rows, arguments.name)
            where = (row["pid"], row["number"])
            if row["auth"] == _PUBLIC and not reach.signs and not token:
                result = reach.ask(node, "call", *where).get("result")
            else:
                acts_on = struct.pack("<BxH", *where) + token
                result = reach.command(node, "call", c.CALL, acts_on)
            facts = {"node": node, "pid": row["pid"], "oid": row["oid"], "result": result}
            given = "done" if result is None else str(result)
            output.result(facts, f"{reach.where(node)}: {arguments.name}: {given}")

        return reach.each(call)
