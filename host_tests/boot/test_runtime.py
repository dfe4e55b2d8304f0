# SPDX-License-Identifier: MIT
import hashlib

import pytest

import hsx
from bench.images import EXIT, RET, SPIN, UART_WRITE, an_image, ldi, ldi32
from bench.runtime import RuntimeBench
from fakes import machine
from hsx.errors import ENODEV, HsxError
from hsx.image.build import info_section
from hsx.image.metadata import Info
from hsx.node import tasks as t
from hsx.transport import sdcard

HELLO = an_image(*ldi32(1, 0x4000), ldi(2, 6), UART_WRITE, EXIT, rodata=b"hello\n", name="hello")


@pytest.fixture
def card(tmp_path):
    """A function that puts images and their manifest on a card, in this order."""

    def put(extra: str = "", **images: bytes):
        text = "schema = 1\n"
        for name, image in images.items():
            (tmp_path / f"{name}.hxe").write_bytes(image)
            digest = hashlib.sha256(image).hexdigest()
            text += f'[[image]]\nfile = "{name}.hxe"\nsha256 = "{digest}"\n'
        (tmp_path / "hsx.toml").write_text(text + extra)
        return tmp_path

    return put


@pytest.mark.requirement("P-61", "P-103")
def test_images_are_loaded_in_order_and_started_together(card):
    bench = RuntimeBench(card(b=HELLO, a=an_image(SPIN, name="spin")))
    bench.boot()
    assert [row["app_name"] for row in bench.node.ps()] == ["hello", "spin"]
    assert [row["program"] for row in bench.node.ps()] == ["SD:b.hxe", "SD:a.hxe"]
    assert [row["pid"] for row in bench.node.ps()] == [1, 2]
    assert b"hello> hello\r\n" in bench.screen.text
    assert bench.told("scan")[-1]["started"] == 2


def test_a_damaged_image_is_reported_and_the_next_one_follows(card):
    bad = bytearray(HELLO)
    bad[97] ^= 1
    bench = RuntimeBench(card(bad=bytes(bad), good=HELLO))
    bench.boot()
    assert [row["app_name"] for row in bench.node.ps()] == ["hello"]
    assert bench.told("provisioning.error")[0]["detail"] == "checksum differs"


def test_a_file_that_is_missing_is_reported_and_the_next_one_follows(card):
    bench = RuntimeBench(card('[[image]]\nfile = "gone.hxe"\n', good=HELLO))
    bench.boot()
    assert bench.told("warning")[0]["code"] == "ENOENT"
    assert len(bench.node.ps()) == 1


def test_an_image_that_is_not_the_listed_one_is_refused(card):
    folder = card(app=HELLO)
    (folder / "app.hxe").write_bytes(an_image(SPIN))
    bench = RuntimeBench(folder)
    bench.boot()
    assert bench.told("provisioning.error")[0]["detail"] == "SHA-256 differs from the manifest"
    assert bench.state() == bench.idle


def test_a_wrong_manifest_is_reported_with_its_line(card):
    bench = RuntimeBench(card("what is this", good=HELLO))
    bench.boot()
    warning = bench.told("warning")[0]
    assert (warning["code"], warning["line"]) == ("EBADMSG", 5)
    assert bench.state() == bench.idle


@pytest.mark.requirement("P-2")
def test_a_card_without_manifest_leaves_an_empty_node(tmp_path):
    bench = RuntimeBench(tmp_path)
    bench.boot()
    assert bench.told("warning")[0]["code"] == "ENOENT"
    assert bench.runtime.booted()


def test_no_app_starts_before_the_whole_card_was_looked_at(card):
    bench = RuntimeBench(card(a=HELLO, b=HELLO))
    bench.runtime.start()
    while not bench.runtime.booted():
        assert b"hello>" not in bench.screen.text
        bench.board.tick(None)


def test_an_empty_slot_leaves_an_empty_node(tmp_path):
    bench = RuntimeBench(tmp_path / "none")
    bench.boot()
    assert bench.told("warning")[0]["code"] == "ENODEV"
    assert bench.state() == bench.idle


