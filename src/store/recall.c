/* SPDX-License-Identifier: MIT */
#include "store/recall.h"
#include "base/error.h"
#include "store/writer_internal.h"

#include <stdlib.h>
#include <string.h>

enum {
    TAG_BITS = 8 * FC_OPEN_TAG_BYTES,
    BUCKET_SLOTS_BITS = 3, /* about */
};
enum { READ = 1, GIVEN = 2, EXPIRED = 4, KNOWN_BITS = 7 }; /* of `known`, beside the hash */
_Static_assert(FC_OPEN_BATCH_BITS - BUCKET_SLOTS_BITS + 32 - FC_OPEN_BATCH_BITS >= TAG_BITS,
               "the bits that name a bucket and those in a slot are all of a full batch's tags");

/*
 * A row of `open_session` that was read: one that many ask for is decoded from places met before, not from its start.
 */
enum { MARK_EVERY = 128, MARKS = 16 };
struct row {
    uint32_t first, entries; /* rank of its first entry; UINT32_MAX: not known how many */
    unsigned marks;
    struct fc_open_reader mark[MARKS]; /* in front of every so manieth entry */
    uint8_t state[];
};

/* Entries by tag: those of a bucket, which the top bits of the tag name, side by side. */
struct batch {
    int64_t number;
    uint32_t count;
    unsigned bits;     /* of a tag, that name a bucket */
    uint32_t *start;   /* of each bucket, and the end of the last */
    uint32_t *slots;   /* low bits of the tag, rank */
    uint64_t *known;   /* by rank: a keyed hash of the key, and what else is known; 0: nothing yet; under the lock */
    struct row **rows; /* the same; those that were read, by rank */
    size_t row_count, row_room;
};

struct fc_recall {
    struct fc_writer *writer;
    int64_t clock_ns;
    uint64_t seed;
    struct batch *batches; /* the newest first */
    size_t count, room;
    pthread_mutex_t lock;
    int64_t *seen; /* under the lock: IDs of this key in newer batches */
    size_t seen_count, seen_room;
};

static uint32_t tag_at(const uint8_t *tags, uint32_t i)
{
    const uint8_t *p = tags + (size_t)i * FC_OPEN_TAG_BYTES;

    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16;
}

/* Sorts the entries into buckets, by counting. */
static int fill(struct batch *b, const uint8_t *tags)
{
    while (b->bits + BUCKET_SLOTS_BITS < FC_OPEN_BATCH_BITS && b->count >> (b->bits + BUCKET_SLOTS_BITS))
        b->bits++;
    unsigned shift = TAG_BITS - b->bits;
    size_t buckets = (size_t)1 << b->bits;

    b->start = calloc(buckets + 2, sizeof *b->start);
    b->slots = malloc(b->count * sizeof *b->slots);
    b->known = calloc(b->count, sizeof *b->known);
    if (!b->start || !b->slots || !b->known)
        return FC_E_NOMEM;
    for (uint32_t i = 0; i < b->count; i++)
        b->start[(tag_at(tags, i) >> shift) + 2]++;
    for (size_t i = 0; i < buckets; i++)
        b->start[i + 2] += b->start[i + 1];
    for (uint32_t i = 0; i < b->count; i++) {
        uint32_t tag = tag_at(tags, i);
        b->slots[b->start[(tag >> shift) + 1]++] = tag << FC_OPEN_BATCH_BITS | i;
    }
    return 0;
}

static int add_batch(struct fc_recall *r, sqlite3_stmt *row, struct fc_error *err)
{
    struct batch *b;
    int64_t number = sqlite3_column_int64(row, 0), len;
    const uint8_t *tags = sqlite3_column_blob(row, 1);

    len = sqlite3_column_bytes(row, 1);
    if (number < 1 || number >= INT64_MAX >> FC_OPEN_BATCH_BITS || !tags || len % FC_OPEN_TAG_BYTES ||
        len > FC_OPEN_BATCH * FC_OPEN_TAG_BYTES)
        return fc_writer_damaged_batch(r->writer, number, err);
    if (fc_vector_reserve(&r->batches, &r->room, r->count + 1, sizeof *r->batches))
        return fc_writer_no_memory(r->writer, err);
    b = &r->batches[r->count++];
    *b = (struct batch){.number = number, .count = (uint32_t)(len / FC_OPEN_TAG_BYTES)};
    return fill(b, tags) ? fc_writer_no_memory(r->writer, err) : 0;
}

