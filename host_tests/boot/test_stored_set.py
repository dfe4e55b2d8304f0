# SPDX-License-Identifier: MIT
"""The set that the node keeps: staged, activated, on trial, confirmed, given back."""

import pytest

import hsx
from bench.images import SLEEP, SPIN, an_image, ldi
from bench.runtime import RuntimeBench
from bench.service import a_set
from fakes.fram import PowerCut
from hsx.errors import (
    EBADMSG,
    EBUSY,
    EINVAL,
    EIO,
    ENODEV,
    ENOENT,
    ENOSPC,
    ENOTSUP,
    EPERM,
    HsxError,
)
from hsx.image.build import info_section, value_section
from hsx.image.metadata import Info, Value
from hsx.service.provisioning import CONFIRM_MS
from hsx.store.layout import layout_of
from hsx.store.store import CONFIRMATION
from powercut.medium import Medium, Refusing

SIZE = 0x8000
LEVEL = (value_section([Value(1, 1, 2, 0, 0, "level", "m", 0, 0, 0, 7, "tank")]),)
FAULT = 0x7E000000  # no such opcode


def an_app(name: str, version: int, *code: int, **more) -> bytes:
    """An app that spins; its version is in its rodata."""
    return an_image(*(code or (SPIN,)), name=name, rodata=b"version %d" % version, **more)


def versions(bench: RuntimeBench) -> dict[str, str]:
    """What runs: app name -> its version."""
    found = {}
    for task in bench.node.tasks.order:
        text = memoryview(bytearray(9))
        bench.vm.read(task.pid, 0x4000, text)
        found[task.instance] = bytes(text)[8:].decode()
    return found


def sources(bench: RuntimeBench) -> list[str]:
    return [row["program"] for row in bench.node.ps()]


@pytest.fixture
def put(tmp_path):
    """A function that writes an image file; its path."""

    def write(name: str, image: bytes) -> str:
        path = tmp_path / f"{name}.hxe"
        path.write_bytes(image)
        return str(path)

    return write


def formatted() -> Medium:
    part = Medium(bytearray(b"\xff" * SIZE))
    bench = RuntimeBench("nowhere", part)
    bench.boot()
    bench.provisioning.format(CONFIRMATION)
    return part


def booted(part: Medium, hard: bool = True) -> RuntimeBench:
    """The node after a reset, on the same cells."""
    bench = RuntimeBench("nowhere", Medium(part.memory), hard)
    bench.boot()
    hsx.attach(bench.runtime)
    return bench


def push(bench: RuntimeBench, *paths: str, **options) -> None:
    bench.runtime.persist(paths, options.pop("only", False), options)
    bench.runtime.activate()


@pytest.fixture
def running(put):
    """A node with a confirmed set of two apps, one and two."""
    bench = booted(formatted())
    push(bench, put("one", an_app("one", 1)), put("two", an_app("two", 1)))
    bench.provisioning.confirm()
    return bench


def starved(*_):
    raise MemoryError


def starved_steps(*_):
    yield
    raise MemoryError


@pytest.mark.parametrize(("call", "fails"), [("stage", starved), ("end_staging", starved_steps)])
def test_a_full_heap_while_a_set_is_staged_is_enospc_and_the_same_call_goes_on(
    running, put, monkeypatch, call, fails
):
    paths = (put("one", an_app("one", 2)),)
    monkeypatch.setattr(running.provisioning, call, fails)
    with pytest.raises(HsxError) as info:
        running.runtime.persist(paths, False, {})
    monkeypatch.undo()
    assert info.value.errno == ENOSPC
    assert versions(running) == {"one": "1", "two": "1"}
    push(running, *paths)
    assert versions(running) == {"one": "2", "two": "1"}


@pytest.mark.requirement("P-11", "P-49")
def test_a_staged_set_runs_when_it_is_activated_and_after_each_reset(put):
    part = formatted()
    bench = booted(part)
    bench.runtime.persist((put("one", an_app("one", 1)),), False, {})
    assert versions(bench) == {}
    assert bench.runtime.activate()
    assert versions(bench) == {"one": "1"}
    assert sources(bench) == ["FRAM:A/one"]
    again = booted(bench.store_part, hard=False)
    assert versions(again) == {"one": "1"}


