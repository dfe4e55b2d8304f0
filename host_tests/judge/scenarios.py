# SPDX-License-Identifier: MIT
"""Runs on any node, behind `on_node`: programs of the golden files that run together.

Apart from it, because a node has little room for what it is sent.
"""

import binascii
import gc
import json

from hsx import native, ticks
from hsx.node import tasks as t

_ENOUGH = 4096  # bytes: more than any golden image has


def goes_on(task):
    """Whether a task will run again by itself."""
    waits = task.state == t.WAITING and task.wake != t.NEVER
    return waits or task.state in (t.READY, t.SLEEPING)


def scenario(judge, paths):
    """Programs loaded in this order and run until none can go on: what each has come to."""
    node = judge.node
    pids = [judge.load(path, _ENOUGH, 0) for path in paths]
    for pid in pids:
        node.start(pid)
    tasks = [node.tasks.find(pid) for pid in pids]
    while any(goes_on(task) for task in tasks):
        judge.now = ticks.add(judge.now, node.poll(judge.now))
    results = []
    for task in tasks:
        data = bytearray(judge.vm.get(task.pid, native.RO_LEN))
        judge.vm.read(task.pid, 0x4000, data)
        results.append(
            {
                "program": task.app,
                "state": t.STATES[task.state],
                "r0": judge.vm.get(task.pid, 0),
                "data": str(binascii.hexlify(data), "ascii"),
            }
        )
        node.kill(task.pid)
    return results


def scenarios(judge, folder, plans):
    """Runs each scenario, {name: programs in the order of loading}; a line per scenario, and one
    for what is left."""
    idle = judge.left_over()
    for name in plans:
        gc.collect()
        result = scenario(judge, ["%s/%s.hxe" % (folder, program) for program in plans[name]])
        print(json.dumps([name, 0, result]))
    print(json.dumps(["left", 0, judge.left_over() == idle]))
