# SPDX-License-Identifier: MIT
"""A stream over CAN into the Cortex-M4: python-can, SLCAN, and the node's own engine."""

import hashlib
import random

import pytest

from hsx.link.can_master import CanMaster
from hsxctl.connect import can as connect
from measure.can_fleet import HEADER

pytestmark = pytest.mark.target

SERVE = """
import board, hashlib, time
from hsx import ticks
from hsx.boot import lock
from hsx.link.can_node import CanNode
from hsx.transport.can_slcan import SlcanRunner

class Sink:
    needs_order = False
    digest = b""
    def begin(self, header, total, source):
        self.hash = hashlib.sha256()
        self.taken = 0
        return 0
    def write(self, offset, data):
        "blocks come in their order here: nothing is lost"
        if offset != self.taken:
            return -22
        self.hash.update(data)
        self.taken += len(data)
        return 0
    def holds(self, offset, size):
        return False
    def end(self):
        return 0
    def poll(self, now):
        self.digest = self.hash.digest()
        return 0
    def abort(self):
        pass

sink = Sink()
runner = SlcanRunner(board.slcan(), CanNode(sink, 5))
runner.open()

def serve():
    end = time.ticks_add(time.ticks_ms(), 30000)
    while not sink.digest and time.ticks_diff(end, time.ticks_ms()) > 0:
        lock.run(runner.poll, ticks.wrap(time.ticks_ms()))
    for _ in range(500):
        lock.run(runner.poll, ticks.wrap(time.ticks_ms()))
    print(sink.digest.hex())
"""


@pytest.mark.requirement("P-66")
def test_stream_from_python_can_arrives_in_the_firmware(node, repl):
    stream = random.Random(3).randbytes(24_000)
    digest = hashlib.sha256(stream).digest()
    repl.run(SERVE)
    repl.begin("serve()")
    options = {"sleep_after_open": 0}
    with connect.CanLink("slcan", node.uart3, 500_000, options) as link:
        master = CanMaster(stream, HEADER, [5], digest, 7, 0.0, connect.now())
        link.run(master, lambda: master.over)
    assert master.results == {5: 0}
    assert repl.end()[0].strip() == digest.hex()
