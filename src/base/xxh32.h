/* SPDX-License-Identifier: MIT */
/*
 * XXH32 with seed 0, the checksum of lz4 frames. Threads: any, on states of their own.
 * Source: the xxHash specification (github.com/Cyan4973/xxHash, doc/xxhash_spec.md).
 */
#ifndef FC_BASE_XXH32_H
#define FC_BASE_XXH32_H

#include <stddef.h>
#include <stdint.h>

struct fc_xxh32 {
    uint32_t lane[4];
    uint64_t total; /* bytes so far */
    uint8_t rest[16];
    size_t rest_len;
};

void fc_xxh32_init(struct fc_xxh32 *x);
void fc_xxh32_add(struct fc_xxh32 *x, const void *data, size_t len);
/* The checksum of what was added so far; more may be added after it. */
uint32_t fc_xxh32_sum(const struct fc_xxh32 *x);

/* The checksum of one piece. */
uint32_t fc_xxh32(const void *data, size_t len);

#endif
