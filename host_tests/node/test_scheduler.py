# SPDX-License-Identifier: MIT
import pytest

from bench.images import BRK, EXIT, RET, SLEEP, SPIN, STEPS, an_image, ldi, ldi32
from bench.node import NodeBench
from hsx import native
from hsx.errors import EBUSY, ESRCH, HsxError
from hsx.node import tasks as t


def test_a_loaded_task_waits_to_be_started():
    bench = NodeBench()
    pid = bench.load(an_image(ldi(0, 1), RET), start=False)
    bench.poll()
    assert bench.task(pid).state == t.LOADED
    bench.node.start(pid)
    bench.poll()
    assert bench.task(pid).state == t.STOPPED
    with pytest.raises(HsxError) as refused:
        bench.node.start(pid)
    assert refused.value.errno == EBUSY


def test_run_counts_instructions_exactly_across_service_calls():
    bench = NodeBench()
    pid = bench.load(an_image(STEPS, 0x30000B21, SPIN))
    task = bench.task(pid)
    for steps in range(1, 40):
        before = bench.vm.get(pid, native.STEPS)
        assert bench.node.scheduler.run(task, steps, 0) == native.OK
        assert bench.vm.get(pid, native.STEPS) == before + steps


def test_every_ready_task_gets_its_quantum_in_each_round():
    bench = NodeBench()
    first = bench.load(an_image(SPIN), quantum=100)
    second = bench.load(an_image(SPIN), quantum=300)
    clock = bench.clock
    bench.node.scheduler._clock = lambda: clock.forward(1)
    for _ in range(10):
        bench.poll()
    ratio = bench.vm.get(second, native.STEPS) / bench.vm.get(first, native.STEPS)
    assert 2.5 < ratio < 3.5


def test_a_slice_ends_by_the_clock_and_goes_on_where_it_stopped():
    bench = NodeBench(slice_ms=1)
    pids = [bench.load(an_image(SPIN), quantum=100) for _ in range(3)]
    clock = bench.clock
    bench.node.scheduler._clock = lambda: clock.forward(1)
    for _ in range(6):
        assert bench.poll() == 0
    assert [bench.vm.get(pid, native.STEPS) for pid in pids] == [200, 200, 200]


def test_lower_numbers_of_priority_come_first():
    bench = NodeBench()
    low = bench.load(an_image(RET, name="low"), priority=20)
    high = bench.load(an_image(RET, name="high"), priority=1)
    bench.events.clear()
    bench.poll()
    assert [pid for _, pid, _ in bench.events] == [high, low]


def test_a_sleeper_wakes_when_its_time_has_come_and_not_before():
    bench = NodeBench()
    pid = bench.load(an_image(ldi(0, 50), SLEEP, ldi(0, 7), EXIT))
    assert bench.poll() == 50
    assert bench.node.ps()[0]["sleep_pending"]
    bench.clock.forward(49)
    assert bench.poll() == 1
    bench.clock.forward(1)
    bench.poll()
    assert bench.task(pid).exit_code == 7


def test_a_sleep_leaves_zero_in_r0():
    bench = NodeBench()
    pid = bench.load(an_image(ldi(0, 50), SLEEP, SPIN))
    bench.poll()
    assert bench.vm.get(pid, 0) == 0


def test_a_sleep_across_the_wrap_of_the_clock_lasts_as_long():
    bench = NodeBench()
    bench.clock.now = (1 << 29) - 10
    pid = bench.load(an_image(ldi(0, 50), SLEEP, EXIT))
    bench.poll()
    bench.clock.forward(49)
    bench.poll()
    assert bench.task(pid).state == t.SLEEPING
    bench.clock.forward(1)
    bench.poll()
    assert bench.task(pid).state == t.STOPPED


def test_a_sleep_longer_than_the_clock_can_tell_is_not_cut_short():
    bench = NodeBench()
    days = 40 * 24 * 3600 * 1000
    pid = bench.load(an_image(*ldi32(0, days), SLEEP, EXIT))
    bench.poll()
    slept = 0
    while slept + 100_000_000 < days:
        bench.clock.forward(100_000_000)
        slept += 100_000_000
        bench.poll()
        assert bench.task(pid).state == t.SLEEPING
    bench.clock.forward(days - slept)
    bench.poll(2)
    assert bench.task(pid).state == t.STOPPED


@pytest.mark.parametrize(
    ("code", "state", "stop"),
    [
        ((ldi(0, 3), EXIT), t.STOPPED, "exit"),
        ((ldi(0, 3), RET), t.STOPPED, "returned"),
        ((BRK | 9,), t.PAUSED, "brk"),
        ((0,), t.FAULTED, "illegal_opcode"),
        ((ldi(1, 0), 0x13110000 | 1 << 12), t.FAULTED, "fault:div_zero"),
        ((ldi(1, -1), 0x02010000), t.FAULTED, "fault:mem"),
        ((ldi(1, 1),), t.FAULTED, "pc_out_of_range"),
        ((0x41000000, 0x41000000), t.FAULTED, "fault:stack_underflow"),
        ((0x40000000, SPIN), t.FAULTED, "fault:stack_overflow"),
    ],
)
def test_each_way_to_stop_is_told_and_never_run_again(code, state, stop):
    bench = NodeBench()
    pid = bench.load(an_image(*code))
    bench.poll()
    row = bench.node.ps()[0]
    assert (bench.task(pid).state, row["stop"]) == (state, stop)
    assert bench.events[-1][2]["stop"] == stop
    steps = bench.vm.get(pid, native.STEPS)
    bench.poll(3)
    assert bench.vm.get(pid, native.STEPS) == steps


def test_one_faulting_task_leaves_the_others_alone():
    bench = NodeBench()
    bench.load(an_image(0))
    other = bench.load(an_image(ldi(0, 9), EXIT))
    bench.poll()
    assert bench.task(other).exit_code == 9


@pytest.mark.requirement("P-38")
def test_kill_gives_everything_back_and_the_pid_is_unknown_then():
    bench = NodeBench()
    pid = bench.load(an_image(SPIN))
    bench.node.kill(pid)
    assert bench.state() == bench.idle
    with pytest.raises(HsxError) as refused:
        bench.node.kill(pid)
    assert refused.value.errno == ESRCH


def test_a_task_that_is_being_loaded_can_not_be_killed():
    bench = NodeBench()
    loading = bench.node.load_begin("test")
    with pytest.raises(HsxError) as refused:
        bench.node.kill(loading.pid)
    assert refused.value.errno == EBUSY


def test_stop_ends_all_tasks_last_first():
    bench = NodeBench()
    pids = [bench.load(an_image(SPIN)) for _ in range(3)]
    bench.events.clear()
    bench.node.stop()
    assert [pid for _, pid, _ in bench.events] == pids[::-1]
    assert bench.state() == bench.idle


def test_an_idle_node_asks_to_be_called_within_a_second():
    assert NodeBench().poll() == 1000


@pytest.mark.requirement("P-21")
def test_ps_lists_a_task_that_is_being_loaded():
    bench = NodeBench()
    bench.node.load_begin("CAN:3:0")
    row = bench.node.ps()[0]
    assert (row["state"], row["program"], row["accounted_steps"]) == ("loading", "CAN:3:0", 0)
