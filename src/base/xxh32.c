/* SPDX-License-Identifier: MIT */
#include "base/xxh32.h"
#include "base/bytes.h"

#define PRIME1 0x9E3779B1u
#define PRIME2 0x85EBCA77u
#define PRIME3 0xC2B2AE3Du
#define PRIME4 0x27D4EB2Fu
#define PRIME5 0x165667B1u

static uint32_t turn(uint32_t v, int by)
{
    return v << by | v >> (32 - by);
}

static void add_stripe(struct fc_xxh32 *x, const uint8_t *p)
{
    for (int i = 0; i < 4; i++)
        x->lane[i] = turn(x->lane[i] + fc_load32(p + 4 * i, false) * PRIME2, 13) * PRIME1;
}

void fc_xxh32_init(struct fc_xxh32 *x)
{
    memset(x, 0, sizeof *x);
    x->lane[0] = PRIME1 + PRIME2;
    x->lane[1] = PRIME2;
    x->lane[2] = 0;
    x->lane[3] = 0u - PRIME1;
}

void fc_xxh32_add(struct fc_xxh32 *x, const void *data, size_t len)
{
    const uint8_t *p = data;

    x->total += len;
    if (x->rest_len) {
        size_t n = 16 - x->rest_len < len ? 16 - x->rest_len : len;
        memcpy(x->rest + x->rest_len, p, n);
        x->rest_len += n;
        p += n;
        len -= n;
        if (x->rest_len < 16)
            return;
        add_stripe(x, x->rest);
        x->rest_len = 0;
    }
    for (; len >= 16; p += 16, len -= 16)
        add_stripe(x, p);
    if (len)
        memcpy(x->rest, p, len);
    x->rest_len = len;
}

uint32_t fc_xxh32_sum(const struct fc_xxh32 *x)
{
    const uint8_t *p = x->rest, *end = p + x->rest_len;
    uint32_t h = x->total < 16
                     ? PRIME5
                     : turn(x->lane[0], 1) + turn(x->lane[1], 7) + turn(x->lane[2], 12) + turn(x->lane[3], 18);

    h += (uint32_t)x->total;
    for (; end - p >= 4; p += 4)
        h = turn(h + fc_load32(p, false) * PRIME3, 17) * PRIME4;
    for (; p < end; p++)
        h = turn(h + *p * PRIME5, 11) * PRIME1;
    h = (h ^ h >> 15) * PRIME2;
    h = (h ^ h >> 13) * PRIME3;
    return h ^ h >> 16;
}

uint32_t fc_xxh32(const void *data, size_t len)
{
    struct fc_xxh32 x;

    fc_xxh32_init(&x);
    fc_xxh32_add(&x, data, len);
    return fc_xxh32_sum(&x);
}
