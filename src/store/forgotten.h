/* SPDX-License-Identifier: MIT */
/* What stands in files.resume of a capture that is forgotten, byte by byte as in schema/flowcarve.sql. Threads: any. */
#ifndef FC_STORE_FORGOTTEN_H
#define FC_STORE_FORGOTTEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { FC_FORGOTTEN_BYTES = 2 + 8 };

/* Whether its row, by which it is known, may go some day. */
enum fc_forgotten_how {
    FC_FORGOTTEN_KEPT = 0, /* not: it may be there */
    FC_FORGOTTEN_DELETED,  /* as it was deleted by limits, */
    FC_FORGOTTEN_ABSENT    /* or was not there any more */
};

struct fc_forgotten_mark {
    int64_t time_ns; /* when that was, ns since 1970 */
    enum fc_forgotten_how how;
};

/* Writes FC_FORGOTTEN_BYTES. */
void fc_forgotten_mark_put(const struct fc_forgotten_mark *mark, uint8_t *out);
/* False: it is none. */
bool fc_forgotten_mark_get(const uint8_t *p, size_t len, struct fc_forgotten_mark *mark);

#endif
