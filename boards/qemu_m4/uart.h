// SPDX-License-Identifier: MIT
// The five UARTs with their rings. UART 0 carries the REPL; 1 to 4 are machine.UART.
//
// The emulated wire has no bit rate: a host may hand over any amount at once. UARTs 1 to 4
// therefore leave a byte that finds no room on the wire, and the host waits. UART 0 throws it away,
// because it must go on looking for Ctrl-C.
#ifndef QEMU_M4_UART_H
#define QEMU_M4_UART_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define UART_COUNT (5)
#define UART_REPL (0)
#define UART_RX_SIZE (2048) // bytes a receive ring holds, plus one
#define UART_TX_SIZE (4096) // bytes a transmit ring holds, plus one

// Once, before main: all transmitters on, the receiver of UART 0 on.
void uart_init(void);

// Starts or stops receiving; both forget what was received and not read.
void uart_receive(unsigned int id, bool on);

size_t uart_rx_any(unsigned int id);
int uart_rx_get(unsigned int id); // -1 if nothing is there
size_t uart_rx_take(unsigned int id, uint8_t *data, size_t len); // how many were there
size_t uart_tx_room(unsigned int id);
bool uart_tx_idle(unsigned int id);
size_t uart_tx_put(unsigned int id, const uint8_t *data, size_t len); // how many it took

// For the fault handler: polls, needs neither rings nor interrupts, gives up on a stuck wire.
void uart_panic_write(const char *text);

void uart_irq_handler(void);

#endif
