# SPDX-License-Identifier: MIT
"""What a roll-out does next, decided from what has happened. No I/O, no clock.

A driver asks for the `next_step`, tells that it `began` before it does anything, and tells what
`happened` at each node, as it learns it. Whoever keeps the Rollout after each of these may stop
anywhere: `resumed` then makes of what was under way what has to be looked at.

| state of a node | means | may run the new set |
|---|---|---|
| new | not looked at yet | no |
| absent | did not answer the first look: left out | no |
| had | ran the set already: left as it is | (it did before) |
| waiting | its turn has not come: not touched | no |
| unsure | was told, and is looked at until it is through, for `patience` at most | yes |
| sending | is told now | yes |
| watched | runs the set, on watch | yes |
| steady | was well for long enough, is to be confirmed | yes |
| good | runs the set, and is done | yes |
| sick | runs the set, and is not well | yes |
| lost | does not answer any more | yes |
| failed | has refused the set, or has gone back by itself | no |
| undoing | is told to go back | yes |
| undone | runs what it ran before | no |
| stuck | could not be brought back | yes |

Rules: a node is touched only in its wave; a wave begins when all before it are through; after a
canary that did not end well nothing more begins, after others when more than `most_failures` of
those that were tried have not; what is undone is what the roll-out has changed, and nothing else.
"""

from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

NEW, ABSENT, HAD, WAITING, UNSURE = "new", "absent", "had", "waiting", "unsure"
SENDING, WATCHED, STEADY, GOOD, SICK = "sending", "watched", "steady", "good", "sick"
LOST, FAILED, UNDOING, UNDONE, STUCK = "lost", "failed", "undoing", "undone", "stuck"
STATES = (
    *(NEW, ABSENT, HAD, WAITING, UNSURE, SENDING, WATCHED, STEADY, GOOD, SICK, LOST, FAILED),
    *(UNDOING, UNDONE, STUCK),
)
UNTOUCHED = (NEW, ABSENT, HAD, WAITING)
BAD = (SICK, LOST, FAILED)
MAY_RUN_IT = (UNSURE, SENDING, WATCHED, STEADY, GOOD, SICK, LOST, UNDOING)

# What is to be done with some nodes.
LOOK, SEND, WATCH, CONFIRM, UNDO, PROVE, OVER = (
    "look",
    "send",
    "watch",
    "confirm",
    "undo",
    "prove",
    "over",
)


class Seen(NamedTuple):
    """What a look at a node has shown. `digest`: of the set that runs, hex, "" without one;
    `state`: of its bank; `gave_up`: the new set is there, reverted; `trouble`: what is wrong with
    the node while it runs, "" if nothing is; `is_fault`: and it will not get better; `images`: of
    that set; `may_yet`: the node has the new set, is reading it back or starting it."""

    digest: str
    state: str = "confirmed"
    gave_up: bool = False
    trouble: str = ""
    is_fault: bool = False
    images: tuple[dict[str, Any], ...] = ()
    may_yet: bool = False


class Trouble(NamedTuple):
    """A node that did not answer, or did not do what it was told. `answered`: it has said no."""

    reason: str
    answered: bool = False


class Done(NamedTuple):
    """A node has done what it was told."""


Event = Seen | Trouble | Done


class Step(NamedTuple):
    """What is to be done, and with which nodes."""

    kind: str
    nodes: tuple[int, ...] = ()


@dataclass
class Node:
    """`wave`: 0: a canary, -1: not known yet. Times are seconds, of the driver's clock."""

    state: str = NEW
    wave: int = -1
    before: str = ""  # digest of the set that ran before
    now: str = ""  # and of the one that was seen last
    bank: str = ""  # state of its bank
    reason: str = ""  # why it is where it is
    told: bool = False  # the set was sent since it was last looked at
    well_since: float | None = None
    watched_from: float | None = None
    unsure_from: float | None = None
    closed: bool = False  # at the end it was asked once more
    proved: bool = False  # and has answered: it runs `now`
    images: list[dict[str, Any]] = field(default_factory=list)


@dataclass
class Rollout:
    """`digest`: of the set, hex. `canaries`: how many nodes go first; `wave`: how many then go at
    once, 0: all. A node is good when it runs the set for `healthy` seconds without trouble and it
    is confirmed: by itself, or with `confirm` by us; it has `patience` seconds more for that.
    `most_failures`: share of the nodes that were tried, 0 to 1. `undo`: take all back when it
    stops. `undoing`: it was decided to. `nodes`: by number."""

    digest: str
    canaries: int = 1
    wave: int = 0
    healthy: float = 60.0
    patience: float = 120.0
    confirm: bool = False
    most_failures: float = 0.0
    undo: bool = False
    undoing: bool = False
    nodes: dict[int, Node] = field(default_factory=dict)


# ---- what is next -----------------------------------------------------------------------------


