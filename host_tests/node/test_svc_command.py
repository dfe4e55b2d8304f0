# SPDX-License-Identifier: MIT
"""Commands: declared, registered and called, by programs and from outside (spec/svc_abi.md 9)."""

import json
import struct

import pytest

from bench.images import BRK, EXIT, RET, SPIN, an_image, ldi, ldi32, svc
from bench.node import NodeBench
from hsx import native
from hsx.errors import EBUSY, EIO, ENOENT, ENOSPC, EPERM, ESRCH, HsxError
from hsx.image.build import command_section
from hsx.image.metadata import Command
from hsx.node import commands as c
from hsx.node import tasks as t
from node.calls import behind, calling, results

REGISTER, LOOKUP, CALL, CALL_ASYNC, HELP = range(5)
OK, ENOENT_, EPERM_, ENOSPC_, EINVAL, EEXIST, ENOASYNC, EFAIL = range(8)
PIN, ASYNC = 1, 2
OID = 7 << 8 | 1
RECV, SEND = 3, 2
FOR_EVER = 0xFFFF


@pytest.fixture
def bench():
    return NodeBench()


@pytest.fixture
def load(bench, tmp_path):
    """load(calls..., handler lines, flags, auth) -> PID of a task with the command 7:1; a call of
    module 5 begins with "box", others are of module 8."""

    def loaded(*calls, handler="    LDI R0, 42\n    RET", flags=0, auth=0, data="", **more):
        modules = {"box": (5,), "sleep": ("sleep",)}
        made = [
            (*modules[call[0]], *call[1:]) if call[0] in modules else (8, *call) for call in calls
        ]
        fields = {"group": 7, "id": 1, "handler": "handler", "name": "go", "help": "goes"}
        fields |= {"flags": flags, "auth": auth, "group_name": "car"}
        data = f".cmd {json.dumps(fields)}\n{data}"
        code = f"handler:\n{handler}"
        return bench.load(calling(tmp_path, *made, code=code, data=data, **more))

    return loaded


def a_command(id=1, handler=0, **more) -> Command:
    fields = {"group": 7, "flags": 0, "auth": 0, "name": "go", "help": "goes", "group_name": "car"}
    return Command(id=id, handler=handler, **(fields | more))


def image(*commands, code=(SPIN,), **more):
    return an_image(*code, sections=(command_section(commands),), **more)


def refusal(call) -> int:
    with pytest.raises(HsxError) as refused:
        call()
    return refused.value.errno


def registers(bench, pid) -> list[int]:
    return [bench.vm.get(pid, which) for which in range(20)]


# ---- declared ---------------------------------------------------------------------------------


@pytest.mark.requirement("P-32", "P-34")
def test_what_an_image_declares_is_there_before_it_starts(bench):
    pid = bench.load(image(a_command(flags=PIN, auth=2)), start=False)
    texts = {"name": "go", "help": "goes", "group_name": "car"}
    numbers = {"pid": pid, "oid": OID, "group": 7, "id": 1, "flags": PIN, "auth": 2, "handler": 0}
    assert bench.node.commands.rows(pid) == [numbers | texts]
    assert bench.node.commands.rows(9) == []
    assert bench.node.ps()[0]["commands"] == 1
    assert ("cmd_registered", pid, {"count": 1}) in bench.events
    bench.node.kill(pid)
    assert bench.state() == bench.idle


@pytest.mark.requirement("P-32", "P-38", "P-92f")
def test_a_load_that_does_not_fit_leaves_nothing_and_the_next_one_fits(bench):
    bench.load(image(*(a_command(id) for id in range(20))))
    before = bench.state()
    with pytest.raises(HsxError) as refused:
        bench.load(image(*(a_command(id) for id in range(13))))
    assert refused.value.errno == ENOSPC
    assert bench.state() == before
    bench.load(image(*(a_command(id) for id in range(12))))
    assert len(bench.node.commands.rows()) == 32


