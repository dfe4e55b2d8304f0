# SPDX-License-Identifier: MIT
"""Runs on any node: asks it for what it must refuse, and looks whether anything has changed."""

import json

from hsx import ticks
from hsx.service.signed_commands import SignedCommands
from hsx.service.transfer import Transfer

_DEFAULTS = {"signatures": 0, "commands": 2, "network": 42, "number": 5}


class Refusals:
    """`run(call, *args)` makes a call under the node's lock."""

    def __init__(self, runtime, run):
        self.runtime = runtime
        self.run = run
        self.service = runtime.service
        self.node = runtime.node
        self.policy = self.service.policy
        self.commands = SignedCommands(self.service)
        self.transfer = Transfer(self.service, self.commands)

    def state(self):
        """What no refusal may change."""
        node = self.node
        found = [node.vm.free(), node.vm.pids(), [task.instance for task in node.tasks.order]]
        found.append(node.values.rows())
        found.append(node.commands.rows() if node.commands else [])
        found.append(node.mailboxes.rows() if node.mailboxes else [])
        status = self.service.status()
        found += [status[key] for key in ("active", "state", "attempts", "floor")]
        found.append(self.service.active_digest())
        return found

    def settle(self):
        """Ends what a case has begun, and sets the policy as it was."""
        self.transfer.abort()
        self.service.refused = 0
        for pid in self.node.vm.pids():
            try:
                self.node.lock(pid, False)
                self.service.abort(pid)
            except OSError:
                self.node.kill(pid)
        for name in dir(self.policy):
            if name[:4] == "max_":
                setattr(self.policy, name, getattr(type(self.policy), name))
        self.policy.configure(_DEFAULTS)

    def judge(self, name, prepare, call):
        """One line of JSON: what became of `call()`, after `prepare()`."""
        events = self.service.events
        self.run(self.settle)
        prepare()
        before = self.run(self.state)
        seq = events.seq
        errno = 0
        where = detail = ""
        try:
            result = call()
            errno = -result if isinstance(result, int) and result < 0 else 0
        except OSError as error:
            errno = error.errno
            where = getattr(error, "where", "")
            detail = getattr(error, "detail", "")
        told = [event for event in self.run(events.since, seq) if event[2] in _TELLING]
        if told:
            where = told[-1][4].get("where", where)
            detail = detail or told[-1][4].get("detail", "")
        event = told[-1][2] if told else ""
        unchanged = self.run(self.state) == before
        print(json.dumps([name, errno, where, event, detail, unchanged]))

    # ---- what cases are made of ---------------------------------------------------------------

    def load(self, image, **options):
        """Loads an image in one piece and starts it."""

        def steps():
            session = self.service.begin("UART:1", len(image), label="app", **options)
            session.write(memoryview(image))
            session.end()
            self.node.start(session.pid)
            return session.pid

        return self.run(steps)

    def send(self, header, data):
        """A transfer from begin to end."""

        def steps():
            answer = self.transfer.begin(memoryview(header), len(data), "UART:1")
            at = 0
            while answer >= 0 and at < len(data):
                answer = self.transfer.write(at, memoryview(data)[at : at + 512])
                at += 512
            if answer >= 0:
                answer = self.transfer.end()
            while answer == 0:
                answer = self.transfer.poll(0)
                if answer == 0:
                    return 0
                answer = 0 if answer == 1 else answer
            return answer

        return self.run(steps)

    def wait(self):
        """Until the set that was asked for runs."""
        while self.service.work.is_busy():
            self.run(self.runtime._poll)

    def stall(self, session):
        """The load's limit in time is over."""
        self.run(session.poll, ticks.add(session.touched, self.service.write_ms + 1))
        return -session.failed.errno

    def offer(self, header, total):
        """The begin of a transfer."""
        return self.run(self.transfer.begin, memoryview(header), total, "UART:1")

    def command(self, command):
        """A signed command without a stream."""
        return self.run(self.commands.perform, command)

    def begin(self, count=1, **options):
        """Begins loads and leaves them open; the last one."""
        for _ in range(count):
            session = self.run(lambda: self.service.begin("UART:1", **options))
        return session


_TELLING = ("provisioning.error", "warning")
