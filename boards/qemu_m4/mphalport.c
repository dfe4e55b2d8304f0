// SPDX-License-Identifier: MIT
// Standard streams on UART 0, and waiting.

#include "py/mphal.h"
#include "py/runtime.h"
#include "py/stream.h"

#include "boards/qemu_m4/uart.h"

// How long output waits for a host that has the port open and does not read, in milliseconds.
#define STDOUT_PATIENCE_MS (500)

static bool stdout_stuck; // since the wait above ran out, until the wire moves again

uintptr_t mp_hal_stdio_poll(uintptr_t poll_flags) {
    uintptr_t ready = 0;
    if ((poll_flags & MP_STREAM_POLL_RD) && uart_rx_any(UART_REPL) > 0) {
        ready |= MP_STREAM_POLL_RD;
    }
    if ((poll_flags & MP_STREAM_POLL_WR) && uart_tx_room(UART_REPL) > 0) {
        ready |= MP_STREAM_POLL_WR;
    }
    return ready;
}

int mp_hal_stdin_rx_chr(void) {
    for (;;) {
        int c = uart_rx_get(UART_REPL);
        if (c >= 0) {
            return c;
        }
        mp_event_wait_indefinite();
    }
}

// Runs no Python while it waits: a callback that prints must not be entered again.
mp_uint_t mp_hal_stdout_tx_strn(const char *str, size_t len) {
    size_t done = 0;
    uint32_t moved_ms = ticks_ms();
    for (;;) {
        size_t sent = uart_tx_put(UART_REPL, (const uint8_t *)str + done, len - done);
        done += sent;
        if (sent > 0) {
            stdout_stuck = false;
            moved_ms = ticks_ms();
        }
        if (done == len) {
            return done;
        }
        if (stdout_stuck || ticks_ms() - moved_ms > STDOUT_PATIENCE_MS) {
            stdout_stuck = true;
            return done;
        }
        wait_for_interrupt();
    }
}

void mp_hal_delay_ms(mp_uint_t ms) {
    uint32_t start = ticks_ms();
    do {
        mp_event_wait_ms(ms);
    } while (ticks_ms() - start < ms);
}

void mp_hal_delay_us(mp_uint_t us) {
    uint32_t start = ticks_us();
    while (ticks_us() - start < us) {
    }
}