@pytest.mark.requirement("P-6")
def test_load_from_the_repl_starts_the_app(card):
    bench = RuntimeBench(card(one=HELLO))
    bench.boot()
    pid = bench.runtime.load(str(card(two=HELLO) / "two.hxe"))
    assert bench.task(pid).instance == "hello_#0"
    assert bench.task(pid).state == t.READY


def test_a_load_that_nobody_goes_on_with_is_given_up(card):
    folder = card(one=an_image(*[RET] * 100))
    bench = RuntimeBench(folder)
    bench.boot()
    before = bench.state()
    with open(folder / "one.hxe", "rb") as file:
        session = bench.runtime._begin("one.hxe", 500, {})
        session.step(file.readinto, memoryview(bytearray(64)))
        bench.clock.forward(3000)
        bench.board.tick(None)
        assert bench.state() != before
        bench.clock.forward(1)
        bench.board.tick(None)
    assert bench.state() == before


def test_a_new_load_ends_one_that_was_left(card):
    folder = card(one=HELLO)
    bench = RuntimeBench(folder)
    bench.boot()
    with open(folder / "one.hxe", "rb") as file:
        left = bench.runtime._begin("one.hxe", 500, {})
        left.step(file.readinto, memoryview(bytearray(64)))
        bench.runtime.load(str(folder / "one.hxe"))
    assert not left.open
    assert bench.vm.pids() == (1, 2)


def test_an_interrupt_during_a_load_leaves_nothing(card, monkeypatch):
    folder = card(one=an_image(*[RET] * 200))
    bench = RuntimeBench(folder)
    bench.boot()
    before = bench.state()
    step = bench.runtime._advance
    for cut in range(20):
        left = [cut]

        def interrupted(session, readinto, left=left):
            if not left[0]:
                raise KeyboardInterrupt
            left[0] -= 1
            return step(session, readinto)

        monkeypatch.setattr(bench.runtime, "_advance", interrupted)
        try:
            pid = bench.runtime.load(str(folder / "one.hxe"))
        except KeyboardInterrupt:
            assert bench.state() == before
        else:
            bench.node.kill(pid)
            break
    assert cut == 15  # 14 chunks and the end


def test_a_poll_that_fails_is_told_and_the_node_goes_on(card):
    bench = RuntimeBench(card(one=an_image(SPIN)))
    bench.boot()
    poll, bench.node.poll = bench.node.poll, None
    bench.board.tick(None)
    assert bench.told("warning")[-1]["source"] == "poll"
    bench.node.poll = poll
    bench.board.tick(None)


def test_stop_ends_the_apps_and_the_timer(card):
    bench = RuntimeBench(card(a=an_image(SPIN), b=an_image(SPIN)))
    bench.boot()
    bench.runtime.stop()
    assert bench.state() == bench.idle
    assert bench.board.tick is None


def test_the_front_door_speaks_to_the_running_node(card, capsys):
    folder = card(one=HELLO)
    bench = RuntimeBench(folder)
    bench.boot()
    hsx.attach(bench.runtime)
    assert hsx.ps()[0]["app_name"] == "hello"
    assert "hello" in capsys.readouterr().out
    facts = hsx.info(str(folder / "one.hxe"))
    assert facts["code_len"] == 20
    assert "epoch" not in facts
    pid = hsx.load(str(folder / "one.hxe"), priority=3)
    assert bench.task(pid).priority == 3
    hsx.kill(pid)
    assert hsx.log(1)[0][4]["state"] == "killed"


def test_info_shows_what_an_image_says_of_itself(tmp_path, capsys):
    path = tmp_path / "one.hxe"
    path.write_bytes(an_image(sections=[info_section(Info("1.2", 7, 0x10000, 512, 64))]))
    facts = hsx.info(str(path))
    names = ("image_version", "epoch", "abi", "stack", "heap")
    assert [facts[name] for name in names] == ["1.2", 7, "1.0", 512, 64]
    assert "image_version 1.2\n" in capsys.readouterr().out


