/* SPDX-License-Identifier: MIT */
/* The state of an open session on disk. */
#include <criterion/criterion.h>

#include "rng.h"
#include "store/record.h"

#include <string.h>

static struct fc_run random_run(struct rng *r)
{
    struct fc_run run;

    memset(&run, 0, sizeof run);
    run.first_ns = (int64_t)rng_next(r);
    run.min_ns = (int64_t)rng_next(r);
    run.max_ns = (int64_t)rng_next(r);
    for (int d = 0; d < 2; d++) {
        run.packets[d] = rng_next(r);
        run.bytes[d] = rng_next(r);
        run.base[d] = (uint32_t)rng_next(r);
        run.tcp_flags[d] = (uint8_t)rng_next(r);
    }
    run.syn_seq = (uint32_t)rng_next(r);
    run.syn_dir = (uint8_t)rng_below(r, 3);
    run.first_dir = (uint8_t)rng_below(r, 3);
    run.base_set = (uint8_t)rng_below(r, 4);
    run.base_synack = (uint8_t)rng_below(r, 4);
    run.first_synack = (uint8_t)rng_below(r, 2);
    return run;
}

Test(open_state, everything_that_counts_comes_back)
{
    struct rng rng = {test_seed("open state")};

    for (unsigned i = 0; i < 1000; i++) {
        struct fc_run run = random_run(&rng), back;
        uint8_t blob[FC_OPEN_STATE_SIZE], again[FC_OPEN_STATE_SIZE];
        fc_open_state_write(&run, blob);
        cr_assert_eq(fc_open_state_read(blob, sizeof blob, &back), 0);
        fc_open_state_write(&back, again);
        cr_assert_eq(memcmp(blob, again, sizeof blob), 0);
        cr_assert_eq(back.base[1], run.base[1]);
        cr_assert_eq(back.max_ns, run.max_ns);
        cr_assert_eq(back.base_synack, run.base_synack);
        cr_assert_eq(back.first_dir, run.first_dir);
    }
}

Test(open_state, another_length_or_version_is_refused)
{
    struct rng rng = {test_seed("open state, refused")};
    struct fc_run run = random_run(&rng), back;
    uint8_t blob[FC_OPEN_STATE_SIZE + 1] = {0};

    fc_open_state_write(&run, blob);
    for (size_t n = 0; n <= sizeof blob; n++)
        if (n != FC_OPEN_STATE_SIZE)
            cr_assert_eq(fc_open_state_read(blob, n, &back), FC_E_DAMAGED);
    blob[0] = 2;
    cr_assert_eq(fc_open_state_read(blob, FC_OPEN_STATE_SIZE, &back), FC_E_DAMAGED);
}

Test(open_state, random_bytes_are_taken_or_refused)
{
    struct rng rng = {test_seed("open state, random bytes")};
    uint8_t blob[FC_OPEN_STATE_SIZE];
    struct fc_run back;

    for (unsigned i = 0; i < 20000; i++) {
        rng_fill(&rng, blob, sizeof blob);
        blob[0] = 1;
        int rc = fc_open_state_read(blob, sizeof blob, &back);
        cr_assert(rc == FC_E_DAMAGED || (rc == 0 && back.first_dir <= FC_NO_DIR && back.syn_dir <= FC_NO_DIR));
    }
}
