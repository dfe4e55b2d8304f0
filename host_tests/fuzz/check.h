// SPDX-License-Identifier: MIT
//
// The one way in which a harness says that something is wrong: print and abort, which fuzzers and
// sanitizers take for a crash.
#ifndef FUZZ_CHECK_H
#define FUZZ_CHECK_H

#include <stdio.h>
#include <stdlib.h>

#define CHECK(condition)                                                              \
    do {                                                                              \
        if (!(condition)) {                                                           \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);   \
            abort();                                                                  \
        }                                                                             \
    } while (0)

// The same for two numbers, which it shows.
#define CHECK_EQ(left, right)                                                            \
    do {                                                                                 \
        unsigned long long left_ = (unsigned long long)(left);                           \
        unsigned long long right_ = (unsigned long long)(right);                         \
        if (left_ != right_) {                                                           \
            fprintf(stderr, "%s:%d: not equal: %s = 0x%llx, %s = 0x%llx\n", __FILE__,    \
                    __LINE__, #left, left_, #right, right_);                             \
            abort();                                                                     \
        }                                                                                \
    } while (0)

#endif