def test_texts_are_bounded_and_come_free_with_their_task(bench):
    wordy = image(*(a_command(id, help="h" * 200 + str(id)) for id in range(8)))
    pid = bench.load(wordy)
    assert refusal(lambda: bench.load(wordy)) == ENOSPC
    bench.node.kill(pid)
    bench.load(wordy)


def test_two_instances_have_their_own_commands(bench):
    first = bench.load(image(a_command(handler=4), code=(SPIN, ldi(0, 1), RET)))
    second = bench.load(image(a_command(handler=4), code=(SPIN, ldi(0, 2), RET)))
    assert (bench.node.call(first, OID), bench.node.call(second, OID)) == (1, 2)


# ---- called by the app ------------------------------------------------------------------------


def test_a_call_gives_the_result_of_the_handler(bench, load):
    pid = load((CALL, OID, 0), (LOOKUP, 7, 1), (LOOKUP, 7, 2), (CALL, OID + 1, 0))
    bench.poll()
    found = results(bench, pid, 4)
    assert found == [(OK, 42), (OK, OID), (ENOENT_, 7), (ENOENT_, OID + 1)]


def test_the_app_has_its_registers_back(bench):
    handler = [ldi(n, 0x55) for n in range(15)] + [0x40000000, 0x11000000, RET]  # PUSH, SUB
    code = [*ldi32(1, OID), ldi(2, 0), *(ldi(n, n) for n in range(3, 15)), svc(8, CALL), BRK]
    pid = bench.load(image(a_command(handler=4 * len(code)), code=(*code, *handler)))
    bench.poll()
    regs = registers(bench, pid)
    assert regs[3:15] == list(range(3, 15))
    assert regs[0] == OK
    assert regs[native.PC] == 4 * len(code)
    assert (regs[native.SP], regs[native.DEPTH]) == (0xFFFC, 0)


def test_a_handler_may_call_functions_and_services(bench, load):
    handler = """
    CALL inner
    LDI R1, 7
    LDI R2, 2
    LDI R3, 0
    LDI R4, 0
    SVC MOD=0x7, FN=0x0
    LDI R0, 9
    RET
inner:
    PUSH R1
    POP R1
    RET"""
    pid = load((CALL, OID, 0), handler=handler)
    bench.poll()
    assert results(bench, pid, 1) == [(OK, 9)]
    assert [row["oid"] for row in bench.node.values.rows()] == [0x702]


@pytest.mark.parametrize(
    "handler",
    [
        "here:\n    JMP here",
        "    LDI R1, 0\n    DIV R0, R1, R1\n    RET",
        "    LDI R0, 1\n    SVC MOD=0x1, FN=0x0",
        "    LDI R0, 5\n    SVC MOD=0x6, FN=0x0\n    RET",
        "deeper:\n    PUSH R0\n    JMP deeper",
        "    LDI R1, 1\n    LDI R4, 99\n    LDI R5, 0\n    SVC MOD=0x5, FN=0x3\n    RET",
        "    BRK 1\n    RET",
        f"    LDI32 R1, {OID}\n    SVC MOD=0x8, FN=0x2\n    LDI R1, 0\n    DIV R0, R1, R1",
    ],
    ids=["overruns", "faults", "exits", "sleeps", "overflows", "waits", "breaks", "nests"],
)
def test_a_handler_that_does_not_return_is_given_up_and_the_app_goes_on(bench, load, handler):
    pid = load((CALL, OID, 0), (LOOKUP, 7, 1), handler=handler)
    bench.poll(3)
    assert bench.task(pid).state == t.STOPPED
    assert results(bench, pid, 2) == [(EFAIL, OID), (OK, OID)]
    assert bench.node.mailboxes is None or bench.node.mailboxes.waiting == []


def test_a_command_in_a_command_fails_and_the_outer_one_goes_on(bench, load):
    handler = f"    LDI32 R1, {OID}\n    LDI R2, 0\n    SVC MOD=0x8, FN=0x2\n    RET"
    pid = load((CALL, OID, 0), handler=handler)
    bench.poll()
    assert results(bench, pid, 1) == [(OK, EFAIL)]


