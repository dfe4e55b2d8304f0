# SPDX-License-Identifier: MIT
"""Every event of docs/provisioning_protocol.md, from a node that really does what it tells."""

import functools
import itertools
import tempfile
from pathlib import Path

import pytest

import hsx
from bench.apps import BREAK, LEVEL, RESET, AppsBench, a_value, an_app
from bench.images import EXIT, SPIN, an_image
from bench.node import Clock
from bench.runtime import RuntimeBench
from docs.protocol import events, fits
from hsx.boot.ask import Ask
from hsx.boot.config import Config
from hsx.errors import HsxError
from hsx.image.build import value_section
from hsx.link.host_messages import unpack_told
from hsx.link.wire import MAX_EVENT, unpack_event
from hsx.service.events import Events
from hsx.service.session import PROGRESS_MS, STATES
from hsx.store.store import CONFIRMATION, Store
from node.calls import calling
from powercut.medium import Medium
from store.bench import Faulty

WHERE = ("begin", "write", "end", "verify", "commit", "boot")
FAULT = 0x7E000000
OPEN, BIND, SEND, RECEIVE = 0, 1, 2, 3
FANOUT = 8
SAVED = (value_section([a_value(LEVEL, 2, key=7)]),)


# ---- what makes them --------------------------------------------------------------------------


def a_card(folder: Path, manifest: str, **images: bytes) -> RuntimeBench:
    """The events of a node that boots from a card."""
    for name, image in images.items():
        (folder / f"{name}.hxe").write_bytes(image)
    (folder / "hsx.toml").write_text("schema = 1\n" + manifest)
    bench = RuntimeBench(folder)
    bench.boot()
    bench.poll(4)
    return bench


def good_and_bad_images(folder: Path) -> RuntimeBench:
    listed = "".join(f'[[image]]\nfile = "{n}.hxe"\n' for n in ("good", "bad", "ends", "faults"))
    good = an_app("good")
    images = {"good": good, "bad": good[:-1], "ends": an_image(EXIT), "faults": an_image(FAULT)}
    return a_card(folder, listed, **images)


def a_wrong_manifest(folder: Path) -> RuntimeBench:
    return a_card(folder, "file = 1\n")


def a_load_of_unknown_length_that_is_given_up(folder: Path) -> RuntimeBench:
    bench = AppsBench()
    session = bench.service.begin("UART:1")
    session.write(memoryview(an_app("late"))[:200])
    bench.clock.forward(PROGRESS_MS)
    session.write(memoryview(an_app("late"))[200:210])
    session.abort()
    return bench


def sets_that_come_and_go(folder: Path) -> RuntimeBench:
    bench = RuntimeBench("nowhere", Medium(bytearray(b"\xff" * 0x8000)))
    bench.boot()
    bench.provisioning.format(CONFIRMATION)
    hsx.attach(bench.runtime)
    for code, after in (
        (SPIN, bench.provisioning.confirm),
        (FAULT, lambda: bench.board.tick(None)),
    ):
        path = folder / "one.hxe"
        path.write_bytes(an_image(code, name="one", rodata=bytes(600)))
        bench.runtime.persist((str(path),), False, {})
        bench.runtime.activate()
        after()
    while not bench.told("provisioning.rollback"):
        bench.board.tick(None)
    path.write_bytes(an_image(SPIN, name="one", rodata=bytes(700)))
    bench.runtime.persist((str(path),), False, {})
    bench.runtime.activate()
    bench.runtime.rollback()
    return bench


def a_set_that_is_interrupted_and_one_that_is_damaged(folder: Path) -> RuntimeBench:
    bench = AppsBench()
    path = folder / "one.hxe"
    path.write_bytes(an_image(SPIN, name="one", rodata=bytes(5000)))
    buf = memoryview(bytearray(256))
    image = bench.runtime._describe(str(path), {}, buf)
    staging = bench.provisioning.stage([image])
    staging.write(0, 0, memoryview(path.read_bytes())[:100])
    bench.provisioning.give_up(staging)
    staging = bench.provisioning.stage([image])
    staging.write(0, 0, memoryview(bytes(image.length)))
    bench.provisioning.progress(staging)
    with pytest.raises(HsxError):
        list(bench.provisioning.end_staging(staging))
    return bench


def values_and_commands(folder: Path) -> RuntimeBench:
    bench = AppsBench()
    bench.ask("set", 1, LEVEL, 5)
    bench.ask("call", 1, RESET)
    bench.ask("call", 1, BREAK)
    return bench


def a_value_that_is_not_saved(folder: Path) -> RuntimeBench:
    part = Faulty(bytearray(b"\xff" * 0x8000), forever=True)
    bench = RuntimeBench("nowhere", part)
    bench.boot()
    bench.provisioning.format(CONFIRMATION)
    bench.load(an_image(SPIN, sections=SAVED))
    part.fail_at = part.accesses
    bench.node.set_value(1, LEVEL, 5)
    return bench


