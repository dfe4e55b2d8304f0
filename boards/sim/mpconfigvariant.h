// SPDX-License-Identifier: MIT
// MicroPython's options for the node on a PC. What is built at all is chosen in mpconfigvariant.mk.

#include <stdint.h>

#define MICROPY_CONFIG_ROM_LEVEL (MICROPY_CONFIG_ROM_LEVEL_EXTRA_FEATURES)

#include "ports/unix/variants/mpconfigvariant_common.h"

// Ctrl-C waits for the end of a scheduled callback, as on a board: raised in the signal's handler,
// it would tear a poll apart.
#undef MICROPY_ASYNC_KBD_INTR
#define MICROPY_ASYNC_KBD_INTR (0)

// ticker.c queues its callback from a signal's handler: the queue is changed with signals held.
#define MICROPY_SCHEDULER_STATIC_NODES (1)
#define MICROPY_SCHEDULER_DEPTH (8)
uintptr_t ticker_hold_signals(void);
void ticker_release_signals(uintptr_t state);
#define MICROPY_BEGIN_ATOMIC_SECTION() ticker_hold_signals()
#define MICROPY_END_ATOMIC_SECTION(state) ticker_release_signals(state)

#define MICROPY_PY_MICROPYTHON_HEAP_LOCKED (1)
