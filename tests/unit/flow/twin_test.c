/* SPDX-License-Identifier: MIT */
/* Sessions by the flow table against those of the naive twin. */
#include <criterion/criterion.h>

#include "machine.h"
#include "twin.h"

static const char *const profiles[] = {"flowcarve", "wireshark", "zeek", "suricata", "arkime", "yaf"};

/* What a family of rounds is about; the rest is drawn. */
struct family {
    const char *name;
    unsigned files; /* at most */
    unsigned backwards, untimed, fragments, glitches, aliases;
    unsigned suspend; /* as the machine has it */
    bool overlap, mirrored;
    bool active; /* rules with a short active timeout */
    bool eager;  /* one or two flows, short chunks, and much advancing */
};

static void draw_rules(struct fc_rules *rules, struct rng *rng, const struct family *f)
{
    fc_rules_profile(rules, profiles[rng_below(rng, 6)]);
    if (rng_chance(rng, 30)) /* short and uneven */
        cr_assert_eq(fc_rules_timeout(rules, "tcp-new=2,tcp=5,tcp-closed=1,udp-new=1,udp=3,icmp=1,other=2", NULL), 0);
    if (rng_chance(rng, 10))
        cr_assert_eq(fc_rules_timeout(rules, "tcp-new=0,tcp=0.000000001,udp=0,icmp=1000000000", NULL), 0);
    if (f->active)
        cr_assert_eq(fc_rules_timeout(rules, rng_chance(rng, 50) ? "active=7" : "active=400", NULL), 0);
}

static void draw_machine(struct machine_options *m, struct rng *rng, const struct family *f)
{
    m->extra = rng_chance(rng, 30);
    m->threads = (unsigned)(rng_chance(rng, 50) ? 1 : rng_between(rng, 2, 8));
    m->cut = (unsigned)(rng_chance(rng, 30) ? 0 : rng_between(rng, 3, 60));
    m->share = rng_chance(rng, 50) ? 100 : 0;
    m->settle = (unsigned)(rng_chance(rng, 20) ? 0 : rng_between(rng, 5, 100));
    m->advance = (unsigned)(rng_chance(rng, 20) ? 0 : rng_between(rng, 1, 30));
    m->suspend = f->suspend;
    if (f->eager) {
        m->cut = 60;
        m->settle = m->advance = 100;
    }
}

/* One round; returns a description of the first difference, or NULL. */
static const char *round_of(uint64_t seed, const struct family *f, char *buf, size_t size)
{
    struct rng rng = {seed};
    struct fc_rules rules;
    struct traffic t;
    struct twin twin;
    struct machine_result result;
    struct machine_options m = {.rules = &rules};

    draw_rules(&rules, &rng, f);
    draw_machine(&m, &rng, f);
    struct traffic_options o = {
        .rules = &rules,
        .mask = m.extra ? FC_WANT_ALL : FC_WANT_SESSION,
        .files = (unsigned)rng_between(&rng, 1, f->files),
        .packets = (unsigned)rng_between(&rng, 2, rng_chance(&rng, 70) ? 15 : 120),
        .keys = (unsigned)rng_between(&rng, 1, f->eager ? 2 : 4),
        .backwards = f->backwards,
        .untimed = f->untimed,
        .fragments = f->fragments,
        .glitches = f->glitches,
        .aliases = f->aliases,
        .overlap = f->overlap,
        .mirrored = f->mirrored,
    };
    traffic_make(&t, &rng, &o);
    twin_make(&twin, &t, &rules);
    int rc = machine_run(&t, &rng, &m, &result);
    const char *why = rc ? fc_strerror(rc) : machine_differs(&result, &twin, m.extra, buf, size);
    machine_free(&result);
    twin_free(&twin);
    traffic_free(&t);
    return why;
}

static void rounds(const struct family *f)
{
    uint64_t seed = test_seed(f->name), n = test_rounds(150), bad = 0, first = 0;
    char buf[512], text[512] = "";

    for (uint64_t i = 0; i < n; i++) {
        const char *why = round_of(seed + i, f, buf, sizeof buf);
        if (why && getenv("FLOWCARVE_TEST_ALL"))
            fprintf(stderr, "DIFF %s %llu: %s\n", f->name, (unsigned long long)(seed + i), why);
        if (why && bad++ == 0) {
            first = seed + i;
            snprintf(text, sizeof text, "%s", why);
        }
    }
    cr_assert_eq(bad, 0, "%s: %llu of %llu rounds differ; the first, FLOWCARVE_TEST_SEED=%llu: %s", f->name,
                 (unsigned long long)bad, (unsigned long long)n, (unsigned long long)first, text);
}

Test(twin, one_capture_whose_times_run_forward)
{
    rounds(&(struct family){.name = "one capture", .files = 1});
}

Test(twin, consecutive_captures)
{
    rounds(&(struct family){.name = "consecutive captures", .files = 4});
}

Test(twin, captures_that_overlap)
{
    rounds(&(struct family){.name = "overlapping captures", .files = 4, .overlap = true});
}

Test(twin, times_that_run_backwards)
{
    rounds(&(struct family){.name = "backwards", .files = 3, .overlap = true, .backwards = 15});
}

Test(twin, times_that_are_wrong)
{
    rounds(&(struct family){.name = "glitches", .files = 3, .overlap = true, .backwards = 3, .glitches = 8});
}

Test(twin, fragments_apart_from_their_first_one)
{
    rounds(&(struct family){.name = "fragments", .files = 3, .overlap = true, .fragments = 40});
}

Test(twin, fragments_of_fragments)
{
    rounds(&(struct family){.name = "aliases", .files = 3, .overlap = true, .fragments = 60, .aliases = 60});
}

Test(twin, fragments_and_times_that_run_backwards)
{
    rounds(&(struct family){
        .name = "fragments, backwards", .files = 3, .fragments = 40, .backwards = 15, .glitches = 3, .aliases = 20});
}

Test(twin, records_without_a_time)
{
    rounds(&(struct family){.name = "untimed", .files = 3, .overlap = true, .untimed = 15});
}

Test(twin, fragments_without_a_time)
{
    rounds(&(struct family){
        .name = "untimed fragments", .files = 3, .overlap = true, .untimed = 30, .fragments = 50, .aliases = 20});
}

Test(twin, an_active_timeout)
{
    rounds(&(struct family){.name = "active", .files = 3, .overlap = true, .active = true});
}

Test(twin, partitions_that_are_suspended)
{
    rounds(&(struct family){.name = "suspended", .files = 3, .overlap = true, .suspend = 30, .fragments = 10});
}

Test(twin, flows_of_which_there_is_one_and_partitions_advanced_all_the_time)
{
    rounds(&(struct family){.name = "eager", .files = 2, .suspend = 10, .eager = true});
}

Test(twin, flows_of_which_there_is_one_with_fragments_and_times_that_run_backwards)
{
    rounds(&(struct family){
        .name = "eager, fragments, backwards", .files = 1, .backwards = 25, .fragments = 60, .eager = true});
}

Test(twin, everything_at_once)
{
    rounds(&(struct family){.name = "everything",
                            .files = 4,
                            .overlap = true,
                            .mirrored = true,
                            .backwards = 8,
                            .untimed = 4,
                            .fragments = 15,
                            .glitches = 3,
                            .aliases = 20,
                            .suspend = 15,
                            .active = true});
}
