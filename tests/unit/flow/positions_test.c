/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>

#include "base/varint.h"
#include "flow/positions.h"
#include "rng.h"

#include <flowcarve/error.h>
#include <string.h>

enum { FILES = 4, OFFS = 200 };

/* The plain array that tells the truth: has[f][o]. */
struct plain {
    bool has[FILES][OFFS];
};

static uint8_t *put_segment(uint8_t *p, uint32_t file, const uint64_t *offs, size_t n)
{
    p = fc_varint_put(fc_varint_put(fc_varint_put(p, file), n), offs[0]);
    for (size_t i = 1; i < n; i++)
        p = fc_varint_put(p, offs[i] - offs[i - 1]);
    return p;
}

/* Adds a random ascending segment of positions that nobody has yet; returns its length, 0 for none. */
static size_t add_random(struct fc_positions *ps, struct plain *plain, struct rng *r)
{
    uint8_t buf[OFFS * 4];
    uint64_t offs[OFFS];
    unsigned f = (unsigned)rng_below(r, FILES), from = (unsigned)rng_below(r, OFFS), n = 0;
    unsigned density = 5 + (unsigned)rng_below(r, 90), to = from + (unsigned)rng_below(r, OFFS - from) + 1;

    for (unsigned o = from; o < to; o++) {
        if (plain->has[f][o] || !rng_chance(r, density))
            continue;
        plain->has[f][o] = true;
        offs[n++] = o;
    }
    if (n)
        cr_assert_eq(fc_positions_add(ps, buf, (size_t)(put_segment(buf, f + 1, offs, n) - buf)), 0);
    return n;
}

/* What is written must be the array, files ascending, each once. */
static void check(const struct fc_positions *ps, const struct plain *plain)
{
    size_t size = fc_positions_size(ps);
    uint8_t *buf = malloc(size + 1);
    size_t n = fc_positions_write(ps, buf);
    struct plain back = {0};
    struct fc_segment s = {.file = 0};
    uint32_t last = 0;

    cr_assert_leq(n, size);
    for (const uint8_t *p = buf, *end = buf + n; p < end;) {
        cr_assert_not_null(p = fc_segment_head(p, end, &s));
        cr_assert_gt(s.file, last);
        last = s.file;
        uint64_t off = s.first_off;
        for (uint64_t i = 0; i < s.count; i++) {
            if (i)
                cr_assert_not_null(p = fc_segment_next(p, end, &off));
            cr_assert_not(back.has[s.file - 1][off]);
            back.has[s.file - 1][off] = true;
        }
    }
    cr_assert_eq(memcmp(&back, plain, sizeof back), 0);
    free(buf);
}

Test(positions, interleaving_segments_give_what_a_plain_array_gives)
{
    struct rng rng = {test_seed("positions")};
    struct fc_positions ps = {0};

    for (unsigned i = 0; i < 3000; i++) {
        struct plain plain = {0};
        fc_positions_clear(&ps);
        for (uint64_t k = rng_below(&rng, 12); k-- > 0;)
            add_random(&ps, &plain, &rng);
        check(&ps, &plain);
    }
    fc_positions_fini(&ps);
}

Test(positions, a_position_given_twice_is_kept_once)
{
    struct fc_positions ps = {0};
    struct plain plain = {0};
    uint8_t buf[64];
    uint64_t a[] = {5, 9, 20}, b[] = {9, 20, 21};

    cr_assert_eq(fc_positions_add(&ps, buf, (size_t)(put_segment(buf, 1, a, 3) - buf)), 0);
    cr_assert_eq(fc_positions_add(&ps, buf, (size_t)(put_segment(buf, 1, b, 3) - buf)), 0);
    plain.has[0][5] = plain.has[0][9] = plain.has[0][20] = plain.has[0][21] = true;
    check(&ps, &plain);
    fc_positions_fini(&ps);
}

Test(positions, files_in_any_order_come_out_ascending)
{
    struct fc_positions ps = {0};
    struct plain plain = {0};
    uint64_t off = 7;
    uint8_t buf[64];

    for (unsigned f = FILES; f > 0; f--) {
        cr_assert_eq(fc_positions_add(&ps, buf, (size_t)(put_segment(buf, f, &off, 1) - buf)), 0);
        plain.has[f - 1][7] = true;
    }
    check(&ps, &plain);
    fc_positions_fini(&ps);
}