def a_worn_partition(folder: Path) -> RuntimeBench:
    bench = RuntimeBench("nowhere")
    store = Store(Medium(bytearray(b"\xff" * 0x8000)), bench.log.emit, wear_limit=1)
    store.format(CONFIRMATION)
    store.fold()
    return bench


def mailboxes_that_are_full(folder: Path) -> RuntimeBench:
    bench = RuntimeBench("nowhere")
    bench.boot()
    sent = (5, SEND, 4, "text", 8, 0, 0)
    data = 'name: .asciz "app:box"\nother: .asciz "app:other"\ntext: .ascii "message1"\n'
    bound = (5, BIND, "other", 64, FANOUT)
    read = [(5, OPEN, "other"), (5, OPEN, "other")]
    taken = (5, RECEIVE, 6, 0xF000, 64, 0, 0)
    overrun = [
        bound,
        *read,
        *[(5, SEND, 5, "text", 8, 0, 0)] * 3,
        taken,
        *[(5, SEND, 5, "text", 8, 0, 0)] * 3,
    ]
    calls = [(5, OPEN, "name"), *[sent] * 5, *overrun, *[(5, OPEN, "name")] * 8]
    bench.load(calling(folder, *calls, data=data))
    bench.poll(20)
    return bench


def text_that_somebody_listens_to(folder: Path) -> RuntimeBench:
    bench = RuntimeBench("nowhere")
    bench.boot()
    bench.log.subscribe().next(memoryview(bytearray(MAX_EVENT)))
    text = (1, 1, "text", 60)
    bench.load(calling(folder, *[text] * 9, data=f'text: .ascii "{"a" * 60}"'))
    bench.poll(4)
    return bench


SCENARIOS = (
    text_that_somebody_listens_to,
    good_and_bad_images,
    a_wrong_manifest,
    a_load_of_unknown_length_that_is_given_up,
    sets_that_come_and_go,
    a_set_that_is_interrupted_and_one_that_is_damaged,
    values_and_commands,
    a_value_that_is_not_saved,
    a_worn_partition,
    mailboxes_that_are_full,
)


def lost_events() -> list[tuple]:
    """What a host gets first that was slower than the log."""
    log = Events(Clock(), MAX_EVENT)
    reader = log.subscribe()
    for _ in range(100):
        log.emit("task", 1, {"state": "ready", "instance": "app"})
    buf = memoryview(bytearray(MAX_EVENT))
    size = reader.next(buf)
    return [(reader.sent, *unpack_event(buf[:size]))]


class Asked:
    """Links that keep what the node asks of its master."""

    def unique_id(self) -> bytes:
        return b"desk"

    def ask(self, message: bytes) -> None:
        self.message = message


def asking() -> tuple:
    """What a node without a set sends to everybody; its log says less."""
    links = Asked()
    with tempfile.TemporaryDirectory() as folder:
        bench = RuntimeBench(folder)
        Ask(links, bench.service, Config()).poll(bench.clock())
    return unpack_told(links.message)


@functools.cache
def told() -> dict[str, list[tuple]]:
    """Type -> the events of it in all scenarios."""
    found: dict[str, list[tuple]] = {}
    everything = [lost_events(), [asking()]]
    for scenario in SCENARIOS:
        with tempfile.TemporaryDirectory() as folder:
            log = scenario(Path(folder)).log
            assert log.oldest == 1
            everything.append(log.since(0))
    for event in itertools.chain(*everything):
        found.setdefault(event[2], []).append(event)
    return found


# ---- what they have ---------------------------------------------------------------------------

TYPES = sorted({field.owner for field in events()})


@pytest.mark.requirement("P-81", "P-98")
@pytest.mark.parametrize("kind", TYPES)
def test_every_event_has_its_documented_fields_and_no_others(kind):
    fields = {field.name: field for field in events() if field.owner == kind}
    always = {name for name, field in fields.items() if field.part == "yes"}
    seen = set()
    assert told()[kind]
    for _, _, _, _, data in told()[kind]:
        assert always <= set(data) <= set(fields)
        for name, value in data.items():
            assert fits(value, fields[name].type), (name, value)
        seen |= set(data)
    assert seen == set(fields), "no scenario has these"


def test_no_event_is_told_that_is_not_documented():
    assert set(told()) == set(TYPES)


@pytest.mark.requirement("P-81")
def test_phase_and_place_of_provisioning_are_of_their_lists():
    for kind, found in told().items():
        for _, ts, _, pid, data in found:
            assert 0 <= ts < 1 << 29 and 0 <= pid < 256
            if kind.startswith("provisioning."):
                assert data["phase"] in STATES
            if kind == "provisioning.error":
                assert data["where"] in WHERE and data["code"].startswith("E") and data["detail"]
