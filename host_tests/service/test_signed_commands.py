# SPDX-License-Identifier: MIT
"""Signed commands: who may ask a node for what, and how often."""

import pytest

from bench.images import RET, SPIN, an_image, ldi
from bench.service import (
    NETWORK,
    NODE,
    ServiceBench,
    a_set,
    admin,
    an_app,
    factory,
    public,
    stranger,
    user,
)
from hsx.errors import EACCES, EBADMSG, EBUSY, ENODEV, ENOENT, EPERM, ESRCH, HsxError
from hsx.image.build import command_section, value_section
from hsx.image.metadata import Command, Value
from hsx.link import command as c
from hsx.service.policy import ADMIN, FACTORY, OFF, USER
from hsxctl.signed_command import signed

ROLES = {USER: user, ADMIN: admin, FACTORY: factory}


def refused(call, *arguments) -> int:
    with pytest.raises(HsxError) as caught:
        call(*arguments)
    return caught.value.errno


def an_app_with_values(name: str) -> bytes:
    levels = [Value(1, n, 0, n, 0, f"v{n}", None, 0, 0, 0, 0, None) for n in range(4)]
    return an_image(SPIN, name=name, sections=(value_section(levels),))


def set_value(pid: int, oid: int, bits: int) -> bytes:
    return bytes((pid, 0)) + oid.to_bytes(2, "little") + bits.to_bytes(2, "little")


@pytest.mark.requirement("P-87", "P-D5")
@pytest.mark.parametrize("level", range(4))
@pytest.mark.parametrize("role", ROLES)
def test_a_role_sets_the_values_up_to_its_level(role, level):
    node = ServiceBench()
    pid = node.load(an_app_with_values("one"))
    command = node.command(c.SET, set_value(pid, 0x100 + level, 0x3C00), ROLES[role])
    if level <= role:
        node.commands.perform(command)
        assert node.node.get_value(pid, 0x100 + level) == 0x3C00
    else:
        assert refused(node.commands.perform, command) == EPERM
        assert node.node.get_value(pid, 0x100 + level) == 0


@pytest.mark.requirement("P-87")
@pytest.mark.parametrize("action", range(1, 11))
@pytest.mark.parametrize("role", ROLES)
def test_each_action_needs_its_role(role, action):
    node = ServiceBench()
    needs = USER if action in (c.SET, c.CALL) else ADMIN
    command = node.command(action, bytes(32), ROLES[role])
    if role >= needs:
        assert node.commands.judge(command) == role
    else:
        assert refused(node.commands.judge, command) == EACCES


@pytest.mark.requirement("P-D5", "P-87")
def test_a_command_acts_once():
    node = ServiceBench()
    pid = node.load(an_app_with_values("one"))
    command = node.command(c.SET, set_value(pid, 0x100, 0x3C00), user)
    node.commands.perform(command)
    node.node.set_value(pid, 0x100, 0)
    assert refused(node.commands.perform, command) == EPERM
    again = ServiceBench(node.store_part)  # after a reset too
    again.load(an_app_with_values("one"))
    assert refused(again.commands.perform, command) == EPERM


def test_counters_of_keys_are_their_own():
    node = ServiceBench()
    pid = node.load(an_app_with_values("one"))
    node.commands.perform(node.command(c.SET, set_value(pid, 0x100, 1), user, counter=1000))
    node.commands.perform(node.command(c.SET, set_value(pid, 0x100, 2), admin, counter=7))
    low = node.command(c.SET, set_value(pid, 0x100, 3), admin, counter=7)
    assert refused(node.commands.perform, low) == EPERM


@pytest.mark.requirement("P-D5")
def test_a_command_with_any_byte_changed_is_refused():
    node = ServiceBench()
    pid = node.load(an_app_with_values("one"))
    good = node.command(c.SET, set_value(pid, 0x100, 0x3C00), user)
    before = node.snapshot()
    for at in range(c.SIZE):
        for bit in (0x01, 0x80):
            changed = bytearray(good)
            changed[at] ^= bit
            assert refused(node.commands.perform, bytes(changed)) in (EACCES, EBADMSG, EPERM), at
    assert node.snapshot() == before
    node.commands.perform(good)


@pytest.mark.parametrize(
    ("more", "errno"),
    [
        ({"network": NETWORK + 1}, EACCES),
        ({"nodes": [NODE - 1, NODE + 1, 126]}, EACCES),
        ({"nodes": []}, EACCES),
        ({"key": stranger}, EACCES),
        ({"key": None}, EACCES),
        ({"action": 11}, EBADMSG),
        ({"action": c.ABORT}, ENOENT),
        ({"action": 0}, EBADMSG),
        ({"action": c.LOAD}, EBADMSG),
        ({"action": c.STAGE}, EBADMSG),
        ({"action": c.KILL}, ESRCH),
        ({"action": c.CONFIRM}, ENOENT),
        ({"action": c.ROLLBACK, "acts_on": b"another set....."}, ENOENT),
        ({"action": c.ACTIVATE}, ENOENT),
    ],
)
def test_what_does_not_fit_is_refused_and_changes_nothing(more, errno):
    node = ServiceBench()
    action = more.pop("action", c.SET)
    command = node.command(action, more.pop("acts_on", bytes(32)), **{"key": admin, **more})
    before = node.state()
    assert refused(node.commands.perform, command) == errno
    assert node.state() == before


