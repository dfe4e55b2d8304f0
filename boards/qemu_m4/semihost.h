// SPDX-License-Identifier: MIT
// Host files through ARM semihosting. Every call stops the machine until the host has answered.
#ifndef QEMU_M4_SEMIHOST_H
#define QEMU_M4_SEMIHOST_H

#include <stddef.h>
#include <stdint.h>

typedef enum {
    SEMIHOST_READ = 1, // "rb"
    SEMIHOST_UPDATE = 3, // "r+b"
} semihost_mode_t;

// A handle, or -1.
int semihost_open(const char *path, semihost_mode_t mode);
void semihost_close(int handle);

// Length in bytes, or -1.
int semihost_length(int handle);

// 0, or -1 unless all bytes at `offset` were read or written.
int semihost_read(int handle, uint32_t offset, uint8_t *buf, size_t len);
int semihost_write(int handle, uint32_t offset, const uint8_t *buf, size_t len);

// The arguments that the host gave the machine, joined by spaces; 0, or -1 if they do not fit.
int semihost_arguments(char *buf, size_t size);

// Ends the emulator at once.
__attribute__((noreturn)) void semihost_exit(void);

#endif