@pytest.mark.requirement("P-59")
def test_an_update_changes_what_it_names_and_keeps_the_rest(running, put):
    push(running, put("two", an_app("two", 2)), put("three", an_app("three", 1)))
    assert versions(running) == {"one": "1", "two": "2", "three": "1"}
    assert sources(running) == ["FRAM:B/one", "FRAM:B/two", "FRAM:B/three"]
    assert [row["pid"] for row in running.node.ps()] == [1, 2, 3]


@pytest.mark.requirement("P-2")
def test_only_what_is_named_is_the_set(running, put):
    push(running, put("three", an_app("three", 1)), only=True)
    assert versions(running) == {"three": "1"}


def test_priority_quantum_and_version_are_kept_with_the_image(running, put):
    push(running, put("one", an_app("one", 2)), priority=3, quantum=500, version="1.2")
    again = booted(running.store_part)
    row = again.node.ps()[0]
    assert (row["app_name"], row["priority"], row["quantum"]) == ("one", 3, 500)
    assert again.provisioning.slots()[1]["images"][0]["version"] == "1.2"


def of_epoch(name: str, version: int, epoch: int) -> bytes:
    info = Info(f"v{version}", epoch, 0x10000, 0, 0)
    return an_app(name, version, sections=[info_section(info)])


def test_the_directory_has_the_version_and_the_epoch_that_the_image_says(running, put):
    push(running, put("one", of_epoch("one", 2, 7)))
    image = running.provisioning.store.commit.reader(2).image(0)
    assert (image.version, image.epoch) == ("v2", 7)


def test_a_set_below_the_floor_is_refused_and_changes_nothing(running, put):
    push(running, put("one", of_epoch("one", 2, 7)), only=True)
    running.provisioning.confirm(7)
    assert running.provisioning.status()["floor"] == 7
    for epoch in (6, 0):
        before = bytes(running.store_part.memory)
        with pytest.raises(HsxError) as refused:
            running.runtime.persist((put("one", of_epoch("one", 3, epoch)),), False, {})
        assert refused.value.errno == EPERM
        assert bytes(running.store_part.memory) == before
        assert versions(running) == versions(booted(running.store_part)) == {"one": "2"}
    push(running, put("one", of_epoch("one", 4, 7)))
    assert versions(running) == {"one": "4"}


def test_the_oldest_image_of_a_set_decides(running, put):
    push(running, put("one", of_epoch("one", 2, 7)), only=True)
    running.provisioning.confirm(7)
    paths = (put("two", of_epoch("two", 1, 6)), put("three", of_epoch("three", 1, 9)))
    with pytest.raises(HsxError) as refused:
        running.runtime.persist(paths, False, {})
    assert refused.value.errno == EPERM


@pytest.mark.requirement("P-26", "P-27")
@pytest.mark.parametrize(
    ("image", "options", "errno"),
    [
        (an_app("one", 2, req_caps=0x40), {}, ENOTSUP),
        (an_app("one", 2, sections=[info_section(Info("", 0, 0x20000, 0, 0))]), {}, ENOTSUP),
        (of_epoch("one", 2, 7), {"version": "v3"}, EBADMSG),
    ],
    ids=["capability", "ABI", "version"],
)
def test_what_may_not_run_here_is_not_staged(running, put, image, options, errno):
    before = bytes(running.store_part.memory)
    with pytest.raises(HsxError) as refused:
        running.runtime.persist((put("one", image),), False, options)
    assert (refused.value.errno, refused.value.where) == (errno, "verify")
    assert bytes(running.store_part.memory) == before


def test_an_unknown_option_is_refused_before_anything_is_staged(running, put):
    with pytest.raises(HsxError, match="colour") as refused:
        running.runtime.persist((put("one", an_app("one", 2)),), False, {"colour": 1})
    assert refused.value.errno == EINVAL
    assert running.provisioning.status()["total"] == 0


@pytest.mark.requirement("P-10")
def test_a_pid_that_came_from_a_file_can_be_kept(running, put):
    pid = running.runtime.load(put("three", an_app("three", 7)))
    running.runtime.persist((pid,), False, {})
    running.runtime.activate()
    assert versions(running) == {"one": "1", "two": "1", "three": "7"}
    with pytest.raises(HsxError) as refused:
        running.runtime.persist((1,), False, {})
    assert refused.value.errno == EINVAL


