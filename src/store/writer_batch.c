/* SPDX-License-Identifier: MIT */
/*
 * Batches of open sessions. A run writes one of its own (one for every FC_OPEN_BATCH entries): what is open in the end
 * of those that it made, and each session of the index that it has touched, whether it is open still or ended. What the
 * run has not touched stays in the batch in which it is. The latest batch that has a session tells of it.
 *
 * Batches come to be as entries do, in the order of IDs. Not in that of hashes: then they would have to be collected
 * and sorted first, IDs would take two or three bytes more each, as those beside one another would lie far apart, and
 * what is merged would have to be hashed anew.
 *
 * In the end the run's batch is merged with those before it that are not larger: so an entry is written again once each
 * time its batch has doubled, and there are few batches. What has expired or is forgotten is left out, and a batch all
 * of which has expired is deleted.
 */
#include "base/error.h"
#include "store/writer_internal.h"

#include <stdlib.h>
#include <string.h>

/* ---- writing */

static int write_row(struct fc_writer *w, struct fc_error *err)
{
    struct fc_open_batch *b = &w->open;
    int64_t id = b->number * FC_OPEN_BATCH + (b->count - b->pack.count);
    struct fc_stmt *stmt;
    int rc;

    if (w->bulk) {
        rc = fc_conn_break(&w->conn, fc_bulk_open(w->bulk, id, b->pack.data, b->pack.len, err), err);
    } else {
        stmt = fc_writer_stmt(w, FC_STMT_OPEN, "INSERT INTO open_session VALUES (?, ?)");
        fc_stmt_int(stmt, 1, id);
        fc_stmt_blob(stmt, 2, b->pack.data, b->pack.len);
        rc = fc_stmt_run(stmt, err);
    }
    b->pack.len = 0;
    return rc;
}

static int end_batch(struct fc_writer *w, struct fc_error *err)
{
    struct fc_open_batch *b = &w->open;
    int64_t expiry_ns = b->latest == INT32_MIN ? FC_NEVER : b->latest * (INT64_C(1) << FC_OPEN_GRAIN_BITS);
    size_t len = (size_t)b->count * FC_OPEN_TAG_BYTES;
    struct fc_stmt *stmt;
    int rc;

    if (!b->count)
        return 0;
    if (b->pack.len && (rc = write_row(w, err)))
        return rc;
    if (w->bulk) {
        rc = fc_bulk_open_batch(w->bulk, b->number, b->count, expiry_ns, b->tags, len, err);
        fc_conn_break(&w->conn, rc, err);
    } else {
        stmt = fc_writer_stmt(w, FC_STMT_BATCH, "INSERT INTO open_batch VALUES (?, ?, ?, ?)");
        fc_stmt_int(stmt, 1, b->number);
        fc_stmt_int(stmt, 2, b->count);
        if (expiry_ns == FC_NEVER)
            fc_stmt_null(stmt, 3);
        else
            fc_stmt_int(stmt, 3, expiry_ns);
        fc_stmt_blob(stmt, 4, b->tags, len);
        rc = fc_stmt_run(stmt, err);
    }
    b->number++;
    b->count = 0;
    return rc;
}

static int add_entry(struct fc_writer *w, const struct fc_open_entry *e, struct fc_error *err)
{
    struct fc_open_batch *b = &w->open;
    int rc;

    if (b->count == FC_OPEN_BATCH && (rc = end_batch(w, err)))
        return rc;
    if (fc_vector_reserve(&b->tags, &b->tag_room, b->count + 1, FC_OPEN_TAG_BYTES))
        return fc_writer_no_memory(w, err);
    if (!b->count)
        b->latest = INT32_MIN;
    if (!fc_open_pack_add(&b->pack, e)) {
        if ((rc = write_row(w, err)))
            return rc;
        fc_open_pack_add(&b->pack, e);
    }
    for (int i = 0; i < FC_OPEN_TAG_BYTES; i++)
        b->tags[b->count * FC_OPEN_TAG_BYTES + (uint32_t)i] = (uint8_t)(e->tag >> 8 * i);
    if (e->until != FC_OPEN_NEVER && e->until > b->latest)
        b->latest = e->until;
    b->count++;
    return 0;
}

/* The number of the run's first batch. */
static int find_number(struct fc_writer *w, struct fc_error *err)
{
    int64_t last = 0;

    if (!w->fresh && fc_conn_number(&w->conn, "SELECT max(batch) FROM open_batch", &last, err) < 0)
        return fc_conn_status(&w->conn, err);
    if (last < 0 || last >= INT64_MAX >> (FC_OPEN_BATCH_BITS + 1))
        return fc_writer_damaged_batch(w, last, err);
    w->open.number = last + 1;
    return 0;
}

