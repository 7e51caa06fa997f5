/* SPDX-License-Identifier: MIT */
/*
 * Sums by group: sessions are read (sample.h), added to their groups (top_groups.h), and the groups become rows, of
 * which no more than a few times the limit are kept.
 */
#include "query/top.h"
#include "base/error.h"
#include "base/export.h"
#include "base/hash.h"
#include "base/vector.h"
#include "query/fields.h"
#include "query/filter.h"
#include "query/top_groups.h"
#include "store/db.h"
#include "store/snapshot.h"

#include <flowcarve/decode.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NS INT64_C(1000000000)

enum {
    GROUPS_MAX = 1 << 21, /* 150 bytes each */
    VALUES_MAX = 1 << 24, /* words */
    BUCKETS_MAX = 1000000,
    BUCKETS_USUAL = 60,
    SHARES = 64,    /* noted before they are added */
    KEPT_MIN = 4096 /* rows, of which the first ones are those wanted */
};

static const char *const sort_names[FC_TOP_SORTS] = {"key",     "sessions", "peers",      "ports",
                                                     "packets", "bytes",    "sent_bytes", "received_bytes",
                                                     "first",   "last",     "interval"};

struct row {
    struct fc_group_key key;
    struct fc_top_row row;
};

struct fc_top {
    struct fc_db *db;
    enum fc_top_by by;
    enum fc_top_sort sort;
    bool descending;
    size_t limit; /* SIZE_MAX: none */
    int64_t bucket_ns;
    uint64_t groups_seen;
    struct row *rows;
    size_t count, room, next;
    size_t best;   /* rows[limit - 1] when so many have been sorted: what is not better than it is not kept */
    int64_t empty; /* bucket that comes next in the order of time; see fill() */
    size_t given;
};

/* What a session adds to a group. */
struct share {
    struct fc_group_key key;
    uint64_t hash;
    uint64_t packets, sent_bytes, received_bytes;
    bool has_time;
    int kind, port;
    int64_t start_ns, end_ns;
    struct fc_sample_addr peer[2]; /* the other end, and this one */
};

/* One reading of the sessions. */
struct reading {
    struct share share[SHARES];
    unsigned shares;
    struct fc_top *top;
    struct fc_groups *groups;
    bool unordered; /* starts did not come in their order */
    struct fc_error *err;
};

static int fail_memory(struct fc_db *db, struct fc_error *err)
{
    return fc_error_set(err, FC_E_NOMEM, db->path, FC_NO_OFFSET, "out of memory");
}

/* ---------------------------------------------------------------- what a session adds */

