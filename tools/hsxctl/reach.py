# SPDX-License-Identifier: MIT
"""Reach: the nodes that a command is for, over the link that it names, asked and told as it says.

All commands about nodes have the same options for that; what they leave open is in `settings`.
"""

import argparse
import contextlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

import hsx.errors
from hsx.errors import EPERM, ETIMEDOUT, HsxError
from hsx.link.host_messages import Reply, pack_request, read_list, unpack_reply, unpack_told

from . import settings
from .arguments import integer
from .commands.keys import private_key
from .connect import Nodes
from .connect.serial import BAUD
from .errors import DONE, NO_NODE, REFUSED, USAGE, ToolError
from .output import Output
from .signed_command import signed

NO_NUMBER = 127  # of a node
LATEST = 16  # events that are looked through for the reason of a refusal

LINK_HELP = """\
Needs: a link, --uart, --can or --repl, and a node on it. Links, node, network and key may stand in
hsxctl.toml or ~/.config/hsxctl.toml, for example: uart = "/dev/ttyUSB0".
"""

SEEN = "command was seen before"
_REMEDIES = {
    "command is not signed": "Sign it: --key FILE.",
    "command is for another network": "Say which one it is: --network.",
    "command is for another node": "Ask who is there: 'hsxctl nodes'.",
    SEEN: "Its counter is the time: set this computer's clock, or give a higher --counter.",
    "it is not signed": "Sign the image: 'hsxctl sign' (docs/security.md).",
    "the key may not sign images": "Sign the image with a key of a higher role: 'hsxctl sign'.",
    "the signature is another's": "The image was changed behind its signature: sign it again.",
    "the key is not trusted here": "Sign with a key that the node trusts (docs/security.md).",
    "the key's role does not reach": "Sign with a key of a higher role (docs/security.md).",
    "signature is not the command's": "The key file is not that of the key that the node trusts.",
    "epoch is below the floor": "The node takes nothing that old: build it with a newer epoch.",
    "set does not fit into a bank": "Send fewer or smaller images.",
    "the board has no store": "It has no FRAM, or that does not answer: look at its wires.",
    "a set is on trial": "Keep it ('hsxctl confirm') or give it up ('hsxctl rollback') first.",
    "the number is outside the value's range": "'hsxctl values --json' has its min and max.",
    "no transfer is on its way": "It has ended, or somebody has ended it: 'hsxctl status'.",
}
_BY_ERRNO = {
    hsx.errors.EPERM: "It is not PUBLIC or read-only: sign with a key whose role reaches, --key.",
    hsx.errors.ENOENT: "Look what is there: 'hsxctl ps', 'values list', 'slots'.",
    hsx.errors.ESRCH: "Look what runs: 'hsxctl ps'.",
    hsx.errors.EIO: "Its handler faulted or ran too long, or the medium failed: 'hsxctl events'.",
    hsx.errors.EEXIST: "An app of this name runs already: end it first, 'hsxctl kill'.",
    hsx.errors.EINVAL: "Look at the limits in docs/provisioning_protocol.md.",
    hsx.errors.EACCES: "Sign with a key that the node trusts: --key.",
    hsx.errors.EBUSY: "Try again in a moment; 'hsxctl status' says what goes on.",
    hsx.errors.ENODEV: "Format it, at the node's REPL: hsx.format('erase everything').",
    hsx.errors.ENOSPC: "End something ('hsxctl kill'), or send less.",
    hsx.errors.EBADMSG: "Check the file with 'hsxctl verify', and send it again.",
    hsx.errors.ENOTSUP: "This node is older or was built without it.",
    hsx.errors.ETIMEDOUT: "Check wires and power, and send it again: it goes on where it was.",
}


def node_list(text: str) -> "list[int] | str":
    """The type of --node: numbers, or "all"."""
    if text == "all":
        return text
    number = integer(1, NO_NUMBER - 1)
    return sorted({number(part) for part in text.split(",")})


def _pair(text: str) -> tuple[str, "str | int | float | bool"]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise argparse.ArgumentTypeError(f"'{text}' is no NAME=VALUE")
    if value in ("true", "false"):
        return name, value == "true"
    for convert in (int, float):
        try:
            return name, convert(value)
        except ValueError:
            pass
    return name, value