def test_a_task_reaches_only_its_own_commands(bench, load):
    load(end="stay")
    other = load((CALL, OID + 1, 0), (LOOKUP, 7, 2), name="other")
    bench.node.commands.register(1, OID + 1, 0, None, "")
    bench.poll(9)
    assert [r0 for r0, _ in results(bench, other, 2)] == [ENOENT_, ENOENT_]


@pytest.mark.parametrize(("auth", "status"), [(0, OK), (1, EPERM_), (3, EPERM_)])
def test_a_level_above_public_is_not_for_apps_not_even_the_owner(bench, load, auth, status):
    pid = load((CALL, OID, 0), auth=auth)
    bench.poll()
    assert results(bench, pid, 1)[0][0] == status


def test_a_pin_needs_a_token_and_somebody_who_knows_it(bench, load):
    calls = ((CALL, OID, "right"), (CALL, OID, "wrong"), (CALL, OID, 0))
    data = 'right: .asciz "1234"\nwrong: .asciz "12345"'
    pid = load(*calls, flags=PIN, data=data)
    bench.poll()
    assert [r0 for r0, _ in results(bench, pid, 3)] == [EPERM_] * 3
    bench.node.commands.check_token = lambda pid, oid, token: (oid, token) == (OID, "1234")
    pid = load(*calls, flags=PIN, data=data)
    bench.poll()
    assert [r0 for r0, _ in results(bench, pid, 3)] == [OK, EPERM_, EPERM_]


@pytest.mark.parametrize("function", [5, 0x77, 0xFF])
def test_a_function_that_there_is_not_is_invalid(bench, load, function):
    pid = load((function, OID))
    bench.poll()
    assert results(bench, pid, 1) == [(EINVAL, OID)]


# ---- CALL_ASYNC -------------------------------------------------------------------------------


def read(handle):
    return ("box", RECV, handle, "buf", 16, 0, 0)


BOX = 'box: .asciz "app:done"\nempty: .byte 0\nbuf: .zero 16\n'


def test_the_end_of_an_asynchronous_call_is_a_message(bench, load):
    pid = load((CALL_ASYNC, OID, 0, "box"), read(4), flags=ASYNC, data=BOX)
    bench.poll()
    assert results(bench, pid, 2) == [(OK, 4), (OK, 8)]
    assert behind(bench, pid, 2, 18)[10:] == struct.pack("<HHI", OID, OK, 42)


def test_a_handler_that_fails_says_so_without_a_result(bench, load):
    handler = "here:\n    JMP here"
    pid = load((CALL_ASYNC, OID, 0, "box"), read(4), flags=ASYNC, data=BOX, handler=handler)
    bench.poll()
    assert results(bench, pid, 2) == [(OK, 4), (OK, 4)]
    assert behind(bench, pid, 2, 18)[10:] == struct.pack("<HHI", OID, EFAIL, 0)


def test_a_command_without_the_flag_is_not_asynchronous_whoever_asks(bench, load):
    calls = ((CALL_ASYNC, OID, 0, "box"), (CALL_ASYNC, OID + 1, 0, "box"))
    pid = load(*calls, flags=PIN, auth=3, data=BOX)
    bench.poll()
    assert results(bench, pid, 2) == [(ENOASYNC, OID), (ENOENT_, OID + 1)]


def test_an_asynchronous_call_that_is_not_allowed_opens_nothing(bench, load):
    pid = load((CALL_ASYNC, OID, 0, "box"), flags=ASYNC | PIN, data=BOX)
    bench.poll()
    assert results(bench, pid, 1) == [(EPERM_, OID)]
    assert bench.node.mailboxes is None


