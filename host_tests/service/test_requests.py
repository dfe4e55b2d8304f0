# SPDX-License-Identifier: MIT
import struct
import tracemalloc

import pytest

from bench.apps import (
    BREAK,
    LEVEL,
    LIMIT,
    OPEN,
    PURGE,
    RESET,
    SERIAL,
    UID,
    AppsBench,
    a_command,
    a_value,
    an_app,
)
from hsx.errors import (
    EACCES,
    EBADMSG,
    EBUSY,
    EINVAL,
    EIO,
    ENODEV,
    ENOENT,
    ENOTSUP,
    EPERM,
    ESRCH,
    HsxError,
)
from hsx.link import command as signed
from hsx.link import messages as m
from hsx.link.host_messages import NAMES, pack_request, read_list, unpack_reply, unpack_told
from hsx.link.wire import MAX_EVENT
from hsx.node import svc_core
from hsx.service.session import PROGRESS_MS

ONE, HALF = 0x3C00, 0x3800  # 1.0, 0.5
MINUTE = 60000


@pytest.fixture
def host():
    return AppsBench()


def told(host: AppsBench) -> list[tuple]:
    """The events that the node sends now."""
    found = []
    while True:
        raw = host.requests.event(host.clock())
        if not raw:
            return found
        assert len(raw) <= m.MAX
        found.append(unpack_told(raw))


def rows(host: AppsBench, name: str, *numbers: int) -> list[dict]:
    return read_list(host.send, name, *numbers)


# ---- what there is ----------------------------------------------------------------------------


def test_hello_says_who_the_node_is(host):
    values = host.ask("hello").values
    assert list(values) == list(m.TABLE[m.HELLO - 1][2])
    assert (values["protocol"], values["node"], values["uid"]) == (m.VERSION, 5, UID)
    assert (values["network"], values["board"]) == (77, "test")
    assert (values["max_code"], values["max_mailboxes"]) == (0x8000, 16)
    assert (values["abi"], values["capabilities"]) == (
        svc_core.ABI,
        svc_core.capabilities(host.node.svc),
    )
    assert (values["free"], values["seq"]) == (host.vm.free(), host.log.seq)
    assert (values["active"], values["state"]) == ("none", "none")


def test_a_node_without_a_store_says_hello_and_refuses_what_is_about_one():
    host = AppsBench(store=False)
    assert host.ask("hello").values["active"] is None
    for request in (("status",), ("slots", 0), ("images", 0, 1)):
        assert host.ask(*request).errno == ENODEV


def test_status_is_that_of_the_store(host):
    values = host.ask("status").values
    assert values == host.provisioning.status()
    assert list(values) == list(m.TABLE[m.STATUS - 1][2])


@pytest.mark.requirement("P-5")
def test_ps_is_the_nodes(host):
    got = rows(host, "ps")
    assert got == host.node.ps()
    assert [row["app_name"] for row in got] == ["tank", "tank_#0", "short"]


def test_a_list_begins_where_it_is_asked_to(host):
    assert [row["pid"] for row in host.ask("ps", 2).rows] == [2, 3]
    assert host.ask("ps", 4).rows == host.ask("values", 999).rows == []
    assert host.ask("ps", 1 << 40).rows == host.ask("commands", 1 << 40).rows == []


@pytest.mark.requirement("P-5")
def test_values_and_commands_are_the_registries(host):
    for name, registry in (("values", host.node.values), ("commands", host.node.commands)):
        got = rows(host, name)
        assert [(row["pid"], row["oid"]) for row in got] == [
            (row["pid"], row["oid"]) for row in registry.rows()
        ]
        for row, ours in zip(got, registry.rows(), strict=True):
            assert list(row) == list(m.TABLE[NAMES.index(name)][3])
            same = {"flags", "auth", "key", "name", "unit", "help", "group_name", "bits"}
            assert {key: row[key] for key in same & set(row)} == {
                key: ours[key] for key in same & set(row)
            }


