/* SPDX-License-Identifier: MIT */
/*
 * The last bytes of files that are written one behind the other, in memory: who reads the file that grows has them from
 * here. Offsets are those of all files together; a file knows where its own begin.
 *
 * Threads: one appends, any read.
 */
#ifndef FC_CAPTURE_TAIL_H
#define FC_CAPTURE_TAIL_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

struct fc_tail {
    pthread_mutex_t lock; /* of all below; who appends reads without */
    uint8_t *ring;
    size_t room; /* a power of two */
    uint64_t end;
};

/* room: rounded down to a power of two. FC_E_NOMEM. */
int fc_tail_init(struct fc_tail *tail, size_t room);
void fc_tail_fini(struct fc_tail *tail);

/* Adds n bytes, at most `room`, in place of the oldest. */
void fc_tail_append(struct fc_tail *tail, const void *data, size_t n);

/* Up to n bytes at `off`; 0: it has none of these any more, or not yet. */
size_t fc_tail_read(struct fc_tail *tail, void *buf, size_t n, uint64_t off);

/*
 * For who appends alone: the bytes from `off` on that lie in one piece, at most n of them, which it has. They stay
 * until as many as `room` are appended behind `off`.
 */
const uint8_t *fc_tail_piece(const struct fc_tail *tail, uint64_t off, size_t *n);

#endif
