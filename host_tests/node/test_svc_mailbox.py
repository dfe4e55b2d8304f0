# SPDX-License-Identifier: MIT
"""Service module 5 and value SUB, called by programs: the rules of spec/svc_abi.md 4 and 5."""

import pytest

from bench.images import an_image
from bench.node import NodeBench
from hsx.image.build import mailbox_section
from hsx.node import tasks as t
from node.calls import behind, calling, results

OPEN, BIND, SEND, RECV, PEEK, TAP, CLOSE = range(7)
SUB = 5  # of module 7
OK, WOULDBLOCK, INVALID_HANDLE, NO_DATA, MSG_TOO_LARGE, NO_DESCRIPTOR = range(6)
TIMEOUT = 7
INTERNAL_ERROR = 0xFF
FANOUT, DROP, BLOCK = 8, 0x10, 0x20
FOR_EVER = 0xFFFF

DATA = """
name: .asciz "app:box"
text: .ascii "message1MESSAGE2"
"""


@pytest.fixture
def bench():
    return NodeBench()


@pytest.fixture
def load(bench, tmp_path):
    """load(calls..., name) -> PID of a started task; a call is (function, R1, ...)."""

    def loaded(*calls, name="app", data=DATA, **more):
        made = [call if call[0] == "sleep" else (5, *call) for call in calls]
        return bench.load(calling(tmp_path, *made, name=name, data=data, **more))

    return loaded


@pytest.fixture
def ran(bench, load):
    """ran(calls...) -> (R0, R1, ...) of each call of a task that ran to its end."""

    def run(*calls, kept=2, **more):
        pid = load(*calls, **more)
        while bench.task(pid).state in (t.READY, t.SLEEPING):
            bench.clock.forward(bench.poll())
        assert bench.task(pid).state == t.STOPPED
        return results(bench, pid, sum(call[0] != "sleep" for call in calls), kept)

    return run


def rows(bench, *fields):
    return [tuple(row[field] for field in fields) for row in bench.node.mailboxes.rows()]


# ---- calls ------------------------------------------------------------------------------------


def test_the_first_handle_of_its_own_is_the_fourth_and_none_is_given_twice(ran):
    found = ran((OPEN, "name"), (CLOSE, 4), (OPEN, "name"), (OPEN, "name"))
    assert found == [(OK, 4), (OK, 4), (OK, 5), (OK, 6)]


def test_a_message_comes_with_its_length_flags_channel_and_source(bench, ran):
    found = ran(
        (OPEN, "name"),
        (SEND, 4, "text", 8, 0x10004, 0x20007),
        (RECV, 4, "buf", 16, 0, "info"),
        data=DATA + "buf: .zero 16\ninfo: .zero 20\n",
        kept=5,
    )
    assert found[1][:2] == (OK, 8)
    assert found[2] == (OK, 8, 4, 7, 1)
    after = behind(bench, 1, 3, 24 + 36)
    assert after[24:40] == b"message1".ljust(16, b"\0")
    assert after[40:] == b"".join(n.to_bytes(4, "little") for n in (0, 8, 4, 7, 1))


def test_an_empty_poll_says_so_in_the_info_too(bench, ran):
    found = ran((OPEN, "name"), (RECV, 4, "buf", 9, 0, "info"), data=DATA + "buf:\ninfo: .zero 20")
    assert found[1] == (NO_DATA, 0)
    info = behind(bench, 1, 2, 24 + 20)[24:]
    assert info == bytes([NO_DATA]) + bytes(19)


def test_a_message_that_is_longer_than_the_buffer_is_cut_and_gone(ran):
    found = ran(
        (OPEN, "name"), (SEND, 4, "text", 8, 0, 0), (RECV, 4, 0xF000, 3, 0, 0), (PEEK, 4), kept=4
    )
    assert found[2][:2] == (OK, 3)
    assert found[3] == (OK, 0, 0, 0)


def test_peek_tells_depth_bytes_and_the_next_length(ran):
    found = ran(
        (OPEN, "name"), (SEND, 4, "text", 8, 0, 0), (SEND, 4, "text", 3, 0, 0), (PEEK, 4), kept=4
    )
    assert found[3] == (OK, 2, 16 + 11, 8)


