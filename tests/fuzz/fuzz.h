/* SPDX-License-Identifier: MIT */
/*
 * A fuzz target is one C file here with LLVMFuzzerTestOneInput(): built by clang with -DFLOWCARVE_FUZZ=ON it is a
 * libFuzzer program, otherwise tests/fuzz/replay.c gives it the files of a corpus. What a target finds wrong ends the
 * process.
 */
#ifndef FC_TEST_FUZZ_H
#define FC_TEST_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Ends the process where the condition does not hold, whatever NDEBUG says. */
#define HOLDS(condition)                                                                                               \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #condition);                             \
            abort();                                                                                                   \
        }                                                                                                              \
    } while (0)

#endif
