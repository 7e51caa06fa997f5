/* SPDX-License-Identifier: MIT */
#include "carve/pack.h"

#include <flowcarve/error.h>
#include <lz4frame.h>
#include <lzma.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

enum { ROOM = 128 << 10, XZ_LEVEL = 1, GZIP_FORMAT = 16 + MAX_WBITS, LZ4_PIECE = 64 << 10 };

struct fc_pack {
    enum fc_compression kind;
    z_stream gzip;
    ZSTD_CCtx *zstd;
    LZ4F_cctx *lz4;
    bool begun; /* lz4: the head is written */
    lzma_stream xz;
    uint8_t *out;
    size_t room;
};

static const LZ4F_preferences_t lz4_preferences = {.frameInfo = {.contentChecksumFlag = LZ4F_contentChecksumEnabled}};

static bool start(struct fc_pack *p)
{
    static const lzma_stream empty = LZMA_STREAM_INIT;

    p->room = ROOM;
    switch (p->kind) {
    case FC_COMPRESSION_GZIP:
        return deflateInit2(&p->gzip, Z_DEFAULT_COMPRESSION, Z_DEFLATED, GZIP_FORMAT, 8, Z_DEFAULT_STRATEGY) == Z_OK;
    case FC_COMPRESSION_ZSTD:
        return (p->zstd = ZSTD_createCCtx()) && !ZSTD_isError(ZSTD_CCtx_setParameter(p->zstd, ZSTD_c_checksumFlag, 1));
    case FC_COMPRESSION_LZ4:
        p->room = LZ4F_compressBound(LZ4_PIECE, &lz4_preferences) + LZ4F_HEADER_SIZE_MAX;
        return !LZ4F_isError(LZ4F_createCompressionContext(&p->lz4, LZ4F_VERSION));
    case FC_COMPRESSION_XZ:
        p->xz = empty;
        return lzma_easy_encoder(&p->xz, XZ_LEVEL, LZMA_CHECK_CRC64) == LZMA_OK;
    default:
        return false;
    }
}

struct fc_pack *fc_pack_new(enum fc_compression compression)
{
    struct fc_pack *p = calloc(1, sizeof *p);

    if (!p)
        return NULL;
    p->kind = compression;
    if (!start(p) || !(p->out = malloc(p->room))) {
        fc_pack_free(p);
        return NULL;
    }
    return p;
}

void fc_pack_free(struct fc_pack *p)
{
    if (!p)
        return;
    if (p->kind == FC_COMPRESSION_GZIP)
        deflateEnd(&p->gzip);
    else if (p->kind == FC_COMPRESSION_XZ)
        lzma_end(&p->xz);
    ZSTD_freeCCtx(p->zstd);
    LZ4F_freeCompressionContext(p->lz4);
    free(p->out);
    free(p);
}

static int write_gzip(struct fc_pack *p, const void *data, size_t n, bool end, fc_pack_sink *sink, void *ctx)
{
    int rc = 0, state;

    p->gzip.next_in = (Bytef *)(uintptr_t)data; /* zlib only reads it */
    p->gzip.avail_in = (uInt)n;
    do {
        p->gzip.next_out = p->out;
        p->gzip.avail_out = (uInt)p->room;
        state = deflate(&p->gzip, end ? Z_FINISH : Z_NO_FLUSH);
        rc = sink(ctx, p->out, p->room - p->gzip.avail_out);
    } while (rc == 0 && (end ? state == Z_OK : p->gzip.avail_out == 0));
    return rc;
}

static int write_zstd(struct fc_pack *p, const void *data, size_t n, bool end, fc_pack_sink *sink, void *ctx)
{
    ZSTD_inBuffer in = {data, n, 0};
    size_t left;
    int rc;

    do {
        ZSTD_outBuffer out = {p->out, p->room, 0};
        left = ZSTD_compressStream2(p->zstd, &out, &in, end ? ZSTD_e_end : ZSTD_e_continue);
        if (ZSTD_isError(left))
            return FC_E_NOMEM; /* nothing else can be wrong with it */
        rc = sink(ctx, p->out, out.pos);
    } while (rc == 0 && (end ? left != 0 : in.pos < n));
    return rc;
}

static int give_lz4(struct fc_pack *p, size_t n, fc_pack_sink *sink, void *ctx)
{
    return LZ4F_isError(n) ? FC_E_NOMEM : sink(ctx, p->out, n);
}

static int write_lz4(struct fc_pack *p, const uint8_t *data, size_t n, bool end, fc_pack_sink *sink, void *ctx)
{
    int rc = 0;

    if (!p->begun)
        rc = give_lz4(p, LZ4F_compressBegin(p->lz4, p->out, p->room, &lz4_preferences), sink, ctx);
    p->begun = true;
    while (rc == 0 && n) {
        size_t piece = n < LZ4_PIECE ? n : LZ4_PIECE;
        rc = give_lz4(p, LZ4F_compressUpdate(p->lz4, p->out, p->room, data, piece, NULL), sink, ctx);
        data += piece;
        n -= piece;
    }
    return rc || !end ? rc : give_lz4(p, LZ4F_compressEnd(p->lz4, p->out, p->room, NULL), sink, ctx);
}

static int write_xz(struct fc_pack *p, const void *data, size_t n, bool end, fc_pack_sink *sink, void *ctx)
{
    lzma_ret state;
    int rc;

    p->xz.next_in = data;
    p->xz.avail_in = n;
    do {
        p->xz.next_out = p->out;
        p->xz.avail_out = p->room;
        state = lzma_code(&p->xz, end ? LZMA_FINISH : LZMA_RUN);
        if (state != LZMA_OK && state != LZMA_STREAM_END)
            return FC_E_NOMEM;
        rc = sink(ctx, p->out, p->room - p->xz.avail_out);
    } while (rc == 0 && (end ? state != LZMA_STREAM_END : p->xz.avail_in != 0));
    return rc;
}

int fc_pack_write(struct fc_pack *p, const void *data, size_t n, bool end, fc_pack_sink *sink, void *ctx)
{
    switch (p->kind) {
    case FC_COMPRESSION_GZIP:
        return write_gzip(p, data, n, end, sink, ctx);
    case FC_COMPRESSION_ZSTD:
        return write_zstd(p, data, n, end, sink, ctx);
    case FC_COMPRESSION_LZ4:
        return write_lz4(p, data, n, end, sink, ctx);
    default:
        return n || end ? write_xz(p, data, n, end, sink, ctx) : 0;
    }
}