@pytest.mark.requirement("P-92e")
@pytest.mark.parametrize(
    ("size", "status"), [(56, OK), (57, MSG_TOO_LARGE), (0xFFFF, MSG_TOO_LARGE), (0, OK)]
)
def test_the_default_takes_56_bytes(ran, size, status):
    data = 'name: .asciz "box"\ntext: .zero 3000\n'
    found = ran((OPEN, "name"), (SEND, 4, "text", size, 0, 0), (PEEK, 4), data=data, kept=4)
    assert found[1][0] == status
    assert found[2] == ((OK, 1, 64, 56) if size == 56 else (OK, 0, 0, 0))


def test_a_full_mailbox_would_block_and_that_is_told_once(bench, ran):
    found = ran((OPEN, "name"), *[(SEND, 4, "text", 8, 0, 0)] * 6)
    assert [status for status, _ in found[1:]] == [OK] * 4 + [WOULDBLOCK] * 2
    told = [data for kind, _, data in bench.events if kind == "mailbox_backpressure"]
    data = {
        "queue_depth": 4,
        "policy": "single",
        "capacity": 64,
        "bytes_used": 64,
        "requested": 16,
    }
    assert told == [{"descriptor": 1, **data}]


def test_an_empty_message_is_taken_and_not_queued(ran):
    found = ran((OPEN, "name"), (SEND, 4, "text", 0, 0, 0), (PEEK, 4))
    assert found[1:] == [(OK, 0), (OK, 0)]


def test_a_message_ends_where_the_memory_does(ran):
    assert ran((OPEN, "name"), (SEND, 4, 0xFFFE, 8, 0, 0))[1] == (OK, 2)
    assert ran((OPEN, "name"), (SEND, 4, 0x100, 8, 0, 0), name="two")[1] == (OK, 0)


@pytest.mark.parametrize("function", [SEND, RECV, PEEK, TAP, CLOSE])
@pytest.mark.parametrize("handle", [0, 4, 0xFFFF])
def test_a_handle_that_there_is_not_is_invalid(ran, function, handle):
    assert ran((function, handle, 0x4000, 1, 0, 0))[0] == (INVALID_HANDLE, handle)


def test_a_handle_belongs_to_its_task(bench, load):
    first = load((OPEN, "name"), end="stay")
    second = load((SEND, 4, "text", 8, 0, 0), name="other")
    bench.poll(9)
    assert (results(bench, first, 1), results(bench, second, 1)[0][0]) == ([(OK, 4)], 2)


@pytest.mark.parametrize("function", [7, 0x77, 0xFF])
def test_a_function_that_there_is_not_is_an_internal_error(ran, function):
    assert ran((function, 1))[0] == (INTERNAL_ERROR, 1)


@pytest.mark.parametrize("name", ["", "pid:x", "svc:box@x", "app:box@1x", "box@-1"])
def test_a_target_that_is_none_is_an_internal_error(bench, ran, name):
    data = f'name: .asciz "{name}"'
    assert [r0 for r0, _ in ran((OPEN, "name"), (BIND, "name", 0, 0), data=data)] == [0xFF] * 2
    assert bench.node.mailboxes.rows() == []


# ---- names ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "identity"),
    [
        ("box", ("svc", "box", 1)),
        ("svc:box", ("svc", "box", 1)),
        ("svc:box@7", ("svc", "box", 7)),
        ("svc:box@", ("svc", "box", 1)),
        ("pid:", ("pid", "", 1)),
        ("pid:7", ("pid", "", 7)),
        ("app:box", ("app", "box", -1)),
        ("app:box@7", ("app", "box", 7)),
        ("shared:box@7", ("shared", "box", -1)),
        ("hal:uart", ("svc", "hal:uart", 1)),
        ("app:" + "n" * 40, ("app", "n" * 28, -1)),
        ("app:" + "\u00e9" * 40, ("app", "\u00e9" * 28, -1)),
    ],
)
def test_a_target_says_namespace_name_and_owner(bench, ran, name, identity):
    data = "name: .byte " + ", ".join(str(byte) for byte in name.encode()) + ", 0"
    assert ran((OPEN, "name"), data=data) == [(OK, 4)]
    assert rows(bench, "namespace", "name", "owner") == [identity]


