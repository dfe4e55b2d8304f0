# SPDX-License-Identifier: MIT
"""Bits that flip and bytes that change while the power is off.

After any of it the node comes up or says that there is no store, and what it starts is a committed
set, byte for byte. Case ids: `damage/superblocks/N` and `damage/directories/N` flip one bit,
`damage/random/N` changes up to 64 bytes behind the superblocks, by the seed N.
"""

import random
from collections.abc import Iterator

from hsx.store.layout import COPY
from hsx.store.store import Store
from powercut.invariant import Broken, View, contents
from powercut.medium import Medium
from powercut.scenarios import SCENARIOS, SMALL
from powercut.world import ATTEMPTS, SETS, boot

_STATES = ("rollback", "confirm", "trial_value")  # both confirmed; on trial; on trial
_DIRECTORY = 16 + 3 * 112  # bytes of the longer one
# Everything that was ever saved in these states.
_BITS = {None, 0x3C00, 0x4000}


def starts() -> list[tuple[bytes, View]]:
    """The undamaged media, and what they show."""
    found = []
    for scenario in SCENARIOS:
        if scenario.name in _STATES:
            memory = scenario.start()
            part = Medium(bytearray(memory))
            store = Store(part, attempts=ATTEMPTS, layout=SMALL)
            store.open()
            found.append((memory, View(store, part)))
    return found


def cases(randoms: int) -> Iterator[str]:
    """The ids of all cases, `randoms` of them random."""
    for n in range(2 * 96 * 8):
        yield f"damage/superblocks/{n}"
    for n in range(2 * _DIRECTORY * 8):
        yield f"damage/directories/{n}"
    for n in range(randoms):
        yield f"damage/random/{n}"


def run_case(case: str, media: list[tuple[bytes, View]]) -> None:
    """Broken if the case, on any of the media, starts what it must not or raises."""
    _, kind, text = case.split("/")
    number = int(text)
    for memory, view in media:
        cells = bytearray(memory)
        if kind == "random":
            chance = random.Random(number)
            first = chance.randrange(2 * COPY, len(cells))
            for at in range(first, min(len(cells), first + chance.randrange(1, 65))):
                cells[at] = chance.randrange(256)
        else:
            at, bit = divmod(number, 8)
            if kind == "superblocks":
                copy, at = divmod(at, 96)
                cells[copy * COPY + at] ^= 1 << bit
            else:
                bank, at = divmod(at, _DIRECTORY)
                cells[SMALL.bank_base + bank * SMALL.bank_size + at] ^= 1 << bit
        _check(cells, view, kind == "superblocks")


def _check(cells: bytearray, view: View, exactly: bool) -> None:
    part = Medium(cells)
    store = Store(part, attempts=ATTEMPTS, layout=SMALL)
    try:
        if not store.open():
            raise Broken("a superblock copy is good, and there is no store")
        bank = boot(store, True)
        started = contents(store, part, bank) if bank else None
        values = {store.values.saved(key) for key in (1, 2, 3, 4)}
    except (OSError, ArithmeticError, LookupError, ValueError, TypeError) as error:
        raise Broken(f"{type(error).__name__}: {error}") from error
    allowed = {view.facts[1]} if exactly else {view.facts[1], view.facts[2], None}
    if started not in allowed:
        raise Broken(f"starts {started}, not one of {allowed}")
    if started is not None and SETS[started][0] < store.superblocks.state.floor:
        raise Broken(f"starts {started}, which is below the floor")
    if not values <= _BITS:
        raise Broken(f"values are {values}")
