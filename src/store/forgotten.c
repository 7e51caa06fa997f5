/* SPDX-License-Identifier: MIT */
#include "store/forgotten.h"
#include "base/bytes.h"

enum { VERSION = 2 /* 1 is what reading on needs (store/resume.h) */, DELETED = 1 };

void fc_forgotten_mark_put(const struct fc_forgotten_mark *mark, uint8_t *out)
{
    out[0] = VERSION;
    out[1] = mark->deleted ? DELETED : 0;
    for (int i = 0; i < 8; i++)
        out[2 + i] = (uint8_t)((uint64_t)mark->time_ns >> 8 * i);
}

bool fc_forgotten_mark_get(const uint8_t *p, size_t len, struct fc_forgotten_mark *mark)
{
    if (!p || len != FC_FORGOTTEN_BYTES || p[0] != VERSION)
        return false;
    mark->deleted = (p[1] & DELETED) != 0;
    mark->time_ns = (int64_t)fc_load64(p + 2, false);
    return true;
}