def test_limits_of_a_value_are_bits():
    host = AppsBench(apps=(an_app(values=[a_value(LEVEL, epsilon=1, low=HALF, high=0x7BFF)]),))
    (row,) = rows(host, "values")
    assert (row["epsilon"], row["min"], row["max"]) == (1, HALF, 0x7BFF)


def test_long_lists_come_in_pages_and_nothing_is_lost():
    many = [a_value(0x0100 + n, name="v" * (n % 70)) for n in range(60)]
    host = AppsBench(apps=(an_app(values=many),))
    first = host.ask("values", 0)
    assert 0 < first.next < 60
    assert host.ask("values", first.next).rows[0]["oid"] == 0x0100 + first.next
    got = rows(host, "values")
    assert [row["oid"] for row in got] == [0x0100 + n for n in range(60)]
    assert [row["name"] or "" for row in got] == ["v" * min(n % 70, m.ROW_TEXT) for n in range(60)]


def test_the_longest_row_of_each_list_fits():
    long = "é" * 200
    value = a_value(0xFFFF, 0xFF, 0xFF, long, epsilon=0xFFFF, low=0xFFFF, high=0xFFFF, key=0xFFFE)
    command = a_command(0xFFFF, 12, 0xFF, 0xFF, name=long, help=long)
    for record in (value, command):
        record.group_name = long
    value.unit = long
    host = AppsBench(apps=(an_app("n" * 31, [value], [command]),))
    task = host.task(1)
    task.source, task.instance, task.app = long, long, long
    task.priority, task.quantum, task.exit_code = 255, (1 << 30) - 1, 0xFFFFFFFF
    task.stop = 0x204  # the name of a stop is 21 characters at most
    for name in ("values", "commands", "ps"):
        (row,) = rows(host, name)
        assert len(row) == len(m.TABLE[NAMES.index(name)][3])


def test_banks_and_their_images(host, tmp_path):
    paths = []
    for name in ("one", "two"):
        path = tmp_path / f"{name}.hxe"
        path.write_bytes(an_app(name, [], []))
        paths.append(str(path))
    host.runtime.persist(tuple(paths), False, {"version": "1.2"})
    host.runtime.activate()
    first, second = rows(host, "slots")
    assert (first["bank"], first["active"], first["state"]) == ("A", True, "trial")
    assert (first["images"], second["images"], second["active"]) == (2, 0, False)
    assert first["digest"] == host.provisioning.slots()[0]["digest"]
    assert rows(host, "images", 0) == host.provisioning.slots()[0]["images"]
    assert rows(host, "images", 1) == []
    assert host.ask("images", 0, 2).errno == EINVAL
    assert host.ask("hello").values["state"] == "trial"


# ---- values and commands ----------------------------------------------------------------------


def test_a_public_value_is_read_and_set(host):
    assert host.ask("get", 1, LEVEL).values == {"bits": ONE}
    assert host.ask("set", 1, LEVEL, HALF).errno == 0
    assert host.ask("get", 1, LEVEL).values == {"bits": HALF}
    assert host.ask("get", 2, LEVEL).values == {"bits": ONE}


@pytest.mark.parametrize("bits", [0, 1, 0x8000, 0x7C00, 0x7E01, 0xFFFF])
def test_every_bit_of_a_value_arrives(host, bits):
    host.ask("set", 1, LEVEL, bits)
    assert host.ask("get", 1, LEVEL).values == {"bits": bits}


def test_pid_0_is_the_first_instance(host):
    host.ask("set", 1, LEVEL, HALF)
    assert host.ask("get", 0, LEVEL).values == {"bits": HALF}
    assert host.ask("call", 0, RESET).values == {"result": 7}
    host.node.kill(1)
    assert host.ask("get", 0, LEVEL).values == {"bits": ONE}
    assert host.ask("set", 0, LEVEL, HALF).errno == 0
    assert host.node.get_value(2, LEVEL) == HALF
    host.node.kill(2)
    for request in (("get", 0, LEVEL), ("set", 0, LEVEL, 0), ("call", 0, RESET)):
        assert host.ask(*request).errno == ENOENT


