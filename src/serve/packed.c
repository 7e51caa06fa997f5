/* SPDX-License-Identifier: MIT */
#include "serve/packed.h"

#include "serve/request.h"

#include <stdlib.h>
#include <zlib.h>

/* False: out of memory. One that would not be smaller is left out. */
static bool pack(const struct fc_asset *asset, struct fc_packed *packed)
{
    enum { GZIP = 16, MEMORY = 8 };
    z_stream z = {.next_in = (unsigned char *)(uintptr_t)asset->bytes, .avail_in = (uInt)asset->size};

    if (deflateInit2(&z, Z_BEST_COMPRESSION, Z_DEFLATED, MAX_WBITS + GZIP, MEMORY, Z_DEFAULT_STRATEGY) != Z_OK)
        return false;
    uLong room = deflateBound(&z, asset->size);
    packed->bytes = malloc(room);
    z.next_out = packed->bytes;
    z.avail_out = (uInt)room;
    bool done = packed->bytes && deflate(&z, Z_FINISH) == Z_STREAM_END;
    packed->size = done ? z.total_out : 0;
    deflateEnd(&z);
    if (done && packed->size >= asset->size) {
        free(packed->bytes);
        packed->bytes = NULL;
    }
    return done;
}

struct fc_packed *fc_packed_make(void)
{
    struct fc_packed *packed = calloc(fc_asset_count, sizeof *packed);

    for (size_t i = 0; packed && i < fc_asset_count; i++)
        if (!pack(&fc_assets[i], &packed[i])) {
            fc_packed_free(packed);
            return NULL;
        }
    return packed;
}

void fc_packed_free(struct fc_packed *packed)
{
    for (size_t i = 0; packed && i < fc_asset_count; i++)
        free(packed[i].bytes);
    free(packed);
}
