/* SPDX-License-Identifier: MIT */
#include "store/ahead.h"
#include "base/error.h"

#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    THREAD_FROM_RECORDS = 20000, /* fewer take less time than a thread takes to start */
    /* of a batch: to put a thread to sleep and wake it takes longer than to fill or empty some hundred records, and
     * with few batches
     * one of the two always waits */
    RECORDS = 1024,
    BATCHES = 8
};

struct batch {
    struct fc_session_record records[RECORDS];
    size_t blob_at[RECORDS]; /* in blobs */
    unsigned count;
    struct fc_buffer blobs;
    int end; /* behind the last record: 0 the end, negative a failure; 1: another batch comes */
    struct fc_error why;
};

struct fc_ahead {
    struct fc_merge *merge;
    pthread_t thread;
    bool threaded;
    /* guarded by lock */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    uint64_t filled, emptied; /* batches; number n is batches[n % BATCHES] */
    bool stop;
    /* owner: the thread from `filled` on, the caller before */
    struct batch batches[BATCHES];
    /* owner: the caller */
    struct batch *at; /* the batch at `emptied`, once it is filled */
    unsigned next;    /* record in it */
};

static int add(struct batch *b, const struct fc_session_record *r)
{
    struct fc_session_record *copy = &b->records[b->count];

    if (fc_buffer_reserve(&b->blobs, b->blobs.len + r->blob_len))
        return FC_E_NOMEM;
    memcpy(copy, r, r->has_extra ? sizeof *r : offsetof(struct fc_session_record, extra));
    if (r->blob_len)
        memcpy(b->blobs.data + b->blobs.len, r->blob, r->blob_len);
    b->blob_at[b->count++] = b->blobs.len;
    b->blobs.len += r->blob_len;
    return 0;
}

static void fill(struct fc_merge *merge, struct batch *b)
{
    struct fc_session_record *record;
    int rc = 1;

    b->count = 0;
    b->blobs.len = 0;
    while (b->count < RECORDS && (rc = fc_merge_next(merge, &record, &b->why)) == 1)
        if (add(b, record)) {
            rc = fc_error_set(&b->why, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");
            break;
        }
    b->end = rc;
    for (unsigned i = 0; i < b->count; i++) /* the blobs may have moved */
        b->records[i].blob = b->blobs.data + b->blob_at[i];
}

static void *run(void *arg)
{
    struct fc_ahead *a = arg;
    int more = 1;

    pthread_mutex_lock(&a->lock);
    while (more == 1) {
        while (a->filled == a->emptied + BATCHES && !a->stop)
            pthread_cond_wait(&a->changed, &a->lock);
        if (a->stop)
            break;
        struct batch *b = &a->batches[a->filled % BATCHES];
        pthread_mutex_unlock(&a->lock);
        fill(a->merge, b);
        more = b->end;
        pthread_mutex_lock(&a->lock);
        a->filled++;
        pthread_cond_broadcast(&a->changed);
    }
    pthread_mutex_unlock(&a->lock);
    return NULL;
}

struct fc_ahead *fc_ahead_open(struct fc_merge *merge, uint64_t records, bool alone)
{
    struct fc_ahead *a = calloc(1, sizeof *a);

    if (!a)
        return NULL;
    a->merge = merge;
    pthread_mutex_init(&a->lock, NULL);
    pthread_cond_init(&a->changed, NULL);
    if (!alone && records >= THREAD_FROM_RECORDS && sysconf(_SC_NPROCESSORS_ONLN) > 1)
        a->threaded = pthread_create(&a->thread, NULL, run, a) == 0;
    return a;
}

/* Gives the batch at hand back, if any, and waits for the next one. */
static void turn(struct fc_ahead *a)
{
    pthread_mutex_lock(&a->lock);
    if (a->at) {
        a->emptied++;
        pthread_cond_broadcast(&a->changed);
    }
    while (a->emptied == a->filled)
        pthread_cond_wait(&a->changed, &a->lock);
    pthread_mutex_unlock(&a->lock);
    a->at = &a->batches[a->emptied % BATCHES];
    a->next = 0;
}

int fc_ahead_next(struct fc_ahead *a, struct fc_session_record **record, struct fc_error *err)
{
    if (!a->threaded)
        return fc_merge_next(a->merge, record, err);
    while (!a->at || (a->next == a->at->count && a->at->end == 1))
        turn(a);
    if (a->next < a->at->count) {
        *record = &a->at->records[a->next++];
        return 1;
    }
    if (a->at->end < 0 && err)
        *err = a->at->why;
    return a->at->end;
}

void fc_ahead_close(struct fc_ahead *a)
{
    if (!a)
        return;
    if (a->threaded) {
        pthread_mutex_lock(&a->lock);
        a->stop = true;
        pthread_cond_broadcast(&a->changed);
        pthread_mutex_unlock(&a->lock);
        pthread_join(a->thread, NULL);
    }
    for (unsigned i = 0; i < BATCHES; i++)
        fc_buffer_fini(&a->batches[i].blobs);
    pthread_mutex_destroy(&a->lock);
    pthread_cond_destroy(&a->changed);
    free(a);
}
