/* SPDX-License-Identifier: MIT */
/* The external sort against qsort() on a plain array. */
#include <criterion/criterion.h>

#include "rng.h"
#include "store/spool.h"

#include <string.h>

enum { SPOOLS = 3, BLOB_MAX = 5000 };

struct list {
    struct fc_session_record *at;
    size_t count;
};

/* Every record is another one: `id` is its number of packets and fills its blob. */
static struct fc_session_record record_of(struct rng *r, uint64_t id)
{
    struct fc_session_record rec;

    memset(&rec, 0, sizeof rec);
    rec.key.proto = (uint32_t)id;
    if (!rng_chance(r, 5))
        rec.session.first_ns = rec.session.min_ns = rec.session.max_ns = (int64_t)rng_below(r, 40);
    rec.session.packets[0] = id;
    rec.first_file = (uint32_t)rng_between(r, 1, 3);
    rec.first_off = id * 16; /* no two records are equal in order */
    rec.prior_packets = id + 1;
    rec.has_extra = rng_chance(r, 30);
    rec.open = rng_chance(r, 50);
    rec.unchanged = rng_chance(r, 50);
    if (rec.has_extra)
        rec.extra.payload[1] = ~id;
    rec.blob_len = (uint32_t)(rng_chance(r, 2) ? rng_below(r, BLOB_MAX) : rng_below(r, 40));
    return rec;
}

static void add(struct fc_spool *spool, const struct fc_session_record *rec)
{
    uint8_t blob[BLOB_MAX];
    struct fc_session_record copy = *rec;

    memset(blob, (int)(rec->session.packets[0] & 0xff), sizeof blob);
    copy.blob = blob;
    cr_assert_eq(fc_spool_add(spool, &copy, NULL), 0);
}

static int compare(const void *a, const void *b)
{
    return fc_session_record_compare(a, b);
}

static void check_same(const struct fc_session_record *got, const struct fc_session_record *want)
{
    cr_assert_eq(got->session.packets[0], want->session.packets[0]);
    cr_assert_eq(memcmp(&got->key, &want->key, sizeof got->key), 0);
    cr_assert_eq(got->session.min_ns, want->session.min_ns);
    cr_assert_eq(got->session.packets[0], want->session.packets[0]);
    cr_assert_eq(got->first_file, want->first_file);
    cr_assert_eq(got->first_off, want->first_off);
    cr_assert_eq(got->prior_packets, want->prior_packets);
    cr_assert_eq(got->has_extra, want->has_extra);
    cr_assert_eq(got->open, want->open);
    cr_assert_eq(got->unchanged, want->unchanged);
    cr_assert_eq(got->blob_len, want->blob_len);
    if (want->has_extra)
        cr_assert_eq(got->extra.payload[1], want->extra.payload[1]);
    for (uint32_t i = 0; i < got->blob_len; i++)
        cr_assert_eq(got->blob[i], (uint8_t)want->session.packets[0]);
}

/* A merge gives exactly the list, sorted. */
static void check_merge(struct fc_spool **spools, size_t count, struct list *want)
{
    struct fc_session_record *got;
    struct fc_merge *merge;

    if (want->count)
        qsort(want->at, want->count, sizeof *want->at, compare);
    cr_assert_eq(fc_merge_open(spools, count, &merge, NULL), 0);
    for (size_t i = 0; i < want->count; i++) {
        cr_assert_eq(fc_merge_next(merge, &got, NULL), 1);
        check_same(got, &want->at[i]);
    }
    cr_assert_eq(fc_merge_next(merge, &got, NULL), 0);
    cr_assert_eq(fc_merge_next(merge, &got, NULL), 0);
    fc_merge_close(merge);
}

/* Fills the spools with n records at random; the list has them all. */
static struct list fill(struct fc_spool **spools, size_t spool_count, size_t n, struct rng *r)
{
    struct list all = {malloc((n + 1) * sizeof *all.at), n};

    for (size_t i = 0; i < n; i++) {
        all.at[i] = record_of(r, i + 1);
        add(spools[rng_below(r, spool_count)], &all.at[i]);
    }
    return all;
}

static void sort_with(size_t budget, size_t records, unsigned rounds)
{
    struct rng rng = {test_seed("spool")};

    for (unsigned i = 0; i < rounds; i++) {
        struct fc_spool *spools[SPOOLS];
        size_t count = rng_between(&rng, 1, SPOOLS);
        for (size_t k = 0; k < count; k++)
            cr_assert_not_null(spools[k] = fc_spool_new("/tmp", budget));
        struct list all = fill(spools, count, rng_below(&rng, records), &rng);
        check_merge(spools, count, &all);
        for (size_t k = 0; k < count; k++)
            fc_spool_free(spools[k]);
        free(all.at);
    }
}