static int64_t floor_divide(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

static void set_addr(uint64_t *word, const struct fc_sample_addr *addr)
{
    word[0] = addr->word[0];
    word[1] = addr->word[1];
}

/* Numbers below 0 come first in the order of keys, which is that of unsigned words. */
static uint64_t ordered(int64_t number)
{
    return (uint64_t)number ^ UINT64_C(1) << 63;
}

static void key_of(const struct fc_top *t, const struct fc_sample *s, struct fc_group_key *key)
{
    *key = (struct fc_group_key){.text = s->text};
    switch (t->by) {
    case FC_TOP_CLIENT:
    case FC_TOP_HOST:
    case FC_TOP_PAIR:
        key->word[0] = (uint64_t)s->kind;
        set_addr(key->word + 1, &s->client);
        if (t->by == FC_TOP_PAIR)
            set_addr(key->word + 3, &s->server);
        break;
    case FC_TOP_SERVER:
        key->word[0] = (uint64_t)s->kind;
        set_addr(key->word + 1, &s->server);
        break;
    case FC_TOP_PORT:
        key->word[0] = (uint64_t)(s->server_port + 1);
        key->word[1] = s->proto;
        break;
    case FC_TOP_PROTOCOL:
        key->word[0] = s->proto;
        break;
    case FC_TOP_STATE:
        key->word[0] = (uint64_t)(s->state + 1);
        break;
    case FC_TOP_FILE:
        key->word[0] = s->file;
        break;
    case FC_TOP_VLAN:
    case FC_TOP_TUNNEL:
    case FC_TOP_SENSOR:
        key->word[5] = s->text ? fc_hash_bytes(s->text, strlen(s->text), 0) : 0;
        break;
    case FC_TOP_TIME:
        key->word[0] = !s->has_time;
        key->word[1] = s->has_time ? ordered(floor_divide(s->start_ns, t->bucket_ns)) : 0;
        break;
    default:
        break;
    }
}

/* Notes a session for a group; server: as its server. */
static void new_share(struct reading *r, const struct fc_sample *s, const struct fc_group_key *key, bool server)
{
    uint64_t hash = fc_groups_hash(r->groups, key);
    struct share *share = &r->share[r->shares];

    if (!fc_groups_wants(r->groups, hash))
        return;
    r->shares++;
    share->key = *key;
    share->hash = hash;
    fc_groups_fetch_slot(r->groups, share->hash);
    share->packets = s->client_packets + s->server_packets;
    share->sent_bytes = server ? s->server_bytes : s->client_bytes;
    share->received_bytes = server ? s->client_bytes : s->server_bytes;
    share->has_time = s->has_time;
    share->start_ns = s->start_ns;
    share->end_ns = s->end_ns;
    share->kind = s->kind;
    share->port = s->server_port;
    share->peer[0] = server ? s->client : s->server;
    share->peer[1] = server ? s->server : s->client;
}

static int add_values(struct reading *r, const struct share *s, size_t at)
{
    struct fc_groups *g = r->groups;
    enum fc_top_by by = r->top->by;
    bool one_end = by == FC_TOP_CLIENT || by == FC_TOP_SERVER || by == FC_TOP_HOST;
    struct fc_sample_addr port = {{(uint64_t)s->port}};
    int rc = 0;

    if ((g->figures & FC_TOP_PORTS) && s->port >= 0)
        rc = fc_groups_value(g, &g->ports, at, FC_ADDR_IPV4, &port);
    if (rc || !(g->figures & FC_TOP_PEERS) || s->kind == FC_ADDR_NONE)
        return rc;
    rc = fc_groups_value(g, &g->peers, at, s->kind, &s->peer[0]);
    return rc || one_end ? rc : fc_groups_value(g, &g->peers, at, s->kind, &s->peer[1]);
}

static int add_share(struct reading *r, const struct share *s)
{
    struct fc_groups *g = r->groups;
    size_t at;
    int rc = fc_groups_find(g, &s->key, s->hash, &at);

    if (rc || at == SIZE_MAX)
        return rc;
    if (!g->summed) {
        struct fc_group *group = &g->group[at];
        group->sessions++;
        group->packets += s->packets;
        group->sent_bytes += s->sent_bytes;
        group->received_bytes += s->received_bytes;
        if (s->has_time) {
            group->first_ns = s->start_ns < group->first_ns ? s->start_ns : group->first_ns;
            group->last_ns = s->end_ns > group->last_ns ? s->end_ns : group->last_ns;
            if ((g->figures & FC_TOP_INTERVAL) && !fc_groups_start(g, at, s->start_ns))
                r->unordered = true;
        }
    }
    return add_values(r, s, at);
}

/* Adds what was noted. */
static int add_shares(struct reading *r)
{
    int rc = 0;

    for (unsigned i = 0; i < r->shares; i++)
        fc_groups_fetch_group(r->groups, r->share[i].hash);
    for (unsigned i = 0; i < r->shares && rc == 0; i++)
        rc = add_share(r, &r->share[i]);
    r->shares = 0;
    return rc == FC_E_NOMEM ? fail_memory(r->top->db, r->err) : rc;
}

static int add_sample(void *ctx, const struct fc_sample *s)
{
    struct reading *r = ctx;
    struct fc_group_key key;

    key_of(r->top, s, &key);
    new_share(r, s, &key, r->top->by == FC_TOP_SERVER);
    if (r->top->by == FC_TOP_HOST && memcmp(&s->client, &s->server, sizeof s->client) != 0) {
        set_addr(key.word + 1, &s->server);
        new_share(r, s, &key, true);
    }
    /* a text is the statement's, and gone with its next row */
    return r->shares >= SHARES - 1 || key.text ? add_shares(r) : 0;
}

/* ---------------------------------------------------------------- rows */

static void write_addr(int kind, const uint64_t *word, uint8_t addr[16])
{
    unsigned size = kind == FC_ADDR_IPV6 ? 8 : kind == FC_ADDR_MAC ? 6 : kind == FC_ADDR_IPV4 ? 4 : 0;

    for (unsigned i = 0; i < size; i++) {
        addr[i] = (uint8_t)(word[0] >> 8 * (size - 1 - i));
        if (kind == FC_ADDR_IPV6)
            addr[8 + i] = (uint8_t)(word[1] >> 8 * (7 - i));
    }
}

static void name_group(const struct fc_top *t, const struct fc_group_key *key, struct fc_top_row *row)
{
    switch (t->by) {
    case FC_TOP_CLIENT:
    case FC_TOP_SERVER:
    case FC_TOP_HOST:
    case FC_TOP_PAIR:
        row->kind = (int)key->word[0];
        write_addr(row->kind, key->word + 1, row->addr);
        write_addr(row->kind, key->word + 3, row->server);
        break;
    case FC_TOP_PORT:
        row->port = (int)key->word[0] - 1;
        row->proto = (uint32_t)key->word[1];
        break;
    case FC_TOP_PROTOCOL:
        row->proto = (uint32_t)key->word[0];
        break;
    case FC_TOP_STATE:
        row->state = (int)key->word[0] - 1;
        break;
    case FC_TOP_FILE:
        row->file = (uint32_t)key->word[0];
        break;
    case FC_TOP_TIME:
        row->has_bucket = !key->word[0];
        if (row->has_bucket) /* the first one may begin before what 64 bits can say */
            row->bucket_ns =
                __builtin_mul_overflow((int64_t)ordered((int64_t)key->word[1]), t->bucket_ns, &row->bucket_ns)
                    ? INT64_MIN
                    : row->bucket_ns;
        break;
    default:
        break;
    }
}

static void make_row(const struct fc_top *t, const struct fc_groups *g, size_t at, struct row *out)
{
    const struct fc_group *group = &g->group[at];
    struct fc_top_row *row = &out->row;

    *out = (struct row){.key = g->key[at]};
    name_group(t, &g->key[at], row);
    row->sessions = group->sessions;
    row->packets = group->packets;
    row->has_bytes = t->by != FC_TOP_FILE;
    row->bytes = group->sent_bytes + group->received_bytes;
    row->sent_bytes = group->sent_bytes;
    row->received_bytes = group->received_bytes;
    row->has_time = group->first_ns <= group->last_ns;
    row->first_ns = row->has_time ? group->first_ns : 0;
    row->last_ns = row->has_time ? group->last_ns : 0;
    row->peers = group->peers;
    row->ports = group->ports;
    if (g->figures & FC_TOP_INTERVAL)
        fc_groups_gaps(g, at, row);
}

static int compare_numbers(uint64_t a, uint64_t b)
{
    return (a > b) - (a < b);
}

static int compare_text(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) : (a != NULL) - (b != NULL);
}