@pytest.mark.parametrize("nodes", [[NODE], [1, NODE, 126], None])
def test_a_node_takes_what_names_it_among_others(nodes):
    node = ServiceBench()
    assert node.commands.judge(node.command(c.KILL, b"\1", nodes=nodes)) == ADMIN


def test_a_node_without_a_number_takes_only_what_is_for_all():
    node = ServiceBench()
    node.policy.number = 127
    assert node.commands.judge(node.command(c.KILL, b"\1", nodes=None)) == ADMIN
    everyone_else = node.command(c.KILL, b"\1", nodes=list(range(1, 127)))
    assert refused(node.commands.judge, everyone_else) == EACCES


def test_without_signatures_anyone_may_ask():
    node = ServiceBench()
    node.policy.commands = OFF
    pid = node.load(an_app_with_values("one"))
    command = signed(None, c.SET, set_value(pid, 0x103, 0x3C00), network=NETWORK)
    for _ in range(2):  # and there is nothing to replay
        node.commands.perform(command)
    assert node.node.get_value(pid, 0x103) == 0x3C00


def test_a_signature_that_is_there_counts_even_if_none_is_needed():
    node = ServiceBench()
    node.policy.commands = OFF
    bad = bytearray(node.command(c.KILL, b"\1"))
    bad[-1] ^= 1
    assert refused(node.commands.perform, bytes(bad)) == EACCES


def test_a_node_without_a_store_can_count_no_command():
    node = ServiceBench()
    command = node.command(c.KILL, b"\1")
    node.policy.store = None
    assert refused(node.commands.perform, command) == ENODEV


def test_a_call_gives_its_result_and_its_token_is_signed():
    node = ServiceBench()
    section = command_section([Command(1, 1, 0, 0, 4, "answer", "", None)])
    pid = node.load(an_image(SPIN, ldi(0, 42), RET, name="one", sections=(section,)))
    oid = (0x101).to_bytes(2, "little")
    assert node.commands.perform(node.command(c.CALL, bytes((pid, 0)) + oid, user)) == 42
    bad = node.command(c.CALL, bytes((pid, 0)) + oid + b"\xff\xfe", user)
    assert refused(node.commands.perform, bad) == EBADMSG


def test_a_set_is_activated_confirmed_and_rolled_back_by_commands():
    node = ServiceBench()
    first, second = a_set(an_app("one", 1)), a_set(an_app("one", 2), an_app("two", 2))
    for sent, apps in ((first, ["one"]), (second, ["one", "two"])):
        assert node.send(node.stage(sent, flags=0), sent.data) == 0
        node.commands.perform(node.command(c.ACTIVATE, sent.digest))
        assert refused(node.commands.perform, node.command(c.ROLLBACK, bytes(16))) == EBUSY
        node.run()
        assert node.runs() == apps
        node.commands.perform(node.command(c.CONFIRM, sent.digest + bytes(4)))
        assert node.provisioning.status()["state"] == "confirmed"
    wrong = node.command(c.ROLLBACK, second.digest)
    assert refused(node.commands.perform, wrong) == ENOENT
    node.commands.perform(node.command(c.ROLLBACK, first.digest))
    node.run()
    assert node.runs() == ["one"]


def test_nothing_else_changes_the_set_while_a_change_is_under_way():
    """From the command that asks for it until the polls are through with it."""
    node = ServiceBench()
    sent = a_set(an_app("one", 1))
    assert node.send(node.stage(sent, flags=0), sent.data) == 0
    node.commands.perform(node.command(c.ACTIVATE, sent.digest))
    other = a_set(an_app("two", 1))
    header = memoryview(node.stage(other))
    assert node.transfer.begin(header, len(other.data), "CAN") == -EBUSY
    for action in (c.ACTIVATE, c.ROLLBACK, c.CONFIRM):
        assert refused(node.commands.perform, node.command(action, bytes(16))) == EBUSY
    assert node.runs() == []
    node.board.tick(None)
    assert node.runs() == ["one"]
    assert node.transfer.begin(header, len(other.data), "CAN") == -EBUSY  # on trial
    node.provisioning.confirm()
    assert node.transfer.begin(header, len(other.data), "CAN") == 0


def test_a_task_is_ended_by_command():
    node = ServiceBench()
    pid = node.load(an_app("one", 1))
    node.commands.perform(node.command(c.KILL, bytes([pid])))
    assert node.runs() == []


@pytest.mark.requirement("P-88")
def test_who_keeps_trying_fills_no_log():
    node = ServiceBench()
    before = node.log.seq
    for _ in range(1000):
        refused(node.commands.perform, bytes(c.SIZE))
        header = memoryview(bytes(c.SIZE))
        assert node.transfer.begin(header, 512, "CAN") == -EBADMSG
    assert node.log.seq - before == 4
    node.clock.forward(1000)
    refused(node.commands.perform, bytes(c.SIZE))
    assert node.log.seq - before == 5


def test_no_signature_over_something_else_passes_for_a_command():
    node = ServiceBench()
    body = c.pack(c.KILL, b"\1", NETWORK, [NODE], key=public(admin), counter=1)
    for context in (b"", b"HSX image 1\0"):
        assert refused(node.commands.perform, body + admin.sign(context + body)) == EACCES