def add_options(parser: argparse.ArgumentParser, signs: bool = True, many: bool = True) -> None:
    """Adds the options of a command about nodes. `signs`: it may be signed; `many`: for more than
    one node at once."""
    link = parser.add_argument_group("link")
    link.add_argument("--uart", metavar="URL", help="serial port, or any URL of pyserial")
    link.add_argument("--baud", type=integer(1, 100_000_000), metavar="N", help="default: 115200")
    link.add_argument(
        "--can", metavar="INTERFACE:CHANNEL", help="as python-can names them: socketcan:can0"
    )
    link.add_argument("--bitrate", type=integer(1, 1_000_000), metavar="N", help="of the bus")
    link.add_argument(
        "--option",
        type=_pair,
        action="append",
        metavar="NAME=VALUE",
        help="another option of the CAN interface, by python-can's name",
    )
    link.add_argument("--repl", metavar="PORT", help="the node's MicroPython REPL, as mpremote")
    which = "N[,N..]|all" if many else "N"
    kind: Callable[[str], Any] = node_list if many else integer(1, NO_NUMBER - 1)
    parser.add_argument(
        "--node", type=kind, metavar=which, help="default: the only one that answers"
    )
    if signs:
        parser.add_argument(
            "--network", type=integer(0, 0xFFFFFFFF), metavar="N", help="of the nodes, default: 0"
        )
        parser.add_argument("--key", type=Path, metavar="KEY.pem", help="private: sign with it")
        parser.add_argument(
            "--counter",
            type=integer(1, 0xFFFFFFFF),
            metavar="N",
            help="of the first signed command, higher than in all before it by this key (default: "
            "the time, in seconds since 1970)",
        )
    parser.add_argument("--json", action="store_true", help="one JSON object per line")


