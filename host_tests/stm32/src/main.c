// SPDX-License-Identifier: MIT
//
// An emulated STM32 board: stm32 BOARD name=value...
//
//   mode=batch      until the program ends by semihosting (programs/bare.h), at most `limit` ms of
//                   virtual time (10,000): its exit code, or 2 at the limit
//   mode=control    does the commands that stand in stdin, in virtual time (host.c)
//   mode=live       paced by real time, with a pty for each line, until SIGTERM or SIGINT
//   semihosting=1   a breakpoint is a call of semihosting
//   seed=N          of everything that is random: noise in RAM, random numbers, unique id
//   log=1           resets and faults to stderr
//
// Files that hold what outlives the process: flash, otp, fram, card. Exit code 3: the machine has
// refused something that a real part would refuse, or leave undefined.

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "boards.h"
#include "core.h"
#include "host.h"

static char **settings;  // name=value, ended by NULL
static uint64_t random_state;

const char *setting(const char *name) {
    size_t length = strlen(name);
    for (char **at = settings; *at; at++) {
        if (!strncmp(*at, name, length) && (*at)[length] == '=') {
            return *at + length + 1;
        }
    }
    return NULL;
}

static _Noreturn void usage(const char *why, const char *what) {
    fprintf(stderr, "stm32: %s %s\n", why, what);
    exit(1);
}

static uint8_t *map(const char *path, size_t *size, size_t wanted, uint8_t fill) {
    int file = open(path, O_RDWR | (wanted ? O_CREAT : 0), 0644);
    struct stat status;
    if (file < 0 || fstat(file, &status)) {
        usage(strerror(errno), path);
    }
    size_t has = (size_t)status.st_size;
    *size = wanted ? wanted : has;
    if (has < *size && ftruncate(file, (off_t)*size)) {
        usage(strerror(errno), path);
    }
    uint8_t *bytes = mmap(NULL, *size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (bytes == MAP_FAILED) {
        usage(strerror(errno), path);
    }
    if (has < *size) {
        memset(bytes + has, fill, *size - has);
    }
    return bytes;
}

uint8_t *setting_bytes(const char *name, size_t size, uint8_t fill) {
    const char *path = setting(name);
    if (path) {
        return map(path, &size, size, fill);
    }
    uint8_t *bytes = aligned_alloc(4096, (size + 4095) / 4096 * 4096);
    memset(bytes, fill, size);
    return bytes;
}

uint8_t *file_bytes(const char *path, size_t *size) {
    return map(path, size, 0, 0);
}

uint8_t *setting_file(const char *name, size_t *size) {
    const char *path = setting(name);
    return path ? file_bytes(path, size) : NULL;
}

uint32_t machine_random(void) {
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (uint32_t)(random_state >> 16);
}

static void print_time(void) {
    fprintf(stderr, "%.6f ms: ", (double)now() / (double)MS);
}

void trace(const char *format, ...) {
    if (!setting("log")) {
        return;
    }
    va_list list;
    va_start(list, format);
    print_time();
    vfprintf(stderr, format, list);
    fputc('\n', stderr);
    va_end(list);
}

_Noreturn void refuse(const char *format, ...) {
    va_list list;
    va_start(list, format);
    fflush(stdout);
    print_time();
    fputs("refused: ", stderr);
    vfprintf(stderr, format, list);
    fprintf(stderr, " (pc %08x)\n", (unsigned)core_pc());
    va_end(list);
    exit(3);
}

static const Board *find_board(const char *name) {
    static const Board *const boards[] = {
        &board_pybv11, &board_nucleo_f446re, &board_nucleo_g474re, &board_nucleo_h743zi,
    };
    for (unsigned i = 0; i < sizeof boards / sizeof *boards; i++) {
        if (!strcmp(boards[i]->name, name)) {
            return boards[i];
        }
    }
    usage("no such board:", name);
}

int main(int count, char **arguments) {
    if (count < 2) {
        usage("usage:", "stm32 BOARD name=value...");
    }
    settings = arguments + 2;
    const char *seed = setting("seed"), *mode = setting("mode");
    // Any seed but 0 works; a multiplication spreads small ones.
    random_state = (strtoull(seed ? seed : "1", NULL, 0) + 1) * 0x9e3779b97f4a7c15;
    const Board *board = find_board(arguments[1]);
    core_build(board->part);
    nvic_build(board->part->irqs);
    systick_build();
    scb_build(board->part);
    board->part->build();
    board->build();
    if (mode && !strcmp(mode, "control")) {
        return host_control();
    }
    if (mode && !strcmp(mode, "live")) {
        return host_live();
    }
    return host_batch();
}
