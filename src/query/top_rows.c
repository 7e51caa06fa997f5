/* SPDX-License-Identifier: MIT */
#include "query/top_rows.h"
#include "base/error.h"
#include "base/export.h"
#include "base/vector.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#define NS INT64_C(1000000000)

enum {
    BUCKETS_MAX = 1000000,
    BUCKETS_USUAL = 60,
    KEPT_MIN = 4096 /* rows, of which the first ones are those wanted */
};

static const char *const sort_names[FC_TOP_SORTS] = {"key",     "sessions", "peers",      "ports",
                                                     "packets", "bytes",    "sent_bytes", "received_bytes",
                                                     "first",   "last",     "interval"};

static int compare_numbers(uint64_t a, uint64_t b)
{
    return (a > b) - (a < b);
}

static int compare_text(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) : (a != NULL) - (b != NULL);
}

static int compare_keys(const struct fc_top *t, const struct fc_top_kept *a, const struct fc_top_kept *b)
{
    int order = 0;

    bool by_text = fc_top_by_text(t->by);

    if (by_text)
        order = compare_text(a->key.text, b->key.text);
    for (int i = 0; i < (by_text ? 2 : 6) && order == 0; i++)
        order = compare_numbers(a->key.word[i], b->key.word[i]);
    return order;
}

static uint64_t figure(enum fc_top_sort sort, const struct fc_top_row *r)
{
    switch (sort) {
    case FC_TOP_SORT_SESSIONS:
        return r->sessions;
    case FC_TOP_SORT_PEERS:
        return r->peers;
    case FC_TOP_SORT_PORTS:
        return r->ports;
    case FC_TOP_SORT_PACKETS:
        return r->packets;
    case FC_TOP_SORT_SENT:
        return r->sent_bytes;
    case FC_TOP_SORT_RECEIVED:
        return r->received_bytes;
    case FC_TOP_SORT_FIRST:
        return fc_top_ordered(r->first_ns);
    case FC_TOP_SORT_LAST:
        return fc_top_ordered(r->last_ns);
    default:
        return r->bytes;
    }
}

/* Rows without what is sorted by are given behind the others, whatever the direction. */
static int compare_figures(const struct fc_top *t, const struct fc_top_row *a, const struct fc_top_row *b)
{
    bool time = t->sort == FC_TOP_SORT_FIRST || t->sort == FC_TOP_SORT_LAST, interval = t->sort == FC_TOP_SORT_INTERVAL;
    int lacking = time ? b->has_time - a->has_time : interval ? (b->intervals > 0) - (a->intervals > 0) : 0;
    int order = interval ? (a->interval_mean > b->interval_mean) - (a->interval_mean < b->interval_mean)
                         : compare_numbers(figure(t->sort, a), figure(t->sort, b));

    return lacking ? lacking : t->descending ? -order : order;
}

static int compare_rows(const void *a, const void *b, void *top)
{
    const struct fc_top *t = top;
    const struct fc_top_kept *x = a, *y = b;
    int order = t->sort == FC_TOP_SORT_KEY ? 0 : compare_figures(t, &x->row, &y->row);

    if (order)
        return order;
    order = compare_keys(t, x, y);
    return t->sort == FC_TOP_SORT_KEY && t->descending ? -order : order;
}

void fc_top_prune(struct fc_top *t)
{
    if (t->count)
        qsort_r(t->rows, t->count, sizeof *t->rows, compare_rows, t);
    while (t->count > t->limit)
        free((char *)t->rows[--t->count].key.text);
    t->best = t->count == t->limit ? t->limit : 0;
}

int fc_top_keep(struct fc_top *t, const struct fc_top_kept *row)
{
    size_t most = t->limit > SIZE_MAX / 4 ? SIZE_MAX : t->limit * 2 > KEPT_MIN ? t->limit * 2 : KEPT_MIN;

    if (t->best && compare_rows(row, &t->rows[t->best - 1], t) > 0)
        return 0;
    if (t->count == most)
        fc_top_prune(t);
    if (fc_vector_reserve(&t->rows, &t->room, t->count + 1, sizeof *t->rows))
        return FC_E_NOMEM;
    struct fc_top_kept *kept = &t->rows[t->count];
    *kept = *row;
    if (row->key.text && !(kept->key.text = strdup(row->key.text)))
        return FC_E_NOMEM;
    kept->row.text = kept->key.text;
    t->count++;
    return 0;
}

