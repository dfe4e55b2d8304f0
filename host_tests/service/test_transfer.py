# SPDX-License-Identifier: MIT
"""A transfer, as a link hands it in: into the bank or into the VM, judged, resumed, given up."""

import hashlib
import random

import pytest

from bench.images import SPIN, an_image
from bench.service import ServiceBench, a_set, an_app, stranger, user, vouched
from hsx.errors import EACCES, EBADMSG, EBUSY, EIO, ENODEV, ENOSPC, ENOTSUP, EPERM, HsxError
from hsx.image.build import info_section
from hsx.image.metadata import Info
from hsx.link import command as c
from hsx.service.policy import REQUIRE
from hsx.service.transfer import Transfer
from hsxctl.bank_image import bank_image, describe
from powercut.medium import Medium, Refusing, prefix

TWO = a_set(an_app("one", 1), an_app("two", 1, sections=(info_section(Info("1", 3, 0, 0, 0)),)))


def backwards(places):
    return places[::-1]


def shuffled(places):
    random.Random(4).shuffle(places)
    return places


def load(node: ServiceBench, image: bytes, **more) -> bytes:
    return node.command(c.LOAD, hashlib.sha256(image).digest(), total=len(image), **more)


@pytest.mark.parametrize("order", [None, backwards, shuffled])
@pytest.mark.parametrize("chunk", [64, 512, 4096])
def test_a_set_runs_whatever_the_order_of_its_blocks(order, chunk):
    node = ServiceBench()
    assert node.send(node.stage(TWO), TWO.data, order, chunk) == 0
    assert node.runs() == ["one", "two"]
    status = node.provisioning.status()
    assert (status["active"], status["state"]) == ("A", "trial")
    assert node.provisioning.active_digest() == TWO.digest
    bank = ServiceBench(node.store_part).provisioning.store.commit.reader(1)
    assert (bank.count, bank.epoch) == (2, 0)


def test_events_tell_of_a_set_as_of_an_image():
    node = ServiceBench()
    assert node.send(node.stage(TWO), TWO.data) == 0
    started = node.told("provisioning.started")[0]
    assert (started["source"], started["total_bytes"]) == ("UART:1", len(TWO.data))
    assert node.told("provisioning.progress")[0]["percent"] == 100
    assert node.told("provisioning.complete")[0]["ready"] is True
    assert node.told("provisioning.persisted")[0]["state"] == "trial"


@pytest.mark.parametrize("cut", range(0, 2, 1))
def test_a_set_that_broke_off_goes_on_after_a_reset(cut):
    node = ServiceBench()
    large = a_set(an_image(*[SPIN] * 3000, name="large"))
    header = node.stage(large)
    assert node.transfer.begin(memoryview(header), len(large.data), "CAN") == 0
    for at in range(0, 9000, 512):
        assert node.transfer.write(at, memoryview(large.data)[at : at + 512]) == 0
    if cut:
        node.transfer.abort()
    again = ServiceBench(node.store_part)
    there = again.transfer.begin(memoryview(header), len(large.data), "CAN")
    assert 4096 <= there <= 9216
    for at in range(there, len(large.data), 512):
        assert again.transfer.write(at, memoryview(large.data)[at : at + 512]) == 0
    assert again.transfer.end() == 0
    while again.transfer.poll(0):
        pass
    again.run()
    assert again.runs() == ["large"]


@pytest.mark.parametrize("changed", [0, 1, 2])
def test_what_the_running_set_has_too_need_not_be_sent(changed):
    apps = [an_image(*[SPIN] * (300 + 200 * n), name=f"app{n}") for n in range(3)]
    node = ServiceBench()
    first = a_set(*apps)
    assert node.send(node.stage(first), first.data) == 0
    node.provisioning.confirm()
    apps[changed] = an_image(*[SPIN] * 350, name=f"app{changed}")
    second = a_set(*apps)
    header = node.stage(second)
    assert node.transfer.begin(memoryview(header), len(second.data), "CAN") == 0
    assert not node.transfer.holds(0, 512)
    left = range(0, len(second.data), 512)
    while blocks := [
        at for at in left if not node.transfer.holds(at, min(512, len(second.data) - at))
    ]:
        at = blocks[0]
        assert node.transfer.write(at, memoryview(second.data)[at : at + 512]) == 0
        left = [other for other in left if other != at]
    sent = len(second.data) - 512 * len(left)
    assert sent < len(second.data) // 2 + 1024
    assert node.transfer.end() == 0
    while (answer := node.transfer.poll(0)) == 1:
        pass
    assert answer == 0
    node.run()
    assert node.provisioning.active_digest() == second.digest
    assert node.runs() == ["app0", "app1", "app2"]


