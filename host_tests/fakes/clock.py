# SPDX-License-Identifier: MIT
"""Time that passes only when a test says so, or when the code under test waits."""

from collections.abc import Callable

from fakes import Misuse

# What the STM32 port has: ticks are small ints of a 32-bit machine.
_PERIOD = 1 << 30


class Clock:
    """The ticks of MicroPython's `time`, and alarms that come due as time passes.

    Starts shortly before the wrap of `ticks_ms`, so that every test that runs for a second meets
    it. Not modelled: drift, the wall clock, and the time that code takes to run.
    """

    def __init__(self, start_ms: int = _PERIOD - 500) -> None:
        self._us = start_ms * 1000  # rises only
        self._alarms: list[tuple[int, int, Callable[[], None]]] = []  # (due in us, order, what)
        self._order = 0

    def ticks_ms(self) -> int:
        return self._us // 1000 % _PERIOD

    def ticks_us(self) -> int:
        return self._us % _PERIOD

    def ticks_add(self, ticks: int, delta: int, /) -> int:
        if not -_PERIOD // 2 < delta < _PERIOD // 2:
            raise OverflowError("ticks interval overflow")
        return (ticks + delta) % _PERIOD

    def ticks_diff(self, ticks1: int, ticks2: int, /) -> int:
        for ticks in (ticks1, ticks2):
            if not 0 <= ticks < _PERIOD:
                raise Misuse(f"{ticks} is no tick: it was computed without ticks_add")
        return (ticks1 - ticks2 + _PERIOD // 2) % _PERIOD - _PERIOD // 2

    def sleep_ms(self, ms: int, /) -> None:
        self.sleep_us(ms * 1000)

    def sleep_us(self, us: int, /) -> None:
        """Passes time; alarms that come due meanwhile run, in the order of their times."""
        if us < 0:
            raise Misuse("a device returns at once from a negative sleep")
        end = self._us + us
        while self._alarms and min(self._alarms)[0] <= end:
            alarm = min(self._alarms)
            self._alarms.remove(alarm)
            # An alarm that waits itself has moved time on already.
            self._us = max(self._us, alarm[0])
            alarm[2]()
        self._us = max(self._us, end)

    def sim_at(self, delay_us: int, action: Callable[[], None]) -> Callable[[], None]:
        """Runs `action` once, `delay_us` from now; what is returned takes it back."""
        self._order += 1
        alarm = (self._us + delay_us, self._order, action)
        self._alarms.append(alarm)

        def cancel() -> None:
            if alarm in self._alarms:
                self._alarms.remove(alarm)

        return cancel