def test_a_trial_confirms_itself_when_it_has_been_quiet(running, put):
    push(running, put("two", an_app("two", 2)))
    assert running.provisioning.status()["state"] == "trial"
    running.clock.forward(CONFIRM_MS - 1)
    running.board.tick(None)
    assert running.provisioning.status()["state"] == "trial"
    running.clock.forward(1)
    running.board.tick(None)
    assert running.provisioning.status()["state"] == "confirmed"
    assert running.told("provisioning.persisted")[-1]["state"] == "confirmed"


def on_trial(bench: RuntimeBench) -> bool:
    return bench.provisioning.status()["state"] == "trial"


def test_the_quiet_time_of_a_trial_begins_when_its_set_starts(running, put):
    """On a node that has long been on, trial after trial, and on one that boots into a trial."""
    for version in (2, 3):
        running.clock.forward(5 * CONFIRM_MS)
        push(running, put("two", an_app("two", version)))
        for ms in (0, CONFIRM_MS - 1):
            running.clock.forward(ms)
            running.board.tick(None)
            assert on_trial(running)
        running.clock.forward(1)
        running.board.tick(None)
        assert not on_trial(running)
    push(running, put("two", an_app("two", 4)))
    again = RuntimeBench("nowhere", Medium(running.store_part.memory))
    again.clock.forward(5 * CONFIRM_MS)
    again.boot()
    again.clock.forward(CONFIRM_MS - 1)
    again.board.tick(None)
    assert on_trial(again)


def test_a_confirmation_that_the_medium_refuses_is_tried_again_after_another_quiet_time(
    running, put
):
    push(running, put("two", an_app("two", 2)))
    bench = RuntimeBench("nowhere", Refusing(running.store_part.memory), hard=False)
    bench.boot()
    part = bench.store_part
    part.refuse(0, 1000)
    bench.clock.forward(CONFIRM_MS - 1)
    for failures in (1, 2, 3):
        bench.clock.forward(1)
        for ms in (0, 10, CONFIRM_MS - 11):
            bench.clock.forward(ms)
            bench.board.tick(None)
            assert [told["code"] for told in bench.told("warning")] == ["EIO"] * failures
            assert len(part.log) == failures
            assert on_trial(bench)
    part.refused = range(0)
    bench.clock.forward(1)
    bench.board.tick(None)
    assert not on_trial(bench)


@pytest.mark.requirement("P-51", "P-80")
def test_a_trial_whose_app_faults_is_reverted_at_once(running, put):
    push(running, put("two", an_app("two", 2, FAULT)))
    for _ in range(20):
        running.board.tick(None)
    assert versions(running) == {"one": "1", "two": "1"}
    assert sources(running) == ["FRAM:A/one", "FRAM:A/two"]
    told = running.told("provisioning.rollback")[-1]
    assert told == {"from": "B", "to": "A", "reason": "task faulted", "phase": "FAILED"}


def test_a_faulted_task_under_debug_holds_its_trial_as_it_is(running, put):
    """Neither confirmed nor taken from the debugger; reverted once he lets it go."""
    push(running, put("two", an_app("two", 2, ldi(0, 100), SLEEP, FAULT)))
    running.node.lock(2)
    running.clock.forward(100)
    for _ in range(4):
        running.board.tick(None)
    assert running.node.ps()[1]["state"] == "faulted"
    for _ in range(3):
        running.clock.forward(CONFIRM_MS)
        running.board.tick(None)
        assert on_trial(running)
        assert versions(running) == {"one": "1", "two": "2"}
    running.node.lock(2, False)
    for _ in range(4):
        running.board.tick(None)
    assert versions(running) == {"one": "1", "two": "1"}


def test_a_trial_that_is_never_confirmed_is_reverted_after_its_attempts(running, put):
    push(running, put("two", an_app("two", 2)))
    part = running.store_part
    for attempt in (1, 2, 3):
        assert versions(booted(part)) == {"one": "1", "two": "2"}
        if attempt < 3:  # a soft reset is no attempt
            assert versions(booted(part, hard=False)) == {"one": "1", "two": "2"}
    last = booted(part)
    assert versions(last) == {"one": "1", "two": "1"}
    assert last.told("provisioning.rollback")[-1]["reason"] == "attempts used up"