def test_what_is_neither_sent_nor_there_is_missed_at_the_end():
    node = ServiceBench()
    large = a_set(an_image(*[SPIN] * 300, name="large"))
    assert node.transfer.begin(memoryview(node.stage(large)), len(large.data), "CAN") == 0
    node.transfer.write(0, memoryview(large.data)[:512])
    assert node.transfer.end() == 0
    while (answer := node.transfer.poll(0)) == 1:
        pass
    assert answer == -EBADMSG


@pytest.mark.requirement("P-40")
def test_a_header_that_has_acted_is_told_again_and_changes_nothing():
    node = ServiceBench()
    header = node.stage(TWO)
    assert node.send(header, TWO.data) == 0
    before = node.snapshot()
    assert node.transfer.begin(memoryview(header), len(TWO.data), "CAN") == len(TWO.data)
    assert node.transfer.holds(0, len(TWO.data))
    assert (node.transfer.end(), node.transfer.poll(0)) == (0, 0)
    assert node.snapshot() == before


def test_a_header_that_has_acted_does_not_bring_its_set_back():
    node = ServiceBench()
    header = node.stage(TWO)
    assert node.send(header, TWO.data) == 0
    node.provisioning.confirm()
    newer = a_set(an_app("one", 2))
    assert node.send(node.stage(newer), newer.data) == 0
    node.provisioning.confirm()
    before = node.snapshot()
    assert node.transfer.begin(memoryview(header), len(TWO.data), "CAN") == -EPERM
    assert node.snapshot() == before


@pytest.mark.requirement("P-104", "P-87")
@pytest.mark.parametrize(("key", "errno"), [(user, EACCES), (stranger, EACCES), (None, EACCES)])
@pytest.mark.parametrize("action", [c.STAGE, c.LOAD])
def test_a_stream_of_someone_who_may_not_is_refused_at_its_header(key, errno, action):
    node = ServiceBench()
    image = an_app("one", 1)
    header = node.stage(TWO, key) if action == c.STAGE else load(node, image, key=key)
    before = node.snapshot()
    total = len(TWO.data) if action == c.STAGE else len(image)
    assert node.transfer.begin(memoryview(header), total, "CAN") == -errno
    assert node.snapshot() == before
    assert node.transfer.write(0, memoryview(TWO.data)[:512]) == -EBUSY
    assert node.snapshot() == before


def test_a_header_about_another_length_is_refused():
    node = ServiceBench()
    assert node.transfer.begin(memoryview(node.stage(TWO)), len(TWO.data) + 1, "CAN") == -EBADMSG
    assert node.transfer.begin(memoryview(bytes(64)), 512, "CAN") == -EBADMSG
    kill = node.command(c.KILL, b"\1", total=512)
    assert node.transfer.begin(memoryview(kill), 512, "CAN") == -EBADMSG


@pytest.mark.requirement("P-104")
def test_a_set_with_any_byte_changed_does_not_run():
    good = a_set(an_app("one", 1))
    node = ServiceBench()
    before = node.state()
    for at in range(len(good.data)):
        changed = bytearray(good.data)
        changed[at] ^= 0x10
        gap = 16 + 112 <= at < good.images[0].offset
        assert (node.send(node.stage(good), bytes(changed)) == 0) == gap, at
        assert node.state() == before
    assert node.send(node.stage(good), good.data) == 0


