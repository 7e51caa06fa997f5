/* SPDX-License-Identifier: MIT */
#include "packets/places.h"
#include "base/error.h"
#include "base/vector.h"
#include "capture/section.h"
#include "flow/key.h"
#include "flow/positions.h"
#include "query/filter.h"
#include "store/forgotten.h"
#include "store/piece.h"
#include "store/sorter.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

void fc_places_fini(struct fc_places *places)
{
    for (size_t i = 0; places->files && i < places->stored.count; i++) {
        if (places->files[i].open)
            fc_file_close(&places->files[i].file);
        free(places->files[i].pos);
    }
    free(places->files);
    free(places->sessions);
    fc_stored_files_fini(&places->stored);
    free(places->missing);
    memset(places, 0, sizeof *places);
}

static int add_position(struct fc_place_file *f, uint64_t off, uint64_t session)
{
    if (fc_vector_reserve(&f->pos, &f->room, f->count + 1, sizeof *f->pos))
        return FC_E_NOMEM;
    f->pos[f->count++] = (struct fc_place){off, session};
    return 0;
}

static int add_wanted(const struct fc_places *places, struct fc_place_file *f, uint64_t off, uint64_t session)
{
    bool other = off != places->one_off || places->stored.items[f - places->files].id != places->one_file;

    return places->one && other ? 0 : add_position(f, off, session);
}

/* Adds segments of the latest session. FC_E_DAMAGED: they cannot be what flowcarve has written. */
static int add_segments(void *ctx, const uint8_t *p, size_t len)
{
    struct fc_places *places = ctx;
    uint32_t session = (uint32_t)(places->session_count - 1);
    const uint8_t *end = p + len;
    struct fc_segment s;
    int rc = 0;

    while (p < end && rc == 0) {
        if (!(p = fc_segment_head(p, end, &s)))
            return FC_E_DAMAGED;
        struct fc_stored_file *stored = fc_stored_files_find(&places->stored, s.file);
        if (!stored)
            return FC_E_DAMAGED;
        struct fc_place_file *f = &places->files[stored - places->stored.items];
        uint64_t off = s.first_off;
        rc = add_wanted(places, f, off, session);
        for (uint64_t i = 1; i < s.count && rc == 0; i++) {
            if (!(p = fc_segment_next(p, end, &off)))
                return FC_E_DAMAGED;
            rc = (i & 0xfffff) == 0 && fc_places_stopped(places) ? FC_E_INTERRUPTED
                                                                 : add_wanted(places, f, off, session);
        }
    }
    return rc;
}

static void add_times(struct fc_places *places, sqlite3_stmt *stmt, int col)
{
    struct fc_place_session *session = &places->sessions[places->session_count - 1];
    int64_t start, end;

    session->start_ns = session->end_ns = FC_TIME_NONE;
    if (sqlite3_column_type(stmt, col) == SQLITE_NULL) {
        places->timeless = true;
        return;
    }
    start = sqlite3_column_int64(stmt, col);
    if (__builtin_add_overflow(start, sqlite3_column_int64(stmt, col + 1), &end))
        end = INT64_MAX;
    session->start_ns = start;
    session->end_ns = end;
    if (places->low_ns == FC_TIME_NONE || start < places->low_ns)
        places->low_ns = start;
    if (places->high_ns == FC_TIME_NONE || end > places->high_ns)
        places->high_ns = end;
}

static int add_session(struct fc_places *places, struct fc_db *db, sqlite3_stmt *stmt, struct fc_pieces *pieces,
                       struct fc_error *err)
{
    struct fc_flow_key key;
    int client;
    int rc = fc_key_from_row(stmt, 1, &key, &client);

