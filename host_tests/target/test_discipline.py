# SPDX-License-Identifier: MIT
"""What the node must not do with its heap: allocate while it idles or takes a chunk, or lose any.

Where nothing may be allocated, the heap is locked: whatever allocates raises MemoryError, which
comes out of the node's lock as ENOSPC.
"""

from pathlib import Path

import pytest

from bench.images import SLEEP, SPIN, an_image, ldi, ldi32, svc
from hsx.errors import ENOSPC
from hsx.image.build import value_section
from hsx.image.metadata import Value
from hsxctl import fat_image

pytestmark = pytest.mark.target

GOLDEN = Path(__file__).parents[1] / "golden"

LARGE = an_image(*[SPIN] * 2500, rodata=bytes(range(250)), name="large")
LONG_SLEEPER = an_image(*(*ldi32(0, 600_000), SLEEP, SPIN), name="sleeper")
WAKER = an_image(ldi(0, 1), SLEEP, SPIN, name="waker")  # again and again
SETTER = an_image(  # reads and sets its value, again and again
    *(*ldi32(1, 0x0701), svc(7, 2), ldi(2, 5), svc(7, 3), ldi(0, 1), SLEEP, SPIN),
    sections=(value_section([Value(7, 1, 0, 0, 0, None, None, 0, 0, 0, 0, None)]),),
    name="setter",
)
WAITER = an_image(  # for a message, with a deadline
    *(*ldi32(1, 0x4000), svc(5, 0), ldi(1, 4), *ldi32(4, 60_000), ldi(5, 0), svc(5, 3), SPIN),
    rodata=b"app:box\0",
    name="waiter",
)
PATIENT = an_image(  # for ever
    *(*ldi32(1, 0x4000), svc(5, 0), ldi(1, 4), *ldi32(4, 0xFFFF), ldi(5, 0), svc(5, 3), SPIN),
    rodata=b"app:box\0",
    name="patient",
)
OWNER = an_image(*(*ldi32(0, 600_000), SLEEP, SPIN), name="owner", multiple=False)
IMAGES = {
    "large": LARGE,
    "sleeper": LONG_SLEEPER,
    "waker": WAKER,
    "setter": SETTER,
    "waiter": WAITER,
    "patient": PATIENT,
    "owner": OWNER,
    "rich": (GOLDEN / "programs/metadata_app.hxe").read_bytes(),
    "broken": LARGE[:-1] + b"?",
    "short": LARGE[: len(LARGE) // 2],
    "stub": LARGE[:50],
    "huge": an_image(*[SPIN] * (48 << 8), name="huge"),
}

LOCKED = """
import gc, hsx, time
from micropython import heap_lock, heap_unlock
from hsx import ticks
from hsx.boot import lock
runtime = hsx.runtime()
node = runtime.node

def polls(call, times):
    now = ticks.wrap(time.ticks_ms())
    heap_lock()
    try:
        for _ in range(times):
            call(now)
            now = ticks.add(now, 1)
    finally:
        heap_unlock()

def many(call, times):
    "polls with the heap locked, in the context in which a node polls"
    lock.run(polls, call, times)

def chunks(path, size, start, allowed):
    "the chunks of a file from the start-th on, while what comes before may allocate"
    buf = memoryview(bytearray(size))
    count = 0
    with open(path, "rb") as file:
        loading = node.load_begin("test")
        try:
            while count < start:
                file.readinto(buf)
                loading.write(buf)
                count += 1
            heap_lock()
            try:
                while count < allowed:
                    file.readinto(buf)
                    loading.write(buf)
                    count += 1
            finally:
                heap_unlock()
        finally:
            loading.abort()
    return count
"""

CYCLES = """
import gc, hsx, time
from hsx import native
from hsx.boot import lock
node = hsx.runtime().node

def kept(name):
    hsx.kill(hsx.load("/sd/%s.hxe" % name))
    return 0

def refused(name):
    try:
        hsx.load("/sd/%s.hxe" % name)
    except OSError as error:
        return error.errno

def given_up(name):
    with open("/sd/%s.hxe" % name, "rb") as file:
        buf = memoryview(bytearray(512))
        loading = node.load_begin("test")
        for _ in range(9):
            file.readinto(buf)
            loading.write(buf)
        loading.abort()
    return 0

def held():
    return node.vm.free(), node.vm.pids(), [task.instance for task in node.tasks.order]

def cycles(plan, times):
    before = lock.run(held)
    for _ in range(times):
        for how, name, expected in plan:
            got = how(name) if how is not given_up else lock.run(how, name)
            if got != expected:
                print(name, got)
            if lock.run(held) != before:
                print(name, lock.run(held))

def alike():
    for _ in range(64):
        hsx.runtime().events.emit("test", 0, {})

def heap():
    "bytes in use when nothing is remembered that differs: the log of events holds what happened"
    "last, and the scheduler its last jobs with all that they hold, until polls take their places"
    lock.run(alike)
    time.sleep_ms(300)
    gc.collect()
    print(gc.mem_alloc())

PLAN = (
    (kept, "large", 0),
    (refused, "broken", 74),
    (kept, "rich", 0),
    (refused, "short", 74),
    (given_up, "large", 0),
    (refused, "owner", 17),
    (refused, "huge", 28),
    (refused, "stub", 74),
    (kept, "sleeper", 0),
    (refused, "nothing", 2),
)
"""


def manifest(*names: str) -> bytes:
    return b"schema = 1\n" + b"".join(b'[[image]]\nfile = "%s.hxe"\n' % n.encode() for n in names)


@pytest.fixture
def started(power_up, connect, tmp_path):
    """Boots a node that starts these apps; its REPL."""

    def start(*names):
        card = tmp_path / "card.img"
        files = [(f"{name}.hxe", image) for name, image in IMAGES.items()]
        files.append(("hsx.toml", manifest(*names)))
        fat_image.write(card, fat_image.SMALLEST, files)
        return connect(power_up(sd=card))

    return start


def test_a_locked_heap_is_what_these_tests_take_it_for(started):
    repl = started()
    repl.run(LOCKED)
    repl.run("many(lambda now: None, 1)")
    code = "try:\n many(lambda now: [now], 1)\nexcept OSError as error: print(error.errno)"
    assert repl.run(code) == str(ENOSPC)


@pytest.mark.requirement("P-23")
@pytest.mark.parametrize("size", [1, 7, 64, 512])
def test_a_chunk_in_the_body_of_an_image_allocates_nothing(started, size):
    repl = started()
    repl.run(LOCKED)
    start, end = 96 // size + 1, len(LARGE) // size - 1
    assert repl.run(f"print(lock.run(chunks, '/sd/large.hxe', {size}, {start}, {end}))") == str(
        end
    )


@pytest.mark.parametrize("call", ["node.poll", "runtime.poll"])
def test_polls_of_an_empty_node_allocate_nothing(started, call):
    repl = started()
    repl.run(LOCKED)
    repl.run(f"many({call}, 1000)")


@pytest.mark.parametrize("call", ["node.poll", "runtime.poll"])
def test_polls_while_all_tasks_sleep_allocate_nothing(started, call):
    repl = started("sleeper", "sleeper", "sleeper")
    repl.run(LOCKED)
    assert repl.run("print([task.state for task in node.tasks.order])") == "[3, 3, 3]"
    repl.run(f"many({call}, 1000)")


@pytest.mark.parametrize("call", ["node.poll", "runtime.poll"])
def test_polls_while_tasks_wait_for_messages_allocate_nothing(started, call):
    repl = started("waiter", "patient", "sleeper")
    repl.run(LOCKED)
    assert repl.run("print([task.state for task in node.tasks.order])") == "[7, 7, 3]"
    repl.run(f"many({call}, 1000)")


def test_waking_a_task_and_letting_it_sleep_again_allocates_nothing(started):
    repl = started("waker", "sleeper")
    repl.run(LOCKED)
    before = int(repl.run("print(node.vm.get(1, 20))"))
    repl.run("many(runtime.poll, 1000)")
    assert int(repl.run("print(node.vm.get(1, 20))")) - before > 1000


def test_reading_and_setting_a_value_allocates_nothing(started):
    repl = started("setter")
    assert repl.run("import hsx; print(hsx.runtime().node.values.rows()[0]['bits'])") == "5"
    repl.run(LOCKED)
    before = int(repl.run("print(node.vm.get(1, 20))"))
    repl.run("many(runtime.poll, 1000)")
    assert int(repl.run("print(node.vm.get(1, 20))")) - before > 3000


def test_an_idle_second_of_the_timer_takes_no_heap(started):
    repl = started("sleeper")
    repl.run(LOCKED)
    grown = repl.run(
        "gc.collect(); gc.disable(); a = b = 0; a = gc.mem_alloc(); time.sleep_ms(1000)\n"
        "b = gc.mem_alloc(); gc.enable(); print(b - a)"
    )
    assert int(grown) == 0


def heap(repl):
    """Bytes in use; the least of twelve, because the collector takes what an old call or a poll
    left on the stack for a pointer: two or three blocks more, for some readings in a row."""
    return min(int(repl.run("heap()")) for _ in range(12))


@pytest.mark.sharded
def test_a_thousand_loads_with_all_that_can_go_wrong_leave_heap_and_arenas_as_they_were(started):
    repl = started("owner")
    repl.run(CYCLES)
    assert repl.run("cycles(PLAN, 2)") == ""  # what is loaded lazily is there by then
    before = heap(repl)
    for _ in range(10):
        assert repl.run("cycles(PLAN, 10)") == ""
    assert heap(repl) <= before + 128  # one block lost in each load were 16,000
