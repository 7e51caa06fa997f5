/* SPDX-License-Identifier: MIT */
#include "store/bulk.h"
#include "base/error.h"
#include "base/handover.h"
#include "base/vector.h"
#include "store/btree.h"
#include "store/db.h"
#include "store/piece.h"
#include "store/session_row.h"
#include "store/writer.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* Below this, a second thread would take longer to start than it helps; and one builder at a time leaves no gaps. */
enum { THREAD_FROM_ROWS = 50000 };

struct fc_bulk {
    struct fc_pages pages;
    bool pages_open;
    struct fc_btree *session, *fields, *open, *batches, *pieces, *piece_session;
    uint32_t piece_file_root;
    struct piece {
        uint32_t file;
        int64_t id;
    } * piece_list; /* for the index by file, which wants sorting */
    size_t piece_count, piece_room;
    struct fc_buffer scratch[2];
    struct {
        int64_t session;
        struct fc_error *err;
    } splitting;
    struct fc_session_index index[FC_SESSION_INDEXES];
    struct fc_row row;
    int64_t epoch, ready; /* of the sessions that come; of the entries that are built */
    uint64_t rows;        /* of this epoch so far */
    bool alone;
    atomic_uint next;          /* index whose entries nobody builds yet: taken by the caller and the helper */
    struct fc_handover helper; /* who builds the indexes besides: one slot, filled when they are ready */
};

static uint32_t *root_of(struct fc_bulk_roots *roots, const char *name)
{
    if (strcmp(name, "session") == 0)
        return &roots->session;
    if (strcmp(name, "session_fields") == 0)
        return &roots->fields;
    if (strcmp(name, "open_session") == 0)
        return &roots->open;
    if (strcmp(name, "session_positions") == 0)
        return &roots->pieces;
    if (strcmp(name, "session_positions_session") == 0)
        return &roots->piece_session;
    if (strcmp(name, "session_positions_file") == 0)
        return &roots->piece_file;
    if (strcmp(name, "open_batch") == 0)
        return &roots->batches;
    for (unsigned i = 0; i < FC_SESSION_INDEXES; i++)
        if (strcmp(name, fc_session_indexes[i]) == 0)
            return &roots->index[i];
    return NULL;
}

