/* SPDX-License-Identifier: MIT */
#include "stream/queue.h"
#include "base/vector.h"

void fc_queue_add(struct fc_piece_queue *q, const struct fc_piece *piece)
{
    if (fc_vector_reserve(&q->pieces, &q->room, q->count + 1, sizeof *q->pieces))
        q->failed = true;
    else
        q->pieces[q->count++] = *piece;
}

void fc_queue_keep(struct fc_piece_queue *q, void *block)
{
    if (fc_vector_reserve(&q->spent, &q->spent_room, q->spent_count + 1, sizeof *q->spent)) {
        q->failed = true; /* nothing is taken from the queue any more */
        free(block);
    } else {
        q->spent[q->spent_count++] = block;
    }
}

const struct fc_piece *fc_queue_take(struct fc_piece_queue *q)
{
    return q->next < q->count ? &q->pieces[q->next++] : NULL;
}

void fc_queue_clear(struct fc_piece_queue *q)
{
    for (size_t i = 0; i < q->spent_count; i++)
        free(q->spent[i]);
    q->next = q->count = q->spent_count = 0;
}

void fc_queue_fini(struct fc_piece_queue *q)
{
    fc_queue_clear(q);
    free(q->pieces);
    free(q->spent);
    *q = (struct fc_piece_queue){0};
}