/* ---------------------------------------------------------------- adding */

static int fail_sort(const char *sort, struct fc_error *err)
{
    char list[160];
    size_t len = 0;

    for (int i = 0; i < FC_TOP_SORTS; i++)
        len += (size_t)snprintf(list + len, sizeof list - len, "%s%s", i ? ", " : "", sort_names[i]);
    return fc_error_set(err, FC_E_USAGE, NULL, FC_NO_OFFSET,
                        "cannot sort by '%.40s'; KEY[:asc|:desc] with KEY one of %s", sort, list);
}

static int read_sort(struct fc_top *t, const char *sort, struct fc_error *err)
{
    size_t len = sort ? strcspn(sort, ":") : 0;

    t->sort = t->by == FC_TOP_TIME ? FC_TOP_SORT_KEY : t->by == FC_TOP_FILE ? FC_TOP_SORT_PACKETS : FC_TOP_SORT_BYTES;
    if (sort) {
        for (t->sort = 0; t->sort < FC_TOP_SORTS; t->sort++)
            if (strlen(sort_names[t->sort]) == len && memcmp(sort_names[t->sort], sort, len) == 0)
                break;
        if (t->sort == FC_TOP_SORTS ||
            (sort[len] && strcmp(sort + len, ":asc") != 0 && strcmp(sort + len, ":desc") != 0))
            return fail_sort(sort, err);
    }
    t->descending = sort && sort[len]
                        ? sort[len + 1] == 'd'
                        : t->sort != FC_TOP_SORT_KEY && t->sort != FC_TOP_SORT_FIRST && t->sort != FC_TOP_SORT_INTERVAL;
    return 0;
}

