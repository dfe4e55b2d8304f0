# SPDX-License-Identifier: MIT
import io

import pytest

from bench.images import RET, an_image
from bench.node import NodeBench
from hsx.service.events import Events
from hsx.service.loads import Loads
from hsx.service.policy import Policy
from hsx.service.session import PROGRESS_MS, Session


class LoadsBench(NodeBench):
    def __init__(self, **options) -> None:
        super().__init__(**options)
        self.log = Events(self.clock)
        self.loads = Loads(self.node, self.log, self.clock, Policy(self.node.svc))

    def session(self, data: bytes, total: int | None = None, readinto=None) -> "Pulled":
        session = self.loads.begin("SD:app.hxe", len(data) if total is None else total)
        return Pulled(session, readinto or io.BytesIO(data).readinto)

    def told(self) -> list[str]:
        return [event[2] for event in self.log.since(0)]


class Pulled:
    """A session and where its bytes come from."""

    def __init__(self, session: Session, readinto) -> None:
        self.session = session
        self.abort = session.abort
        self._readinto = readinto
        self._buf = memoryview(bytearray(32))

    def step(self) -> bool:
        return self.session.step(self._readinto, self._buf)


def finish(session: Pulled) -> None:
    while session.step():
        pass


@pytest.mark.requirement("P-84")
def test_a_good_image_is_started_progressing_and_complete():
    bench = LoadsBench()
    session = bench.session(an_image(*[RET] * 100))
    finish(session)
    told = bench.told()
    assert told[0] == "provisioning.started"
    assert told[-1] == "provisioning.complete"
    assert told[1:-1] == ["provisioning.progress"]
    assert bench.node.ps()[0]["state"] == "loaded"


@pytest.mark.requirement("P-74", "P-75", "P-76", "P-77", "P-78")
def test_each_event_of_a_load_has_its_fields():
    bench = LoadsBench()
    image = an_image(*[RET] * 100)
    finish(bench.session(image))
    bench.session(image).abort()
    with pytest.raises(OSError):
        finish(bench.session(image[:-1]))
    first = {}
    for _, _, kind, pid, data in bench.log.since(0):
        assert pid and data["source"] == "SD:app.hxe"
        first.setdefault(kind, data)
    assert first["provisioning.started"]["phase"] == "LOADING"
    assert first["provisioning.started"]["total_bytes"] == len(image)
    progress = first["provisioning.progress"]
    done = progress["bytes_written"]
    assert progress["total_bytes"] == len(image)
    assert (done, progress["percent"]) == (len(image), 100)
    complete = first["provisioning.complete"]
    assert (complete["phase"], complete["ready"]) == ("READY", True)
    failed = first["provisioning.error"]
    assert (failed["phase"], failed["code"], failed["where"]) == ("FAILED", "EBADMSG", "end")
    assert failed["detail"] == "checksum differs"
    assert first["provisioning.aborted"]["phase"] == "ABORTING"


@pytest.mark.requirement("P-47", "P-84")
def test_a_bad_image_is_an_error_then_aborted_and_leaves_nothing():
    bench = LoadsBench()
    image = bytearray(an_image(*[RET] * 50))
    image[100] ^= 1
    session = bench.session(bytes(image))
    with pytest.raises(OSError):
        finish(session)
    assert bench.told()[-2:] == ["provisioning.error", "provisioning.aborted"]
    error = bench.log.since(0)[-2][4]
    assert (error["code"], error["where"]) == ("EBADMSG", "end")
    assert bench.state() == bench.idle


@pytest.mark.requirement("P-47")
def test_a_read_error_is_told_under_its_own_name():
    bench = LoadsBench()

    def broken(buf):
        raise OSError(5, "read error")

    session = bench.session(b"", readinto=broken)
    with pytest.raises(OSError):
        finish(session)
    assert bench.log.since(0)[-2][4]["code"] == "EIO"
    assert bench.state() == bench.idle


@pytest.mark.requirement("P-9", "P-78", "P-91")
def test_abort_after_every_step_leaves_nothing():
    image = an_image(*[RET] * 100)
    steps = 0
    while True:
        bench = LoadsBench()
        session = bench.session(image)
        if not all(session.step() for _ in range(steps)):
            break
        session.abort()
        assert bench.told()[-1] == "provisioning.aborted"
        assert bench.state() == bench.idle
        steps += 1
    assert steps == -(-len(image) // 32) + 1


@pytest.mark.requirement("P-47")
def test_a_heap_that_is_full_is_a_refusal():
    bench = LoadsBench()

    def starved(buf):
        raise MemoryError

    session = bench.session(b"", readinto=starved)
    with pytest.raises(OSError):
        finish(session)
    assert bench.log.since(0)[-2][4]["code"] == "ENOSPC"
    assert bench.state() == bench.idle


@pytest.mark.requirement("P-47")
def test_no_free_pid_is_told_as_an_error_at_begin():
    bench = LoadsBench(tasks=1)
    bench.load(an_image())
    with pytest.raises(OSError):
        bench.session(an_image())
    assert bench.log.since(0)[-1][4]["where"] == "begin"


@pytest.mark.requirement("P-82")
@pytest.mark.parametrize("ms", [0, 10, 100, 249, 250, 251, 1000])
def test_progress_is_told_at_most_four_times_a_second_and_only_rises(ms):
    """`ms`: what each chunk takes."""
    bench = LoadsBench()
    session = bench.session(an_image(*[RET] * 100))
    while session.step():
        bench.clock.forward(ms)
    progress = [event for event in bench.log.since(0) if event[2] == "provisioning.progress"]
    times = [event[1] for event in progress]
    for before, after in zip(times, times[1:-1], strict=False):
        assert after - before >= PROGRESS_MS
    written = [event[4]["bytes_written"] for event in progress]
    assert written == sorted(set(written))
    assert progress[-1][4]["percent"] == 100
    chunks = -(-(96 + 400) // 32)
    assert len(progress) <= 1 + (chunks - 1) * ms // PROGRESS_MS


def test_progress_of_a_source_of_unknown_length_tells_bytes():
    bench = LoadsBench()
    session = bench.session(an_image(*[RET] * 100), total=-1)
    while session.step():
        bench.clock.forward(PROGRESS_MS)
    data = next(event[4] for event in bench.log.since(0) if event[2] == "provisioning.progress")
    assert data["bytes_written"] == 64
    assert "percent" not in data and "total_bytes" not in data
