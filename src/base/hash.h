/* SPDX-License-Identifier: MIT */
/*
 * A keyed 64-bit hash by folded 64x64 multiplication (the scheme of wyhash). With a secret seed it keeps a capture's
 * author from choosing flows that collide; with a fixed seed it serves as a fingerprint of content. A hash only chooses
 * a bucket: whoever needs identity compares the full bytes.
 */
#ifndef FC_BASE_HASH_H
#define FC_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint64_t fc_hash_fold(uint64_t a, uint64_t b)
{
    __uint128_t m = (__uint128_t)a * b;
    return (uint64_t)m ^ (uint64_t)(m >> 64);
}

/*
 * Takes in 16 bytes. The state is in both factors: were it in one only, whoever makes the other one zero would wipe out
 * all that went before, under every seed.
 */
static inline uint64_t fc_hash_mix(uint64_t state, uint64_t w0, uint64_t w1)
{
    return fc_hash_fold(w0 ^ state, w1 ^ (state << 32 | state >> 32) ^ 0xa0761d6478bd642full);
}

/*
 * 48 bytes, the size of a flow key. One after the other, not side by side: products that are XORed cancel out where an
 * author makes them equal, which needs no seed either.
 */
static inline uint64_t fc_hash48(const void *data, uint64_t seed)
{
    uint64_t w[6];

    memcpy(w, data, sizeof w);
    uint64_t h = fc_hash_mix(seed, w[0], w[1]);
    h = fc_hash_mix(h ^ seed, w[2], w[3]);
    h = fc_hash_mix(h ^ seed, w[4], w[5]);
    return fc_hash_fold(h ^ seed, 0xeb44accab455d165ull);
}

/* Any length. */
uint64_t fc_hash_bytes(const void *data, size_t len, uint64_t seed);

/* A seed nobody outside can know (getrandom). */
uint64_t fc_hash_secret(void);

#endif
