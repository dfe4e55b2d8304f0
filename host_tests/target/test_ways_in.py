# SPDX-License-Identifier: MIT
"""One set into the emulated Cortex-M4 by UART, by CAN, from the card and from a file: the same
bytes in the bank, and the same told about it."""

import ast

import pytest

from bench.images import IDLE, SPIN, an_image
from hsx.image.build import value_section
from hsx.image.metadata import Value
from hsx.link import command as c
from hsx.link.can_client import CanClient
from hsx.link.can_master import CanMaster
from hsx.link.can_messages import short_id
from hsx.link.host_messages import pack_request, unpack_reply
from hsxctl import clock, fat_image
from hsxctl.bank_image import bank_image, describe
from hsxctl.connect.can import CanLink
from hsxctl.connect.serial import SerialLink
from hsxctl.signed_command import signed
from waiting import Deadline

pytestmark = pytest.mark.target

VALUES = (value_section([Value(1, 1, 0, 0, 0x3C00, "level", "m", 0, 0, 0, 0, "tank")]),)
APPS = {
    "pump": an_image(*IDLE, *[SPIN] * 900, name="pump", multiple=False),
    "tank": an_image(*IDLE, *[SPIN] * 300, name="tank", multiple=False, sections=VALUES),
}
UID = "node1"
NODE = 9


def the_set():
    entries = [(describe("", image), image) for image in APPS.values()]
    for entry, _ in entries:
        entry.source = 4  # as what the REPL keeps of a file
    return bank_image(entries)


SENT = the_set()
HEADER = signed(None, c.STAGE, SENT.digest, total=len(SENT.data), flags=c.FLAG_ACTIVATE)


def by_uart(node, repl) -> None:
    with SerialLink(node.uart2) as link:
        assert link.push(HEADER, SENT.data) == SENT.digest[:4]


def by_can(node, repl) -> None:
    with CanLink("slcan", node.uart3, 500_000) as bus:
        client = CanClient()
        client.number(short_id(UID.encode()), NODE)
        deadline = Deadline()
        bus.run(client, lambda: NODE in client.present or deadline.over())
        assert client.present[NODE] == short_id(UID.encode())
        master = CanMaster(
            SENT.data, HEADER, [NODE], SENT.digest, 7, 0.5, clock.tick(), patience=60
        )
        bus.run(master, lambda: master.over)
        assert (master.results, master.error) == ({NODE: 0}, 0)


def by_card(node, repl) -> None:
    repl.run("hsx.persist('/sd/pump.hxe', '/sd/tank.hxe', only=True); hsx.activate()")


def by_file(node, repl) -> None:
    """From a file system that is not the card's; on this board one in RAM stands for flash."""
    repl.run(
        "import io, vfs\n"
        "class Ram:\n"
        " files = {}\n"
        " def mount(self, readonly, mkfs): pass\n"
        " def open(self, path, mode): return io.BytesIO(self.files[path])\n"
        " def stat(self, path): return (0x8000, 0, 0, 0, 0, 0, len(self.files[path]), 0, 0, 0)\n"
        "vfs.mount(Ram(), '/flash')"
    )
    for name, image in APPS.items():
        repl.run(f"Ram.files['/{name}.hxe'] = bytearray()")
        for at in range(0, len(image), 256):
            repl.run(f"Ram.files['/{name}.hxe'].extend({image[at : at + 256]!r})")
    repl.run("hsx.persist('/flash/pump.hxe', '/flash/tank.hxe', only=True); hsx.activate()")


WAYS = {"UART:2": by_uart, f"CAN:{NODE}:3": by_can, "card": by_card, "file": by_file}


@pytest.fixture(scope="module")
def outcomes(firmware, tmp_path_factory):
    """Of each way: the bank's bytes, what `ps` shows, and the events from the first byte on."""
    from hsxctl.simulate.qemu import QemuNode
    from repl import Repl

    found = {}
    for source, send in WAYS.items():
        folder = tmp_path_factory.mktemp("way")
        card = folder / "card.img"
        files = [(f"{name}.hxe", image) for name, image in APPS.items()]
        manifest = ("hsx.toml", b"schema = 1\nimage = []\n")
        fat_image.write(card, fat_image.SMALLEST, [*files, manifest])
        with QemuNode(firmware, sd=card, fram=folder / "fram.bin", uid=UID) as node:
            node.wait_console("state=over")
            repl = Repl(node)
            repl.run("import hsx; hsx.format('erase everything')")
            seq = int(repl.run("print(hsx.runtime().events.seq)"))
            send(node, repl)
            node.wait_console("instance=tank state=ready")
            events = ast.literal_eval(
                repl.run(
                    "from hsx.boot import lock\n"
                    f"print(lock.run(hsx.runtime().events.since, {seq}))"
                )
            )
            rows = ast.literal_eval(repl.run("print([dict(r) for r in hsx.runtime().node.ps()])"))
            repl.close()
        cells = (folder / "fram.bin").read_bytes()
        found[source] = cells, rows, events
    return found


@pytest.mark.requirement("P-7", "P-95", "P-105")
@pytest.mark.parametrize("source", WAYS)
def test_the_bank_has_the_same_bytes_whatever_the_way(outcomes, source):
    cells, rows, _ = outcomes[source]
    assert cells[0x2000 : 0x2000 + len(SENT.data)] == SENT.data
    assert [row["program"] for row in rows] == ["FRAM:A/pump", "FRAM:A/tank"]
    assert [row["values"] for row in rows] == [0, 1]


@pytest.mark.requirement("P-37", "P-105")
@pytest.mark.parametrize("source", WAYS)
def test_the_same_is_told_whatever_the_way(outcomes, source):
    def told(events):
        kinds = [event[2] for event in events if event[2] != "provisioning.progress"]
        return kinds[kinds.index("provisioning.started") :]

    _, _, events = outcomes[source]
    assert told(events) == told(outcomes["file"][2])
    first = next(event[4] for event in events if event[2] == "provisioning.started")
    assert first["source"] == (source if ":" in source else "FRAM")
    assert first["total_bytes"] == len(SENT.data)


def test_a_node_answers_over_its_uart_while_its_apps_run(firmware, tmp_path):
    from hsxctl.simulate.qemu import QemuNode

    with QemuNode(firmware, fram=tmp_path / "fram.bin", uid=UID) as node:
        node.wait_console("state=over")
        with SerialLink(node.uart2) as link:
            hello = unpack_reply(link.request(pack_request("hello"))).values
            assert (hello["uid"], hello["board"], hello["node"]) == (b"node1", "qemu_m4", 127)
            refused = link.request(pack_request("status"))
            assert unpack_reply(refused).errno == 19
