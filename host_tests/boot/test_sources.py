# SPDX-License-Identifier: MIT
"""Sources, their rules and their order; faults, restarts, safe mode; the report of all that."""

import contextlib

import pytest

import hsx
from bench.images import SLEEP, SPIN, an_image, ldi32
from bench.runtime import RuntimeBench
from bench.service import ServiceBench
from fakes.fram import PowerCut
from hsx.boot.frozen import Frozen
from hsx.boot.scan import Scan
from hsx.boot.update import is_newer
from hsx.image.build import info_section
from hsx.image.metadata import Info
from hsx.link import command as c
from hsx.store.bank import Image
from hsx.store.faults import Faults
from hsx.store.store import CONFIRMATION
from powercut.medium import Medium

SIZE = 0x8000
FAULT = 0x7E000000  # no such opcode
MANIFEST = 'schema = 1\n[[image]]\nfile = "pump.hxe"\n'


def pump(version: str, *code: int, name: str = "pump") -> bytes:
    sections = (info_section(Info(version, 0, 0, 0, 0)),)
    return an_image(*(code or (SPIN,)), name=name, sections=sections, multiple=False)


def formatted() -> Medium:
    part = Medium(bytearray(b"\xff" * SIZE))
    bench = RuntimeBench("nowhere", part)
    bench.boot()
    bench.provisioning.format(CONFIRMATION)
    return part


@pytest.fixture
def card(tmp_path):
    """A function that makes a card with one image; its folder."""

    def make(image: bytes, manifest: str = MANIFEST):
        folder = tmp_path / "card"
        folder.mkdir(exist_ok=True)
        (folder / "pump.hxe").write_bytes(image)
        (folder / "hsx.toml").write_text(manifest)
        return folder

    return make


@pytest.fixture
def kept(tmp_path):
    """A function that gives a part with a confirmed set of this image, or a trial of it."""

    def make(image: bytes, confirmed: bool = True, part: Medium | None = None) -> Medium:
        bench = RuntimeBench("nowhere", part or formatted(), hard=False)
        bench.boot()
        path = tmp_path / "kept.hxe"
        path.write_bytes(image)
        bench.runtime.persist((str(path),), True, {})
        bench.runtime.activate()
        if confirmed:
            bench.provisioning.confirm()
        return bench.store_part

    return make


def boot(folder, part=None, polls: int = 0, **more) -> RuntimeBench:
    bench = RuntimeBench(folder, Medium(part.memory) if part else None, **more)
    bench.boot()
    for _ in range(polls):
        bench.board.tick(None)
    hsx.attach(bench.runtime)
    return bench


def runs(bench: RuntimeBench) -> list[str]:
    return [row["program"] for row in bench.node.ps()]


def tried(bench: RuntimeBench) -> list[tuple]:
    return [(source, result) for source, result, *_ in bench.service.report[1:]]


# ---- order and rules --------------------------------------------------------------------------


@pytest.mark.requirement("P-62")
def test_the_first_source_that_has_something_wins(card, kept):
    bench = boot(card(pump("2")), kept(pump("1")))
    assert runs(bench) == ["FRAM:A/pump"]
    assert tried(bench) == [("bank", "runs"), ("sd", "not needed")]


@pytest.mark.requirement("P-62", "P-63")
def test_the_order_is_the_configurations(card, kept):
    bench = boot(card(pump("2")), kept(pump("1")), order="sd bank")
    assert runs(bench) == ["SD:pump.hxe"]


@pytest.mark.requirement("P-63")
@pytest.mark.parametrize("source", ["bank", "sd"])
def test_a_source_that_is_to_be_ignored_is(card, kept, source):
    bench = boot(card(pump("2")), kept(pump("1")), **{source: "ignore"})
    assert (source, "ignored") in tried(bench)
    assert runs(bench) == (["SD:pump.hxe"] if source == "bank" else ["FRAM:A/pump"])


@pytest.mark.requirement("P-62", "P-63")
@pytest.mark.parametrize(
    ("version", "expected"),
    [("1.10", "FRAM:B/pump"), ("1.9", "FRAM:A/pump"), ("1.2", "FRAM:A/pump")],
)
def test_a_card_updates_the_set_only_if_it_is_newer(card, kept, version, expected):
    bench = boot(card(pump(version)), kept(pump("1.9")), sd="update")
    assert runs(bench) == [expected]
    assert bench.provisioning.status()["state"] == ("trial" if expected[5] == "B" else "confirmed")


