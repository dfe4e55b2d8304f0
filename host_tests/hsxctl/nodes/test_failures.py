# SPDX-License-Identifier: MIT
"""Everything that may go wrong with a command about a node: its exit code and all that it says.

The table is docs/troubleshooting.md's, which shows it as people see it. With HSX_WRITE_DOCS in the
environment it is written there anew.
"""

import contextlib
import itertools
import os
import pty
import re
import time
import tty
from pathlib import Path
from typing import NamedTuple

import can
import pytest
import serial

import hsx
from bench.apps import a_command, a_value
from bench.apps import an_app as app_of
from bench.links import SIGNED, LinksBench, wait_for
from docs.console import compare
from hsx.link.can_framing import LOAD, begin, ident
from hsx.service.policy import REQUIRE
from hsxctl.connect.serial import SerialLink
from hsxctl.fleet import record
from hsxctl.fleet import rollout as r
from pty_repl import PtyRepl

DOCUMENT = Path(__file__).parents[3] / "docs" / "troubleshooting.md"
MARKS = ("<!-- table of failures -->\n", "<!-- end -->\n")


class Failure(NamedTuple):
    """`words`: the command, UART, CAN, REPL and SIGNED stand for options; `before(setting)`: what
    is wrong; `says`: all of it, with {uart}, {can}, {repl} for the names of ports."""

    when: str
    words: str
    status: int
    says: str
    before: str = ""


