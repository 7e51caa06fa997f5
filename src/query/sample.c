/* SPDX-License-Identifier: MIT */
#include "query/sample.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/handover.h"
#include "base/vector.h"
#include "flow/positions.h"
#include "query/ast.h"
#include "query/filter.h"
#include "query/match.h"
#include "store/db.h"
#include "store/piece.h"
#include "store/span.h"
#include "store/table_scan.h"

#include <flowcarve/decode.h>
#include <stdlib.h>
#include <string.h>

/* Columns of the table, in its order, and behind them what else a SELECT has. */
enum {
    ID,
    START,
    DURATION,
    PROTO,
    KIND,
    CLIENT_ADDR,
    CLIENT_PORT,
    SERVER_ADDR,
    SERVER_PORT,
    CLIENT_PACKETS,
    SERVER_PACKETS,
    CLIENT_BYTES,
    SERVER_BYTES,
    STATE,
    COLUMNS,
    TEXT = COLUMNS,
    FLAGS = COLUMNS,
    POSITIONS
};

#define SELECT                                                                                                         \
    "SELECT s.id, s.start_ns, s.duration_ns, s.proto, s.kind, s.client_addr, s.client_port, s.server_addr, "           \
    "s.server_port, s.client_packets, s.server_packets, s.client_bytes, s.server_bytes, s.state"
#define JOIN " LEFT JOIN session_fields f ON f.id = s.id"

enum { DEARER = 6 }; /* so many rows of pages cost what one of a SELECT costs */

struct file_packets {
    uint32_t file;
    uint64_t packets;
};

/* Sessions that were active in a time and fit a filter: what the pages of the table can be held against. */
struct window {
    bool narrow; /* false: all sessions */
    bool has_until;
    int64_t from_ns, until_ns;  /* that one not included */
    struct fc_scan_range *runs; /* of IDs, ascending; none of others was active then. NULL: all */
    size_t run_count;
    const struct fc_ast *tree; /* NULL: there is no more to ask */
};

struct samples {
    struct fc_db *db;
    struct window window;
    fc_sample_take *take;
    void *ctx;
    struct fc_error *err;
    struct fc_pieces pieces;
    struct file_packets *file;
    size_t file_count, file_room;
};

/* Anything may be in an index: what is no number from 0 to max is `none`. */
static inline int64_t number(const struct fc_scan_value *v, int64_t max, int64_t none)
{
    return v->type == FC_SCAN_INTEGER && v->number >= 0 && v->number <= max ? v->number : none;
}

static inline bool read_addr(const struct fc_scan_value *v, int kind, struct fc_sample_addr *addr)
{
    uint32_t size = kind == FC_ADDR_IPV6 ? 16 : kind == FC_ADDR_MAC ? 6 : 0;

    if (kind == FC_ADDR_IPV4) {
        int64_t n = number(v, UINT32_MAX, -1);
        addr->word[0] = (uint64_t)n;
        return n >= 0;
    }
    if (!size || v->type != FC_SCAN_BLOB || v->len != size)
        return false;
    for (uint32_t i = 0; i < size; i++)
        addr->word[i / 8] = addr->word[i / 8] << 8 | v->bytes[i];
    return true;
}

/* As fc_read_session() takes a row. */
static inline void read_sample(const struct fc_scan_value *v, struct fc_sample *s)
{
    memset(s, 0, sizeof *s);
    s->start_ns = v[START].number;
    s->has_time = v[START].type == FC_SCAN_INTEGER && v[DURATION].type == FC_SCAN_INTEGER && v[DURATION].number >= 0 &&
                  !__builtin_add_overflow(s->start_ns, v[DURATION].number, &s->end_ns);
    s->proto = (uint32_t)number(&v[PROTO], UINT32_MAX, FC_PROTO_MALFORMED);
    s->kind = (int)number(&v[KIND], FC_ADDR_IPV6, FC_ADDR_NONE);
    if (!read_addr(&v[CLIENT_ADDR], s->kind, &s->client) || !read_addr(&v[SERVER_ADDR], s->kind, &s->server)) {
        s->kind = FC_ADDR_NONE;
        s->client = s->server = (struct fc_sample_addr){{0}};
    }
    s->client_port = (int)number(&v[CLIENT_PORT], UINT16_MAX, -1);
    s->server_port = s->proto == 1 || s->proto == 58 ? -1 : (int)number(&v[SERVER_PORT], UINT16_MAX, -1);
    s->client_packets = (uint64_t)number(&v[CLIENT_PACKETS], INT64_MAX, 0);
    s->server_packets = (uint64_t)number(&v[SERVER_PACKETS], INT64_MAX, 0);
    s->client_bytes = (uint64_t)number(&v[CLIENT_BYTES], INT64_MAX, 0);
    s->server_bytes = (uint64_t)number(&v[SERVER_BYTES], INT64_MAX, 0);
    s->state = (int)number(&v[STATE], 4, -1);
}

