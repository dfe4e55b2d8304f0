# SPDX-License-Identifier: MIT
"""Loads by pushed bytes: states, gaps, repeats, limits in time, several at once, locked PIDs."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from bench.images import RET, SPIN, an_image
from bench.node import NodeBench
from hsx.errors import EBADMSG, EBUSY, EINVAL, ESRCH, ETIMEDOUT, HsxError
from hsx.image.build import command_section, mailbox_section, value_section
from hsx.image.metadata import Command, Mailbox, Value
from hsx.service import session as s
from hsx.service.events import Events
from hsx.service.loads import Loads
from hsx.service.policy import Policy

WRITE_MS, TOTAL_MS = 3000, 20000
IMAGE = an_image(*[RET] * 40)


class RuntimeBench(NodeBench):
    def __init__(self, **options) -> None:
        super().__init__(**options)
        self.log = Events(self.clock)
        policy = Policy(self.node.svc)
        self.loads = Loads(self.node, self.log, self.clock, policy, WRITE_MS, TOTAL_MS)

    def told(self, kind: str) -> list[dict]:
        return [event[4] for event in self.log.since(0) if event[2] == "provisioning." + kind]


def errno_of(call, *arguments) -> int:
    with pytest.raises(HsxError) as caught:
        call(*arguments)
    return caught.value.errno


def begun(bench: RuntimeBench, **options):
    return bench.loads.begin("UART:1", len(IMAGE), **options)


# ---- states -----------------------------------------------------------------------------------

FOLLOWS = {
    ("IDLE", "BEGIN"): "LOADING",
    ("LOADING", "WRITE"): "LOADING",
    ("LOADING", "END"): "VERIFY",
    ("LOADING", "ERROR"): "FAILED",
    ("LOADING", "ABORT"): "ABORTING",
    ("VERIFY", "GOOD"): "READY",
    ("VERIFY", "ERROR"): "FAILED",
    ("VERIFY", "ABORT"): "ABORTING",
    ("FAILED", "PURGED"): "IDLE",
    ("ABORTING", "PURGED"): "IDLE",
}
EVENTS = ("BEGIN", "WRITE", "END", "GOOD", "ERROR", "ABORT", "PURGED")


@pytest.mark.requirement("P-14", "P-15")
@pytest.mark.parametrize("state", s.STATES)
@pytest.mark.parametrize("event", EVENTS)
def test_a_state_has_the_followers_of_the_contract_and_no_other(state, event):
    number, code = s.STATES.index(state), getattr(s, event)
    if (state, event) in FOLLOWS:
        assert s.STATES[s.after(number, code)] == FOLLOWS[state, event]
    else:
        assert errno_of(s.after, number, code) == EBUSY


@pytest.mark.requirement("P-8", "P-13", "P-14")
def test_status_tells_state_progress_and_the_last_error():
    bench = RuntimeBench()
    load = begun(bench)
    pid = load.pid
    assert bench.loads.load_status(pid)["state"] == "LOADING"
    bench.loads.write(pid, memoryview(IMAGE)[:128])
    status = bench.loads.load_status(pid)
    assert (status["bytes"], status["total"]) == (128, len(IMAGE))
    assert status["percent"] == 128 * 100 // len(IMAGE)
    bench.loads.write(pid, memoryview(IMAGE)[128:])
    assert bench.loads.end(pid) == pid
    assert bench.loads.load_status(pid) == {"state": "READY", "source": "UART:1"}
    assert errno_of(bench.loads.write, pid, memoryview(b"x")) == EBUSY
    assert errno_of(bench.loads.end, pid) == EBUSY
    assert errno_of(bench.loads.abort, pid) == EBUSY
    failing = begun(bench)
    with pytest.raises(HsxError):
        bench.loads.write(failing.pid, memoryview(bytes(200)))
    status = bench.loads.load_status(failing.pid)
    assert (status["state"], status["code"]) == ("FAILED", "EBADMSG")
    for call in (bench.loads.load_status, bench.loads.end, bench.loads.abort):
        assert errno_of(call, 7) == ESRCH
    assert bench.loads.load_status(begun(bench).pid)["state"] == "LOADING"  # a retry of the same


def test_status_of_a_pid_tells_its_newest_failure():
    """The two loads that failed last are remembered, each under its PID."""
    bench = RuntimeBench()

    def cut_short(pid: int) -> None:
        assert begun(bench, pid=pid).pid == pid
        bench.loads.write(pid, memoryview(IMAGE)[:100])
        assert errno_of(bench.loads.end, pid) == EBADMSG

    def late(pid: int) -> None:
        assert begun(bench, pid=pid).pid == pid
        bench.loads.poll(bench.clock.forward(WRITE_MS + 1))

    def code(pid: int) -> str:
        return bench.loads.load_status(pid)["code"]

    for fail, expected in ((cut_short, "EBADMSG"), (late, "ETIMEDOUT"), (cut_short, "EBADMSG")):
        fail(1)
        assert code(1) == expected
    late(2)
    assert (code(1), code(2)) == ("EBADMSG", "ETIMEDOUT")
    cut_short(3)
    assert (code(2), code(3)) == ("ETIMEDOUT", "EBADMSG")
    assert errno_of(bench.loads.load_status, 1) == ESRCH


@pytest.mark.requirement("P-1")
def test_one_service_with_its_own_limits_serves_every_way_in(tmp_path):
    from bench.runtime import RuntimeBench as Node

    (tmp_path / "hsx.toml").write_text('schema = 1\n[[image]]\nfile = "one.hxe"\n')
    (tmp_path / "one.hxe").write_bytes(IMAGE)
    node = Node(tmp_path)
    node.service.policy.max_code = 100
    node.boot()  # the card
    with pytest.raises(HsxError):
        node.runtime.load(str(tmp_path / "one.hxe"))  # the REPL
    with pytest.raises(HsxError):
        node.service.begin("UART:1").write(memoryview(IMAGE))  # a link
    assert [event["code"] for event in node.told("provisioning.error")] == ["ENOSPC"] * 3
    assert node.runtime.service is node.service
    other = Loads(node.node, node.log, node.clock, Policy(node.node.svc), write_ms=7, total_ms=9)
    assert (other.write_ms, other.total_ms) == (7, 9)


# ---- bytes ------------------------------------------------------------------------------------


@pytest.mark.requirement("P-39", "P-40")
@pytest.mark.parametrize("chunk", [1, 16, 100])
def test_a_chunk_that_comes_again_is_passed_over(chunk):
    bench = RuntimeBench()
    load = begun(bench)
    view = memoryview(IMAGE)
    for at in range(0, len(IMAGE), chunk):
        piece = view[at : at + chunk]
        for _ in range(2):
            assert load.write(piece, at) == at + len(piece)
        back = max(0, at - chunk // 2)  # half of it is there already
        assert load.write(view[back : at + chunk], back) == at + len(piece)
    bench.loads.end(load.pid)
    assert bench.node.ps()[0]["state"] == "loaded"


@pytest.mark.requirement("P-40")
def test_a_gap_is_refused_and_the_load_goes_on_where_it_was():
    bench = RuntimeBench()
    load = begun(bench)
    view = memoryview(IMAGE)
    load.write(view[:50], 0)
    with pytest.raises(HsxError) as caught:
        load.write(view[60:], 60)
    assert (caught.value.errno, caught.value.offset) == (EINVAL, 50)
    load.write(view[50:], 50)
    assert bench.loads.end(load.pid) == load.pid


# ---- time -------------------------------------------------------------------------------------


@pytest.mark.requirement("P-41", "P-42", "P-97")
@pytest.mark.parametrize("written", [0, 1, 95, 96, 150, len(IMAGE)])
def test_a_load_that_stands_still_ends_without_traffic(written):
    bench = RuntimeBench()
    load = begun(bench)
    load.write(memoryview(IMAGE)[:written])
    bench.loads.poll(bench.clock.forward(WRITE_MS))
    assert load.open
    bench.loads.poll(bench.clock.forward(1))
    assert not load.open
    assert bench.state() == bench.idle
    assert bench.told("error")[0]["code"] == "ETIMEDOUT"
    assert [event[2] for event in bench.log.since(0)][-2:] == [
        "provisioning.error",
        "provisioning.aborted",
    ]
    assert bench.loads.load_status(load.pid)["code"] == "ETIMEDOUT"


@pytest.mark.requirement("P-41", "P-42")
def test_a_load_that_takes_too_long_ends_though_bytes_come():
    bench = RuntimeBench()
    load = begun(bench)
    at = 0
    while load.open:
        load.write(memoryview(IMAGE)[at : at + 1])
        at += 1
        bench.loads.poll(bench.clock.forward(1000))
    assert at == TOTAL_MS // 1000 + 1
    assert load.failed.errno == ETIMEDOUT
    assert bench.state() == bench.idle


# ---- several, and the PIDs --------------------------------------------------------------------


@pytest.mark.requirement("P-44")
def test_loads_at_once_each_have_their_state_and_their_end():
    bench = RuntimeBench()
    loads = [begun(bench) for _ in range(3)]
    for at in range(0, len(IMAGE), 20):
        for load in loads:
            if load.open:
                load.write(memoryview(IMAGE)[at : at + 20], at)
        loads[1].abort()
    assert bench.loads.end(loads[2].pid) == 3
    assert bench.loads.load_status(loads[0].pid)["state"] == "LOADING"
    assert errno_of(bench.loads.session, loads[1].pid) == ESRCH
    assert bench.loads.end(loads[0].pid) == 1
    assert bench.vm.pids() == (1, 3)


@pytest.mark.requirement("P-71")
def test_a_wanted_pid_that_is_in_use_gives_another_one_or_a_refusal():
    bench = RuntimeBench()
    assert begun(bench, pid=4).pid == 4
    assert begun(bench, pid=4).pid == 1
    assert errno_of(lambda: begun(bench, pid=4, fixed_pid=True)) == EBUSY
    assert bench.told("error")[0]["code"] == "EBUSY"


@pytest.mark.requirement("P-45")
def test_a_task_under_debug_is_neither_ended_nor_replaced():
    bench = RuntimeBench()
    pid = bench.load(an_image(SPIN, name="app", multiple=False))
    bench.node.lock(pid)
    with pytest.raises(HsxError) as caught:
        bench.loads.free("app")
    assert (caught.value.errno, caught.value.detail) == (EBUSY, f"pid_locked:{pid}")
    assert errno_of(bench.node.kill, pid) == EBUSY
    bench.node.lock(pid, False)
    bench.loads.free("app")
    assert bench.vm.pids() == ()


# ---- all of it, against a small model ---------------------------------------------------------

DECLARED = (
    value_section([Value(1, 1, 0, 0, 0, "level", None, 0, 0, 0, 0, None)]),
    command_section([Command(1, 1, 0, 0, 0, "reset", "", None)]),
    mailbox_section([Mailbox("app:box", 64, 0x0C, None, [], None, False)]),
)
FULL = an_image(SPIN, *[RET] * 8, name="full", sections=DECLARED)


class Machine(RuleBasedStateMachine):
    """Loads of a good image, by any steps in any order; the model knows how far each must be."""

    def __init__(self) -> None:
        super().__init__()
        self.bench = RuntimeBench(tasks=4)
        self.model: dict[int, int] = {}  # PID of an open load -> bytes in
        self.touched: dict[int, int] = {}
        self.begun: dict[int, int] = {}
        self.good: set[int] = set()

    def pick(self, data) -> int:
        return data.draw(st.sampled_from(sorted(self.model)))

    def forget(self, pid: int) -> None:
        for table in (self.model, self.touched, self.begun):
            del table[pid]

    @rule()
    def begin(self) -> None:
        if len(self.model) + len(self.good) == 4:
            with pytest.raises(HsxError):
                self.bench.loads.begin("UART:1", len(FULL))
            return
        pid = self.bench.loads.begin("UART:1", len(FULL)).pid
        assert pid not in self.model and pid not in self.good
        self.model[pid] = 0
        self.touched[pid] = self.begun[pid] = self.bench.clock()

    @precondition(lambda self: self.model)
    @rule(data=st.data(), start=st.integers(0, len(FULL)), size=st.integers(0, 200))
    def write(self, data, start, size) -> None:
        pid = self.pick(data)
        view = memoryview(FULL)[start : start + size]
        self.touched[pid] = self.bench.clock()
        if start > self.model[pid]:
            assert errno_of(self.bench.loads.write, pid, view, start) == EINVAL
            return
        self.model[pid] = max(self.model[pid], start + len(view))
        assert self.bench.loads.write(pid, view, start) == self.model[pid]

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def rest(self, data) -> None:
        pid = self.pick(data)
        self.bench.loads.write(pid, memoryview(FULL)[self.model[pid] :])
        self.model[pid] = len(FULL)
        self.touched[pid] = self.bench.clock()

    @precondition(lambda self: self.model)
    @rule(data=st.data(), at=st.integers(0, len(FULL) - 1))
    def damage(self, data, at) -> None:
        """The rest with one bit wrong: refused at the latest at the end."""
        pid = self.pick(data)
        wrong = bytearray(FULL)
        wrong[at] ^= 4
        done = self.model[pid]
        try:
            self.bench.loads.write(pid, memoryview(wrong)[done:])
            self.bench.loads.end(pid)
            assert at < done or 0x20 <= at < 0x60  # a name that is another name
            self.good.add(pid)
        except HsxError as error:
            assert error.errno == EBADMSG
        self.forget(pid)

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def end(self, data) -> None:
        pid = self.pick(data)
        if self.model[pid] == len(FULL):
            assert self.bench.loads.end(pid) == pid
            self.good.add(pid)
        else:
            assert errno_of(self.bench.loads.end, pid) == EBADMSG
        self.forget(pid)

    @precondition(lambda self: self.model)
    @rule(data=st.data())
    def abort(self, data) -> None:
        pid = self.pick(data)
        self.bench.loads.abort(pid)
        self.forget(pid)

    @precondition(lambda self: self.good)
    @rule(data=st.data())
    def kill(self, data) -> None:
        pid = data.draw(st.sampled_from(sorted(self.good)))
        self.bench.node.kill(pid)
        self.good.remove(pid)

    @rule(ms=st.sampled_from([1, 500, 2999, 3001, 8000]))
    def wait(self, ms) -> None:
        now = self.bench.clock.forward(ms)
        self.bench.loads.poll(now)
        for pid in list(self.model):
            if now - self.touched[pid] > WRITE_MS or now - self.begun[pid] > TOTAL_MS:
                self.forget(pid)

    @invariant()
    def node_holds_what_the_model_says(self) -> None:
        node = self.bench.node
        assert set(self.bench.vm.pids()) == set(self.model) | self.good
        for pid, done in self.model.items():
            assert self.bench.loads.session(pid).done == done
            assert node.values.count(pid) == 0
        for pid in self.good:
            assert (node.values.count(pid), node.commands.count(pid)) == (1, 1)
        names = [task.instance for task in node.tasks.order if task.instance]
        assert len(names) == len(set(names))

    def teardown(self) -> None:
        for pid in list(self.model):
            self.bench.loads.abort(pid)
        for pid in self.good:
            self.bench.node.kill(pid)
        assert self.bench.state()[:5] == self.bench.idle[:5]


TestStates = Machine.TestCase
TestStates.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestStates.pytestmark = [pytest.mark.requirement("P-15", "P-38", "P-91", "P-97")]
