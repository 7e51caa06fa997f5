/* SPDX-License-Identifier: MIT */
#include "store/behind.h"
#include "base/error.h"
#include "base/io.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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
    pthread_cond_init(&b->changed, NULL);
}

static void *run(void *arg)
{
    struct fc_behind *b = arg;

    pthread_mutex_lock(&b->lock);
    for (;;) {
        while (!b->count && !b->stop)
            pthread_cond_wait(&b->changed, &b->lock);
        if (!b->count)
            break;
        struct fc_behind_job job = b->jobs[b->first];
        bool failed = b->why.code != 0;
        struct fc_error err = {.code = 0};
        pthread_mutex_unlock(&b->lock);
        int rc = failed ? 0 : fc_io_write(b->fd, job.data, job.len, job.off, b->name, &err);
        pthread_mutex_lock(&b->lock);
        if (rc)
            b->why = err;
        b->spare[b->spare_count++] = job.data;
        b->first = (b->first + 1) % FC_BEHIND_JOBS;
        b->count--;
        pthread_cond_broadcast(&b->changed);
    }
    pthread_mutex_unlock(&b->lock);
    return NULL;
}

/* What went wrong behind the caller's back. Under the lock. */
static int failure(const struct fc_behind *b, struct fc_error *err)
{
    if (b->why.code && err)
        *err = b->why;
    return b->why.code;
}

static bool start(struct fc_behind *b)
{
    if (!b->alone && !b->running && b->passed >= THREAD_FROM_BUFFERS && sysconf(_SC_NPROCESSORS_ONLN) > 1)
        b->running = pthread_create(&b->thread, NULL, run, b) == 0;
    return b->running;
}

int fc_behind_pass(struct fc_behind *b, uint64_t off, uint8_t **data, size_t len, struct fc_error *err)
{
    int rc = 0;

    pthread_mutex_lock(&b->lock);
    b->passed++;
    if (!start(b)) {
        pthread_mutex_unlock(&b->lock);
        return fc_io_write(b->fd, *data, len, off, b->name, err);
    }
    while (b->count == FC_BEHIND_JOBS)
        pthread_cond_wait(&b->changed, &b->lock);
    uint8_t *other = b->spare_count ? b->spare[--b->spare_count] : malloc(b->buffer_bytes);
    if (!other) {
        rc = fc_error_set(err, FC_E_NOMEM, b->name, FC_NO_OFFSET, "out of memory");
    } else if ((rc = failure(b, err))) {
        b->spare[b->spare_count++] = other;
    } else {
        b->jobs[(b->first + b->count++) % FC_BEHIND_JOBS] = (struct fc_behind_job){off, len, *data};
        *data = other;
        pthread_cond_broadcast(&b->changed);
    }
    pthread_mutex_unlock(&b->lock);
    return rc;
}

static bool overlaps(const struct fc_behind *b, uint64_t off, size_t len)
{
    for (unsigned i = 0; i < b->count; i++) {
        const struct fc_behind_job *job = &b->jobs[(b->first + i) % FC_BEHIND_JOBS];
        if (job->off < off + len && off < job->off + job->len)
            return true;
    }
    return false;
}

void fc_behind_settle(struct fc_behind *b, uint64_t off, size_t len)
{
    pthread_mutex_lock(&b->lock);
    while (overlaps(b, off, len))
        pthread_cond_wait(&b->changed, &b->lock);
    pthread_mutex_unlock(&b->lock);
}

int fc_behind_stop(struct fc_behind *b, struct fc_error *err)
{
    pthread_mutex_lock(&b->lock);
    b->stop = true;
    pthread_cond_broadcast(&b->changed);
    bool running = b->running;
    pthread_mutex_unlock(&b->lock);
    if (running)
        pthread_join(b->thread, NULL);
    b->running = false;
    b->stop = false;
    return failure(b, err);
}

void fc_behind_fini(struct fc_behind *b)
{
    fc_behind_stop(b, NULL);
    for (unsigned i = 0; i < b->spare_count; i++)
        free(b->spare[i]);
    pthread_mutex_destroy(&b->lock);
    pthread_cond_destroy(&b->changed);
}