def test_a_set_that_was_reverted_is_not_tried_again(card, kept):
    folder = card(pump("2", FAULT))
    bench = boot(folder, kept(pump("1")), polls=30, sd="update")
    assert runs(bench) == ["FRAM:A/pump"]
    again = boot(folder, bench.store_part, polls=30, sd="update")
    assert runs(again) == ["FRAM:A/pump"]
    assert again.service.report[-1][:4] == ("sd", "refused", "EPERM", "it was reverted before")


def test_what_can_not_be_kept_may_still_run_from_the_card(card):
    manifest = MANIFEST + 'mailboxes = ["app:pump"]\n'
    bench = boot(card(pump("2"), manifest), formatted(), sd="update")
    assert runs(bench) == ["SD:pump.hxe"]


@pytest.mark.requirement("P-62")
def test_images_in_the_firmware_run_if_nothing_comes_before_them():
    bench = RuntimeBench("nowhere")
    frozen = Frozen((("pump.hxe", pump("1")),))
    bench.sources.scans["frozen"] = Scan(frozen, bench.service, memoryview(bytearray(64)))
    bench.boot()
    assert runs(bench) == ["frozen:pump.hxe"]
    assert bench.told("boot")[-1]["source"] == "frozen"


@pytest.mark.requirement("P-64")
def test_one_bad_source_does_not_block_the_others(card, kept):
    part = kept(pump("1"))
    part.memory[part.memory.rindex(pump("1")) + 70] ^= 1
    bench = boot(card(pump("2")), part)
    assert runs(bench) == ["SD:pump.hxe"]
    assert tried(bench) == [("bank", "failed"), ("sd", "runs")]


def test_with_minimal_nothing_comes_after_a_source_that_failed(card, kept):
    part = kept(pump("1"))
    part.memory[part.memory.rindex(pump("1")) + 70] ^= 1
    bench = boot(card(pump("2")), part, on_failure="minimal")
    assert runs(bench) == []
    assert bench.runtime.booted()


@pytest.mark.requirement("P-64")
def test_a_source_that_takes_too_long_is_given_up(card):
    bench = RuntimeBench(card(pump("1", *[SPIN] * 500)), limit_ms=5)
    scan = bench.sources.scans["sd"]
    original = scan._card.open

    def slow(name):
        file, size = original(name)
        read = file.readinto

        class Slow:
            close = file.close

            def readinto(self, buf):
                bench.clock.forward(1)
                return read(buf)

        return Slow(), size

    scan._card.open = slow
    bench.boot()
    assert runs(bench) == []
    assert not bench.node.vm.pids()
    assert bench.service.report[-1][:3] == ("sd", "failed", "ETIMEDOUT")


def test_a_source_that_is_given_up_leaves_nothing_to_the_next_one(card):
    bench = RuntimeBench(card(pump("1", *[SPIN] * 500)), limit_ms=5)
    frozen = Frozen((("pump.hxe", pump("2")),))
    bench.sources.scans["frozen"] = Scan(frozen, bench.service, memoryview(bytearray(64)))
    bench.config.order = "sd frozen"
    scan = bench.sources.scans["sd"]
    run, original = scan.run, scan._card.open
    steps, opened = [], []

    def kept():
        # A node has no reference counts: what nobody needs stays until the heap is full.
        steps.append(run())
        return steps[0]

    def late(name):
        found = original(name)
        opened.append(found[0])
        bench.clock.forward(5)
        return found

    scan.run, scan._card.open = kept, late
    bench.boot()
    assert tried(bench) == [("sd", "failed"), ("frozen", "runs")]
    assert runs(bench) == ["frozen:pump.hxe"]
    assert bench.vm.pids() == (1,)
    assert opened[0].closed


@pytest.mark.parametrize(("depend", "started"), [(False, ["late"]), (True, [])])
def test_a_level_waits_for_the_levels_before_it_if_it_is_told_to(card, depend, started):
    manifest = (
        'schema = 1\n[[image]]\nfile = "gone.hxe"\npriority = 1\n'
        '[[image]]\nfile = "pump.hxe"\npriority = 2\n'
    )
    bench = boot(card(pump("1", name="late"), manifest), depend=depend)
    assert [row["app_name"] for row in bench.node.ps()] == started


