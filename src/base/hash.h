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

/* 48 bytes, the size of a flow key. */
static inline uint64_t fc_hash48(const void *data, uint64_t seed)
{
    uint64_t w[6];

    memcpy(w, data, sizeof w);
    uint64_t h = fc_hash_fold(w[0] ^ seed, w[1] ^ 0xa0761d6478bd642full);
    h ^= fc_hash_fold(w[2] ^ seed ^ 0xe7037ed1a0b428dbull, w[3] ^ 0x8ebc6af09c88c6e3ull);
    h ^= fc_hash_fold(w[4] ^ seed ^ 0x589965cc75374cc3ull, w[5] ^ 0x1d8e4e27c47d124full);
    return fc_hash_fold(h ^ seed, 0xeb44accab455d165ull);
}

/* Any length. */
uint64_t fc_hash_bytes(const void *data, size_t len, uint64_t seed);

/* A seed nobody outside can know (getrandom). */
uint64_t fc_hash_secret(void);

#endif
