/* SPDX-License-Identifier: MIT */
/*
 * The files of the page as gzip, for clients that take it: made once when the server starts, as what anybody may ask
 * for without a token must cost next to nothing. Threads: those that answer read. Memory: half of what the files have.
 */
#ifndef FC_SERVE_PACKED_H
#define FC_SERVE_PACKED_H

#include <stddef.h>

/* Of the asset of the same number; bytes NULL: it is sent as it is. */
struct fc_packed {
    unsigned char *bytes;
    size_t size;
};

/* One for each of fc_assets; fc_packed_free() frees. NULL: out of memory. */
struct fc_packed *fc_packed_make(void);
void fc_packed_free(struct fc_packed *packed);

#endif
