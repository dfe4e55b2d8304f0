# SPDX-License-Identifier: MIT
"""The C core as Python sees it. Every binding (MicroPython, CPython) has exactly this face.

All errors are `OSError(errno)` with the Linux numbers of `hsx/errors.py`:
ESRCH unknown PID, EBUSY wrong state, EBADMSG malformed image, ENOSPC no slot or no pool memory,
EINVAL argument out of range. Sizes and addresses are bytes; guest registers are unsigned 32 bit.
"""

from collections.abc import Callable
from typing import Any

# What clock() stopped for: low byte of its result. The detail is in the bits above (>> 8).
OK: int  # 0: budget used up, the task goes on
SVC: int  # 1: detail = module << 8 | function; the PC is behind the SVC, results go in with set()
BRK: int  # 2: detail = code of the BRK; the task may be clocked on
FAULT: int  # 3: detail = one of the FAULT_ numbers; parked
EXIT: int  # 4: SVC TASK_EXIT, R0 is the exit code; parked
RETURNED: int  # 5: RET at call depth 0, R0 is the exit code; parked
SLEEP: int  # 6: SVC EXEC_SLEEP_MS with R0 > 0: R0 still holds the ms; the caller sets R0 = 0

FAULT_STACK_UNDERFLOW: int  # 2, as is the low byte of R0 (spec/vm_isa.md section 6)
FAULT_STACK_OVERFLOW: int  # 3
FAULT_MEM: int  # 4
FAULT_DIV_ZERO: int  # 5
FAULT_ILLEGAL: int  # 6: illegal opcode, R0 unchanged, PC behind it
FAULT_PC_RANGE: int  # 7: fetch beyond the code, R0 unchanged

# States of a PID.
LOADING: int  # 1
FAILED: int  # 2: a load that was refused; its memory is back, load_abort() gives back the PID
READY: int  # 3: loaded, may be clocked
PARKED: int  # 4: faulted, exited or returned; kept until unload() or a PC is set

# What get() and set() name. 0 to 15 are R0 to R15. (ro): set() raises EINVAL.
PC: int  # 16
SP: int  # 17
PSW: int  # 18: Z 1, C 2, N 4, V 8
DEPTH: int  # 19: call depth
STEPS: int  # 20: retired instructions, 32 bit, wraps
STACK_LIMIT: int  # 21: lowest usable stack address (ro)
CODE_LEN: int  # 22 (ro)
RO_LEN: int  # 23 (ro)
ARENA: int  # 24: bytes of the pool that this PID holds (ro)
LAST_PC: int  # 25: address of the last instruction that retired or stopped, trace; before the
# first 0xFFFFFFFF (ro)
LAST_WORD: int  # 26: that instruction's word, 0 where there is none: the PC left the code (ro)

def ed25519_verify(
    public_key: "bytes | bytearray | memoryview",
    message: "bytes | bytearray | memoryview",
    signature: "bytes | bytearray | memoryview",
) -> bool:
    """Whether `signature`, 64 bytes, is that of `message` by `public_key`, 32 bytes (RFC 8032);
    False for any other lengths, and for what `ed25519.h` names besides. Missing where the core was
    built without (HSX_ED25519=0). On a Cortex-M4 1.7 million instructions and 2 KiB of stack."""

def interrupt() -> None:
    """Raises KeyboardInterrupt in the main program as soon as that goes on, as Ctrl-C does: for a
    callback that had to hold one back. Missing where the core is a native module."""

def place(buf: "bytearray | memoryview", at: int, data: "bytes | bytearray | memoryview") -> None:
    """buf[at : at + len(data)] = data, without the slice that this allocates. EINVAL: `data` does
    not fit."""

def slcan_parse(
    line: "bytes | bytearray | memoryview", start: int, stop: int, data: "bytearray | memoryview"
) -> int:
    """The frame in `line[start:stop]`, an SLCAN line `t` without its carriage return: identifier |
    length << 11, its data in `data`, 8 bytes or more; -1 for any other line. Allocates nothing.
    EINVAL: `data` is shorter, or the indexes are not those of a part of `line`."""

def slcan_format(
    ident: int, data: "bytes | bytearray | memoryview", line: "bytearray | memoryview"
) -> int:
    """The SLCAN line of a frame into `line`, 22 bytes or more: its length, with the carriage
    return. Allocates nothing. EINVAL: the identifier has more than 11 bits, `data` more than 8
    bytes, or `line` is shorter."""

class FrameRing:
    def __init__(self, frames: int, place: int) -> None:
        """A ring of CAN frames between a hard interrupt, which puts, and one reader, which it may
        interrupt: `frames` (1 to 1024) of 10 bytes, and one more. `place`: index of the data in
        the lists that are put. EINVAL."""

    def put(self, frame: "list[Any] | None") -> bool:
        """A frame as a driver's recv() fills its list: identifier at 0, at 2 what must be false
        (remote or extended), data at `place`. Allocates nothing. False: None, nothing came.
        What is no data frame with an 11-bit identifier is left out; a frame that finds the ring
        full is counted. EINVAL: the list is too short."""

    def drain(self, call: "Callable[[int, memoryview, int], object]", now: int, limit: int) -> int:
        """`call(identifier, data, now)` for each frame, the oldest first, `limit` at most; how
        many. `data` is valid during the call: the next frame takes its place. Allocates nothing.
        What `call` raises ends it; that frame is gone."""

    def lost(self) -> int:
        """Frames that found the ring full, modulo 2**32."""