class Reach:
    """Use it as a context manager. ToolError: wrong options, no link, no such node.

    `numbers`: the nodes that the command is for; `link`: how they are reached."""

    link: Nodes

    def __init__(self, arguments: argparse.Namespace, output: Output) -> None:
        self.output = output
        self._status = DONE
        given = vars(arguments)
        self._said = settings.load()
        if any(given.get(link) for link in settings.LINKS):
            for link in settings.LINKS:
                self._said.pop(link, None)
        self._said.update({key: given[key] for key in settings.KEYS if given.get(key) is not None})
        self._said.setdefault("options", {}).update(dict(given.get("option") or ()))
        key = self._said.get("key") if "key" in given else None
        self._key: Ed25519PrivateKey | None = private_key(Path(key)) if key else None
        self._counter: int | None = given.get("counter")
        self._last: dict[int, int] = {}  # counter of the last command for each node
        self.link = self._opened()
        self._network = self._said.get("network", getattr(self.link, "network", 0))
        self.numbers: list[int] = []

    def __enter__(self) -> "Reach":
        try:
            self.numbers = self._wanted()
        except BaseException:
            self.link.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.link.close()

    # ---- what a command does ----

    def each(self, do: Callable[[int], object]) -> int:
        """Does something with every node; what fails at one is told and the others go on. The exit
        code."""
        for node in self.numbers:
            try:
                do(node)
            except ToolError as error:
                self.fail(error)
        return self._status

    def fail(self, error: ToolError) -> None:
        """Tells an error of one node; the command then ends with its status, the highest one."""
        self.output.error(error)
        self._status = max(self._status, error.status)

    @property
    def status(self) -> int:
        """The exit code so far."""
        return self._status

    def ask(self, node: int, name: str, *numbers: int) -> dict[str, Any]:
        """The values of a reply. ToolError: refused."""
        return self._reply(node, name, pack_request(name, 0, *numbers)).values

    def rows(self, node: int, name: str, *numbers: int) -> list[dict[str, Any]]:
        """All rows of a list. ToolError: refused."""
        try:
            return read_list(lambda message: self.link.ask(node, message), name, *numbers)
        except HsxError as error:
            raise self.refused(node, name, error) from None

    def command(self, node: int, name: str, action: int, acts_on: bytes, **more: Any) -> Any:
        """Does a command of `link.command` on a node, signed if there is a key; the result of a
        CALL. `name`: what errors call it."""
        again = False
        while True:
            data = self.signed(action, acts_on, [node], **more)
            message = pack_request("command", 0, data=data)
            reply = unpack_reply(self.link.ask(node, message))
            if not again and reply.errno == EPERM and reply.detail == SEEN:
                again = self.may_sign_again()
                if again:
                    continue
            try:
                return reply.require().values.get("result")
            except HsxError as error:
                raise self.refused(node, name, error) from None

    def signed(self, action: int, acts_on: bytes, nodes: list[int], **more: Any) -> bytes:
        """The bytes of a command for some of the nodes."""
        named = None if NO_NUMBER in nodes else nodes
        counter = self._counter or int(time.time())
        counter = max([counter, *(self._last.get(node, 0) + 1 for node in nodes)])
        self._last.update(dict.fromkeys(nodes, counter))
        fields = {"network": self._network, "counter": counter, **more}
        return signed(self._key, action, acts_on, nodes=named, **fields)

    def may_sign_again(self) -> bool:
        """After a command that was seen before: two within one second have the same counter. Waits
        for the second after it; whether it is worth a try."""
        if self._counter or self._key is None:
            return False
        time.sleep(max(0.0, min(1.0, max(self._last.values()) + 1 - time.time())))
        return True

    @property
    def signs(self) -> bool:
        """Whether there is a key."""
        return self._key is not None

    @property
    def share(self) -> float:
        """Of the bus's time, that a push may take."""
        return float(self._said.get("share", 1.0))

    def where(self, node: int) -> str:
        """A node in the words of an error."""
        name = "the node" if node == NO_NUMBER else f"node {node}"
        return f"{name} on {self.link.place}"

    def refused(self, node: int, what: str, error: HsxError) -> ToolError:
        """What a node refused, with what to do."""
        number = error.errno or 0
        remedy = _REMEDIES.get(error.detail) or _BY_ERRNO.get(number, "")
        return ToolError(
            f"{what}: {hsx.errors.name(number)} at {error.where}: {error.detail}",
            self.where(node),
            remedy,
            NO_NODE if number == ETIMEDOUT else REFUSED,
            {
                "node": node,
                "errno": hsx.errors.name(number),
                "where": error.where,
                "detail": error.detail,
            },
        )

    def reason(self, node: int, errno: int) -> HsxError:
        """Why a node has ended a push with this errno, in its own words if it has them still."""
        where, detail = "begin", "the node ended it"
        for kind, data in self.latest(node):
            if kind == "provisioning.error" and data["code"] == hsx.errors.name(errno):
                where, detail = data["where"], data["detail"]
        return HsxError(errno, where, detail)

    def latest(self, node: int) -> list[tuple[str, dict[str, Any]]]:
        """Kind and data of the newest events of a node, as far as it tells them."""
        found = []
        with contextlib.suppress(ToolError, HsxError):
            newest = self.ask(node, "hello")["seq"]
            self.ask(node, "events", max(0, newest - LATEST), 64)
            for message in self.link.events(node, 0.3):
                _, _, kind, _, data = unpack_told(message)
                found.append((kind, data))
        return found

    # ---- inside ----

    def _reply(self, node: int, name: str, message: bytes) -> Reply:
        try:
            return unpack_reply(self.link.ask(node, message)).require()
        except HsxError as error:
            raise self.refused(node, name, error) from None

    def _opened(self) -> Nodes:
        said = self._said
        if sum(link in said for link in settings.LINKS) != 1:
            raise ToolError(
                "one of --uart, --can and --repl is needed", "", "Give one, or hsxctl.toml.", USAGE
            )
        if "repl" in said:
            from .connect.repl import ReplNodes

            return ReplNodes(said["repl"], said.get("baud", BAUD))
        if "uart" in said:
            from .connect.line import LineNodes

            return LineNodes(said["uart"], said.get("baud", BAUD))
        from .connect.bus import BusNodes

        interface, _, channel = said["can"].partition(":")
        return BusNodes(
            interface or None,
            channel or None,
            said.get("bitrate"),
            self.share,
            said["options"],
        )

    def _wanted(self) -> list[int]:
        """The nodes that --node names, or the only one that is there."""
        said = self._said.get("node")
        wanted = node_list(str(said)) if isinstance(said, int | str) else said
        if isinstance(wanted, list) and "can" in self._said:
            return wanted
        there = self.link.present()
        if not there:
            raise ToolError(
                "no node answers",
                self.link.place,
                "Check bit rate and wires; a node without a number is silent: 'hsxctl nodes'.",
                NO_NODE,
            )
        if wanted is None and len(there) > 1:
            raise ToolError(
                f"nodes {', '.join(map(str, there))} answer",
                self.link.place,
                "Say which: --node N, or --node all.",
                USAGE,
            )
        if isinstance(wanted, list) and wanted != there:
            raise ToolError(
                f"here is node {there[0]}, not {', '.join(map(str, wanted))}",
                self.link.place,
                "Is this the right port?",
                NO_NODE,
            )
        return there