int fc_top_begin(const struct fc_top_options *o, struct fc_top **out, struct fc_error *err)
{
    struct fc_top *t = calloc(1, sizeof *t);
    int rc;

    *out = NULL;
    if (!t)
        return fc_error_set(err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");
    t->by = o->by_time && o->by == FC_TOP_TOTAL ? FC_TOP_TIME : o->by;
    t->by_time = o->by_time && t->by != FC_TOP_TIME;
    t->limit = o->limit > 0 && (uint64_t)o->limit < SIZE_MAX ? (size_t)o->limit : SIZE_MAX;
    if ((rc = read_sort(t, o->sort, err))) {
        free(t);
        return rc;
    }
    *out = t;
    return 0;
}

static void read_addr(int kind, const uint8_t *addr, uint64_t *word)
{
    unsigned size = kind == FC_ADDR_IPV6 ? 16 : kind == FC_ADDR_MAC ? 6 : kind == FC_ADDR_IPV4 ? 4 : 0;

    for (unsigned i = 0; i < size; i++)
        word[i / 8] = word[i / 8] << 8 | addr[i];
}

/* What rows are put in order by, from their group. */
static struct fc_group_key key_of_row(const struct fc_top *t, const struct fc_top_row *r)
{
    struct fc_sample s = {.has_time = r->has_bucket,
                          .start_ns = r->bucket_ns,
                          .proto = r->proto,
                          .kind = r->kind,
                          .server_port = r->port,
                          .state = r->state,
                          .text = r->text};
    struct fc_group_key key;

    read_addr(r->kind, r->addr, t->by == FC_TOP_SERVER ? s.server.word : s.client.word);
    if (t->by == FC_TOP_PAIR)
        read_addr(r->kind, r->server, s.server.word);
    fc_top_key(t, &s, &key);
    return key;
}

int fc_top_add(struct fc_top *t, const struct fc_top_row *row)
{
    return fc_top_keep(t, &(struct fc_top_kept){key_of_row(t, row), *row});
}

void fc_top_end(struct fc_top *t, uint64_t groups)
{
    fc_top_prune(t);
    t->groups_seen = groups;
}

enum fc_top_sort fc_top_sorted(const struct fc_top *t, bool *descending)
{
    *descending = t->descending;
    return t->sort;
}

/* The shortest bucket of usual length of which not too many are between first and last; else one asked for. */
int fc_top_choose_bucket(struct fc_top *t, int64_t first_ns, int64_t last_ns, int64_t asked_ns, struct fc_error *err)
{
    static const int64_t ms = 1000000,
                         usual[] = {1 * ms,           2 * ms,     5 * ms,         10 * ms,         20 * ms,
                                    50 * ms,          100 * ms,   200 * ms,       500 * ms,        1 * NS,
                                    2 * NS,           5 * NS,     10 * NS,        15 * NS,         30 * NS,
                                    60 * NS,          120 * NS,   300 * NS,       600 * NS,        900 * NS,
                                    1800 * NS,        3600 * NS,  7200 * NS,      10800 * NS,      21600 * NS,
                                    43200 * NS,       86400 * NS, 7 * 86400 * NS, 28 * 86400 * NS, 364 * 86400 * NS,
                                    3640 * 86400 * NS};

    for (size_t i = 0; asked_ns <= 0 && i < sizeof usual / sizeof usual[0]; i++) {
        t->bucket_ns = usual[i];
        if (fc_top_floor(last_ns, usual[i]) - fc_top_floor(first_ns, usual[i]) < BUCKETS_USUAL)
            break;
    }
    if (asked_ns > 0)
        t->bucket_ns = asked_ns;
    if (fc_top_floor(last_ns, t->bucket_ns) - fc_top_floor(first_ns, t->bucket_ns) >= BUCKETS_MAX)
        return fc_error_set(err, FC_E_LIMIT, NULL, FC_NO_OFFSET,
                            "the sessions start within more than %d buckets of that length; take longer ones",
                            BUCKETS_MAX);
    return 0;
}

uint32_t fc_top_figures(const struct fc_top *t, const struct fc_top_options *o)
{
    return o->figures | (t->sort == FC_TOP_SORT_PEERS ? FC_TOP_PEERS : 0) |
           (t->sort == FC_TOP_SORT_PORTS ? FC_TOP_PORTS : 0) | (t->sort == FC_TOP_SORT_INTERVAL ? FC_TOP_INTERVAL : 0);
}

/* ---------------------------------------------------------------- giving */

FC_EXPORT int fc_top_next(struct fc_top *t, struct fc_top_row *row)
{
    const struct fc_top_row *next = t->next < t->count ? &t->rows[t->next].row : NULL;
    int step = t->descending ? -1 : 1;

    if (!next || t->given == t->limit)
        return 0;
    bool filled = t->by == FC_TOP_TIME && t->sort == FC_TOP_SORT_KEY && t->next > 0 && next->has_bucket &&
                  t->rows[t->next - 1].row.has_bucket;
    int64_t bucket = filled ? fc_top_floor(next->bucket_ns, t->bucket_ns) : 0;
    t->given++;
    if (filled && bucket != t->empty) {
        *row = (struct fc_top_row){.has_bucket = true, .has_bytes = true, .bucket_ns = t->empty * t->bucket_ns};
        t->empty += step;
        return 1;
    }
    if (next->has_bucket)
        t->empty = fc_top_floor(next->bucket_ns, t->bucket_ns) + step;
    *row = *next;
    t->next++;
    return 1;
}

FC_EXPORT uint64_t fc_top_groups(const struct fc_top *t)
{
    return t->groups_seen;
}

FC_EXPORT int64_t fc_top_bucket(const struct fc_top *t)
{
    return t->bucket_ns;
}

FC_EXPORT void fc_top_close(struct fc_top *t)
{
    if (!t)
        return;
    for (size_t i = 0; i < t->count; i++)
        free((char *)t->rows[i].key.text);
    free(t->rows);
    free(t);
}