FAILURES = [
    Failure(
        "there is no such port",
        "ps --uart /dev/no-such-port",
        3,
        "/dev/no-such-port: cannot open the port: [Errno 2] could not open port "
        "/dev/no-such-port: [Errno 2] No such file or directory: '/dev/no-such-port'. Check its "
        "name, the cable, and whether another program has it.",
    ),
    Failure(
        "nobody is on the line, it is the REPL, or the baud rate is wrong",
        "ps --uart SILENT",
        3,
        "{silent}: no node answers. Check that this is the node's link and not its REPL, and the "
        "baud rate.",
        "silence",
    ),
    Failure(
        "the cable is pulled",
        "push large.hxe UART SIGNED",
        3,
        "{uart}: the line is lost: device disconnected. Plug it in and try again: a node that "
        "stages goes on where it was.",
        "pulled",
    ),
    Failure(
        "another node is on the line",
        "ps UART --node 6",
        3,
        "{uart}: here is node 5, not 6. Is this the right port?",
    ),
    Failure(
        "python-can has no such interface",
        "ps --can no-such-interface:0",
        3,
        "no-such-interface:0: cannot open the CAN interface: Unknown interface type "
        '"no-such-interface". Check interface, channel and bit rate, and whether another program '
        "has it.",
    ),
    Failure(
        "nobody is on the bus, or no node has a number yet",
        "ps --can virtual:empty",
        3,
        "virtual:empty: no node answers. Check bit rate and wires; a node without a number is "
        "silent: 'hsxctl nodes'.",
    ),
    Failure(
        "no node has this number",
        "status CAN --node 6",
        3,
        "{can}: node 6 does not answer. Check its number ('hsxctl nodes'), the bit rate, the "
        "wires and the terminators.",
    ),
    Failure(
        "several nodes are there and none is named",
        "ps CAN",
        2,
        "{can}: nodes 5, 9 answer. Say which: --node N, or --node all.",
        "two nodes",
    ),
    Failure(
        "another master has the bus",
        "push pump.hxe CAN SIGNED --node 5",
        1,
        "{can}: EBUSY: another master is sending on this bus. Nothing was sent: wait until it is "
        "done, or end it.",
        "second master",
    ),
    Failure(
        "the port has no REPL",
        "ps --repl SILENT",
        3,
        "{silent}: no REPL answers: could not enter raw repl. Check that this is the REPL's port "
        "and the baud rate, and push again: it goes on.",
        "silence",
    ),
    Failure(
        "MicroPython is there, and no node",
        "ps REPL",
        3,
        "{repl}: the node says: hsx.errors.HsxError: [Errno 19] no node runs: see the boot log. "
        "Is an HSX node here, and of this version? Its boot log tells what went wrong.",
        "no node",
    ),
    Failure(
        "no link is named",
        "ps",
        2,
        "one of --uart, --can and --repl is needed. Give one, or hsxctl.toml.",
    ),
    Failure(
        "two links are named",
        "ps --uart a --can b",
        2,
        "one of --uart, --can and --repl is needed. Give one, or hsxctl.toml.",
    ),
    Failure(
        "the settings have a key that does not exist",
        "ps UART",
        2,
        "hsxctl.toml: unknown key 'port'. There are: uart, baud, can, repl, bitrate, share, "
        "options, node, network, key.",
        "wrong settings",
    ),
    Failure(
        "an image is damaged",
        "push damaged.hxe UART",
        1,
        "damaged.hxe: EBADMSG at verify, offset 28: checksum differs. The file is damaged or no "
        "HXE image: copy or build it again.",
        "damaged",
    ),
    Failure(
        "a file is not there",
        "push gone.hxe UART",
        1,
        "gone.hxe: ENOENT: No such file or directory. Check the path.",
    ),
    Failure(
        "a manifest is wrong",
        "push hsx.toml UART",
        1,
        "hsx.toml:1: manifest has no schema = 1. See docs/sd_manifest.md.",
        "wrong manifest",
    ),
    Failure(
        "two images have one name",
        "push pump.hxe pump.hxe UART",
        1,
        "two images are called pump. Send one of them.",
    ),
    Failure(
        "the key is not there",
        "push pump.hxe UART --key gone.pem",
        1,
        "gone.pem: ENOENT: No such file or directory. Check the path.",
    ),
    Failure(
        "the node wants a signature",
        "push pump.hxe UART --network 42",
        1,
        "node 5 on {uart}: push: EACCES at begin: command is not signed. Sign it: --key FILE.",
    ),
    Failure(
        "the node wants signed images",
        "push pump.hxe UART SIGNED",
        1,
        "node 5 on {uart}: push: EACCES at verify: it is not signed. Sign the image: 'hsxctl "
        "sign' (docs/security.md).",
        "signed images",
    ),
    Failure(
        "the node does not know the key",
        "push pump.hxe UART SIGNED --key stranger.pem",
        1,
        "node 5 on {uart}: push: EACCES at verify: the key is not trusted here. Sign with a key "
        "that the node trusts (docs/security.md).",
    ),
    Failure(
        "the key may do less",
        "push pump.hxe UART SIGNED --key user.pem",
        1,
        "node 5 on {uart}: push: EACCES at begin: the key's role does not reach. Sign with a key "
        "of a higher role (docs/security.md).",
    ),
    Failure(
        "the node is of another network",
        "push pump.hxe UART SIGNED --network 7",
        1,
        "node 5 on {uart}: push: EACCES at begin: command is for another network. Say which one "
        "it is: --network.",
    ),
    Failure(
        "this computer's clock is behind",
        "push valve.hxe UART SIGNED --counter 3",
        1,
        "node 5 on {uart}: push: EPERM at begin: command was seen before. Its counter is the "
        "time: set this computer's clock, or give a higher --counter.",
        "high counter",
    ),
    Failure(
        "the set is larger than a bank",
        "push huge.hxe UART SIGNED",
        1,
        "node 5 on {uart}: push: ENOSPC at begin: set does not fit into a bank. Send fewer or "
        "smaller images.",
    ),
    Failure(
        "no memory is left for a task",
        "push huge.hxe --volatile UART SIGNED",
        1,
        "node 5 on {uart}: push: ENOSPC at write: not enough VM memory. End something "
        "('hsxctl kill'), or send less.",
    ),
    Failure(
        "a set is on trial",
        "push valve.hxe UART SIGNED",
        1,
        "node 5 on {uart}: push: EBUSY at begin: a set is on trial. Keep it ('hsxctl confirm') "
        "or give it up ('hsxctl rollback') first.",
        "on trial",
    ),
    Failure(
        "an app of the name runs",
        "push single.hxe --volatile UART SIGNED",
        1,
        "node 5 on {uart}: push: EEXIST at write: an app of this name is running. An app of "
        "this name runs already: end it first, 'hsxctl kill'.",
        "single",
    ),
    Failure(
        "the epoch is too low",
        "push valve.hxe UART SIGNED",
        1,
        "node 5 on {uart}: push: EPERM at verify: epoch is below the floor. The node takes "
        "nothing that old: build it with a newer epoch.",
        "floor",
    ),
    Failure(
        "the node has no store",
        "status UART",
        1,
        "node 5 on {uart}: status: ENODEV at begin: there is no store. Format it, at the node's "
        "REPL: hsx.format('erase everything').",
        "no store",
    ),
    Failure(
        "the node has no FRAM",
        "push pump.hxe UART SIGNED",
        1,
        "node 5 on {uart}: push: ENODEV at begin: the board has no store. It has no FRAM, or that "
        "does not answer: look at its wires.",
        "no fram",
    ),
    Failure(
        "there is nothing to go back to",
        "rollback UART SIGNED",
        1,
        "node 5 on {uart}: ENOENT: there is no such set. Look what is there: 'hsxctl slots'.",
    ),
    Failure(
        "another set is staged, or none",
        "activate pump.hxe UART SIGNED",
        1,
        "node 5 on {uart}: activate: ENOENT at begin: there is no such set. Look what is there: "
        "'hsxctl ps', 'values list', 'slots'.",
    ),
    Failure(
        "nothing is on its way",
        "abort UART SIGNED",
        1,
        "node 5 on {uart}: abort: ENOENT at begin: no transfer is on its way. It has ended, or "
        "somebody has ended it: 'hsxctl status'.",
    ),
    Failure(
        "no task has this PID",
        "kill 9 UART SIGNED",
        1,
        "node 5 on {uart}: kill: ESRCH at begin: no task has this PID. Look what runs: 'hsxctl "
        "ps'.",
    ),
    Failure(
        "no value has this name",
        "values get lever UART",
        1,
        "node 5 on {uart}: ENOENT: no 'lever'. There is level, serial.",
        "tank",
    ),
    Failure(
        "a value may only be read",
        "values set serial 3 UART",
        1,
        "node 5 on {uart}: set: EPERM at begin: the value is read-only or above this "
        "level. It is not PUBLIC or read-only: sign with a key whose role reaches, --key.",
        "tank",
    ),
    Failure(
        "a command of an app faults",
        "call break UART",
        1,
        "node 5 on {uart}: call: EIO at begin: the command did not return. Its handler faulted or "
        "ran too long, or the medium failed: 'hsxctl events'.",
        "tank",
    ),
    Failure(
        "Ctrl-C",
        "push large.hxe UART SIGNED",
        130,
        "push given up: the node runs what it ran, what has arrived stays\nhsxctl: interrupted",
        "interrupted",
    ),
    Failure(
        "a roll-out is not over",
        "push pump.hxe CAN --canaries 1",
        2,
        "rollout.json: a roll-out in this file is not over. Go on with it: 'hsxctl fleet resume "
        "rollout.json'; or name another file: --state.",
        "open roll-out",
    ),
]


