# SPDX-License-Identifier: MIT
"""What a node runs and keeps, and what changes it: `ps`, `status`, `slots`, `boot`, `activate`,
`confirm`, `rollback`, `abort`, `kill`, `reset`."""

import argparse
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hsx.link import command as c

from .. import image_set, outcome
from ..arguments import integer
from ..errors import ToolError
from ..output import Output, table
from ..reach import LINK_HELP, Reach, add_options
from . import Commands

_READS = {
    "ps": "Shows the tasks of a node: what they are, what they do, what they cost.",
    "status": "Shows the state of a node's store: active set, trial, floor, a set on its way.",
    "slots": "Shows the two banks of a node, the digest of each set and its images.",
    "boot": "Shows how a node came up: what was tried, in which order, why something was refused.",
}
_CHANGES = {
    "activate": (
        "run a set that was pushed with --no-activate",
        """\
Runs the set that was pushed with --no-activate, on trial. The command names the set by its digest:
give the same files, or the digest that push has shown.""",
        " apps/hello.hxe",
    ),
    "confirm": (
        "the set on trial is good",
        """\
Says that the set on trial is good: it stays. A set that has run for a quiet minute does so by
itself.""",
        "",
    ),
    "rollback": (
        "back to the set before",
        "Goes back to the set before, which runs at once.",
        "",
    ),
    "abort": (
        "end a transfer that is on its way",
        """\
Ends the transfer that is on its way into a node, whichever link it comes by and whoever sends it;
without one, gives up the set that was pushed with --no-activate. What has arrived stays in the
store, for the next push of the same set.""",
        "",
    ),
    "kill": ("end a task", "Ends a task; 'hsxctl ps' shows its PID.", " 3"),
    "reset": (
        "start a node anew",
        """\
Resets a node, once it has answered. With --safe it starts nothing then, and waits for what a host
says; the reset after that is a plain one again.""",
        " --safe",
    ),
}
_DIGEST = 16  # bytes


def add_parser(commands: Commands) -> None:
    """Adds the verbs to the argument tree."""
    for name, what in _READS.items():
        parser = _parser(commands, name, what.partition(":")[0].lower(), what, "")
        add_options(parser, signs=False)
        reads = {"ps": run_ps, "status": run_status, "slots": run_slots, "boot": run_boot}
        parser.set_defaults(run=reads[name])
    runs: dict[str, Callable[[argparse.Namespace, Output], int]] = {
        "activate": run_activate,
        "confirm": run_confirm,
        "rollback": run_rollback,
        "abort": run_abort,
        "kill": run_kill,
        "reset": run_reset,
    }
    for name, (line, text, more) in _CHANGES.items():
        parser = _parser(commands, name, line, text, more)
        if name == "activate":
            parser.add_argument("set", nargs="+", metavar="FILE.hxe|manifest|DIGEST")
        elif name == "confirm":
            parser.add_argument(
                "--floor",
                type=integer(0, 0xFFFFFFFF),
                default=0,
                metavar="EPOCH",
                help="from now on nothing older, but at most the epoch of this set",
            )
        elif name == "kill":
            parser.add_argument("pid", type=integer(1, 255), metavar="PID")
        elif name == "reset":
            parser.add_argument("--safe", action="store_true", help="into the safe mode")
        add_options(parser)
        parser.set_defaults(run=runs[name])


