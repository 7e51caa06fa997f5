/* SPDX-License-Identifier: MIT */
/*
 * Compresses a stream, piece by piece. Threads: one. Memory: the codec's: 256 kB of gzip, some MB of zstd, 10 MB of xz.
 */
#ifndef FC_CARVE_PACK_H
#define FC_CARVE_PACK_H

#include <flowcarve/capture.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fc_pack;

/* Takes what comes out; its code ends it. */
typedef int fc_pack_sink(void *ctx, const void *data, size_t n);

/* NULL: no memory, or no format. fc_pack_free() frees, NULL too. */
struct fc_pack *fc_pack_new(enum fc_compression compression);
void fc_pack_free(struct fc_pack *pack);

/* Compresses n bytes; end: those are the last ones. FC_E_NOMEM, or the sink's code. */
int fc_pack_write(struct fc_pack *pack, const void *data, size_t n, bool end, fc_pack_sink *sink, void *ctx);

#endif