def next_step(rollout: Rollout) -> Step:
    """What is to be done now; the same until something happens."""
    if rollout.undoing or (stops(rollout) and rollout.undo):
        changed = _in(rollout, *MAY_RUN_IT)
        if changed:
            return Step(UNDO, changed)
    else:
        for kind, states in (
            (LOOK, (NEW, UNSURE)),
            (SEND, (SENDING,)),
            (CONFIRM, (STEADY,)),
            (WATCH, (WATCHED,)),
        ):
            found = _in(rollout, *states)
            if found:
                return Step(kind, found)
        waiting = _in(rollout, WAITING)
        if waiting and not stops(rollout):
            wave = min(rollout.nodes[number].wave for number in waiting)
            return Step(SEND, tuple(n for n in waiting if rollout.nodes[n].wave == wave))
    left = tuple(sorted(n for n, node in rollout.nodes.items() if not node.closed))
    return Step(PROVE, left) if left else Step(OVER)


def stops(rollout: Rollout) -> bool:
    """Whether too much has gone wrong for anything new to begin."""
    tried = [node for node in rollout.nodes.values() if node.state not in UNTOUCHED]
    bad = [node for node in tried if node.state in BAD]
    if any(node.wave == 0 for node in bad):
        return True
    return bool(bad) and len(bad) > rollout.most_failures * len(tried)


def verdict(rollout: Rollout) -> str:
    """ "done": all nodes run the set; "partly": some do not, but few enough; "halted": it has
    stopped; "undone": what was changed is as before; "stuck": that did not work everywhere;
    "open": it is not over."""
    if next_step(rollout).kind != OVER:
        return "open"
    states = {node.state for node in rollout.nodes.values()}
    if STUCK in states:
        return "stuck"
    if rollout.undoing or UNDONE in states:
        return "undone"
    if stops(rollout):
        return "undone" if rollout.undo else "halted"
    return "done" if states <= {GOOD, HAD} else "partly"


# ---- what happens -----------------------------------------------------------------------------


def began(rollout: Rollout, step: Step) -> None:
    """A step is about to be done: from now on it may have had an effect."""
    for number in step.nodes:
        node = rollout.nodes[number]
        if step.kind == SEND:
            node.state = SENDING
            node.told = True
        elif step.kind == UNDO:
            rollout.undoing = True
            node.state = UNDOING
            node.closed = node.proved = False


def happened(rollout: Rollout, number: int, event: Event, now: float) -> None:
    """What was learned about a node by the step that goes on."""
    node = rollout.nodes[number]
    if isinstance(event, Seen):
        node.now, node.bank, node.images = event.digest, event.state, list(event.images)
    act = _BY_STATE.get(node.state)
    if next_step(rollout).kind == PROVE or act is None:
        _on_proof(rollout, node, event, now)
    else:
        act(rollout, node, event, now)
    if not _in(rollout, NEW):
        _assign(rollout)


def _on_new(rollout: Rollout, node: Node, event: Event, now: float) -> None:
    if not isinstance(event, Seen):
        _put(node, ABSENT, event)
        return
    node.before = event.digest
    node.state = HAD if event.digest == rollout.digest else WAITING


def _on_unsure(rollout: Rollout, node: Node, event: Event, now: float) -> None:
    """It is judged when it is through with what it was told, or patience is at its end."""
    if node.unsure_from is None:
        node.unsure_from = now
    is_late = now - node.unsure_from >= rollout.patience
    if not isinstance(event, Seen):
        node.reason = node.reason or _reason(event)
        if is_late:
            _put(node, LOST, event)
    elif event.may_yet and event.digest != rollout.digest and not is_late:
        pass
    elif event.digest == rollout.digest:
        _watch(node)
    elif event.gave_up:
        _fail(node, "has gone back by itself")
    elif node.told:
        _fail(node, node.reason or "does not run the set")
    else:
        node.state = SENDING


def _on_sending(rollout: Rollout, node: Node, event: Event, now: float) -> None:
    if isinstance(event, Trouble):
        # What was heard last need not be what has become of it.
        _put(node, FAILED if event.answered else UNSURE, event)
        node.unsure_from = None
    else:
        _watch(node)


def _on_watched(rollout: Rollout, node: Node, event: Event, now: float) -> None:
    if node.watched_from is None:
        node.watched_from = now
    is_late = now - node.watched_from >= rollout.healthy + rollout.patience
    if not isinstance(event, Seen):
        node.well_since = None
        node.reason = _reason(event)
        node.state = LOST if is_late else WATCHED
        return
    if event.digest != rollout.digest:
        _fail(node, "has gone back by itself")
        return
    if event.trouble:
        node.well_since = None
        node.reason = event.trouble
        node.state = SICK if event.is_fault or is_late else WATCHED
        return
    if node.well_since is None:
        node.well_since = now
    if now - node.well_since >= rollout.healthy:
        if event.state == "confirmed":
            node.state, node.reason = GOOD, ""
            return
        if rollout.confirm:
            node.state = STEADY
            return
    if is_late:
        node.state, node.reason = SICK, "is not confirmed"


