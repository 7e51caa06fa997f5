/* SPDX-License-Identifier: MIT */
/* Units handed over, settled and advanced by several threads give the sessions of the naive twin. */
#include "machine.h"
#include "twin.h"

#include <string.h>

static const char *one_round(uint64_t seed, char *buf, size_t size)
{
    struct rng rng = {seed};
    struct fc_rules rules;
    struct traffic t;
    struct twin twin;
    struct machine_result result;

    fc_rules_profile(&rules, rng_chance(&rng, 50) ? "zeek" : "flowcarve");
    struct traffic_options o = {.rules = &rules,
                                .mask = FC_WANT_SESSION,
                                .files = 4,
                                .packets = 150,
                                .keys = 4,
                                .fragments = 15,
                                .aliases = 20,
                                .overlap = true};
    struct machine_options m = {
        .rules = &rules, .threads = 8, .cut = 40, .share = 50, .settle = 60, .advance = 60, .suspend = 5};
    traffic_make(&t, &rng, &o);
    twin_make(&twin, &t, &rules);
    int rc = machine_run(&t, &rng, &m, &result);
    const char *why = rc ? fc_strerror(rc) : machine_differs(&result, &twin, false, buf, size);
    machine_free(&result);
    twin_free(&twin);
    traffic_free(&t);
    return why;
}

int main(void)
{
    uint64_t seed = test_seed("sessions_race"), n = test_rounds(60);
    char buf[512];

    for (uint64_t i = 0; i < n; i++) {
        const char *why = one_round(seed + i, buf, sizeof buf);
        if (why) {
            fprintf(stderr, "sessions_race: FLOWCARVE_TEST_SEED=%llu: %s\n", (unsigned long long)(seed + i), why);
            return 1;
        }
    }
    return 0;
}
