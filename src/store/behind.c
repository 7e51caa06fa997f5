/* SPDX-License-Identifier: MIT */
#include "store/behind.h"
#include "base/error.h"
#include "base/io.h"

#include <stdlib.h>
#include <string.h>

/* Fewer take less time than a thread takes to start. */
enum { THREAD_FROM_BUFFERS = 16 };

void fc_behind_init(struct fc_behind *b, int fd, const char *name, size_t buffer_bytes, bool alone)
{
    memset(b, 0, sizeof *b);
    b->fd = fd;
    b->name = name;
    b->buffer_bytes = buffer_bytes;
    b->alone = alone;
    pthread_mutex_init(&b->lock, NULL);
    fc_handover_init(&b->handover, FC_BEHIND_JOBS);
}

static void *run(void *arg)
{
    struct fc_behind *b = arg;
    struct fc_error why;
    int slot, rc = 0; /* of the first failure: nothing is written any more */

    while ((slot = fc_handover_next(&b->handover)) >= 0) {
        const struct fc_behind_job *job = &b->jobs[slot];
        if (rc == 0)
            rc = fc_io_write(b->fd, job->data, job->len, job->off, b->name, &why);
        fc_handover_empty(&b->handover, rc ? &why : NULL);
    }
    return NULL;
}

/* Exchanges buffers with a slot. Under the lock. */
static int hand_over(struct fc_behind *b, uint64_t off, uint8_t **data, size_t len, struct fc_error *err)
{
    int slot = fc_handover_room(&b->handover, err);
    struct fc_behind_job *job = &b->jobs[slot < 0 ? 0 : slot];
    uint8_t *other = job->data;

    if (slot < 0)
        return slot;
    if (!other && !(other = malloc(b->buffer_bytes)))
        return fc_error_set(err, FC_E_NOMEM, b->name, FC_NO_OFFSET, "out of memory");
    *job = (struct fc_behind_job){off, len, *data};
    *data = other;
    fc_handover_fill(&b->handover);
    return 0;
}

int fc_behind_pass(struct fc_behind *b, uint64_t off, uint8_t **data, size_t len, struct fc_error *err)
{
    int rc = 0;

    pthread_mutex_lock(&b->lock);
    bool threaded = !b->alone && ++b->passed >= THREAD_FROM_BUFFERS && fc_handover_start(&b->handover, run, b);
    if (threaded)
        rc = hand_over(b, off, data, len, err);
    pthread_mutex_unlock(&b->lock);
    return threaded ? rc : fc_io_write(b->fd, *data, len, off, b->name, err);
}

static bool overlaps(const struct fc_behind_job *job, uint64_t off, size_t len)
{
    return job->off < off + len && off < job->off + job->len;
}

void fc_behind_settle(struct fc_behind *b, uint64_t off, size_t len)
{
    pthread_mutex_lock(&b->lock);
    uint64_t n = b->handover.filled, least = n < FC_BEHIND_JOBS ? 0 : n - FC_BEHIND_JOBS;
    while (n > least && !overlaps(&b->jobs[(n - 1) % FC_BEHIND_JOBS], off, len))
        n--;
    pthread_mutex_unlock(&b->lock);
    fc_handover_settle(&b->handover, n, NULL);
}

int fc_behind_stop(struct fc_behind *b, struct fc_error *err)
{
    return fc_handover_stop(&b->handover, err);
}

void fc_behind_fini(struct fc_behind *b)
{
    fc_handover_fini(&b->handover);
    for (unsigned i = 0; i < FC_BEHIND_JOBS; i++)
        free(b->jobs[i].data);
    pthread_mutex_destroy(&b->lock);
}