int fc_writer_open_session(struct fc_writer *w, int64_t id, const struct fc_session_record *r, struct fc_error *err)
{
    struct fc_open_entry e;
    int rc;

    if (!w->open.number && (rc = find_number(w, err)))
        return rc;
    fc_open_entry_make(&e, id, &r->key, &r->session, r->until_ns, !r->open);
    w->open.written = true;
    return add_entry(w, &e, err);
}

/* ---- merging */

struct batch {
    int64_t number, entries, expiry_ns;
};

static int list_batches(struct fc_writer *w, struct batch **list, size_t *count, struct fc_error *err)
{
    struct fc_stmt *stmt =
        fc_writer_stmt(w, FC_STMT_BATCHES, "SELECT batch, entries, expiry_ns FROM open_batch ORDER BY batch DESC");
    size_t room = 0;
    int rc = 0;

    while (rc == 0 && (rc = fc_stmt_step(stmt, err)) == 1) {
        if (fc_vector_reserve(list, &room, *count + 1, sizeof **list))
            return fc_writer_no_memory(w, err);
        struct batch *b = &(*list)[(*count)++];
        b->number = sqlite3_column_int64(stmt->raw, 0);
        b->entries = sqlite3_column_int64(stmt->raw, 1);
        b->expiry_ns = sqlite3_column_type(stmt->raw, 2) == SQLITE_NULL ? FC_NEVER : sqlite3_column_int64(stmt->raw, 2);
        if (b->number < 1 || b->number >= INT64_MAX >> FC_OPEN_BATCH_BITS || b->entries < 1 ||
            b->entries > FC_OPEN_BATCH)
            return fc_writer_damaged_batch(w, b->number, err);
        rc = 0;
    }
    return rc;
}

/* Entries that are kept. */
struct kept {
    struct fc_open_entry *list;
    size_t count, room;
};

/* The entries of a row; *rank: how many of the batch came before, counted on. */
static int read_row(struct fc_writer *w, sqlite3_stmt *stmt, struct kept *kept, uint32_t *rank, struct fc_error *err)
{
    struct fc_open_reader reader;
    struct fc_open_entry e;
    int rc = fc_open_reader_init(&reader, sqlite3_column_blob(stmt, 1), (size_t)sqlite3_column_bytes(stmt, 1));

    if (sqlite3_column_int64(stmt, 0) % FC_OPEN_BATCH != *rank)
        return FC_E_DAMAGED;
    for (; rc == 0 && (rc = fc_open_reader_next(&reader, &e)) == 1; rc = 0) {
        e.tag = (*rank)++; /* for the time being */
        if (fc_open_expired(e.until, w->clock_ns))
            continue;
        if (fc_vector_reserve(&kept->list, &kept->room, kept->count + 1, sizeof *kept->list))
            return fc_writer_no_memory(w, err);
        kept->list[kept->count++] = e;
    }
    return rc;
}

static int read_batch(struct fc_writer *w, const struct batch *b, struct kept *kept, struct fc_error *err)
{
    struct fc_stmt *stmt =
        fc_writer_stmt(w, FC_STMT_OPEN_ROWS, "SELECT id, state FROM open_session WHERE id >= ? AND id < ? ORDER BY id");
    size_t first = kept->count;
    uint32_t rank = 0;
    int rc = 0;

    fc_stmt_int(stmt, 1, b->number * FC_OPEN_BATCH);
    fc_stmt_int(stmt, 2, (b->number + 1) * FC_OPEN_BATCH);
    while (rc == 0 && (rc = fc_stmt_step(stmt, err)) == 1)
        rc = read_row(w, stmt->raw, kept, &rank, err);
    fc_stmt_reset(stmt);
    if (rc == FC_E_DAMAGED || (rc == 0 && rank != b->entries))
        return fc_writer_damaged_batch(w, b->number, err);
    if (rc)
        return rc;
    stmt = fc_writer_stmt(w, FC_STMT_TAGS, "SELECT tags FROM open_batch WHERE batch = ?");
    fc_stmt_int(stmt, 1, b->number);
    if ((rc = fc_stmt_step(stmt, err)) < 0)
        return rc;
    const uint8_t *tags = rc ? sqlite3_column_blob(stmt->raw, 0) : NULL;
    if (!tags || sqlite3_column_bytes(stmt->raw, 0) != b->entries * FC_OPEN_TAG_BYTES)
        return fc_writer_damaged_batch(w, b->number, err);
    for (size_t i = first; i < kept->count; i++) {
        const uint8_t *tag = tags + (size_t)kept->list[i].tag * FC_OPEN_TAG_BYTES;
        kept->list[i].tag = tag[0] | (uint32_t)tag[1] << 8 | (uint32_t)tag[2] << 16;
    }
    fc_stmt_reset(stmt);
    return 0;
}