int fc_recall_open(struct fc_writer *w, int64_t clock_ns, struct fc_recall **out, struct fc_error *err)
{
    struct fc_stmt *stmt;
    struct fc_recall *r;
    int rc = fc_writer_sql(w, err);

    *out = NULL;
    if (rc)
        return rc;
    if (!(r = calloc(1, sizeof *r)))
        return fc_writer_no_memory(w, err);
    *r = (struct fc_recall){.writer = w, .clock_ns = clock_ns, .seed = fc_hash_secret()};
    pthread_mutex_init(&r->lock, NULL);
    stmt = fc_writer_stmt(w, FC_STMT_BATCHES_TAGS, "SELECT batch, tags FROM open_batch ORDER BY batch DESC");
    while (rc == 0 && (rc = fc_stmt_step(stmt, err)) == 1)
        rc = add_batch(r, stmt->raw, err);
    fc_stmt_reset(stmt);
    if (rc || !r->count)
        fc_recall_close(r);
    else
        *out = r;
    return rc;
}

void fc_recall_close(struct fc_recall *r)
{
    if (!r)
        return;
    for (size_t i = 0; i < r->count; i++) {
        free(r->batches[i].start);
        free(r->batches[i].slots);
        free(r->batches[i].known);
        for (size_t k = 0; k < r->batches[i].row_count; k++)
            free(r->batches[i].rows[k]);
        free(r->batches[i].rows);
    }
    free(r->batches);
    free(r->seen);
    pthread_mutex_destroy(&r->lock);
    free(r);
}

