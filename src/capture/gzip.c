/* SPDX-License-Identifier: MIT */
/* gzip (RFC 1952) around raw deflate (RFC 1951), so that decoding can start between two blocks of a member. */
#include "base/bytes.h"
#include "capture/codec.h"

#include <zlib.h>

enum {
    SPACING = 4 << 20,
    WINDOW = 32 << 10,
    /* the state of a seek point: what follows at stored_off, and for a block unused bits of the byte before */
    AT_MEMBER = 0,
    AT_BLOCK = 1,
    STATE_HEAD = 2,
    FLAG_CRC = 2,
    FLAG_EXTRA = 4,
    FLAG_NAME = 8,
    FLAG_COMMENT = 16,
    FLAGS_RESERVED = 0xe0,
};

struct gzip {
    z_stream z;
    bool inside;  /* a member's deflate data; else a header comes next */
    bool partial; /* entered in the middle: its checksum cannot be told */
    uLong crc;
    uint32_t size; /* of the member so far, modulo 2^32 */
};

static int init(struct fc_stream *s)
{
    struct gzip *g = s->state;

    return inflateInit2(&g->z, -15) == Z_OK ? 0 : FC_E_NOMEM;
}

static void fini(struct fc_stream *s)
{
    inflateEnd(&((struct gzip *)s->state)->z);
}

static int enter(struct fc_stream *s, const struct fc_seek_point *point)
{
    struct gzip *g = s->state;
    uint8_t window[WINDOW];
    size_t len;

    g->inside = false;
    if (!point)
        return 0;
    if (point->state_len == 1 && point->state[0] == AT_MEMBER)
        return 0;
    if (point->state_len < STATE_HEAD || point->state[0] != AT_BLOCK || point->state[1] > 7)
        return FC_E_DAMAGED;
    int bits = point->state[1];
    if (fc_window_unpack(point->state + STATE_HEAD, point->state_len - STATE_HEAD, window, sizeof window, &len))
        return FC_E_DAMAGED;
    inflateReset(&g->z);
    if (bits) {
        if (point->stored_off == 0)
            return FC_E_DAMAGED;
        fc_stream_seek(s, point->stored_off - 1);
        if (fc_stream_input(s, 1) < 1)
            return FC_E_DAMAGED;
        inflatePrime(&g->z, bits, *fc_stream_in(s) >> (8 - bits));
        s->in_pos++;
    }
    if (len && inflateSetDictionary(&g->z, window, (uInt)len) != Z_OK)
        return FC_E_DAMAGED;
    g->inside = g->partial = true;
    return 0;
}

/* Skips n bytes of a header, or with n < 0 up to and with a NUL. False: the file ends. */
static bool skip(struct fc_stream *s, int n)
{
    while (n) {
        if (fc_stream_input(s, 1) < 1)
            return false;
        uint8_t b = s->in[s->in_pos++];
        if (n < 0 && !b)
            return true;
        n -= n > 0;
    }
    return true;
}

/* Behind the last member: nothing, the zeros of a tape, or what does not belong here. */
static int behind(struct fc_stream *s)
{
    while (fc_stream_input(s, 1) >= 1) {
        if (*fc_stream_in(s))
            return fc_stream_damage(s, s->off, "something else follows the compressed data");
        s->in_pos++;
    }
    if (s->in_errno)
        return fc_stream_cut(s, s->off, "");
    s->ended = true;
    return 0;
}

static int next_member(struct fc_stream *s)
{
    static const uint8_t at_member = AT_MEMBER;
    struct gzip *g = s->state;
    size_t n = fc_stream_input(s, 10);
    const uint8_t *p = fc_stream_in(s);
    int rc;

    if (n == 0 || p[0] == 0)
        return behind(s);
    if (p[0] != 0x1f || (n > 1 && p[1] != 0x8b))
        return behind(s);
    if (fc_stream_due(s, s->off) && (rc = fc_stream_point(s, s->off, fc_stream_stored(s), &at_member, 1)))
        return rc;
    if (n < 10)
        return fc_stream_cut(s, s->off, "a member's header");
    if (p[2] != 8 || p[3] & FLAGS_RESERVED)
        return fc_stream_damage(s, s->off, "a member of unknown kind");
    uint8_t flags = p[3];
    s->in_pos += 10;
    if (flags & FLAG_EXTRA) {
        if (fc_stream_input(s, 2) < 2)
            return fc_stream_cut(s, s->off, "a member's header");
        int extra = fc_load16(fc_stream_in(s), false);
        s->in_pos += 2;
        if (!skip(s, extra))
            return fc_stream_cut(s, s->off, "a member's header");
    }
    if ((flags & FLAG_NAME && !skip(s, -1)) || (flags & FLAG_COMMENT && !skip(s, -1)) ||
        (flags & FLAG_CRC && !skip(s, 2)))
        return fc_stream_cut(s, s->off, "a member's header");
    inflateReset(&g->z);
    g->inside = true;
    g->partial = false;
    g->crc = crc32(0, NULL, 0);
    g->size = 0;
    return 0;
}

static int end_member(struct fc_stream *s, uint64_t off)
{
    struct gzip *g = s->state;

    g->inside = false;
    if (fc_stream_input(s, 8) < 8)
        return fc_stream_cut(s, off, "a member's checksum");
    const uint8_t *p = fc_stream_in(s);
    s->in_pos += 8;
    if (!g->partial && (fc_load32(p, false) != (uint32_t)g->crc || fc_load32(p + 4, false) != g->size))
        return fc_stream_note(s, off, "gzip: the checksum of a member that ends here does not fit its content");
    return 0;
}

static int block_point(struct fc_stream *s, uint64_t off)
{
    uint8_t window[WINDOW], state[STATE_HEAD + FC_WINDOW_ROOM];
    struct gzip *g = s->state;
    uInt len = 0;

    inflateGetDictionary(&g->z, window, &len);
    state[0] = AT_BLOCK;
    state[1] = g->z.data_type & 7;
    return fc_stream_point(s, off, fc_stream_stored(s), state,
                           STATE_HEAD + fc_window_pack(window, len, state + STATE_HEAD));
}

static int64_t decode(struct fc_stream *s, uint8_t *out, size_t n)
{
    struct gzip *g = s->state;
    z_stream *z = &g->z;

    if (!g->inside)
        return next_member(s);
    size_t avail = fc_stream_input(s, 1);
    z->next_in = s->in + s->in_pos;
    z->avail_in = (uInt)avail;
    z->next_out = out;
    z->avail_out = n < INT32_MAX ? (uInt)n : INT32_MAX;
    uInt room = z->avail_out;
    int rc = inflate(z, Z_BLOCK);
    s->in_pos += avail - z->avail_in;
    uInt got = room - z->avail_out;
    uint64_t off = s->off + got;
    if (!g->partial)
        g->crc = crc32(g->crc, out, got);
    g->size += got;

    int failed = 0;
    if (rc == Z_MEM_ERROR)
        return FC_E_NOMEM;
    if (rc == Z_STREAM_END)
        failed = end_member(s, off);
    else if (rc != Z_OK && rc != Z_BUF_ERROR)
        failed = fc_stream_damage(s, off, z->msg ? z->msg : "invalid data");
    else if (!got && !avail)
        failed = fc_stream_cut(s, off, "a member's data");
    else if ((z->data_type & 0xc0) == 0x80 && fc_stream_due(s, off)) /* between two blocks, and another one comes */
        failed = block_point(s, off);
    return failed ? failed : (int64_t)got;
}

const struct fc_codec fc_codec_gzip = {"gzip", sizeof(struct gzip), SPACING, init, fini, enter, decode};