static int compare_entries(const void *a, const void *b)
{
    const struct fc_open_entry *x = a, *y = b;

    if (x->id != y->id)
        return x->id < y->id ? -1 : 1;
    return x->age < y->age ? -1 : x->age > y->age;
}

static int delete_batch(struct fc_writer *w, const struct batch *b, struct fc_error *err)
{
    struct fc_stmt *stmt = fc_writer_stmt(w, FC_STMT_DROP_ROWS, "DELETE FROM open_session WHERE id >= ? AND id < ?");
    int rc;

    fc_stmt_int(stmt, 1, b->number * FC_OPEN_BATCH);
    fc_stmt_int(stmt, 2, (b->number + 1) * FC_OPEN_BATCH);
    if ((rc = fc_stmt_run(stmt, err)))
        return rc;
    stmt = fc_writer_stmt(w, FC_STMT_DROP_BATCH, "DELETE FROM open_batch WHERE batch = ?");
    fc_stmt_int(stmt, 1, b->number);
    return fc_stmt_run(stmt, err);
}

/*
 * Below first, all are. Of others that never expire the row is looked for; the rest go by themselves. 1, 0, negative.
 */
static int is_forgotten(struct fc_writer *w, const struct fc_open_entry *e, int64_t first, struct fc_error *err)
{
    struct fc_stmt *stmt;
    int rc;

    if (e->id < first || e->until != FC_OPEN_NEVER)
        return e->id < first;
    stmt = fc_writer_stmt(w, FC_STMT_HAS_SESSION, "SELECT 1 FROM session WHERE id = ?");
    fc_stmt_int(stmt, 1, e->id);
    if ((rc = fc_stmt_step(stmt, err)) == 1)
        fc_stmt_reset(stmt);
    return rc < 0 ? rc : !rc;
}

/* Makes one of batches that follow one another, the newest first; oldest: there is none behind them. */
static int merge(struct fc_writer *w, const struct batch *batches, size_t count, bool oldest, struct fc_error *err)
{
    struct kept kept = {0};
    int64_t next = w->open.number, first_id = INT64_MAX;
    int rc = fc_conn_number(&w->conn, "SELECT id FROM session WHERE id > 0 ORDER BY id LIMIT 1", &first_id, err);

    rc = rc < 0 ? rc : 0;
    for (size_t i = 0; i < count && rc == 0; i++) {
        size_t first = kept.count;
        if ((rc = read_batch(w, &batches[i], &kept, err)) == 0)
            rc = delete_batch(w, &batches[i], err);
        for (size_t k = first; k < kept.count; k++)
            kept.list[k].age = (uint32_t)i;
    }
    if (kept.count)
        qsort(kept.list, kept.count, sizeof *kept.list, compare_entries);
    w->open.number = batches[0].number;
    for (size_t i = 0; i < kept.count && rc == 0; i++) {
        const struct fc_open_entry *e = &kept.list[i];
        bool known = i && e->id == e[-1].id; /* by a newer batch */
        if (!known && !(oldest && fc_open_ended(e)) && (rc = is_forgotten(w, e, first_id, err)) == 0)
            rc = add_entry(w, e, err);
        rc = rc < 0 ? rc : 0;
    }
    free(kept.list);
    if (rc == 0)
        rc = end_batch(w, err);
    w->open.number = next;
    return rc;
}

int fc_writer_end_open(struct fc_writer *w, struct fc_error *err)
{
    struct batch *list = NULL;
    size_t count = 0, merged = 0;
    int rc = end_batch(w, err);

    if (rc || !w->clock_set || (rc = list_batches(w, &list, &count, err))) {
        free(list);
        return rc;
    }
    if (w->open.written && count) {
        int64_t entries = list[0].entries;
        for (merged = 1;
             merged < count && list[merged].entries <= entries && entries + list[merged].entries <= FC_OPEN_BATCH;
             merged++)
            entries += list[merged].entries;
        if (merged > 1)
            rc = merge(w, list, merged, merged == count, err);
    }
    for (size_t i = merged; i < count && rc == 0; i++)
        if (list[i].expiry_ns <= w->clock_ns)
            rc = merge(w, &list[i], 1, i + 1 == count, err);
    free(list);
    return rc;
}
