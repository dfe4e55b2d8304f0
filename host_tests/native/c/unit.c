// SPDX-License-Identifier: MIT

#include "unit.h"

#include <string.h>

#include "internal.h"

void bench_make(bench_t *b, size_t pool_len, uint32_t tasks, bool flat) {
    b->pool = malloc(pool_len != 0 ? pool_len : 1);
    b->tasks = malloc(tasks * sizeof *b->tasks);
    CHECK(b->pool != NULL && b->tasks != NULL);
    memset(b->pool, 0xEE, pool_len);
    memset(b->tasks, 0xEE, tasks * sizeof *b->tasks);  // need not be cleared
    hsx_cfg_t cfg = {b->pool, pool_len, b->tasks, tasks, flat};
    CHECK(hsx_init(&b->vm, &cfg) == 0);
}

void bench_drop(bench_t *b) {
    for (uint32_t pid = 1; pid <= b->vm.task_count; pid++) {
        CHECK(hsx_state(&b->vm, pid) == HSX_ESRCH);
    }
    CHECK_EQ(hsx_free(&b->vm), b->vm.pool_len);
    free(b->pool);
    free(b->tasks);
}

void put32(image_t *image, size_t at, uint32_t value) {
    for (size_t i = 0; i < 4; i++) {
        image->bytes[at + i] = (uint8_t)(value >> (24 - 8 * i));
    }
}

void seal(image_t *image) {
    size_t header = image->bytes[5] == 1 ? 32 : 96;
    uint32_t crc = hsx_crc32(0, image->bytes, AT_CRC);
    put32(image, AT_CRC, hsx_crc32(crc, image->bytes + header, image->len - header));
}

image_t image_of(const uint32_t *words, size_t count, const char *rodata) {
    image_t image = {.len = 32 + 4 * count + strlen(rodata)};
    memcpy(image.bytes, "HSXE\0\1\0\2", 8);
    put32(&image, AT_CODE_LEN, (uint32_t)(4 * count));
    put32(&image, AT_RO_LEN, (uint32_t)strlen(rodata));
    for (size_t i = 0; i < count; i++) {
        put32(&image, 32 + 4 * i, words[i]);
    }
    memcpy(image.bytes + 32 + 4 * count, rodata, strlen(rodata));
    seal(&image);
    return image;
}

image_t as_version_2(const image_t *image) {
    image_t made = {.len = image->len + 64};
    memcpy(made.bytes, image->bytes, 32);
    memcpy(made.bytes + 96, image->bytes + 32, image->len - 32);
    made.bytes[5] = 2;
    seal(&made);
    return made;
}

uint32_t load_words(bench_t *b, const uint32_t *words, size_t count, uint32_t stack) {
    image_t image = image_of(words, count, "");
    int pid = hsx_load(&b->vm, image.bytes, image.len, stack);
    CHECK(pid > 0);
    return (uint32_t)pid;
}

uint32_t get(const bench_t *b, uint32_t pid, uint32_t which) {
    uint32_t value = 0;
    CHECK(hsx_get(&b->vm, pid, which, &value) == 0);
    return value;
}

void set(bench_t *b, uint32_t pid, uint32_t which, uint32_t value) {
    CHECK(hsx_set(&b->vm, pid, which, value) == 0);
}

int main(void) {
    run_pool_tests();
    run_loader_tests();
    run_task_tests();
    run_clock_tests();
    run_memory_tests();
    run_float16_tests();
    run_cobs_tests();
    run_frame_ring_tests();
    run_slcan_tests();
    return 0;
}