def a_lie(**fields):
    """A set whose directory says something that its image does not."""
    image = an_app("one", 1, sections=(info_section(Info("1", 2, 0, 0, 0)),))
    entry = describe("", image)
    for name, value in fields.items():
        setattr(entry, name, value)
    return bank_image([(entry, image)])


@pytest.mark.parametrize("fields", [{"epoch": 9}, {"name": "other"}, {"version": "2"}])
def test_a_directory_that_lies_about_its_images_is_refused(fields):
    node = ServiceBench()
    sent = a_lie(**fields)
    assert node.send(node.stage(sent), sent.data) == -EBADMSG
    assert node.provisioning.status()["active"] == "none"
    assert node.told("provisioning.error")[-1]["where"] == "verify"


@pytest.mark.parametrize(
    ("image", "errno"),
    [
        (an_app("one", 1), EACCES),
        (vouched(an_app("one", 1), user), EACCES),
        (vouched(an_app("one", 1), stranger), EACCES),
        (vouched(an_app("one", 1, req_caps=0x40)), ENOTSUP),
    ],
    ids=["unsigned", "wrong role", "stranger", "capability"],
)
def test_an_image_that_may_not_run_is_refused_before_the_commit(image, errno):
    node = ServiceBench(signatures=REQUIRE)
    sent = a_set(vouched(an_app("good", 1)), image)
    before = node.state()
    assert node.send(node.stage(sent), sent.data) == -errno
    assert node.state() == before
    assert node.provisioning.status()["active"] == "none"
    good = a_set(vouched(an_app("good", 1)))
    assert node.send(node.stage(good), good.data) == 0
    assert node.runs() == ["good"]
    assert ServiceBench(node.store_part, REQUIRE).runs() == ["good"]


def test_a_set_below_the_floor_is_refused():
    node = ServiceBench()
    new = a_set(an_app("one", 1, sections=(info_section(Info("2", 5, 0, 0, 0)),)))
    assert node.send(node.stage(new), new.data) == 0
    node.commands.perform(node.command(c.CONFIRM, new.digest + (5).to_bytes(4, "little")))
    assert node.provisioning.status()["floor"] == 5
    assert node.send(node.stage(TWO), TWO.data) == -EPERM
    assert node.provisioning.active_digest() == new.digest


def test_an_image_goes_into_the_vm_in_order():
    node = ServiceBench()
    image = an_app("one", 1)
    assert node.send(load(node, image), image, chunk=100) == 0
    assert node.transfer.needs_order
    assert node.runs() == ["one"]
    assert node.node.ps()[0]["program"] == "UART:1"
    assert node.node.ps()[0]["state"] == "sleeping"


def test_an_image_that_is_not_the_signed_one_leaves_nothing():
    node = ServiceBench()
    before = node.state()
    header = load(node, an_app("one", 1))
    assert node.send(header, an_app("one", 2)) == -EBADMSG
    assert node.state() == before


def test_one_transfer_at_a_time():
    node = ServiceBench()
    other = Transfer(node.service, node.commands)
    assert node.transfer.begin(memoryview(node.stage(TWO)), len(TWO.data), "CAN") == 0
    assert other.begin(memoryview(node.stage(TWO)), len(TWO.data), "UART") == -EBUSY
    node.transfer.abort()
    assert other.begin(memoryview(node.stage(TWO)), len(TWO.data), "UART") == 0


def test_a_set_larger_than_the_bank_is_refused_before_anything_is_lost():
    node = ServiceBench()
    assert node.send(node.stage(TWO), TWO.data) == 0
    node.provisioning.confirm()
    before = node.snapshot()
    header = node.command(c.STAGE, TWO.digest[::-1], total=20000)
    assert node.transfer.begin(memoryview(header), 20000, "CAN") == -ENOSPC
    assert node.snapshot() == before


def test_bytes_beyond_the_announced_end_are_refused():
    node = ServiceBench()
    assert node.transfer.begin(memoryview(node.stage(TWO)), len(TWO.data), "CAN") == 0
    assert node.transfer.write(len(TWO.data) - 1, memoryview(b"ab")) == -ENOSPC
    assert node.transfer.end() == -EBUSY