static inline bool is_in(const struct window *w, const struct fc_sample *s)
{
    if (w->narrow && !(s->has_time && s->end_ns >= w->from_ns && (!w->has_until || s->start_ns < w->until_ns)))
        return false;
    return !w->tree || fc_matches(w->tree, s);
}

static int64_t rows_of(const struct window *w)
{
    int64_t rows = 0;

    for (size_t i = 0; i < w->run_count; i++)
        rows += w->runs[i].last - w->runs[i].first + 1;
    return rows;
}

static int scan_runs(struct fc_db *db, int64_t root, const struct window *w, fc_scan_row *row, void *ctx,
                     struct fc_error *err)
{
    int rc = 0;

    if (!w->runs)
        return fc_table_scan(db, root, COLUMNS, FC_SCAN_ALL, row, ctx, err);
    for (size_t i = 0; i < w->run_count && rc == 0; i++)
        rc = fc_table_scan(db, root, COLUMNS, w->runs[i], row, ctx, err);
    return rc;
}

static int take_row(void *ctx, int64_t id, const struct fc_scan_value *values)
{
    struct samples *r = ctx;
    struct fc_sample sample;

    read_sample(values, &sample);
    sample.id = id;
    return is_in(&r->window, &sample) ? r->take(r->ctx, &sample) : 0;
}

static void read_column(sqlite3_stmt *stmt, int column, struct fc_scan_value *v)
{
    switch (sqlite3_column_type(stmt, column)) {
    case SQLITE_INTEGER:
        v->type = FC_SCAN_INTEGER;
        v->number = sqlite3_column_int64(stmt, column);
        break;
    case SQLITE_BLOB:
        v->type = FC_SCAN_BLOB;
        v->bytes = sqlite3_column_blob(stmt, column);
        v->len = (uint32_t)sqlite3_column_bytes(stmt, column);
        break;
    case SQLITE_NULL:
        v->type = FC_SCAN_NULL;
        break;
    default:
        v->type = FC_SCAN_OTHER;
    }
}

static int add_segments(void *ctx, const uint8_t *p, size_t len)
{
    struct samples *r = ctx;
    const uint8_t *end = p + len;
    struct fc_segment segment;

    while (p < end) {
        if (!(p = fc_segment_head(p, end, &segment)))
            return FC_E_DAMAGED;
        uint64_t off = segment.first_off;
        for (uint64_t i = 1; i < segment.count; i++)
            if (!(p = fc_segment_next(p, end, &off)))
                return FC_E_DAMAGED;
        if (fc_vector_reserve(&r->file, &r->file_room, r->file_count + 1, sizeof *r->file))
            return FC_E_NOMEM;
        r->file[r->file_count++] = (struct file_packets){segment.file, segment.count};
    }
    return 0;
}

static int compare_files(const void *a, const void *b)
{
    uint32_t x = ((const struct file_packets *)a)->file, y = ((const struct file_packets *)b)->file;

    return (x > y) - (x < y);
}

