/* SPDX-License-Identifier: MIT */
#include "store/ahead.h"
#include "base/error.h"
#include "base/handover.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum {
    THREAD_FROM_RECORDS = 20000, /* fewer take less time than a thread takes to start */
    /* of a batch: to put a thread to sleep and wake it takes longer than to fill or empty some hundred records, and
     * with few batches one of the two always waits */
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
    bool threaded;
    struct fc_handover handover;
    struct batch batches[BATCHES]; /* its slots */
    /* owner: the caller */
    struct batch *at; /* the batch that is being emptied */
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
    int more = 1, slot;

    while (more == 1 && (slot = fc_handover_room(&a->handover, NULL)) >= 0) {
        fill(a->merge, &a->batches[slot]);
        more = a->batches[slot].end;
        fc_handover_fill(&a->handover);
    }
    return NULL;
}

struct fc_ahead *fc_ahead_open(struct fc_merge *merge, uint64_t records, bool alone)
{
    struct fc_ahead *a = calloc(1, sizeof *a);

    if (!a)
        return NULL;
    a->merge = merge;
    fc_handover_init(&a->handover, BATCHES);
    a->threaded = !alone && records >= THREAD_FROM_RECORDS && fc_handover_start(&a->handover, run, a);
    return a;
}

/* Gives the batch at hand back, if any, and waits for the next one. */
static void turn(struct fc_ahead *a)
{
    if (a->at)
        fc_handover_empty(&a->handover, NULL);
    a->at = &a->batches[fc_handover_next(&a->handover)];
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
    fc_handover_fini(&a->handover);
    for (unsigned i = 0; i < BATCHES; i++)
        fc_buffer_fini(&a->batches[i].blobs);
    free(a);
}