    if (rc == 0)
        rc = fc_vector_reserve(&places->sessions, &places->session_room, places->session_count + 1,
                               sizeof *places->sessions);
    if (rc == 0) {
        places->sessions[places->session_count++] =
            (struct fc_place_session){.key = key, .id = sqlite3_column_int64(stmt, 0), .client = (uint8_t)client};
        add_times(places, stmt, 9);
        rc =
            fc_pieces_read(pieces, sqlite3_column_int64(stmt, 0), sqlite3_column_int64(stmt, 7),
                           sqlite3_column_blob(stmt, 11), (size_t)sqlite3_column_bytes(stmt, 11), add_segments, places);
    }
    if (rc == FC_E_DB)
        return fc_db_error(db->sql, db->path, err, "cannot read the index");
    if (rc == FC_E_DAMAGED)
        return fc_error_set(err, FC_E_DB, db->path, FC_NO_OFFSET, "the row of session %lld is damaged",
                            (long long)sqlite3_column_int64(stmt, 0));
    return rc ? fc_error_set(err, rc, NULL, FC_NO_OFFSET, "%s", fc_strerror(rc)) : 0;
}

/* Packets of the session added last that are forgotten. */
static int count_forgotten(struct fc_places *places, struct fc_db *db, sqlite3_stmt **stmt, struct fc_error *err)
{
    static const char select[] = "SELECT packets FROM session_forgotten WHERE id = ?";
    const struct fc_place_session *session = &places->sessions[places->session_count - 1];
    int step;

    if (!*stmt && sqlite3_prepare_v2(db->sql, select, -1, stmt, NULL) != SQLITE_OK)
        return fc_db_error(db->sql, db->path, err, "cannot read the index");
    sqlite3_bind_int64(*stmt, 1, session->id);
    if ((step = sqlite3_step(*stmt)) == SQLITE_ROW) {
        bool first = !places->forgotten;
        places->forgotten += (uint64_t)sqlite3_column_int64(*stmt, 0);
        if (first || session->start_ns < places->forgotten_low_ns)
            places->forgotten_low_ns = session->start_ns;
        if (first || session->end_ns > places->forgotten_high_ns)
            places->forgotten_high_ns = session->end_ns;
    } else if (step != SQLITE_DONE) {
        return fc_db_error(db->sql, db->path, err, "cannot read the index");
    }
    sqlite3_reset(*stmt);
    return 0;
}

/* Which captures a session had is not in the index any more: those of its time are asked. */
static int find_forgotten_since(struct fc_places *places, struct fc_db *db, struct fc_error *err)
{
    struct fc_forgotten_mark mark;
    sqlite3_stmt *stmt = NULL;
    int step = sqlite3_prepare_v2(
        db->sql,
        "SELECT resume FROM files WHERE forgotten > 0 AND (first_ns IS NULL OR first_ns <= ?2 AND last_ns >= ?1)", -1,
        &stmt, NULL);

    if (step == SQLITE_OK) {
        sqlite3_bind_int64(stmt, 1, places->forgotten_low_ns);
        sqlite3_bind_int64(stmt, 2, places->forgotten_high_ns);
        while ((step = sqlite3_step(stmt)) == SQLITE_ROW)
            if (fc_forgotten_mark_get(sqlite3_column_blob(stmt, 0), (size_t)sqlite3_column_bytes(stmt, 0), &mark) &&
                mark.time_ns > places->forgotten_ns)
                places->forgotten_ns = mark.time_ns;
    }
    int rc = step == SQLITE_DONE ? 0 : fc_db_error(db->sql, db->path, err, "cannot read the index");
    sqlite3_finalize(stmt);
    return rc;
}

static int any_forgotten(struct fc_db *db, bool *any, struct fc_error *err)
{
    sqlite3_stmt *stmt = NULL;
    int step = sqlite3_prepare_v2(db->sql, "SELECT 1 FROM session_forgotten LIMIT 1", -1, &stmt, NULL);

    if (step == SQLITE_OK)
        step = sqlite3_step(stmt);
    *any = step == SQLITE_ROW;
    int rc =
        step == SQLITE_ROW || step == SQLITE_DONE ? 0 : fc_db_error(db->sql, db->path, err, "cannot read the index");
    sqlite3_finalize(stmt);
    return rc;
}

