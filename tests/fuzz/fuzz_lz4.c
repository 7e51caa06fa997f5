/* SPDX-License-Identifier: MIT */
/* Any bytes as a lz4 file. */
#include "unpack.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return unpack_bytes(FC_COMPRESSION_LZ4, data, size);
}
