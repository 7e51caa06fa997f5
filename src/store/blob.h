/* SPDX-License-Identifier: MIT */
/* The positions blob of a session: segments (flow/positions.h), plain or as an LZ4 block. See schema/flowcarve.sql. */
#ifndef FC_STORE_BLOB_H
#define FC_STORE_BLOB_H

#include <flowcarve/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A growing buffer, owned by whoever holds it; {0} is an empty one. */
struct fc_buffer {
    uint8_t *data;
    size_t len, room;
};
/* Makes room for `size` bytes in all. FC_E_NOMEM. */
int fc_buffer_reserve(struct fc_buffer *buffer, size_t size);
void fc_buffer_fini(struct fc_buffer *buffer);

/* Encodes `len` bytes of segments, the first of which is not 0, into *out (contents replaced). FC_E_NOMEM. */
int fc_blob_encode(const uint8_t *plain, size_t len, struct fc_buffer *out);

/* True when so many bytes of segments are the blob as they are. */
bool fc_blob_is_plain(size_t len);

/*
 * Gives the segments of a blob: *plain points into the blob itself, or into `scratch` where it was compressed.
 * FC_E_DAMAGED: not a blob, whatever its bytes are. FC_E_NOMEM.
 */
int fc_blob_decode(const void *blob, size_t len, struct fc_buffer *scratch, const uint8_t **plain, size_t *plain_len);

#endif
