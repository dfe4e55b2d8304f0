# SPDX-License-Identifier: MIT
import hashlib

import pytest

from bench.images import RET, SPIN, an_image, ldi
from bench.node import NodeBench
from hsx import native
from hsx.errors import EBADMSG, EBUSY, EEXIST, EINVAL, ENOSPC, HsxError
from hsx.image.build import info_section, value_section
from hsx.image.metadata import Info, Value

VALUE = Value(3, 1, 0, 0, 0, "speed", "rpm", 0, 0, 0, 0, "drive")


def with_a_value() -> bytes:
    return an_image(ldi(0, 5), RET, rodata=b"data", sections=(value_section([VALUE]),))


def begin(bench: NodeBench, **options):
    return bench.node.load_begin("test", **options)


def refusal(loading, data: bytes) -> HsxError:
    with pytest.raises(HsxError) as refused:
        loading.write(memoryview(data))
        loading.end()
    return refused.value


@pytest.mark.requirement("P-6")
@pytest.mark.parametrize("chunk", [1, 7, 64, 10000])
def test_any_chunk_size_gives_the_same_task(chunk):
    bench = NodeBench()
    pid = bench.load(with_a_value(), chunk=chunk)
    task = bench.task(pid)
    assert task.instance == "app"
    assert [row["name"] for row in bench.node.values.rows(pid)] == ["speed"]
    bench.poll()
    assert task.exit_code == 5


def test_every_single_cut_gives_the_same_task():
    image = with_a_value()
    for cut in range(len(image) + 1):
        bench = NodeBench()
        loading = begin(bench)
        loading.write(memoryview(image)[:cut])
        loading.write(memoryview(image)[cut:])
        bench.node.start(loading.end())
        bench.poll()
        assert bench.node.ps()[0]["exit_status"] == 5
        assert bench.node.ps()[0]["values"] == 1


@pytest.mark.requirement("P-9", "P-91")
def test_abort_at_every_byte_leaves_nothing():
    image = with_a_value()
    for cut in range(len(image) + 1):
        bench = NodeBench()
        loading = begin(bench)
        loading.write(memoryview(image)[:cut])
        loading.abort()
        assert bench.state() == bench.idle


def test_every_truncation_is_refused_and_leaves_nothing():
    image = with_a_value()
    for cut in range(len(image)):
        bench = NodeBench()
        assert refusal(begin(bench), image[:cut]).errno == EBADMSG
        assert bench.state() == bench.idle


def with_info(stack: int) -> bytes:
    return an_image(SPIN, sections=(info_section(Info("1", 0, 0, stack, 0)),))


@pytest.mark.parametrize(
    ("hint", "option", "given"), [(700, 0, 700), (700, 900, 900), (0, 0, 1536), (0, 900, 900)]
)
def test_a_stack_is_what_the_caller_says_or_else_the_image_or_the_profile(hint, option, given):
    bench = NodeBench()
    pid = bench.load(with_info(hint), stack=option)
    assert bench.vm.get(pid, native.STACK_LIMIT) == 0xFFFC - given


def test_a_stack_that_the_pool_does_not_have_is_refused_and_leaves_nothing():
    bench = NodeBench()
    assert refusal(begin(bench), with_info(0xB000)).errno == ENOSPC
    assert bench.state() == bench.idle


class Watcher:
    """An admission that notes what it is told, and refuses at one of the calls."""

    def __init__(self, refuses: str = "") -> None:
        self.told = []
        self.seen = b""
        self._refuses = refuses

    def _note(self, call: str, what: object) -> None:
        self.told.append((call, what))
        if call == self._refuses:
            raise HsxError(EEXIST, "verify", "not you")

    def begin(self, header, head) -> None:
        self.seen += bytes(head)
        self._note("begin", header.code_len)

    def update(self, offset, view, hole) -> None:
        assert offset == len(self.seen)
        self.seen += bytes(view)

    def memory(self, header, stack, heap) -> None:
        self._note("memory", (stack, heap))

    def end(self, metadata) -> None:
        self._note("end", [section[0] for section in metadata.sections])


@pytest.mark.parametrize("chunk", [1, 7, 96, 100, 1000])
def test_who_admits_sees_every_byte_and_is_asked_before_each_thing_is_taken(chunk):
    bench = NodeBench()
    watcher = Watcher()
    loading = begin(bench, admission=watcher)
    image = with_info(700)
    for at in range(0, len(image), chunk):
        loading.write(memoryview(image)[at : at + chunk])
        assert bool(watcher.told) == (at + chunk >= 96)
    assert watcher.seen == image
    loading.end()
    assert watcher.told == [("begin", 4), ("memory", (700, 0)), ("end", [0x10])]


