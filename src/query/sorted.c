/* SPDX-License-Identifier: MIT */
#include "query/sorted.h"
#include "base/error.h"
#include "base/heap.h"
#include "query/sample.h"
#include "store/db.h"
#include "store/snapshot.h"

#include <stdlib.h>

struct heap {
    enum fc_sorted_key key;
    bool descending;
    size_t count, most;
    struct fc_sorted *row; /* a heap: the last of all is in front */
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

/* Whether a row comes behind another one. */
static inline bool is_behind(const struct fc_sorted *a, const struct fc_sorted *b, const struct heap *h)
{
    if (a->has_value != b->has_value)
        return b->has_value == h->descending;
    if (a->value != b->value)
        return (b->value > a->value) == h->descending;
    return a->id > b->id;
}
FC_HEAP(rows, struct fc_sorted, const struct heap *, is_behind)

static int take(void *ctx, const struct fc_sample *sample)
{
    struct heap *h = ctx;
    struct fc_sorted row;

    read_value(h->key, sample, &row);
    if (h->count < h->most) {
        h->row[h->count] = row;
        rows_rise(h->row, h->count++, h);
    } else if (is_behind(h->row, &row, h)) {
        h->row[0] = row;
        rows_sink(h->row, h->count, 0, h);
    }
    return 0;
}

/* The last one goes to the end, until none is left. */
static void sort(struct heap *h)
{
    for (size_t count = h->count; count > 1;) {
        struct fc_sorted last = h->row[0];
        h->row[0] = h->row[--count];
        h->row[count] = last;
        rows_sink(h->row, count, 0, h);
    }
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