Test(spool, in_memory_it_sorts_as_qsort_does)
{
    sort_with(64 << 20, 500, 40);
}

Test(spool, with_a_budget_of_a_few_records_it_sorts_as_qsort_does)
{
    sort_with(1500, 500, 40);
}

Test(spool, with_a_budget_of_nothing_it_sorts_as_qsort_does)
{
    sort_with(0, 100, 20);
}

Test(spool, with_segments_larger_than_a_window_it_sorts_as_qsort_does)
{
    sort_with(1 << 20, 9000, 4);
}

Test(spool, a_record_larger_than_everything_passes)
{
    struct fc_spool *spool = fc_spool_new("/tmp", 1000);
    struct rng rng = {test_seed("spool, large")};
    struct fc_session_record rec[3] = {record_of(&rng, 1), record_of(&rng, 2), record_of(&rng, 3)};
    struct fc_session_record *got;
    size_t n = 5 << 20;
    uint8_t *blob = malloc(n);
    struct fc_merge *merge;

    rng_fill(&rng, blob, n);
    for (unsigned i = 0; i < 3; i++) {
        rec[i].blob = blob;
        rec[i].blob_len = (uint32_t)n - i;
        cr_assert_eq(fc_spool_add(spool, &rec[i], NULL), 0);
    }
    cr_assert_eq(fc_merge_open(&spool, 1, &merge, NULL), 0);
    for (unsigned i = 0; i < 3; i++) {
        cr_assert_eq(fc_merge_next(merge, &got, NULL), 1);
        cr_assert_eq(got->blob_len, rec[got->session.packets[0] - 1].blob_len);
        cr_assert_eq(memcmp(got->blob, blob, got->blob_len), 0);
    }
    cr_assert_eq(fc_merge_next(merge, &got, NULL), 0);
    fc_merge_close(merge);
    fc_spool_free(spool);
    free(blob);
}

/* Takes records whose number has a remainder, and lists them. */
struct taking {
    uint64_t divisor, remainder;
    uint8_t *seen;
    size_t taken, met;
};

static int take(void *ctx, const struct fc_session_record *rec)
{
    struct taking *t = ctx;

    t->met++;
    for (uint32_t i = 0; i < rec->blob_len; i++)
        cr_assert_eq(rec->blob[i], (uint8_t)rec->session.packets[0]);
    if (rec->session.packets[0] % t->divisor != t->remainder)
        return 0;
    cr_assert_eq(t->seen[rec->session.packets[0]]++, 0);
    t->taken++;
    return 1;
}

static void extract_with(size_t budget)
{
    struct rng rng = {test_seed("spool, extract")};
    enum { N = 400 };

    for (unsigned round = 0; round < 20; round++) {
        struct fc_spool *spool = fc_spool_new("/tmp", budget);
        struct list all = fill(&spool, 1, N, &rng);
        uint8_t seen[N + 1] = {0};
        size_t left = N;
        for (uint64_t remainder = 0; remainder < 2; remainder++) {
            struct taking t = {.divisor = 3, .remainder = remainder, .seen = seen};
            cr_assert_eq(fc_spool_extract(spool, NULL, take, &t, NULL), 0);
            cr_assert_eq(t.met, left);
            left -= t.taken;
            cr_assert_eq(fc_spool_count(spool), left);
        }
        for (size_t i = 0; i < all.count;)
            if (all.at[i].session.packets[0] % 3 < 2)
                all.at[i] = all.at[--all.count];
            else
                i++;
        cr_assert_eq(all.count, left);
        check_merge(&spool, 1, &all);
        fc_spool_free(spool);
        free(all.at);
    }
}

Test(spool, extract_takes_exactly_what_was_asked_from_memory)
{
    extract_with(64 << 20);
}

Test(spool, extract_takes_exactly_what_was_asked_from_disk)
{
    extract_with(1500);
}

static bool odd_proto(void *ctx, const struct fc_flow_key *key)
{
    (void)ctx;
    return key->proto % 2;
}

static int count_odd(void *ctx, const struct fc_session_record *rec)
{
    size_t *count = ctx;

    cr_assert(rec->key.proto % 2);
    ++*count;
    return 1;
}

