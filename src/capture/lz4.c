/* SPDX-License-Identifier: MIT */
/* lz4 frames (lz4_Frame_format.md 1.6), block by block. The 64 KiB before a linked block are its dictionary. */
#include "base/bytes.h"
#include "capture/codec.h"

#include <lz4.h>
#include <stdlib.h>

#define XXH_INLINE_ALL /* no library to link for one checksum */
#include <xxhash.h>

enum {
    SPACING = 1 << 20,
    MAGIC = 0x184d2204,
    HISTORY = 64 << 10,
    BLOCK_MAX = 4 << 20,
    /* FLG */
    INDEPENDENT = 0x20,
    BLOCK_SUM = 0x10,
    CONTENT_SIZE = 0x08,
    CONTENT_SUM = 0x04,
    RESERVED = 0x02,
    DICT_ID = 0x01,
    /* the state of a seek point: what follows at stored_off; of a block also FLG, BD and the window */
    AT_FRAME = 0,
    AT_BLOCK = 1,
    STATE_HEAD = 3,
};

struct lz4 {
    uint8_t *buf; /* history, then the block at hand */
    size_t history, pos, end;
    bool inside, partial;
    uint8_t flg, bd;
    size_t block_max;
    XXH32_state_t sum;
    uint64_t size, told; /* of the frame: so far, and as its header says */
};

static int init(struct fc_stream *s)
{
    struct lz4 *z = s->state;

    z->buf = malloc(HISTORY + BLOCK_MAX);
    return z->buf ? fc_stream_reserve(s, BLOCK_MAX + 8) : FC_E_NOMEM;
}

static void fini(struct fc_stream *s)
{
    free(((struct lz4 *)s->state)->buf);
}

/* FLG and BD as they may be; sets the block size. */
static bool take_flags(struct lz4 *z, uint8_t flg, uint8_t bd)
{
    static const size_t sizes[] = {64 << 10, 256 << 10, 1 << 20, 4 << 20};
    int size = bd >> 4 & 7;

    if (flg >> 6 != 1 || flg & RESERVED || bd & 0x8f || size < 4)
        return false;
    z->flg = flg;
    z->bd = bd;
    z->block_max = sizes[size - 4];
    return true;
}

static int enter(struct fc_stream *s, const struct fc_seek_point *point)
{
    struct lz4 *z = s->state;

    z->inside = false;
    z->history = z->pos = z->end = 0;
    if (!point || (point->state_len == 1 && point->state[0] == AT_FRAME))
        return 0;
    if (point->state_len < STATE_HEAD || point->state[0] != AT_BLOCK ||
        !take_flags(z, point->state[1], point->state[2]))
        return FC_E_DAMAGED;
    if (fc_window_unpack(point->state + STATE_HEAD, point->state_len - STATE_HEAD, z->buf, HISTORY, &z->history))
        return FC_E_DAMAGED;
    z->pos = z->end = z->history;
    z->inside = z->partial = true;
    return 0;
}

static int frame_header(struct fc_stream *s)
{
    struct lz4 *z = s->state;
    size_t n = fc_stream_input(s, 19), head = 7;
    const uint8_t *p = fc_stream_in(s);

    if (n < head)
        return fc_stream_cut(s, s->off, "a frame's header");
    if (!take_flags(z, p[4], p[5]))
        return fc_stream_damage(s, s->off, "a frame of unknown kind");
    if (z->flg & DICT_ID)
        return fc_stream_damage(s, s->off, "a frame that needs a dictionary of its own");
    if (z->flg & CONTENT_SIZE)
        head += 8;
    if (n < head)
        return fc_stream_cut(s, s->off, "a frame's header");
    if (p[head - 1] != (uint8_t)(XXH32(p + 4, head - 5, 0) >> 8))
        return fc_stream_damage(s, s->off, "the checksum of a frame's header does not fit");
    z->told = z->flg & CONTENT_SIZE ? fc_load64(p + 6, false) : UINT64_MAX;
    z->history = z->pos = z->end = 0;
    z->size = 0;
    z->inside = true;
    z->partial = false;
    XXH32_reset(&z->sum, 0);
    s->in_pos += head;
    return 0;
}

