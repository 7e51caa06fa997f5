/* SPDX-License-Identifier: MIT */
#include "store/blob.h"
#include "base/varint.h"
#include "base/vector.h"
#include "flow/positions.h"

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
    return fc_vector_reserve(&b->data, &b->room, size, 1);
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

/* File and count of each segment, for who reads the database by SQL alone, ended by 0; at out->data + 1. */
static int put_heads(const uint8_t *plain, size_t len, struct fc_buffer *out)
{
    const uint8_t *p = plain, *end = plain + len;
    struct fc_segment s;
    uint64_t off;
    int rc;

    out->len = 1;
    while (p < end && (p = fc_segment_head(p, end, &s))) {
        if ((rc = fc_buffer_reserve(out, out->len + 2 * FC_VARINT_MAX + 1)))
            return rc;
        out->len = (size_t)(fc_varint_put(fc_varint_put(out->data + out->len, s.file), s.count) - out->data);
        off = s.first_off;
        for (uint64_t i = 1; p && i < s.count; i++)
            p = fc_segment_next(p, end, &off);
        if (!p)
            break;
    }
    out->data[out->len++] = 0;
    return 0;
}

int fc_blob_encode(const uint8_t *plain, size_t len, struct fc_buffer *out)
{
    int rc = fc_buffer_reserve(out, 2 + FC_VARINT_MAX + len); /* what is compressed is shorter than that */

    if (rc || (!fc_blob_is_plain(len) && (rc = put_heads(plain, len, out))))
        return rc;
    /* room for an eighth less than plain: LZ4 gives up where it would not pay */
    if (!fc_blob_is_plain(len) && out->len + FC_VARINT_MAX < len - len / 8 &&
        (rc = fc_buffer_reserve(out, out->len + FC_VARINT_MAX + len)) == 0) {
        uint8_t *p = fc_varint_put(out->data + out->len, len);
        int n = LZ4_compress_default((const char *)plain, (char *)p, (int)len, (int)(len - len / 8 - out->len));
        if (n > 0) {
            out->data[0] = COMPRESSED;
            out->len = (size_t)(p + n - out->data);
            return 0;
        }
    }
    if (rc)
        return rc;
    memcpy(out->data, plain, len);
    out->len = len;
    return 0;
}

int fc_blob_decode(const void *blob, size_t len, struct fc_buffer *scratch, const uint8_t **plain, size_t *plain_len)
{
    const uint8_t *p = blob, *end = p + len;
    uint64_t size, file = 1, count;

    if (len < 1)
        return FC_E_DAMAGED;
    if (*p != COMPRESSED) {
        *plain = p;
        *plain_len = len;
        return 0;
    }
    p = fc_varint_get(p + 1, end, &file);
    while (p && file)
        p = (p = fc_varint_get(p, end, &count)) ? fc_varint_get(p, end, &file) : NULL;
    if (!p || !(p = fc_varint_get(p, end, &size)) || size > PLAIN_MAX)
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
