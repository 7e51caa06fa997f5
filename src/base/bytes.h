/* SPDX-License-Identifier: MIT */
/* Unaligned loads and stores in a stated byte order. Pure; the caller has checked the bounds. */
#ifndef FC_BASE_BYTES_H
#define FC_BASE_BYTES_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

static inline uint16_t fc_load16(const uint8_t *p, bool big)
{
    uint16_t v;
    memcpy(&v, p, 2);
    return big == (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__) ? v : __builtin_bswap16(v);
}

static inline uint32_t fc_load32(const uint8_t *p, bool big)
{
    uint32_t v;
    memcpy(&v, p, 4);
    return big == (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__) ? v : __builtin_bswap32(v);
}

static inline uint64_t fc_load64(const uint8_t *p, bool big)
{
    uint64_t v;
    memcpy(&v, p, 8);
    return big == (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__) ? v : __builtin_bswap64(v);
}

/* Native order, for the program's own spools. */
static inline void fc_put(uint8_t *p, const void *v, size_t n)
{
    memcpy(p, v, n);
}

#endif
