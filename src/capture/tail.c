/* SPDX-License-Identifier: MIT */
#include "capture/tail.h"

#include <flowcarve/error.h>
#include <stdlib.h>
#include <string.h>

int fc_tail_init(struct fc_tail *tail, size_t room)
{
    memset(tail, 0, sizeof *tail);
    pthread_mutex_init(&tail->lock, NULL);
    for (tail->room = 1; tail->room <= room / 2;)
        tail->room *= 2;
    tail->ring = malloc(tail->room);
    return tail->ring ? 0 : FC_E_NOMEM;
}

void fc_tail_fini(struct fc_tail *tail)
{
    free(tail->ring);
    pthread_mutex_destroy(&tail->lock);
}

const uint8_t *fc_tail_piece(const struct fc_tail *tail, uint64_t off, size_t *n)
{
    size_t at = (size_t)(off & (tail->room - 1));

    if (*n > tail->room - at)
        *n = tail->room - at;
    return tail->ring + at;
}

void fc_tail_append(struct fc_tail *tail, const void *data, size_t n)
{
    const uint8_t *from = data;

    pthread_mutex_lock(&tail->lock);
    while (n) {
        size_t at = (size_t)(tail->end & (tail->room - 1)), piece = n < tail->room - at ? n : tail->room - at;
        memcpy(tail->ring + at, from, piece);
        tail->end += piece;
        from += piece;
        n -= piece;
    }
    pthread_mutex_unlock(&tail->lock);
}

size_t fc_tail_read(struct fc_tail *tail, void *buf, size_t n, uint64_t off)
{
    uint8_t *to = buf;

    pthread_mutex_lock(&tail->lock);
    if (off > tail->end || tail->end - off > tail->room)
        n = 0;
    else if (n > tail->end - off)
        n = (size_t)(tail->end - off);
    for (size_t done = 0; done < n;) {
        size_t piece = n - done;
        const uint8_t *from = fc_tail_piece(tail, off + done, &piece);
        memcpy(to + done, from, piece);
        done += piece;
    }
    pthread_mutex_unlock(&tail->lock);
    return n;
}
