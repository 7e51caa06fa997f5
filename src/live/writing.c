/* SPDX-License-Identifier: MIT */
#include "live/writing.h"
#include "base/error.h"
#include "base/io.h"
#include "live/blocks.h"
#include "live/changes.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define MS INT64_C(1000000)
#define LOOK_NS (50 * MS)   /* at the clock, and for what an input that says nothing has left */
#define AGAIN_NS (100 * MS) /* where a file cannot be made or written */
enum { PIECE = 1 << 20, ALIGNED = 64 << 10 };

static int64_t wall_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int fc_writing_init(struct fc_writing *w, uint64_t memory_bytes, bool wait)
{
    pthread_condattr_t attributes;

    pthread_mutex_init(&w->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&w->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    w->last = &w->files;
    int rc = fc_batches_init(&w->batches, memory_bytes / 2, wait);
    return rc ? rc : fc_tail_init(&w->tail, (size_t)(memory_bytes / 2));
}

void fc_writing_fini(struct fc_writing *w)
{
    while (w->files) {
        struct fc_written *next = w->files->next;
        fc_part_fini(&w->files->part);
        free(w->files);
        w->files = next;
    }
    for (uint32_t i = 0; i < w->interface_count; i++) {
        free((char *)(uintptr_t)w->interfaces[i].name);
        free((char *)(uintptr_t)w->interfaces[i].description);
        free((char *)(uintptr_t)w->interfaces[i].filter);
    }
    fc_batches_fini(&w->batches);
    fc_tail_fini(&w->tail);
    free(w->folder);
    free(w->prefix);
    pthread_cond_destroy(&w->changed);
    pthread_mutex_destroy(&w->lock);
}

/* ---- the file */

/* What cannot be done is told by who commits. False: it ends, and is not to be tried again. */
static bool try_again(struct fc_writing *w, const struct fc_error *why)
{
    pthread_mutex_lock(&w->lock);
    w->why = *why;
    bool closing = w->closing;
    pthread_mutex_unlock(&w->lock);
    if (!closing) {
        const struct timespec pause = {.tv_nsec = AGAIN_NS};
        nanosleep(&pause, NULL);
    }
    return !closing;
}

/* Up to `end` of the tail. False: it cannot be. */
static bool write_out(struct fc_writing *w, uint64_t end)
{
    struct fc_error why;
    bool ok = true;

    __atomic_store_n(&w->batches.slow, true, __ATOMIC_RELAXED);
    while (w->written < end && ok) {
        size_t n = end - w->written < PIECE ? (size_t)(end - w->written) : PIECE;
        const uint8_t *from = fc_tail_piece(&w->tail, w->written, &n);
        if (fc_io_write(w->now->part.fd, from, n, w->written - w->now->base, w->now->part.path, &why) == 0)
            w->written += n;
        else
            ok = try_again(w, &why);
    }
    __atomic_store_n(&w->batches.slow, false, __ATOMIC_RELAXED);
    return ok;
}

/* All that the file has got so far is in it. */
static bool flush(struct fc_writing *w)
{
    bool ok = !w->now || write_out(w, w->tail.end);

    pthread_mutex_lock(&w->lock);
    if (ok && w->now)
        w->now->size = w->written - w->now->base;
    if (ok && !w->gave_up)
        w->why.code = FC_OK;
    for (uint32_t i = 0; ok && i < w->interface_count; i++) {
        w->counts[i].recorded = w->mine[i].recorded;
        w->counts[i].recorded_bytes = w->mine[i].recorded_bytes;
        w->counts[i].lost = w->mine[i].lost;
    }
    pthread_mutex_unlock(&w->lock);
    return ok;
}

/* Room for n bytes more, which are written in large pieces that end where a page does. */
static bool append(struct fc_writing *w, const void *data, size_t n)
{
    uint64_t end = w->tail.end - (w->tail.end - w->now->base) % ALIGNED;

    if (w->tail.end - w->written >= PIECE && end > w->written && !write_out(w, end))
        return false;
    if (w->tail.end + n - w->written > w->tail.room && !write_out(w, w->tail.end))
        return false;
    fc_tail_append(&w->tail, data, n);
    return true;
}

static struct fc_written *make_file(struct fc_writing *w, struct fc_error *err)
{
    struct fc_written *file = calloc(1, sizeof *file);

    if (!file)
        fc_error_set(err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");
    else if (fc_part_create(w->folder, w->prefix, &w->rights, &file->part, err) == 0)
        return file;
    free(file);
    return NULL;
}

static bool begin_file(struct fc_writing *w)
{
    uint8_t head[FC_BLOCK_HEAD_MAX];
    struct fc_written *file;
    struct fc_error why;

    __atomic_store_n(&w->batches.slow, true, __ATOMIC_RELAXED);
    while (!(file = make_file(w, &why)) && try_again(w, &why)) {
    }
    __atomic_store_n(&w->batches.slow, false, __ATOMIC_RELAXED);
    if (!file)
        return false;
    file->base = w->written = w->tail.end;
    w->started_ns = wall_ns();
    if (w->rotate_ns)
        w->rotate_at_ns = (w->started_ns / w->rotate_ns + 1) * w->rotate_ns;
    w->described = 0;
    w->packets = 0;
    pthread_mutex_lock(&w->lock);
    *w->last = file;
    w->last = &file->next;
    w->now = file;
    pthread_mutex_unlock(&w->lock);
    return append(w, head, fc_block_section(head));
}

/* Those that have come since. */
static bool describe(struct fc_writing *w)
{
    uint8_t head[FC_BLOCK_HEAD_MAX];
    bool ok = true;

    pthread_mutex_lock(&w->lock);
    uint32_t count = w->interface_count;
    pthread_mutex_unlock(&w->lock);
    while (w->described < count && (ok = append(w, head, fc_block_interface(head, &w->interfaces[w->described]))))
        w->described++;
    return ok;
}

/* Since those of the file before: what was dropped between two files is in the later one. */
static bool put_statistics(struct fc_writing *w)
{
    uint8_t block[FC_BLOCK_HEAD_MAX];
    struct fc_interface_counts told[FC_INTERFACES_MAX];
    int64_t now_ns = wall_ns();
    bool ok = true;

    pthread_mutex_lock(&w->lock);
    memcpy(told, w->counts, sizeof told);
    pthread_mutex_unlock(&w->lock);
    for (uint32_t i = 0; i < w->described && ok; i++) {
        struct fc_interface_counts *from = &w->told[i];
        struct fc_block_statistics s = {.start_ns = w->started_ns,
                                        .end_ns = now_ns,
                                        .recorded = w->mine[i].recorded - from->recorded,
                                        .dropped_kernel = told[i].kernel - from->kernel,
                                        .dropped_iface = told[i].iface - from->iface};
        s.received = s.recorded + s.dropped_kernel;
        ok = append(w, block, fc_block_statistics(block, i, w->interfaces[i].tsresol, &s));
        from->recorded = w->mine[i].recorded;
        from->kernel = told[i].kernel;
        from->iface = told[i].iface;
    }
    return ok;
}

/* What is not in the file is lost: it ends, and the disk takes nothing. With the lock held. */
static void give_up(struct fc_writing *w)
{
    w->gave_up = true;
    for (uint32_t i = 0; i < w->interface_count; i++) {
        w->mine[i].lost += w->mine[i].recorded - w->counts[i].recorded;
        w->mine[i].recorded = w->counts[i].recorded;
        w->mine[i].recorded_bytes = w->counts[i].recorded_bytes;
        w->counts[i].lost = w->mine[i].lost;
    }
}

/* Nothing more comes to the file. */
static void end_file(struct fc_writing *w)
{
    if (!w->now)
        return;
    bool ok = put_statistics(w) && flush(w);
    pthread_mutex_lock(&w->lock);
    w->now->complete = ok; /* else it stays as it is, and is mended by the next recorder */
    if (!ok)
        give_up(w);
    pthread_mutex_unlock(&w->lock);
    w->now = NULL;
    w->written = w->tail.end;
}

static void end_when_due(struct fc_writing *w)
{
    bool asked = __atomic_exchange_n(&w->rotate, false, __ATOMIC_RELAXED);

    int64_t now_ns = wall_ns();
    /* also where the clock was set back behind the file's beginning */
    bool due = w->rotate_ns && (now_ns >= w->rotate_at_ns || now_ns < w->rotate_at_ns - w->rotate_ns);

    if (w->now && (asked || due))
        end_file(w);
}

/* ---- packets */

/* Counts packets of whole blocks. *n: those that the file has room for, at least one. */
static void count_blocks(struct fc_writing *w, const uint8_t *blocks, size_t n, bool recorded)
{
    uint64_t packets = 0;

    for (size_t at = 0; at < n; at += fc_block_length(blocks + at), packets++) {
        struct fc_interface_counts *c = &w->mine[fc_block_packet_interface(blocks + at)];
        c->recorded += recorded;
        c->recorded_bytes += recorded ? fc_block_packet_caplen(blocks + at) : 0;
        c->lost += !recorded;
    }
    w->packets += recorded ? packets : 0;
    w->since_signal += recorded ? packets : 0;
}

/* What is left of the file, as far as the tail can take it in at once. */
static size_t room_for(const struct fc_writing *w)
{
    uint64_t used = w->now ? w->tail.end - w->now->base : 0;
    uint64_t left = used < w->rotate_bytes ? w->rotate_bytes - used : 0;

    return left < w->tail.room / 2 ? (size_t)left : w->tail.room / 2;
}

static void note_first(struct fc_writing *w)
{
    pthread_mutex_lock(&w->lock);
    if (!w->first_ns)
        w->first_ns = fc_live_now();
    pthread_mutex_unlock(&w->lock);
}

static bool take_packets(struct fc_writing *w, bool all)
{
    const uint8_t *blocks;
    bool some = false;
    size_t n;

    while ((blocks = fc_batches_next(&w->batches, all, room_for(w), &n))) {
        if (w->now && w->packets && n > room_for(w))
            end_file(w);
        bool ok = (w->now || begin_file(w)) && describe(w) && append(w, blocks, n);
        count_blocks(w, blocks, n, ok);
        if (!some)
            note_first(w);
        some = true;
    }
    return some;
}

static void tell_due(struct fc_writing *w)
{
    if (!w->signal_packets || w->since_signal < w->signal_packets)
        return;
    w->since_signal = 0;
    pthread_mutex_lock(&w->lock);
    w->due = true;
    pthread_cond_signal(&w->changed);
    pthread_mutex_unlock(&w->lock);
}

static void *write_all(void *ctx)
{
    struct fc_writing *w = ctx;
    bool closing = false;

    while (!closing) {
        pthread_mutex_lock(&w->lock);
        uint64_t wanted = w->flush_wanted, done = w->flush_done;
        closing = w->closing;
        pthread_mutex_unlock(&w->lock);
        fc_batches_pull(&w->batches, closing);
        end_when_due(w);
        bool some = take_packets(w, closing);
        tell_due(w);
        if (closing)
            end_file(w);
        if (wanted != done || closing) {
            bool ok = flush(w);
            pthread_mutex_lock(&w->lock);
            w->flush_done = ok ? wanted : done;
            pthread_cond_broadcast(&w->changed);
            pthread_mutex_unlock(&w->lock);
        } else if (!some) {
            fc_batches_wait(&w->batches, LOOK_NS);
        }
    }
    return NULL;
}

int fc_writing_start(struct fc_writing *w, struct fc_error *err)
{
    if (pthread_create(&w->thread, NULL, write_all, w) != 0)
        return fc_error_set(err, FC_E_LIMIT, NULL, FC_NO_OFFSET, "no thread can be had");
    w->started = true;
    return 0;
}

void fc_writing_stop(struct fc_writing *w)
{
    if (!w->started)
        return;
    fc_batches_end(&w->batches);
    pthread_mutex_lock(&w->lock);
    w->closing = true;
    pthread_mutex_unlock(&w->lock);
    fc_batches_wake(&w->batches);
    pthread_join(w->thread, NULL);
    w->started = false;
}

void fc_writing_sum(struct fc_writing *w, uint32_t interface, struct fc_recorder_counts *out)
{
    const struct fc_interface_counts *c = &w->counts[interface];
    uint64_t added = 0;

    pthread_mutex_lock(&w->batches.lock);
    for (const struct fc_recorder_input *i = w->batches.inputs; i; i = i->next) {
        const struct fc_input_counts *of = &i->counts[interface];
        added += __atomic_load_n(&of->added, __ATOMIC_RELAXED);
        out->dropped_queue += __atomic_load_n(&of->dropped_queue, __ATOMIC_RELAXED);
        out->dropped_disk += __atomic_load_n(&of->dropped_disk, __ATOMIC_RELAXED);
    }
    pthread_mutex_unlock(&w->batches.lock);
    out->recorded += c->recorded;
    out->recorded_bytes += c->recorded_bytes;
    out->dropped_disk += c->lost;
    out->dropped_kernel += c->kernel;
    out->dropped_iface += c->iface;
    out->waiting += added - c->recorded - c->lost;
    out->received = out->recorded + out->waiting + out->dropped_kernel + out->dropped_queue + out->dropped_disk;
}