def cobs_encode(buf: "bytearray | memoryview", at: int, content: int, size: int) -> int:
    """Turns buf[content : content + size] into its frame, from buf[at] on: with a CRC-32 behind
    it, in COBS, a zero at the end. Returns the frame's length, at most
    size + 4 + (size + 4) // 254 + 2. EINVAL where that does not fit, where size is above 65,531,
    and where the content begins before at + 2 + (size + 4) // 254: it is written over, and must be
    read before."""

def cobs_decode(
    state: "bytearray | memoryview",
    out: "bytearray | memoryview",
    data: "bytes | bytearray | memoryview",
    at: int,
    end: int,
) -> int:
    """Takes bytes of a line, data[at:end], up to the end of the first frame in them. Returns the
    index behind it, 0 where the frame goes on behind `end`. `state`: 4 bytes, zeros at first,
    kept between calls, as is `out`. When a frame has ended, state[3] is 4: it was empty; 5: its
    content is in `out`, its length is state[0] | state[1] << 8; 6: it was broken (CRC, cut short,
    or longer with its CRC than `out`). EINVAL: `state` is shorter. Nothing is allocated."""

class VM:
    def __init__(self, pool: "bytearray | memoryview", tasks: int = 8, flat: bool = False) -> None:
        """A VM whose arenas all lie in `pool`, which must not be resized while the VM lives.
        `tasks`: 1 to 32 PIDs at once. EINVAL.

        `flat`: each task has the reference's 64 KiB data space; otherwise only the data window
        (0x4000, rodata + bss, rounded up to 4) and the stack window below 0x10000 exist."""

    def load_begin(self, wanted: int = 0) -> int:
        """A new PID in LOADING, `wanted` or, for 0, the lowest free one from 1 on; no pool memory
        yet. ENOSPC: no slot; EBUSY: the wanted one is in use; EINVAL: there is none such."""

    def load_write(self, pid: int, buf: "bytes | bytearray | memoryview") -> int:
        """Takes the next bytes of the image, any number. Returns the index in `buf` of the first
        byte behind the rodata (`len(buf)` if there is none): those bytes are metadata, which the
        core only runs through the CRC; they are the caller's. The header is checked and the
        arena for code and data taken as soon as the header is complete.
        EBADMSG, ENOSPC: the PID is FAILED, its memory given back. ESRCH, EBUSY."""

    def load_heap(self, pid: int, size: int) -> None:
        """Once code and rodata are in: `size` bytes more of data, behind the bss, zeroed at the
        end; rounded up to 4. The flat profile has them anyway. ENOSPC: FAILED as above. ESRCH;
        EBUSY: not LOADING, or the header is not in."""

    def load_end(self, pid: int, stack: int = 0) -> None:
        """Checks length and CRC, takes the stack (`stack` bytes, rounded up to 4; 0: 1536, flat
        4096), zeroes what is not rodata; the PID is READY with the reference's first-task SP
        0xFFFC and stack limit 0xFFFC - stack. EBADMSG, ENOSPC (also where the stack would reach
        down into the data): FAILED as above. ESRCH, EBUSY."""

    def load_abort(self, pid: int) -> None:
        """Gives back a LOADING or FAILED PID and all it holds. ESRCH otherwise."""

    def load(self, buf: "bytes | bytearray | memoryview", stack: int = 0) -> int:
        """begin, write, end in one; on error nothing is left, not even the PID."""

    def error(self) -> "tuple[int, int, int]":
        """(errno, file offset, rule) of the last load call that failed, zeros before; rules are
        numbered in `hsx/errors.py`. The offset is that of the field at fault (0x1C for the
        checksum), else how far the image reached; 0 where no image is to blame."""

    def unload(self, pid: int) -> None:
        """Gives back a READY or PARKED PID and all it holds. ESRCH; EBUSY while LOADING/FAILED."""

    def pids(self) -> "tuple[int, ...]":
        """All PIDs in use, rising, LOADING and FAILED ones included."""

    def state(self, pid: int) -> int:
        """LOADING, FAILED, READY or PARKED. ESRCH."""

    def clock(self, pid: int, steps: int) -> int:
        """Runs at most `steps` (0 .. 2**30 - 1) instructions: reason | detail << 8, a small int so
        that nothing is allocated. A PARKED task gives its stop again, untouched. ESRCH; EBUSY
        while LOADING/FAILED. EINVAL: steps out of range.
        SVC 0x000 (CORE_GET_STEPS), and 0x600 (EXEC_SLEEP_MS) with R0 = 0, are answered inside."""

    def get(self, pid: int, which: int) -> int:
        """A register or one of the numbers above. ESRCH, EBUSY (not loaded), EINVAL."""

    def set(self, pid: int, which: int, value: int) -> None:
        """`value` is taken modulo 2**32 (PSW: low four bits). A PARKED task whose PC is set is
        READY: it goes on from there with the state that it has. ESRCH, EBUSY, EINVAL."""

    def read(self, pid: int, addr: int, buf: "bytearray | memoryview") -> int:
        """Copies guest memory from `addr` (& 0xFFFF) into `buf`; stops at the end of the window.
        Returns the bytes copied, 0 where nothing is mapped. ESRCH, EBUSY."""

    def write(self, pid: int, addr: int, buf: "bytes | bytearray | memoryview") -> int:
        """Copies `buf` into guest memory, as read()."""

    def free(self) -> int:
        """Bytes of the pool that no PID holds."""