def test_an_asynchronous_call_without_a_mailbox_does_not_run(bench, load):
    calls = [(CALL_ASYNC, OID, 0, "empty")] + [(CALL_ASYNC, OID, 0, "box")] * 6
    handler = "    LDI R1, 1\n    SVC MOD=0x1, FN=0x1\n    RET"
    pid = load(*calls, flags=ASYNC, data=BOX, handler=handler)
    bench.poll()
    statuses = [r0 for r0, _ in results(bench, pid, 7)]
    # Four completions fill the mailbox; the fifth can't be sent, the sixth has a handle to use.
    assert statuses == [EINVAL] + [OK] * 4 + [EFAIL] * 2
    assert len(bench.text) == 6


# ---- HELP -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("room", "size", "memory"),
    [
        (9, 4, b"goes\0##"),
        (5, 4, b"goes\0##"),
        (4, 3, b"goe\0###"),
        (1, 0, b"\0######"),
        (0, 0, b"#" * 7),
    ],
)
def test_help_is_cut_and_ends_with_a_nul(bench, load, room, size, memory):
    pid = load((HELP, OID, "buf", room), (HELP, OID + 1, "buf", 9), data='buf: .ascii "#######"')
    bench.poll()
    assert [r0 for r0, _ in results(bench, pid, 2)] == [OK, ENOENT_]
    assert results(bench, pid, 1)[0][1] == size
    assert behind(bench, pid, 2, 7) == memory


# ---- REGISTER ---------------------------------------------------------------------------------

CHAIN = """
d: .byte 0x10, 0
    .half e, name, help
e: .byte 0x10, 0
    .half 0xFFFF, help, name
name: .asciz "stop"
help: .asciz "stops"
"""


def test_a_command_that_a_task_registers_has_no_handler(bench, load):
    calls = ((REGISTER, 7, 2, ASYNC, "d"), (REGISTER, 7, 2, 0, 0), (CALL, OID + 1, 0))
    pid = load(*calls, (REGISTER, 7, 3, 0, 0), data=CHAIN, end="stay")
    bench.poll()
    found = results(bench, pid, 4)
    assert found == [(OK, OID + 1), (EEXIST, 7), (OK, OID + 1), (OK, OID + 2)]
    assert bench.node.call(pid, OID + 1) is None
    row = bench.node.commands.rows()[1]
    assert (row["name"], row["help"], row["flags"], row["handler"]) == ("stop", "stops", ASYNC, -1)


@pytest.mark.parametrize(
    "data",
    [
        "d: .byte 0x10, 0\n .half d, 0, 0",
        "d: .byte 2, 0\n .half 0xFFFF, 0, 0",
        "d: .byte 0x10, 0\n .half 0, 0, 0",
        "d: .byte 0x10, 0\n .half 0xFFFF",
    ],
    ids=["loop", "of a value", "leads nowhere", "ends early"],
)
def test_a_broken_chain_is_invalid_and_registers_nothing(bench, load, data):
    pid = load((REGISTER, 7, 2, 0, "d"), (LOOKUP, 7, 2), data=data)
    bench.poll()
    assert [r0 for r0, _ in results(bench, pid, 2)] == [EINVAL, ENOENT_]


def test_a_registry_that_is_full_says_so(bench, load):
    pid = load(*((REGISTER, 7, id, 0, 0) for id in range(2, 34)))
    bench.poll()
    assert [r0 for r0, _ in results(bench, pid, 32)] == [OK] * 31 + [ENOSPC_]
    bench.node.kill(pid)
    assert bench.state() == bench.idle


# ---- called from outside ----------------------------------------------------------------------


def test_a_call_from_outside_gives_the_result_and_is_told(bench, load):
    pid = load(end="stay")
    bench.poll()
    assert bench.node.call(pid, OID) == 42
    told = {"oid": OID, "status": OK, "result": 42}
    assert bench.events[-1] == ("cmd_completed", pid, told)


