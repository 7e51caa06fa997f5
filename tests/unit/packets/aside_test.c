/* SPDX-License-Identifier: MIT */
#include "packets/aside.h"
#include "rng.h"

#include <criterion/criterion.h>
#include <string.h>

enum { BYTES = 60000 };

/* Puts `count` records aside, in times that go down and come twice, and takes them back. */
static void there_and_back(unsigned count, bool blocks)
{
    static uint8_t bytes[BYTES + 32];
    struct fc_aside aside = {0};
    struct fc_put_aside got;
    struct fc_error err;
    const uint8_t *at;
    int64_t last = INT64_MIN;
    uint64_t last_place = 0;

    for (unsigned i = 0; i < count; i++) {
        memset(bytes, (int)(i % 251), sizeof bytes);
        struct fc_record rec = {.off = i * 100000ull, .caplen = BYTES - i % 7, .data = bytes + (blocks ? 28 : 0)};
        rec.next_off = rec.off + BYTES + 32;
        cr_assert_eq(fc_aside_add(&aside, &rec, blocks ? bytes : NULL, i, i % 3, (int64_t)(count - i / 2), &err), 0);
    }
    cr_assert_eq(fc_aside_sort(&aside, NULL, &err), 0);
    for (unsigned n = 0; n < count; n++) {
        cr_assert_eq(fc_aside_next(&aside, &got, &at, &err), 1);
        unsigned i = (unsigned)got.place;
        int64_t time = (int64_t)(count - i / 2);
        cr_assert(time > last || (time == last && got.place > last_place), "record %u is out of order", i);
        last = time;
        last_place = got.place;
        cr_assert_eq(got.rec.off, i * 100000ull);
        cr_assert_eq(got.iface, i % 3);
        cr_assert_eq(got.is_block, blocks);
        cr_assert_eq(got.rec.data, at + (blocks ? 28 : 0));
        cr_assert_eq(got.rec.data[0], i % 251);
        cr_assert_eq(got.rec.data[got.rec.caplen - 1], i % 251);
    }
    cr_assert_eq(fc_aside_next(&aside, &got, &at, &err), 0);
    fc_aside_fini(&aside);
}

Test(aside, few_stay_in_memory)
{
    there_and_back(20, false);
    there_and_back(21, true);
}

Test(aside, many_go_through_a_file)
{
    unsigned enough = FC_ASIDE_MEMORY / BYTES;

    there_and_back(enough + 40, false);
    there_and_back(2 * enough + 41, true);
}

Test(aside, nothing_is_nothing)
{
    struct fc_aside aside = {0};
    struct fc_put_aside got;
    struct fc_error err;
    const uint8_t *at;

    cr_assert_eq(fc_aside_sort(&aside, NULL, &err), 0);
    cr_assert_eq(fc_aside_next(&aside, &got, &at, &err), 0);
    fc_aside_fini(&aside);
}