static int collect(struct fc_places *places, struct fc_db *db, const struct fc_filter *filter, struct fc_error *err)
{
    struct fc_pieces pieces = {.sql = db->sql};
    sqlite3_stmt *stmt = NULL, *forgotten = NULL;
    bool any = false;
    int step, rc = any_forgotten(db, &any, err);
    if (rc)
        return rc;
    rc = fc_filter_prepare(filter, db,
                           "SELECT s.id, s.proto, s.kind, s.client_addr, s.client_port, s.server_addr,"
                           " s.server_port, s.flags, s.domain, s.start_ns, s.duration_ns, s.positions",
                           "", FC_ORDER_NONE, &stmt, err);
    if (rc)
        return rc;
    while (rc == 0 && (step = sqlite3_step(stmt)) == SQLITE_ROW) {
        rc = add_session(places, db, stmt, &pieces, err);
        if (rc == 0 && any)
            rc = count_forgotten(places, db, &forgotten, err);
    }
    sqlite3_finalize(forgotten);
    if (rc == 0 && step != SQLITE_DONE)
        rc = fc_db_error(db->sql, db->path, err, "cannot read the index");
    sqlite3_finalize(stmt);
    fc_pieces_fini(&pieces);
    return rc == 0 && places->forgotten ? find_forgotten_since(places, db, err) : rc;
}

static int compare_pos(const void *a, const void *b)
{
    const struct fc_place *x = a, *y = b;

    return x->off < y->off ? -1 : x->off > y->off;
}

/* 0, or FC_E_INTERRUPTED. */
static int sort_positions(struct fc_place_file *f, const int *stop)
{
    uint64_t *entries = (uint64_t *)f->pos;
    size_t i = 1;

    while (i < f->count && f->pos[i - 1].off <= f->pos[i].off)
        i++;
    if (i >= f->count) /* one session is in order already */
        return 0;
    /* sessions were added in their order, so that only offsets want sorting */
    int rc = fc_sorter_array(&entries, f->count, 2, 63, stop);
    f->pos = (struct fc_place *)entries;
    f->room = f->count;
    if (rc == FC_E_NOMEM)
        qsort(f->pos, f->count, sizeof *f->pos, compare_pos);
    return rc == FC_E_INTERRUPTED ? rc : 0;
}

