/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>

#include "base/varint.h"
#include "rng.h"
#include "store/blob.h"

#include <string.h>

static void round_trip(const uint8_t *plain, size_t len)
{
    struct fc_buffer blob = {0}, scratch = {0};
    const uint8_t *back;
    size_t n;

    cr_assert_eq(fc_blob_encode(plain, len, &blob), 0);
    cr_assert_eq(fc_blob_decode(blob.data, blob.len, &scratch, &back, &n), 0);
    cr_assert_eq(n, len);
    cr_assert_eq(memcmp(back, plain, len), 0);
    fc_buffer_fini(&blob);
    fc_buffer_fini(&scratch);
}

/* Bytes that repeat, as positions of a busy session do. */
static uint8_t *repeating(struct rng *r, size_t n)
{
    uint8_t *p = malloc(n + 1);

    for (size_t i = 0; i < n; i++)
        p[i] = (uint8_t)(i < 8 || rng_chance(r, 3) ? rng_next(r) : p[i - 7]);
    p[0] |= 1; /* no segment begins with 0 */
    return p;
}

Test(blob, every_length_around_the_compression_limit_comes_back)
{
    struct rng rng = {test_seed("blob")};

    for (size_t n = 1; n < 600; n++) {
        uint8_t *p = repeating(&rng, n);
        round_trip(p, n);
        rng_fill(&rng, p, n);
        p[0] |= 1;
        round_trip(p, n);
        free(p);
    }
}

Test(blob, a_large_one_comes_back_and_is_compressed)
{
    struct rng rng = {test_seed("blob, large")};
    size_t n = 1 << 20;
    uint8_t *p = repeating(&rng, n);
    struct fc_buffer blob = {0};

    round_trip(p, n);
    cr_assert_eq(fc_blob_encode(p, n, &blob), 0);
    cr_assert_lt(blob.len, n / 2);
    fc_buffer_fini(&blob);
    free(p);
}

Test(blob, one_that_does_not_shrink_is_stored_plain)
{
    struct rng rng = {test_seed("blob, plain")};
    struct fc_buffer blob = {0};
    uint8_t p[1000];

    rng_fill(&rng, p, sizeof p);
    p[0] |= 1;
    cr_assert_eq(fc_blob_encode(p, sizeof p, &blob), 0);
    cr_assert_eq(blob.len, sizeof p);
    fc_buffer_fini(&blob);
}

/* Decodes a copy of exactly that length, so that the address sanitizer sees every byte too far. */
static int decode_exact(const uint8_t *p, size_t n)
{
    struct fc_buffer scratch = {0};
    const uint8_t *plain = NULL;
    uint8_t *copy = malloc(n ? n : 1), sum = 0;
    size_t len = 0;

    if (n)
        memcpy(copy, p, n);
    int rc = fc_blob_decode(copy, n, &scratch, &plain, &len);
    for (size_t i = 0; rc == 0 && i < len; i++)
        sum ^= plain[i];
    (void)*(volatile uint8_t *)&sum;
    fc_buffer_fini(&scratch);
    free(copy);
    return rc;
}

Test(blob, every_truncation_of_a_compressed_one_is_refused)
{
    struct rng rng = {test_seed("blob, cut")};
    uint8_t *p = repeating(&rng, 2000);
    struct fc_buffer blob = {0};

    cr_assert_eq(fc_blob_encode(p, 2000, &blob), 0);
    cr_assert_eq(blob.data[0], 0);
    for (size_t n = 0; n < blob.len; n++)
        cr_assert_eq(decode_exact(blob.data, n), FC_E_DAMAGED, "%zu", n);
    fc_buffer_fini(&blob);
    free(p);
}

Test(blob, a_size_that_nothing_could_unpack_to_is_refused_before_memory_is_asked_for)
{
    uint8_t blob[32] = {0};
    uint8_t *p = fc_varint_put(blob + 1, 1 << 29);

    memset(p, 0xff, 8);
    cr_assert_eq(decode_exact(blob, (size_t)(p + 8 - blob)), FC_E_DAMAGED);
    p = fc_varint_put(blob + 1, UINT64_MAX);
    cr_assert_eq(decode_exact(blob, (size_t)(p + 8 - blob)), FC_E_DAMAGED);
}

Test(blob, changed_and_random_bytes_are_taken_or_refused)
{
    struct rng rng = {test_seed("blob, hostile")};
    uint8_t *p = repeating(&rng, 1000), random[64];
    struct fc_buffer blob = {0};

    cr_assert_eq(fc_blob_encode(p, 1000, &blob), 0);
    for (unsigned i = 0; i < 20000; i++) {
        size_t at = rng_below(&rng, blob.len);
        uint8_t was = blob.data[at];
        blob.data[at] = (uint8_t)rng_next(&rng);
        int rc = decode_exact(blob.data, blob.len);
        cr_assert(rc == 0 || rc == FC_E_DAMAGED);
        blob.data[at] = was;
        rng_fill(&rng, random, sizeof random);
        random[0] = (uint8_t)rng_below(&rng, 2);
        rc = decode_exact(random, rng_below(&rng, sizeof random + 1));
        cr_assert(rc == 0 || rc == FC_E_DAMAGED);
    }
    fc_buffer_fini(&blob);
    free(p);
}
