# SPDX-License-Identifier: MIT
"""A third layer: a node that runs two apps with values and commands, and requests to it."""

from bench.images import EXIT, RET, SLEEP, SPIN, an_image, ldi
from bench.runtime import RuntimeBench
from hsx.image.build import command_section, value_section
from hsx.image.metadata import Command, Value
from hsx.link.host_messages import Reply, pack_request, unpack_reply
from hsx.service.requests import Requests
from hsx.service.signed_commands import SignedCommands
from hsx.store.store import CONFIRMATION
from powercut.medium import Medium

PUBLIC, USER, ADMIN = 0, 1, 2
RO = 1
PIN = 1
LEVEL, LIMIT, SERIAL = 0x0101, 0x0102, 0x0103  # values
RESET, PURGE, OPEN, NOTE, BREAK = 0x0201, 0x0202, 0x0203, 0x0204, 0x0205  # commands

UID = bytes(range(12))


def a_value(oid: int, flags: int = 0, auth: int = PUBLIC, name: str = "value", **more) -> Value:
    limits = (more.get("epsilon", 0), more.get("low", 0), more.get("high", 0))
    key = more.get("key", 0)
    return Value(oid >> 8, oid & 0xFF, flags, auth, 0x3C00, name, "m", *limits, key, "tank")


def a_command(oid: int, handler: int = 12, flags: int = 0, auth: int = PUBLIC, **more) -> Command:
    name, help = more.get("name", "command"), more.get("help", "does it")
    return Command(oid >> 8, oid & 0xFF, flags, auth, handler, name, help, "tank")


VALUES = [a_value(LEVEL), a_value(LIMIT, auth=USER), a_value(SERIAL, RO)]
COMMANDS = [
    a_command(RESET),
    a_command(PURGE, auth=ADMIN),
    a_command(OPEN, flags=PIN),
    a_command(BREAK, handler=20),
]


def an_app(name: str = "tank", values=VALUES, commands=COMMANDS, **more) -> bytes:
    """Sleeps, two seconds at a time. The command at 12 gives 7, the one at 20 faults."""
    code = (ldi(0, 2000), SLEEP, SPIN, ldi(0, 7), RET, 0x7E000000)
    sections = [value_section(values), command_section(commands)]
    return an_image(*code, name=name, sections=sections, **more)


class AppsBench(RuntimeBench):
    """`store`: whether the board has one, formatted. PIDs 1 and 2 are the apps `tank` and
    `tank_#0`, PID 3 has ended. Commands need no signature."""

    def __init__(self, store: bool = True, apps: tuple = ()) -> None:
        super().__init__("nowhere", Medium(bytearray(b"\xff" * 0x8000)) if store else None)
        self.boot()
        if store:
            self.provisioning.format(CONFIRMATION)
        for image in apps or (an_app(), an_app(), an_image(EXIT, name="short")):
            self.load(image)
        self.poll(4)
        self.policy.configure({"number": 5, "network": 77, "max_code": 0x8000})
        self.requests = Requests(self.service, UID, "test", lambda view: self.command(view))

    def command(self, view: memoryview) -> int | None:
        """Judges and does a signed command; tests may put another in."""
        return SignedCommands(self.service).perform(view)

    def send(self, message: bytes) -> bytes:
        return self.requests.message(memoryview(message), self.clock())

    def ask(self, name: str, *numbers: int, data: bytes = b"") -> Reply:
        """The reply to a request, which is to be one to it."""
        raw = self.send(pack_request(name, 9, *numbers, data=data))
        assert len(raw) <= 255
        reply = unpack_reply(raw)
        assert (reply.name, reply.tag) == (name, 9)
        return reply

    def told_state(self, log: bool = True) -> tuple:
        """All that a request could change, `log`: the event log too. Values as text: of two NaN
        neither is the other."""
        subscription = self.requests._subscription
        reading = subscription and (subscription.sent, subscription.acked)
        ps = self.node.ps()
        events = (self.log.seq, self.log.oldest, bytes(self.log._log)) if log else ()
        return repr(self.state()), ps, events, bytes(self.store_part.memory), reading
