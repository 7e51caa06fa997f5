/* SPDX-License-Identifier: MIT */
/* xz (the .xz file format 1.1): streams of blocks, each of which can be entered. */
#include "capture/codec.h"

#include <lzma.h>
#include <stdlib.h>
#include <string.h>

enum { SPACING = 1 << 20 };

/* A dictionary larger than any preset's (64 MiB) by far; the block is not decoded. */
static const uint64_t memory_max = 512ull << 20;

enum place { AT_STREAM, AT_PADDING, AT_BLOCK, IN_BLOCK, IN_INDEX, AT_FOOTER };

struct xz {
    lzma_stream lzma; /* a block's, or a partial stream's index's */
    enum place place;
    bool partial; /* entered in the middle: the index cannot be compared with the blocks */
    lzma_stream_flags flags;
    lzma_block block;
    lzma_index_hash *hash;
    lzma_index *index;
};

static int init(struct fc_stream *s)
{
    ((struct xz *)s->state)->lzma = (lzma_stream)LZMA_STREAM_INIT;
    return 0;
}

static void fini(struct fc_stream *s)
{
    struct xz *x = s->state;

    lzma_end(&x->lzma);
    lzma_index_hash_end(x->hash, NULL);
    lzma_index_end(x->index, NULL);
}

static int enter(struct fc_stream *s, const struct fc_seek_point *point)
{
    struct xz *x = s->state;

    x->place = AT_STREAM;
    if (!point)
        return 0;
    if (point->state_len != 1 || point->state[0] > LZMA_CHECK_ID_MAX)
        return FC_E_DAMAGED;
    memset(&x->flags, 0, sizeof x->flags);
    x->flags.check = point->state[0];
    x->place = AT_BLOCK;
    x->partial = true;
    return 0;
}

static int stream_header(struct fc_stream *s)
{
    struct xz *x = s->state;
    size_t n = fc_stream_input(s, LZMA_STREAM_HEADER_SIZE);
    lzma_ret rc;

    if (n == 0 && !s->in_errno) {
        s->ended = true;
        return 0;
    }
    if (n && memcmp(fc_stream_in(s),
                    "\xfd"
                    "7zXZ",
                    n < 6 ? n : 6) != 0)
        return fc_stream_damage(s, s->off, "something else follows the compressed data");
    if (n < LZMA_STREAM_HEADER_SIZE)
        return fc_stream_cut(s, s->off, "a stream's header");
    rc = lzma_stream_header_decode(&x->flags, fc_stream_in(s));
    if (rc != LZMA_OK)
        return fc_stream_damage(s, s->off,
                                rc == LZMA_OPTIONS_ERROR ? "a stream of unknown kind"
                                                         : "the checksum of a stream's header does not fit");
    s->in_pos += LZMA_STREAM_HEADER_SIZE;
    lzma_index_hash *hash = lzma_index_hash_init(x->hash, NULL);
    if (!hash)
        return FC_E_NOMEM;
    x->hash = hash;
    x->place = AT_BLOCK;
    x->partial = false;
    return 0;
}

/* Behind a stream: zeros, four at a time, then nothing or another stream. */
static int padding(struct fc_stream *s)
{
    struct xz *x = s->state;

    size_t n = fc_stream_input(s, 4);

    if (n && n < 4 && memcmp(fc_stream_in(s), "\0\0\0\0", n) == 0)
        return fc_stream_cut(s, s->off, "padding");
    if (n >= 4 && memcmp(fc_stream_in(s), "\0\0\0\0", 4) == 0)
        s->in_pos += 4;
    else
        x->place = AT_STREAM;
    return 0;
}

static int begin_block(struct fc_stream *s, const uint8_t *head)
{
    lzma_filter filters[LZMA_FILTERS_MAX + 1];
    struct xz *x = s->state;
    lzma_ret rc;

    x->block.filters = filters;
    rc = lzma_block_header_decode(&x->block, NULL, head);
    if (rc == LZMA_MEM_ERROR)
        return FC_E_NOMEM;
    if (rc != LZMA_OK)
        return fc_stream_damage(s, s->off,
                                rc == LZMA_OPTIONS_ERROR ? "a block of unknown kind"
                                                         : "the checksum of a block's header does not fit");
    s->in_pos += x->block.header_size;
    bool large = lzma_raw_decoder_memusage(filters) > memory_max;
    rc = large ? LZMA_OK : lzma_block_decoder(&x->lzma, &x->block);
    /* the decoder keeps no pointer to the options */
    for (size_t i = 0; filters[i].id != LZMA_VLI_UNKNOWN; i++)
        free(filters[i].options);
    x->block.filters = NULL;
    if (rc == LZMA_MEM_ERROR)
        return FC_E_NOMEM;
    if (large || rc != LZMA_OK)
        return fc_stream_damage(
            s, s->off, large ? "a block that needs more than 512 MiB to be decoded" : "a block of unknown kind");
    x->place = IN_BLOCK;
    return 0;
}