@pytest.mark.parametrize(
    ("levels", "started"),
    [
        ("1 2 3", "1 2 3"),
        ("1 2! 2 3", "1 2"),
        ("1 2 2! 3", "1 2"),
        ("1! 2 3! 4", ""),
        ("1 2! 3 4! 5", "1"),
        ("5 4! 3 2! 1", "1"),
        ("3! 1! 2 1", "1"),
        ("255! 255 0", "0 255"),
    ],
)
def test_the_first_level_of_which_an_image_is_missing_is_the_last_that_starts(
    tmp_path, levels, started
):
    """`levels`: priorities of the images in the order of the card, `!` for one that is missing."""
    manifest = "schema = 1\n"
    for at, level in enumerate(levels.split()):
        if not level.endswith("!"):
            (tmp_path / f"{at}.hxe").write_bytes(pump("1", name=f"app{at}"))
        manifest += f'[[image]]\nfile = "{at}.hxe"\npriority = {level.strip("!")}\n'
    (tmp_path / "hsx.toml").write_text(manifest)
    bench = boot(tmp_path, depend=True)
    assert sorted(row["priority"] for row in bench.node.ps()) == list(map(int, started.split()))
    assert all(row["state"] == "ready" for row in bench.node.ps())
    there = [level for level in levels.split() if not level.endswith("!")]
    told = [warning["detail"] for warning in bench.told("warning")]
    held_back = "a priority level before is not whole" in told
    assert held_back == (len(there) > len(started.split()))


@pytest.mark.parametrize(
    ("new", "old", "expected"),
    [
        ({"a": "1.1"}, {"a": "1.0"}, True),
        ({"a": "1.0"}, {"a": "1.0"}, False),
        ({"a": "1.10"}, {"a": "1.9"}, True),
        ({"a": "1.1", "b": "1"}, {"a": "1.0", "b": "2"}, False),
        ({"a": "1.0", "c": ""}, {"a": "1.0"}, True),
        ({"a": "beta"}, {"a": "alpha"}, False),
        ({"a": "2"}, {"a": ""}, False),
    ],
)
def test_newer_is_by_numbers_and_nothing_may_be_older(new, old, expected):
    def a_set(versions: dict[str, str]) -> list[Image]:
        found = []
        for name, version in versions.items():
            image = Image(name, 1, 0, bytes(32))
            image.version = version
            found.append(image)
        return found

    assert is_newer(a_set(new), a_set(old)) == expected


# ---- faults -----------------------------------------------------------------------------------


@pytest.mark.requirement("P-64")
def test_a_confirmed_set_that_faults_restarts_then_gives_way_to_the_one_before(kept):
    part = kept(pump("2", FAULT), True, kept(pump("1")))
    bench = boot("nowhere", part, polls=100, restarts=2)
    assert runs(bench) == ["FRAM:A/pump"]
    assert bench.board.word == 2
    facts = bench.provisioning.boot_faults()
    assert (facts["task"], facts["last"], facts["name"]) == (3, "task", "pump illegal_opcode")
    assert bench.told("provisioning.rollback")[-1]["reason"] == "task faulted"


@pytest.mark.requirement("P-64")
def test_without_a_set_before_what_ends_it_is_a_node_that_runs_nothing(kept):
    part = kept(pump("2", FAULT))
    before = part.memory[:0x100]
    bench = boot("nowhere", part, polls=100, restarts=1)
    assert runs(bench) == []
    assert bench.provisioning.status()["state"] == "confirmed"
    assert bench.store_part.memory[:0x100] == before  # no superblock write


def test_a_quiet_time_gives_the_restarts_back(kept):
    bench = boot("nowhere", kept(pump("1")), cause="watchdog", word=1)
    assert bench.board.word == 2
    bench.clock.forward(60000)
    bench.board.tick(None)
    assert bench.board.word == 0


@pytest.mark.parametrize(
    ("ms", "expected"), [(700, "FRAM:A/pump"), (900, "FRAM:A/pump"), (1200, "FRAM:B/pump")]
)
def test_the_quiet_time_of_a_confirmed_set_begins_at_its_last_fault(kept, ms, expected):
    """One that faults more often than that uses its restarts up; one that does not, never."""
    faulty = pump("2", *ldi32(0, ms), SLEEP, FAULT)
    part = kept(faulty, True, kept(pump("1")))
    bench = boot("nowhere", part, restarts=2, confirm_s=1)
    for _ in range(100):
        bench.clock.forward(100)
        for _ in range(4):
            bench.board.tick(None)
    assert runs(bench) == [expected]
    faults = bench.provisioning.boot_faults()["task"]
    assert faults == 3 if expected == "FRAM:A/pump" else faults > 6


