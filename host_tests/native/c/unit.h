// SPDX-License-Identifier: MIT
//
// Unit tests of the core in C, for sanitizers that see every byte: each arena is allocated to the
// byte. A failed check prints itself and aborts (check.h).
#ifndef UNIT_H
#define UNIT_H

#include "check.h"
#include "hsxvm.h"

// Prints the name, so that the last one printed is the one that failed.
#define RUN(test)                 \
    do {                          \
        printf("%s\n", #test);    \
        fflush(stdout);           \
        test();                   \
    } while (0)

// A VM in memory of its own.
typedef struct bench {
    hsx_vm_t vm;
    hsx_task_t *tasks;
    uint8_t *pool;
} bench_t;

void bench_make(bench_t *b, size_t pool_len, uint32_t tasks, bool flat);

// Every byte and every PID is back. Then gives the memory back.
void bench_drop(bench_t *b);

// A version 1 image; change its fields before sealing it.
typedef struct image {
    uint8_t bytes[1024];
    size_t len;
} image_t;

enum { AT_ENTRY = 0x08, AT_CODE_LEN = 0x0C, AT_RO_LEN = 0x10, AT_BSS = 0x14, AT_CRC = 0x1C };

image_t image_of(const uint32_t *words, size_t count, const char *rodata);
image_t as_version_2(const image_t *image);
void put32(image_t *image, size_t at, uint32_t value);
void seal(image_t *image);  // sets the CRC

// The PID of a program that has loaded; `stack` bytes.
uint32_t load_words(bench_t *b, const uint32_t *words, size_t count, uint32_t stack);

#define LOAD(b, stack, ...)                                                    \
    load_words(b, (const uint32_t[]){__VA_ARGS__},                             \
               sizeof((const uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t), stack)

#define IMAGE(rodata, ...)                                                     \
    image_of((const uint32_t[]){__VA_ARGS__},                                  \
             sizeof((const uint32_t[]){__VA_ARGS__}) / sizeof(uint32_t), rodata)

uint32_t get(const bench_t *b, uint32_t pid, uint32_t which);
void set(bench_t *b, uint32_t pid, uint32_t which, uint32_t value);

// Stop and detail as hsx_clock() gives them
#define STOP(reason, detail) ((int)(HSX_STOP_##reason | (uint32_t)(detail) << 8))
#define FAULT(name) STOP(FAULT, HSX_FAULT_##name)

enum { RET = 0x25000000, SPIN = 0x21000000 };

void run_pool_tests(void);
void run_loader_tests(void);
void run_task_tests(void);
void run_clock_tests(void);
void run_memory_tests(void);
void run_float16_tests(void);
void run_cobs_tests(void);
void run_frame_ring_tests(void);
void run_slcan_tests(void);

#endif