static int next_block(struct fc_stream *s)
{
    struct xz *x = s->state;
    size_t n = fc_stream_input(s, 1);
    int rc;

    if (n < 1)
        return fc_stream_cut(s, s->off, "a stream");
    const uint8_t *p = fc_stream_in(s);
    if (*p == 0) {
        x->place = IN_INDEX;
        lzma_index_end(x->index, NULL);
        x->index = NULL;
        return x->partial && lzma_index_decoder(&x->lzma, &x->index, memory_max) != LZMA_OK ? FC_E_NOMEM : 0;
    }
    memset(&x->block, 0, sizeof x->block);
    x->block.version = 1;
    x->block.check = x->flags.check;
    x->block.header_size = lzma_block_header_size_decode(*p);
    uint8_t state = (uint8_t)x->flags.check;
    if (fc_stream_due(s, s->off) && (rc = fc_stream_point(s, s->off, fc_stream_stored(s), &state, 1)))
        return rc;
    if (fc_stream_input(s, x->block.header_size) < x->block.header_size)
        return fc_stream_cut(s, s->off, "a block's header");
    return begin_block(s, fc_stream_in(s));
}

static const char *cause(lzma_ret rc)
{
    switch (rc) {
    case LZMA_DATA_ERROR:
        return "data that cannot be decoded, or do not fit their checksum";
    case LZMA_MEMLIMIT_ERROR:
        return "an index that needs more than 512 MiB";
    default:
        return "data of unknown kind";
    }
}

/* Runs the decoder at hand; the bytes that came out are in *got. */
static lzma_ret run(struct fc_stream *s, uint8_t *out, size_t n, size_t *got)
{
    struct xz *x = s->state;
    size_t avail = fc_stream_input(s, 1);

    x->lzma.next_in = fc_stream_in(s);
    x->lzma.avail_in = avail;
    x->lzma.next_out = out;
    x->lzma.avail_out = n;
    lzma_ret rc = lzma_code(&x->lzma, LZMA_RUN);
    s->in_pos += avail - x->lzma.avail_in;
    *got = n - x->lzma.avail_out;
    if (rc == LZMA_OK && !avail && !*got)
        rc = LZMA_BUF_ERROR;
    return rc == LZMA_BUF_ERROR && avail ? LZMA_OK : rc;
}

static int64_t read_block(struct fc_stream *s, uint8_t *out, size_t n)
{
    struct xz *x = s->state;
    size_t got;
    lzma_ret rc = run(s, out, n, &got);
    uint64_t off = s->off + got;
    int failed = 0;

    if (rc == LZMA_MEM_ERROR)
        return FC_E_NOMEM;
    if (rc == LZMA_STREAM_END) {
        x->place = AT_BLOCK;
        if (!x->partial &&
            lzma_index_hash_append(x->hash, lzma_block_unpadded_size(&x->block), x->block.uncompressed_size) != LZMA_OK)
            failed = fc_stream_damage(s, off, "too many blocks");
    } else if (rc == LZMA_BUF_ERROR) {
        failed = fc_stream_cut(s, off, "a block");
    } else if (rc != LZMA_OK) {
        failed = fc_stream_damage(s, off, cause(rc));
    }
    return failed ? failed : (int64_t)got;
}

static int read_index(struct fc_stream *s)
{
    struct xz *x = s->state;
    size_t none;
    lzma_ret rc;

    if (x->partial) {
        rc = run(s, NULL, 0, &none);
    } else {
        size_t avail = fc_stream_input(s, 1), pos = 0;
        rc = avail ? lzma_index_hash_decode(x->hash, fc_stream_in(s), &pos, avail) : LZMA_BUF_ERROR;
        s->in_pos += pos;
    }
    if (rc == LZMA_MEM_ERROR)
        return FC_E_NOMEM;
    if (rc == LZMA_BUF_ERROR)
        return fc_stream_cut(s, s->off, "an index");
    if (rc != LZMA_OK && rc != LZMA_STREAM_END)
        return fc_stream_damage(s, s->off, cause(rc));
    if (rc == LZMA_STREAM_END)
        x->place = AT_FOOTER;
    return 0;
}

static int footer(struct fc_stream *s)
{
    struct xz *x = s->state;
    lzma_stream_flags flags;

    if (fc_stream_input(s, LZMA_STREAM_HEADER_SIZE) < LZMA_STREAM_HEADER_SIZE)
        return fc_stream_cut(s, s->off, "a stream's footer");
    lzma_ret rc = lzma_stream_footer_decode(&flags, fc_stream_in(s));
    if (rc != LZMA_OK || flags.check != x->flags.check ||
        (!x->partial && flags.backward_size != lzma_index_hash_size(x->hash)))
        return fc_stream_damage(s, s->off, "a stream's footer does not fit");
    s->in_pos += LZMA_STREAM_HEADER_SIZE;
    x->place = AT_PADDING;
    return 0;
}

static int64_t decode(struct fc_stream *s, uint8_t *out, size_t n)
{
    switch (((struct xz *)s->state)->place) {
    case AT_STREAM:
        return stream_header(s);
    case AT_PADDING:
        return padding(s);
    case AT_BLOCK:
        return next_block(s);
    case IN_BLOCK:
        return read_block(s, out, n);
    case IN_INDEX:
        return read_index(s);
    default:
        return footer(s);
    }
}

const struct fc_codec fc_codec_xz = {"xz", sizeof(struct xz), SPACING, init, fini, enter, decode};
