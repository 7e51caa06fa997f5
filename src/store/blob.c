/* SPDX-License-Identifier: MIT */
#include "store/blob.h"
#include "base/varint.h"

#include <lz4.h>
#include <stdlib.h>
#include <string.h>

enum {
    COMPRESSED = 0, /* no segment begins with it */
    /* Distances of a busy session repeat (one size of packet, few sessions); those of a short one do not. */
    LZ4_FROM_BYTES = 256,
    PLAIN_MAX = 1 << 30
};

int fc_buffer_reserve(struct fc_buffer *b, size_t size)
{
    size_t room = b->room ? b->room : 256;

    if (size <= b->room)
        return 0;
    while (room < size)
        room *= 2;
    uint8_t *bigger = realloc(b->data, room);
    if (!bigger)
        return FC_E_NOMEM;
    b->data = bigger;
    b->room = room;
    return 0;
}

void fc_buffer_fini(struct fc_buffer *b)
{
    free(b->data);
    memset(b, 0, sizeof *b);
}

bool fc_blob_is_plain(size_t len)
{
    return len < LZ4_FROM_BYTES || len > PLAIN_MAX;
}

int fc_blob_encode(const uint8_t *plain, size_t len, struct fc_buffer *out)
{
    int rc = fc_buffer_reserve(out, 1 + FC_VARINT_MAX + len); /* what is compressed is shorter than that */

    if (rc)
        return rc;
    if (!fc_blob_is_plain(len)) {
        uint8_t *p = fc_varint_put(out->data + 1, len);
        /* room for an eighth less than plain: LZ4 gives up where it would not pay */
        int n = LZ4_compress_default((const char *)plain, (char *)p, (int)len, (int)(len - len / 8));
        if (n > 0) {
            out->data[0] = COMPRESSED;
            out->len = (size_t)(p + n - out->data);
            return 0;
        }
    }
    memcpy(out->data, plain, len);
    out->len = len;
    return 0;
}

int fc_blob_decode(const void *blob, size_t len, struct fc_buffer *scratch, const uint8_t **plain, size_t *plain_len)
{
    const uint8_t *p = blob, *end = p + len;
    uint64_t size;

    if (len < 1)
        return FC_E_DAMAGED;
    if (*p != COMPRESSED) {
        *plain = p;
        *plain_len = len;
        return 0;
    }
    if (!(p = fc_varint_get(p + 1, end, &size)) || size > PLAIN_MAX)
        return FC_E_DAMAGED;
    /* LZ4 packs at most 255 bytes into one: a hostile size cannot make us allocate more than that */
    if (size / 255 > (uint64_t)(end - p) + 16)
        return FC_E_DAMAGED;
    int rc = fc_buffer_reserve(scratch, (size_t)size + 1);
    if (rc)
        return rc;
    int n = LZ4_decompress_safe((const char *)p, (char *)scratch->data, (int)(end - p), (int)size);
    if (n < 0 || (uint64_t)n != size)
        return FC_E_DAMAGED;
    *plain = scratch->data;
    *plain_len = (size_t)size;
    return 0;
}