@pytest.mark.requirement("P-47")
@pytest.mark.parametrize(
    ("image", "code"),
    [
        (an_image(SPIN, req_caps=0x8000), "ENOTSUP"),
        (an_image(SPIN, sections=[info_section(Info("", 0, 0x10001, 0, 0))]), "ENOTSUP"),
        (an_image(SPIN, sections=[info_section(Info("1.1", 0, 0, 0, 0))]), "EBADMSG"),
    ],
    ids=["capability", "ABI", "version"],
)
def test_an_image_that_may_not_run_here_is_told_and_the_next_one_follows(card, image, code):
    folder = card(bad=image, good=HELLO)
    manifest = folder / "hsx.toml"
    manifest.write_text(manifest.read_text().replace('"bad.hxe"', '"bad.hxe"\nversion = "1.0"'))
    bench = RuntimeBench(folder)
    bench.boot()
    assert [row["app_name"] for row in bench.node.ps()] == ["hello"]
    told = bench.told("provisioning.error")[-1]
    assert (told["code"], told["where"]) == (code, "verify")


def test_without_a_node_the_front_door_says_so():
    hsx._kept.clear()
    with pytest.raises(HsxError) as refused:
        hsx.ps()
    assert refused.value.errno == ENODEV


# ---- the watchdog -----------------------------------------------------------------------------

BITES = 1000  # ms without being fed


class Watched:
    """A node whose board has a watchdog, and the time of both. The watchdog is the machine's: it
    raises Reset."""

    def __init__(self, folder) -> None:
        self.clock = machine.sim_power_on()
        self.bench = RuntimeBench(folder)
        self.bench.runtime.watchdog = machine.WDT(timeout=BITES)
        self.passed = 0

    def wait(self, ms: int) -> None:
        self.passed += ms
        self.bench.clock.forward(ms)
        self.clock.sleep_ms(ms)

    def turn(self, ms: int) -> None:
        """Lets the board's timer turn for so long."""
        end = self.passed + ms
        while self.passed < end:
            self.wait(self.bench.board.period)
            if self.bench.board.tick is not None:
                self.bench.board.tick(None)


def test_the_watchdog_is_fed_while_a_boot_takes_long(card, monkeypatch):
    node = Watched(card(one=an_image(SPIN, *[RET] * 300)))

    class Slow:
        def __init__(self, path) -> None:
            self.file = open(path, "rb")  # noqa: SIM115  the scan closes it
            self.close = self.file.close

        def readinto(self, buf):
            node.wait(BITES // 10)
            return self.file.readinto(buf)

    original = sdcard.SdCard.open
    monkeypatch.setattr(
        sdcard.SdCard,
        "open",
        lambda self, name: (Slow(self.path(name)), original(self, name)[1]),
    )
    node.bench.runtime.start()
    while not node.bench.runtime.booted():
        node.turn(10)
    assert node.passed > 2 * BITES
    assert len(node.bench.node.ps()) == 1


def test_the_watchdog_is_fed_while_apps_run_and_after_an_ordered_stop(card):
    node = Watched(card(one=an_image(SPIN)))
    node.bench.boot()
    node.turn(3 * BITES)
    node.bench.runtime.stop()
    assert node.bench.state() == node.bench.idle
    node.turn(3 * BITES)


def test_polls_that_fail_do_not_feed_the_watchdog(card):
    node = Watched(card(one=an_image(SPIN)))
    node.bench.boot()
    node.bench.node.poll = None
    with pytest.raises(machine.Reset):
        node.turn(2 * BITES)
    assert node.passed == BITES


def test_a_node_without_polls_is_reset_by_its_watchdog(card):
    node = Watched(card(one=an_image(SPIN)))
    node.bench.boot()
    node.wait(BITES - 1)
    with pytest.raises(machine.Reset):
        node.wait(1)
