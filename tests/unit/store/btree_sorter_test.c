/* SPDX-License-Identifier: MIT */
/* The sorter against qsort. */
#include "btree_support.h"
#include "rng.h"
#include "store/sorter.h"

#include <stdlib.h>
#include <string.h>

TestSuite(btree_sorter, .timeout = 600);

static int compare(const void *a, const void *b, void *words)
{
    for (unsigned i = 0; i < *(unsigned *)words; i++) {
        uint64_t x = ((const uint64_t *)a)[i], y = ((const uint64_t *)b)[i];
        if (x != y)
            return x < y ? -1 : 1;
    }
    return 0;
}

static void draw(struct rng *rng, uint64_t *entry, unsigned words, unsigned sorted, size_t i)
{
    for (unsigned k = 0; k < words; k++)
        entry[k] = rng_next(rng) >> (rng_chance(rng, 50) ? 0 : rng_below(rng, 64)) << (rng_chance(rng, 90) ? 0 : 40);
    if (rng_chance(rng, 30))
        entry[0] = UINT64_C(0x20010db800010000);
    if (sorted)
        entry[words - 1] = entry[words - 1] >> sorted << sorted | i;
}

static void try_one(struct rng *rng)
{
    unsigned words = rng_chance(rng, 50) ? 1 : (unsigned)rng_between(rng, 2, FC_SORTER_WORDS_MAX);
    unsigned sorted = rng_chance(rng, 70) ? (unsigned)rng_between(rng, 24, 60) : 0;
    size_t n = rng_chance(rng, 10) ? rng_below(rng, 4) : rng_below(rng, 20000);
    uint64_t *all = malloc((n + 1) * words * sizeof *all);
    struct fc_sorter s;
    struct fc_error err;

    fc_sorter_init(&s, words, sorted);
    for (size_t i = 0; i < n; i++) {
        draw(rng, all + i * words, words, sorted, i);
        cr_assert_eq(fc_sorter_add(&s, all + i * words, &err), 0);
    }
    qsort_r(all, n, words * sizeof *all, compare, &words);
    cr_assert_eq(fc_sorter_sort(&s, &err), 0);
    cr_assert_eq(s.count, n);
    for (size_t i = 0; i < n; i++)
        cr_assert_eq(memcmp(s.entry + i * words, all + i * words, words * sizeof *all), 0, "entry %zu of %zu", i, n);
    fc_sorter_fini(&s);
    free(all);
}

Test(btree_sorter, order_is_that_of_qsort)
{
    struct rng rng = {test_seed("sorter")};

    for (uint64_t i = test_rounds(300); i; i--)
        try_one(&rng);
}
