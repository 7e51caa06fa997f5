/* SPDX-License-Identifier: MIT */
#include "store/spool.h"
#include "base/error.h"
#include "base/heap.h"
#include "base/io.h"
#include "base/vector.h"
#include "flow/key.h"
#include "store/sorter.h"

#include <stdlib.h>
#include <unistd.h>

enum { WINDOW_MIN = 16 << 10, WINDOW = 256 << 10, AHEAD = 8 };

/*
 * A record in memory or in a segment: this, the key, the session, what an earlier run has left (db_id records only),
 * the extra fields, the blob; padded to 8. Native layout: a spool does not outlive its process.
 */
struct header {
    uint32_t size; /* of all, padded */
    uint32_t first_file;
    uint64_t first_off;
    uint32_t blob_len;
    uint8_t taken; /* 1 once it was extracted */
    uint8_t bits;
    uint8_t pad[2];
};
enum { OPEN = 1, UNCHANGED = 2, WITH_EXTRA = 4, NARROW = 8, PRIOR = 16, LATE = 32 };

/* All of a record but extra fields and blob, at the most. */
enum { HEAD_MAX = sizeof(struct header) + sizeof(struct fc_flow_key) + sizeof(struct fc_session_sum) + 16 };

struct segment {
    uint64_t off, len;
};

struct fc_spool {
    const char *folder;
    size_t budget;
    struct fc_buffer mem;
    struct fc_sorter refs; /* of the records in mem: rank_of(); offset in mem */
    uint64_t (*rank)(const void *ctx, const struct fc_flow_key *key); /* NULL: in the order of IDs */
    const void *rank_ctx;
    bool sorted;
    int fd;
    uint64_t file_len;
    struct segment *segments;
    size_t segment_count, segment_room;
    uint64_t count;
};

struct fc_spool *fc_spool_new(const char *folder, size_t budget)
{
    struct fc_spool *s = calloc(1, sizeof *s);

    if (!s)
        return NULL;
    s->folder = folder;
    s->budget = budget;
    s->fd = -1;
    fc_sorter_init(&s->refs, 2, 63); /* offsets ascend */
    return s;
}

struct fc_spool *fc_spool_new_ranked(const char *folder, size_t budget,
                                     uint64_t (*rank)(const void *, const struct fc_flow_key *), const void *ctx)
{
    struct fc_spool *s = fc_spool_new(folder, budget);

    if (!s)
        return NULL;
    s->rank = rank;
    s->rank_ctx = ctx;
    return s;
}

void fc_spool_free(struct fc_spool *s)
{
    if (!s)
        return;
    if (s->fd >= 0)
        close(s->fd);
    fc_buffer_fini(&s->mem);
    fc_sorter_fini(&s->refs);
    free(s->segments);
    free(s);
}

uint64_t fc_spool_count(const struct fc_spool *s)
{
    return s->count;
}

/* Writes all of a record but extra fields and blob to p; returns its length. The header's size is left. */
static size_t write_head(uint8_t *p, const struct fc_session_record *r)
{
    struct header h = {
        .first_file = r->first_file,
        .first_off = r->first_off,
        .blob_len = r->blob_len,
        .bits = (uint8_t)((r->db_id || r->prior_packets ? PRIOR : 0) | (r->late ? LATE : 0) | (r->open ? OPEN : 0) |
                          (r->unchanged ? UNCHANGED : 0) | (r->has_extra ? WITH_EXTRA : 0)),
    };
    struct fc_short_key narrow;
    uint8_t *start = p;
    uint64_t hash;

    p += sizeof h;
    if (fc_key_shorten(&r->key, 0, &narrow, &hash)) {
        h.bits |= NARROW;
        memcpy(p, &narrow, sizeof narrow);
        p += sizeof narrow;
    } else {
        memcpy(p, &r->key, sizeof r->key);
        p += sizeof r->key;
    }
    memcpy(start, &h, sizeof h);
    memcpy(p, &r->session, sizeof r->session);
    p += sizeof r->session;
    if (h.bits & PRIOR) {
        memcpy(p, &r->db_id, 8);
        memcpy(p + 8, &r->prior_packets, 8);
        p += 16;
    }
    return (size_t)(p - start);
}

/* The key of the record at p; returns the byte behind it. */
static const uint8_t *read_key(const uint8_t *p, struct fc_flow_key *key)
{
    bool is_narrow = ((const struct header *)p)->bits & NARROW;
    struct fc_short_key narrow;

    p += sizeof(struct header);
    if (!is_narrow) {
        memcpy(key, p, sizeof *key);
        return p + sizeof *key;
    }
    memcpy(&narrow, p, sizeof narrow);
    fc_key_lengthen(&narrow, key);
    return p + sizeof narrow;
}

