// SPDX-License-Identifier: MIT
//
// Inputs from files, one after the other, for compilers without libFuzzer:
//     replay FILE...

#include "check.h"
#include "harness.h"

enum { MAX_INPUT = 1 << 17 };

int main(int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        FILE *file = fopen(argv[i], "rb");
        if (file == NULL) {
            perror(argv[i]);
            return 2;
        }
        uint8_t *data = malloc(MAX_INPUT);
        CHECK(data != NULL);
        size_t size = fread(data, 1, MAX_INPUT, file);
        uint8_t *exact = realloc(data, size != 0 ? size : 1);  // so that it ends where it ends
        CHECK(exact != NULL);
        fclose(file);
        printf("%s\n", argv[i]);  // before: the last one named is the one that aborts
        fflush(stdout);
        LLVMFuzzerTestOneInput(exact, size);
        free(exact);
    }
    return 0;
}
