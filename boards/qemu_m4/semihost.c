// SPDX-License-Identifier: MIT
// Operation numbers and argument blocks: ARM "Semihosting for AArch32 and AArch64", section 6.

#include <string.h>

#include "boards/qemu_m4/semihost.h"

enum {
    SYS_OPEN = 0x01,
    SYS_CLOSE = 0x02,
    SYS_WRITE = 0x05,
    SYS_READ = 0x06,
    SYS_SEEK = 0x0A,
    SYS_FLEN = 0x0C,
    SYS_GET_CMDLINE = 0x15,
    SYS_EXIT = 0x18,
};

static int call(uint32_t operation, void *block) {
    register uint32_t r0 __asm("r0") = operation;
    register void *r1 __asm("r1") = block;
    __asm volatile ("bkpt 0xAB" : "+r" (r0) : "r" (r1) : "memory");
    return (int)r0;
}

int semihost_open(const char *path, semihost_mode_t mode) {
    uint32_t block[] = {(uint32_t)path, mode, strlen(path)};
    return call(SYS_OPEN, block);
}

void semihost_close(int handle) {
    uint32_t block[] = {(uint32_t)handle};
    call(SYS_CLOSE, block);
}

int semihost_length(int handle) {
    uint32_t block[] = {(uint32_t)handle};
    return call(SYS_FLEN, block);
}

// Reading and writing return how many bytes are left to do.
static int transfer(uint32_t operation, int handle, uint32_t offset, const void *buf, size_t len) {
    uint32_t seek[] = {(uint32_t)handle, offset};
    if (call(SYS_SEEK, seek) != 0) {
        return -1;
    }
    uint32_t block[] = {(uint32_t)handle, (uint32_t)buf, len};
    return call(operation, block) == 0 ? 0 : -1;
}

int semihost_read(int handle, uint32_t offset, uint8_t *buf, size_t len) {
    return transfer(SYS_READ, handle, offset, buf, len);
}

int semihost_write(int handle, uint32_t offset, const uint8_t *buf, size_t len) {
    return transfer(SYS_WRITE, handle, offset, buf, len);
}

int semihost_arguments(char *buf, size_t size) {
    uint32_t block[] = {(uint32_t)buf, size};
    return call(SYS_GET_CMDLINE, block);
}

void semihost_exit(void) {
    call(SYS_EXIT, (void *)0x20026); // ADP_Stopped_ApplicationExit
    for (;;) {
    }
}
