/* SPDX-License-Identifier: MIT */
#include "store/bulk.h"
#include "base/error.h"
#include "base/vector.h"
#include "store/btree.h"
#include "store/db.h"
#include "store/piece.h"
#include "store/session_row.h"
#include "store/writer.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Below this, a second thread would take longer to start than it helps; and one builder at a time leaves no gaps. */
enum { THREAD_FROM_ROWS = 50000 };

struct fc_bulk {
    struct fc_pages pages;
    bool pages_open;
    struct fc_btree *session, *fields, *open, *pieces, *piece_session;
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
    uint64_t rows;
    bool alone;
    atomic_uint next; /* index to be built */
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
    for (unsigned i = 0; i < FC_SESSION_INDEXES; i++)
        if (strcmp(name, fc_session_indexes[i].name) == 0)
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
            " AND tbl_name IN ('session', 'session_fields', 'open_session', 'session_port', 'session_positions')",
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
    if (found != 6 + FC_SESSION_INDEXES || unknown)
        return fc_error_set(err, FC_E_DB, name, FC_NO_OFFSET, "the schema has another set of indexes");
    return 0;
}

int fc_bulk_new(int fd, const char *name, const char *folder, const struct fc_bulk_options *options,
                const struct fc_bulk_roots *roots, struct fc_bulk **out, struct fc_error *err)
{
    struct fc_bulk *b = calloc(1, sizeof *b);
    int rc = FC_E_NOMEM;

    *out = NULL;
    if (!b)
        return fc_error_set(err, rc, name, FC_NO_OFFSET, "out of memory");
    for (unsigned i = 0; i < FC_SESSION_INDEXES; i++)
        fc_session_index_init(&b->index[i], i, roots->index[i], options->budget_bytes, options->community, folder);
    b->alone = options->alone;
    if ((rc = fc_pages_open(&b->pages, fd, name, options->alone, err))) {
        fc_bulk_free(b);
        return rc;
    }
    b->pages_open = true;
    b->session = fc_btree_new(&b->pages, FC_BTREE_TABLE, roots->session);
    b->fields = fc_btree_new(&b->pages, FC_BTREE_TABLE, roots->fields);
    b->open = fc_btree_new(&b->pages, FC_BTREE_TABLE, roots->open);
    b->pieces = fc_btree_new(&b->pages, FC_BTREE_TABLE, roots->pieces);
    b->piece_session = fc_btree_new(&b->pages, FC_BTREE_INDEX, roots->piece_session);
    b->piece_file_root = roots->piece_file;
    if (!b->session || !b->fields || !b->open || !b->pieces || !b->piece_session) {
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
    fc_btree_free(b->session);
    fc_btree_free(b->fields);
    fc_btree_free(b->open);
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
    int rc = append(b, b->session, id, fc_session_row(&b->row, r), err);
    char text[FC_COMMUNITY_ID_SIZE];
    const char *community = (fields & FC_STORE_COMMUNITY_ID) && fc_community_id(&r->key, text) ? text : NULL;

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
    b->rows++;
    return rc;
}

int fc_bulk_open(struct fc_bulk *b, int64_t id, const void *state, size_t len, struct fc_error *err)
{
    return append(b, b->open, id, fc_blob_row(&b->row, state, len), err);
}

static int build_indexes(struct fc_bulk *b, struct fc_error *err)
{
    int rc = 0;

    for (unsigned i; rc == 0 && (i = atomic_fetch_add(&b->next, 1)) < FC_SESSION_INDEXES;)
        rc = fc_session_index_build(&b->index[i], &b->pages, err);
    return rc;
}

struct helper {
    struct fc_bulk *bulk;
    struct fc_error err;
    int rc;
};

static void *run_helper(void *arg)
{
    struct helper *h = arg;

    h->rc = build_indexes(h->bulk, &h->err);
    return NULL;
}

/* With a second thread where that pays and there is one to be had. */
static int build_together(struct fc_bulk *b, struct fc_error *err)
{
    struct helper helper = {.bulk = b};
    pthread_t thread;
    bool second = !b->alone && b->rows >= THREAD_FROM_ROWS && sysconf(_SC_NPROCESSORS_ONLN) > 1 &&
                  pthread_create(&thread, NULL, run_helper, &helper) == 0;
    int rc = build_indexes(b, err);

    if (second)
        pthread_join(thread, NULL);
    if (rc == 0 && helper.rc) {
        rc = helper.rc;
        if (err)
            *err = helper.err;
    }
    return rc;
}

int fc_bulk_finish(struct fc_bulk *b, struct fc_index_stat stats[FC_SESSION_INDEXES], struct fc_error *err)
{
    struct fc_btree *const trees[] = {b->session, b->fields, b->open, b->pieces, b->piece_session};
    int rc = 0;

    for (unsigned i = 0; i < sizeof trees / sizeof trees[0] && rc == 0; i++)
        rc = fc_btree_finish(trees[i], err);
    if (rc == 0)
        rc = build_piece_files(b, err);
    if (rc == 0)
        rc = build_together(b, err);
    for (unsigned i = 0; i < FC_SESSION_INDEXES; i++)
        stats[i] = (struct fc_index_stat){b->index[i].name, b->index[i].rows, b->index[i].distinct};
    return rc ? rc : fc_pages_finish(&b->pages, err);
}
