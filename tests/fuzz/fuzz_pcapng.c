/* SPDX-License-Identifier: MIT */
/*
 * Any bytes behind the first four of a pcapng. The last two bytes of the input choose where the file is cut into parts.
 */
#include "walk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 6)
        return 0;
    uint8_t *copy = malloc(size);
    HOLDS(copy);
    memcpy(copy, data, size);
    memcpy(copy, "\x0a\x0d\x0d\x0a", 4);
    walk_bytes(copy, size - 2, data[size - 1] * 257u + data[size - 2]);
    free(copy);
    return 0;
}
