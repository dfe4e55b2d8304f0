# SPDX-License-Identifier: MIT
"""Checks of the FRAM: that it is there, keeps what it gets, and how fast it is."""

from .desk import Desk
from .repl import Repl
from .report import Failed, Figures, Skip

_WIRES = (
    "Check SCL, SDA, supply and ground of the FRAM, its pull-ups (4.7 kOhm to 3V3) and its "
    "address pins (A1, A2 to ground)."
)
_READ = 4096  # bytes, to know the pace
_SLOWEST = 8000  # bytes a second: below that the bus is not the one that the board asks for
_FASTEST = 440_000  # Hz: Fast mode, and a tenth
_TRANSFER = 32  # bytes of payload
_BITS = 9 * (_TRANSFER + 4)  # of such a transfer: addresses, START and STOP among them

# The bytes between the last record and the records of boot faults are nobody's.
_SPARE = """
from hsx.store.layout import VALUE, FAULTS_COPY, layout_of
part = lock.run(board.fram)
form = layout_of(part.size)
at = form.values_base + form.values * VALUE
size = min(256, form.bank_base - 2 * FAULTS_COPY - at) if form.bank_base else 0
far = at ^ 0x10000 if part.size > 0x10000 else 0
was, got, beside, after = (bytearray(max(size, 0)) for _ in range(4))
def _needs_fram(repl: Repl) -> None:
    try:
        size_of(repl)
    except Failed:
        raise Skip("the FRAM does not answer: see 'FRAM found'") from None


def patterns():
    wrong = []
    part.readinto(at, was)
    if far:
        part.readinto(far, beside)
    try:
        for name, first, step in ('zeros', 0, 0), ('ones', 255, 0), ('up', 3, 7), ('mix', 85, 85):
            want = bytes([(first + step * n) & 255 for n in range(size)])
            part.write(at, want)
            part.readinto(at, got)
            if bytes(got) != want:
                wrong.append(name)
        if far:
            part.readinto(far, after)
            if after != beside:
                wrong.append('the two addresses are one memory')
    finally:
        part.write(at, was)
    return wrong
"""

_PACE = f"""
part = lock.run(board.fram)
buf = bytearray({_READ})
def pace():
    t = time.ticks_us()
    part.readinto(0, buf)
    return time.ticks_diff(time.ticks_us(), t)
"""


def found(desk: Desk) -> Figures:
    """Whether the FRAM answers, and whether a store is in it."""
    with desk.repl() as repl:
        try:
            size = size_of(repl)
        except Failed as error:
            raise Failed(f"the FRAM does not answer: {error}", _WIRES) from None
        return {"bytes": size, "store": state(repl) or "none"}


def size_of(repl: Repl) -> int:
    """Bytes of the FRAM. Skip: the board is made without one; Failed: it does not answer."""
    size = repl.value("(lambda part: part.size if part else 0)(lock.run(board.fram))")
    if not size:
        raise Skip("this board has no FRAM")
    return int(size)


def state(repl: Repl) -> str:
    """The state of the active set; nothing if there is no store."""
    return repl.run(
        "try:\n print(lock.run(lambda: hsx.runtime().provisioning.status())['state'])\n"
        "except OSError:\n print('')"
    )


def _needs_fram(repl: Repl) -> None:
    try:
        size_of(repl)
    except Failed:
        raise Skip("the FRAM does not answer: see 'FRAM found'") from None


def patterns(desk: Desk) -> Figures:
    """Writes bytes that nobody uses, reads them back, and puts back what was there."""
    with desk.repl() as repl:
        _needs_fram(repl)
        repl.run(_SPARE)
        size = repl.value("size")
        if size < 16:
            raise Skip("the FRAM has no bytes to spare")
        rounds = desk.tries(20, 2)
        for _ in range(rounds):
            wrong = repl.value("lock.run(patterns)", 60)
            if wrong:
                raise Failed(f"it reads back other bytes: {', '.join(wrong)}", _WIRES)
    return {"bytes": size, "rounds": rounds}


def pace(desk: Desk) -> Figures:
    """How fast reads are, and which clock of the bus that means."""
    with desk.repl() as repl:
        _needs_fram(repl)
        repl.run(_PACE)
        took = min(repl.value("lock.run(pace)", 60) for _ in range(desk.tries(10, 3)))
        real = repl.value("hasattr(board, 'FRAM_CLOCK')")
        register = repl.value("hex(machine.mem32[board.FRAM_CLOCK[0]])") if real else "none"
    pace = round(_READ * 1e6 / took)
    clock = round(_READ / _TRANSFER * _BITS * 1e6 / took)
    found = {"bytes a second": pace, "clock at least, Hz": clock, "clock register": register}
    if pace < _SLOWEST:
        raise Failed("the FRAM's bus is slow", "Is it MicroPython 1.25 or newer?", found)
    if real and clock > _FASTEST:
        raise Failed(
            "the FRAM's bus is faster than 400 kHz",
            "Its clock register is not what board.py says: send this report.",
            found,
        )
    return found