def test_reading_is_free(host):
    assert host.ask("get", 1, LIMIT).errno == 0


REFUSED = [
    (("set", 1, LIMIT, 0), EPERM),
    (("set", 1, SERIAL, 0), EPERM),
    (("set", 1, LEVEL, 0x10000), EINVAL),
    (("set", 9, LEVEL, 0), ENOENT),
    (("set", 1, 0x0999, 0), ENOENT),
    (("set", 1, 0x10000 | LEVEL, 0), ENOENT),
    (("get", 9, LEVEL), ENOENT),
    (("get", 1, 0x0999), ENOENT),
    (("get", 0, 0x10000 | LEVEL), ENOENT),
    (("call", 1, PURGE), EPERM),
    (("call", 1, OPEN), EPERM),
    (("call", 0, PURGE), EPERM),
    (("call", 1, 0x0999), ENOENT),
    (("call", 9, RESET), ESRCH),
    (("call", 3, RESET), ENOENT),
    (("events", 1 << 31, 8), ENOENT),
    (("events", 0, 0), EINVAL),
    (("events", 0, 65), EINVAL),
    (("ack", 1), ENOENT),
    (("images", 0, 2), EINVAL),
]


@pytest.mark.parametrize(("request_", "errno"), REFUSED)
def test_what_is_refused_changes_nothing(host, request_, errno):
    before = host.told_state()
    reply = host.ask(*request_)
    assert reply.errno == errno
    assert reply.where == "begin" and reply.detail
    assert host.told_state() == before
    with pytest.raises(HsxError) as refused:
        reply.require()
    assert (refused.value.errno, refused.value.detail) == (errno, reply.detail)


def test_a_command_of_a_task_that_does_not_run_is_refused(host):
    host.load(an_app("late"), start=False)
    assert host.ask("call", 4, RESET).errno == EBUSY


def test_a_public_command_gives_its_result_and_one_that_breaks_an_error(host):
    assert host.ask("call", 1, RESET).values == {"result": 7}
    assert host.ask("call", 1, BREAK).errno == EIO


def test_frames_of_values_ask_the_same(host):
    requests = host.requests
    assert requests.get(1, LEVEL) == requests.get(0, LEVEL) == (0, ONE)
    assert requests.set(1, LEVEL, HALF) == 0
    assert requests.get(1, LEVEL) == (0, HALF)
    assert requests.call(1, RESET) == (0, 7)
    assert requests.get(9, LEVEL) == (ENOENT, 0)
    assert requests.set(1, LIMIT, 0) == EPERM
    assert requests.call(1, PURGE) == (EPERM, 0)


@pytest.mark.requirement("P-87")
def test_a_signed_command_changes_what_a_plain_request_does_not(host):
    for action, object, result in (
        (signed.SET, struct.pack("<BxHH", 1, LIMIT, HALF), None),
        (signed.CALL, struct.pack("<BxH", 1, PURGE), 7),
    ):
        command = signed.pack(action, object, network=77) + bytes(64)
        assert host.ask("command", data=command).values == {"result": result}
    assert host.ask("get", 1, LIMIT).values == {"bits": HALF}


@pytest.mark.requirement("P-87")
def test_a_command_that_does_not_count_here_is_refused_and_changes_nothing(host):
    good = signed.pack(signed.KILL, b"\x01", network=77) + bytes(64)
    before = host.told_state(log=False)
    assert host.ask("command", data=good[:-1]).errno == EBADMSG
    host.policy.network = 78
    assert host.ask("command", data=good).errno == EACCES
    assert host.told_state(log=False) == before
    assert [data["code"] for data in host.told("warning")[-2:]] == ["EBADMSG", "EACCES"]