static int compare_keys(const struct fc_top *t, const struct row *a, const struct row *b)
{
    int order = 0;

    if (t->by == FC_TOP_VLAN || t->by == FC_TOP_TUNNEL || t->by == FC_TOP_SENSOR)
        return compare_text(a->key.text, b->key.text);
    for (int i = 0; i < 6 && order == 0; i++)
        order = compare_numbers(a->key.word[i], b->key.word[i]);
    return order;
}

/* Rows without what is sorted by are given behind the others, whatever the direction. */
static int compare_figures(const struct fc_top *t, const struct fc_top_row *a, const struct fc_top_row *b)
{
    bool time = t->sort == FC_TOP_SORT_FIRST || t->sort == FC_TOP_SORT_LAST, interval = t->sort == FC_TOP_SORT_INTERVAL;
    int lacking = time ? b->has_time - a->has_time : interval ? (b->intervals > 0) - (a->intervals > 0) : 0;
    int order;

    if (lacking)
        return lacking;
    switch (t->sort) {
    case FC_TOP_SORT_SESSIONS:
        order = compare_numbers(a->sessions, b->sessions);
        break;
    case FC_TOP_SORT_PEERS:
        order = compare_numbers(a->peers, b->peers);
        break;
    case FC_TOP_SORT_PORTS:
        order = compare_numbers(a->ports, b->ports);
        break;
    case FC_TOP_SORT_PACKETS:
        order = compare_numbers(a->packets, b->packets);
        break;
    case FC_TOP_SORT_BYTES:
        order = compare_numbers(a->bytes, b->bytes);
        break;
    case FC_TOP_SORT_SENT:
        order = compare_numbers(a->sent_bytes, b->sent_bytes);
        break;
    case FC_TOP_SORT_RECEIVED:
        order = compare_numbers(a->received_bytes, b->received_bytes);
        break;
    case FC_TOP_SORT_FIRST:
        order = compare_numbers(ordered(a->first_ns), ordered(b->first_ns));
        break;
    case FC_TOP_SORT_LAST:
        order = compare_numbers(ordered(a->last_ns), ordered(b->last_ns));
        break;
    default:
        order = (a->interval_mean > b->interval_mean) - (a->interval_mean < b->interval_mean);
    }
    return t->descending ? -order : order;
}

