/* SPDX-License-Identifier: MIT */
/* Pieces on their way out, and the memory that their data lie in until all are taken. Threads: one. */
#ifndef FC_STREAM_QUEUE_H
#define FC_STREAM_QUEUE_H

#include <flowcarve/stream.h>

struct fc_piece_queue {
    struct fc_piece *pieces;
    size_t next, count, room;
    void **spent; /* to be freed when the queue is filled anew */
    size_t spent_count, spent_room;
    bool failed; /* memory was short: a piece is not in it */
};

/* Adds a piece. */
void fc_queue_add(struct fc_piece_queue *queue, const struct fc_piece *piece);
/* Takes over a block of memory that pieces point to. */
void fc_queue_keep(struct fc_piece_queue *queue, void *block);
/* Next piece, or NULL; behind the last one the queue may be refilled, after fc_queue_clear(). */
const struct fc_piece *fc_queue_take(struct fc_piece_queue *queue);
void fc_queue_clear(struct fc_piece_queue *queue);
void fc_queue_fini(struct fc_piece_queue *queue);

#endif