/* How many of the rows that were read begin at this rank or before. */
static size_t rows_until(const struct batch *b, uint32_t rank)
{
    size_t low = 0, high = b->row_count;

    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (b->rows[mid]->first <= rank)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

/* Reads the row in which a rank is; *place: among those that were read. */
static int read_row(struct fc_recall *r, struct batch *b, uint32_t rank, size_t place, struct fc_error *err)
{
    struct fc_stmt *stmt = fc_writer_stmt(r->writer, FC_STMT_OPEN_ROW,
                                          "SELECT id, state FROM open_session WHERE id <= ? ORDER BY id DESC LIMIT 1");
    int64_t first = b->number * FC_OPEN_BATCH;
    struct row *row;
    int rc;

    fc_stmt_int(stmt, 1, first + rank);
    if ((rc = fc_stmt_step(stmt, err)) < 0)
        return rc;
    int64_t id = rc ? sqlite3_column_int64(stmt->raw, 0) : -1;
    size_t len = rc ? (size_t)sqlite3_column_bytes(stmt->raw, 1) : 0;
    if (id < first || (place && id - first <= b->rows[place - 1]->first)) {
        fc_stmt_reset(stmt);
        return fc_writer_damaged_batch(r->writer, b->number, err);
    }
    if (fc_vector_reserve(&b->rows, &b->row_room, b->row_count + 1, sizeof *b->rows) ||
        !(row = malloc(sizeof *row + len))) {
        fc_stmt_reset(stmt);
        return fc_writer_no_memory(r->writer, err);
    }
    row->first = (uint32_t)(id - first);
    row->entries = UINT32_MAX;
    row->marks = 1;
    if (len)
        memcpy(row->state, sqlite3_column_blob(stmt->raw, 1), len);
    fc_stmt_reset(stmt);
    if (fc_open_reader_init(&row->mark[0], row->state, len)) {
        free(row);
        return fc_writer_damaged_batch(r->writer, b->number, err);
    }
    memmove(b->rows + place + 1, b->rows + place, (b->row_count++ - place) * sizeof(struct row *));
    b->rows[place] = row;
    return 0;
}

/* 1: *e is the entry of a rank; 0: the row ends before it; FC_E_DAMAGED. */
static int entry_of(struct row *row, uint32_t rank, struct fc_open_entry *e)
{
    uint32_t n = rank - row->first;
    unsigned mark = n / MARK_EVERY < row->marks ? n / MARK_EVERY : row->marks - 1;
    struct fc_open_reader reader = row->mark[mark];
    uint32_t at = mark * MARK_EVERY;
    int rc = n < row->entries;

    while (rc == 1 && at < n && (rc = fc_open_reader_skip(&reader)) == 1)
        if (++at == row->marks * MARK_EVERY && row->marks < MARKS)
            row->mark[row->marks++] = reader;
    if (rc == 1)
        rc = fc_open_reader_next(&reader, e);
    if (rc == 0 && n < row->entries)
        row->entries = at;
    return rc;
}

/* The entry of a rank. */
static int read_entry(struct fc_recall *r, struct batch *b, uint32_t rank, struct fc_open_entry *e,
                      struct fc_error *err)
{
    size_t place = rows_until(b, rank);
    int rc = place ? entry_of(b->rows[place - 1], rank, e) : 0;

    if (rc == 0) {
        if ((rc = read_row(r, b, rank, place, err)))
            return rc;
        rc = entry_of(b->rows[place], rank, e);
    }
    return rc == 1 ? 0 : fc_writer_damaged_batch(r->writer, b->number, err);
}

/* Whether the key is that of an entry whose tag fits: 1 is the answer; 0: look on; 2: there is none. */
static int consider(struct fc_recall *r, struct batch *b, uint32_t rank, const struct fc_flow_key *key,
                    struct fc_prior *prior, struct fc_error *err)
{
    uint64_t *known = &b->known[rank], hash = fc_hash48(key, r->seed) & ~(uint64_t)KNOWN_BITS;
    struct fc_open_entry e;
    struct fc_flow_key other;
    int rc;

    if (*known & EXPIRED || (*known && (*known & ~(uint64_t)KNOWN_BITS) != hash))
        return 0;
    if (*known & GIVEN)
        return 2;
    if ((rc = read_entry(r, b, rank, &e, err)))
        return rc;
    if (fc_open_expired(e.until, r->clock_ns)) {
        *known = EXPIRED;
        return 0;
    }
    if ((rc = fc_writer_open_row(r->writer, &e, &other, &prior->session, err)) <= 0) {
        *known = EXPIRED; /* or it is forgotten */
        return rc;
    }
    *known = (fc_hash48(&other, r->seed) & ~(uint64_t)KNOWN_BITS) | READ;
    if (memcmp(&other, key, sizeof other) != 0)
        return 0;
    for (size_t i = 0; i < r->seen_count; i++)
        if (r->seen[i] == e.id)
            return 0;
    if (fc_vector_reserve(&r->seen, &r->seen_room, r->seen_count + 1, sizeof *r->seen))
        return fc_writer_no_memory(r->writer, err);
    r->seen[r->seen_count++] = e.id;
    if (fc_open_ended(&e))
        return 0;
    *known |= GIVEN;
    prior->id = e.id;
    return 1;
}

int fc_recall_find(void *ctx, const struct fc_flow_key *key, struct fc_prior *prior, struct fc_error *err)
{
    struct fc_recall *r = ctx;
    uint32_t tag = fc_open_tag(key);
    bool locked = false;
    int rc = 0;

    for (size_t k = 0; k < r->count && rc == 0; k++) {
        struct batch *b = &r->batches[k];
        const uint32_t *start = &b->start[tag >> (TAG_BITS - b->bits)];
        for (uint32_t i = start[1]; i-- > start[0] && rc == 0;) {
            if ((b->slots[i] ^ tag << FC_OPEN_BATCH_BITS) >> FC_OPEN_BATCH_BITS)
                continue;
            if (!locked) {
                pthread_mutex_lock(&r->lock);
                locked = true;
                r->seen_count = 0;
            }
            rc = consider(r, b, b->slots[i] & (FC_OPEN_BATCH - 1), key, prior, err);
        }
    }
    if (locked)
        pthread_mutex_unlock(&r->lock);
    return rc == 2 ? 0 : rc;
}