static void want_with(size_t budget, size_t records)
{
    struct rng rng = {test_seed("spool, want")};
    struct fc_spool *spool = fc_spool_new("/tmp", budget);
    struct list all = fill(&spool, 1, records, &rng);
    size_t odd = 0, taken = 0;

    for (size_t i = 0; i < all.count;) {
        bool is_odd = all.at[i].key.proto % 2;
        odd += is_odd;
        if (is_odd)
            all.at[i] = all.at[--all.count];
        else
            i++;
    }
    cr_assert(odd > records / 10 && odd < records - records / 10);
    cr_assert_eq(fc_spool_extract(spool, odd_proto, count_odd, &taken, NULL), 0);
    cr_assert_eq(taken, odd);
    check_merge(&spool, 1, &all);
    fc_spool_free(spool);
    free(all.at);
}

Test(spool, extract_passes_over_what_is_not_wanted_by_its_key)
{
    want_with(3000, 200);
}

/* Segments that are read in several windows. */
Test(spool, what_was_taken_out_of_a_large_segment_stays_out)
{
    want_with(2 << 20, 12000);
}

static uint64_t rank_of_proto(const void *ctx, const struct fc_flow_key *key)
{
    (void)ctx;
    return key->proto % 7;
}

Test(spool, ranks_come_before_times)
{
    struct rng rng = {test_seed("spool, ranks")};
    struct fc_spool *spools[2];
    struct fc_session_record *got, last = {.has_extra = 0};
    struct fc_merge *merge;
    size_t n = 0;

    for (int i = 0; i < 2; i++)
        cr_assert_not_null(spools[i] = fc_spool_new_ranked("/tmp", 3000, rank_of_proto, NULL));
    struct list all = fill(spools, 2, 300, &rng);
    cr_assert_eq(fc_merge_open(spools, 2, &merge, NULL), 0);
    for (; fc_merge_next(merge, &got, NULL) == 1; n++, last = *got) {
        uint64_t before = last.key.proto % 7, now = got->key.proto % 7;
        cr_assert(n == 0 || before < now || (before == now && fc_session_record_compare(&last, got) <= 0));
    }
    cr_assert_eq(n, 300);
    fc_merge_close(merge);
    fc_spool_free(spools[0]);
    fc_spool_free(spools[1]);
    free(all.at);
}

Test(spool, records_may_be_added_behind_an_extraction)
{
    struct rng rng = {test_seed("spool, add behind")};
    struct fc_spool *spool = fc_spool_new("/tmp", 4000);
    struct list all = fill(&spool, 1, 200, &rng);
    uint8_t seen[500] = {0};
    struct taking t = {.divisor = 1, .remainder = 0, .seen = seen};

    cr_assert_eq(fc_spool_extract(spool, NULL, take, &t, NULL), 0);
    cr_assert_eq(t.taken, 200);
    cr_assert_eq(fc_spool_count(spool), 0);
    for (size_t i = 0; i < all.count; i++)
        add(spool, &all.at[i]);
    check_merge(&spool, 1, &all);
    fc_spool_free(spool);
    free(all.at);
}

static int refuse(void *ctx, const struct fc_session_record *rec)
{
    (void)ctx;
    (void)rec;
    return FC_E_DAMAGED;
}

Test(spool, what_the_callback_fails_with_ends_the_extraction)
{
    struct rng rng = {test_seed("spool, refuse")};
    struct fc_spool *spool = fc_spool_new("/tmp", 1000);
    struct list all = fill(&spool, 1, 50, &rng);

    cr_assert_eq(fc_spool_extract(spool, NULL, refuse, NULL, NULL), FC_E_DAMAGED);
    cr_assert_eq(fc_spool_count(spool), 50);
    fc_spool_free(spool);
    free(all.at);
}

Test(spool, a_folder_that_is_not_there_is_an_error_that_names_it)
{
    struct rng rng = {test_seed("spool, folder")};
    struct fc_spool *spool = fc_spool_new("/nonexistent/folder", 0);
    struct fc_session_record a = record_of(&rng, 1), b = record_of(&rng, 2);
    struct fc_error err = {0};

    a.blob_len = b.blob_len = 0;
    cr_assert_eq(fc_spool_add(spool, &a, &err), 0);
    cr_assert_eq(fc_spool_add(spool, &b, &err), FC_E_IO);
    cr_assert_str_eq(err.file, "/nonexistent/folder");
    fc_spool_free(spool);
}
