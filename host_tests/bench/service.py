# SPDX-License-Identifier: MIT
"""A third layer: a node with a store that accepts signed commands of three keys, and transfers to
it."""

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bench.images import IDLE, an_image
from bench.runtime import RuntimeBench
from hsx.image.build import signed as signed_image
from hsx.link import command as c
from hsx.service.policy import ADMIN, FACTORY, REQUIRE, USER
from hsx.service.signed_commands import SignedCommands
from hsx.service.transfer import Transfer
from hsx.store.store import CONFIRMATION
from hsxctl.bank_image import BankImage, bank_image, describe
from hsxctl.signed_command import signed
from powercut.medium import Medium

SIZE = 0x8000
NETWORK = 0x2A
NODE = 5

user = Ed25519PrivateKey.from_private_bytes(bytes([USER]) * 32)
admin = Ed25519PrivateKey.from_private_bytes(bytes([ADMIN]) * 32)
factory = Ed25519PrivateKey.from_private_bytes(bytes([FACTORY]) * 32)
stranger = Ed25519PrivateKey.from_private_bytes(bytes([99]) * 32)


def public(key: Ed25519PrivateKey) -> bytes:
    return key.public_key().public_bytes_raw()


def vouched(image: bytes, key: Ed25519PrivateKey = admin) -> bytes:
    """The image with the key's signature."""
    return signed_image(image, public(key), key.sign)


def an_app(name: str, version: int, **more) -> bytes:
    return an_image(*IDLE, name=name, rodata=b"version %d" % version, **more)


def a_set(*images: bytes) -> BankImage:
    return bank_image([(describe("", image), image) for image in images])


class ServiceBench(RuntimeBench):
    """A booted node with a formatted store, on the network, whose policy asks for signed commands
    by the three keys; `medium`: that of another one, as after a reset; it gets one of the same
    kind with the same cells."""

    def __init__(self, medium: Medium | None = None, signatures: int = 0) -> None:
        part = type(medium)(medium.memory) if medium else Medium(bytearray(b"\xff" * SIZE))
        super().__init__("nowhere", part)
        self.policy.configure({"network": NETWORK, "number": NODE, "commands": REQUIRE})
        self.policy.signatures = signatures
        for role, key in ((USER, user), (ADMIN, admin), (FACTORY, factory)):
            self.policy.trust(public(key), role)
        self.boot()
        if medium is None:
            self.provisioning.format(CONFIRMATION)
        self.commands = SignedCommands(self.service)
        self.transfer = Transfer(self.service, self.commands)
        self.counter = 100 if medium else 0

    def command(self, action: int, acts_on: bytes, key=admin, **more) -> bytes:
        """A command with the next counter, for this node, unless `more` says otherwise."""
        self.counter += 1
        fields = {"network": NETWORK, "nodes": [NODE], "counter": self.counter, **more}
        return signed(key, action, acts_on, **fields)

    def stage(self, sent: BankImage, key=admin, flags: int = c.FLAG_ACTIVATE, **more) -> bytes:
        """The header of a set's stream."""
        total = len(sent.data)
        return self.command(c.STAGE, sent.digest, key, total=total, flags=flags, **more)

    def send(self, header: bytes, data: bytes, order=None, chunk: int = 512) -> int:
        """A whole transfer; its last answer."""
        answer = self.transfer.begin(memoryview(header), len(data), "UART:1")
        if answer < 0:
            return answer
        places = range(0, len(data), chunk)
        for at in order(list(places)) if order else places:
            answer = self.transfer.write(at, memoryview(data)[at : at + chunk])
            if answer < 0:
                return answer
        answer = self.transfer.end()
        while answer == 0 and (answer := self.transfer.poll(self.clock())) > 0:
            answer = 0
        self.run()
        return answer

    def run(self) -> None:
        """Polls until the set that was asked for runs."""
        for _ in range(200):
            self.board.tick(None)

    def runs(self) -> list[str]:
        return sorted(task.instance for task in self.node.tasks.order)

    def snapshot(self) -> tuple:
        """All that a refusal must leave as it was."""
        return self.state(), bytes(self.store_part.memory), self.provisioning.status()