Test(positions, offsets_up_to_the_largest_are_kept)
{
    struct fc_positions ps = {0};
    uint64_t offs[] = {0, UINT64_MAX - 1, UINT64_MAX};
    uint8_t buf[64], out[64];
    size_t n = (size_t)(put_segment(buf, UINT32_MAX, offs, 3) - buf);

    cr_assert_eq(fc_positions_add(&ps, buf, n), 0);
    cr_assert_eq(fc_positions_write(&ps, out), n);
    cr_assert_eq(memcmp(buf, out, n), 0);
    fc_positions_fini(&ps);
}

static void refused(const uint8_t *bytes, size_t n)
{
    struct fc_positions ps = {0};

    cr_assert_eq(fc_positions_add(&ps, bytes, n), FC_E_DAMAGED);
    fc_positions_fini(&ps);
}

Test(positions, a_segment_of_nothing_is_refused)
{
    refused((uint8_t[]){1, 0, 5}, 3);
}

Test(positions, a_distance_of_zero_is_refused)
{
    refused((uint8_t[]){1, 2, 5, 0}, 4);
}

Test(positions, a_file_number_above_32_bits_is_refused)
{
    refused((uint8_t[]){0xff, 0xff, 0xff, 0xff, 0x1f, 1, 5}, 7);
}

Test(positions, offsets_that_wrap_are_refused)
{
    uint8_t buf[64];
    uint8_t *p = fc_varint_put(fc_varint_put(fc_varint_put(buf, 1), 2), UINT64_MAX);

    p = fc_varint_put(p, 1);
    refused(buf, (size_t)(p - buf));
}

Test(positions, a_count_beyond_the_bytes_is_refused_also_when_it_interleaves)
{
    struct fc_positions ps = {0};
    uint64_t offs[] = {5, 9};
    uint8_t buf[64];

    cr_assert_eq(fc_positions_add(&ps, buf, (size_t)(put_segment(buf, 1, offs, 2) - buf)), 0);
    uint8_t *p = fc_varint_put(fc_varint_put(fc_varint_put(buf, 1), UINT64_MAX), 3);
    cr_assert_eq(fc_positions_add(&ps, buf, (size_t)(p - buf)), FC_E_DAMAGED);
    fc_positions_fini(&ps);
}

Test(positions, every_truncation_is_refused)
{
    uint64_t offs[] = {1, 300, 70000, 70001};
    uint8_t buf[64];
    size_t n = (size_t)(put_segment(buf, 3, offs, 4) - buf);

    for (size_t cut = 1; cut < n; cut++) {
        uint8_t *copy = malloc(cut); /* exactly as long, for the address sanitizer */
        memcpy(copy, buf, cut);
        refused(copy, cut);
        free(copy);
    }
}

Test(positions, random_bytes_are_taken_or_refused)
{
    struct rng rng = {test_seed("positions, random bytes")};
    struct fc_positions ps = {0};

    for (unsigned i = 0; i < 100000; i++) {
        uint8_t buf[24];
        size_t n = rng_below(&rng, sizeof buf + 1);
        uint8_t *exact = malloc(n ? n : 1);
        for (size_t k = 0; k < n; k++)
            exact[k] = (uint8_t)(rng_chance(&rng, 70) ? rng_below(&rng, 6) : rng_next(&rng));
        int rc = fc_positions_add(&ps, exact, n);
        cr_assert(rc == 0 || rc == FC_E_DAMAGED);
        uint8_t *out = malloc(fc_positions_size(&ps) + 1);
        fc_positions_write(&ps, out);
        free(out);
        free(exact);
        if (rc || rng_chance(&rng, 30))
            fc_positions_clear(&ps);
    }
    fc_positions_fini(&ps);
}

/* ---- as the flow table collects them */

struct canonical {
    uint8_t *out;
    size_t room, len;
};

static int make_canonical(struct canonical *c, uint32_t file, uint64_t off, const uint8_t *pos, size_t len, bool plain)
{
    return fc_positions_canonical(file, off, pos, len, plain, &c->out, &c->room, &c->len);
}

Test(positions, those_of_one_file_in_order_become_a_segment_with_the_first_in_front)
{
    static const uint8_t want[] = {3, 3, 100, 5, 0x80, 1};
    struct canonical c = {0};

    cr_assert_eq(make_canonical(&c, 3, 100, (const uint8_t[]){5, 0x80, 1}, 3, true), 0);
    cr_assert(c.len == sizeof want && memcmp(c.out, want, sizeof want) == 0);
    free(c.out);
}

