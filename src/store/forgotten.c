/* SPDX-License-Identifier: MIT */
#include "store/forgotten.h"
#include "base/bytes.h"

enum { VERSION = 2 /* 1 is what reading on needs (store/resume.h) */ };

void fc_forgotten_mark_put(const struct fc_forgotten_mark *mark, uint8_t *out)
{
    out[0] = VERSION;
    out[1] = (uint8_t)mark->how;
    for (int i = 0; i < 8; i++)
        out[2 + i] = (uint8_t)((uint64_t)mark->time_ns >> 8 * i);
}

bool fc_forgotten_mark_get(const uint8_t *p, size_t len, struct fc_forgotten_mark *mark)
{
    if (!p || len != FC_FORGOTTEN_BYTES || p[0] != VERSION || p[1] > FC_FORGOTTEN_ABSENT)
        return false;
    mark->how = (enum fc_forgotten_how)p[1];
    mark->time_ns = (int64_t)fc_load64(p + 2, false);
    return true;
}
