/* SPDX-License-Identifier: MIT */
#include "store/spool.h"
#include "base/error.h"
#include "store/io.h"

#include <stdlib.h>
#include <unistd.h>

enum { WINDOW = 256 << 10 };

/*
 * A record in memory or in a segment: struct header, then the extra fields when it has them, then the blob, padded
 * to 8. Native layout: a spool does not outlive its process.
 */
struct header {
    uint32_t size; /* of all, padded */
    uint32_t taken;
    struct fc_flow_key key;
    uint64_t hash;
    struct fc_run run;
    int64_t db_id;
    uint64_t prior_packets;
    uint64_t first_off;
    uint32_t first_file;
    uint32_t blob_len;
    uint8_t has_extra, open, unchanged, pad[5];
};

struct segment {
    uint64_t off, len;
};

/* Where a record is in memory. Its time is kept beside, so that sorting seldom looks at the record itself. */
struct ref {
    int64_t min_ns;
    size_t off;
};

struct fc_spool {
    const char *folder;
    size_t budget;
    struct fc_buffer mem;
    struct ref *refs; /* of the records in mem */
    size_t ref_count, ref_room;
    bool sorted;
    int fd;
    uint64_t file_len;
    struct segment *segments;
    size_t segment_count, segment_room;
    uint64_t count, bytes;
};

struct fc_spool *fc_spool_new(const char *folder, size_t budget)
{
    struct fc_spool *s = calloc(1, sizeof *s);

    if (!s)
        return NULL;
    s->folder = folder;
    s->budget = budget;
    s->fd = -1;
    return s;
}

void fc_spool_free(struct fc_spool *s)
{
    if (!s)
        return;
    if (s->fd >= 0)
        close(s->fd);
    fc_buffer_fini(&s->mem);
    free(s->refs);
    free(s->segments);
    free(s);
}

uint64_t fc_spool_count(const struct fc_spool *s)
{
    return s->count;
}

uint64_t fc_spool_spilled(const struct fc_spool *s)
{
    return s->file_len;
}

uint64_t fc_spool_bytes(const struct fc_spool *s)
{
    return s->bytes;
}

static size_t record_size(const struct fc_session_record *r)
{
    size_t n = sizeof(struct header) + (r->has_extra ? sizeof r->extra : 0) + r->blob_len;
    return (n + 7) & ~(size_t)7;
}

static void write_record(uint8_t *p, const struct fc_session_record *r, size_t size)
{
    struct header h = {
        .size = (uint32_t)size,
        .key = r->key,
        .hash = r->hash,
        .run = r->run,
        .db_id = r->db_id,
        .prior_packets = r->prior_packets,
        .first_off = r->first_off,
        .first_file = r->first_file,
        .blob_len = r->blob_len,
        .has_extra = r->has_extra,
        .open = r->open,
        .unchanged = r->unchanged,
    };

    memcpy(p, &h, sizeof h);
    p += sizeof h;
    if (r->has_extra) {
        memcpy(p, &r->extra, sizeof r->extra);
        p += sizeof r->extra;
    }
    if (r->blob_len)
        memcpy(p, r->blob, r->blob_len);
}

/* The record at p, whose blob stays there. */
static void read_record(const uint8_t *p, struct fc_session_record *r)
{
    struct header h;

    memcpy(&h, p, sizeof h);
    p += sizeof h;
    r->key = h.key;
    r->hash = h.hash;
    r->run = h.run;
    r->db_id = h.db_id;
    r->prior_packets = h.prior_packets;
    r->first_off = h.first_off;
    r->first_file = h.first_file;
    r->blob_len = h.blob_len;
    r->has_extra = h.has_extra;
    r->open = h.open;
    r->unchanged = h.unchanged;
    if (h.has_extra) {
        memcpy(&r->extra, p, sizeof r->extra);
        p += sizeof r->extra;
    }
    r->blob = p;
}

static int compare_headers(const struct header *a, const struct header *b)
{
    if (a->run.min_ns != b->run.min_ns)
        return a->run.min_ns < b->run.min_ns ? -1 : 1;
    if (a->first_file != b->first_file)
        return a->first_file < b->first_file ? -1 : 1;
    if (a->first_off != b->first_off)
        return a->first_off < b->first_off ? -1 : 1;
    return a->db_id < b->db_id ? -1 : a->db_id > b->db_id;
}