@pytest.mark.parametrize("kind", ["runs", "sleeps", "waits"])
@pytest.mark.parametrize("how", ["returns", "faults", "sleeps", "waits"])
def test_a_call_leaves_a_task_in_any_state_as_it_was(bench, load, kind, how):
    calls = {
        "runs": (),
        "sleeps": (("sleep", 50),),
        "waits": (("box", RECV, 1, 0x5000, 9, 50, 0),),
    }
    handlers = {
        "returns": "    LDI R0, 42\n    LDI R5, 7\n    RET",
        "faults": "    PUSH R0\n    LDI R1, 0\n    DIV R0, R1, R1",
        "sleeps": "    LDI R0, 9\n    SVC MOD=0x6, FN=0x0",
        "waits": "    LDI R1, 2\n    LDI R4, 9\n    LDI R5, 0\n    SVC MOD=0x5, FN=0x3",
    }
    pid = load(*calls[kind], handler=handlers[how], end="stay")
    bench.poll()
    task = bench.task(pid)
    boxes = bench.node.mailboxes
    waiting = boxes.waiting[:] if boxes else []
    before = registers(bench, pid), task.state, task.wake, waiting
    if how == "returns":
        assert bench.node.call(pid, OID) == 42
    else:
        assert refusal(lambda: bench.node.call(pid, OID)) == EIO
    boxes = bench.node.mailboxes
    waiting = boxes.waiting[:] if boxes else []
    assert (registers(bench, pid), task.state, task.wake, waiting) == before
    assert bench.vm.state(pid) == native.READY


def test_a_message_that_a_command_sends_to_its_waiting_task_wakes_it(bench, load):
    handler = f"""
    LDI R1, 1
    LDI32 R2, {0x4000}
    LDI R3, 4
    LDI R4, 0
    LDI R5, 0
    SVC MOD=0x5, FN=0x2
    RET"""
    pid = load(("box", RECV, 1, 0x5000, 9, FOR_EVER, 0), handler=handler, end="stay")
    bench.poll()
    assert bench.task(pid).state == t.WAITING
    bench.node.call(pid, OID)
    assert bench.task(pid).state == t.READY
    bench.poll()
    assert results(bench, pid, 1) == [(OK, 4)]


def test_calls_from_outside_that_are_refused(bench):
    commands = (a_command(), a_command(2, auth=2), a_command(3, flags=PIN))
    pid = bench.load(image(*commands, code=(RET, EXIT)), start=False)
    call = bench.node.call
    assert refusal(lambda: call(9, OID)) == ESRCH
    assert refusal(lambda: call(pid, OID)) == EBUSY  # not started
    bench.node.start(pid)
    for oid in (OID + 7, -1, OID + (1 << 16)):
        assert refusal(lambda oid=oid: call(pid, oid)) == ENOENT
    assert refusal(lambda: call(pid, OID + 1, auth=1)) == EPERM
    assert call(pid, OID + 1, auth=2) == 0
    assert refusal(lambda: call(pid, OID + 2)) == EPERM
    bench.node.commands.check_token = lambda pid, oid, token: token == "1234"
    assert refusal(lambda: call(pid, OID + 2, "123")) == EPERM
    assert call(pid, OID + 2, "1234") == 0
    bench.poll()
    assert refusal(lambda: call(pid, OID)) == EBUSY  # has ended
    assert refusal(lambda: NodeBench().node.call(1, OID)) == ESRCH


def test_steps_of_a_handler_are_the_task_s(bench, load):
    pid = load(handler="here:\n    JMP here", end="stay")
    bench.poll()
    before = bench.vm.get(pid, native.STEPS)
    assert refusal(lambda: bench.node.call(pid, OID)) == EIO
    assert bench.vm.get(pid, native.STEPS) - before == 10_000


def test_statuses_are_those_of_the_specification():
    names = ("OK", "ENOENT", "EPERM", "ENOSPC", "EINVAL", "EEXIST", "ENOASYNC", "EFAIL")
    assert [getattr(c, name) for name in names] == list(range(8))