def test_two_tasks_meet_in_app_and_shared_and_each_has_its_own_svc(bench, load):
    for space, met in (("app:", True), ("shared:", True), ("svc:", False), ("", False)):
        data = f'name: .asciz "{space}b{len(space)}"\ntext: .ascii "12345678"'
        load((OPEN, "name"), (SEND, 4, "text", 5, 0, 0), name="one", data=data)
        bench.poll()
        pid = load((OPEN, "name"), (RECV, 4, 0xF000, 9, 0, 0), name="two", data=data)
        bench.poll()
        assert results(bench, pid, 2)[1] == ((OK, 5) if met else (NO_DATA, 0))


# ---- BIND -------------------------------------------------------------------------------------


def test_bind_gives_a_number_that_is_no_handle(ran):
    found = ran((BIND, "name", 40, 3), (BIND, "name", 0, 0), (SEND, 1, "text", 8, 0, 0), (PEEK, 1))
    assert found[:2] == [(OK, 1), (OK, 1)]
    assert found[3] == (OK, 1)  # of stdin


def test_a_smaller_capacity_drops_the_oldest(bench, ran):
    sends = [(SEND, 4, "text", n, 0, 0) for n in (1, 2, 3)]
    found = ran((OPEN, "name"), *sends, (BIND, "name", 21, 0), (RECV, 4, 0xF000, 9, 0, 0))
    assert found[-1] == (OK, 2)
    assert rows(bench, "capacity", "bytes_used") == [(21, 11)]


def test_what_does_not_fit_changes_nothing(bench, ran):
    found = ran((BIND, "name", 64, 0), (BIND, "name", 5000, 8), (BIND, "text", 5000, 0))
    assert [status for status, _ in found] == [OK, NO_DESCRIPTOR, NO_DESCRIPTOR]
    assert rows(bench, "capacity", "mode") == [(64, 0)]
    told = [data for kind, _, data in bench.events if kind == "mailbox_exhausted"]
    assert told == [{"reason": "descriptor_pool_full"}]


@pytest.mark.requirement("P-92e")
def test_eight_handles_stdio_among_them(bench, ran):
    found = ran(*[(OPEN, "name")] * 6, (CLOSE, 1), (OPEN, "name"), (CLOSE, 1), (OPEN, "name"))
    assert [r0 for r0, _ in found[:6]] == [OK] * 5 + [NO_DESCRIPTOR]
    assert [r0 for r0, _ in found[6:]] == [OK, OK, INVALID_HANDLE, NO_DESCRIPTOR]
    told = [data for kind, _, data in bench.events if kind == "mailbox_exhausted"]
    assert told == [{"reason": "handle_limit"}]


@pytest.mark.requirement("P-92e")
def test_sixteen_mailboxes(bench, ran):
    data = "".join(f'n{n}: .asciz "app:{n}"\n' for n in range(17))
    found = ran(*[(BIND, f"n{n}", 0, 0) for n in range(17)], (PEEK, 1), data=data)
    assert [r0 for r0, _ in found] == [OK] * 16 + [NO_DESCRIPTOR] * 2
    bench.node.kill(1)
    assert bench.state() == bench.idle


# ---- stdio ------------------------------------------------------------------------------------


def test_stdio_is_there_from_the_start_and_takes_no_room_before_its_use(bench, load):
    talker = load((SEND, 2, "text", 8, 1, 0), (SEND, 3, "text", 2, 2, 0), end="stay")
    data = (
        'out: .asciz "svc:stdio.out@1"\nerr: .asciz "svc:stdio.err@1"\nin: .asciz "svc:stdio.in@1"'
    )
    listener = load(
        *((OPEN, name) for name in ("out", "err", "in")),
        (RECV, 4, 0xF000, 9, 0, 0),
        (RECV, 5, 0xF000, 9, 0, 0),
        (SEND, 6, "out", 3, 0, 0),
        data=data,
        name="listener",
    )
    bench.poll(3)
    found = results(bench, listener, 6, kept=3)
    assert [row[0] for row in found] == [OK] * 6
    assert (found[3][1:], found[4][1:]) == ((8, 1), (2, 2))
    assert sorted(rows(bench, "name", "owner", "depth"))[1] == ("stdio.in", talker, 1)
    quiet = load((CLOSE, 1), (CLOSE, 2), (CLOSE, 2), name="quiet")
    bench.poll(3)
    assert [r0 for r0, _ in results(bench, quiet, 3)] == [OK, OK, INVALID_HANDLE]
    assert len(bench.node.mailboxes.rows()) == 3


