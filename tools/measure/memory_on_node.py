# SPDX-License-Identifier: MIT
"""Runs ON a node: what takes how much of its memory, a line `name bytes` for each thing."""

import gc
import sys

from hsxflash import settle


def live():
    """Bytes of the heap that something holds, tables as small as they can be."""
    settle()
    gc.collect()
    gc.collect()
    return gc.mem_alloc()


def modules(names):
    """Imports modules, each of which needs only those before it, and says what each one takes."""
    before = live()
    for name in names:
        __import__(name)
        now = live()
        print(name, now - before)
        before = now


def loaded():
    """The modules of the package that are there."""
    for name in sys.modules:
        if name.split(".")[0] == "hsx":
            print(name)


def node():
    """What the node has beside its modules, tasks not yet there: built as at boot."""
    import board

    from hsx.boot import wiring

    before = live()
    runtime = wiring.build(board)
    print("built", live() - before - runtime.node.vm.free())


def tasks(paths):
    """What each app takes: of the pool, and of the heap for the objects that go with it. Before,
    all have been loaded and are gone again, so that what they share is no part of it."""
    import hsx
    from hsx import native

    for _ in range(2):
        for pid in [hsx.load(path) for path in paths]:
            hsx.kill(pid)
    node = hsx.runtime().node
    for path in paths:
        before = live()
        pid = hsx.load(path)
        task = node.tasks.find(pid)
        name = "task." + task.app
        vm = node.vm
        arena = vm.get(pid, native.ARENA)
        code = vm.get(pid, native.CODE_LEN)
        stack = 0xFFFC - vm.get(pid, native.STACK_LIMIT)
        print(name + ".objects", live() - before)
        print(name + ".arena", arena)
        print(name + ".code", code)
        print(name + ".stack", stack)
        print(name + ".data", arena - code - stack)
        print(name + ".values", node.values.count(pid))
        print(name + ".commands", 0 if node.commands is None else node.commands.count(pid))


def whole():
    """What is left with the tasks that run."""
    import hsx

    runtime = hsx.runtime()
    node = runtime.node
    used = live()
    print("heap.used", used)
    print("heap.free", gc.mem_free())
    print("heap.largest_block", largest())
    for source, name in enumerate(
        ("memory", "pids", "values", "commands", "mailboxes", "saved_values")
    ):
        print("occupancy." + name, runtime.occupancy.percent(source))
    print("pool.free", node.vm.free())
    print("staging.buffer", len(runtime._chunk))
    store = runtime.provisioning.store
    for name, _, size in store.layout.partitions():
        if name == "values":
            print("fram.values", size)
            print("fram.values_used", len(store.values.keys()) * size // store.layout.values)


def largest():
    """Bytes of the largest object that there is room for."""
    low, high = 0, gc.mem_free()
    while high - low > 16:
        size = (low + high) // 2
        try:
            bytearray(size)
            low = size
        except MemoryError:
            high = size
    return low
