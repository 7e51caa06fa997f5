/* SPDX-License-Identifier: MIT */
#include "base/sha1.h"

#include <assert.h>
#include <string.h>

static uint32_t rotate(uint32_t v, unsigned bits)
{
    return v << bits | v >> (32 - bits);
}

/* The function of the step, and the constant that goes with it. */
static uint32_t mix(unsigned step, uint32_t b, uint32_t c, uint32_t d)
{
    if (step < 20)
        return ((b & c) | (~b & d)) + 0x5a827999;
    if (step < 40)
        return (b ^ c ^ d) + 0x6ed9eba1;
    if (step < 60)
        return ((b & c) | (b & d) | (c & d)) + 0x8f1bbcdc;
    return (b ^ c ^ d) + 0xca62c1d6;
}

void fc_sha1_short(const uint8_t *message, size_t len, uint8_t digest[FC_SHA1_SIZE])
{
    static const uint32_t start[5] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
    uint32_t w[80], h[5];
    uint8_t block[64] = {0};

    assert(len <= FC_SHA1_SHORT);
    memcpy(block, message, len);
    block[len] = 0x80;
    block[62] = (uint8_t)(len >> 5);
    block[63] = (uint8_t)(len << 3);
    for (unsigned i = 0; i < 16; i++)
        w[i] = (uint32_t)block[4 * i] << 24 | (uint32_t)block[4 * i + 1] << 16 | (uint32_t)block[4 * i + 2] << 8 |
               block[4 * i + 3];
    for (unsigned i = 16; i < 80; i++)
        w[i] = rotate(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
    memcpy(h, start, sizeof h);
    for (unsigned i = 0; i < 80; i++) {
        uint32_t next = rotate(h[0], 5) + mix(i, h[1], h[2], h[3]) + h[4] + w[i];
        h[4] = h[3];
        h[3] = h[2];
        h[2] = rotate(h[1], 30);
        h[1] = h[0];
        h[0] = next;
    }
    for (unsigned i = 0; i < 5; i++)
        for (unsigned k = 0; k < 4; k++)
            digest[4 * i + k] = (uint8_t)((h[i] + start[i]) >> (24 - 8 * k));
}