/* The record at p, whose blob stays there. */
static void read_record(const uint8_t *p, struct fc_session_record *r)
{
    struct header h;

    memcpy(&h, p, sizeof h);
    p = read_key(p, &r->key);
    memcpy(&r->session, p, sizeof r->session);
    p += sizeof r->session;
    r->db_id = 0;
    r->prior_packets = 0;
    if (h.bits & PRIOR) {
        memcpy(&r->db_id, p, 8);
        memcpy(&r->prior_packets, p + 8, 8);
        p += 16;
    }
    r->first_off = h.first_off;
    r->first_file = h.first_file;
    r->blob_len = h.blob_len;
    r->late = (h.bits & LATE) != 0;
    r->open = (h.bits & OPEN) != 0;
    r->unchanged = (h.bits & UNCHANGED) != 0;
    r->has_extra = (h.bits & WITH_EXTRA) != 0;
    if (r->has_extra) {
        memcpy(&r->extra, p, sizeof r->extra);
        p += sizeof r->extra;
    }
    r->blob = p;
}

/*
 * What a record is sorted by before all else: in the order of IDs, the ID or, behind all IDs, the time. Those that are
 * alike in it are compared as wholes.
 */
static uint64_t rank_of(const struct fc_spool *s, const struct fc_session_record *r)
{
    const uint64_t ids = (uint64_t)1 << 40;
    uint64_t id = (uint64_t)r->db_id, time = (uint64_t)r->session.first_ns ^ (uint64_t)1 << 63;

    if (s->rank)
        return s->rank(s->rank_ctx, &r->key);
    if (r->db_id)
        return id < ids ? id : ids;
    return time < ids ? ids : time;
}

static int compare_places(const void *a, const void *b, void *mem)
{
    const struct header *x = (const struct header *)((uint8_t *)mem + ((const uint64_t *)a)[1]);
    const struct header *y = (const struct header *)((uint8_t *)mem + ((const uint64_t *)b)[1]);
    struct fc_session_record r, q;

    read_record((const uint8_t *)x, &r);
    read_record((const uint8_t *)y, &q);
    return fc_session_record_compare(&r, &q);
}

int fc_spool_sort(struct fc_spool *s, struct fc_error *err)
{
    uint64_t *e;
    int rc;

    if (s->sorted || !s->refs.count)
        return 0;
    if ((rc = fc_sorter_sort(&s->refs, err)))
        return rc;
    e = s->refs.entry;
    for (size_t i = 0, end; i < s->refs.count; i = end) {
        for (end = i + 1; end < s->refs.count && e[2 * end] == e[2 * i];)
            end++;
        if (end > i + 1)
            qsort_r(e + 2 * i, end - i, 2 * sizeof *e, compare_places, s->mem.data);
    }
    s->sorted = true;
    return 0;
}

static int write_all(struct fc_spool *s, const uint8_t *p, size_t n, struct fc_error *err)
{
    int rc = fc_io_write(s->fd, p, n, s->file_len, s->folder, err);

    s->file_len += rc ? 0 : n;
    return rc;
}