def test_a_board_without_a_store_takes_images_and_no_sets():
    from bench.runtime import RuntimeBench

    bench = RuntimeBench("nowhere")
    bench.boot()
    from hsx.service.signed_commands import SignedCommands
    from hsxctl.signed_command import signed

    transfer = Transfer(bench.service, SignedCommands(bench.service))
    header = signed(None, c.STAGE, TWO.digest, total=len(TWO.data))
    assert transfer.begin(memoryview(header), len(TWO.data), "CAN") == -ENODEV
    image = an_app("one", 1)
    header = signed(None, c.LOAD, hashlib.sha256(image).digest(), total=len(image))
    assert transfer.begin(memoryview(header), len(image), "CAN") == 0
    assert transfer.write(0, memoryview(image)) == 0
    assert (transfer.end(), transfer.poll(0)) == (0, 0)
    assert [task.instance for task in bench.node.tasks.order] == ["one"]


# ---- a medium that fails ----------------------------------------------------------------------

HEADERS = [
    lambda node: (node.stage(TWO), TWO.data),
    lambda node: (load(node, an_app("one", 1)), an_app("one", 1)),
]
by_action = pytest.mark.parametrize("sent", HEADERS, ids=["stage", "load"])


@pytest.fixture
def refusing():
    """A node whose medium refuses a write when it is told to."""
    return ServiceBench(Refusing(ServiceBench().store_part.memory))


def counting(node: ServiceBench, header: bytes, data: bytes) -> list[int]:
    """Which writes of a transfer are those of its counter, by a node that is like this one."""
    other = ServiceBench(Medium(bytearray(node.store_part.memory)))
    assert other.send(header, data) == 0
    base = other.store.layout.counters_base
    places = [addr for addr, _ in other.store_part.log]
    return [n for n, addr in enumerate(places) if base <= addr < other.store.layout.values_base]


@by_action
@pytest.mark.parametrize("copy", [0, 1])
def test_nothing_runs_whose_counter_is_not_written_twice(refusing, sent, copy):
    header, data = sent(refusing)
    before = refusing.state()
    found = counting(refusing, header, data)
    assert len(found) == 2
    refusing.store_part.refuse(found[copy])
    assert refusing.send(header, data) == -EIO
    assert refusing.state() == before
    assert refusing.provisioning.status()["active"] == "none"
    assert ServiceBench(refusing.store_part).runs() == []


def test_a_set_that_runs_after_a_power_cut_has_used_its_counter_up():
    node = ServiceBench()
    header = node.stage(TWO)
    start, before = bytes(node.store_part.memory), len(node.store_part.log)
    assert node.send(header, TWO.data) == 0
    log = node.store_part.log[before:]
    seen = []
    for writes in range(len(log) + 1):
        again = ServiceBench(Medium(prefix(start, log[:writes], None, "old")))
        seen.append(again.runs() != [])
        if seen[-1]:
            with pytest.raises(HsxError) as caught:
                again.commands.judge(header)
            assert caught.value.errno == EPERM
    assert seen == sorted(seen)
    assert (seen[0], seen[-1]) == (False, True)


@by_action
def test_whichever_write_fails_is_told_once_and_the_transfer_has_happened_or_not(sent):
    start = ServiceBench().store_part
    fails, told = 0, []
    while True:
        node = ServiceBench(Refusing(bytearray(start.memory)))
        header, data = sent(node)
        node.store_part.refuse(fails)
        answer = node.send(header, data)
        if len(node.store_part.log) <= fails:
            break
        errors = node.told("provisioning.error")
        assert [error["code"] for error in errors] == (["EIO"] if answer else [])
        assert (node.runs() != []) == (answer == 0)
        told += [error["where"] for error in errors]
        fails += 1
    assert len(told) >= 2
    assert ("commit" in told) == (len(data) == len(TWO.data))


def test_what_an_image_is_refused_for_is_told_once():
    node = ServiceBench()
    header = load(node, an_app("one", 1))
    assert node.send(header, an_app("one", 2)) == -EBADMSG
    assert [error["code"] for error in node.told("provisioning.error")] == ["EBADMSG"]