static int compare_rows(const void *a, const void *b, void *top)
{
    const struct fc_top *t = top;
    const struct row *x = a, *y = b;
    int order = t->sort == FC_TOP_SORT_KEY ? 0 : compare_figures(t, &x->row, &y->row);

    if (order)
        return order;
    order = compare_keys(t, x, y);
    return t->sort == FC_TOP_SORT_KEY && t->descending ? -order : order;
}

/* Sorts what there is, and lets go of what is behind the limit. */
static void prune(struct fc_top *t)
{
    if (t->count)
        qsort_r(t->rows, t->count, sizeof *t->rows, compare_rows, t);
    while (t->count > t->limit)
        free((char *)t->rows[--t->count].key.text);
    t->best = t->count == t->limit ? t->limit : 0;
}

static int keep_row(struct fc_top *t, const struct row *row)
{
    size_t most = t->limit > SIZE_MAX / 4 ? SIZE_MAX : t->limit * 2 > KEPT_MIN ? t->limit * 2 : KEPT_MIN;

    if (t->best && compare_rows(row, &t->rows[t->best - 1], t) > 0)
        return 0;
    if (t->count == most)
        prune(t);
    if (fc_vector_reserve(&t->rows, &t->room, t->count + 1, sizeof *t->rows))
        return FC_E_NOMEM;
    struct row *kept = &t->rows[t->count];
    *kept = *row;
    if (row->key.text && !(kept->key.text = strdup(row->key.text)))
        return FC_E_NOMEM;
    kept->row.text = kept->key.text;
    t->count++;
    return 0;
}

static int take_groups(struct fc_top *t, const struct fc_groups *g)
{
    struct row row;
    int rc = 0;

    for (size_t i = 0; i < g->count && rc == 0; i++) {
        make_row(t, g, i, &row);
        rc = keep_row(t, &row);
    }
    t->groups_seen += g->count;
    return rc;
}

/* ---------------------------------------------------------------- opening */

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

static enum fc_samples samples_of(enum fc_top_by by)
{
    return by == FC_TOP_VLAN     ? FC_SAMPLES_VLAN
           : by == FC_TOP_TUNNEL ? FC_SAMPLES_TUNNEL
           : by == FC_TOP_FILE   ? FC_SAMPLES_FILE
                                 : FC_SAMPLES_PLAIN;
}

