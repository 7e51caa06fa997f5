/* SPDX-License-Identifier: MIT */
#include "live/batches.h"
#include "base/export.h"
#include "live/blocks.h"
#include "live/changes.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

/* So long packets of one input wait for older ones of another one that does not say whether there are any. */
#define MERGE_WAIT_NS INT64_C(500000000)

int fc_batches_init(struct fc_batches *b, uint64_t bytes, bool wait)
{
    pthread_condattr_t attributes;

    memset(b, 0, sizeof *b);
    pthread_mutex_init(&b->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&b->came, &attributes);
    pthread_cond_init(&b->room, &attributes);
    pthread_condattr_destroy(&attributes);
    b->most = (size_t)(bytes / sizeof(struct fc_batch));
    b->wait = wait;
    return 0;
}

static void free_list(struct fc_batch *batch)
{
    while (batch) {
        struct fc_batch *next = batch->next;
        free(batch);
        batch = next;
    }
}

void fc_batches_fini(struct fc_batches *b)
{
    while (b->inputs) {
        struct fc_recorder_input *next = b->inputs->next;
        free(b->inputs->current);
        free_list(b->inputs->first);
        free_list(b->inputs->head);
        free(b->inputs);
        b->inputs = next;
    }
    free_list(b->spare);
    pthread_cond_destroy(&b->came);
    pthread_cond_destroy(&b->room);
    pthread_mutex_destroy(&b->lock);
}

int fc_batches_input(struct fc_batches *b, struct fc_recorder_input **out)
{
    enum { LEAST = 3 }; /* batches that an input can always have: being filled, handed over, being written */
    struct fc_recorder_input *input = calloc(1, sizeof *input);

    *out = input;
    if (!input)
        return FC_E_NOMEM;
    input->batches = b;
    input->last = &input->first;
    input->tail = &input->head;
    input->until_ns = input->known_ns = INT64_MIN;
    pthread_mutex_lock(&b->lock);
    input->next = b->inputs;
    b->inputs = input;
    b->input_count++;
    if (b->most < LEAST * b->input_count)
        b->most = LEAST * b->input_count;
    pthread_mutex_unlock(&b->lock);
    return 0;
}

/* ---- an input's thread */

/* Of all batches, so that an input that is ahead leaves room to those that it waits for. Under the lock. */
static size_t share(const struct fc_batches *b)
{
    return b->most / b->input_count;
}

static bool has_room(const struct fc_recorder_input *input)
{
    const struct fc_batches *b = input->batches;

    return input->held < share(b) && (b->spare || b->count < b->most);
}

/* An empty batch, or NULL: there is no room. Under the lock. */
static struct fc_batch *get_batch(struct fc_recorder_input *input)
{
    struct fc_batches *b = input->batches;
    struct fc_batch *batch = NULL;

    while (!has_room(input) && b->wait && !b->ended)
        pthread_cond_wait(&b->room, &b->lock);
    if (!has_room(input))
        return NULL;
    if (b->spare) {
        batch = b->spare;
        b->spare = batch->next;
    } else if ((batch = malloc(sizeof *batch))) {
        b->count++;
    }
    if (batch) {
        batch->next = NULL;
        batch->used = batch->at = 0;
        input->held++;
    }
    return batch;
}

/* Under the lock. */
static void hand_over(struct fc_recorder_input *input)
{
    struct fc_batch *batch = input->current;

    if (!batch || !batch->used)
        return;
    batch->since_ns = fc_live_now();
    *input->last = batch;
    input->last = &batch->next;
    input->current = NULL;
    input->batches->news = true;
    pthread_cond_signal(&input->batches->came);
}

static void count(uint64_t *counter)
{
    __atomic_store_n(counter, *counter + 1, __ATOMIC_RELAXED);
}

FC_EXPORT int fc_recorder_add(struct fc_recorder_input *input, const struct fc_recorder_packet *packet)
{
    enum { CAPLEN_MAX = 262144 };
    struct fc_batches *b = input->batches;
    size_t need = fc_block_packet_bytes(packet->caplen);

    if (packet->interface >= FC_INTERFACES_MAX || !b->tsresol[packet->interface] || packet->caplen > CAPLEN_MAX ||
        packet->origlen < packet->caplen || packet->time_ns < 0)
        return FC_E_USAGE;
    struct fc_input_counts *counts = &input->counts[packet->interface];
    if (!input->current || input->current->used + need > FC_BATCH_BYTES) {
        pthread_mutex_lock(&b->lock);
        hand_over(input);
        if (!input->current)
            input->current = get_batch(input);
        pthread_mutex_unlock(&b->lock);
    }
    if (!input->current) {
        count(__atomic_load_n(&b->slow, __ATOMIC_RELAXED) ? &counts->dropped_disk : &counts->dropped_queue);
        return FC_E_LIMIT;
    }
    input->current->used +=
        fc_block_packet(input->current->data + input->current->used, packet, b->tsresol[packet->interface]);
    count(&counts->added);
    return 0;
}