Test(positions, those_of_several_files_become_segments_with_files_ascending)
{
    /* file 3: 100, 105; file 1: 50; file 3: 90 */
    static const uint8_t pos[] = {5, 0, 1, 50, 0, 3, 90}, want[] = {1, 1, 50, 3, 3, 90, 10, 5};
    struct canonical c = {0};

    cr_assert_eq(make_canonical(&c, 3, 100, pos, sizeof pos, false), 0);
    cr_assert(c.len == sizeof want && memcmp(c.out, want, sizeof want) == 0);
    free(c.out);
}

Test(positions, those_added_to_a_session_of_the_index_have_no_first_one_in_front)
{
    static const uint8_t pos[] = {0, 2, 50, 1}, want[] = {2, 2, 50, 1};
    struct canonical c = {0};

    cr_assert_eq(make_canonical(&c, 0, 0, pos, sizeof pos, false), 0);
    cr_assert(c.len == sizeof want && memcmp(c.out, want, sizeof want) == 0);
    free(c.out);
}

/* Random positions, collected as the table does it, against a plain array. */
Test(positions, collected_ones_give_what_a_plain_array_gives)
{
    struct rng rng = {test_seed("positions, collected")};
    struct canonical c = {0};

    for (unsigned i = 0; i < 3000; i++) {
        struct plain plain = {0};
        struct fc_positions ps = {0};
        uint8_t pos[FILES * OFFS * 4], *p = pos;
        uint32_t first_file = 0, file = 0;
        uint64_t first_off = 0, last = 0;
        for (uint64_t k = rng_between(&rng, 1, 300); k-- > 0;) {
            uint32_t f = !file || rng_chance(&rng, 10) ? 1 + (uint32_t)rng_below(&rng, FILES) : file;
            uint64_t off = rng_below(&rng, OFFS);
            if (plain.has[f - 1][off])
                continue;
            plain.has[f - 1][off] = true;
            if (!first_file) {
                first_file = f;
                first_off = off;
            } else if (f == file && off > last) {
                p = fc_varint_put(p, off - last);
            } else {
                *p++ = 0;
                p = fc_varint_put(fc_varint_put(p, f), off);
            }
            file = f;
            last = off;
        }
        cr_assert_eq(make_canonical(&c, first_file, first_off, pos, (size_t)(p - pos), false), 0);
        cr_assert_eq(fc_positions_add(&ps, c.out, c.len), 0);
        cr_assert_eq(fc_positions_write(&ps, pos), c.len); /* it is canonical already */
        cr_assert_eq(memcmp(pos, c.out, c.len), 0);
        check(&ps, &plain);
        fc_positions_fini(&ps);
    }
    free(c.out);
}

Test(positions, collected_ones_that_are_broken_are_refused)
{
    static const struct {
        uint8_t pos[12];
        size_t len;
    } broken[] = {
        {{0}, 1},                                                              /* no file */
        {{0, 0, 5}, 3},                                                        /* file 0 */
        {{0, 1}, 2},                                                           /* no offset */
        {{0, 1, 0x80}, 3},                                                     /* half an offset */
        {{5, 0x80}, 2},                                                        /* half a distance */
        {{0, 0x80, 0x80, 0x80, 0x80, 0x10, 5}, 7},                             /* file 2^32 */
        {{0, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1}, 12}, /* the largest offset is none yet */
    };
    struct canonical c = {0};

    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        uint8_t *exact = malloc(broken[i].len + 1); /* for the address sanitizer */
        bool largest = i + 1 == sizeof broken / sizeof broken[0];
        size_t len = broken[i].len;
        memcpy(exact, broken[i].pos, len);
        if (largest)
            exact[len++] = 1; /* beyond it */
        cr_assert_eq(make_canonical(&c, 1, 10, exact, len, false), FC_E_DAMAGED, "case %zu", i);
        free(exact);
    }
    free(c.out);
}

Test(positions, random_bytes_as_collected_ones_are_taken_or_refused)
{
    struct rng rng = {test_seed("positions, random collected bytes")};
    struct canonical c = {0};

    for (unsigned i = 0; i < 100000; i++) {
        size_t n = rng_below(&rng, 25);
        uint8_t *exact = malloc(n ? n : 1);
        for (size_t k = 0; k < n; k++)
            exact[k] = (uint8_t)(rng_chance(&rng, 70) ? rng_below(&rng, 4) : rng_next(&rng));
        int rc = make_canonical(&c, (uint32_t)rng_below(&rng, 2), rng_next(&rng), exact, n, false);
        cr_assert(rc == 0 || rc == FC_E_DAMAGED);
        free(exact);
    }
    free(c.out);
}