@pytest.mark.requirement("P-51", "P-52", "P-60")
def test_a_set_that_does_not_start_gives_way_to_the_one_before(running, put):
    huge = an_app("two", 2, bss_size=0x9000)
    push(running, put("two", huge))
    assert versions(running) == {"one": "1", "two": "1"}
    assert running.provisioning.status()["state"] == "confirmed"
    assert running.told("provisioning.rollback")[-1]["reason"] == "set does not start"


@pytest.mark.requirement("P-12", "P-51")
def test_rollback_goes_back_and_forth_between_confirmed_sets(running, put):
    push(running, put("two", an_app("two", 2)))
    running.provisioning.confirm()
    assert running.runtime.rollback()
    assert versions(running) == {"one": "1", "two": "1"}
    assert running.runtime.rollback()
    assert versions(running) == {"one": "1", "two": "2"}


@pytest.mark.requirement("P-12")
def test_without_a_set_before_there_is_no_rollback(running):
    with pytest.raises(HsxError) as refused:
        running.runtime.rollback()
    assert refused.value.errno == ENOENT
    assert versions(running) == {"one": "1", "two": "1"}


@pytest.mark.requirement("P-11", "P-13")
def test_activate_without_a_staged_set_is_refused(running):
    with pytest.raises(HsxError) as refused:
        running.runtime.activate()
    assert refused.value.errno == EBUSY


def test_nothing_is_staged_while_a_set_is_on_trial(running, put):
    push(running, put("two", an_app("two", 2)))
    with pytest.raises(HsxError) as refused:
        running.runtime.persist((put("one", an_app("one", 3)),), False, {})
    assert refused.value.errno == EBUSY


@pytest.mark.requirement("P-60")
def test_a_damaged_image_is_refused_before_the_bank_is_touched(running, put):
    bad = bytearray(an_app("two", 2))
    bad[0x60] ^= 1
    before = bytes(running.store_part.memory)
    with pytest.raises(HsxError) as refused:
        running.runtime.persist((put("two", bytes(bad)),), False, {})
    assert refused.value.errno == EBADMSG
    assert bytes(running.store_part.memory) == before
    assert versions(running) == {"one": "1", "two": "1"}


@pytest.mark.requirement("P-89")
def test_an_interrupted_staging_goes_on_where_it_was(running, put, monkeypatch):
    large = put("two", an_app("two", 2, *[SPIN] * 2500))
    seen = []

    def some(index, at, view, write=None):
        seen.append(at)
        if len(seen) == 30:
            raise KeyboardInterrupt
        return write(index, at, view)

    stage = running.provisioning.stage

    def watched(images, only):
        staging = stage(images, only)
        original = staging.write
        staging.write = lambda index, at, view: some(index, at, view, original)
        return staging

    monkeypatch.setattr(running.provisioning, "stage", watched)
    with pytest.raises(KeyboardInterrupt):
        running.runtime.persist((large,), False, {})
    again = booted(running.store_part)
    assert versions(again) == {"one": "1", "two": "1"}
    again.runtime.persist((large,), False, {})
    assert again.runtime.activate()
    assert versions(again) == {"one": "1", "two": "2"}


def test_a_task_from_elsewhere_gives_way_to_that_of_the_set(put):
    bench = booted(formatted())
    path = put("one", an_app("one", 1, multiple=False))
    bench.runtime.load(path)
    push(bench, path)
    assert sources(bench) == ["FRAM:A/one"]


def test_without_a_store_the_node_says_so_and_runs(put):
    bench = RuntimeBench("nowhere")
    bench.boot()
    with pytest.raises(HsxError) as refused:
        bench.runtime.persist((put("one", an_app("one", 1)),), False, {})
    assert refused.value.errno == ENODEV
    assert bench.runtime.load(put("two", an_app("two", 1))) == 1


def test_a_part_that_was_never_formatted_is_left_alone(put):
    part = Medium(bytearray(b"\xff" * SIZE))
    bench = RuntimeBench("nowhere", part)
    bench.boot()
    assert bench.told("warning")[0]["detail"] == "there is no store: format it"
    assert part.log == []
    hsx.attach(bench.runtime)
    with pytest.raises(HsxError) as refused:
        hsx.format()
    assert refused.value.errno == EPERM
    hsx.format(CONFIRMATION)
    assert bench.provisioning.status()["active"] == "none"


