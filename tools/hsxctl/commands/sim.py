# SPDX-License-Identifier: MIT
"""`hsxctl sim`: a node on the desk, or a bus of them."""

import argparse
import sys
from pathlib import Path

from .. import errors
from ..errors import ToolError
from ..output import Output
from ..simulate.qemu import QemuNode
from ..simulate.unix import UnixNode
from . import Commands, sim_bus

_HELP = """\
Starts a node and shows its console (boot log and the apps' text) until Ctrl-C, which ends it.

m4    the Cortex-M4 firmware in QEMU, with an SD card and FRAM from files; says how to connect to
      its REPL.
unix  the same package in MicroPython's unix port: faster, the same card and FRAM, no REPL.

With --nodes: so many nodes on one CAN bus, unix ones and as many in QEMU as --m4 says, numbered
from 1 on. Arbitration and time on the bus are real, faults are as asked for. Programs reach it as
the interface hsx-bench of python-can, hsxctl by '--can hsx-bench:PORT': see docs/bench_bus.md.

Needs: qemu-system-arm and the firmware that 'make firmware' builds (m4), or the program that
'make sim' builds (unix).

example:
  hsxctl sim --nodes 10 --m4 1 --loss 0.01
  hsxctl sim --sd card.img --fram fram.bin
  hsxctl sim --target unix --sd card.img
"""

_WAIT_S = 1.0  # how long it may stay unnoticed that the node ended
_FIRMWARE = {"m4": Path("build/qemu_m4/firmware.elf"), "unix": Path("build/sim/micropython")}


def add_parser(commands: Commands) -> None:
    """Adds `sim` to the argument tree."""
    parser = commands.add_parser(
        "sim",
        help="start a simulated node",
        description=_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--target", choices=tuple(_FIRMWARE), default="m4", help="default: m4")
    parser.add_argument("--sd", type=Path, metavar="card.img", help="the SD card")
    parser.add_argument("--fram", type=Path, metavar="FILE", help="FRAM, made if missing")
    parser.add_argument("--uid", default="", help="unique id of an m4: 1 to 8 letters and digits")
    parser.add_argument(
        "--firmware",
        type=Path,
        metavar="FILE",
        help="default: {m4} or {unix}, from the project's folder".format_map(_FIRMWARE),
    )
    parser.add_argument("--json", action="store_true", help="only the ports, as one JSON object")
    sim_bus.add_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace, output: Output) -> int:
    """Runs until Ctrl-C, or until the node ends by itself."""
    if arguments.nodes is not None:
        return _run_bus(arguments, output)
    firmware = arguments.firmware or _FIRMWARE[arguments.target]
    if arguments.target == "unix":
        return _run_unix(firmware, arguments, output)
    return _run_m4(firmware, arguments, output)


def _run_bus(arguments: argparse.Namespace, output: Output) -> int:
    for name in ("sd", "fram", "uid"):
        if getattr(arguments, name):
            raise ToolError(
                f"--{name} is of one node", "", "With --nodes each has its own.", errors.USAGE
            )
    programs = dict(_FIRMWARE)
    if arguments.firmware:
        programs[arguments.target] = arguments.firmware
    return sim_bus.run(arguments, programs, output)


def _run_m4(firmware: Path, arguments: argparse.Namespace, output: Output) -> int:
    with QemuNode(firmware, sd=arguments.sd, fram=arguments.fram, uid=arguments.uid) as node:
        if output.as_json:
            ports = {name: getattr(node, name) for name in ("repl", "console", "uart2", "uart3")}
            output.result(ports, "")
        output.note(
            f"REPL on {node.repl}:\n"
            f'  mpremote connect {node.repl} resume exec "import hsx; hsx.ps()"\n'
            f"UART 2 on {node.uart2}, SLCAN (UART 3) on {node.uart3}\n"
            f"console below (also on {node.console}); Ctrl-C ends the node"
        )
        try:
            _show(node, output)
        except KeyboardInterrupt:
            output.note("\nhsxctl: the node is ended; SD card and FRAM keep what was written")
            return errors.INTERRUPTED
    raise _ended()


def _run_unix(firmware: Path, arguments: argparse.Namespace, output: Output) -> int:
    with UnixNode(firmware, sd=arguments.sd, fram=arguments.fram) as node:
        if output.as_json:
            output.result({"pid": node.pid}, "")
        output.note("console below; Ctrl-C ends the node")
        try:
            _show(node, output)
        except KeyboardInterrupt:
            _write(node.end(), output)
            output.note("\nhsxctl: the node is ended")
            return errors.INTERRUPTED
    raise _ended()


def _show(node: QemuNode | UnixNode, output: Output) -> None:
    while node.running:
        _write(node.read_console(_WAIT_S), output)


def _write(text: bytes, output: Output) -> None:
    target = sys.stderr.buffer if output.as_json else sys.stdout.buffer
    target.write(text)
    target.flush()


def _ended() -> ToolError:
    return ToolError("the node has ended by itself", "", "Start it again.", errors.NO_NODE)
