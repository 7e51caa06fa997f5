/* SPDX-License-Identifier: MIT */
#include "verify/positions.h"
#include "base/error.h"
#include "base/vector.h"
#include "flow/positions.h"
#include "store/piece.h"
#include "store/sorter.h"

#include <stdlib.h>
#include <string.h>

void fc_verify_positions_fini(struct fc_verify_positions *all)
{
    for (size_t i = 0; all->lists && i < all->list_count; i++) {
        free(all->lists[i].pos);
    }
    free(all->lists);
    free(all->sessions);
    memset(all, 0, sizeof *all);
}

static int add(struct fc_verify_list *l, uint64_t off, size_t session)
{
    if (fc_vector_reserve(&l->pos, &l->room, l->count + 1, sizeof *l->pos))
        return FC_E_NOMEM;
    l->pos[l->count++] = (struct fc_verify_pos){off, session};
    return 0;
}

struct loading {
    struct fc_verify_positions *all;
    const struct fc_stored_files *files;
    struct fc_pieces pieces;
    const int *stop;
};

/* Segments of the latest session. */
static int add_segments(void *ctx, const uint8_t *p, size_t len)
{
    struct loading *load = ctx;
    struct fc_verify_positions *all = load->all;
    const struct fc_stored_files *files = load->files;
    size_t session = all->session_count - 1;
    const uint8_t *end = p + len;
    struct fc_segment s;
    int rc = 0;

    while (p < end && rc == 0) {
        if (!(p = fc_segment_head(p, end, &s)))
            return FC_E_DAMAGED;
        const struct fc_stored_file *f = fc_stored_files_find(files, s.file);
        if (!f)
            return FC_E_DAMAGED;
        uint64_t off = s.first_off;
        for (uint64_t i = 0; i < s.count && rc == 0; i++) {
            if (i && !(p = fc_segment_next(p, end, &off)))
                return FC_E_DAMAGED;
            if ((i & 0xfffff) == 0xfffff && load->stop && __atomic_load_n(load->stop, __ATOMIC_RELAXED))
                return FC_E_INTERRUPTED;
            rc = add(&all->lists[f - files->items], off, session);
            all->sessions[session].positions += rc == 0;
        }
    }
    return rc;
}

static int add_session(struct loading *load, sqlite3_stmt *stmt)
{
    struct fc_verify_positions *all = load->all;
    struct fc_verify_session s = {.id = sqlite3_column_int64(stmt, 0)};
    int client;
    int rc = fc_key_from_row(stmt, 1, &s.key, &client);

    if (rc)
        return rc;
    for (int i = 0; i < 2; i++) {
        s.packets[client ^ i] = (uint64_t)sqlite3_column_int64(stmt, 9 + i);
        s.bytes[client ^ i] = (uint64_t)sqlite3_column_int64(stmt, 11 + i);
    }
    s.low_ns = s.high_ns = s.seen_low = s.seen_high = FC_TIME_NONE;
    if (sqlite3_column_type(stmt, 14) != SQLITE_NULL) {
        s.low_ns = sqlite3_column_int64(stmt, 14);
        if (__builtin_add_overflow(s.low_ns, sqlite3_column_int64(stmt, 15), &s.high_ns))
            s.high_ns = INT64_MAX;
    }
    /* equal ends: both directions look alike */
    s.blind = memcmp(s.key.addr[0], s.key.addr[1], 16) == 0;
    if (fc_vector_reserve(&all->sessions, &all->session_room, all->session_count + 1, sizeof *all->sessions))
        return FC_E_NOMEM;
    all->sessions[all->session_count++] = s;
    return fc_pieces_read(&load->pieces, s.id, sqlite3_column_int64(stmt, 7), sqlite3_column_blob(stmt, 13),
                          (size_t)sqlite3_column_bytes(stmt, 13), add_segments, load);
}

/* Sessions were added in their order, so that only offsets want sorting. */
static int sort_list(struct fc_verify_list *l, const int *stop)
{
    uint64_t *entries = (uint64_t *)l->pos;
    int rc = l->count ? fc_sorter_array(&entries, l->count, 2, 63, stop) : 0;

    l->pos = (struct fc_verify_pos *)entries;
    return rc;
}

static int compare_id(const void *id, const void *session)
{
    int64_t a = *(const int64_t *)id, b = ((const struct fc_verify_session *)session)->id;

    return a < b ? -1 : a > b;
}

/* Sessions of which packets are forgotten: those and the positions that are left must be all. */
static int load_forgotten(struct fc_verify_positions *all, struct fc_db *db,
                          void (*damaged)(void *, int64_t, const char *), void *ctx)
{
    sqlite3_stmt *stmt = NULL;
    int step = sqlite3_prepare_v2(db->sql, "SELECT id, packets FROM session_forgotten", -1, &stmt, NULL);

    if (step == SQLITE_OK)
        while ((step = sqlite3_step(stmt)) == SQLITE_ROW) {
            int64_t id = sqlite3_column_int64(stmt, 0);
            struct fc_verify_session *s =
                all->session_count ? bsearch(&id, all->sessions, all->session_count, sizeof *all->sessions, compare_id)
                                   : NULL;
            uint64_t packets = s ? s->packets[0] + s->packets[1] : 0;
            if (!s || s->positions + (uint64_t)sqlite3_column_int64(stmt, 1) != packets)
                damaged(ctx, id, "positions and packets that are forgotten are not all of its packets");
            if (s)
                s->partial = true;
        }
    sqlite3_finalize(stmt);
    return step == SQLITE_DONE ? 0 : FC_E_DB;
}

int fc_verify_positions_load(struct fc_db *db, const struct fc_stored_files *files, struct fc_verify_positions *all,
                             void (*damaged)(void *, int64_t, const char *), void *ctx, const int *stop,
                             struct fc_error *err)
{
    struct loading load = {all, files, {.sql = db->sql}, stop};
    sqlite3_stmt *stmt = NULL;
    int rc = 0, step = SQLITE_DONE;

    memset(all, 0, sizeof *all);
    all->list_count = files->count;
    all->lists = calloc(files->count + 1, sizeof *all->lists);
    if (!all->lists)
        return fc_error_set(err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");
    if (sqlite3_prepare_v2(db->sql,
                           "SELECT id, " FC_KEY_COLUMNS ", client_packets, server_packets, client_bytes, server_bytes,"
                           " positions, start_ns, duration_ns FROM session",
                           -1, &stmt, NULL) != SQLITE_OK)
        return fc_db_error(db->sql, db->path, err, "cannot read the index");
    while (rc == 0 && (step = sqlite3_step(stmt)) == SQLITE_ROW) {
        rc = add_session(&load, stmt);
        if (rc == FC_E_DAMAGED) {
            damaged(ctx, sqlite3_column_int64(stmt, 0), "row or positions are damaged");
            rc = 0;
        }
    }
    if (rc == 0 && step == SQLITE_DONE)
        rc = load_forgotten(all, db, damaged, ctx);
    for (size_t i = 0; i < all->list_count && rc == 0; i++)
        rc = sort_list(&all->lists[i], stop);
    if (rc && rc != FC_E_DB)
        fc_error_set(err, rc, NULL, FC_NO_OFFSET, "%s", fc_strerror(rc));
    else if (rc || step != SQLITE_DONE)
        rc = fc_db_error(db->sql, db->path, err, "cannot read the index");
    sqlite3_finalize(stmt);
    fc_pieces_fini(&load.pieces);
    return rc;
}