class Setting:
    """What a test needs to make something go wrong."""

    def __init__(self, bench, hsxctl, monkeypatch, stack):
        self.bench, self.hsxctl, self.patch, self.stack = bench, hsxctl, monkeypatch, stack
        self.node = bench.nodes[0]
        self.silent = "no port"

    def silence(self):
        ask = SerialLink.hello
        self.patch.setattr(SerialLink, "hello", lambda link: ask(link, 0.3))
        self.patch.setattr("hsxctl.connect.repl._PATIENCE", 0.3)
        handle, theirs = pty.openpty()
        tty.setraw(theirs)
        self.silent = os.ttyname(theirs)
        self.stack.callback(lambda: [os.close(end) for end in (handle, theirs)])

    def pulled(self):
        read = serial.Serial.read

        def pulled(port, size=1):
            if self.bench.told("provisioning.started"):
                raise serial.SerialException("device disconnected")
            return read(port, size)

        self.patch.setattr(serial.Serial, "read", pulled)

    def interrupted(self):
        def interrupt(port, size=1):
            if self.bench.told("provisioning.started") and not struck:
                struck.append(True)
                raise KeyboardInterrupt
            return read(port, size)

        read, struck = serial.Serial.read, []
        self.patch.setattr(serial.Serial, "read", interrupt)

    def two_nodes(self):
        pass  # the bench has been made so

    def second_master(self):
        other = self.stack.enter_context(can.Bus(interface="virtual", channel=self.bench.channel))
        message = can.Message(
            arbitration_id=ident(LOAD), data=begin(1, 512, 17, 0), is_extended_id=False
        )
        task = other.send_periodic(message, 0.2)
        self.stack.callback(task.stop)

    def no_node(self):
        hsx._kept.clear()

    def wrong_settings(self):
        Path("hsxctl.toml").write_text("port = 3")

    def damaged(self):
        data = bytearray(Path("pump.hxe").read_bytes())
        data[-1] ^= 1
        Path("damaged.hxe").write_bytes(data)

    def wrong_manifest(self):
        Path("hsx.toml").write_text("schema = 2")

    def signed_images(self):
        self.node.policy.signatures = REQUIRE

    def on_trial(self, *more):
        words = ["push", "pump.hxe", *self.bench.uart, *SIGNED, *more]
        assert self.hsxctl(*words).status == 0
        wait_for(self.bench, "pump")

    def high_counter(self):
        self.on_trial("--counter", int(time.time()) + 1000)
        with self.bench.lock:
            self.node.provisioning.confirm()

    def floor(self):
        self.on_trial()
        with self.bench.lock:
            self.node.provisioning.confirm()
            self.node.provisioning.store.superblocks.state.floor = 5

    def single(self):
        from bench.images import SPIN, an_image

        image = an_image(SPIN, name="single", multiple=False)
        Path("single.hxe").write_bytes(image)
        with self.bench.lock:
            self.node.load(image)

    def no_store(self):
        with self.bench.lock:
            self.node.provisioning._store.superblocks.valid = False

    def no_fram(self):
        self.node.service.KEEPS_SETS = False

    def tank(self):
        values = [a_value(0x0101, name="level"), a_value(0x0103, 1, name="serial")]
        commands = [a_command(0x0205, handler=20, name="break")]
        with self.bench.lock:
            self.node.load(app_of(values=values, commands=commands))

    def open_roll_out(self):
        rollout = r.Rollout("00" * 16, nodes={5: r.Node()})
        record.Record(Path("rollout.json"), rollout, [], [], "bus").save(0)