def test_text_goes_to_the_console_and_to_no_mailbox(bench, tmp_path):
    pid = bench.load(calling(tmp_path, (1, 1, "text", 8), (5, PEEK, 2), data=DATA))
    bench.poll()
    assert bench.text == [("app", b"message1", 1)]
    assert results(bench, pid, 2)[1] == (OK, 0)


# ---- fan-out ----------------------------------------------------------------------------------


def fan_out(*calls, capacity=64, more=0):
    """Bound as fan-out, then handle 4 sends and 5 and 6 read."""
    return ((BIND, "name", capacity, FANOUT | more), *[(OPEN, "name")] * 3, *calls)


SENT = (SEND, 4, "text", 8, 0, 0)


def read(handle):
    return (RECV, handle, 0xF000, 64, 0, 0)


def test_each_reader_gets_each_message_and_then_it_is_gone(ran):
    calls = (SENT, read(5), (PEEK, 4), read(6), (PEEK, 4), read(5))
    found = ran(*fan_out(*calls))[4:]
    assert found == [(OK, 8), (OK, 8), (OK, 1), (OK, 8), (OK, 0), (NO_DATA, 0)]


def test_a_reader_begins_with_now(ran):
    found = ran(*fan_out(SENT, (OPEN, "name"), read(7), SENT, read(7), read(5), read(5)))[4:]
    assert [r0 for r0, _ in found] == [OK, OK, NO_DATA, OK, OK, OK, OK]


def test_who_sends_holds_nothing_back_until_it_reads(ran):
    # 4 sends; after it has read it is a reader: then its own message stays until it reads it.
    calls = (SENT, read(5), read(6), (PEEK, 5), SENT, read(4), read(5), (PEEK, 5), read(6))
    found = ran(*fan_out(*calls, (PEEK, 5)))[4:]
    assert [r0 for r0, _ in found] == [OK] * 10
    assert [found[n][1] for n in (3, 7, 9)] == [0, 1, 0]


def test_without_readers_messages_stay_until_they_are_dropped(ran):
    calls = ((BIND, "name", 64, FANOUT), (OPEN, "name"), *[SENT] * 6, (PEEK, 4))
    found = ran(*calls, kept=3)
    assert [row[0] for row in found] == [OK] * 9
    assert found[-1] == (OK, 4, 64)


def test_a_full_fan_out_drops_the_oldest_and_readers_are_told(bench, ran):
    calls = (*[SENT] * 3, read(6), *[SENT] * 3, read(5), read(5), read(6), read(6))
    found = ran(*fan_out(*calls), kept=3)[4:]
    assert [row[0] for row in found] == [OK] * 11
    assert [row[2] for row in found[-4:]] == [8, 0, 8, 0]
    told = [data for kind, _, data in bench.events if kind == "mailbox_overrun"]
    assert told == [{"descriptor": 1, "queue_depth": 4}]


def test_a_full_fan_out_that_blocks_drops_nothing(ran):
    calls = (*[SENT] * 5, read(5), read(6), SENT)
    found = ran(*fan_out(*calls, more=BLOCK))[4:]
    assert [r0 for r0, _ in found] == [OK] * 4 + [WOULDBLOCK] + [OK] * 3


@pytest.mark.parametrize("mode", [0x13, 0x23])
def test_drop_and_block_without_fan_out_are_a_single_reader(ran, mode):
    found = ran((BIND, "name", 0, mode), *[(OPEN, "name")] * 2, *[SENT] * 5, read(5), read(4))
    assert [r0 for r0, _ in found[3:]] == [OK] * 4 + [WOULDBLOCK, OK, OK]


def test_a_mode_resets_where_readers_are(ran):
    again = (BIND, "name", 0, FANOUT)
    found = ran(*fan_out(SENT, again, read(5), SENT, read(5), read(5)))[4:]
    assert [r0 for r0, _ in found] == [OK, OK, NO_DATA, OK, OK, NO_DATA]


