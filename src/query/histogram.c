/* SPDX-License-Identifier: MIT */
/*
 * One reading of the sessions, whatever their times are: the buckets begin as short as can be, and whenever they do not
 * reach they are joined to those of the next length, which is a multiple.
 */
#include "query/histogram.h"
#include "base/error.h"
#include "base/export.h"
#include "query/sample.h"
#include "store/db.h"
#include "store/snapshot.h"
#include "store/span.h"

#include <flowcarve/histogram.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum {
    OTHERS = -2,
    GROUPS_READ = 64, /* told apart while reading; there are five states and, of protocols, rarely more than ten */
    SHARES = 64       /* parts of a sum, spread over its time */
};

struct fc_histogram_making {
    const struct fc_histogram_options *o;
    size_t room;          /* buckets */
    int64_t length;       /* ns */
    int64_t base, lo, hi; /* number of the first bucket there is room for; of the first and last that have something */
    bool any;
    struct fc_histogram_sum earlier, timeless, sum;
    bool has_time;
    int64_t first_ns, last_ns; /* of all sessions */
    struct group {
        int64_t key;
        struct fc_histogram_sum total, *bucket;
    } group[GROUPS_READ + 1];
    size_t groups;
    /* of an index */
    struct fc_db *db;
    struct fc_error *err;
};

/* ---- lengths */

#define SECOND INT64_C(1000000000)
#define DAY (86400 * SECOND)

/* The length behind `length`, a multiple of it. */
static int64_t next_length(int64_t length)
{
    static const int64_t between[] = {2, 10, 30, 60, 120, 600, 1800, 3600, 2 * 3600, 6 * 3600, 12 * 3600, 86400};
    int64_t unit = length >= DAY ? DAY : 1, part = length / unit;

    if (length < 2 * SECOND || length >= DAY) {
        while (part % 10 == 0)
            part /= 10;
        return length > INT64_MAX / 5 ? INT64_MAX : length * (part == 1 ? 2 : 5);
    }
    for (size_t i = 0; i < sizeof between / sizeof between[0]; i++)
        if (between[i] * SECOND > length)
            return between[i] * SECOND;
    return DAY;
}

