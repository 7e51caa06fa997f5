/* SPDX-License-Identifier: MIT */
/*
 * Sums by group: sessions are read (sample.h), added to their groups (top_groups.h), and the groups become rows
 * (top_rows.h).
 */
#include "query/top.h"
#include "base/error.h"
#include "base/export.h"
#include "query/fields.h"
#include "query/filter.h"
#include "query/top_groups.h"
#include "query/top_rows.h"
#include "store/db.h"
#include "store/path.h"
#include "store/snapshot.h"

#include <flowcarve/decode.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    GROUPS_MAX = 1 << 21, /* 150 bytes each */
    VALUES_MAX = 1 << 24, /* words */
    SHARES = 64           /* noted before they are added */
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

    fc_top_key(r->top, s, &key);
    new_share(r, s, &key, r->top->by == FC_TOP_SERVER);
    if (r->top->by == FC_TOP_HOST && memcmp(&s->client, &s->server, sizeof s->client) != 0) {
        fc_top_set_addr(key.word + 1, &s->server);
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

/* number: of the bucket, as it is in keys. */
static void name_bucket(const struct fc_top *t, bool has_time, uint64_t number, struct fc_top_row *row)
{
    row->has_bucket = has_time;
    if (has_time) /* the first one may begin before what 64 bits can say */
        row->bucket_ns = __builtin_mul_overflow((int64_t)fc_top_ordered((int64_t)number), t->bucket_ns, &row->bucket_ns)
                             ? INT64_MIN
                             : row->bucket_ns;
}

static void name_group(const struct fc_top *t, const struct fc_group_key *key, struct fc_top_row *row)
{
    uint32_t first = (uint32_t)key->word[0];

    if (t->by_time)
        name_bucket(t, key->word[0] >> 32 == 0, key->word[fc_top_bucket_word(t)], row);
    switch (t->by) {
    case FC_TOP_CLIENT:
    case FC_TOP_SERVER:
    case FC_TOP_HOST:
    case FC_TOP_PAIR:
        row->kind = (int)first;
        write_addr(row->kind, key->word + 1, row->addr);
        write_addr(row->kind, key->word + 3, row->server);
        break;
    case FC_TOP_PORT:
        row->port = (int)first - 1;
        row->proto = (uint32_t)key->word[1];
        break;
    case FC_TOP_PROTOCOL:
        row->proto = first;
        break;
    case FC_TOP_STATE:
        row->state = (int)first - 1;
        break;
    case FC_TOP_FILE:
        row->file = first;
        break;
    case FC_TOP_TIME:
        name_bucket(t, key->word[0] == 0, key->word[1], row);
        break;
    default:
        break;
    }
}

static void make_row(const struct fc_top *t, const struct fc_groups *g, size_t at, struct fc_top_kept *out)
{
    const struct fc_group *group = &g->group[at];
    struct fc_top_row *row = &out->row;

    *out = (struct fc_top_kept){.key = g->key[at]};
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

static int take_groups(struct fc_top *t, const struct fc_groups *g)
{
    struct fc_top_kept row;
    int rc = 0;

    for (size_t i = 0; i < g->count && rc == 0; i++) {
        make_row(t, g, i, &row);
        rc = fc_top_keep(t, &row);
    }
    t->groups_seen += g->count;
    return rc;
}

/* ---------------------------------------------------------------- opening */

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
    int rc = sqlite3_prepare_v2(sql, "SELECT path, relative FROM files WHERE id = ?", -1, &stmt, NULL);

    for (size_t i = 0; rc == SQLITE_OK && i < t->count; i++) {
        sqlite3_bind_int64(stmt, 1, t->rows[i].row.file);
        int step = sqlite3_step(stmt);
        char *stored = step == SQLITE_ROW ? fc_path_from_column(stmt, 0) : NULL;
        char *path = stored ? fc_path_locate(t->db->folder, stored, sqlite3_column_int(stmt, 1) != 0) : NULL;
        t->rows[i].row.text = t->rows[i].key.text = path;
        free(stored);
        if (step == SQLITE_ROW && !path)
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

/* All within one transaction. */
static int fill(struct fc_top *t, const struct fc_filter *filter, const struct fc_top_options *o, size_t groups_max,
                size_t values_max, struct fc_error *err)
{
    struct fc_groups groups;
    int rc = check_fields(t, err);

    if (rc == 0 && (t->by == FC_TOP_TIME || t->by_time))
        rc = choose_bucket(t, filter, o->bucket_ns, err);
    if (rc)
        return rc;
    fc_groups_init(&groups, fc_top_figures(t, o), groups_max, values_max);
    rc = read_all(t, filter, &groups, err);
    fc_groups_fini(&groups);
    if (rc == 0) {
        fc_top_prune(t);
        rc = t->by == FC_TOP_FILE ? name_files(t, err) : 0;
    }
    return rc;
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