@pytest.mark.requirement("P-47")
@pytest.mark.parametrize("failure", FAILURES, ids=[failure.when for failure in FAILURES])
def test_failure_has_its_exit_code_and_says_what_where_and_what_to_do(
    failure, hsxctl, monkeypatch
):
    numbers = (5, 9) if failure.before == "two nodes" else (5,)
    with contextlib.ExitStack() as stack:
        bench = stack.enter_context(LinksBench(*numbers))
        setting = Setting(bench, hsxctl, monkeypatch, stack)
        repl = ["--repl", "no port"]
        if "REPL" in failure.words:
            hsx.attach(bench.nodes[0].runtime)
            stack.callback(hsx._kept.clear)
            repl[1] = stack.enter_context(PtyRepl(bench.lock)).path
        if failure.before:
            getattr(setting, re.sub(r"\W", "_", failure.before))()
        options = {"UART": bench.uart, "CAN": bench.can, "REPL": repl, "SIGNED": SIGNED}
        options["SILENT"] = [setting.silent]
        words = [options.get(word, [word]) for word in failure.words.split()]
        said = hsxctl(*itertools.chain(*words))
    ports = {"uart": bench.uart[1], "can": bench.can[1], "repl": repl[1], "silent": setting.silent}
    assert (said.status, said.out) == (failure.status, "")
    assert said.err == f"hsxctl: {failure.says.format(**ports)}\n"


# ---- the document ------------------------------------------------------------------------------

_PORTS = {"uart": "/dev/ttyUSB0", "can": "socketcan:can0", "repl": "/dev/ttyACM0"}
_PORTS["silent"] = "/dev/ttyUSB0"


def rows():
    """The table, as Markdown."""
    lines = ["| when | exit code | `hsxctl` says |", "|---|---|---|"]
    for failure in FAILURES:
        says = (
            failure.says.format(**_PORTS).replace("\n", "<br>").replace("hsxctl: inter", "inter")
        )
        lines.append(f"| {failure.when} | {failure.status} | {says} |")
    return "\n".join(lines) + "\n"


def test_document_has_the_table():
    head, begin, rest = DOCUMENT.read_text().partition(MARKS[0])
    _, end, rest = rest.partition(MARKS[1])
    compare(DOCUMENT, head + begin + rows() + end + rest)
    assert len(FAILURES) >= 20
