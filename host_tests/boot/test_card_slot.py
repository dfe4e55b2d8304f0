# SPDX-License-Identifier: MIT
"""A card that comes and goes while the node runs."""

from types import SimpleNamespace

import pytest

from bench.images import EXIT, SPIN, an_image
from bench.runtime import RuntimeBench
from hsx.transport import sdcard

WORKER = an_image(SPIN, name="worker")
OTHER = an_image(SPIN, name="other")


class Slot:
    """Takes the card out of a bench's slot and puts one in."""

    def __init__(self, bench: RuntimeBench, folder) -> None:
        self.bench = bench
        self.folder = folder

    def out(self) -> None:
        self.folder.rename(self.folder.with_name("away"))

    def back(self) -> None:
        self.folder.with_name("away").rename(self.folder)

    def wait(self, ms: int) -> None:
        for _ in range(ms // 10):
            self.bench.clock.forward(10)
            self.bench.board.tick(None)


def put(folder, **images: bytes) -> None:
    folder.mkdir(exist_ok=True)
    text = "schema = 1\n"
    for name, image in images.items():
        (folder / f"{name}.hxe").write_bytes(image)
        text += f'[[image]]\nfile = "{name}.hxe"\n'
    (folder / "hsx.toml").write_text(text)


@pytest.fixture
def slot(tmp_path):
    """A booted node, its slot empty; the card with one app lies beside it."""
    folder = tmp_path / "card"
    bench = RuntimeBench(folder)
    bench.boot()
    put(folder, worker=WORKER)
    slot = Slot(bench, folder)
    slot.out()
    return slot


def apps(slot: Slot) -> list[str]:
    return [row["app_name"] for row in slot.bench.node.ps()]


def states(slot: Slot) -> list[str]:
    return [data["state"] for data in slot.bench.told("scan")]


def test_a_card_that_comes_in_is_scanned_within_half_a_second(slot):
    slot.wait(1000)
    assert apps(slot) == []
    slot.back()
    slot.wait(240)
    assert apps(slot) == []  # seen once at most: its contacts may bounce
    slot.wait(300)
    assert apps(slot) == ["worker"]
    slot.wait(2000)
    assert states(slot) == ["started", "done"] * 2  # at boot, and once for the card


def test_apps_go_on_when_their_card_is_taken_out(slot):
    slot.back()
    slot.wait(600)
    slot.out()
    slot.wait(300)
    assert apps(slot) == ["worker"]
    assert slot.bench.node.ps()[0]["state"] == "ready"
    assert states(slot)[-1] == "removed"
    assert not slot.bench.board.mounted


def test_what_runs_already_is_left_alone_and_what_is_new_is_loaded(slot):
    slot.back()
    slot.wait(600)
    slot.out()
    slot.wait(300)
    put(slot.folder.with_name("away"), worker=WORKER, other=OTHER)
    slot.back()
    slot.wait(600)
    assert [(row["pid"], row["app_name"]) for row in slot.bench.node.ps()] == [
        (1, "worker"),
        (2, "other"),
    ]
    assert slot.bench.told("scan")[-1] == {
        "source": "SD",
        "state": "done",
        "listed": 2,
        "started": 1,
    }


def test_a_card_that_cannot_be_read_is_told_once(slot):
    (slot.folder.with_name("away") / "hsx.toml").unlink()
    slot.back()
    slot.wait(3000)
    assert [warning["code"] for warning in slot.bench.told("warning")[1:]] == ["ENOENT"]


@pytest.mark.parametrize("moment", range(1, 8))
def test_a_card_taken_out_in_mid_scan_costs_what_was_being_loaded(tmp_path, monkeypatch, moment):
    """Every read of a file fails from the `moment`th on, as it does on a card that is gone."""
    folder = tmp_path / "card"
    put(folder, first=an_image(EXIT, name="first"), second=OTHER, third=WORKER)
    reads = 0

    class Pulled:
        def __init__(self, path, mode) -> None:
            self.file = open(path, mode)  # noqa: SIM115  the scan closes it

        def readinto(self, buf):
            nonlocal reads
            reads += 1
            if reads >= moment and folder.exists():
                folder.rename(tmp_path / "away")
            if reads >= moment:
                raise OSError(5)
            return self.file.readinto(buf)

        def close(self) -> None:
            self.file.close()

    bench = RuntimeBench(folder)
    original = sdcard.SdCard.open
    monkeypatch.setattr(
        sdcard.SdCard,
        "open",
        lambda self, name: (Pulled(self.path(name), "rb"), original(self, name)[1]),
    )
    bench.boot()
    slot = Slot(bench, folder)
    slot.wait(300)
    complete = (moment - 1) // 3
    assert len(bench.node.ps()) == complete
    assert [error["code"] for error in bench.told("provisioning.error")] == ["EIO"]
    lost = ["ENODEV"] if complete < 2 else []  # images that were not tried any more
    assert [warning["code"] for warning in bench.told("warning")] == lost
    assert states(slot) == ["started", "done", "removed"]
    monkeypatch.undo()
    slot.back()
    slot.wait(700)
    assert apps(slot) == ["first", "other", "worker"]


def test_a_card_waits_until_a_transfer_over_can_is_over(slot, monkeypatch):
    """Starting and reading it would cost frames of that."""
    busy = [True]
    links = SimpleNamespace(is_busy=lambda: busy[0], poll=lambda now: None, close=lambda: None)
    monkeypatch.setattr(slot.bench.runtime, "links", links)
    slot.back()
    slot.wait(3000)
    assert apps(slot) == []
    busy[0] = False
    slot.wait(600)
    assert apps(slot) == ["worker"]