/* True when both names lead to the same file. */
static bool is_file(const char *a, const char *b)
{
    struct stat x, y;

    return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

int fc_places_note(struct fc_places *places, const struct fc_error *why, uint64_t packets)
{
    struct fc_error *bigger = realloc(places->missing, (places->missing_count + 1) * sizeof *bigger);

    if (!bigger)
        return FC_E_NOMEM;
    places->missing = bigger;
    bigger[places->missing_count++] = *why;
    places->packets_missing += packets;
    return 0;
}

int fc_places_check(const struct fc_places *places, const char *path, struct fc_error *err)
{
    for (size_t i = 0; i < places->session_count && !places->partial && !places->one; i++)
        if (!places->sessions[i].enough && !fc_shown_fits(places->sessions[i].shown))
            return fc_error_set(err, FC_E_CHANGED, path, FC_NO_OFFSET,
                                "a session has fragments of a tunnel that it is not in: a capture has changed");
    return 0;
}

static int stopped(void *places)
{
    return fc_places_stopped(places);
}

/* Files, sessions and positions, as the index has them. */
static int read_index(struct fc_places *places, struct fc_db *db, const struct fc_filter *filter, struct fc_error *err)
{
    int rc = fc_stored_files_load(db, &places->stored, err);

    if (rc)
        return rc;
    places->files = calloc(places->stored.count + 1, sizeof *places->files);
    if (!places->files)
        return fc_error_set(err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");
    char *key;
    if ((rc = fc_db_meta(db, "key", &key, err)))
        return rc;
    places->mask |= FC_WANT_KEY | FC_WANT_TUNNEL;
    rc = fc_key_parts(key, &places->mask, NULL);
    free(key);
    if (rc)
        return fc_error_set(err, FC_E_DB, db->path, FC_NO_OFFSET, "meta: the key's parts are damaged");
    return collect(places, db, filter, err);
}

size_t fc_places_behind(const struct fc_place_file *f, size_t i, uint64_t off)
{
    size_t lo = i + 1, hi = f->count;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (f->pos[mid].off < off)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

/* Looks whether a capture that has positions is what was indexed. */
static int look_at(struct fc_places *places, struct fc_place_file *f, fc_places_examine *examine, void *ctx,
                   struct fc_error *err)
{
    int rc = fc_stored_file_open(f->stored, &f->file, err);

    if (rc)
        return rc;
    if (f->file.source && f->stored->iface_count > 1) { /* sections far behind: by the seek points */
        fc_file_close(&f->file);
        if ((rc = fc_stored_file_enter(f->stored, &f->file, err)))
            return rc;
    }
    rc = examine ? examine(ctx, places, f, err) : 0;
    fc_file_close(&f->file); /* there may be more captures than descriptors */
    return rc;
}

/* Opens the captures one by one; those that cannot be taken as they are end it, or are left out. */
static int look_at_all(struct fc_places *places, const char *avoid, bool read, fc_places_examine *examine, void *ctx,
                       struct fc_error *err)
{
    for (size_t i = 0; i < places->stored.count; i++) {
        struct fc_place_file *f = &places->files[i];
        struct fc_error why;
        f->stored = &places->stored.items[i];
        f->stored->stop = places->stop;
        if (fc_places_stopped(places) || sort_positions(f, places->stop))
            return fc_error_set(err, FC_E_INTERRUPTED, NULL, FC_NO_OFFSET, "interrupted");
        if (avoid && is_file(avoid, f->stored->path))
            return fc_error_set(err, FC_E_USAGE, avoid, FC_NO_OFFSET, "is a capture of the index");
        if (!f->count)
            continue;
        int rc = read ? look_at(places, f, examine, ctx, &why) : 0;
        if (rc && (rc == FC_E_NOMEM || rc == FC_E_LIMIT || rc == FC_E_INTERRUPTED || !places->partial)) {
            *err = why;
            return rc;
        }
        if (rc && fc_places_note(places, &why, f->count))
            return fc_error_set(err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");
        if (rc)
            f->count = 0;
    }
    return 0;
}

int fc_places_make(struct fc_places *places, struct fc_db *db, const struct fc_filter *filter,
                   const struct fc_packets_options *options, fc_places_examine *examine, void *ctx,
                   struct fc_error *err)
{
    int rc;

    memset(places, 0, sizeof *places);
    places->low_ns = places->high_ns = FC_TIME_NONE;
    places->partial = options->partial;
    places->mask = options->fields;
    places->stop = options->stop;
    places->one = options->one;
    places->one_file = options->file;
    places->one_off = options->off;
    if (options->avoid && is_file(options->avoid, db->path))
        return fc_error_set(err, FC_E_USAGE, options->avoid, FC_NO_OFFSET, "is the index");
    /* one state of the index: captures may be added to it meanwhile */
    if (sqlite3_exec(db->sql, "BEGIN", NULL, NULL, NULL) != SQLITE_OK)
        return fc_db_error(db->sql, db->path, err, "cannot read the index");
    if (places->stop) /* it comes before that of the handle */
        sqlite3_progress_handler(db->sql, 100000, stopped, places);
    rc = read_index(places, db, filter, err);
    fc_db_set_stop(db, db->stop);
    sqlite3_exec(db->sql, "COMMIT", NULL, NULL, NULL);
    return rc ? rc : look_at_all(places, options->avoid, !options->positions, examine, ctx, err);
}
