# SPDX-License-Identifier: MIT
"""What must hold of a node, whatever was done to it in whatever order."""

from bench.service import ServiceBench
from hsx.errors import HsxError
from hsx.node import tasks as t
from hsx.store.bank import BankReader
from hsx.store.store import Store
from hsx.store.superblock import CONFIRMED, NONE, TRIAL
from interleaving.operations import SETS, Site
from powercut.medium import Medium


def opened(memory: bytes) -> Store:
    """The store of a medium, as after a reset."""
    store = Store(Medium(bytearray(memory)))
    assert store.open(), "there is no store any more"
    return store


def active_digest(memory: bytes) -> bytes:
    """Of the active set of a medium, zeros without one."""
    state = opened(memory).superblocks.state
    return state.digests[state.active - 1] if state.active != NONE else bytes(16)


def banks(memory: bytes) -> tuple[int, list[bool]]:
    """The active bank of a medium, and of each bank whether it may boot and is whole."""
    store = opened(memory)
    state = store.superblocks.state
    found = []
    for bank in (1, 2):
        reader = BankReader(store._banks[bank - 1], memoryview(bytearray(256)))
        try:
            reader.open(state.digests[bank - 1])
            for _ in reader.check_all(False):
                pass
            whole = True
        except HsxError:
            whole = False
        found.append(whole and state.states[bank - 1] in (TRIAL, CONFIRMED))
    return state.active, found


def check(site: Site, before: bytes, faulted: bool) -> None:
    """After all operations have ended. `before`: the medium when they began; `faulted`: an app of
    a set has."""
    node = site.node
    for link in site.links:
        link.abort()
    for _ in site.settled():
        pass
    active, good = banks(node.store_part.memory)
    done = {name for name, errno in site.answers if not errno}
    formatted = "format" in done
    if any(banks(before)[1]) and not formatted:
        assert any(good), "both sets are lost"
    if active != NONE:
        assert good[active - 1], "the active bank is not whole"
    now = active_digest(node.store_part.memory)
    others = done & {"activate", "command activate"}
    for name, errno in site.answers:
        sent = SETS.get(name.removeprefix("push "))
        if errno and sent is not None and sent.digest == now and not others | done & {name}:
            assert active_digest(before) == now, "a set that was refused is active"
    _check_node(node)
    if not formatted:
        _check_set(node, active, faulted, killed(site))
    _check_managed(node)


def killed(site: Site) -> bool:
    """Whether a task of the set may have been ended, or another put in its place, on purpose."""
    done = {name for name, errno in site.answers if not errno}
    return not done.isdisjoint(("kill", "command kill", "replace"))


def _check_node(node: ServiceBench) -> None:
    order = node.node.tasks.order
    assert sorted(node.vm.pids()) == sorted(task.pid for task in order), "a PID is nobody's"
    assert not [task for task in order if task.state in (t.LOADING, t.LOADED)], "never started"
    assert node.service._sessions == [], "a load is left over"
    assert node.service.transfer is None, "a transfer is left over"
    names = [task.instance for task in order]
    assert len(names) == len(set(names)), "two tasks have one name"


def _check_set(node: ServiceBench, active: int, faulted: bool, is_killed: bool) -> None:
    order = node.node.tasks.order
    runs = sorted(task.app for task in order if task.source.startswith("FRAM:"))
    wanted = sorted(image.name for image in node.provisioning.images()) if active else []
    if faulted and not runs or is_killed:
        return
    assert runs == wanted, "what runs is not the active set"


def _check_managed(node: ServiceBench) -> None:
    """It takes a set, and runs it."""
    if node.provisioning.on_trial():
        node.provisioning.confirm()
    digest = node.provisioning.active_digest()
    sent = next(sent for sent in SETS.values() if sent.digest != digest)
    assert node.send(node.stage(sent), sent.data) == 0
    runs = [task.app for task in node.node.tasks.order if task.source.startswith("FRAM:")]
    assert sorted(runs) == sorted(image.name for image in sent.images)
    node.node.stop()
    fresh = ServiceBench()
    assert node.vm.free() == fresh.vm.free(), "memory is lost"
    assert node.node.values.rows() == []