FC_EXPORT void fc_recorder_until(struct fc_recorder_input *input, int64_t time_ns)
{
    struct fc_batches *b = input->batches;

    pthread_mutex_lock(&b->lock);
    hand_over(input);
    input->until_ns = time_ns;
    if (b->input_count > 1) /* others may wait for this word */
        pthread_cond_signal(&b->came);
    pthread_mutex_unlock(&b->lock);
}

/* ---- the thread that writes */

void fc_batches_wait(struct fc_batches *b, int64_t ns)
{
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    ns += until.tv_nsec;
    until.tv_sec += ns / 1000000000;
    until.tv_nsec = ns % 1000000000;
    pthread_mutex_lock(&b->lock);
    if (!b->news)
        pthread_cond_timedwait(&b->came, &b->lock, &until);
    b->news = false;
    pthread_mutex_unlock(&b->lock);
}

void fc_batches_wake(struct fc_batches *b)
{
    pthread_mutex_lock(&b->lock);
    b->news = true;
    pthread_cond_signal(&b->came);
    pthread_mutex_unlock(&b->lock);
}

void fc_batches_end(struct fc_batches *b)
{
    pthread_mutex_lock(&b->lock);
    b->ended = true;
    pthread_cond_broadcast(&b->room);
    pthread_mutex_unlock(&b->lock);
}

static void see_head(const struct fc_batches *b, struct fc_recorder_input *input)
{
    const uint8_t *block = input->head ? input->head->data + input->head->at : NULL;

    if (block)
        input->head_ns = fc_block_packet_ns(block, b->tsresol[fc_block_packet_interface(block)]);
}

void fc_batches_pull(struct fc_batches *b, bool all)
{
    pthread_mutex_lock(&b->lock);
    b->known = b->inputs;
    b->known_count = b->input_count;
    for (struct fc_recorder_input *i = b->known; i; i = i->next) {
        bool empty = !i->head;
        if (all)
            hand_over(i);
        if (i->first) {
            *i->tail = i->first;
            i->tail = i->last;
            i->first = NULL;
            i->last = &i->first;
        }
        i->known_ns = i->until_ns;
        i->scarce = !b->wait && i->held > share(b) * 3 / 4;
        if (empty)
            see_head(b, i);
    }
    pthread_mutex_unlock(&b->lock);
}

/* Gives back a batch that is empty. */
static void drop_head(struct fc_batches *b, struct fc_recorder_input *input)
{
    struct fc_batch *batch = input->head;

    if (!(input->head = batch->next))
        input->tail = &input->head;
    pthread_mutex_lock(&b->lock);
    batch->next = b->spare;
    b->spare = batch;
    input->held--;
    pthread_cond_broadcast(&b->room);
    pthread_mutex_unlock(&b->lock);
}

/*
 * The input whose packet comes next, and until which time its packets do: NULL, none for sure. A clock that is set back
 * by an hour, or an input that says nothing, holds nobody up for longer than a moment; neither does it when memory gets
 * scarce.
 */
static struct fc_recorder_input *choose(struct fc_batches *b, bool all, int64_t *until_ns)
{
    struct fc_recorder_input *first = NULL, *longest = NULL;
    int64_t others_ns = INT64_MAX;

    for (struct fc_recorder_input *i = b->known; i; i = i->next) {
        if (!i->head)
            continue;
        if (!first || i->head_ns < first->head_ns) {
            others_ns = first ? first->head_ns : others_ns;
            first = i;
        } else if (i->head_ns < others_ns) {
            others_ns = i->head_ns;
        }
        if (!longest || i->head->since_ns < longest->head->since_ns)
            longest = i;
    }
    *until_ns = INT64_MAX;
    if (!first || b->known_count == 1)
        return first;
    *until_ns = others_ns;
    if (all)
        return first;
    if (longest != first && fc_live_now() - longest->head->since_ns > 2 * MERGE_WAIT_NS) {
        *until_ns = INT64_MIN; /* one at a time */
        return longest;
    }
    bool late = fc_live_now() - first->head->since_ns > MERGE_WAIT_NS || first->scarce;
    for (struct fc_recorder_input *i = b->known; i && !late; i = i->next)
        if (!i->head && i->known_ns < *until_ns)
            *until_ns = i->known_ns;
    return *until_ns < first->head_ns && !late ? NULL : first;
}

const uint8_t *fc_batches_next(struct fc_batches *b, bool all, size_t most, size_t *n)
{
    int64_t until_ns;
    struct fc_recorder_input *input;

    for (input = b->known; input; input = input->next)
        if (input->head && input->head->at == input->head->used) {
            drop_head(b, input);
            see_head(b, input);
        }
    if (!(input = choose(b, all, &until_ns)))
        return NULL;
    struct fc_batch *batch = input->head;
    const uint8_t *start = batch->data + batch->at;
    *n = 0;
    while (batch->at < batch->used) {
        size_t length = fc_block_length(batch->data + batch->at);
        if (*n && (*n + length > most || input->head_ns > until_ns))
            break;
        *n += length;
        batch->at += length;
        if (batch->at < batch->used)
            see_head(b, input);
    }
    return start;
}
