/* SPDX-License-Identifier: MIT */
/* What all formats share: input, the end, seek points. */
#include "capture/stream.h"
#include "base/bytes.h"
#include "base/error.h"
#include "capture/codec.h"
#include "capture/remote.h"

#include <errno.h>
#include <lz4.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

static const struct fc_codec *const codecs[] = {
    [FC_COMPRESSION_GZIP] = &fc_codec_gzip,
    [FC_COMPRESSION_ZSTD] = &fc_codec_zstd,
    [FC_COMPRESSION_LZ4] = &fc_codec_lz4,
    [FC_COMPRESSION_XZ] = &fc_codec_xz,
};

/* pread() that goes on after signals and short reads; -1 with errno when nothing could be read. */
static ssize_t read_at(struct fc_bytes from, uint8_t *buf, size_t n, uint64_t off)
{
    size_t done = 0;

    if (from.remote) {
        int64_t got = fc_remote_read(from.remote, buf, n, off, NULL);
        errno = EIO;
        return got < 0 ? -1 : (ssize_t)got;
    }
    while (done < n) {
        ssize_t r = pread(from.fd, buf + done, n - done, (off_t)(off + done));
        if (r < 0 && errno == EINTR)
            continue;
        if (r < 0)
            return done ? (ssize_t)done : -1;
        if (r == 0)
            break;
        done += (size_t)r;
    }
    return (ssize_t)done;
}

int fc_stream_detect(struct fc_bytes from)
{
    uint64_t off = 0;
    uint8_t h[8];

    /* zstd and lz4 share the magic numbers of skippable frames, which may come first (pzstd) */
    for (int i = 0; i < 64; i++) {
        ssize_t n = read_at(from, h, sizeof h, off);
        if (n < 0)
            return FC_E_IO;
        if (n >= 3 && off == 0 && memcmp(h, "\x1f\x8b\x08", 3) == 0)
            return FC_COMPRESSION_GZIP;
        if (n >= 6 && off == 0 &&
            memcmp(h,
                   "\xfd"
                   "7zXZ\0",
                   6) == 0)
            return FC_COMPRESSION_XZ;
        if (n >= 4 && fc_load32(h, false) == 0xfd2fb528)
            return FC_COMPRESSION_ZSTD;
        if (n >= 4 && fc_load32(h, false) == 0x184d2204)
            return FC_COMPRESSION_LZ4;
        if (n < 8 || (fc_load32(h, false) & ~15u) != 0x184d2a50)
            break;
        off += 8 + (uint64_t)fc_load32(h + 4, false);
    }
    return FC_COMPRESSION_NONE;
}

int fc_stream_init(struct fc_stream *s, enum fc_compression compression, struct fc_bytes from, uint64_t size,
                   const struct fc_stream_watch *watch)
{
    memset(s, 0, sizeof *s);
    s->codec = codecs[compression];
    s->from = from;
    s->in_size = size;
    s->watch = watch;
    s->in_room = FC_STREAM_INPUT;
    s->in = malloc(s->in_room);
    s->state = calloc(1, s->codec->state_size);
    int rc = s->in && s->state ? s->codec->init(s) : FC_E_NOMEM;
    if (rc == 0)
        rc = fc_stream_enter(s, NULL);
    if (rc)
        fc_stream_fini(s);
    return rc;
}

void fc_stream_fini(struct fc_stream *s)
{
    if (s->state)
        s->codec->fini(s);
    free(s->state);
    free(s->in);
    memset(s, 0, sizeof *s);
}

int fc_stream_enter(struct fc_stream *s, const struct fc_seek_point *point)
{
    s->off = s->point_off = point ? point->off : 0;
    s->ended = s->cut = false;
    s->why.code = FC_OK;
    fc_stream_seek(s, point ? point->stored_off : 0);
    return s->codec->enter(s, point);
}

int64_t fc_stream_read(struct fc_stream *s, void *buf)
{
    size_t n = FC_STREAM_PIECE - (size_t)(s->off % FC_STREAM_PIECE), done = 0;
    uint8_t *out = buf;

    while (done < n && !s->ended) {
        int64_t got = s->codec->read(s, out + done, n - done);
        if (s->in_errno) { /* which says nothing of the stream: it does not end here */
            s->ended = false;
            return FC_E_IO;
        }
        if (got < 0)
            return got;
        done += (size_t)got;
        s->off += (uint64_t)got;
    }
    return (int64_t)done;
}

int fc_stream_unreadable(const struct fc_stream *s, const char *path, struct fc_error *err)
{
    return s->in_errno ? fc_error_set(err, FC_E_IO, path, s->in_off + s->in_len, "cannot read: %s",
                                      strerrordesc_np(s->in_errno))
                       : 0;
}

int fc_stream_reserve(struct fc_stream *s, size_t want)
{
    if (want <= s->in_room)
        return 0;
    uint8_t *bigger = realloc(s->in, want);
    if (!bigger)
        return FC_E_NOMEM;
    s->in = bigger;
    s->in_room = want;
    return 0;
}

