# SPDX-License-Identifier: MIT
"""A roll-out for people: a table, and a page that needs nothing else."""

import time
from html import escape
from typing import Any

from ..output import table
from .record import Record
from .rollout import verdict

MEANS = {
    "done": "All nodes run the set.",
    "partly": "Most nodes run the set; fewer have failed than were allowed to.",
    "halted": "It has stopped: too many have failed. Nodes that wait were not touched.",
    "undone": "What was changed is as it was before. Nodes that wait were not touched.",
    "stuck": "Not all that was changed could be brought back.",
    "open": "It is not over: 'hsxctl fleet resume' goes on, 'hsxctl fleet undo' takes it back.",
}
_STYLE = """\
body { font: 15px/1.5 system-ui, sans-serif; margin: 2em auto; max-width: 75em; padding: 0 1em }
table { border-collapse: collapse; margin: 1em 0 } code { font-size: 90% }
td, th { border-bottom: 1px solid #ccc; padding: .2em .8em .2em 0; text-align: left }
.good, .had, .undone, .done { color: #17692f } .waiting, .absent, .open { color: #666 }
.failed, .sick, .lost, .stuck, .halted { color: #a31515 }
"""


def rows(record: Record) -> list[dict[str, Any]]:
    """A row a node: node, wave, state, set, bank, proved, before, reason, images."""
    rollout = record.rollout
    return [
        {
            "node": number,
            "wave": "canary" if node.wave == 0 else node.wave if node.wave > 0 else None,
            "state": node.state,
            "set": node.now,
            "is_new": node.now == rollout.digest,
            "bank": node.bank,
            "proved": node.proved,
            "before": node.before,
            "reason": node.reason,
            "images": node.images,
        }
        for number, node in sorted(rollout.nodes.items())
    ]


def text(record: Record) -> str:
    """For a terminal."""
    cells = [
        [row["node"], row["wave"], row["state"], _set(row), row["bank"], row["reason"]]
        for row in rows(record)
    ]
    name = verdict(record.rollout)
    return f"set {record.rollout.digest}: {name}. {MEANS[name]}\n" + table(
        ["NODE", "WAVE", "STATE", "RUNS", "BANK", "WHY"], cells
    )


def _set(row: dict[str, Any]) -> str:
    if not row["proved"]:
        return "?"
    return "the set" if row["is_new"] else row["set"] or "nothing"


def html(record: Record) -> str:
    """A page of its own."""
    name = verdict(record.rollout)
    when = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(record.saved))
    images = _table(
        ["name", "version", "bytes", "SHA-256"],
        [[i["name"], i["version"], i["length"], _code(i["sha256"])] for i in record.images],
    )
    nodes = []
    for row in rows(record):
        runs = "not known"
        if row["proved"]:
            listed = ", ".join(f"{i['name']} {i['version']}".strip() for i in row["images"])
            runs = f"{_code(row['set'])} {escape(listed)}" if row["set"] else "nothing"
        state = f'<span class="{row["state"]}">{row["state"]}</span>'
        before = _code(row["before"]) if row["before"] else "nothing"
        wave = "" if row["wave"] is None else row["wave"]
        nodes.append([row["node"], wave, _Html(state), _Html(runs), row["bank"], _Html(before)])
        nodes[-1].append(row["reason"])
    heads = ["node", "wave", "state", "runs", "bank", "ran before", "why"]
    return f"""\
<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Roll-out {record.rollout.digest}</title>
<style>
{_STYLE}</style></head><body>
<h1>Roll-out: <span class="{name}">{name}</span></h1>
<p>{escape(MEANS[name])}</p>
<p>Set <code>{record.rollout.digest}</code> over {escape(record.place)}, as of {when}. The digest
of a set is the first half of the SHA-256 of its directory, which holds the SHA-256 of each
image. What a node runs is what it said when it was asked at the end.</p>
<h2>The set</h2>
{images}
<h2>The nodes</h2>
{_table(heads, nodes)}
</body></html>
"""


class _Html(str):
    """Text that is HTML already."""


def _code(value: str) -> "_Html":
    return _Html(f"<code>{escape(value)}</code>")


def _table(heads: list[str], cells: list[list[Any]]) -> str:
    def row(tag: str, values: list[Any]) -> str:
        marked = [value if isinstance(value, _Html) else escape(str(value)) for value in values]
        return "<tr>" + "".join(f"<{tag}>{value}</{tag}>" for value in marked) + "</tr>"

    lines = [row("th", list(heads)), *(row("td", line) for line in cells)]
    return "<table>\n" + "\n".join(lines) + "\n</table>"