static int64_t floor_divide(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

/* INT64_MAX is the last length: half of time each. */
static int64_t bucket_of(int64_t ns, int64_t length)
{
    return length == INT64_MAX ? -(ns < 0) : floor_divide(ns, length);
}

static void add(struct fc_histogram_sum *to, const struct fc_histogram_sum *from)
{
    to->sessions += from->sessions;
    to->packets += from->packets;
    to->bytes += from->bytes;
}

/* Joins buckets to those of the next length. */
static void lengthen(struct fc_histogram_making *m)
{
    int64_t longer = next_length(m->length), factor = longer == INT64_MAX ? INT64_MAX : longer / m->length;
    int64_t lo = bucket_of(m->lo, factor), hi = bucket_of(m->hi, factor);

    for (size_t g = 0; g < m->groups; g++) {
        struct fc_histogram_sum *bucket = m->group[g].bucket;
        for (int64_t i = m->lo; i <= m->hi; i++) {
            /* never behind the place it comes from */
            struct fc_histogram_sum one = bucket[i - m->base];
            bucket[i - m->base] = (struct fc_histogram_sum){0};
            add(&bucket[bucket_of(i, factor) - lo], &one);
        }
    }
    m->length = longer;
    m->base = m->lo = lo;
    m->hi = hi;
}

/* Moves what there is so that bucket `base` is the first. */
static void move(struct fc_histogram_making *m, int64_t base)
{
    size_t used = (size_t)(m->hi - m->lo + 1);

    for (size_t g = 0; g < m->groups; g++) {
        struct fc_histogram_sum *bucket = m->group[g].bucket, *to = bucket + (m->lo - base);
        memmove(to, bucket + (m->lo - m->base), used * sizeof *bucket);
        memset(bucket, 0, (size_t)(to - bucket) * sizeof *bucket);
        memset(to + used, 0, (m->room - used - (size_t)(to - bucket)) * sizeof *bucket);
    }
    m->base = base;
}

/* The place of the bucket of a time, which there is then. */
static size_t place_of(struct fc_histogram_making *m, int64_t ns)
{
    int64_t at = bucket_of(ns, m->length);

    if (!m->any) {
        m->any = true;
        m->base = m->lo = m->hi = at;
    }
    for (;;) {
        int64_t lo = at < m->lo ? at : m->lo, hi = at > m->hi ? at : m->hi, reach;
        if (!__builtin_sub_overflow(hi, lo, &reach) && reach < (int64_t)m->room) {
            if (lo < m->base || hi - m->base >= (int64_t)m->room)
                move(m, lo);
            m->lo = lo;
            m->hi = hi;
            return (size_t)(at - m->base);
        }
        lengthen(m);
        at = bucket_of(ns, m->length);
    }
}

/* ---- reading */

static struct group *find_group(struct fc_histogram_making *m, int64_t key)
{
    for (size_t i = 0; i < m->groups; i++)
        if (m->group[i].key == key)
            return &m->group[i];
    if (m->groups >= GROUPS_READ && key != OTHERS)
        return find_group(m, OTHERS);
    struct group *group = &m->group[m->groups];
    if (!(group->bucket = calloc(m->room, sizeof *group->bucket)))
        return NULL;
    group->key = key;
    m->groups++;
    return group;
}

int fc_histogram_add(struct fc_histogram_making *m, int64_t key, int64_t ns, const struct fc_histogram_sum *sum)
{
    struct group *group = find_group(m, key);

    if (!group)
        return FC_E_NOMEM;
    add(&group->total, sum);
    add(&group->bucket[place_of(m, ns)], sum);
    return 0;
}

void fc_histogram_add_earlier(struct fc_histogram_making *m, const struct fc_histogram_sum *sum)
{
    add(&m->earlier, sum);
}

void fc_histogram_add_timeless(struct fc_histogram_making *m, const struct fc_histogram_sum *sum)
{
    add(&m->timeless, sum);
}

static int take(void *ctx, const struct fc_sample *s)
{
    struct fc_histogram_making *m = ctx;
    struct fc_histogram_sum one = {1, s->client_packets + s->server_packets, s->client_bytes + s->server_bytes};
    add(&m->sum, &one);
    if (s->has_time) {
        m->first_ns = !m->has_time || s->start_ns < m->first_ns ? s->start_ns : m->first_ns;
        m->last_ns = !m->has_time || s->end_ns > m->last_ns ? s->end_ns : m->last_ns;
        m->has_time = true;
    }
    int64_t key = m->o->by == FC_HISTOGRAM_PROTOCOL ? (int64_t)s->proto : m->o->by == FC_HISTOGRAM_STATE ? s->state : 0;

    if (s->has_time && !(m->o->has_from && s->start_ns < m->o->from_ns))
        return fc_histogram_add(m, key, s->start_ns, &one);
    add(s->has_time ? &m->earlier : &m->timeless, &one);
    return 0;
}

/* ---- from the sums */

/* A sum of `sessions` sessions that begin from start on, before next. */
static int spread(struct fc_histogram_making *m, int64_t start, int64_t next, const struct fc_histogram_sum *sum)
{
    uint64_t length = next > start ? (uint64_t)next - (uint64_t)start : 0;
    struct fc_histogram_sum done = {0};
    int rc = 0;

    for (unsigned i = 0; i < SHARES && rc == 0; i++) {
        struct fc_histogram_sum to = {(sum->sessions * (i + 1)) / SHARES, sum->packets / SHARES * (i + 1),
                                      sum->bytes / SHARES * (i + 1)};
        if (i + 1 == SHARES)
            to = *sum;
        struct fc_histogram_sum share = {to.sessions - done.sessions, to.packets - done.packets, to.bytes - done.bytes};
        done = to;
        rc = fc_histogram_add(m, 0, start + (int64_t)(length / SHARES * i), &share);
    }
    return rc;
}

static int read_sums(struct fc_histogram_making *m)
{
    static const char text[] =
        "SELECT p.first_id, p.start_ns, p.packets, p.bytes, (SELECT max(id) FROM session),"
        " (SELECT start_ns FROM session ORDER BY id DESC LIMIT 1) FROM session_span p ORDER BY p.first_id DESC";
    sqlite3 *sql = fc_db_sqlite(m->db);
    sqlite3_stmt *stmt = NULL;
    int64_t next_ns = INT64_MIN;
    bool first = true;
    int rc = 0, step = SQLITE_ERROR;

    if (sqlite3_prepare_v2(sql, text, -1, &stmt, NULL) == SQLITE_OK)
        while (rc == 0 && (step = sqlite3_step(stmt)) == SQLITE_ROW) {
            int64_t behind = sqlite3_column_int64(stmt, 4) - sqlite3_column_int64(stmt, 0) + 1;
            int64_t start = sqlite3_column_int64(stmt, 1);
            struct fc_histogram_sum sum = {(uint64_t)(behind < 0                  ? 0
                                                      : behind > FC_SPAN_SESSIONS ? FC_SPAN_SESSIONS
                                                                                  : behind),
                                           (uint64_t)sqlite3_column_int64(stmt, 2),
                                           (uint64_t)sqlite3_column_int64(stmt, 3)};
            if (first && sqlite3_column_type(stmt, 5) != SQLITE_NULL)
                next_ns = sqlite3_column_int64(stmt, 5);
            first = false;
            if (sqlite3_column_type(stmt, 1) == SQLITE_NULL)
                add(&m->timeless, &sum);
            else if ((rc = spread(m, start, next_ns, &sum)) == 0)
                next_ns = start;
        }
    if (rc == 0 && step != SQLITE_DONE)
        rc = fc_db_error(sql, m->db->path, m->err, "cannot read the index");
    sqlite3_finalize(stmt);
    return rc;
}

/* All within one transaction: nobody changes the pages of the table meanwhile. */
static int read_all(struct fc_histogram_making *m, const struct fc_filter *filter)
{
    int rc = fc_snapshot_begin(m->db, m->err);

    if (rc)
        return rc;
    rc = m->o->sums ? read_sums(m) : fc_samples_read(m->db, filter, FC_SAMPLES_PLAIN, false, take, m, m->err);
    fc_snapshot_end(m->db);
    return rc;
}

/* ---- the result */

static int compare_groups(const void *a, const void *b)
{
    const struct group *x = a, *y = b;

    if ((x->key == OTHERS) != (y->key == OTHERS))
        return x->key == OTHERS ? 1 : -1;
    if (x->total.bytes != y->total.bytes)
        return x->total.bytes > y->total.bytes ? -1 : 1;
    return (x->key > y->key) - (x->key < y->key);
}

/* The smallest groups become one, behind the largest ones. */
static void join_others(struct fc_histogram_making *m)
{
    qsort(m->group, m->groups, sizeof *m->group, compare_groups);
    if (m->groups <= FC_HISTOGRAM_GROUPS)
        return;
    struct group *others = &m->group[FC_HISTOGRAM_GROUPS];
    others->key = OTHERS;
    for (size_t g = FC_HISTOGRAM_GROUPS + 1; g < m->groups; g++) {
        add(&others->total, &m->group[g].total);
        for (size_t i = 0; i < m->room; i++)
            add(&others->bucket[i], &m->group[g].bucket[i]);
        free(m->group[g].bucket);
    }
    m->groups = FC_HISTOGRAM_GROUPS + 1;
}

static int give(struct fc_histogram_making *m, struct fc_histogram *out)
{
    join_others(m);
    if (!(out->group = calloc(m->groups + 1, sizeof *out->group)))
        return FC_E_NOMEM;
    out->earlier = m->earlier;
    out->timeless = m->timeless;
    out->exact = !m->o->sums;
    out->total = m->sum;
    out->has_time = m->has_time;
    out->first_ns = m->first_ns;
    out->last_ns = m->last_ns;
    if (!m->any)
        return 0;
    out->bucket_ns = m->length;
    /* the first one may begin before what 64 bits can say */
    if (__builtin_mul_overflow(m->lo, m->length, &out->start_ns))
        out->start_ns = INT64_MIN;
    out->count = (size_t)(m->hi - m->lo + 1);
    for (size_t g = 0; g < m->groups; g++) {
        if (m->lo > m->base)
            memmove(m->group[g].bucket, m->group[g].bucket + (m->lo - m->base), out->count * sizeof *m->group->bucket);
        out->group[g] = (struct fc_histogram_group){m->group[g].key, m->group[g].total, m->group[g].bucket};
        m->group[g].bucket = NULL;
    }
    out->groups = m->groups;
    return 0;
}

int fc_histogram_begin(const struct fc_histogram_options *o, int64_t length_ns, struct fc_histogram_making **out,
                       struct fc_error *err)
{
    struct fc_histogram_making *m;

    *out = NULL;
    if (o->buckets > FC_HISTOGRAM_BUCKETS_MAX || o->buckets == 1)
        return fc_error_set(err, FC_E_USAGE, NULL, FC_NO_OFFSET, "the most buckets are 2 to %d",
                            FC_HISTOGRAM_BUCKETS_MAX);
    if (!(m = calloc(1, sizeof *m)))
        return fc_error_set(err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");
    m->o = o;
    m->room = o->buckets ? o->buckets : FC_HISTOGRAM_BUCKETS;
    m->length = length_ns;
    *out = m;
    return 0;
}

int64_t fc_histogram_length(const struct fc_histogram_making *m, int64_t first_ns, int64_t last_ns)
{
    int64_t length = 1, reach;

    while (__builtin_sub_overflow(bucket_of(last_ns, length), bucket_of(first_ns, length), &reach) ||
           reach >= (int64_t)m->room)
        length = next_length(length);
    return length;
}

void fc_histogram_set_length(struct fc_histogram_making *m, int64_t length_ns)
{
    m->length = length_ns;
}

int fc_histogram_end(struct fc_histogram_making *m, struct fc_histogram *out)
{
    int rc = out ? give(m, out) : 0;

    for (size_t g = 0; g < m->groups; g++)
        free(m->group[g].bucket);
    free(m);
    if (rc)
        fc_histogram_fini(out);
    return rc;
}

FC_EXPORT int fc_histogram_make(struct fc_db *db, const struct fc_filter *filter,
                                const struct fc_histogram_options *options, struct fc_histogram *out,
                                struct fc_error *err)
{
    struct fc_histogram_options o = options ? *options : (struct fc_histogram_options){0};
    struct fc_histogram_making *m;
    int rc, ended;

    memset(out, 0, sizeof *out);
    o.sums &= !filter && o.by == FC_HISTOGRAM_ALL && !o.has_from;
    if ((rc = fc_histogram_begin(&o, 1, &m, err)))
        return rc;
    m->db = db;
    m->err = err;
    rc = read_all(m, filter);
    ended = fc_histogram_end(m, rc ? NULL : out);
    if (rc == FC_E_NOMEM || ended)
        rc = fc_error_set(err, FC_E_NOMEM, db->path, FC_NO_OFFSET, "out of memory");
    return rc;
}

FC_EXPORT void fc_histogram_fini(struct fc_histogram *histogram)
{
    for (size_t g = 0; g < histogram->groups; g++)
        free(histogram->group[g].bucket);
    free(histogram->group);
    memset(histogram, 0, sizeof *histogram);
}