@pytest.mark.parametrize("call", ["begin", "memory", "end"])
def test_what_is_not_admitted_leaves_nothing(call):
    bench = NodeBench()
    loading = begin(bench, admission=Watcher(call))
    free = bench.vm.free()
    if call == "begin":
        with pytest.raises(HsxError):
            loading.write(memoryview(with_a_value())[:96])
        assert bench.vm.free() == free  # the core took nothing for it
    else:
        assert refusal(loading, with_a_value()).detail == "not you"
    assert bench.state() == bench.idle


def test_the_wanted_pid_is_given_or_refused():
    bench = NodeBench()
    loading = begin(bench, pid=3)
    assert loading.pid == 3
    with pytest.raises(HsxError) as refused:
        begin(bench, pid=3)
    assert refused.value.errno == EBUSY
    assert begin(bench).pid == 1
    with pytest.raises(HsxError) as refused:
        begin(bench, pid=9)
    assert refused.value.errno == EINVAL


@pytest.mark.requirement("P-13", "P-46d")
def test_a_refused_load_answers_busy_until_it_is_dropped():
    loading = begin(NodeBench())
    refusal(loading, b"no image".ljust(200, b"."))
    with pytest.raises(HsxError) as refused:
        loading.write(memoryview(b"more"))
    assert refused.value.errno == EBUSY
    with pytest.raises(HsxError) as refused:
        loading.end()
    assert refused.value.errno == EBUSY
    loading.abort()


@pytest.mark.requirement("P-35", "P-46e")
def test_a_taken_name_is_refused_before_memory_is_taken():
    bench = NodeBench()
    bench.load(an_image(SPIN, name="one", multiple=False))
    free = bench.vm.free()
    loading = begin(bench)
    with pytest.raises(HsxError) as refused:
        loading.write(memoryview(an_image(SPIN, name="one", multiple=False))[:96])
    assert refused.value.errno == EEXIST
    assert bench.vm.free() == free


def test_a_load_that_is_under_way_holds_its_name():
    bench = NodeBench()
    first = begin(bench)
    first.write(memoryview(an_image(name="one", multiple=False)))
    assert refusal(begin(bench), an_image(name="one", multiple=False)).errno == EEXIST
    first.end()


def test_a_digest_that_fits_is_accepted_and_one_that_does_not_is_refused():
    image = with_a_value()
    bench = NodeBench()
    bench.load(image, sha256=hashlib.sha256(image).digest())
    before = bench.state()
    wrong = refusal(begin(bench, sha256=bytes(32)), image)
    assert (wrong.errno, wrong.where) == (EBADMSG, "end")
    assert bench.state() == before


def test_a_pool_that_is_too_small_is_refused_and_given_back():
    bench = NodeBench(pool=4096)
    assert refusal(begin(bench), an_image(RET, rodata=bytes(5000))).errno == ENOSPC
    assert bench.state() == bench.idle


def test_a_pool_without_room_for_the_stack_is_refused_at_the_end():
    bench = NodeBench(pool=4096)
    assert refusal(begin(bench, stack=8192), an_image()).errno == ENOSPC
    assert bench.state() == bench.idle


@pytest.mark.requirement("P-17")
def test_no_free_pid_is_refused_at_begin():
    bench = NodeBench(tasks=1)
    bench.load(an_image(SPIN))
    with pytest.raises(HsxError) as refused:
        begin(bench)
    assert (refused.value.errno, refused.value.where) == (ENOSPC, "begin")


@pytest.mark.requirement("P-44")
def test_two_loads_at_once_do_not_meet():
    bench = NodeBench()
    images = [an_image(ldi(0, n), RET, name=f"app{n}") for n in (1, 2)]
    loads = [begin(bench), begin(bench)]
    for at in range(0, len(images[0]), 5):
        for loading, image in zip(loads, images, strict=True):
            loading.write(memoryview(image)[at : at + 5])
    for loading in loads:
        bench.node.start(loading.end())
    bench.poll()
    assert [row["exit_status"] for row in bench.node.ps()] == [1, 2]


def test_a_source_that_fails_in_the_middle_leaves_nothing():
    bench = NodeBench()
    image = memoryview(an_image(*[RET] * 200))

    def readinto(buf, at=[0]):  # noqa: B006  the position is the point
        if at[0]:
            raise OSError(5, "read error")
        buf[:] = image[: len(buf)]
        at[0] += len(buf)
        return len(buf)

    with pytest.raises(OSError) as failed:
        bench.node.load("test", readinto, memoryview(bytearray(128)))
    assert failed.value.errno == 5
    assert bench.state() == bench.idle


@pytest.mark.requirement("P-29")
@pytest.mark.parametrize(("hint", "option", "given"), [(80, 0, 80), (80, 40, 40), (0, 40, 40)])
def test_a_heap_is_what_the_caller_says_or_else_the_image(hint, option, given):
    bench = NodeBench()
    image = an_image(SPIN, sections=(info_section(Info("1", 0, 0, 0, hint)),))
    pid = bench.load(image, heap=option)
    assert bench.vm.read(pid, 0x4000, bytearray(200)) == given