/* Writes the records in memory as a sorted segment. */
static int spill(struct fc_spool *s, struct fc_error *err)
{
    struct fc_buffer out = {0};
    uint64_t start;
    int rc = 0;

    if (s->fd < 0) {
        int fd = fc_io_temporary(s->folder, err);
        if (fd < 0)
            return fd;
        s->fd = fd;
    }
    if (fc_vector_reserve(&s->segments, &s->segment_room, s->segment_count + 1, sizeof *s->segments))
        return fc_error_set(err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");
    start = s->file_len;
    if ((rc = fc_spool_sort(s, err)))
        return rc;
    if (fc_buffer_reserve(&out, 4 * WINDOW))
        return fc_error_set(err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");
    for (size_t i = 0; i < s->refs.count && rc == 0; i++) {
        const uint8_t *p = s->mem.data + s->refs.entry[2 * i + 1];
        size_t size = ((const struct header *)p)->size;
        if (out.len + size > out.room) {
            rc = write_all(s, out.data, out.len, err);
            out.len = 0;
        }
        if (rc == 0 && size > out.room) {
            rc = write_all(s, p, size, err);
        } else if (rc == 0) {
            memcpy(out.data + out.len, p, size);
            out.len += size;
        }
    }
    if (rc == 0)
        rc = write_all(s, out.data, out.len, err);
    fc_buffer_fini(&out);
    if (rc)
        return rc;
    s->segments[s->segment_count++] = (struct segment){start, s->file_len - start};
    s->mem.len = 0;
    s->refs.count = 0;
    s->sorted = false;
    return 0;
}

int fc_spool_add(struct fc_spool *s, const struct fc_session_record *r, struct fc_error *err)
{
    uint8_t head[HEAD_MAX], *p;
    size_t head_len = write_head(head, r), extra = r->has_extra ? sizeof r->extra : 0;
    size_t size = (head_len + extra + r->blob_len + 7) & ~(size_t)7;
    int rc;

    if (s->refs.count && s->mem.len + size + (s->refs.count + 1) * 16 > s->budget && (rc = spill(s, err)))
        return rc;
    uint64_t ref[2] = {rank_of(s, r), s->mem.len};
    if (size > UINT32_MAX || fc_buffer_reserve(&s->mem, s->mem.len + size))
        return fc_error_set(err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");
    if ((rc = fc_sorter_add(&s->refs, ref, err)))
        return rc;
    p = s->mem.data + s->mem.len;
    memset(p + size - 8, 0, 8);
    memcpy(p, head, head_len);
    memcpy(p, &(uint32_t){(uint32_t)size}, 4);
    if (extra)
        memcpy(p + head_len, &r->extra, extra);
    if (r->blob_len)
        memcpy(p + head_len + extra, r->blob, r->blob_len);
    s->mem.len += size;
    s->sorted = false;
    s->count++;
    return 0;
}

/* A walk over one sorted stretch: a segment through a window, or the records in memory. */
struct source {
    struct fc_spool *spool;
    bool in_memory;
    size_t window;        /* bytes to be read at a time */
    size_t ref;           /* next, in memory */
    uint64_t off, end;    /* next record, in the file */
    struct fc_buffer buf; /* holds [buf_off, buf_off + buf.len) */
    uint64_t buf_off;
    bool changed;                    /* what buf holds: records were taken */
    const uint8_t *at;               /* the current record, */
    struct fc_session_record record; /* and what it says: when merging */
};

/* Writes what was taken back to the file. */
static int source_settle(struct source *s, struct fc_error *err)
{
    int rc = s->changed ? fc_io_write(s->spool->fd, s->buf.data, s->buf.len, s->buf_off, s->spool->folder, err) : 0;

    s->changed = false;
    return rc;
}

static int source_window(struct source *s, size_t need, struct fc_error *err)
{
    size_t want = need > s->window ? need : s->window;
    int rc;

    if (s->off >= s->buf_off && s->off + need <= s->buf_off + s->buf.len)
        return 0;
    if ((rc = source_settle(s, err)))
        return rc;
    if (want > s->end - s->off)
        want = (size_t)(s->end - s->off);
    if (fc_buffer_reserve(&s->buf, want))
        return fc_error_set(err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");
    s->buf_off = s->off;
    s->buf.len = want;
    return fc_io_read(s->spool->fd, s->buf.data, want, s->off, s->spool->folder, err);
}

/* Records in memory are met in the order of time, so here and there. */
static void fetch(const uint8_t *record)
{
    __builtin_prefetch(record);
    __builtin_prefetch(record + 64);
}

/* 1: s->at is the next record; 0: end. Taken ones are passed over. */
static int source_step(struct source *s, struct fc_error *err)
{
    for (;;) {
        const struct header *h;
        int rc;

        if (s->in_memory) {
            const struct fc_sorter *refs = &s->spool->refs;
            if (s->ref == refs->count)
                return 0;
            if (s->ref + AHEAD < refs->count)
                fetch(s->spool->mem.data + refs->entry[2 * (s->ref + AHEAD) + 1]);
            s->at = s->spool->mem.data + refs->entry[2 * s->ref++ + 1];
        } else {
            if (s->off == s->end)
                return 0;
            if ((rc = source_window(s, sizeof *h, err)))
                return rc;
            h = (const struct header *)(s->buf.data + (s->off - s->buf_off));
            if ((rc = source_window(s, h->size, err)))
                return rc;
            s->at = s->buf.data + (s->off - s->buf_off);
            s->off += ((const struct header *)s->at)->size;
        }
        if (!((const struct header *)s->at)->taken)
            return 1;
    }
}

/* The same, and s->record is what it says. */
static int source_next(struct source *s, struct fc_error *err)
{
    int rc = source_step(s, err);

    if (rc == 1)
        read_record(s->at, &s->record);
    return rc;
}

static void mark_taken(struct source *s)
{
    struct header *h = (struct header *)(uintptr_t)s->at;

    h->taken = 1;
    s->spool->count--;
    s->changed = !s->in_memory;
}

int fc_spool_extract(struct fc_spool *s, bool (*want)(void *, const struct fc_flow_key *),
                     int (*take)(void *, const struct fc_session_record *), void *ctx, struct fc_error *err)
{
    struct fc_flow_key key;
    int rc = 0;

    for (size_t i = 0; i <= s->segment_count && rc == 0; i++) {
        bool mem = i == s->segment_count;
        struct source src = {.spool = s, .in_memory = mem, .window = WINDOW};
        if (!mem) {
            src.off = s->segments[i].off;
            src.end = src.off + s->segments[i].len;
        }
        while ((rc = source_step(&src, err)) == 1) {
            read_key(src.at, &key);
            if (want && !want(ctx, &key))
                continue;
            read_record(src.at, &src.record);
            rc = take(ctx, &src.record);
            if (rc < 0)
                break;
            if (rc == 1)
                mark_taken(&src);
        }
        if (rc >= 0)
            rc = source_settle(&src, err);
        fc_buffer_fini(&src.buf);
    }
    return rc < 0 ? rc : 0;
}

struct fc_merge {
    struct source *sources;
    size_t count; /* all */
    /* sources with a record, smallest on top; with its rank, which tells most of them apart */
    struct place {
        uint64_t rank;
        struct source *source;
    } * heap;
    size_t live;
    bool started;
};

static struct place place_of(struct source *s)
{
    return (struct place){rank_of(s->spool, &s->record), s};
}

static inline bool is_before(const struct place *a, const struct place *b, const struct fc_merge *m)
{
    (void)m;
    return a->rank != b->rank ? a->rank < b->rank
                              : fc_session_record_compare(&a->source->record, &b->source->record) < 0;
}

FC_HEAP(places, struct place, const struct fc_merge *, is_before)

int fc_merge_open(struct fc_spool *const *spools, size_t count, struct fc_merge **out, struct fc_error *err)
{
    struct fc_merge *m = calloc(1, sizeof *m);
    size_t n = 0, window = 0;

    *out = NULL;
    for (size_t i = 0; i < count; i++) {
        n += spools[i]->segment_count + 1;
        window += spools[i]->budget;
    }
    /* all together what the spools may take, as far as that is worth a read */
    window /= n;
    window = window < WINDOW_MIN ? WINDOW_MIN : window > WINDOW ? WINDOW : window;
    if (m) {
        m->sources = calloc(n, sizeof *m->sources);
        m->heap = calloc(n, sizeof *m->heap);
    }
    if (!m || !m->sources || !m->heap) {
        fc_merge_close(m);
        return fc_error_set(err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");
    }
    for (size_t i = 0; i < count; i++) {
        struct fc_spool *s = spools[i];
        int rc = fc_spool_sort(s, err);
        if (rc) {
            fc_merge_close(m);
            return rc;
        }
        for (size_t k = 0; k < s->segment_count; k++)
            m->sources[m->count++] = (struct source){.spool = s,
                                                     .window = window,
                                                     .off = s->segments[k].off,
                                                     .end = s->segments[k].off + s->segments[k].len};
        m->sources[m->count++] = (struct source){.spool = s, .in_memory = true};
    }
    for (size_t i = 0; i < m->count; i++) {
        int rc = source_next(&m->sources[i], err);
        if (rc < 0) {
            fc_merge_close(m);
            return rc;
        }
        if (rc == 1)
            m->heap[m->live++] = place_of(&m->sources[i]);
    }
    for (size_t i = m->live; i-- > 0;)
        places_sink(m->heap, m->live, i, m);
    *out = m;
    return 0;
}

int fc_merge_next(struct fc_merge *m, struct fc_session_record **record, struct fc_error *err)
{
    if (m->started && m->live) {
        struct source *top = m->heap[0].source;
        int rc = source_next(top, err);
        if (rc < 0)
            return rc;
        m->heap[0] = rc ? place_of(top) : m->heap[--m->live];
        if (m->live)
            places_sink(m->heap, m->live, 0, m);
    }
    m->started = true;
    if (!m->live)
        return 0;
    *record = &m->heap[0].source->record;
    return 1;
}

void fc_merge_close(struct fc_merge *m)
{
    if (!m)
        return;
    for (size_t i = 0; i < m->count; i++)
        fc_buffer_fini(&m->sources[i].buf);
    free(m->sources);
    free(m->heap);
    free(m);
}