static int check_fields(struct fc_top *t, struct fc_error *err)
{
    uint32_t held, needed = t->by == FC_TOP_VLAN ? FC_FIELD_VLAN : t->by == FC_TOP_TUNNEL ? FC_FIELD_TUNNEL : 0;
    int rc = fc_db_fields(t->db, &held, err);

    if (rc == 0 && (needed & ~held))
        rc = fc_error_set(err, FC_E_USAGE, t->db->path, FC_NO_OFFSET, "this index holds no %s; index with --fields %s",
                          t->by == FC_TOP_VLAN ? "VLAN ids" : "encapsulations",
                          t->by == FC_TOP_VLAN ? "vlan" : "tunnel");
    return rc;
}

/* First and last start of the sessions. */
struct starts {
    bool any;
    int64_t first, last;
};

static int add_start(void *ctx, const struct fc_sample *s)
{
    struct starts *starts = ctx;

    if (!s->has_time)
        return 0;
    starts->first = !starts->any || s->start_ns < starts->first ? s->start_ns : starts->first;
    starts->last = !starts->any || s->start_ns > starts->last ? s->start_ns : starts->last;
    starts->any = true;
    return 0;
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
        if (floor_divide(last_ns, usual[i]) - floor_divide(first_ns, usual[i]) < BUCKETS_USUAL)
            break;
    }
    if (asked_ns > 0)
        t->bucket_ns = asked_ns;
    if (floor_divide(last_ns, t->bucket_ns) - floor_divide(first_ns, t->bucket_ns) >= BUCKETS_MAX)
        return fc_error_set(err, FC_E_LIMIT, NULL, FC_NO_OFFSET,
                            "the sessions start within more than %d buckets of that length; take longer ones",
                            BUCKETS_MAX);
    return 0;
}

static int choose_bucket(struct fc_top *t, const struct fc_filter *filter, int64_t asked, struct fc_error *err)
{
    struct starts starts = {0};
    int rc = fc_samples_read(t->db, filter, FC_SAMPLES_PLAIN, false, add_start, &starts, err);

    return rc ? rc : fc_top_choose_bucket(t, starts.first, starts.last, asked, err);
}

/* Reads all sessions for the part at hand; once more in the order of starts where that is needed and not theirs. */
static int read_part(struct reading *r, const struct fc_filter *filter, bool *by_start)
{
    for (;;) {
        r->unordered = false;
        r->shares = 0;
        int rc = fc_samples_read(r->top->db, filter, samples_of(r->top->by), *by_start, add_sample, r, r->err);
        rc = rc ? rc : add_shares(r);
        if (rc || !r->unordered || *by_start)
            return rc;
        *by_start = true;
        fc_groups_restart(r->groups);
    }
}

static int read_all(struct fc_top *t, const struct fc_filter *filter, struct fc_groups *groups, struct fc_error *err)
{
    struct reading r;
    bool by_start = false, done;
    int rc = 0;

    r.top = t;
    r.groups = groups;
    r.err = err;
    do {
        for (done = false; rc == 0 && !done;)
            if ((rc = read_part(&r, filter, &by_start)) == 0 && fc_groups_end_part(groups, &done))
                rc = fail_memory(t->db, err);
        if (rc == 0 && take_groups(t, groups))
            rc = fail_memory(t->db, err);
    } while (rc == 0 && fc_groups_next_part(groups));
    return rc;
}

/* Paths of the captures that have rows. */
static int name_files(struct fc_top *t, struct fc_error *err)
{
    sqlite3 *sql = fc_db_sqlite(t->db);
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(sql, "SELECT path FROM files WHERE id = ?", -1, &stmt, NULL);

    for (size_t i = 0; rc == SQLITE_OK && i < t->count; i++) {
        sqlite3_bind_int64(stmt, 1, t->rows[i].row.file);
        int step = sqlite3_step(stmt);
        const char *path = step == SQLITE_ROW ? (const char *)sqlite3_column_text(stmt, 0) : NULL;
        if (path && !(t->rows[i].row.text = t->rows[i].key.text = strdup(path)))
            rc = SQLITE_NOMEM;
        else if (step != SQLITE_ROW && step != SQLITE_DONE)
            rc = SQLITE_ERROR;
        sqlite3_reset(stmt);
    }
    if (rc == SQLITE_NOMEM)
        fail_memory(t->db, err);
    else if (rc != SQLITE_OK)
        rc = fc_db_error(sql, t->db->path, err, "cannot read the index");
    sqlite3_finalize(stmt);
    return rc == SQLITE_NOMEM ? FC_E_NOMEM : rc;
}

