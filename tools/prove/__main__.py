# SPDX-License-Identifier: MIT
"""What `make prove` runs: all checks of a board, one after the other, and the report."""

import argparse
import functools
import sys
import time
from collections.abc import Callable
from pathlib import Path

from hsxctl.errors import DONE, INTERRUPTED, REFUSED, USAGE

from . import board, bus, disturb, links, medium, store
from .desk import Desk
from .report import Figures, Report

_REPORT = Path("build/prove.txt")
_HELP = """\
Checks a flashed board over its REPL, its UART and CAN, and writes a report to send. Ports that are
not named are left out. Without --erase nothing that the board keeps is lost; with it the store is
made anew, before and after.

example:
  make prove BOARD=PYBV11 REPL=/dev/ttyACM0 UART=/dev/ttyUSB0 CAN=slcan:/dev/ttyACM1
  make prove BOARD=NUCLEO_F446RE REPL=/dev/ttyACM0 CAN=can0 ERASE=yes
  make prove BOARD=NUCLEO_F446RE            the same board, emulated

exit codes: 0 nothing failed, 1 something failed, 2 wrong usage, 130 ended by Ctrl-C. docs/prove.md
says what each check does.
"""

Check = tuple[str, Callable[[], Figures]]


def checks(desk: Desk) -> list[Check]:
    """All of them, in their order: what looks comes before what disturbs."""
    made: list[tuple[str, Callable[..., Figures], tuple[str, ...]]] = [
        ("board", board.identity, ()),
        ("memory", board.memory, ()),
        ("boot", board.boot, ()),
        ("clocks", board.clocks, ()),
        ("FRAM found", medium.found, ()),
        ("FRAM patterns", medium.patterns, ()),
        ("FRAM pace", medium.pace, ()),
        ("empty store", store.erase, ()),
        ("questions over UART", links.questions, ("UART",)),
        ("load over UART", links.load, ("UART",)),
        ("questions over CAN", links.questions, ("CAN",)),
        ("load over CAN", links.load, ("CAN",)),
        ("Ctrl-C while a host streams", disturb.ctrl_c, ()),
        ("full CAN bus", bus.burst, ()),
        ("CAN frames with a DLC above 8", bus.long_frames, ()),
        ("bus-off", bus.bus_off, ()),
        ("app from the card", disturb.card, ()),
        ("reset within a staging", store.resumed, ()),
        ("update over UART", store.cycle, ("UART",)),
        ("update over CAN", store.cycle, ("CAN",)),
        ("reset within a read", disturb.resets, ()),
        ("watchdog", disturb.watchdog, ()),
        ("empty store at the end", store.erase, ()),
    ]
    return [(title, functools.partial(make, desk, *more)) for title, make, more in made]


def prove(desk: Desk, path: Path) -> int:
    """Makes all checks and writes the report; the exit code."""
    facts: Figures = {"time": time.strftime("%Y-%m-%d %H:%M"), "board": desk.board or "not said"}
    facts.update({kind: port or "not given" for kind, port in desk.port.items()})
    facts.update({"may erase": desk.erase, "quick": desk.quick})
    report = Report(facts, lambda text: print(text, flush=True))
    status = DONE
    try:
        _log(desk, report, "log of the node, at the beginning")
        made = checks(desk)
        for number, (title, make) in enumerate(made, 1):
            report.check(f"{number}/{len(made)} {title}", make)
        _log(desk, report, "log of the node, at the end")
    except KeyboardInterrupt:
        print("interrupted: the report has what was done", flush=True)
        status = INTERRUPTED
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(report.text())
    print(f"\n{report.summary()}\nreport: {path.resolve()}", flush=True)
    return status or (REFUSED if report.failed else DONE)


def _log(desk: Desk, report: Report, title: str) -> None:
    if desk.port["REPL"] is not None:
        report.check(title, lambda: board.log(desk, report, title))


def arguments() -> argparse.ArgumentParser:
    """The options."""
    parser = argparse.ArgumentParser(
        prog="make prove",
        description=_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("board", nargs="?", metavar="BOARD", help="BOARD=: which it should be")
    parser.add_argument("--repl", metavar="PORT", help="REPL=: port of its REPL")
    parser.add_argument("--uart", metavar="PORT", help="UART=: port of its link to a host")
    parser.add_argument(
        "--can", metavar="INTERFACE:CHANNEL", help="CAN=: as python-can names it, or can0"
    )
    parser.add_argument(
        "--bitrate", type=int, default=500_000, metavar="N", help="BITRATE=: of CAN (500000)"
    )
    parser.add_argument(
        "--erase", action="store_true", help="ERASE=yes: what the board keeps may be lost"
    )
    parser.add_argument(
        "--quick", action="store_true", help="QUICK=yes: a minute instead of ten, fewer tries"
    )
    parser.add_argument(
        "--report", type=Path, default=_REPORT, help=f"REPORT=: the file, default {_REPORT}"
    )
    return parser


def main(argv: list[str] | None = None) -> int:
    """Proves the board that is named; the exit code."""
    parser = arguments()
    given = parser.parse_args(argv)
    if not (given.repl or given.uart or given.can):
        print("make prove: name at least one of REPL=, UART= and CAN=", file=sys.stderr)
        return USAGE
    desk = Desk(
        given.board,
        given.repl,
        given.uart,
        given.can,
        given.bitrate,
        given.erase,
        given.quick,
    )
    return prove(desk, given.report)


if __name__ == "__main__":
    sys.exit(main())