# ---- taps -------------------------------------------------------------------------------------


def test_a_tap_gets_copies_of_what_comes_later_and_takes_nothing_away(ran):
    calls = ((OPEN, "name"), (OPEN, "name"), SENT, (TAP, 5, 1), SENT)
    found = ran(*calls, (PEEK, 5), read(5), read(5), read(4), read(4), read(4))
    assert [r0 for r0, _ in found[5:]] == [OK, OK, NO_DATA, OK, OK, NO_DATA]
    assert found[5][1] == 1


def test_a_tap_drops_its_oldest_says_so_and_blocks_nobody(ran):
    calls = (*fan_out((TAP, 5, 1), (CLOSE, 6), *[SENT] * 6), (PEEK, 5), read(5), read(5))
    found = ran(*calls, kept=3)
    assert [row[0] for row in found] == [OK] * len(calls)
    assert found[-3][1] == 4
    assert (found[-2][2], found[-1][2]) == (8, 0)


def test_a_tap_that_is_ended_reads_the_queue_again(ran):
    found = ran(*fan_out((TAP, 5, 1), SENT, (TAP, 5, 0), read(5), SENT, read(5), read(6)))[4:]
    assert [r0 for r0, _ in found] == [OK, OK, OK, NO_DATA, OK, OK, OK]


def test_a_tap_copies_twenty_messages_a_second(ran):
    big = (BIND, "name", 1024, 0)
    calls = (big, (OPEN, "name"), (OPEN, "name"), (TAP, 5, 1), *[SENT] * 22, (PEEK, 5))
    calls += (("sleep", 1000), SENT, (PEEK, 5))
    found = ran(*calls)
    assert (found[26][1], found[28][1]) == (20, 21)


def test_the_copies_of_taps_are_part_of_the_room(ran):
    found = ran((BIND, "name", 2500, 0), (OPEN, "name"), (TAP, 4, 1), (BIND, "name", 2000, 0))
    assert [r0 for r0, _ in found] == [OK, OK, NO_DESCRIPTOR, OK]
    found = ran((BIND, "name", 2000, 0), (OPEN, "name"), (TAP, 4, 1), (BIND, "name", 2100, 0))
    assert [r0 for r0, _ in found] == [OK, OK, OK, NO_DESCRIPTOR]


# ---- waiting ----------------------------------------------------------------------------------


def receive(timeout, handle=4):
    return (RECV, handle, "buf", 16, timeout, "info")


WAITER = DATA + "buf: .zero 16\ninfo: .zero 20\n"


def test_a_task_waits_for_a_message_and_goes_on_with_it(bench, load):
    waiter = load((OPEN, "name"), receive(FOR_EVER), data=WAITER)
    assert bench.poll() == 1000
    assert bench.node.ps()[0]["state"] == "waiting"
    load((OPEN, "name"), (SEND, 4, "text", 8, 4, 9), name="sender")
    bench.poll(2)
    assert bench.task(waiter).state == t.STOPPED
    assert results(bench, waiter, 2, kept=5)[1] == (OK, 8, 4, 9, 2)
    after = behind(bench, waiter, 2, 60)[24:]
    assert after[:16] == b"message1".ljust(16, b"\0")
    assert after[16:] == b"".join(n.to_bytes(4, "little") for n in (0, 8, 4, 9, 2))


def test_a_timeout_ends_the_waiting_at_its_time(bench, load):
    waiter = load((OPEN, "name"), receive(50), data=WAITER)
    assert bench.poll() == 50
    bench.clock.forward(49)
    assert bench.poll() == 1
    assert bench.task(waiter).state == t.WAITING
    bench.clock.forward(1)
    bench.poll()
    assert results(bench, waiter, 2, kept=5)[1] == (TIMEOUT, 0, 0, 0, 0)
    assert behind(bench, waiter, 2, 60)[40:] == bytes([TIMEOUT]) + bytes(19)
    assert bench.node.mailboxes.waiting == []


