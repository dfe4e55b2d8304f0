# SPDX-License-Identifier: MIT
"""The owner of change: one piece of work at a time, and none that is left unfinished."""

import pytest

from bench.runtime import RuntimeBench
from bench.service import ServiceBench, a_set, an_app
from hsx.errors import EBUSY, ENOSPC, HsxError
from hsx.node import tasks as t
from hsx.service.work import Work


def refused(call, *args):
    with pytest.raises(OSError) as caught:
        call(*args)
    return caught.value.errno


def test_a_second_piece_of_work_is_refused_until_the_first_is_over():
    work = Work()

    def steps():
        work.ask()  # what the work itself does is no other's
        yield
        return 7

    change = work.begin(steps())
    assert refused(work.ask) == EBUSY and refused(work.begin, steps()) == EBUSY
    assert work.step() is None and work.is_busy()
    assert work.step() is change and not work.is_busy()
    assert (change.done, change.result, change.failure()) == (True, 7, None)
    work.ask()


@pytest.mark.parametrize("trouble", [OSError(5), HsxError(EBUSY, "begin", "no"), ValueError("x")])
def test_whatever_work_raises_is_its_error_and_ends_it(trouble):
    work = Work()

    def steps():
        yield
        raise trouble

    change = work.begin(steps())
    work.step()
    assert work.step() is change and change.failure() is trouble
    assert not work.is_busy() and work.step() is None


def test_a_full_heap_is_enospc():
    work = Work()

    def steps():
        yield
        raise MemoryError

    change = work.begin(steps())
    work.step()
    work.step()
    failure = change.failure()
    assert change.done and not work.is_busy()
    assert isinstance(failure, HsxError) and failure.errno == ENOSPC


@pytest.mark.parametrize("at", [0, 1])
def test_a_set_that_meets_a_full_heap_gives_way_to_the_one_before(monkeypatch, at):
    """As one of its two loads begins."""
    node = ServiceBench()
    first, second = a_set(an_app("one", 1)), a_set(an_app("two", 1), an_app("three", 1))
    assert node.send(node.stage(first), first.data) == 0
    node.provisioning.confirm()
    counts = iter(range(100))
    real = t.Task.__init__

    def init(self, *args):
        if next(counts) == at:
            raise MemoryError
        real(self, *args)

    monkeypatch.setattr(t.Task, "__init__", init)
    assert node.send(node.stage(second), second.data) == 0
    assert node.runs() == ["one"]
    assert node.provisioning.status()["state"] == "confirmed"
    assert sorted(node.vm.pids()) == [task.pid for task in node.node.tasks.order]


def test_an_error_that_nobody_expected_reverts_a_trial_and_is_told(monkeypatch):
    node = ServiceBench()
    first, second = a_set(an_app("one", 1)), a_set(an_app("two", 1))
    assert node.send(node.stage(first), first.data) == 0
    node.provisioning.confirm()
    tasks = node.provisioning._tasks
    start, times = tasks.start, iter([True, False])

    def broken():
        if next(times):
            raise ValueError("broken")
        start()

    monkeypatch.setattr(tasks, "start", broken)
    assert node.send(node.stage(second), second.data) == 0
    assert node.runs() == ["one"]
    assert {"source": "work", "detail": "ValueError('broken')"} in node.told("warning")
    assert [event["reason"] for event in node.told("provisioning.rollback")] == ["change failed"]


def test_a_load_that_is_on_its_way_gives_way_to_the_app_of_the_set():
    """Both have one name: the set's must start."""
    node = ServiceBench()
    sent, image = a_set(an_app("one", 1)), an_app("one", 2)
    session = node.service.begin("guest", len(image))
    session.write(memoryview(image)[: len(image) - 8])
    assert node.send(node.stage(sent), sent.data) == 0
    assert node.runs() == ["one"] and not session.open


def test_what_works_on_the_store_is_refused_while_a_link_sends_a_set():
    node = ServiceBench()
    sent = a_set(an_app("one", 1))
    header = memoryview(node.stage(sent))
    assert node.transfer.begin(header, len(sent.data), "UART:1") == 0
    images = list(sent.images)
    assert refused(node.provisioning.stage, images) == EBUSY
    assert refused(node.provisioning.format, "erase everything") == EBUSY
    assert node.transfer.write(0, memoryview(sent.data)) == 0


def test_a_board_without_a_store_has_an_owner_too(tmp_path):
    bench = RuntimeBench(tmp_path)
    bench.boot()
    bench.service.work.begin(iter([None]))
    assert refused(bench.service.begin, "guest") == EBUSY