/* A sample for each capture: what it has of the session may be in several pieces. */
static int take_files(struct samples *r, sqlite3_stmt *stmt, const struct fc_sample *session)
{
    int64_t id = sqlite3_column_int64(stmt, ID);
    int rc;

    r->file_count = 0;
    const void *blob = sqlite3_column_blob(stmt, POSITIONS);
    rc = fc_pieces_read(&r->pieces, id, sqlite3_column_int64(stmt, FLAGS), blob,
                        (size_t)sqlite3_column_bytes(stmt, POSITIONS), add_segments, r);
    if (rc == FC_E_DB)
        return fc_db_error(fc_db_sqlite(r->db), r->db->path, r->err, "cannot read the index");
    if (rc)
        return fc_error_set(r->err, rc, r->db->path, FC_NO_OFFSET,
                            rc == FC_E_NOMEM ? "out of memory" : "session %lld has no valid positions", (long long)id);
    qsort(r->file, r->file_count, sizeof *r->file, compare_files);
    for (size_t i = 0, next; i < r->file_count; i = next) {
        struct fc_sample sample = *session;

        sample.file = r->file[i].file;
        sample.client_packets = sample.server_packets = sample.client_bytes = sample.server_bytes = 0;
        for (next = i; next < r->file_count && r->file[next].file == sample.file; next++)
            sample.client_packets += r->file[next].packets;
        if ((rc = r->take(r->ctx, &sample)))
            return rc;
    }
    return 0;
}

static int take_selected(struct samples *r, sqlite3_stmt *stmt, enum fc_samples what)
{
    struct fc_scan_value values[COLUMNS];
    struct fc_sample sample;
    int step, rc = 0;

    while (rc == 0 && (step = sqlite3_step(stmt)) == SQLITE_ROW) {
        for (int i = 0; i < COLUMNS; i++)
            read_column(stmt, i, &values[i]);
        read_sample(values, &sample);
        sample.id = sqlite3_column_int64(stmt, ID);
        if (what == FC_SAMPLES_FILE) {
            rc = take_files(r, stmt, &sample);
            continue;
        }
        if (what != FC_SAMPLES_PLAIN && sqlite3_column_type(stmt, TEXT) == SQLITE_TEXT)
            sample.text = (const char *)sqlite3_column_text(stmt, TEXT);
        rc = r->take(r->ctx, &sample);
    }
    if (rc == 0 && step != SQLITE_DONE)
        rc = fc_db_error(fc_db_sqlite(r->db), r->db->path, r->err, "cannot read the index");
    return rc;
}

/* ---------------------------------------------------------------- in two threads */

enum { BATCH = 512, SLOTS = 4, THREAD_FROM_ROWS = 100000 };

/* Rows that a thread of its own has read and nobody has taken yet. */
struct ahead {
    struct fc_handover handover;
    struct fc_db *db;
    struct window window;
    int64_t root;
    struct batch {
        unsigned count;
        bool last;
        struct fc_sample sample[BATCH];
    } batch[SLOTS];
    struct batch *at; /* the reader's own: that it fills; NULL: none */
    int end;          /* why the last one is the last */
    struct fc_error why;
};

static void hand_over(struct ahead *a, bool last)
{
    a->at->last = last;
    a->at = NULL;
    fc_handover_fill(&a->handover);
}

/* Has a batch to fill. False: nobody wants more. */
static bool begin_batch(struct ahead *a)
{
    int slot = fc_handover_room(&a->handover, NULL);

    if (slot < 0)
        return false;
    a->at = &a->batch[slot];
    a->at->count = 0;
    return true;
}

static int note_row(void *ctx, int64_t id, const struct fc_scan_value *values)
{
    struct ahead *a = ctx;

    if (!a->at && !begin_batch(a))
        return FC_E_INTERRUPTED;
    struct fc_sample *sample = &a->at->sample[a->at->count];
    read_sample(values, sample);
    sample->id = id;
    a->at->count += is_in(&a->window, sample);
    if (a->at->count == BATCH)
        hand_over(a, false);
    return 0;
}

static void *read_ahead(void *arg)
{
    struct ahead *a = arg;

    a->end = scan_runs(a->db, a->root, &a->window, note_row, a, &a->why);
    if (a->at || begin_batch(a))
        hand_over(a, true);
    return NULL;
}

