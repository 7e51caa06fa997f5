/* SPDX-License-Identifier: MIT */
/*
 * Unsigned LEB128, the number format of the positions blob (schema/flowcarve.sql).
 * Threads: any. Reading never goes past `end` and refuses numbers of more than 64 bits.
 */
#ifndef FC_BASE_VARINT_H
#define FC_BASE_VARINT_H

#include <stddef.h>
#include <stdint.h>

enum { FC_VARINT_MAX = 10 }; /* bytes of the longest number */

/* Writes v at p, which has FC_VARINT_MAX bytes of room; returns the byte behind it. */
static inline uint8_t *fc_varint_put(uint8_t *p, uint64_t v)
{
    while (v >= 0x80) {
        *p++ = (uint8_t)(v | 0x80);
        v >>= 7;
    }
    *p++ = (uint8_t)v;
    return p;
}

/* Reads a number from [p, end) to *v; returns the byte behind it, or NULL when it is cut or too long. */
static inline const uint8_t *fc_varint_get(const uint8_t *p, const uint8_t *end, uint64_t *v)
{
    uint64_t r = 0;

    for (unsigned shift = 0; p < end && shift < 64; shift += 7) {
        uint8_t b = *p++;
        if (shift == 63 && b > 1)
            return NULL;
        r |= (uint64_t)(b & 0x7f) << shift;
        if (!(b & 0x80)) {
            *v = r;
            return p;
        }
    }
    return NULL;
}

#endif
