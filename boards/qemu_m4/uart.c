// SPDX-License-Identifier: MIT

#include "py/runtime.h"
#include "shared/runtime/interrupt_char.h"

#include "boards/qemu_m4/mps2.h"
#include "boards/qemu_m4/uart.h"

// One writer, one reader: the writer owns the head, the reader the tail. Sizes are powers of two.
typedef struct {
    volatile uint16_t head;
    volatile uint16_t tail;
} ring_t;

typedef struct {
    ring_t rx;
    ring_t tx;
    uint8_t rx_data[UART_RX_SIZE];
    uint8_t tx_data[UART_TX_SIZE];
} uart_t;

static mps2_uart_t *const registers[UART_COUNT] = {
    (mps2_uart_t *)0x40004000u,
    (mps2_uart_t *)0x40005000u,
    (mps2_uart_t *)0x40006000u,
    (mps2_uart_t *)0x40007000u,
    (mps2_uart_t *)0x40009000u,
};

// The receive interrupt of each; the transmit interrupt is the next.
static const uint8_t interrupts[UART_COUNT] = {0, 2, 4, 18, 20};

static uart_t uarts[UART_COUNT];

static size_t used(const ring_t *ring, size_t size) {
    return (size_t)(ring->head - ring->tail) & (size - 1);
}

void uart_init(void) {
    for (unsigned int id = 0; id < UART_COUNT; id++) {
        registers[id]->bauddiv = 16;
        registers[id]->ctrl = MPS2_UART_CTRL_TXEN;
        for (unsigned int n = 0; n < 2; n++) {
            M4_NVIC_IPR[interrupts[id] + n] = PRIORITY_UART;
            M4_NVIC_ISER = 1u << (interrupts[id] + n);
        }
    }
    uart_receive(UART_REPL, true);
}

void uart_receive(unsigned int id, bool on) {
    uint32_t state = interrupts_off();
    if (on) {
        registers[id]->ctrl |= MPS2_UART_CTRL_RXEN | MPS2_UART_CTRL_RXINT;
    } else {
        registers[id]->ctrl &= ~(MPS2_UART_CTRL_RXEN | MPS2_UART_CTRL_RXINT);
    }
    uarts[id].rx.tail = uarts[id].rx.head;
    interrupts_restore(state);
}

// Interrupts are off, or this is the interrupt.
static void fill_rx(unsigned int id) {
    mps2_uart_t *regs = registers[id];
    uart_t *uart = &uarts[id];
    regs->intstatus = MPS2_UART_INT_RX;
    while (regs->state & MPS2_UART_STATE_RXFULL) {
        bool full = used(&uart->rx, UART_RX_SIZE) == UART_RX_SIZE - 1;
        if (full && id != UART_REPL) {
            return;
        }
        uint8_t byte = (uint8_t)regs->data;
        if (id == UART_REPL && byte == mp_interrupt_char) {
            mp_sched_keyboard_interrupt();
        } else if (!full) {
            uart->rx_data[uart->rx.head] = byte;
            uart->rx.head = (uart->rx.head + 1) & (UART_RX_SIZE - 1);
        }
    }
}

// Interrupts are off, or this is the interrupt.
static void drain_tx(unsigned int id) {
    mps2_uart_t *regs = registers[id];
    uart_t *uart = &uarts[id];
    regs->intstatus = MPS2_UART_INT_TX;
    while (uart->tx.tail != uart->tx.head && !(regs->state & MPS2_UART_STATE_TXFULL)) {
        regs->data = uart->tx_data[uart->tx.tail];
        uart->tx.tail = (uart->tx.tail + 1) & (UART_TX_SIZE - 1);
    }
    if (uart->tx.tail != uart->tx.head) {
        regs->ctrl |= MPS2_UART_CTRL_TXINT;
    } else {
        regs->ctrl &= ~MPS2_UART_CTRL_TXINT;
    }
}

// A byte may wait on the wire for room that was just made.
static void take_what_waits(unsigned int id) {
    if (registers[id]->state & MPS2_UART_STATE_RXFULL) {
        uint32_t state = interrupts_off();
        fill_rx(id);
        interrupts_restore(state);
    }
}

size_t uart_rx_any(unsigned int id) {
    return used(&uarts[id].rx, UART_RX_SIZE);
}

int uart_rx_get(unsigned int id) {
    uart_t *uart = &uarts[id];
    if (uart->rx.tail == uart->rx.head) {
        return -1;
    }
    int byte = uart->rx_data[uart->rx.tail];
    uart->rx.tail = (uart->rx.tail + 1) & (UART_RX_SIZE - 1);
    take_what_waits(id);
    return byte;
}

size_t uart_rx_take(unsigned int id, uint8_t *data, size_t len) {
    uart_t *uart = &uarts[id];
    size_t here = uart_rx_any(id);
    if (len > here) {
        len = here;
    }
    uint16_t tail = uart->rx.tail;
    for (size_t i = 0; i < len; i++) {
        data[i] = uart->rx_data[tail];
        tail = (tail + 1) & (UART_RX_SIZE - 1);
    }
    uart->rx.tail = tail;
    take_what_waits(id);
    return len;
}

size_t uart_tx_room(unsigned int id) {
    return UART_TX_SIZE - 1 - used(&uarts[id].tx, UART_TX_SIZE);
}

bool uart_tx_idle(unsigned int id) {
    return uarts[id].tx.tail == uarts[id].tx.head;
}

size_t uart_tx_put(unsigned int id, const uint8_t *data, size_t len) {
    uart_t *uart = &uarts[id];
    size_t room = uart_tx_room(id);
    if (len > room) {
        len = room;
    }
    for (size_t i = 0; i < len; i++) {
        uart->tx_data[uart->tx.head] = data[i];
        uart->tx.head = (uart->tx.head + 1) & (UART_TX_SIZE - 1);
    }
    uint32_t state = interrupts_off();
    drain_tx(id);
    interrupts_restore(state);
    return len;
}

void uart_panic_write(const char *text) {
    mps2_uart_t *regs = registers[UART_REPL];
    for (; *text; text++) {
        for (int tries = 0; regs->state & MPS2_UART_STATE_TXFULL; tries++) {
            if (tries == 100000) {
                return;
            }
        }
        regs->data = (uint8_t)*text;
    }
}

void uart_irq_handler(void) {
    uint32_t exception;
    __asm volatile ("mrs %0, ipsr" : "=r" (exception));
    uint32_t irq = exception - 16;
    unsigned int id = irq < 6 ? irq / 2 : 3 + (irq - 18) / 2;
    if (irq & 1) {
        drain_tx(id);
    } else {
        fill_rx(id);
    }
}