@pytest.mark.requirement("P-51", "P-64")
def test_a_trial_after_which_the_watchdog_bites_is_reverted(kept):
    part = kept(pump("2"), False, kept(pump("1")))
    bench = boot("nowhere", part, cause="watchdog")
    assert runs(bench) == ["FRAM:A/pump"]
    assert bench.provisioning.boot_faults()["watchdog"] == 1
    assert bench.told("provisioning.rollback")[-1]["reason"] == "watchdog"


@pytest.mark.parametrize(("word", "expected"), [(0, "FRAM:B/pump"), (3, "FRAM:A/pump")])
def test_a_confirmed_set_survives_as_many_watchdog_resets_as_it_may_restart(kept, word, expected):
    part = kept(pump("2"), True, kept(pump("1")))
    assert runs(boot("nowhere", part, cause="watchdog", word=word)) == [expected]


def test_an_error_that_nobody_expected_leaves_a_node(kept, monkeypatch):
    bench = RuntimeBench("nowhere", kept(pump("2"), False, kept(pump("1"))))
    steps = bench.provisioning.boot

    def broken(hard):
        yield from steps(hard)
        raise ValueError("odd")

    monkeypatch.setattr(bench.provisioning, "boot", broken)
    bench.boot()
    assert runs(bench) == ["FRAM:A/pump"]
    assert bench.provisioning.boot_faults()["exception"] == 1


def test_every_cut_of_a_note_leaves_the_old_record_or_the_new_one():
    start = bytearray(128)
    Faults(Medium(start)).note("task", 1, "pump", 7)
    for cut in range(61):
        memory = bytearray(start)
        faults = Faults(Medium(memory, cut))
        faults.open()
        with contextlib.suppress(PowerCut):
            faults.note("watchdog", 2, "tank", 8)
        again = Faults(Medium(memory))
        again.open()
        assert (again.counts, again.name) in (
            ([0, 0, 1, 0, 0], "pump"),
            ([0, 1, 1, 0, 0], "tank"),
        )


# ---- safe mode --------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["host", "configuration"])
def test_in_safe_mode_nothing_starts_and_no_attempt_is_counted(card, kept, how):
    part = kept(pump("2"), False)
    more = {"word": 0x100} if how == "host" else {"safe": how}
    bench = boot(card(pump("3")), part, polls=5, **more)
    bench.clock.forward(1000)
    bench.board.tick(None)
    assert runs(bench) == []
    assert ("safe mode", how) in tried(bench)
    assert bench.provisioning.status()["attempts"] == 0


def test_the_repl_asks_for_the_safe_mode_at_the_next_start(kept):
    bench = boot("nowhere", kept(pump("1")))
    hsx.safe_mode()
    assert bench.board.resets == 1
    assert runs(boot("nowhere", bench.store_part, word=bench.board.word)) == []
    assert runs(boot("nowhere", bench.store_part, word=0)) == ["FRAM:A/pump"]


@pytest.mark.parametrize("used", [0, 1, 3])
def test_safe_mode_that_is_asked_for_holds_for_one_start_and_costs_no_restart(kept, used):
    part = kept(pump("2"), True, kept(pump("1")))
    bench = boot("nowhere", part, word=used)
    hsx.safe_mode()
    safe = boot("nowhere", part, word=bench.board.word)
    assert runs(safe) == []
    again = boot("nowhere", part, word=safe.board.word)
    assert runs(again) == ["FRAM:B/pump"]
    again.runtime.guard.reset()
    faulty = boot("nowhere", part, cause="watchdog", word=again.board.word)
    assert runs(faulty) == (["FRAM:A/pump"] if used == 3 else ["FRAM:B/pump"])
    assert faulty.board.word == min(used + 1, 3)


def test_the_report_can_be_read_at_the_repl(card, kept, capsys):
    boot(card(pump("2")), kept(pump("1")))
    rows = hsx.boot_report()
    assert [row[0] for row in rows] == ["reset", "bank", "sd"]
    said = capsys.readouterr().out
    assert "bank       runs" in said
    assert "faults     none" in said


def test_a_signed_command_resets_a_node_into_the_safe_mode():
    bench = ServiceBench()
    bench.commands.perform(bench.command(c.RESET, b"\x01"))
    assert bench.board.resets == 0  # the reply goes out first
    bench.clock.forward(300)
    bench.board.tick(None)
    assert (bench.board.resets, bench.board.word) == (1, 0x100)
