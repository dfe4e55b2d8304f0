# SPDX-License-Identifier: MIT
"""Builds `hsxvm._core`, the C core for CPython (cffi, API mode).

`pip install` does it through `cffi_modules`; run as a script, this file builds in `build/cffi` and
puts the result beside itself.
"""

import os
from importlib.machinery import EXTENSION_SUFFIXES

from cffi import FFI

_HERE = os.path.dirname(os.path.abspath(__file__))
_NATIVE = os.path.dirname(_HERE)
_ROOT = os.path.dirname(os.path.dirname(_NATIVE))
_CACHE = os.environ.get("CACHE") or os.path.join(_ROOT, ".cache")
_MONOCYPHER = os.environ.get("MONOCYPHER_DIR") or os.path.join(_CACHE, "monocypher-4.0.3")
_SOURCES = (
    "cobs.c",
    "crc32.c",
    "ed25519.c",
    "float16.c",
    "frame_ring.c",
    "loader.c",
    "sha512.c",
    "slcan.c",
    "task.c",
    "vm.c",
)
_HEADERS = (
    "cobs.h",
    "ed25519.h",
    "frame_ring.h",
    "hsxvm.h",
    "internal.h",
    "memory.h",
    "opcodes.h",
    "slcan.h",
)
_CDEF = """
    typedef struct { ...; } hsx_task_t;
    typedef struct { ...; } hsx_vm_t;
    typedef struct { int err; uint32_t offset; uint32_t rule; } hsx_error_t;
    typedef struct {
        uint8_t *pool; size_t pool_len; hsx_task_t *tasks; uint32_t task_count; bool flat;
    } hsx_cfg_t;

    int hsx_init(hsx_vm_t *vm, const hsx_cfg_t *cfg);
    int hsx_load_begin(hsx_vm_t *vm, uint32_t wanted);
    int hsx_load_write(hsx_vm_t *vm, uint32_t pid, const uint8_t *buf, size_t len, size_t *body);
    int hsx_load_heap(hsx_vm_t *vm, uint32_t pid, uint32_t size);
    int hsx_load_end(hsx_vm_t *vm, uint32_t pid, uint32_t stack);
    int hsx_load_abort(hsx_vm_t *vm, uint32_t pid);
    int hsx_load(hsx_vm_t *vm, const uint8_t *buf, size_t len, uint32_t stack);
    const hsx_error_t *hsx_load_error(const hsx_vm_t *vm);
    int hsx_unload(hsx_vm_t *vm, uint32_t pid);
    int hsx_state(const hsx_vm_t *vm, uint32_t pid);
    uint32_t hsx_free(const hsx_vm_t *vm);
    int hsx_clock(hsx_vm_t *vm, uint32_t pid, uint32_t steps);
    int hsx_get(const hsx_vm_t *vm, uint32_t pid, uint32_t which, uint32_t *value);
    int hsx_set(hsx_vm_t *vm, uint32_t pid, uint32_t which, uint32_t value);
    int hsx_read(const hsx_vm_t *vm, uint32_t pid, uint32_t addr, uint8_t *buf, size_t len);
    int hsx_write(hsx_vm_t *vm, uint32_t pid, uint32_t addr, const uint8_t *buf, size_t len);
    bool hsx_ed25519_verify(
        const uint8_t *key, size_t key_len, const uint8_t *message, size_t message_len,
        const uint8_t *signature, size_t signature_len
    );

    typedef struct { volatile uint32_t lost; ...; } hsx_ring_t;
    enum { HSX_RING_CELL, HSX_RING_MAX, ... };

    void hsx_ring_init(hsx_ring_t *ring, uint8_t *cells, uint32_t frames);
    int hsx_ring_put(hsx_ring_t *ring, uint32_t ident, const uint8_t *data, size_t len);
    int hsx_ring_get(hsx_ring_t *ring, uint8_t data[8]);

    enum { HSX_SLCAN_LINE, ... };

    int hsx_slcan_parse(const uint8_t *line, size_t len, uint8_t data[8]);
    size_t hsx_slcan_format(uint32_t ident, const uint8_t *data, size_t len, uint8_t *line);

    int hsx_cobs_encode(
        uint8_t *buf, size_t buf_len, size_t at, size_t content, size_t len
    );
    size_t hsx_cobs_decode(
        uint8_t *state, uint8_t *out, size_t room, const uint8_t *in, size_t len
    );
    """


def _builder(native: str, monocypher: str) -> FFI:
    """The build with the sources in the folders `native` and `monocypher`."""
    builder = FFI()
    builder.cdef(_CDEF)
    builder.set_source(
        "hsxvm._core",
        '#include "cobs.h"\n#include "ed25519.h"\n#include "frame_ring.h"\n'
        '#include "hsxvm.h"\n#include "slcan.h"',
        sources=[
            *(os.path.join(native, name) for name in _SOURCES),
            os.path.join(monocypher, "monocypher.c"),
        ],
        include_dirs=[native, monocypher],
        depends=[os.path.join(native, name) for name in _HEADERS],
        extra_compile_args=["-O2"],
    )
    return builder


# setuptools wants paths relative to the project's root, where it runs.
ffibuilder = _builder(os.path.relpath(_NATIVE), os.path.relpath(_MONOCYPHER))


def _build_in_place() -> str:
    build = os.path.join(_ROOT, "build", "cffi")
    built = _builder(_NATIVE, _MONOCYPHER).compile(tmpdir=build)
    # The name that pip gives it, so that there is never an older one in front of a newer one.
    stable = [suffix for suffix in EXTENSION_SUFFIXES if "abi3" in suffix]
    target = os.path.join(_HERE, "_core" + (stable or EXTENSION_SUFFIXES)[0])
    os.replace(built, target)  # never written over: a running process may have it mapped
    return target


if __name__ == "__main__":
    print(_build_in_place())
