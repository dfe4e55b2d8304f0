# SPDX-License-Identifier: MIT
"""What a person reads: the tables of the REPL calls, the lines of the boot log, apps' text."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .contracts import Stream
    from .image.header import Header
    from .image.sections import Metadata
    from .node.tasks import Task


class Rows(list):
    """What the REPL calls return: a list whose echo at the prompt is short."""

    def __repr__(self) -> str:
        return "<%d rows>" % len(self)


class Facts(dict):
    """What the REPL calls return for one thing: a dict whose echo at the prompt is short."""

    def __repr__(self) -> str:
        return "<%d facts>" % len(self)


class Console:
    """Writes events and apps' text to a stream, one voice at a time.

    Text of an app carries its instance name at each line's start. `quiet`: event types that are
    not written (the log keeps them).
    """

    def __init__(self, stream: "Stream", quiet: "tuple[str, ...]" = ()) -> None:
        self._stream = stream
        self._quiet = quiet
        self._speaker: "Task | None" = None  # whose line is unfinished

    def event(self, event: "tuple[Any, ...]") -> None:
        """One line for an event of service.events.Events."""
        if event[2] in self._quiet:
            return
        self._end_line()
        self._stream.write(event_line(event) + "\r\n")

    def text(self, task: "Task", view: "memoryview", stream: int) -> None:
        """App text as it comes (`contracts.TextSink`); line feeds become CR LF."""
        if self._speaker is not task:
            self._end_line()
        at = 0
        size = len(view)
        while at < size:
            end = at
            while end < size and view[end] != 10:
                end += 1
            if self._speaker is None:
                self._stream.write(task.instance + "! " if stream == 2 else task.instance + "> ")
                self._speaker = task
            self._stream.write(view[at:end])
            if end < size:
                self._end_line()
            at = end + 1

    def _end_line(self) -> None:
        if self._speaker is not None:
            self._speaker = None
            self._stream.write("\r\n")


def event_line(event: "tuple[Any, ...]") -> str:
    """An event as text: seconds, PID, type, data."""
    _, ts, kind, pid, data = event
    who = "pid %d" % pid if pid else "node"
    words = ["%s=%s" % (key, data[key]) for key in sorted(data)]
    return "[%7d.%03d] %-6s %s %s" % (ts // 1000, ts % 1000, who, kind, " ".join(words))


def print_tasks(rows: "list[dict[str, Any]]") -> None:
    """The table of `hsx.ps()`."""
    print("PID NAME             STATE    PRI      STEPS MEMORY STOP           SOURCE")
    for row in rows:
        stop = row["stop"]
        if row["exit_status"] is not None:
            stop += "(%d)" % row["exit_status"]
        print(
            "%3d %-16s %-8s %3d %10d %6d %-14s %s"
            % (
                row["pid"],
                row["app_name"],
                row["state"],
                row["priority"],
                row["accounted_steps"],
                row["memory"],
                stop,
                row["program"],
            )
        )


def print_values(rows: "list[dict[str, Any]]") -> None:
    """The table of `hsx.values()`."""
    print("PID   OID GROUP            NAME                  VALUE UNIT   KEY")
    for row in rows:
        words = (row["pid"], row["oid"], row["group_name"] or row["group"], row["name"] or "")
        rest = (row["value"], row["unit"] or "", row["key"] or "")
        print("%3d %5d %-16s %-16s " % words + "%10g %-6s %s" % rest)


def print_commands(rows: "list[dict[str, Any]]") -> None:
    """The table of `hsx.commands()`."""
    print("PID   OID NAME             HELP")
    for row in rows:
        words = (row["pid"], row["oid"], row["name"] or "", row["help"] or "")
        print("%3d %5d %-16s %s" % words)


def print_status(facts: "dict[str, Any]") -> None:
    """The line of `hsx.status()`."""
    line = "active %(active)s, %(state)s; generation %(generation)d, floor %(floor)d" % facts
    if facts["state"] == "trial":
        line += ", attempts %d" % facts["attempts"]
    if facts["total"]:
        ready = "whole" if facts["ready"] else "not whole"
        line += "; staged %d of %d bytes, %s" % (facts["staged"], facts["total"], ready)
    print(line)


def print_slots(rows: "list[dict[str, Any]]") -> None:
    """The table of `hsx.slots()`."""
    for row in rows:
        print("bank %s  %s%s" % (row["bank"], row["state"], ", active" if row["active"] else ""))
        if row["images"] is None:
            print("    damaged")
            continue
        for image in row["images"]:
            words = (image["name"], image["version"], image["length"])
            print("    %-20s %-10s %6d bytes" % words)


def print_events(events: "list[tuple[Any, ...]]") -> None:
    """The lines of `hsx.log()`."""
    for event in events:
        print(event_line(event))


def print_report(rows: "list[tuple[Any, ...]]") -> None:
    """The table of `hsx.boot_report()`."""
    print("SOURCE     RESULT        MS")
    for source, result, code, detail, ms in rows:
        print("%-10s %-10s %5d  %s %s" % (source, result, ms, code, detail))


def print_faults(facts: "dict[str, Any]") -> None:
    """Its last line: what was counted, and what the last one was."""
    kinds = ("exception", "watchdog", "task", "brown-out", "hard fault")
    counts = ", ".join(["%s %d" % (kind, facts[kind]) for kind in kinds if facts[kind]])
    last = "; last: %s %s" % (facts["last"], facts["name"]) if facts["last"] else ""
    print("faults     " + (counts or "none") + last)


def print_image(info: "dict[str, Any]") -> None:
    """The lines of `hsx.info()`."""
    for key in sorted(info):
        print("%-12s %s" % (key, info[key]))


def image_info(header: "Header", metadata: "Metadata", length: int) -> "dict[str, Any]":
    """An image's facts under the names of spec/hxe_v2.md section 10, and of docs/hxe_format.md
    where the image says them; lengths in bytes."""
    facts: "dict[str, Any]" = {
        "app_name": header.app_name,
        "version": header.version,
        "flags": header.flags,
        "entry": header.entry,
        "code_len": header.code_len,
        "ro_len": header.ro_len,
        "bss": header.bss_size,
        "req_caps": header.req_caps,
        "allow_multiple_instances": header.allow_multiple,
        "manifest_present": header.manifest_present,
        "length": length,
        "values": [value.name for value in metadata.values],
        "commands": [command.name for command in metadata.commands],
        "mailboxes": [mailbox.target for mailbox in metadata.mailboxes],
    }
    info = metadata.info
    if info is not None:
        facts["image_version"] = info.version
        facts["epoch"] = info.epoch
        facts["abi"] = "%d.%d" % (info.abi >> 16, info.abi & 0xFFFF) if info.abi else "any"
        facts["stack"] = info.stack
        facts["heap"] = info.heap
    return facts