size_t fc_stream_input(struct fc_stream *s, size_t want)
{
    size_t have = s->in_len - s->in_pos;

    if (have >= want || s->in_end)
        return have;
    memmove(s->in, s->in + s->in_pos, have);
    s->in_off += s->in_pos;
    s->in_pos = 0;
    uint64_t at = s->in_off + have, left = at < s->in_size ? s->in_size - at : 0;
    size_t room = s->in_room - have;
    if (s->from.remote && room > FC_STREAM_FETCH) /* which reads ahead where that is of use */
        room = want - have > FC_STREAM_FETCH ? want - have : FC_STREAM_FETCH;
    size_t take = left < room ? (size_t)left : room;
    ssize_t n = read_at(s->from, s->in + have, take, at);
    if (n < 0)
        s->in_errno = errno;
    s->in_end = n < (ssize_t)room;
    s->bytes_read += n > 0 ? (uint64_t)n : 0;
    s->in_len = have + (n > 0 ? (size_t)n : 0);
    return s->in_len;
}

void fc_stream_seek(struct fc_stream *s, uint64_t stored_off)
{
    if (stored_off >= s->in_off && stored_off - s->in_off <= s->in_len) {
        s->in_pos = (size_t)(stored_off - s->in_off);
        return;
    }
    s->in_off = stored_off;
    s->in_pos = s->in_len = 0;
    /* off_t is signed: nothing lies there */
    s->in_end = stored_off > INT64_MAX - FC_STREAM_INPUT;
    s->in_errno = 0;
}

bool fc_stream_due(const struct fc_stream *s, uint64_t off)
{
    return s->watch && s->watch->point && off - s->point_off >= s->codec->spacing;
}

int fc_stream_point(struct fc_stream *s, uint64_t off, uint64_t stored_off, const uint8_t *state, size_t len)
{
    struct fc_seek_point point = {off, stored_off, state, len};

    s->point_off = off;
    return s->watch->point(s->watch->ctx, &point);
}

int fc_stream_note(struct fc_stream *s, uint64_t off, const char *cause)
{
    return s->watch && s->watch->damage ? s->watch->damage(s->watch->ctx, off, cause) : 0;
}

static void end(struct fc_stream *s, uint64_t off, const char *cause)
{
    s->ended = true;
    fc_error_set(&s->why, FC_E_DAMAGED, NULL, off, "%s: %s, at byte %llu of the file", s->codec->name, cause,
                 (unsigned long long)fc_stream_stored(s));
}

int fc_stream_damage(struct fc_stream *s, uint64_t off, const char *cause)
{
    end(s, off, cause);
    return fc_stream_note(s, off, s->why.cause);
}

int fc_stream_cut(struct fc_stream *s, uint64_t off, const char *what)
{
    char text[160];

    if (s->in_errno)
        return FC_E_IO;
    snprintf(text, sizeof text, "the file ends inside %s", what);
    end(s, off, text);
    s->cut = true;
    return 0;
}

static int skip_frame(struct fc_stream *s)
{
    if (fc_stream_input(s, 8) < 8)
        return fc_stream_cut(s, s->off, "a skippable frame");
    uint64_t behind = fc_stream_stored(s) + 8 + (uint64_t)fc_load32(fc_stream_in(s) + 4, false);
    fc_stream_seek(s, behind - 1);
    if (fc_stream_input(s, 1) < 1)
        return fc_stream_cut(s, s->off, "a skippable frame");
    s->in_pos++;
    return 0;
}

int fc_stream_frame(struct fc_stream *s, uint32_t wanted, const uint8_t *state, size_t len)
{
    enum { SKIPPABLE = 0x184d2a50 }; /* up to ...5f */
    size_t n = fc_stream_input(s, 4);
    uint32_t magic = n >= 4 ? fc_load32(fc_stream_in(s), false) : 0;
    int rc;

    if (n == 0 && !s->in_errno) {
        s->ended = true;
        return 0;
    }
    if (n == 0)
        return fc_stream_cut(s, s->off, "");
    if (n < 4)
        return fc_stream_cut(s, s->off, "a frame's header");
    if ((magic & ~15u) == SKIPPABLE)
        return skip_frame(s);
    if (magic != wanted)
        return fc_stream_damage(s, s->off, "something else follows the compressed data");
    if (fc_stream_due(s, s->off) && (rc = fc_stream_point(s, s->off, fc_stream_stored(s), state, len)))
        return rc;
    return 1;
}

static void put32(uint8_t *p, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        p[i] = (uint8_t)(v >> 8 * i);
}

size_t fc_window_pack(const uint8_t *window, size_t len, uint8_t *out)
{
    put32(out, (uint32_t)crc32(0, window, (uInt)len));
    put32(out + 4, (uint32_t)len);
    if (!len)
        return FC_WINDOW_HEAD;
    return FC_WINDOW_HEAD + (size_t)LZ4_compress_default((const char *)window, (char *)out + FC_WINDOW_HEAD, (int)len,
                                                         FC_WINDOW_ROOM - FC_WINDOW_HEAD);
}

int fc_window_unpack(const uint8_t *p, size_t packed_len, uint8_t *out, size_t room, size_t *len)
{
    if (packed_len < FC_WINDOW_HEAD || packed_len > FC_WINDOW_ROOM)
        return FC_E_DAMAGED;
    *len = fc_load32(p + 4, false);
    if (*len > room)
        return FC_E_DAMAGED;
    if (*len && LZ4_decompress_safe((const char *)p + FC_WINDOW_HEAD, (char *)out, (int)(packed_len - FC_WINDOW_HEAD),
                                    (int)*len) != (int)*len)
        return FC_E_DAMAGED;
    return crc32(0, out, (uInt)*len) == fc_load32(p, false) ? 0 : FC_E_DAMAGED;
}
