// SPDX-License-Identifier: MIT
//
// Guest memory: what exists, from inside and from outside.

#include "unit.h"

#include <string.h>

enum { STACK = 16, LIMIT = HSX_STACK_TOP - STACK };

// "data" and 3 bytes of bss make 8 bytes of data window; the pool ends where the stack does.
static uint32_t load_data(bench_t *b, uint32_t word, bool flat) {
    image_t image = IMAGE("data", word);
    put32(&image, AT_BSS, 3);
    seal(&image);
    bench_make(b, flat ? 8 + 0x10000 : 8 + 8 + STACK + 4, 1, flat);
    CHECK(hsx_load(&b->vm, image.bytes, image.len, STACK) == 1);
    return 1;
}

static bool exists(uint32_t addr, uint32_t size) {
    return (addr >= HSX_DATA_BASE && addr + size <= HSX_DATA_BASE + 8) ||
           (addr >= LIMIT && addr + size <= 0x10000);
}

static void loads_and_stores_reach_all_that_exists_and_nothing_else(void) {
    static const struct {
        uint32_t word;  // R2 or [R1] from the other
        uint32_t size;
    } ops[] = {{0x02210000, 4}, {0x06210000, 1}, {0x07210000, 2},
               {0x03012000, 4}, {0x08012000, 1}, {0x09012000, 2}};
    for (size_t op = 0; op < sizeof ops / sizeof ops[0]; op++) {
        for (uint32_t addr = HSX_DATA_BASE - 8; addr < 0x10000; addr++) {
            if (addr == HSX_DATA_BASE + 16) {
                addr = LIMIT - 8;
            }
            bench_t b;
            uint32_t pid = load_data(&b, ops[op].word, false);
            set(&b, pid, 1, addr);
            int stop = hsx_clock(&b.vm, pid, 1);
            CHECK(stop == (exists(addr, ops[op].size) ? STOP(OK, 0) : FAULT(MEM)));
            CHECK(hsx_unload(&b.vm, pid) == 0);
            bench_drop(&b);
        }
    }
}

static void an_address_has_sixteen_bits(void) {
    bench_t b;
    uint32_t pid = load_data(&b, 0x02210FFC, false);  // LD R2, [R1 - 4]
    set(&b, pid, 1, 0xABC04004);
    CHECK(hsx_clock(&b.vm, pid, 1) == STOP(OK, 0));
    CHECK_EQ(get(&b, pid, 2), 0x61746164);  // "data"
    CHECK(hsx_unload(&b.vm, pid) == 0);
    bench_drop(&b);
}

static void copies_stop_at_the_end_of_their_window(void) {
    bench_t b;
    uint8_t bytes[64];
    uint32_t pid = load_data(&b, RET, false);
    memset(bytes, 0x77, sizeof bytes);
    CHECK(hsx_read(&b.vm, pid, HSX_DATA_BASE, bytes, sizeof bytes) == 8);
    CHECK(memcmp(bytes, "data\0\0\0\0\x77", 9) == 0);
    CHECK(hsx_write(&b.vm, pid, HSX_DATA_BASE + 6, (const uint8_t *)"xyz", 3) == 2);
    CHECK(hsx_read(&b.vm, pid, HSX_DATA_BASE + 6, bytes, 3) == 2);
    CHECK(memcmp(bytes, "xy", 2) == 0);
    CHECK(hsx_read(&b.vm, pid, LIMIT, bytes, sizeof bytes) == STACK + 4);
    CHECK(hsx_write(&b.vm, pid, 0xFFFF, bytes, 2) == 1);
    CHECK(hsx_read(&b.vm, pid, 0x7FFF4000, bytes, 4) == 4);  // sixteen bits here too
    CHECK(hsx_unload(&b.vm, pid) == 0);
    bench_drop(&b);
}

static void where_nothing_is_mapped_nothing_is_copied(void) {
    static const uint32_t nowhere[] = {0, HSX_DATA_BASE - 1, HSX_DATA_BASE + 8, LIMIT - 1};
    bench_t b;
    uint8_t byte = 0x77;
    uint32_t pid = load_data(&b, RET, false);
    for (size_t i = 0; i < sizeof nowhere / sizeof nowhere[0]; i++) {
        CHECK(hsx_read(&b.vm, pid, nowhere[i], &byte, 1) == 0);
        CHECK(hsx_write(&b.vm, pid, nowhere[i], &byte, 1) == 0);
    }
    CHECK_EQ(byte, 0x77);
    CHECK(hsx_read(&b.vm, pid, HSX_DATA_BASE, &byte, 0) == 0);
    CHECK(hsx_unload(&b.vm, pid) == 0);
    bench_drop(&b);
}

static void a_task_without_data_has_its_stack(void) {
    bench_t b;
    uint8_t byte;
    bench_make(&b, 8 + STACK + 4, 1, false);
    uint32_t pid = LOAD(&b, STACK, RET);
    CHECK(hsx_read(&b.vm, pid, HSX_DATA_BASE, &byte, 1) == 0);
    CHECK(hsx_read(&b.vm, pid, LIMIT, &byte, 1) == 1);
    CHECK(hsx_unload(&b.vm, pid) == 0);
    bench_drop(&b);
}

static void the_flat_profile_has_every_byte(void) {
    for (uint32_t addr = 0; addr < 0x10000; addr += addr < 0xFFF8 && addr > 8 ? 0x3FFC : 1) {
        bench_t b;
        uint32_t pid = load_data(&b, 0x02210000, true);
        set(&b, pid, 1, addr);
        CHECK(hsx_clock(&b.vm, pid, 1) == (addr <= 0xFFFC ? STOP(OK, 0) : FAULT(MEM)));
        CHECK(hsx_unload(&b.vm, pid) == 0);
        bench_drop(&b);
    }
}

static void what_a_task_left_the_next_one_does_not_see(void) {
    for (int flat = 0; flat < 2; flat++) {
        bench_t b;
        uint8_t bytes[STACK + 4];
        static const uint8_t zeros[STACK + 4];
        uint32_t pid = load_data(&b, RET, flat != 0);
        memset(bytes, 0x77, sizeof bytes);
        CHECK(hsx_write(&b.vm, pid, LIMIT, bytes, sizeof bytes) == STACK + 4);
        CHECK(hsx_write(&b.vm, pid, HSX_DATA_BASE, bytes, 8) == 8);
        CHECK(hsx_unload(&b.vm, pid) == 0);
        image_t image = IMAGE("data", RET);
        put32(&image, AT_BSS, 3);
        seal(&image);
        CHECK(hsx_load(&b.vm, image.bytes, image.len, STACK) == 1);
        CHECK(hsx_read(&b.vm, pid, LIMIT, bytes, sizeof bytes) == STACK + 4);
        CHECK(memcmp(bytes, zeros, sizeof bytes) == 0);
        CHECK(hsx_read(&b.vm, pid, HSX_DATA_BASE, bytes, 8) == 8);
        CHECK(memcmp(bytes, "data\0\0\0\0", 8) == 0);
        CHECK(hsx_unload(&b.vm, pid) == 0);
        bench_drop(&b);
    }
}

void run_memory_tests(void) {
    RUN(loads_and_stores_reach_all_that_exists_and_nothing_else);
    RUN(an_address_has_sixteen_bits);
    RUN(copies_stop_at_the_end_of_their_window);
    RUN(where_nothing_is_mapped_nothing_is_copied);
    RUN(a_task_without_data_has_its_stack);
    RUN(the_flat_profile_has_every_byte);
    RUN(what_a_task_left_the_next_one_does_not_see);
}