/* Takes what the thread has read. The handle of the index is the thread's until it has ended. */
static int take_batches(struct ahead *a, struct samples *r)
{
    bool last = false;
    int rc = 0;

    while (rc == 0 && !last) {
        struct batch *b = &a->batch[fc_handover_next(&a->handover)];
        for (unsigned i = 0; i < b->count && rc == 0; i++)
            rc = r->take(r->ctx, &b->sample[i]);
        last = b->last;
        fc_handover_empty(&a->handover, NULL);
    }
    fc_handover_stop(&a->handover, NULL);
    if (rc == 0 && a->end) {
        rc = a->end;
        if (r->err)
            *r->err = a->why;
    }
    return rc;
}

/* By the highest ID. What is wrong with the index shows when it is read. */
static bool has_many(struct fc_db *db, const struct window *w)
{
    sqlite3_stmt *stmt;
    bool many = false;

    if (w->runs && rows_of(w) < THREAD_FROM_ROWS)
        return false;
    if (sqlite3_prepare_v2(fc_db_sqlite(db), "SELECT max(id) FROM session", -1, &stmt, NULL) == SQLITE_OK)
        many = sqlite3_step(stmt) == SQLITE_ROW && sqlite3_column_int64(stmt, 0) >= THREAD_FROM_ROWS;
    sqlite3_finalize(stmt);
    return many;
}

/* Where there are many rows, they are read by one thread and added up by another. */
static int scan(struct samples *r, int64_t root)
{
    struct ahead *a = NULL;
    int rc;

    if (has_many(r->db, &r->window) && (a = malloc(sizeof *a))) {
        a->db = r->db;
        a->window = r->window;
        a->root = root;
        a->at = NULL;
        fc_handover_init(&a->handover, SLOTS);
    }
    if (a && fc_handover_start(&a->handover, read_ahead, a))
        rc = take_batches(a, r);
    else
        rc = scan_runs(r->db, root, &r->window, take_row, r, r->err);
    if (a)
        fc_handover_fini(&a->handover);
    free(a);
    return rc;
}

/* The time that a filter asks for, if it does. False: it asks for more. */
static bool read_window(const struct fc_ast *node, struct window *w)
{
    bool all = true;

    if (node->type == FC_AST_AFTER) {
        w->narrow = true;
        w->from_ns = node->lo > w->from_ns ? node->lo : w->from_ns;
    } else if (node->type == FC_AST_BEFORE) {
        w->narrow = true;
        w->until_ns = !w->has_until || node->lo < w->until_ns ? node->lo : w->until_ns;
        w->has_until = true;
    } else if (node->type == FC_AST_AND) {
        for (const struct fc_ast *child = node->first; child; child = child->next)
            all &= read_window(child, w);
    } else {
        return false;
    }
    return all;
}

/* Adds a span's IDs to the runs; *room: of these. */
static int add_span(struct window *w, size_t *room, int64_t first)
{
    if (w->run_count && w->runs[w->run_count - 1].last == first - 1) {
        w->runs[w->run_count - 1].last += FC_SPAN_SESSIONS;
        return 0;
    }
    if (fc_vector_reserve(&w->runs, room, w->run_count + 1, sizeof *w->runs))
        return FC_E_NOMEM;
    w->runs[w->run_count++] = (struct fc_scan_range){first, first + FC_SPAN_SESSIONS - 1};
    return 0;
}