def _on_steady(rollout: Rollout, node: Node, event: Event, now: float) -> None:
    if isinstance(event, Trouble):
        _put(node, SICK if event.answered else LOST, event)
    else:
        node.state, node.reason, node.bank = GOOD, "", "confirmed"


def _on_undoing(rollout: Rollout, node: Node, event: Event, now: float) -> None:
    if not isinstance(event, Seen):
        _put(node, STUCK, event)
    elif event.digest == node.before:
        node.state = UNDONE
    else:
        runs = f"runs {event.digest}" if event.digest else "runs nothing"
        _put(node, STUCK, Trouble(f"{runs}, not what it ran before"))


def _on_proof(rollout: Rollout, node: Node, event: Event, now: float) -> None:
    node.closed = True
    node.proved = isinstance(event, Seen)
    if node.state == NEW:  # it is taken back before its first look
        _on_new(rollout, node, event, now)
    if not isinstance(event, Seen):
        node.now = node.bank = ""
        node.images = []
        node.reason = node.reason or _reason(event)
    elif node.state == FAILED and event.digest == rollout.digest:
        # It took the set after all: it is watched, or taken back, as any other.
        node.state, node.closed, node.unsure_from = UNSURE, False, None
    elif node.state in (GOOD, HAD) and event.digest != rollout.digest:
        _fail(node, "has gone back by itself")
    elif node.state == UNDONE and event.digest != node.before:
        _put(node, STUCK, Trouble("has changed again"))


_BY_STATE = {
    NEW: _on_new,
    UNSURE: _on_unsure,
    SENDING: _on_sending,
    WATCHED: _on_watched,
    STEADY: _on_steady,
    UNDOING: _on_undoing,
}


# ---- from outside -----------------------------------------------------------------------------


def resumed(rollout: Rollout) -> None:
    """After an interruption: what was under way has to be looked at, and what was on watch is
    watched from the start."""
    for node in rollout.nodes.values():
        node.closed = node.proved = False
        node.well_since = node.watched_from = node.unsure_from = None
        if node.state in (SENDING, LOST):
            node.told = node.told and node.state == LOST
            node.state = UNSURE
        elif node.state == ABSENT:
            node.state = NEW
        elif node.state == STUCK:
            node.state = UNDOING


def retry(rollout: Rollout) -> None:
    """A person wants those that have refused the set, or gone back, to be told once more, and
    those that were not well to be watched once more."""
    for node in rollout.nodes.values():
        if node.state == FAILED:
            node.state, node.reason, node.told = WAITING, "", False
        elif node.state == SICK:
            _watch(node)


def take_back(rollout: Rollout) -> None:
    """A person wants back what was."""
    rollout.undoing = True


# ---- inside -----------------------------------------------------------------------------------


def _in(rollout: Rollout, *states: str) -> tuple[int, ...]:
    return tuple(sorted(n for n, node in rollout.nodes.items() if node.state in states))


def _assign(rollout: Rollout) -> None:
    """Waves, once all nodes were looked at: they do not change after that."""
    fresh = [n for n in _in(rollout, WAITING) if rollout.nodes[n].wave < 0]
    before = [node.wave for node in rollout.nodes.values() if node.wave >= 0]
    first = max(before) + 1 if before else 0
    for place, number in enumerate(fresh):
        wave = first
        if not before and place >= rollout.canaries:
            wave = 1 + (place - rollout.canaries) // (rollout.wave or len(fresh))
        rollout.nodes[number].wave = wave


def _watch(node: Node) -> None:
    node.state = WATCHED
    node.reason = ""
    node.well_since = node.watched_from = None


def _fail(node: Node, reason: str) -> None:
    node.state, node.reason = FAILED, reason


def _put(node: Node, state: str, event: Event) -> None:
    node.state, node.reason = state, _reason(event)


def _reason(event: Event) -> str:
    return event.reason if isinstance(event, Trouble) else ""


# ---- as data ----------------------------------------------------------------------------------


def to_data(rollout: Rollout) -> dict[str, Any]:
    """For JSON."""
    data = asdict(rollout)
    data["nodes"] = {str(number): node for number, node in data["nodes"].items()}
    return data


def from_data(data: dict[str, Any]) -> Rollout:
    """The other way round. KeyError, TypeError, ValueError: it is none."""
    nodes = {int(number): Node(**node) for number, node in data["nodes"].items()}
    if any(node.state not in STATES for node in nodes.values()):
        raise ValueError("a node is in no known state")
    return Rollout(**{**data, "nodes": nodes})
