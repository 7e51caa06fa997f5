/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>

#include "base/varint.h"
#include "rng.h"

#include <string.h>

static const uint64_t edges[] = {
    0, 1, 0x7f, 0x80, 0x3fff, 0x4000, UINT32_MAX, (uint64_t)UINT32_MAX + 1, INT64_MAX, UINT64_MAX - 1, UINT64_MAX};

static void round_trip(uint64_t v)
{
    uint8_t buf[FC_VARINT_MAX];
    uint8_t *end = fc_varint_put(buf, v);
    uint64_t back = ~v;

    cr_assert_eq(fc_varint_get(buf, end, &back), end);
    cr_assert_eq(back, v);
}

Test(varint, every_number_comes_back)
{
    struct rng rng = {test_seed("varint")};

    for (size_t i = 0; i < sizeof edges / sizeof edges[0]; i++)
        round_trip(edges[i]);
    for (unsigned i = 0; i < 100000; i++)
        round_trip(rng_next(&rng) >> rng_below(&rng, 64));
}

Test(varint, a_cut_number_is_refused_at_every_length)
{
    for (size_t i = 0; i < sizeof edges / sizeof edges[0]; i++) {
        uint8_t buf[FC_VARINT_MAX];
        uint8_t *end = fc_varint_put(buf, edges[i]);
        uint64_t v;
        for (uint8_t *cut = buf; cut < end; cut++)
            cr_assert_null(fc_varint_get(buf, cut, &v));
    }
}

Test(varint, the_longest_number_takes_ten_bytes)
{
    uint8_t buf[FC_VARINT_MAX];

    cr_assert_eq(fc_varint_put(buf, UINT64_MAX) - buf, FC_VARINT_MAX);
    cr_assert_eq(fc_varint_put(buf, 127) - buf, 1);
    cr_assert_eq(fc_varint_put(buf, 128) - buf, 2);
}

Test(varint, more_than_64_bits_are_refused)
{
    uint8_t tenth_too_large[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02};
    uint8_t eleven[] = {0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x81, 0x00};
    uint64_t v;

    cr_assert_null(fc_varint_get(tenth_too_large, tenth_too_large + sizeof tenth_too_large, &v));
    cr_assert_null(fc_varint_get(eleven, eleven + sizeof eleven, &v));
}

Test(varint, random_bytes_are_never_read_past_their_end)
{
    struct rng rng = {test_seed("varint, random bytes")};

    for (unsigned i = 0; i < 100000; i++) {
        size_t n = rng_below(&rng, 12);
        uint8_t *p = malloc(n ? n : 1);
        uint64_t v;
        rng_fill(&rng, p, n);
        const uint8_t *end = fc_varint_get(p, p + n, &v);
        cr_assert(!end || (end > p && end <= p + n));
        free(p);
    }
}