@pytest.mark.requirement("P-8")
def test_a_load_is_told_while_it_goes_on_and_after_it_failed(host):
    session = host.service.begin("UART:1", 400)
    session.write(memoryview(an_app("late"))[:200])
    values = host.ask("load", session.pid).values
    assert (values["state"], values["source"], values["percent"]) == ("LOADING", "UART:1", 50)
    assert (values["bytes"], values["total"], values["code"]) == (200, 400, None)
    with pytest.raises(OSError):
        session.end()
    values = host.ask("load", session.pid).values
    assert (values["state"], values["code"], values["where"]) == ("FAILED", "EBADMSG", "end")
    assert host.ask("load", 1).values["state"] == "READY"
    assert host.ask("load", 9).errno == ESRCH


# ---- events -----------------------------------------------------------------------------------


@pytest.mark.requirement("P-5", "P-98")
def test_a_host_gets_the_events_that_it_asks_for(host):
    assert told(host) == []
    reply = host.ask("events", 0, 64)
    assert reply.values == {"seq": host.log.seq}
    assert told(host) == host.log.since(0)
    host.ask("set", 1, LEVEL, HALF)
    (event,) = told(host)
    assert event[2:] == ("value_changed", 1, {"oid": LEVEL, "old": ONE, "new": HALF})


@pytest.mark.requirement("P-98")
def test_an_acknowledgement_wants_no_reply_and_opens_the_window(host):
    seq = host.log.seq
    host.ask("events", seq, 2)
    for bits in range(5):
        host.ask("set", 1, LEVEL, bits)
    assert [event[0] for event in told(host)] == [seq + 1, seq + 2]
    assert host.send(pack_request("ack", 0, seq + 1)) == b""
    assert [event[0] for event in told(host)] == [seq + 3]
    assert host.ask("ack", seq + 4).errno == EINVAL


@pytest.mark.requirement("P-98")
def test_events_that_are_gone_can_not_be_asked_for(host):
    for n in range(2000):
        host.log.emit("task", n & 7, {"state": "ready"})
    reply = host.ask("events", 0, 8)
    assert (reply.errno, reply.detail) == (ENOENT, "seq_evicted")
    assert host.ask("events", host.log.oldest - 1, 8).errno == 0


