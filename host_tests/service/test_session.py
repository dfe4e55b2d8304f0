# SPDX-License-Identifier: MIT
import io

import pytest

from builders import RET, Bench, an_image
from hsx.service.events import Events
from hsx.service.session import Session


class Rig(Bench):
    def __init__(self, **options) -> None:
        super().__init__(**options)
        self.log = Events(self.clock)

    def session(self, data: bytes, total: int | None = None, readinto=None) -> Session:
        return Session(
            self.node,
            self.log,
            self.clock,
            readinto or io.BytesIO(data).readinto,
            memoryview(bytearray(32)),
            "SD:app.hxe",
            len(data) if total is None else total,
        )

    def told(self) -> list[str]:
        return [event[2] for event in self.log.since(0)]


def finish(session: Session) -> None:
    while session.step():
        pass


@pytest.mark.requirement("P-84")
def test_a_good_image_is_started_progressing_and_complete():
    rig = Rig()
    session = rig.session(an_image(*[RET] * 100))
    finish(session)
    told = rig.told()
    assert told[0] == "provisioning.started"
    assert told[-1] == "provisioning.complete"
    percents = [event[4]["percent"] for event in rig.log.since(1)[:-1]]
    assert percents == sorted(percents) and percents[-1] == 100 and len(percents) == 4
    assert rig.node.ps()[0]["state"] == "loaded"


@pytest.mark.requirement("P-74", "P-75", "P-77", "P-78")
def test_each_event_of_a_load_has_its_fields():
    rig = Rig()
    image = an_image(*[RET] * 100)
    finish(rig.session(image))
    rig.session(image).abort()
    with pytest.raises(OSError):
        finish(rig.session(image[:-1]))
    first = {}
    for _, _, kind, pid, data in rig.log.since(0):
        assert pid and data["source"] == "SD:app.hxe"
        first.setdefault(kind, data)
    assert first["provisioning.started"]["phase"] == "LOADING"
    assert first["provisioning.started"]["total_bytes"] == len(image)
    progress = first["provisioning.progress"]
    done = progress["bytes_written"]
    assert progress["total_bytes"] == len(image)
    assert progress["percent"] == done * 100 // len(image) >= 25
    assert first["provisioning.complete"]["phase"] == "READY"
    failed = first["provisioning.error"]
    assert (failed["phase"], failed["code"], failed["where"]) == ("FAILED", "EBADMSG", "end")
    assert failed["detail"] == "checksum differs"
    assert first["provisioning.aborted"]["phase"] == "ABORTING"


@pytest.mark.requirement("P-47", "P-84")
def test_a_bad_image_is_an_error_then_aborted_and_leaves_nothing():
    rig = Rig()
    image = bytearray(an_image(*[RET] * 50))
    image[100] ^= 1
    session = rig.session(bytes(image))
    with pytest.raises(OSError):
        finish(session)
    assert rig.told()[-2:] == ["provisioning.error", "provisioning.aborted"]
    error = rig.log.since(0)[-2][4]
    assert (error["code"], error["where"]) == ("EBADMSG", "end")
    assert rig.state() == rig.idle


@pytest.mark.requirement("P-47")
def test_a_read_error_is_told_under_its_own_name():
    rig = Rig()

    def broken(buf):
        raise OSError(5, "read error")

    session = rig.session(b"", readinto=broken)
    with pytest.raises(OSError):
        finish(session)
    assert rig.log.since(0)[-2][4]["code"] == "EIO"
    assert rig.state() == rig.idle


@pytest.mark.requirement("P-9", "P-78", "P-91")
def test_abort_after_every_step_leaves_nothing():
    image = an_image(*[RET] * 100)
    steps = 0
    while True:
        rig = Rig()
        session = rig.session(image)
        if not all(session.step() for _ in range(steps)):
            break
        session.abort()
        assert rig.told()[-1] == "provisioning.aborted"
        assert rig.state() == rig.idle
        steps += 1
    assert steps == -(-len(image) // 32) + 1


@pytest.mark.requirement("P-47")
def test_a_heap_that_is_full_is_a_refusal():
    rig = Rig()

    def starved(buf):
        raise MemoryError

    session = rig.session(b"", readinto=starved)
    with pytest.raises(OSError):
        finish(session)
    assert rig.log.since(0)[-2][4]["code"] == "ENOSPC"
    assert rig.state() == rig.idle


@pytest.mark.requirement("P-47")
def test_no_free_pid_is_told_as_an_error_at_begin():
    rig = Rig(tasks=1)
    rig.load(an_image())
    with pytest.raises(OSError):
        rig.session(an_image())
    assert rig.log.since(0)[-1][4]["where"] == "begin"


def test_progress_of_a_source_of_unknown_length_is_not_told():
    rig = Rig()
    finish(rig.session(an_image(*[RET] * 100), total=-1))
    assert rig.told() == ["provisioning.started", "provisioning.complete"]
