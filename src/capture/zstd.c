/* SPDX-License-Identifier: MIT */
/*
 * zstd (RFC 8878). Decoding can start at frames only: what a block needs of those before it (window, tables, offsets)
 * does not leave the library. The seekable format and pzstd's are many frames, and skippable ones.
 */
#include "base/bytes.h"
#include "capture/codec.h"

#include <stdio.h>
#include <zstd.h>
#include <zstd_errors.h>

enum {
    SPACING = 1 << 20,
    MAGIC = 0xfd2fb528,
    FRAME_START = 5,     /* bytes that the library wants first */
    WINDOW_LOG_MAX = 29, /* as `zstd --long=29` makes: 512 MiB */
};

struct zstd {
    ZSTD_DCtx *ctx;
    bool inside;
    size_t want; /* bytes that the library wants next: giving it no more keeps what comes out a matter of blocks */
    bool full;   /* it may hold back output: nothing is given before that is out, as an error would take it along */
};

static int init(struct fc_stream *s)
{
    struct zstd *z = s->state;

    z->ctx = ZSTD_createDCtx();
    if (!z->ctx)
        return FC_E_NOMEM;
    ZSTD_DCtx_setParameter(z->ctx, ZSTD_d_windowLogMax, WINDOW_LOG_MAX);
    return 0;
}

static void fini(struct fc_stream *s)
{
    ZSTD_freeDCtx(((struct zstd *)s->state)->ctx);
}

static int enter(struct fc_stream *s, const struct fc_seek_point *point)
{
    ((struct zstd *)s->state)->inside = false;
    return point && point->state_len ? FC_E_DAMAGED : 0;
}

static int next_frame(struct fc_stream *s)
{
    struct zstd *z = s->state;
    int rc = fc_stream_frame(s, MAGIC, NULL, 0);

    if (rc != 1)
        return rc;
    ZSTD_DCtx_reset(z->ctx, ZSTD_reset_session_only);
    z->inside = true;
    z->full = false;
    z->want = FRAME_START;
    return 0;
}

static int fail(struct fc_stream *s, size_t result, size_t given)
{
    struct zstd *z = s->state;

    switch (ZSTD_getErrorCode(result)) {
    case ZSTD_error_memory_allocation:
        return FC_E_NOMEM;
    case ZSTD_error_checksum_wrong: /* the last thing in a frame */
        z->inside = false;
        s->in_pos += given;
        return fc_stream_note(s, s->off, "zstd: the checksum of a frame that ends here does not fit its content");
    default:
        return fc_stream_damage(s, s->off, ZSTD_getErrorName(result));
    }
}

static int64_t decode(struct fc_stream *s, uint8_t *out, size_t n)
{
    struct zstd *z = s->state;
    size_t avail;

    if (!z->inside)
        return next_frame(s);
    avail = fc_stream_input(s, z->want);
    ZSTD_inBuffer from = {fc_stream_in(s), z->full ? 0 : avail < z->want ? avail : z->want, 0};
    ZSTD_outBuffer to = {out, n, 0};
    size_t rc = ZSTD_decompressStream(z->ctx, &to, &from);
    if (ZSTD_isError(rc))
        return fail(s, rc, from.size);
    s->in_pos += from.pos;
    z->want = rc;
    z->inside = rc != 0;
    bool held = z->full;
    z->full = to.pos == n;
    if (rc && !avail && !to.pos && !held) {
        int failed = fc_stream_cut(s, s->off, "a frame");
        if (failed)
            return failed;
    }
    return (int64_t)to.pos;
}

const struct fc_codec fc_codec_zstd = {"zstd", sizeof(struct zstd), SPACING, init, fini, enter, decode};
