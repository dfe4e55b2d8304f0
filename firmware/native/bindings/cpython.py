# SPDX-License-Identifier: MIT
"""VM, FrameRing, the frames of a serial line, SLCAN lines and ed25519_verify over the compiled
core: converts arguments and results, raises errors, and nothing else."""

import _thread

from ._core import ffi, lib

OK, SVC, BRK, FAULT, EXIT, RETURNED, SLEEP = range(7)

FAULT_STACK_UNDERFLOW = 2
FAULT_STACK_OVERFLOW = 3
FAULT_MEM = 4
FAULT_DIV_ZERO = 5
FAULT_ILLEGAL = 6
FAULT_PC_RANGE = 7

LOADING, FAILED, READY, PARKED = range(1, 5)

PC, SP, PSW, DEPTH, STEPS, STACK_LIMIT, CODE_LEN, RO_LEN, ARENA, LAST_PC, LAST_WORD = range(16, 27)

_U32 = 0xFFFFFFFF


def _u32(value: int) -> int:
    """`value`, or the largest number, which the core refuses, where it does not fit."""
    return value if 0 <= value <= _U32 else _U32


def _checked(result: int) -> int:
    if result < 0:
        raise OSError(-result, "")
    return result


def ed25519_verify(public_key, message, signature):
    key = ffi.from_buffer("uint8_t[]", public_key)
    text = ffi.from_buffer("uint8_t[]", message)
    mark = ffi.from_buffer("uint8_t[]", signature)
    return lib.hsx_ed25519_verify(key, len(key), text, len(text), mark, len(mark))


def place(buf, at, data):
    into = ffi.from_buffer("uint8_t[]", buf, require_writable=True)
    source = ffi.from_buffer("uint8_t[]", data)
    if not 0 <= at <= len(into) - len(source):
        raise OSError(22, "")
    ffi.memmove(into + at, source, len(source))


def slcan_parse(line, start, stop, data):
    text = ffi.from_buffer("uint8_t[]", line)
    out = ffi.from_buffer("uint8_t[]", data, require_writable=True)
    if not 0 <= start <= stop <= len(text) or len(out) < 8:
        raise OSError(22, "")
    return lib.hsx_slcan_parse(text + start, stop - start, out)


def slcan_format(ident, data, line):
    payload = ffi.from_buffer("uint8_t[]", data)
    out = ffi.from_buffer("uint8_t[]", line, require_writable=True)
    if not 0 <= ident <= 0x7FF or len(payload) > 8 or len(out) < lib.HSX_SLCAN_LINE:
        raise OSError(22, "")
    return lib.hsx_slcan_format(ident, payload, len(payload), out)


def cobs_encode(buf, at, content, size):
    room = ffi.from_buffer("uint8_t[]", buf, require_writable=True)
    return _checked(lib.hsx_cobs_encode(room, len(room), _u32(at), _u32(content), _u32(size)))


def cobs_decode(state, out, data, at, end):
    kept = ffi.from_buffer("uint8_t[]", state, require_writable=True)
    room = ffi.from_buffer("uint8_t[]", out, require_writable=True)
    line = ffi.from_buffer("uint8_t[]", data)
    if len(kept) < 4:
        raise OSError(22, "")
    end = min(_u32(end), len(line))
    at = min(_u32(at), end)
    taken = lib.hsx_cobs_decode(kept, room, len(room), line + at, end - at)
    return at + taken if taken else 0


