/* SPDX-License-Identifier: MIT */
/*
 * Writes buffers to a file behind the caller's back, in the order in which they were handed over.
 *
 * Copying to the page cache costs as much as making the pages of an index; this lets both go on at once. Buffers are
 * lent and come back: who hands one over gets another one for it. The thread starts when so much has come that it pays;
 * until then, and where there is no thread to be had, buffers are written at once.
 *
 * Threads: any may call; _stop and _fini one, after the others. Memory: a few buffers.
 */
#ifndef FC_STORE_BEHIND_H
#define FC_STORE_BEHIND_H

#include "base/handover.h"

#include <stddef.h>

enum { FC_BEHIND_JOBS = 4 };

struct fc_behind {
    /* immutable after init */
    int fd;
    const char *name; /* for messages */
    size_t buffer_bytes;
    bool alone;
    /* guarded by lock, which makes one of all that hand over */
    pthread_mutex_t lock;
    uint64_t passed; /* buffers in all */
    struct fc_handover handover;
    struct fc_behind_job {
        uint64_t off;
        size_t len;
        uint8_t *data;      /* stays when it is written, for the next one */
    } jobs[FC_BEHIND_JOBS]; /* the slots; who empties them only reads */
};

/* buffer_bytes: of all buffers that are handed over; alone: no thread, all is written at once. */
void fc_behind_init(struct fc_behind *behind, int fd, const char *name, size_t buffer_bytes, bool alone);
/* Takes over *data, of which `len` bytes go to offset `off`; *data is another buffer then, with anything in it, from
 * malloc().
 * FC_E_NOMEM, FC_E_IO: of this or of an earlier buffer; *data is still the caller's. */
int fc_behind_pass(struct fc_behind *behind, uint64_t off, uint8_t **data, size_t len, struct fc_error *err);
/* Waits until nothing that was handed over before overlaps these bytes, so that the caller may write there. */
void fc_behind_settle(struct fc_behind *behind, uint64_t off, size_t len);
/* Waits for all and ends the thread. FC_E_IO. */
int fc_behind_stop(struct fc_behind *behind, struct fc_error *err);
/* After a failure also without _stop. */
void fc_behind_fini(struct fc_behind *behind);

#endif