def test_a_host_that_is_silent_gets_no_more_until_it_asks_again(host):
    host.ask("events", 0, 64)
    host.clock.forward(MINUTE // 2)
    assert told(host)
    host.ask("set", 1, LEVEL, HALF)
    host.clock.forward(MINUTE // 2 + 1)
    assert told(host) == []
    host.ask("hello")
    assert told(host) == []
    assert host.ask("ack", 1).errno == ENOENT


@pytest.mark.parametrize("request_", [("ack", 1), ("hello",), ("get", 9, LEVEL)])
def test_whatever_a_host_sends_keeps_its_subscription(host, request_):
    """Replied to or not, refused or not."""
    host.ask("events", 0, 64)
    for round in range(4):
        told(host)
        host.clock.forward(MINUTE // 2)
        host.send(pack_request(request_[0], 9, *request_[1:]))
        host.node.set_value(1, LEVEL, round)
        assert told(host)[-1][2] == "value_changed"


def test_the_longest_event_fits_its_message(host):
    host.ask("events", host.log.seq, 8)
    host.log.emit("x" * 111, 1, {"y" * 60: "z" * 60})
    raw = host.requests.event(host.clock())
    assert MAX_EVENT - 10 < len(raw) <= m.MAX


def loads(host: AppsBench, ms: int, chunk: int = 16) -> int:
    """One load, `ms` for each chunk; how many steps it took."""
    image = an_app("late", rodata=bytes(400))
    session = host.service.begin("UART:1", len(image))
    steps = 0
    for at in range(0, len(image), chunk):
        session.write(memoryview(image)[at : at + chunk])
        host.clock.forward(ms)
        steps += 1
    session.end()
    host.node.kill(session.pid)
    return steps


@pytest.mark.requirement("P-82", "P-98")
@pytest.mark.parametrize("ms", [1, 60, 400])
def test_progress_arrives_at_most_four_times_a_second_and_only_rises(host, ms):
    host.ask("events", host.log.seq, 4)
    steps = loads(host, ms)
    found = []
    while True:
        some = told(host)
        if not some:
            break
        found += some
        host.send(pack_request("ack", 0, some[-1][0]))
    assert [event[0] for event in found] == list(range(found[0][0], host.log.seq + 1))
    progress = [event for event in found if event[2] == "provisioning.progress"]
    assert 1 <= len(progress) <= 1 + steps * ms // PROGRESS_MS
    written = [event[4]["bytes_written"] for event in progress]
    assert written == sorted(set(written))
    assert progress[-1][4]["percent"] == 100
    others = [event[2] for event in found if event[2].startswith("prov") and event not in progress]
    assert others == ["provisioning.started", "provisioning.complete"]


@pytest.mark.requirement("P-83", "P-98")
def test_a_host_that_never_acknowledges_slows_no_load_and_takes_no_memory():
    steps, sent, grown = {}, {}, {}
    for window in (0, 8):
        host = AppsBench()
        if window:
            host.ask("events", host.log.seq, window)
        sent[window] = 0
        tracemalloc.start()
        for round in range(60):
            steps.setdefault(window, set()).add(loads(host, 0))
            sent[window] += len(told(host))
            if round == 20:  # by then the log has come round
                before = tracemalloc.get_traced_memory()[0]
        grown[window] = tracemalloc.get_traced_memory()[0] - before
        tracemalloc.stop()
        assert host.log.oldest > 80
    assert steps[0] == steps[8]
    assert sent == {0: 0, 8: 8}
    assert grown[8] - grown[0] < 1024  # the test's console grows with what is told


# ---- what is wrong ----------------------------------------------------------------------------


def test_what_is_too_short_gets_a_reply_to_nothing(host):
    for raw in (b"", b"\x01", b"\x7f"):
        reply = unpack_reply(host.send(raw))
        assert (reply.errno, reply.name, reply.tag) == (EBADMSG, "", 0)


def test_an_unknown_request_is_not_supported(host):
    for op in (0, len(m.TABLE) + 1, 0x7F):
        raw = host.send(bytes([op, 4]))
        assert (raw[0], raw[1], raw[2]) == (m.REPLY | op, 4, ENOTSUP)


def test_replies_and_events_are_not_answered(host):
    assert [host.send(bytes([op, 1, 2])) for op in range(m.REPLY, 256)] == [b""] * m.REPLY


@pytest.mark.parametrize("name", [name for name in NAMES if name != "command"])
def test_every_cut_and_every_longer_request_is_refused(host, name):
    whole = pack_request(name, 1, *[300] * len(m.TABLE[NAMES.index(name)][1]))
    before = host.told_state()
    for raw in [whole[:size] for size in range(2, len(whole))] + [whole + b"\0"]:
        assert unpack_reply(host.send(raw)).errno == EBADMSG
    assert host.told_state() == before


def test_a_number_that_does_not_end_is_refused(host):
    assert unpack_reply(host.send(b"\x03\x01" + b"\xff" * 200 + b"\0")).errno == EBADMSG


def test_errors_of_other_layers_are_told_under_their_own_number(host):
    def broken(view):
        raise OSError(EIO)

    host.command = broken
    reply = host.ask("command")
    assert (reply.errno, reply.detail) == (EIO, "error of the medium")


def test_a_heap_that_is_full_is_a_refusal(host):
    def starved(view):
        raise MemoryError

    host.command = starved
    assert host.ask("command").detail == "the node's heap is full"