/* The spans that a window touches, which all of its sessions are in. */
static int find_runs(struct fc_db *db, struct window *w, struct fc_error *err)
{
    static const char text[] = "SELECT first_id FROM session_span WHERE end_ns >= ?1 AND (?2 IS NULL OR start_ns < ?2)"
                               " ORDER BY first_id";
    sqlite3_stmt *stmt = NULL;
    size_t room = 0;
    int rc = fc_vector_reserve(&w->runs, &room, 1, sizeof *w->runs), step = SQLITE_ERROR;

    if (sqlite3_prepare_v2(fc_db_sqlite(db), text, -1, &stmt, NULL) == SQLITE_OK &&
        sqlite3_bind_int64(stmt, 1, w->from_ns) == SQLITE_OK &&
        (!w->has_until || sqlite3_bind_int64(stmt, 2, w->until_ns) == SQLITE_OK))
        while (rc == 0 && (step = sqlite3_step(stmt)) == SQLITE_ROW) {
            int64_t first = sqlite3_column_int64(stmt, 0);
            if (first <= INT64_MAX - FC_SPAN_SESSIONS) /* what others have written */
                rc = add_span(w, &room, first);
        }
    if (rc)
        rc = fc_error_set(err, rc, db->path, FC_NO_OFFSET, "out of memory");
    else if (step != SQLITE_DONE)
        rc = fc_db_error(fc_db_sqlite(db), db->path, err, "cannot read the index");
    sqlite3_finalize(stmt);
    return rc;
}

/*
 * Whether pages of the table are to be read: where all sessions are wanted, or those of a time, or what is asked
 * besides is known (match.h) and would have so many rows read by a SELECT that it took longer.
 */
static int wants_scan(struct fc_db *db, const struct fc_filter *filter, struct window *w, bool *scan,
                      struct fc_error *err)
{
    struct fc_query_cost cost;
    int rc;

    *w = (struct window){.from_ns = INT64_MIN};
    *scan = true;
    if (!filter || !filter->root)
        return 0;
    if (!read_window(filter->root, w))
        w->tree = filter->root;
    *scan = !w->tree || fc_match_knows(w->tree);
    if (*scan && w->narrow && (rc = find_runs(db, w, err)))
        return rc;
    if (!*scan || !w->tree)
        return 0;
    rc = fc_query_cost(db, filter, &cost, err);
    if (rc == 0 && !cost.scan)
        *scan = cost.reads > (w->runs ? rows_of(w) : cost.sessions) / DEARER;
    return rc;
}

/* *root: the first page of the table, 0 where a SELECT must do. */
static int find_pages(struct fc_db *db, const struct fc_filter *filter, struct window *w, int64_t *root,
                      struct fc_error *err)
{
    bool scan;
    int rc = wants_scan(db, filter, w, &scan, err);

    *root = 0;
    rc = rc == 0 && scan ? fc_table_scan_root(db, "session", root, err) : rc;
    if (!*root) {
        free(w->runs);
        w->runs = NULL;
    }
    return rc;
}

int fc_samples_are_pages(struct fc_db *db, const struct fc_filter *filter, bool *pages, struct fc_error *err)
{
    struct window window;
    int64_t root;
    int rc = find_pages(db, filter, &window, &root, err);

    *pages = root != 0;
    if (root)
        free(window.runs);
    return rc;
}

int fc_samples_read(struct fc_db *db, const struct fc_filter *filter, enum fc_samples what, bool by_start,
                    fc_sample_take *take, void *ctx, struct fc_error *err)
{
    static const char *const selects[][2] = {
        [FC_SAMPLES_PLAIN] = {SELECT, ""},
        [FC_SAMPLES_VLAN] = {SELECT ", f.vlan", JOIN},
        [FC_SAMPLES_TUNNEL] = {SELECT ", f.tunnel", JOIN},
        [FC_SAMPLES_FILE] = {SELECT ", s.flags, s.positions", ""},
    };
    struct samples r = {.db = db, .take = take, .ctx = ctx, .err = err, .pieces.sql = fc_db_sqlite(db)};
    sqlite3_stmt *stmt;
    int64_t root = 0;
    int rc = 0;

    if (what == FC_SAMPLES_PLAIN && !by_start && (rc = find_pages(db, filter, &r.window, &root, err)))
        return rc;
    if (root) {
        rc = scan(&r, root);
        free(r.window.runs);
        return rc;
    }
    rc = fc_filter_prepare(filter, db, selects[what][0], selects[what][1], by_start ? FC_ORDER_START : FC_ORDER_ID,
                           &stmt, err);
    if (rc)
        return rc;
    rc = take_selected(&r, stmt, what);
    sqlite3_finalize(stmt);
    fc_pieces_fini(&r.pieces);
    free(r.file);
    return rc;
}
