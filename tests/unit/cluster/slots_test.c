/* SPDX-License-Identifier: MIT */
#include "cluster/slots.h"

#include <criterion/criterion.h>

#define DAY_NS (INT64_C(86400) * 1000000000)

Test(slots, times_outside_of_days_are_put_on_the_first_and_the_last)
{
    static const struct {
        bool timed;
        int64_t start_ns, slot;
        uint16_t day;
    } cases[] = {
        {true, 0, 0, 0},
        {true, FC_SLOT_NS - 1, 0, 0},
        {true, FC_SLOT_NS, 1, 0},
        {true, -1, -1, 0},
        {true, -FC_SLOT_NS, -1, 0},
        {true, -FC_SLOT_NS - 1, -2, 0},
        {true, DAY_NS - 1, 287, 0},
        {true, DAY_NS, 288, 1},
        {true, 49672 * DAY_NS, 49672 * INT64_C(288), 49672},
        {true, 49673 * DAY_NS, 49673 * INT64_C(288), 49672},
        {true, INT64_MAX, INT64_MAX / FC_SLOT_NS, 49672},
        {true, INT64_MIN, INT64_MIN / FC_SLOT_NS - 1, 0},
        {false, 5 * DAY_NS, FC_SLOT_NONE, 0},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cr_expect_eq(fc_slot_of(cases[i].timed, cases[i].start_ns), cases[i].slot, "%zu", i);
        cr_expect_eq(fc_day_of(cases[i].timed, cases[i].start_ns), cases[i].day, "%zu", i);
        cr_expect_eq(fc_slot_day(cases[i].slot), cases[i].day, "%zu", i);
    }
}

Test(slots, a_set_has_each_once)
{
    struct fc_slots slots = {0};

    for (int round = 0; round < 3; round++)
        for (int64_t i = 0; i < 5000; i++) {
            fc_slots_add(&slots, i * 7919 % 5000 - 2500);
            fc_slots_add(&slots, FC_SLOT_NONE);
        }
    fc_slots_sort(&slots);
    cr_assert_not(slots.failed);
    cr_assert_eq(slots.count, 5001);
    cr_expect_eq(slots.slot[0], FC_SLOT_NONE);
    for (size_t i = 1; i < slots.count; i++)
        cr_expect_eq(slots.slot[i], (int64_t)i - 2501);
    cr_expect_lt(slots.room, 40000, "what is there twice is left out on the way");
    fc_slots_fini(&slots);
}
