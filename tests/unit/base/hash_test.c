/* SPDX-License-Identifier: MIT */
/* Keys that an author of captures would choose so that they collide, whatever the seed. */
#include "base/hash.h"

#include <criterion/criterion.h>
#include <stdlib.h>

enum { KEYS = 2000, WORDS = 6 };

static const uint64_t constants[] = {
    0,
    0xa0761d6478bd642full,
    0xe7037ed1a0b428dbull,
    0x8ebc6af09c88c6e3ull,
    0x589965cc75374cc3ull,
    0x1d8e4e27c47d124full,
    0xeb44accab455d165ull,
};
enum { CONSTANTS = sizeof constants / sizeof constants[0] };

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* How many of the hashes are the same as another one, in the 24 bits that choose a bucket. */
static int collisions(uint64_t (*hashes)[KEYS], int top)
{
    uint64_t *h = *hashes;
    int n = 0;

    for (int i = 0; i < KEYS; i++)
        h[i] = top ? h[i] >> 40 : h[i] & 0xffffff;
    qsort(h, KEYS, sizeof *h, compare);
    for (int i = 1; i < KEYS; i++)
        n += h[i] == h[i - 1];
    return n;
}

/*
 * Word `free` runs on; another one is a constant of the hash, which would make a factor zero if nothing else went in.
 */
Test(hash, no_factor_can_be_made_zero)
{
    static uint64_t hashes[KEYS];

    for (int top = 0; top < 2; top++)
        for (int moving = 0; moving < WORDS; moving++)
            for (int fixed = 0; fixed < WORDS; fixed++)
                for (int c = 0; c < CONSTANTS; c++) {
                    uint64_t w[WORDS] = {0};
                    w[fixed] = constants[c];
                    for (int i = 0; i < KEYS; i++) {
                        w[moving] = (uint64_t)i;
                        hashes[i] = fc_hash48(w, 0x123456789abcdef1ull);
                    }
                    cr_assert_lt(collisions(&hashes, top), 6, "word %d, word %d = %llx", moving, fixed,
                                 (unsigned long long)constants[c]);
                }
}

/* Two pairs of words that are equal but for constants of the hash: products of equal factors must not cancel out. */
Test(hash, equal_pairs_do_not_cancel)
{
    static uint64_t hashes[KEYS];

    for (int a = 0; a < CONSTANTS; a++)
        for (int b = 0; b < CONSTANTS; b++)
            for (int pair = 2; pair < WORDS; pair += 2) {
                for (int i = 0; i < KEYS; i++) {
                    uint64_t w[WORDS] = {(uint64_t)i, (uint64_t)i * 3};
                    w[pair] = w[0] ^ constants[a];
                    w[pair + 1] = w[1] ^ constants[b];
                    hashes[i] = fc_hash48(w, 0x123456789abcdef1ull);
                }
                cr_assert_lt(collisions(&hashes, 1), 6, "pair %d", pair);
            }
}

Test(hash, every_byte_of_a_key_counts)
{
    uint8_t key[48] = {0};
    uint64_t plain = fc_hash48(key, 7);

    for (unsigned i = 0; i < sizeof key; i++) {
        key[i] = 1;
        cr_assert_neq(fc_hash48(key, 7), plain, "byte %u", i);
        key[i] = 0;
    }
    cr_assert_neq(fc_hash48(key, 8), plain);
}