class Failing(Medium):
    """A part that stops answering when it is told to."""

    dead = False

    def _read(self, addr, buf):
        if self.dead:
            raise HsxError(EIO, "write", "bus error at the FRAM")
        super()._read(addr, buf)


def test_a_part_that_does_not_answer_leaves_a_node_without_a_store(running):
    part = Failing(running.store_part.memory)
    part.dead = True
    bench = RuntimeBench("nowhere", part)
    bench.boot()
    assert versions(bench) == {}
    assert bench.told("warning")[0]["code"] == "EIO"
    assert part.log == []
    assert versions(booted(running.store_part)) == {"one": "1", "two": "1"}


def test_a_part_that_fails_while_a_set_is_read_is_not_damage(running):
    """R9: nothing is written, and the next boot finds the set."""
    part = Failing(running.store_part.memory)
    bench = RuntimeBench("nowhere", part)
    bench.runtime.start()
    bench.store.commit.choose(False) if bench.store.open() else None
    part.dead = True
    while not bench.runtime.booted():
        bench.board.tick(None)
    assert versions(bench) == {}
    assert part.log == []
    assert versions(booted(running.store_part)) == {"one": "1", "two": "1"}


@pytest.mark.parametrize(
    ("copy", "kept", "happened"),
    [
        (0, 0, False),
        (0, 40, False),
        (0, 96, True),
        (1, 0, True),
        (1, 40, True),
        (1, 96, True),
    ],
)
def test_a_commit_that_the_medium_breaks_off_is_told_as_what_it_has_become(
    running, copy, kept, happened
):
    """R3: at either copy of the superblock, of which `kept` bytes have arrived."""
    bench = RuntimeBench("nowhere", Refusing(running.store_part.memory), hard=False)
    bench.boot()
    sent = a_set(an_app("two", 2))
    staging = bench.provisioning.stage_stream(len(sent.data), sent.digest, "UART:1")
    staging.put(0, memoryview(sent.data))
    bench.store_part.refuse(copy, 1, kept)
    if happened:
        assert bench.runtime.activate()
    else:
        with pytest.raises(HsxError) as refused:
            bench.runtime.activate()
        assert refused.value.errno == EIO
    errors = [(data["code"], data["where"]) for data in bench.told("provisioning.error")]
    states = [data["state"] for data in bench.told("provisioning.persisted")]
    assert (errors, states) == (([], ["trial"]) if happened else ([("EIO", "commit")], []))
    runs = {"two": "2"} if happened else {"one": "1", "two": "1"}
    assert versions(bench) == versions(booted(bench.store_part)) == runs
    assert on_trial(bench) == happened


@pytest.mark.requirement("P-61")
def test_with_no_set_left_the_card_is_scanned(put, tmp_path):
    bench = RuntimeBench(tmp_path, formatted())
    bench.boot()
    (tmp_path / "card.hxe").write_bytes(an_app("card", 1))
    (tmp_path / "hsx.toml").write_text('schema = 1\n[[image]]\nfile = "card.hxe"\n')
    push(bench, put("one", an_app("one", 1, FAULT)))
    for _ in range(40):
        bench.board.tick(None)
    assert sources(bench) == ["SD:card.hxe"]