def _parser(
    commands: Commands, name: str, line: str, text: str, more: str
) -> argparse.ArgumentParser:
    return commands.add_parser(
        name,
        help=line.rstrip("."),
        description=f"{text}\n\n{LINK_HELP}\nexample:\n"
        f"  hsxctl {name}{more} --uart /dev/ttyUSB0\n",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def shown(
    reach: Reach, node: int, rows: list[dict[str, Any]], names: dict[str, str], output: Output
) -> None:
    """A list of one node: an object a row for a program, a table for a person. `names`: field to
    heading."""
    if output.as_json:
        for row in rows:
            facts = {key: _plain(value) for key, value in row.items()}
            output.result({"node": node, **facts}, "")
        return
    title = f"{reach.where(node)}:\n" if len(reach.numbers) > 1 else ""
    cells = [[_plain(row.get(name)) for name in names] for row in rows]
    output.result({}, title + table(list(names.values()), cells))


def _plain(value: Any) -> Any:
    return value.hex() if isinstance(value, bytes) else value


# ---- reading ----------------------------------------------------------------------------------

_PS = {
    "pid": "PID",
    "app_name": "NAME",
    "state": "STATE",
    "priority": "PRI",
    "accounted_steps": "STEPS",
    "memory": "MEMORY",
    "stop": "STOP",
    "program": "SOURCE",
}
_BOOT = {"source": "SOURCE", "result": "RESULT", "code": "CODE", "detail": "DETAIL", "ms": "MS"}
_IMAGES = {"bank": "BANK", "name": "NAME", "version": "VERSION", "length": "BYTES"}


def run_ps(arguments: argparse.Namespace, output: Output) -> int:
    """The tasks of each node."""
    with Reach(arguments, output) as reach:
        return reach.each(lambda node: shown(reach, node, reach.rows(node, "ps"), _PS, output))


def run_status(arguments: argparse.Namespace, output: Output) -> int:
    """A line for each node."""
    with Reach(arguments, output) as reach:

        def show(node: int) -> None:
            facts = reach.ask(node, "status")
            text = f"{reach.where(node)}: bank {facts['active']} {facts['state']}"
            text += f", generation {facts['generation']}, floor {facts['floor']}"
            if facts["trial"]:
                text += f", trial {facts['trial']} with {facts['attempts']} attempts"
            if facts["total"]:
                ready = ", ready" if facts["ready"] else ""
                text += f", {facts['staged']} of {facts['total']} bytes staged{ready}"
            if facts.get("digest"):
                text += f", set {facts['digest'].hex()}"
            plain = {key: _plain(value) for key, value in facts.items()}
            output.result({"node": node, **plain}, text)

        return reach.each(show)


def run_slots(arguments: argparse.Namespace, output: Output) -> int:
    """The banks of each node, and what is in them."""
    with Reach(arguments, output) as reach:

        def show(node: int) -> None:
            for number, slot in enumerate(reach.rows(node, "slots")):
                images = reach.rows(node, "images", number) if slot["images"] else []
                told = [{key: _plain(value) for key, value in row.items()} for row in images]
                facts = {"node": node, **slot, "digest": slot["digest"].hex(), "images": told}
                text = f"{reach.where(node)}: bank {slot['bank']} {slot['state']}"
                text += ", active" if slot["active"] else ""
                if images:
                    text += f", set {facts['digest']}\n"
                    rows = [{"bank": slot["bank"], **image} for image in images]
                    cells = [[row[name] for name in _IMAGES] for row in rows]
                    text += table(list(_IMAGES.values()), cells)
                output.result(facts, text)

        return reach.each(show)


def run_boot(arguments: argparse.Namespace, output: Output) -> int:
    """The report of each node's last boot."""
    with Reach(arguments, output) as reach:
        return reach.each(lambda node: shown(reach, node, reach.rows(node, "boot"), _BOOT, output))


# ---- changing ---------------------------------------------------------------------------------


def run_activate(arguments: argparse.Namespace, output: Output) -> int:
    """Runs the staged set."""
    digest = _digest(arguments.set)
    with Reach(arguments, output) as reach:

        def activate(node: int) -> None:
            reach.command(node, "activate", c.ACTIVATE, digest)
            slot = outcome.running(reach, node, digest)
            facts = {"node": node, "digest": digest.hex(), "bank": slot["bank"]}
            facts["state"] = slot["state"]
            output.result(facts, f"{reach.where(node)}: set {digest.hex()} runs, {slot['state']}")

        return reach.each(activate)


def _digest(words: list[str]) -> bytes:
    """Of a set that is named by its digest or its files."""
    if len(words) == 1 and not Path(words[0]).exists():
        try:
            digest = bytes.fromhex(words[0])
        except ValueError:
            digest = b""
        if len(digest) == _DIGEST:
            return digest
    return image_set.bank([Path(word) for word in words]).digest


def run_confirm(arguments: argparse.Namespace, output: Output) -> int:
    """The active set stays."""
    with Reach(arguments, output) as reach:

        def confirm(node: int) -> None:
            digest = _of(reach, node, active=True)
            acts_on = digest + struct.pack("<I", arguments.floor)
            reach.command(node, "confirm", c.CONFIRM, acts_on)
            facts = {"node": node, "digest": digest.hex()}
            output.result(facts, f"{reach.where(node)}: set {digest.hex()} is confirmed")

        return reach.each(confirm)


def run_rollback(arguments: argparse.Namespace, output: Output) -> int:
    """The other set runs again."""
    with Reach(arguments, output) as reach:

        def rollback(node: int) -> None:
            digest = _of(reach, node, active=False)
            reach.command(node, "rollback", c.ROLLBACK, digest)
            slot = outcome.running(reach, node, digest)
            facts = {"node": node, "digest": digest.hex(), "bank": slot["bank"]}
            facts["state"] = slot["state"]
            output.result(facts, f"{reach.where(node)}: set {digest.hex()} runs again")

        return reach.each(rollback)


def run_abort(arguments: argparse.Namespace, output: Output) -> int:
    """Nothing is on its way into the nodes."""
    with Reach(arguments, output) as reach:

        def abort(node: int) -> None:
            reach.command(node, "abort", c.ABORT, b"")
            output.result({"node": node}, f"{reach.where(node)}: nothing is on its way now")

        return reach.each(abort)


def _of(reach: Reach, node: int, active: bool) -> bytes:
    """The digest of the set that is active, or of the other one."""
    for slot in reach.rows(node, "slots"):
        if slot["active"] == active and slot["images"]:
            return slot["digest"]
    raise ToolError(
        "ENOENT: there is no such set", reach.where(node), "Look what is there: 'hsxctl slots'."
    )


def run_kill(arguments: argparse.Namespace, output: Output) -> int:
    """Ends a task on each node."""
    with Reach(arguments, output) as reach:

        def kill(node: int) -> None:
            reach.command(node, "kill", c.KILL, bytes([arguments.pid]))
            facts = {"node": node, "pid": arguments.pid}
            output.result(facts, f"{reach.where(node)}: PID {arguments.pid} is ended")

        return reach.each(kill)


def run_reset(arguments: argparse.Namespace, output: Output) -> int:
    """Each node starts anew."""
    with Reach(arguments, output) as reach:

        def reset(node: int) -> None:
            reach.command(node, "reset", c.RESET, bytes([arguments.safe]))
            into = " into the safe mode" if arguments.safe else ""
            facts = {"node": node, "safe": arguments.safe}
            output.result(facts, f"{reach.where(node)}: is reset{into}")

        return reach.each(reset)