uint32_t fc_top_figures(const struct fc_top *t, const struct fc_top_options *o)
{
    return o->figures | (t->sort == FC_TOP_SORT_PEERS ? FC_TOP_PEERS : 0) |
           (t->sort == FC_TOP_SORT_PORTS ? FC_TOP_PORTS : 0) | (t->sort == FC_TOP_SORT_INTERVAL ? FC_TOP_INTERVAL : 0);
}

/* All within one transaction. */
static int fill(struct fc_top *t, const struct fc_filter *filter, const struct fc_top_options *o, size_t groups_max,
                size_t values_max, struct fc_error *err)
{
    struct fc_groups groups;
    int rc = check_fields(t, err);

    if (rc == 0 && t->by == FC_TOP_TIME)
        rc = choose_bucket(t, filter, o->bucket_ns, err);
    if (rc)
        return rc;
    fc_groups_init(&groups, fc_top_figures(t, o), groups_max, values_max);
    rc = read_all(t, filter, &groups, err);
    fc_groups_fini(&groups);
    if (rc == 0) {
        prune(t);
        rc = t->by == FC_TOP_FILE ? name_files(t, err) : 0;
    }
    return rc;
}

int fc_top_begin(const struct fc_top_options *o, struct fc_top **out, struct fc_error *err)
{
    struct fc_top *t = calloc(1, sizeof *t);
    int rc;

    *out = NULL;
    if (!t)
        return fc_error_set(err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");
    t->by = o->by;
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
    key_of(t, &s, &key);
    return key;
}

int fc_top_add(struct fc_top *t, const struct fc_top_row *row)
{
    return keep_row(t, &(struct row){key_of_row(t, row), *row});
}

void fc_top_end(struct fc_top *t, uint64_t groups)
{
    prune(t);
    t->groups_seen = groups;
}

enum fc_top_sort fc_top_sorted(const struct fc_top *t, bool *descending)
{
    *descending = t->descending;
    return t->sort;
}

int fc_top_open_within(struct fc_db *db, const struct fc_filter *filter, const struct fc_top_options *options,
                       size_t groups_max, size_t values_max, struct fc_top **out, struct fc_error *err)
{
    static const struct fc_top_options all;
    const struct fc_top_options *o = options ? options : &all;
    struct fc_top *t;
    int rc = fc_top_begin(o, &t, err);

    *out = NULL;
    if (rc)
        return rc;
    t->db = db;
    if (t->by == FC_TOP_SENSOR) {
        rc = fc_error_set(err, FC_E_USAGE, db->path, FC_NO_OFFSET, "an index is of one sensor alone");
    } else {
        rc = fc_snapshot_begin(db, err);
        if (rc == 0) {
            rc = fill(t, filter, o, groups_max, values_max, err);
            fc_snapshot_end(db);
        }
    }
    if (rc) {
        fc_top_close(t);
        return rc;
    }
    *out = t;
    return 0;
}

FC_EXPORT int fc_top_open(struct fc_db *db, const struct fc_filter *filter, const struct fc_top_options *options,
                          struct fc_top **out, struct fc_error *err)
{
    return fc_top_open_within(db, filter, options, GROUPS_MAX, VALUES_MAX, out, err);
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
    int64_t bucket = filled ? floor_divide(next->bucket_ns, t->bucket_ns) : 0;
    t->given++;
    if (filled && bucket != t->empty) {
        *row = (struct fc_top_row){.has_bucket = true, .has_bytes = true, .bucket_ns = t->empty * t->bucket_ns};
        t->empty += step;
        return 1;
    }
    if (next->has_bucket)
        t->empty = floor_divide(next->bucket_ns, t->bucket_ns) + step;
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