@pytest.mark.requirement("P-50")
def test_every_cut_of_an_update_leaves_the_old_set_or_the_new_one(running, put):
    """Before and in each write of persist, activate and confirm, through the whole boot path;
    every byte of them is host_tests/powercut's."""
    files = put("two", an_app("two", 2)), put("three", an_app("three", 1))
    start = bytes(running.store_part.memory)
    old, new = {"one": "1", "two": "1"}, {"one": "1", "two": "2", "three": "1"}

    def update(bench: RuntimeBench) -> None:
        push(bench, *files)
        bench.provisioning.confirm()

    whole = booted(Medium(bytearray(start)), hard=False)
    update(whole)
    cuts, written = [], 0
    for _, data in whole.store_part.log:
        cuts += [written, written + len(data) // 2]
        written += len(data)
    seen = []
    for cut in sorted(set(cuts)):
        memory = bytearray(start)
        bench = RuntimeBench("nowhere", Medium(memory, cut, "garbage"), hard=False)
        try:
            bench.boot()
            update(bench)
            raise AssertionError("the cut did not come")
        except PowerCut:
            pass
        seen.append(versions(booted(Medium(memory))))
    assert seen[0] == old
    assert seen[-1] == new
    switch = seen.index(new)
    assert seen == [old] * switch + [new] * (len(seen) - switch)


def test_the_front_door_tells_what_the_store_holds(running, put, capsys):
    hsx.persist(put("two", an_app("two", 2)), version="2.0")
    assert "staged" in capsys.readouterr().out
    assert hsx.activate()
    assert "trial" in capsys.readouterr().out
    hsx.confirm()
    rows = hsx.slots()
    said = capsys.readouterr().out
    assert rows[1]["active"]
    assert rows[1]["images"][1]["version"] == "2.0"
    assert "bank B  confirmed, active" in said
    assert hsx.rollback()
    assert hsx.status()["active"] == "A"


def test_a_store_of_every_layout_with_banks_takes_a_set(put):
    for log2 in (15, 17, 19):
        part = Medium(bytearray(b"\xff" * (1 << log2)))
        bench = RuntimeBench("nowhere", part)
        bench.boot()
        bench.provisioning.format(CONFIRMATION)
        push(bench, put("one", an_app("one", 1)))
        assert versions(bench) == {"one": "1"}
        assert layout_of(1 << log2).bank_size


@pytest.mark.requirement("P-61", "P-85", "P-101")
def test_values_are_shown_set_and_kept(put, capsys):
    bench = booted(formatted())
    push(bench, put("one", an_app("one", 1, sections=LEVEL)))
    bench.provisioning.confirm()
    hsx.set(1, 0x101, 2.5)
    assert hsx.values()[0]["value"] == 2.5
    assert "level" in capsys.readouterr().out
    again = booted(bench.store_part)
    assert hsx.values(1)[0]["value"] == 2.5
    assert again.told("value_registered")[0]["restored"] == 1


@pytest.mark.requirement("P-58", "P-59")
def test_an_update_keeps_values_by_their_keys(put):
    """What the new version does not know waits for one that does; what is new has its default."""

    def with_values(version: int, *keys: int) -> str:
        values = [Value(1, key, 2, 0, 0, f"v{key}", "m", 0, 0, 0, key, "tank") for key in keys]
        return put("one", an_app("one", version, sections=(value_section(values),)))

    def values() -> dict[str, float]:
        return {row["name"]: row["value"] for row in hsx.values()}

    bench = booted(formatted())
    push(bench, with_values(1, 7, 8))
    hsx.set(1, 0x107, 2.5)
    hsx.set(1, 0x108, 4.0)
    bench.provisioning.confirm()
    push(bench, with_values(2, 7, 9))
    assert values() == {"v7": 2.5, "v9": 0.0}
    assert [row["pid"] for row in bench.node.ps()] == [1]
    bench.provisioning.confirm()
    push(bench, with_values(3, 7, 8, 9))
    assert values() == {"v7": 2.5, "v8": 4.0, "v9": 0.0}


@pytest.mark.requirement("P-76", "P-79")
def test_what_becomes_of_a_set_is_told(put):
    bench = booted(formatted())
    push(bench, put("one", an_app("one", 1)))
    generations = [bench.store.superblocks.state.generation]
    bench.provisioning.confirm()
    generations.append(bench.store.superblocks.state.generation)
    assert bench.told("provisioning.complete")[0]["ready"] is True
    told = bench.told("provisioning.persisted")
    assert [(data["slot"], data["state"]) for data in told] == [("A", "trial"), ("A", "confirmed")]
    assert [data["generation"] for data in told] == generations


@pytest.mark.requirement("P-51", "P-101")
def test_a_revert_gives_a_value_back_as_it_was_before_the_trial(put):
    bench = booted(formatted())
    push(bench, put("one", an_app("one", 1, sections=LEVEL)))
    bench.provisioning.confirm()
    hsx.set(1, 0x101, 1.0)
    push(bench, put("one", an_app("one", 2, sections=LEVEL)))
    hsx.set(1, 0x101, 9.0)
    assert hsx.values()[0]["value"] == 9.0
    assert bench.runtime.rollback()
    assert hsx.values()[0]["value"] == 1.0
    booted(bench.store_part)
    assert hsx.values()[0]["value"] == 1.0
