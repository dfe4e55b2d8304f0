# SPDX-License-Identifier: MIT
"""The board of a MicroPython that knows nothing of HSX: uses what the port happens to have. A
board.py begins with it (`from stock import *`) and says what it has better."""

import sys

from micropython import const

NAME = sys.platform

# Bytes of the heap that are set apart for task memory at boot.
POOL = const(10 * 1024)

# What the boot configuration says here, and images that go with it.
BOOT = ()
IMAGES = ()


def console():
    """None: text between the lines of the REPL would disturb programs that speak to it.
    `hsx.log()` shows what it would have been."""
    return


def unique_id():
    """What tells this board from others, as far as the port knows."""
    import machine

    return machine.unique_id() if hasattr(machine, "unique_id") else NAME.encode()


def links(links):
    """None: which pins are free is not known."""
    return []


def sdcard_present():
    """Whether there is a card that nobody has mounted."""
    return False


def mount_sdcard(root: str):
    """There is none: OSError ENODEV."""
    raise OSError(19)


def unmount_sdcard(root: str):
    """Nothing to do."""


def fram():
    """None: the node keeps no sets."""
    return


def policy(policy):
    """Takes what it is given: nothing is signed, nobody is trusted."""


def reset_cause():
    """ "soft", or "hard" for all others, and where the port does not tell: ports number the others
    differently."""
    import machine

    soft = hasattr(machine, "SOFT_RESET") and machine.reset_cause() == machine.SOFT_RESET
    return "soft" if soft else "hard"


def reset():
    """Resets the board."""
    import machine

    machine.reset()


def kept():
    """No word outlives a reset here."""
    return 0


def keep(word: int):
    """No word outlives a reset here."""


def safe_pin():
    """No switch asks for the safe mode."""
    return False


def watchdog(ms: int):
    """None is used."""
    return


def mount_flash(root: str):
    """The port's own file system stays where it is. Raises OSError."""
    raise OSError(19)


def timer(period_ms: int, callback):
    """A running soft timer; `deinit()` stops it. None: the port has none."""
    try:
        from machine import Timer
    except ImportError:
        return None
    options = {"mode": Timer.PERIODIC, "period": period_ms, "callback": callback}
    try:
        return Timer(-1, hard=False, **options)
    except TypeError:  # a port whose timers are all soft
        return Timer(-1, **options)
