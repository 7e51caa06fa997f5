/* SPDX-License-Identifier: MIT */
/* Any bytes as a xz file. */
#include "unpack.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return unpack_bytes(FC_COMPRESSION_XZ, data, size);
}
