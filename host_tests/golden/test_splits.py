# SPDX-License-Identifier: MIT
"""Any split of any golden image, good or bad, gives the same task or the same refusal, and a load
that is given up anywhere leaves nothing."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import hsxvm
from bench.node import NodeBench
from hsx.errors import HsxError

GOLDEN = Path(os.environ.get("HSX_GOLDEN", Path(__file__).parent)).resolve()
IMAGES = {
    path.relative_to(GOLDEN).as_posix(): path.read_bytes()
    for path in sorted(GOLDEN.glob("**/*.hxe"))
}
DATA_BASE = 0x4000  # guest address of rodata
POOL = 128 * 1024  # bytes; none is refused for want of memory
STEPS = 30

each_image = pytest.mark.parametrize("name", IMAGES)


def feed(bench: NodeBench, image: bytes, cuts: tuple):
    """A load that has taken all bytes, cut at these places."""
    loading = bench.node.load_begin("test")
    view = memoryview(image)
    start = 0
    for cut in cuts:
        loading.write(view[start:cut])
        start = cut
    loading.write(view[start:])
    return loading


def records(objects: list) -> list:
    return [vars(each) for each in objects]


def task_of(bench: NodeBench, pid: int) -> tuple:
    """All that can be seen of a loaded task, and what its first instructions do."""
    task, vm = bench.task(pid), bench.vm
    found = task.metadata
    memory = bytearray(task.header.ro_len)
    vm.read(pid, DATA_BASE, memory)
    start = [vm.get(pid, number) for number in range(hsxvm.LAST_WORD + 1)]
    stop = vm.clock(pid, STEPS)
    after = [vm.get(pid, number) for number in range(hsxvm.LAST_WORD + 1)]
    return (
        task.instance,
        vars(task.header),
        [found.sections, records(found.values), records(found.commands)],
        records(found.mailboxes),
        bytes(memory),
        [start, stop, after],
    )


def outcome(bench: NodeBench, image: bytes, cuts: tuple) -> tuple:
    """The task, or the refusal and where it points; either way nothing is left."""
    try:
        pid = feed(bench, image, cuts).end()
        seen = task_of(bench, pid)
        bench.node.kill(pid)
    except HsxError as refused:
        seen = refused.errno, refused.where, refused.rule, refused.offset
    assert bench.state() == bench.idle
    return seen


@pytest.mark.requirement("P-6")
@pytest.mark.sharded
@each_image
def test_every_single_cut_gives_the_same_task_or_refusal(name):
    image = IMAGES[name]
    bench = NodeBench(pool=POOL)
    whole = outcome(bench, image, ())
    for cut in range(len(image) + 1):
        assert outcome(bench, image, (cut,)) == whole, cut


@each_image
def test_byte_by_byte_gives_the_same_task_or_refusal(name):
    image = IMAGES[name]
    bench = NodeBench(pool=POOL)
    assert outcome(bench, image, tuple(range(len(image)))) == outcome(bench, image, ())


@pytest.mark.requirement("P-91")
@pytest.mark.sharded
@each_image
def test_abort_at_every_byte_frees_everything(name):
    image = IMAGES[name]
    bench = NodeBench(pool=POOL)
    for cut in range(len(image) + 1):
        loading = bench.node.load_begin("test")
        try:
            loading.write(memoryview(image)[:cut])
        except HsxError:
            assert bench.state() == bench.idle  # given back before the error leaves
        loading.abort()
        assert bench.state() == bench.idle, cut


@pytest.mark.skipif(not IMAGES, reason="this folder has no image")
@pytest.mark.parametrize("flat", [False, True], ids=["segmented", "flat"])
@given(data=st.data())
def test_any_cuts_give_the_same_task_or_refusal(flat, data):
    name = data.draw(st.sampled_from(sorted(IMAGES)))
    image = IMAGES[name]
    at = st.integers(0, len(image))
    cuts = tuple(sorted(data.draw(st.lists(at, min_size=2, max_size=40))))
    bench = NodeBench(pool=POOL, flat=flat)
    assert outcome(bench, image, cuts) == outcome(bench, image, ()), name