static int compare_refs(const void *a, const void *b, void *mem)
{
    const struct ref *x = a, *y = b;

    if (x->min_ns != y->min_ns)
        return x->min_ns < y->min_ns ? -1 : 1;
    return compare_headers((const struct header *)((uint8_t *)mem + x->off),
                           (const struct header *)((uint8_t *)mem + y->off));
}

static void sort(struct fc_spool *s)
{
    if (!s->sorted && s->ref_count)
        qsort_r(s->refs, s->ref_count, sizeof *s->refs, compare_refs, s->mem.data);
    s->sorted = true;
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
    if (s->segment_count == s->segment_room) {
        size_t room = s->segment_room ? s->segment_room * 2 : 16;
        struct segment *bigger = realloc(s->segments, room * sizeof *bigger);
        if (!bigger)
            return fc_error_set(err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");
        s->segments = bigger;
        s->segment_room = room;
    }
    start = s->file_len;
    sort(s);
    if (fc_buffer_reserve(&out, 4 * WINDOW))
        return fc_error_set(err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");
    for (size_t i = 0; i < s->ref_count && rc == 0; i++) {
        const uint8_t *p = s->mem.data + s->refs[i].off;
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
    s->ref_count = 0;
    return 0;
}

int fc_spool_add(struct fc_spool *s, const struct fc_session_record *r, struct fc_error *err)
{
    size_t size = record_size(r);
    int rc;

    if (s->ref_count && s->mem.len + size + (s->ref_count + 1) * sizeof *s->refs > s->budget && (rc = spill(s, err)))
        return rc;
    if (s->ref_count == s->ref_room) {
        size_t room = s->ref_room ? s->ref_room * 2 : 1024;
        struct ref *bigger = realloc(s->refs, room * sizeof *bigger);
        if (!bigger)
            return fc_error_set(err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");
        s->refs = bigger;
        s->ref_room = room;
    }
    if (size > UINT32_MAX || fc_buffer_reserve(&s->mem, s->mem.len + size))
        return fc_error_set(err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");
    memset(s->mem.data + s->mem.len + size - 8, 0, 8);
    write_record(s->mem.data + s->mem.len, r, size);
    s->refs[s->ref_count++] = (struct ref){r->run.min_ns, s->mem.len};
    s->mem.len += size;
    s->sorted = false;
    s->count++;
    s->bytes += size;
    return 0;
}

/* A walk over one sorted stretch: a segment through a window, or the records in memory. */
struct source {
    struct fc_spool *spool;
    bool in_memory;
    size_t ref;           /* next, in memory */
    uint64_t off, end;    /* next record, in the file */
    struct fc_buffer buf; /* holds [buf_off, buf_off + buf.len) */
    uint64_t buf_off;
    const uint8_t *record; /* the current one */
};

static int source_window(struct source *s, size_t need, struct fc_error *err)
{
    size_t want = need > WINDOW ? need : WINDOW;

    if (s->off >= s->buf_off && s->off + need <= s->buf_off + s->buf.len)
        return 0;
    if (want > s->end - s->off)
        want = (size_t)(s->end - s->off);
    if (fc_buffer_reserve(&s->buf, want))
        return fc_error_set(err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");
    s->buf_off = s->off;
    s->buf.len = want;
    return fc_io_read(s->spool->fd, s->buf.data, want, s->off, s->spool->folder, err);
}

/* 1: s->record is the next record; 0: end. Taken ones are passed over. */
static int source_next(struct source *s, struct fc_error *err)
{
    for (;;) {
        const struct header *h;
        int rc;

        if (s->in_memory) {
            if (s->ref == s->spool->ref_count)
                return 0;
            s->record = s->spool->mem.data + s->spool->refs[s->ref++].off;
        } else {
            if (s->off == s->end)
                return 0;
            if ((rc = source_window(s, sizeof *h, err)))
                return rc;
            h = (const struct header *)(s->buf.data + (s->off - s->buf_off));
            if ((rc = source_window(s, h->size, err)))
                return rc;
            s->record = s->buf.data + (s->off - s->buf_off);
            s->off += ((const struct header *)s->record)->size;
        }
        h = (const struct header *)s->record;
        if (!h->taken)
            return 1;
    }
}

static int mark_taken(struct source *s, struct fc_error *err)
{
    static const uint32_t one = 1;
    struct fc_spool *spool = s->spool;
    struct header *h = (struct header *)(uintptr_t)s->record;

    h->taken = 1;
    spool->count--;
    if (s->in_memory)
        return 0;
    uint64_t off = s->off - h->size + offsetof(struct header, taken);
    if (pwrite(spool->fd, &one, sizeof one, (off_t)off) != (ssize_t)sizeof one)
        return fc_error_errno(err, FC_E_IO, spool->folder, FC_NO_OFFSET, "cannot write a temporary file");
    return 0;
}

int fc_spool_extract(struct fc_spool *s, int (*take)(void *, const struct fc_session_record *), void *ctx,
                     struct fc_error *err)
{
    struct fc_session_record record;
    int rc = 0;

    for (size_t i = 0; i <= s->segment_count && rc == 0; i++) {
        bool mem = i == s->segment_count;
        struct source src = {.spool = s, .in_memory = mem};
        if (!mem) {
            src.off = s->segments[i].off;
            src.end = src.off + s->segments[i].len;
        }
        while ((rc = source_next(&src, err)) == 1) {
            read_record(src.record, &record);
            rc = take(ctx, &record);
            if (rc < 0 || (rc == 1 && (rc = mark_taken(&src, err)) < 0))
                break;
        }
        fc_buffer_fini(&src.buf);
    }
    return rc < 0 ? rc : 0;
}

struct fc_merge {
    struct source *sources;
    size_t count;       /* all */
    size_t *heap, live; /* indexes of sources with a record, smallest on top */
    bool started;
};

static bool before(const struct fc_merge *m, size_t a, size_t b)
{
    return compare_headers((const struct header *)m->sources[m->heap[a]].record,
                           (const struct header *)m->sources[m->heap[b]].record) < 0;
}

static void sift(struct fc_merge *m, size_t i)
{
    for (;;) {
        size_t least = i, l = 2 * i + 1, r = l + 1;
        if (l < m->live && before(m, l, least))
            least = l;
        if (r < m->live && before(m, r, least))
            least = r;
        if (least == i)
            return;
        size_t t = m->heap[i];
        m->heap[i] = m->heap[least];
        m->heap[least] = t;
        i = least;
    }
}

int fc_merge_open(struct fc_spool *const *spools, size_t count, struct fc_merge **out, struct fc_error *err)
{
    struct fc_merge *m = calloc(1, sizeof *m);
    size_t n = 0;

    *out = NULL;
    for (size_t i = 0; i < count; i++)
        n += spools[i]->segment_count + 1;
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
        sort(s);
        for (size_t k = 0; k < s->segment_count; k++)
            m->sources[m->count++] =
                (struct source){.spool = s, .off = s->segments[k].off, .end = s->segments[k].off + s->segments[k].len};
        m->sources[m->count++] = (struct source){.spool = s, .in_memory = true};
    }
    for (size_t i = 0; i < m->count; i++) {
        int rc = source_next(&m->sources[i], err);
        if (rc < 0) {
            fc_merge_close(m);
            return rc;
        }
        if (rc == 1)
            m->heap[m->live++] = i;
    }
    for (size_t i = m->live; i-- > 0;)
        sift(m, i);
    *out = m;
    return 0;
}

int fc_merge_next(struct fc_merge *m, struct fc_session_record *record, struct fc_error *err)
{
    if (m->started && m->live) {
        int rc = source_next(&m->sources[m->heap[0]], err);
        if (rc < 0)
            return rc;
        if (rc == 0)
            m->heap[0] = m->heap[--m->live];
        sift(m, 0);
    }
    m->started = true;
    if (!m->live)
        return 0;
    read_record(m->sources[m->heap[0]].record, record);
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