int fc_bulk_roots_read(sqlite3 *sql, const char *name, struct fc_bulk_roots *roots, struct fc_error *err)
{
    sqlite3_stmt *stmt = NULL;
    unsigned found = 0, unknown = 0;
    int rc;

    *roots = (struct fc_bulk_roots){0};
    if (sqlite3_prepare_v2(
            sql,
            "SELECT name, rootpage FROM sqlite_schema WHERE type IN ('table', 'index')"
            " AND tbl_name IN ('session', 'session_fields', 'open_session', 'open_batch', 'session_port',"
            " 'session_positions')",
            -1, &stmt, NULL) != SQLITE_OK)
        return fc_db_error(sql, name, err, "cannot read the index");
    while ((rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        uint32_t *root = root_of(roots, (const char *)sqlite3_column_text(stmt, 0));
        if (root)
            *root = (uint32_t)sqlite3_column_int64(stmt, 1);
        found += root != NULL;
        unknown += root == NULL;
    }
    sqlite3_finalize(stmt);
    if (rc != SQLITE_DONE)
        return fc_db_error(sql, name, err, "cannot read the index");
    if (found != 7 + FC_SESSION_INDEXES || unknown)
        return fc_error_set(err, FC_E_DB, name, FC_NO_OFFSET, "the schema has another set of indexes");
    return 0;
}

int fc_bulk_new(int fd, const char *name, bool alone, const struct fc_bulk_roots *roots, struct fc_bulk **out,
                struct fc_error *err)
{
    struct fc_bulk *b = calloc(1, sizeof *b);
    int rc;

    *out = NULL;
    if (!b)
        return fc_error_set(err, FC_E_NOMEM, name, FC_NO_OFFSET, "out of memory");
    b->alone = alone;
    b->next = FC_SESSION_INDEXES;
    fc_handover_init(&b->helper, 1);
    if ((rc = fc_pages_open(&b->pages, fd, name, alone, err))) {
        fc_bulk_free(b);
        return rc;
    }
    b->pages_open = true;
    for (unsigned i = 0; i < FC_SESSION_INDEXES && rc == 0; i++)
        rc = fc_session_index_init(&b->index[i], i, &b->pages, roots->index[i], err);
    b->session = fc_btree_new(&b->pages, FC_BTREE_TABLE, roots->session);
    b->fields = fc_btree_new(&b->pages, FC_BTREE_TABLE, roots->fields);
    b->open = fc_btree_new(&b->pages, FC_BTREE_TABLE, roots->open);
    b->batches = fc_btree_new(&b->pages, FC_BTREE_TABLE, roots->batches);
    b->pieces = fc_btree_new(&b->pages, FC_BTREE_TABLE, roots->pieces);
    b->piece_session = fc_btree_new(&b->pages, FC_BTREE_INDEX, roots->piece_session);
    b->piece_file_root = roots->piece_file;
    if (rc || !b->session || !b->fields || !b->open || !b->batches || !b->pieces || !b->piece_session) {
        fc_bulk_free(b);
        return fc_error_set(err, FC_E_NOMEM, name, FC_NO_OFFSET, "out of memory");
    }
    *out = b;
    return 0;
}

void fc_bulk_free(struct fc_bulk *b)
{
    if (!b)
        return;
    fc_handover_fini(&b->helper);
    fc_btree_free(b->session);
    fc_btree_free(b->fields);
    fc_btree_free(b->open);
    fc_btree_free(b->batches);
    fc_btree_free(b->pieces);
    fc_btree_free(b->piece_session);
    free(b->piece_list);
    fc_buffer_fini(&b->scratch[0]);
    fc_buffer_fini(&b->scratch[1]);
    for (unsigned i = 0; i < FC_SESSION_INDEXES; i++)
        fc_session_index_fini(&b->index[i]);
    fc_row_fini(&b->row);
    if (b->pages_open)
        fc_pages_close(&b->pages);
    free(b);
}

static int build_indexes(struct fc_bulk *b, struct fc_error *err)
{
    int rc = 0;

    for (unsigned i; rc == 0 && (i = atomic_fetch_add(&b->next, 1)) < FC_SESSION_INDEXES;)
        rc = fc_session_index_build(&b->index[i], b->ready, err);
    return rc;
}

static void *run_helper(void *arg)
{
    struct fc_bulk *b = arg;
    struct fc_error why;

    while (fc_handover_next(&b->helper) >= 0)
        fc_handover_empty(&b->helper, build_indexes(b, &why) ? &why : NULL);
    return NULL;
}

/* Builds what is ready, or what the helper has not come to yet. */
static int settle(struct fc_bulk *b, struct fc_error *err)
{
    int rc = build_indexes(b, err), other = fc_handover_settle(&b->helper, b->helper.filled, rc ? NULL : err);

    return rc ? rc : other;
}

/* Makes the entries of the epoch ready, and lets a second thread build them where that pays and there is one. */
static int turn(struct fc_bulk *b, struct fc_error *err)
{
    int rc = settle(b, err);

    if (rc)
        return rc;
    for (unsigned i = 0; i < FC_SESSION_INDEXES; i++)
        fc_session_index_turn(&b->index[i]);
    b->ready = b->epoch;
    b->next = 0;
    if (!b->alone && b->rows >= THREAD_FROM_ROWS && fc_handover_start(&b->helper, run_helper, b))
        fc_handover_fill(&b->helper);
    b->rows = 0;
    return 0;
}

/* Before the entries of a session. */
static int enter_epoch(struct fc_bulk *b, int64_t id, struct fc_error *err)
{
    int rc = fc_epoch_of(id) == b->epoch ? 0 : turn(b, err);

    b->epoch = fc_epoch_of(id);
    return rc;
}

/* Ends the row at hand and appends it; rc: of what made the row. */
static int append(struct fc_bulk *b, struct fc_btree *tree, int64_t id, int rc, struct fc_error *err)
{
    const uint8_t *record;
    size_t len;

    if (rc)
        return fc_error_set(err, rc, b->pages.name, FC_NO_OFFSET, "out of memory");
    fc_row_end(&b->row, &record, &len);
    return fc_btree_add(tree, id, record, len, err);
}

/* Positions of the session at hand in one file. */
static int add_piece(void *ctx, uint32_t file, const uint8_t *blob, size_t len)
{
    struct fc_bulk *b = ctx;
    int64_t id = (int64_t)b->piece_count + 1, session = b->splitting.session;
    int rc;

    if (fc_vector_reserve(&b->piece_list, &b->piece_room, b->piece_count + 1, sizeof *b->piece_list))
        return fc_error_set(b->splitting.err, FC_E_NOMEM, b->pages.name, FC_NO_OFFSET, "out of memory");
    b->piece_list[b->piece_count++] = (struct piece){file, id};
    rc = append(b, b->pieces, id, fc_piece_row(&b->row, session, file, blob, len), b->splitting.err);
    return rc ? rc : append(b, b->piece_session, 0, fc_piece_entry(&b->row, session, file, id), b->splitting.err);
}

static int compare_pieces(const void *a, const void *b)
{
    const struct piece *x = a, *y = b;

    if (x->file != y->file)
        return x->file < y->file ? -1 : 1;
    return x->id < y->id ? -1 : x->id > y->id;
}

static int build_piece_files(struct fc_bulk *b, struct fc_error *err)
{
    struct fc_btree *tree = fc_btree_new(&b->pages, FC_BTREE_INDEX, b->piece_file_root);
    int rc = tree ? 0 : fc_error_set(err, FC_E_NOMEM, b->pages.name, FC_NO_OFFSET, "out of memory");

    if (b->piece_count)
        qsort(b->piece_list, b->piece_count, sizeof *b->piece_list, compare_pieces);
    for (size_t i = 0; i < b->piece_count && rc == 0; i++)
        rc = append(b, tree, 0, fc_piece_entry(&b->row, 0, b->piece_list[i].file, b->piece_list[i].id), err);
    if (rc == 0)
        rc = fc_btree_finish(tree, err);
    fc_btree_free(tree);
    return rc;
}

int fc_bulk_session(struct fc_bulk *b, int64_t id, const struct fc_session_record *r, uint32_t fields,
                    struct fc_error *err)
{
    int rc = enter_epoch(b, id, err);
    char text[FC_COMMUNITY_ID_SIZE];
    const char *community = (fields & FC_FIELD_COMMUNITY_ID) && fc_community_id(&r->key, text) ? text : NULL;

    b->rows++;
    if (rc == 0)
        rc = append(b, b->session, id, fc_session_row(&b->row, r), err);
    for (unsigned i = FC_INDEX_COMMUNITY + 1; i < FC_SESSION_INDEXES && rc == 0; i++)
        rc = fc_session_index_add(&b->index[i], id, r, err);
    if (rc == 0 && community)
        rc = fc_session_index_add_community(&b->index[FC_INDEX_COMMUNITY], id, community, err);
    if (rc == 0 && fields && (r->has_extra || community))
        rc = append(b, b->fields, id, fc_session_fields_row(&b->row, r, fields, community), err);
    if (rc == 0 && r->blob_len >= FC_INLINE_POSITIONS) {
        b->splitting.session = id;
        b->splitting.err = err;
        rc = fc_pieces_split(r->blob, r->blob_len, b->scratch, add_piece, b);
        if (rc == FC_E_DAMAGED || (rc == FC_E_NOMEM && err && err->code != rc))
            rc = fc_error_set(err, rc, b->pages.name, FC_NO_OFFSET, "%s", fc_strerror(rc));
    }
    return rc;
}

int fc_bulk_open(struct fc_bulk *b, int64_t id, const void *state, size_t len, struct fc_error *err)
{
    return append(b, b->open, id, fc_blob_row(&b->row, state, len), err);
}

int fc_bulk_open_batch(struct fc_bulk *b, int64_t batch, uint32_t entries, int64_t expiry_ns, const void *tags,
                       size_t len, struct fc_error *err)
{
    return append(b, b->batches, batch, fc_open_batch_row(&b->row, entries, expiry_ns, tags, len), err);
}

int fc_bulk_finish(struct fc_bulk *b, struct fc_error *err)
{
    struct fc_btree *const trees[] = {b->session, b->fields, b->open, b->batches, b->pieces, b->piece_session};
    int rc = turn(b, err);

    for (unsigned i = 0; i < sizeof trees / sizeof trees[0] && rc == 0; i++)
        rc = fc_btree_finish(trees[i], err);
    if (rc == 0)
        rc = build_piece_files(b, err);
    if (rc == 0)
        rc = settle(b, err);
    for (unsigned i = 0; i < FC_SESSION_INDEXES && rc == 0; i++)
        rc = fc_session_index_finish(&b->index[i], err);
    return rc ? rc : fc_pages_finish(&b->pages, err);
}
