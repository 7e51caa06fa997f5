/* SPDX-License-Identifier: MIT */
/* Any bytes behind a pcap magic number. The last two bytes of the input choose where the file is cut into parts. */
#include "walk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 6)
        return 0;
    uint32_t magic;
    memcpy(&magic, data, 4);
    if (magic == 0x0a0d0d0a)
        return 0;
    walk_bytes(data, size - 2, data[size - 1] * 257u + data[size - 2]);
    return 0;
}
