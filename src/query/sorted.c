/* SPDX-License-Identifier: MIT */
#include "query/sorted.h"
#include "base/error.h"
#include "query/sample.h"
#include "store/db.h"
#include "store/snapshot.h"

#include <stdlib.h>

struct heap {
    enum fc_sorted_key key;
    bool descending;
    size_t count, most;
    struct fc_sorted *row; /* no row comes behind the one at (i - 1) / 2: the last of all is in front */
};

static void read_value(enum fc_sorted_key key, const struct fc_sample *s, struct fc_sorted *row)
{
    uint64_t counts[] = {[FC_SORTED_PACKETS] = s->client_packets + s->server_packets,
                         [FC_SORTED_BYTES] = s->client_bytes + s->server_bytes,
                         [FC_SORTED_CLIENT_PACKETS] = s->client_packets,
                         [FC_SORTED_SERVER_PACKETS] = s->server_packets,
                         [FC_SORTED_CLIENT_BYTES] = s->client_bytes,
                         [FC_SORTED_SERVER_BYTES] = s->server_bytes};

    row->id = s->id;
    row->has_value = key > FC_SORTED_DURATION || s->has_time;
    row->value = !row->has_value             ? 0
                 : key == FC_SORTED_START    ? s->start_ns
                 : key == FC_SORTED_END      ? s->end_ns
                 : key == FC_SORTED_DURATION ? s->end_ns - s->start_ns
                                             : (int64_t)counts[key];
}

static bool is_before(const struct heap *h, const struct fc_sorted *a, const struct fc_sorted *b)
{
    if (a->has_value != b->has_value)
        return a->has_value == h->descending;
    if (a->value != b->value)
        return (a->value > b->value) == h->descending;
    return a->id < b->id;
}

static void swap(struct fc_sorted *a, struct fc_sorted *b)
{
    struct fc_sorted one = *a;

    *a = *b;
    *b = one;
}

/* Puts the row at the front where it belongs. */
static void sink(struct heap *h)
{
    size_t at = 0, child;

    while ((child = 2 * at + 1) < h->count) {
        if (child + 1 < h->count && is_before(h, &h->row[child], &h->row[child + 1]))
            child++;
        if (is_before(h, &h->row[child], &h->row[at]))
            return;
        swap(&h->row[at], &h->row[child]);
        at = child;
    }
}

static int take(void *ctx, const struct fc_sample *sample)
{
    struct heap *h = ctx;
    struct fc_sorted row;

    read_value(h->key, sample, &row);
    if (h->count < h->most) {
        size_t at = h->count++;
        h->row[at] = row;
        for (; at > 0 && is_before(h, &h->row[(at - 1) / 2], &h->row[at]); at = (at - 1) / 2)
            swap(&h->row[at], &h->row[(at - 1) / 2]);
    } else if (is_before(h, &row, h->row)) {
        h->row[0] = row;
        sink(h);
    }
    return 0;
}

/* The last one goes to the end, until none is left. */
static void sort(struct heap *h)
{
    size_t count = h->count;

    while (h->count > 1) {
        swap(&h->row[0], &h->row[--h->count]);
        sink(h);
    }
    h->count = count;
}

static int fill(struct fc_db *db, const struct fc_filter *filter, struct heap *h, bool *done, struct fc_error *err)
{
    bool ours = sqlite3_get_autocommit(fc_db_sqlite(db));
    int rc = ours ? fc_snapshot_begin(db, err) : 0;

    if (rc)
        return rc;
    rc = fc_samples_are_pages(db, filter, done, err);
    if (rc == 0 && *done)
        rc = fc_samples_read(db, filter, FC_SAMPLES_PLAIN, false, take, h, err);
    if (ours)
        fc_snapshot_end(db);
    return rc;
}

int fc_sorted_first(struct fc_db *db, const struct fc_filter *filter, enum fc_sorted_key key, bool descending,
                    size_t most, struct fc_sorted **rows, size_t *count, bool *done, struct fc_error *err)
{
    struct heap h = {.key = key, .descending = descending, .most = most};
    int rc;

    *rows = NULL;
    *count = 0;
    *done = false;
    if (!(h.row = malloc(most * sizeof *h.row)))
        return fc_error_set(err, FC_E_NOMEM, db->path, FC_NO_OFFSET, "out of memory");
    if ((rc = fill(db, filter, &h, done, err)) || !*done) {
        free(h.row);
        return rc;
    }
    sort(&h);
    *rows = h.row;
    *count = h.count;
    return 0;
}
