/* SPDX-License-Identifier: MIT */
#include "capture/source.h"
#include "base/error.h"
#include "capture/remote.h"

#include <stdlib.h>
#include <string.h>

enum {
    BLOCK = FC_STREAM_PIECE,
    BLOCKS = FC_SOURCE_KEEPS / BLOCK,
    /* decoding so far costs no more than entering anew */
    NEAR = 256 << 10,
};

/* Block `number` of the stream (of BLOCK bytes), as far as it was decoded: bytes lo to hi of it. */
struct block {
    uint64_t number;
    size_t lo, hi;
};

struct unpacker {
    struct fc_source base;
    struct fc_stream stream;
    const char *path;
    fc_seek_find *find;
    void *find_ctx;
    uint64_t size;
    int lost; /* where the stream stands is not known: after a failure */
    struct block blocks[BLOCKS];
    uint8_t *data; /* of the blocks */
};

/*
 * The disk or the archive has failed, which tells nothing of the capture: it is no end, and may be tried again. 0: it
 * has not.
 */
static int reading_failed(struct unpacker *u, struct fc_error *err)
{
    struct fc_stream *s = &u->stream;
    int rc = fc_stream_unreadable(s, u->path, err);

    if (!rc)
        return 0;
    s->in_pos = s->in_len = 0;
    s->in_errno = 0;
    s->in_end = false;
    if (s->from.remote)
        rc = fc_remote_why(s->from.remote)->code;
    if (s->from.remote && err)
        *err = *fc_remote_why(s->from.remote);
    return u->lost = rc;
}

/* Decodes the block that the stream stands in, up to its end. */
static int fill(struct unpacker *u, struct fc_error *err)
{
    uint64_t number = u->stream.off / BLOCK;
    size_t at = (size_t)(u->stream.off % BLOCK);
    struct block *b = &u->blocks[number % BLOCKS];
    uint8_t *data = u->data + (number % BLOCKS) * BLOCK;

    if (u->base.stop && __atomic_load_n(u->base.stop, __ATOMIC_RELAXED))
        return fc_error_set(err, FC_E_INTERRUPTED, NULL, FC_NO_OFFSET, "interrupted");
    if (b->number != number || b->hi != at) {
        b->number = number;
        b->lo = b->hi = at;
    }
    int64_t n = fc_stream_read(&u->stream, data + at);
    if (reading_failed(u, err))
        return u->lost;
    if (n < 0) {
        u->lost = (int)n;
        return fc_error_set(err, (int)n, u->path, u->stream.off, "%s", fc_strerror((int)n));
    }
    b->hi += (size_t)n;
    u->base.bytes_decoded += (uint64_t)n;
    if (u->stream.ended) {
        u->size = u->stream.off;
        u->base.why = u->stream.why.code ? &u->stream.why : NULL;
        u->base.broken = u->base.why && !u->stream.cut;
    }
    return 0;
}

/*
 * How much of the file is read from a seek point (or the start) on until `off` comes out is told by the next point: an
 * archive gives it at once.
 */
static void expect(struct unpacker *u, uint64_t off, const struct fc_seek_point *from, const struct fc_seek_point *to)
{
    const uint64_t more = FC_STREAM_PIECE, span = to->off - from->off, stored = to->stored_off - from->stored_off;
    uint64_t want = off - from->off + more;

    if (!u->stream.from.remote || to->off <= from->off || to->stored_off <= from->stored_off)
        return;
    want = want < span ? (uint64_t)((double)stored * (double)want / (double)span) : stored;
    fc_remote_expect(u->stream.from.remote, from->stored_off, from->stored_off + want + FC_STREAM_FETCH);
}

/* Takes the stream to where `off` comes out next, or soon. */
static int aim(struct unpacker *u, uint64_t off, struct fc_error *err)
{
    struct fc_seek_point point = {.off = 0}, next = {.off = 0};
    bool ahead = !u->lost && off >= u->stream.off;
    int found = 0;

    if (ahead && (off - u->stream.off < NEAR || u->stream.ended))
        return 0;
    if (u->find && (found = u->find(u->find_ctx, off, &point, &next, err)) < 0)
        return found;
    if (found && point.off > off)
        return fc_error_set(err, FC_E_DB, u->path, off, "the index gives a seek point behind the byte asked for");
    if (ahead && (!found || point.off <= u->stream.off))
        return 0;
    expect(u, off, &point, &next);
    u->lost = fc_stream_enter(&u->stream, found ? &point : NULL);
    if (reading_failed(u, err))
        return u->lost;
    if (u->lost == FC_E_DAMAGED)
        return fc_error_set(err, FC_E_DB, u->path, off, "the index holds a damaged seek point for byte %llu",
                            (unsigned long long)point.off);
    return u->lost ? fc_error_set(err, u->lost, u->path, off, "%s", fc_strerror(u->lost)) : 0;
}

static int64_t read_stream(struct fc_source *source, void *buf, size_t n, uint64_t off, struct fc_error *err)
{
    struct unpacker *u = (struct unpacker *)source;
    size_t done = 0;
    int rc;

    while (done < n && off + done < u->size) {
        uint64_t number = (off + done) / BLOCK;
        size_t at = (size_t)((off + done) % BLOCK);
        const struct block *b = &u->blocks[number % BLOCKS];
        if (b->number == number && b->lo <= at && at < b->hi) {
            size_t have = b->hi - at < n - done ? b->hi - at : n - done;
            memcpy((uint8_t *)buf + done, u->data + (number % BLOCKS) * BLOCK + at, have);
            done += have;
            continue;
        }
        if ((rc = aim(u, off + done, err)))
            return rc;
        if ((rc = fill(u, err)))
            return rc;
    }
    source->bytes_read = u->stream.bytes_read;
    return (int64_t)done;
}

static uint64_t stream_size(struct fc_source *source)
{
    return ((struct unpacker *)source)->size;
}

static void close_unpacker(struct fc_source *source)
{
    struct unpacker *u = (struct unpacker *)source;

    fc_stream_fini(&u->stream);
    free(u->data);
    free(u);
}

int fc_source_open(struct fc_bytes from, const char *path, uint64_t size, enum fc_compression compression,
                   struct fc_source **out)
{
    struct unpacker *u = calloc(1, sizeof *u);
    int rc = FC_E_NOMEM;

    if (!u)
        return rc;
    u->base = (struct fc_source){.read = read_stream, .size = stream_size, .close = close_unpacker};
    u->path = path;
    u->size = FC_SIZE_UNKNOWN;
    u->data = malloc(FC_SOURCE_KEEPS);
    if (!u->data || (rc = fc_stream_init(&u->stream, compression, from, size, NULL))) {
        free(u->data);
        free(u);
        return rc;
    }
    *out = &u->base;
    return 0;
}

void fc_source_set_points(struct fc_source *source, fc_seek_find *find, void *ctx)
{
    struct unpacker *u = (struct unpacker *)source;

    u->find = find;
    u->find_ctx = ctx;
}