class VM:
    def __init__(self, pool, tasks=8, flat=False):
        self._pool = ffi.from_buffer("uint8_t[]", pool, require_writable=True)
        count = _u32(tasks)
        self._tasks = ffi.new("hsx_task_t[]", min(count, 64))  # the core refuses more than 32
        self._vm = ffi.new("hsx_vm_t *")
        self._count = count
        self._out = ffi.new("uint32_t *")
        self._body = ffi.new("size_t *")
        cfg = ffi.new("hsx_cfg_t *")
        cfg.pool = self._pool
        cfg.pool_len = len(self._pool)
        cfg.tasks = self._tasks
        cfg.task_count = count
        cfg.flat = bool(flat)
        _checked(lib.hsx_init(self._vm, cfg))

    def load_begin(self, wanted=0):
        return _checked(lib.hsx_load_begin(self._vm, _u32(wanted)))

    def load_write(self, pid, buf):
        data = ffi.from_buffer("uint8_t[]", buf)
        _checked(lib.hsx_load_write(self._vm, _u32(pid), data, len(data), self._body))
        return self._body[0]

    def load_heap(self, pid, size):
        _checked(lib.hsx_load_heap(self._vm, _u32(pid), _u32(size)))

    def load_end(self, pid, stack=0):
        _checked(lib.hsx_load_end(self._vm, _u32(pid), _u32(stack)))

    def load_abort(self, pid):
        _checked(lib.hsx_load_abort(self._vm, _u32(pid)))

    def load(self, buf, stack=0):
        data = ffi.from_buffer("uint8_t[]", buf)
        return _checked(lib.hsx_load(self._vm, data, len(data), _u32(stack)))

    def error(self):
        error = lib.hsx_load_error(self._vm)
        return -error.err, error.offset, error.rule

    def unload(self, pid):
        _checked(lib.hsx_unload(self._vm, _u32(pid)))

    def pids(self):
        return tuple(pid for pid in range(1, self._count + 1) if lib.hsx_state(self._vm, pid) >= 0)

    def state(self, pid):
        return _checked(lib.hsx_state(self._vm, _u32(pid)))

    def clock(self, pid, steps):
        return _checked(lib.hsx_clock(self._vm, _u32(pid), _u32(steps)))

    def get(self, pid, which):
        _checked(lib.hsx_get(self._vm, _u32(pid), _u32(which), self._out))
        return self._out[0]

    def set(self, pid, which, value):
        _checked(lib.hsx_set(self._vm, _u32(pid), _u32(which), value & _U32))

    def read(self, pid, addr, buf):
        data = ffi.from_buffer("uint8_t[]", buf, require_writable=True)
        return _checked(lib.hsx_read(self._vm, _u32(pid), addr & _U32, data, len(data)))

    def write(self, pid, addr, buf):
        data = ffi.from_buffer("uint8_t[]", buf)
        return _checked(lib.hsx_write(self._vm, _u32(pid), addr & _U32, data, len(data)))

    def free(self):
        return lib.hsx_free(self._vm)


class FrameRing:
    def __init__(self, frames, place):
        if not (1 <= frames <= lib.HSX_RING_MAX and 0 <= place <= 4):
            raise OSError(22, "")
        self._place = place
        self._data = bytearray(8)
        self._out = ffi.from_buffer("uint8_t[]", self._data)
        self._cells = ffi.new("uint8_t[]", (frames + 1) * lib.HSX_RING_CELL)
        self._ring = ffi.new("hsx_ring_t *")
        lib.hsx_ring_init(self._ring, self._cells, frames)

    def put(self, frame):
        if frame is None:
            return False
        if len(frame) < 3 or len(frame) <= self._place:
            raise OSError(22, "")
        if not frame[2]:
            data = ffi.from_buffer("uint8_t[]", frame[self._place])
            lib.hsx_ring_put(self._ring, _u32(frame[0]), data, len(data))
        return True

    def drain(self, call, now, limit):
        count = 0
        while count < limit and (got := lib.hsx_ring_get(self._ring, self._out)) >= 0:
            call(got & 0x7FF, memoryview(self._data)[: got >> 11], now)
            count += 1
        return count

    def lost(self):
        return self._ring.lost


def interrupt():
    _thread.interrupt_main()


__all__ = [
    "VM",
    "FrameRing",
    "cobs_decode",
    "cobs_encode",
    "ed25519_verify",
    "interrupt",
    "place",
    "slcan_format",
    "slcan_parse",
]
__all__ += [name for name in dir() if name.isupper() and name[0] != "_" and name != "VM"]