def test_one_message_wakes_one_waiter_who_came_first(bench, load):
    waiters = [load((OPEN, "name"), receive(99), data=WAITER, name=f"w{n}") for n in range(3)]
    bench.poll()
    load((OPEN, "name"), SENT, ("sleep", 5), SENT, name="sender")
    bench.poll(2)
    assert [bench.task(pid).state for pid in waiters] == [t.STOPPED, t.WAITING, t.WAITING]
    bench.clock.forward(5)
    bench.poll(2)
    assert [bench.task(pid).state for pid in waiters] == [t.STOPPED, t.STOPPED, t.WAITING]


def test_a_fan_out_wakes_all(bench, load):
    calls = ((BIND, "name", 0, FANOUT), (OPEN, "name"), receive(99))
    waiters = [load(*calls, data=WAITER, name=f"w{n}") for n in range(3)]
    bench.poll()
    load((OPEN, "name"), SENT, name="sender")
    bench.poll(2)
    assert [bench.task(pid).state for pid in waiters] == [t.STOPPED] * 3


def test_a_tap_can_be_waited_for(bench, load):
    waiter = load((OPEN, "name"), (TAP, 4, 1), receive(99), data=WAITER)
    bench.poll()
    load((OPEN, "name"), SENT, name="sender")
    bench.poll(2)
    assert results(bench, waiter, 3)[2] == (OK, 8)
    assert rows(bench, "depth") == [(1,)]


def test_an_empty_message_wakes_nobody(bench, load):
    waiter = load((OPEN, "name"), receive(99), data=WAITER)
    load((OPEN, "name"), (SEND, 4, "text", 0, 0, 0), name="sender")
    bench.poll(2)
    assert bench.task(waiter).state == t.WAITING


def test_a_waiter_that_is_killed_takes_no_message_away(bench, load):
    first, second = (
        load((OPEN, "name"), receive(99), data=WAITER, name=f"w{n}") for n in range(2)
    )
    bench.poll()
    bench.node.kill(first)
    load((OPEN, "name"), SENT, name="sender")
    bench.poll(2)
    assert results(bench, second, 2)[1] == (OK, 8)


def test_who_waits_at_a_mailbox_that_goes_is_told(bench, load):
    data = WAITER.replace("app:box", "svc:box@1")
    owner = load((BIND, "name", 0, 0), data='name: .asciz "box"', name="owner", end="stay")
    waiter = load((OPEN, "name"), receive(FOR_EVER), data=data)
    bench.poll(2)
    assert bench.task(waiter).state == t.WAITING
    bench.node.kill(owner)
    bench.poll()
    assert results(bench, waiter, 2)[1][0] == INVALID_HANDLE
    assert bench.node.mailboxes.rows() == []


# ---- coming and going -------------------------------------------------------------------------


def test_a_mailbox_goes_with_the_last_handle_unless_there_are_messages_in_it(bench, ran):
    ran((OPEN, "name"), (OPEN, "name"), (CLOSE, 4), (CLOSE, 5))
    assert bench.node.mailboxes.rows() == []
    assert ran((OPEN, "name"), SENT, (CLOSE, 4), (OPEN, "name"), read(5))[-1] == (OK, 8)
    assert ran((OPEN, "name"), SENT, (CLOSE, 4), (CLOSE, 4))[-1][0] == INVALID_HANDLE
    assert rows(bench, "depth", "handles") == [(1, 1)]


@pytest.mark.requirement("P-38")
def test_all_goes_with_the_task(bench, load):
    for n in range(30):
        pid = load((BIND, "name", 0, 0), *[(OPEN, "name")] * 3, SENT, (SEND, 2, "text", 3, 0, 0))
        bench.poll()
        bench.node.kill(pid)
        assert bench.state() == bench.idle, n


# ---- declared by an image ---------------------------------------------------------------------


def declaring(*boxes, **more):
    return an_image(sections=(mailbox_section(boxes),), **more)


@pytest.mark.requirement("P-33", "P-34")
def test_what_an_image_declares_is_there_before_it_starts(bench):
    boxes = ({"target": "app:t", "capacity": 96, "mode_mask": 27}, {"target": "own"})
    pid = bench.load(declaring(*boxes), start=False)
    fields = ("namespace", "name", "owner", "capacity", "mode", "handles")
    assert rows(bench, *fields) == [("app", "t", -1, 96, 27, 0), ("svc", "own", pid, 64, 3, 0)]
    assert bench.node.ps()[0]["mailboxes"] == 2
    bench.node.kill(pid)
    assert bench.state() == bench.idle


