# SPDX-License-Identifier: MIT
"""The one place that imports what is written in C: the core, whichever binding built it, and what
keeps frozen modules small."""

from hsxvm import (  # noqa: F401  re-exported: everything else imports the core from here
    ARENA,
    BRK,
    CODE_LEN,
    DEPTH,
    EXIT,
    FAILED,
    FAULT,
    FAULT_DIV_ZERO,
    FAULT_ILLEGAL,
    FAULT_MEM,
    FAULT_PC_RANGE,
    FAULT_STACK_OVERFLOW,
    FAULT_STACK_UNDERFLOW,
    LAST_PC,
    LAST_WORD,
    LOADING,
    OK,
    PARKED,
    PC,
    PSW,
    READY,
    RETURNED,
    RO_LEN,
    SLEEP,
    SP,
    STACK_LIMIT,
    STEPS,
    SVC,
    VM,
    FrameRing,
    cobs_decode,
    cobs_encode,
    place,
    slcan_format,
    slcan_parse,
)

try:
    from hsxvm import ed25519_verify
except ImportError:  # stock firmware: in a .mpy file of its own, as each costs its size in RAM

    def ed25519_verify(  # type: ignore[misc]  # mypy takes these types for others
        public_key: "bytes", message: "bytes", signature: "bytes"
    ) -> bool:
        """As hsxvm.pyi says. ImportError: this node was built without signatures."""
        import hsxed25519

        return hsxed25519.ed25519_verify(public_key, message, signature)


try:
    from hsxflash import settle
except ImportError:  # CPython, and firmware that builds all of its modules in RAM

    def settle() -> None:
        """Makes the tables of the modules that were imported as small as they can be. From the
        main program only, where no import is under way."""