static int next_frame(struct fc_stream *s)
{
    static const uint8_t at_frame = AT_FRAME;
    int rc = fc_stream_frame(s, MAGIC, &at_frame, 1);

    return rc == 1 ? frame_header(s) : rc;
}

static int end_frame(struct fc_stream *s)
{
    struct lz4 *z = s->state;
    bool fits = z->told == UINT64_MAX || z->told == z->size;

    z->inside = false;
    if (z->flg & CONTENT_SUM) {
        if (fc_stream_input(s, 4) < 4)
            return fc_stream_cut(s, s->off, "a frame's checksum");
        fits &= fc_load32(fc_stream_in(s), false) == XXH32_digest(&z->sum);
        s->in_pos += 4;
    }
    if (!fits && !z->partial)
        return fc_stream_note(s, s->off, "lz4: the checksum of a frame that ends here does not fit its content");
    return 0;
}

static int block_point(struct fc_stream *s)
{
    struct lz4 *z = s->state;
    uint8_t *state = malloc(STATE_HEAD + FC_WINDOW_ROOM);

    if (!state)
        return FC_E_NOMEM;
    state[0] = AT_BLOCK;
    state[1] = z->flg;
    state[2] = z->bd;
    size_t len = STATE_HEAD + fc_window_pack(z->buf, z->history, state + STATE_HEAD);
    int rc = fc_stream_point(s, s->off, fc_stream_stored(s), state, len);
    free(state);
    return rc;
}

/* Moves what the next block may refer to in front of it. */
static void keep_history(struct lz4 *z)
{
    size_t keep = z->flg & INDEPENDENT ? 0 : z->end < HISTORY ? z->end : HISTORY;

    memmove(z->buf, z->buf + z->end - keep, keep);
    z->history = z->pos = z->end = keep;
}

static int next_block(struct fc_stream *s)
{
    struct lz4 *z = s->state;
    size_t sum = z->flg & BLOCK_SUM ? 4 : 0;
    int rc, got;

    keep_history(z);
    if (fc_stream_input(s, 4) < 4)
        return fc_stream_cut(s, s->off, "a frame");
    uint32_t head = fc_load32(fc_stream_in(s), false), size = head & 0x7fffffff;
    if (!head) {
        s->in_pos += 4;
        return end_frame(s);
    }
    if (fc_stream_due(s, s->off) && (rc = block_point(s)))
        return rc;
    if (size > z->block_max)
        return fc_stream_damage(s, s->off, "a block larger than its frame allows");
    if (fc_stream_input(s, 4 + size + sum) < 4 + size + sum)
        return fc_stream_cut(s, s->off, "a block");
    const uint8_t *p = fc_stream_in(s) + 4;
    uint8_t *out = z->buf + z->history;
    if (sum && XXH32(p, size, 0) != fc_load32(p + size, false))
        return fc_stream_damage(s, s->off, "the checksum of a block does not fit");
    if (head >> 31) {
        memcpy(out, p, size);
        got = (int)size;
    } else {
        got = LZ4_decompress_safe_usingDict((const char *)p, (char *)out, (int)size, (int)z->block_max,
                                            (const char *)z->buf, (int)z->history);
        if (got < 0)
            return fc_stream_damage(s, s->off, "a block that cannot be decoded");
    }
    s->in_pos += 4 + size + sum;
    z->end = z->history + (size_t)got;
    z->size += (uint64_t)got;
    if (z->flg & CONTENT_SUM && !z->partial)
        XXH32_update(&z->sum, out, (size_t)got);
    return 0;
}

static int64_t decode(struct fc_stream *s, uint8_t *out, size_t n)
{
    struct lz4 *z = s->state;

    if (z->pos == z->end)
        return z->inside ? next_block(s) : next_frame(s);
    if (n > z->end - z->pos)
        n = z->end - z->pos;
    memcpy(out, z->buf + z->pos, n);
    z->pos += n;
    return (int64_t)n;
}

const struct fc_codec fc_codec_lz4 = {"lz4", sizeof(struct lz4), SPACING, init, fini, enter, decode};