def test_an_owner_that_is_named_is_the_owner(bench):
    bench.load(declaring({"target": "own", "owner_pid": 7}))
    assert rows(bench, "name", "owner") == [("own", 7)]
    bench.node.kill(1)
    assert bench.state() == bench.idle


@pytest.mark.requirement("P-38")
@pytest.mark.parametrize(
    ("boxes", "errno"),
    [
        ([{"target": f"app:{n}"} for n in range(17)], 28),
        ([{"target": "app:a"}, {"target": "app:b", "capacity": 1 << 40}], 28),
        ([{"target": "app:a"}, {"target": "pid:x"}], 74),
        ([{"target": "svc:a"}, {"target": "svc:a@2"}], 74),
        (
            [
                {"target": "app:kept", "capacity": 100, "mode": 8},
                {"target": "x", "capacity": 4000},
            ],
            28,
        ),
    ],
)
def test_a_load_whose_mailboxes_do_not_fit_leaves_all_as_it_was(bench, boxes, errno):
    bench.load(declaring({"target": "app:kept"}))
    before = bench.state()
    with pytest.raises(OSError) as refused:
        bench.load(declaring(*boxes))
    assert refused.value.errno == errno
    assert bench.state() == before


# ---- value SUB --------------------------------------------------------------------------------

SUBSCRIBED = DATA + "buf: .zero 16\ninfo: .zero 20\n"


def test_each_change_of_a_value_is_sent_with_the_old_and_the_new_bits(bench, tmp_path):
    calls = [
        (7, 0, 7, 1, 0, 0),
        (7, SUB, 0x701, "name"),
        (7, 3, 0x701, 0x3C00),
        (7, 3, 0x701, 0x3C00),  # no change
        (5, RECV, 4, "buf", 16, 0, 0),
        (5, RECV, 4, "buf", 16, FOR_EVER, 0),
    ]
    pid = bench.load(calling(tmp_path, *calls, data=SUBSCRIBED, end="stay"))
    bench.poll()
    found = results(bench, pid, 5)
    assert (found[1], found[4]) == ((OK, 4), (OK, 6))
    assert behind(bench, pid, 6, 30)[24:] == bytes.fromhex("01070000003c")
    bench.node.set_value(pid, 0x701, 0x4000)
    assert bench.task(pid).state == t.READY
    assert behind(bench, pid, 6, 30)[24:] == bytes.fromhex("0107003c0040")


def test_a_change_that_can_not_be_sent_ends_the_subscription(bench, tmp_path):
    calls = [
        (7, 0, 7, 1, 0, 0),
        (7, SUB, 0x701, "name"),
        *((7, 3, 0x701, n) for n in range(1, 6)),
        (5, PEEK, 4),
    ]
    pid = bench.load(calling(tmp_path, *calls, data=DATA))
    bench.poll()
    assert [r0 for r0, _ in results(bench, pid, 8)] == [OK] * 7 + [INVALID_HANDLE]
    assert rows(bench, "depth") == [(4,)]


def test_a_closed_handle_ends_the_subscription(bench, tmp_path):
    calls = [
        (7, 0, 7, 1, 0, 0),
        (5, OPEN, "name"),
        (7, SUB, 0x701, "name"),
        (5, CLOSE, 5),
        (7, 3, 0x701, 9),
        (5, PEEK, 4),
    ]
    pid = bench.load(calling(tmp_path, *calls, data=DATA))
    bench.poll()
    assert results(bench, pid, 6)[5] == (OK, 0)


def test_a_subscription_to_nothing_is_refused(bench, tmp_path):
    calls = [(7, SUB, 0x701, "name"), (7, 0, 7, 1, 0, 0), (7, SUB, 0x701, "empty")]
    calls += [(5, OPEN, "name")] * 5 + [(7, SUB, 0x701, "name")]
    pid = bench.load(calling(tmp_path, *calls, data=DATA + "empty: .byte 0"))
    bench.poll()
    found = [r0 for r0, _ in results(bench, pid, 9)]
    assert (found[0], found[2], found[8]) == (1, 4, 3)
