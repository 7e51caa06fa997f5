/* SPDX-License-Identifier: MIT */
#include "index/pipeline.h"
#include "base/error.h"
#include "index/held.h"
#include "index/slot.h"
#include "index/sweeping.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <urcu.h>

enum { SLOTS_PER_JOB = 2 };

/* Shared by the workers of one run. Everything behind `lock` is guarded by it. */
struct shared {
    struct fc_pipeline *p;
    struct fc_slot *slots;
    size_t slot_count;
    /* shared: atomic */
    _Alignas(64) struct fc_sweeping sweeping;
    atomic_int failed; /* code of the first failure; workers look at it between records */
    /* shared: under the lock */
    _Alignas(64) pthread_mutex_t lock;
    pthread_cond_t changed;
    size_t next_file; /* next chunk to claim */
    uint32_t next_chunk;
    uint64_t claimed, committed, published; /* chunks; all before `published` are in the table */
    struct fc_lender lender;
    bool committing; /* a worker is scanning a chunk again at the commit frontier */
    int64_t watermark_ns;
    struct fc_error why;
};

struct worker {
    struct shared *s;
    unsigned number;
    pthread_t thread;
    bool started;
    struct fc_reader reader;
    struct fc_door door;
    struct fc_sweeper sweeper;
};

/* Under the lock. */
static void fail_locked(struct shared *s, int code, const struct fc_error *why)
{
    if (!s->failed) {
        s->why = *why;
        atomic_store_explicit(&s->failed, code, memory_order_relaxed); /* the lock orders it for those who care */
    }
    pthread_cond_broadcast(&s->changed);
}

static void fail(struct shared *s, int code, const struct fc_error *why)
{
    pthread_mutex_lock(&s->lock);
    fail_locked(s, code, why);
    pthread_mutex_unlock(&s->lock);
}

/* News of the feeder. */
static void told(void *ctx, int code, const struct fc_error *why)
{
    struct shared *s = ctx;

    if (code) {
        fail(s, code, why);
        return;
    }
    pthread_mutex_lock(&s->lock);
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
}

static bool interrupted(const struct fc_pipeline *p)
{
    return p->stop && __atomic_load_n(p->stop, __ATOMIC_RELAXED) != 0;
}

static uint64_t chunk_end(const struct fc_slot *slot)
{
    return (uint64_t)(slot->chunk + 1) * slot->file->chunk_bytes;
}

/* Reads the chunk's records from slot->start on. 0; FC_E_NOMEM, FC_E_IO (libpcap), FC_E_INTERRUPTED. Damage is a result. */
static int scan(struct worker *w, struct fc_slot *slot, struct fc_error *err)
{
    struct fc_pipeline *p = w->s->p;
    const struct fc_file *file = &slot->file->plan->file;
    bool nets = p->settings->net_count != 0, filter = p->settings->filter[0] != 0;
    struct fc_packet *packet;
    struct fc_record rec;
    int rc;

    fc_slot_begin(slot);
    rc = fc_reader_start(&w->reader, file, slot->start, chunk_end(slot),
                         slot->section.number != UINT32_MAX ? &slot->section : NULL);
    if (rc == FC_E_NOMEM)
        return fc_error_set(err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");
    if (rc)
        w->reader.failed = rc;
    else if (slot->open.off != FC_NO_OFFSET)
        fc_reader_resume(&w->reader, &slot->open);
    while ((rc = fc_reader_walk(&w->reader, &rec, chunk_end(slot))) == 1) {
        slot->record_bytes += rec.next_off - rec.off;
        if ((++slot->records & 0xfff) == 0 &&
            (interrupted(p) || atomic_load_explicit(&w->s->failed, memory_order_relaxed)))
            return fc_error_set(err, FC_E_INTERRUPTED, NULL, FC_NO_OFFSET, "interrupted");
        fc_slot_time(slot, rec.ts_ns);
        if (filter) {
            int match = fc_door_match(&w->door, &rec, err);
            if (match < 0) {
                if (!err->file[0])
                    snprintf(err->file, sizeof err->file, "%s", file->path);
                return match;
            }
            if (!match) {
                slot->ignored++;
                continue;
            }
        }
        packet = fc_chunk_packet(slot->runs);
        fc_decode(rec.link_type, rec.data, rec.caplen, rec.origlen, p->settings->mask, packet);
        if (nets && fc_settings_excludes(p->settings, &packet->key)) {
            slot->ignored++;
            continue;
        }
        if (packet->malformed) {
            slot->malformed++;
            packet->key.port[0] = (uint16_t)(slot->file->plan->id >> 16); /* a session of this file's own */
            packet->key.port[1] = (uint16_t)slot->file->plan->id;
        }
        if (fc_chunk_add(slot->runs, &rec, packet))
            return fc_error_set(err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");
    }
    if (rc == FC_E_NOMEM || rc == FC_E_INTERRUPTED) {
        *err = w->reader.why;
        return rc;
    }
    if (fc_chunk_end(slot->runs))
        return fc_error_set(err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");
    return fc_slot_end(slot, &w->reader, err);
}

/* Before its first chunk is committed. Under the lock. */
static int begin_file(struct fc_pipeline *p, size_t i)
{
    const struct fc_plan_file *files = p->plan->files;

    if (i == p->plan->count)
        return 0;
    return fc_fragments_begin_file(p->fragments, files[i].first_ns,
                                   i + 1 == p->plan->count ? INT64_MAX : files[i + 1].first_ns);
}

/* After its last chunk: what is left of the fragments, and the descriptor or the feed. Under the lock. */
static int end_file(struct shared *s, struct fc_scan_file *f)
{
    struct fc_pipeline *p = s->p;
    size_t next = (size_t)(f - p->files) + 1;
    int rc = 0;

    if (p->progress)
        __atomic_store_n(&p->progress->files_done, next, __ATOMIC_RELAXED);
    /* all its chunks are scanned: nobody reads it any more */
    rc = fc_scan_file_end(f);
    if (f->feed) {
        fc_feed_finish(f->feed);
    } else if (f->plan->file.fd >= 0) {
        close(f->plan->file.fd);
        f->plan->file.fd = -1;
    }
    if (rc == 0)
        rc = fc_fragments_end_of_file(p->fragments, next == p->plan->count, fc_fragment_from_ns(p->clock_ns));
    return rc ? rc : begin_file(p, next);
}

/*
 * Whether the chunk to be claimed next can be: 1; -1: it is not known yet whether there is one; 0: the file has ended
 * before it, which is settled then. Under the lock.
 */
static int next_is_there(struct shared *s, struct fc_scan_file *f)
{
    int has = f->feed ? fc_feed_has(f->feed, s->next_chunk * f->chunk_bytes) : 1;
    struct fc_error err;

    if (has)
        return has;
    f->chunk_count = s->next_chunk;
    if (f->chunks_done == f->chunk_count && end_file(s, f)) {
        fc_error_set(&err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");
        fail_locked(s, FC_E_NOMEM, &err);
    }
    return 0;
}

/* Claims the next chunk. NULL: there is none left. Under the lock; may wait. */
static struct fc_slot *claim(struct worker *w)
{
    struct shared *s = w->s;
    struct fc_pipeline *p = s->p;

    for (;;) {
        if (s->failed)
            return NULL;
        while (s->next_file < p->plan->count && s->next_chunk >= p->files[s->next_file].chunk_count) {
            s->next_file++;
            s->next_chunk = 0;
        }
        if (s->next_file == p->plan->count)
            return NULL;
        int there = next_is_there(s, &p->files[s->next_file]);
        if (!there)
            continue;
        if (there > 0 && s->claimed < s->published + s->slot_count)
            break;
        pthread_cond_wait(&s->changed, &s->lock);
    }
    struct fc_slot *slot = &s->slots[s->claimed % s->slot_count];
    slot->file = &p->files[s->next_file];
    slot->chunk = s->next_chunk++;
    slot->seq = s->claimed++;
    slot->state = FC_SLOT_CLAIMED;
    slot->start = UINT64_MAX;
    slot->runs = fc_lender_take(&s->lender);
    return slot;
}

/*
 * Where to start: known when everything before is committed, else a guess. Without a section a pcapng is not guessed at: nothing
 * could be read from there on.
 */
static int choose_start(struct worker *w, struct fc_slot *slot, struct fc_error *err)
{
    struct shared *s = w->s;
    struct fc_scan_file *f = slot->file;
    const struct fc_section *section = &f->section;
    int rc;

    pthread_mutex_lock(&s->lock);
    bool known = f->chunks_done == slot->chunk;
    rc = fc_plan_reopen(f->plan, err);
    fc_section_free(&slot->section);
    if (!known && section->number == UINT32_MAX && f->plan->head)
        section = f->plan->head;
    if (rc == 0 && fc_section_copy(&slot->section, section))
        rc = fc_error_set(err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");
    slot->start = known ? f->next_off : UINT64_MAX;
    slot->dead = f->ended;
    slot->open.off = FC_NO_OFFSET;
    if (known)
        slot->open = f->open;
    pthread_mutex_unlock(&s->lock);
    if (rc || known || slot->dead || slot->section.number == UINT32_MAX)
        return rc;
    uint64_t from = slot->chunk * f->chunk_bytes;
    slot->start = fc_reader_guess(&w->reader, &f->plan->file, from, chunk_end(slot), &slot->section);
    return 0;
}

/* A file that cannot be opened any more: its records are lost, and that is damage with a cause. */
static void unreadable(struct fc_slot *slot, const struct fc_error *why)
{
    fc_slot_begin(slot);
    slot->end = slot->start = slot->chunk == 0 ? slot->file->next_off : UINT64_MAX;
    fc_slot_fail(slot, why);
}

static int read_chunk(struct worker *w, struct fc_slot *slot, struct fc_error *err)
{
    int rc = choose_start(w, slot, err);

    if (rc == FC_E_IO || rc == FC_E_CHANGED) {
        unreadable(slot, err);
        return 0;
    }
    if (rc == 0 && slot->chunk == 0 && !slot->file->feed) {
        struct fc_error why; /* what cannot be read here cannot be read below either, and is damage there */
        fc_file_fingerprint(&slot->file->plan->file, &slot->file->fingerprint, &why);
    }
    if (rc == 0 && !slot->dead && slot->start != UINT64_MAX)
        rc = scan(w, slot, err);
    return rc;
}

/*
 * Commits the finished chunk at the frontier. 1: done; 0: it started at the wrong place, *slot was set up to be scanned
 * again. Under the lock.
 */
static int try_commit(struct fc_slot *slot)
{
    struct fc_scan_file *f = slot->file;

    if (f->ended || f->next_off >= chunk_end(slot) || f->next_off >= f->plan->file.size) {
        /* damage in front, or a record that reaches over the whole chunk */
        bool opening = slot->chunk == 0 && !f->ended; /* an empty file still has something to say */
        if (!opening) {
            fc_slot_begin(slot);
            slot->dead = true;
            return 1;
        }
    }
    if (slot->start == f->next_off && slot->open.off == f->open.off && fc_section_equal(&slot->section, &f->section))
        return 1;
    slot->start = f->next_off;
    slot->open = f->open;
    fc_section_free(&slot->section);
    if (fc_section_copy(&slot->section, &f->section))
        return FC_E_NOMEM;
    return 0;
}

/* Bytes of the file, as stored, that a settled chunk stands for. */
static uint64_t chunk_share(struct fc_scan_file *f, const struct fc_slot *slot)
{
    uint64_t size = f->plan->file.size, start = slot->chunk * f->chunk_bytes, before = f->fed;

    if (f->feed) {
        f->fed = fc_feed_progress(f->feed);
        return f->fed - before;
    }
    return start >= size ? 0 : size - start < f->chunk_bytes ? size - start : f->chunk_bytes;
}

static int settle_chunk(struct shared *s, struct fc_slot *slot)
{
    struct fc_scan_file *f = slot->file;
    struct fc_chunk *c = slot->runs;
    int rc = 0;

    if (!slot->dead)
        rc = fc_slot_merge(slot, f);
    for (size_t i = 0; i < c->event_count && rc == 0; i++) {
        struct fc_fragment event = c->events[i];
        c->events[i].node = NULL; /* changes hands */
        rc = fc_fragments_event(s->p->fragments, &event);
    }
    f->chunks_done++;
    if (f->feed)
        fc_feed_release(f->feed, f->chunks_done * f->chunk_bytes);
    if (f->last_ns > s->p->clock_ns)
        s->p->clock_ns = f->last_ns;
    if (rc == 0 && f->chunks_done == f->chunk_count)
        rc = end_file(s, f);
    if (s->p->progress) {
        __atomic_store_n(&s->p->progress->bytes_done, s->p->progress->bytes_done + chunk_share(f, slot),
                         __ATOMIC_RELAXED);
        __atomic_store_n(&s->p->progress->records, s->p->progress->records + (slot->dead ? 0 : slot->records),
                         __ATOMIC_RELAXED);
    }
    return rc;
}

/*
 * No record of a chunk from `published` on starts before this, as far as times run forward: the lowest time of the
 * chunk before in the same capture, and the start of each capture not begun. Under the lock.
 */
static void move_watermark(struct shared *s, const struct fc_slot *last)
{
    struct fc_pipeline *p = s->p;
    const struct fc_scan_file *f = last->file;
    size_t i = (size_t)(f - p->files);
    int64_t low = last->chunk + 1 < f->chunk_count ? last->low_ns : INT64_MAX;

    for (i++; i < p->plan->count; i++) {
        if (p->plan->files[i].first_ns == FC_TIME_NONE)
            continue;
        low = p->plan->files[i].first_ns < low ? p->plan->files[i].first_ns : low;
        break; /* the plan is in this order */
    }
    if (low != FC_TIME_NONE && low != INT64_MAX && low > s->watermark_ns)
        s->watermark_ns = low;
}

static int publish(struct worker *w, struct fc_slot *slot, struct fc_error *err)
{
    struct shared *s = w->s;

    if (!slot->dead) {
        int rc = fc_chunk_publish(slot->runs, s->p->table, &w->sweeper.pool, (uint32_t)slot->seq + 1);
        if (rc)
            return fc_error_set(err, rc, NULL, FC_NO_OFFSET, "out of memory");
        fc_sweeping_published(&s->sweeping, slot->runs->run_count);
    }
    pthread_mutex_lock(&s->lock);
    slot->state = FC_SLOT_PUBLISHED;
    s->p->runs += slot->dead ? 0 : slot->runs->run_count;
    fc_lender_give(&s->lender, slot->runs);
    slot->runs = NULL;
    while (s->published < s->committed) {
        struct fc_slot *front = &s->slots[s->published % s->slot_count];
        if (front->state != FC_SLOT_PUBLISHED)
            break;
        move_watermark(s, front);
        front->state = FC_SLOT_FREE;
        s->published++;
    }
    fc_sweeping_call(&s->sweeping, s->p, s->watermark_ns, s->published, fc_lender_bytes(&s->lender));
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
    return 0;
}

/* Commits what is ready at the frontier and publishes it. Only one worker at a time is inside. */
static int advance(struct worker *w, struct fc_error *err)
{
    struct shared *s = w->s;
    int rc = 0;

    pthread_mutex_lock(&s->lock);
    while (rc == 0 && !s->committing && s->committed < s->claimed && !s->failed) {
        struct fc_slot *slot = &s->slots[s->committed % s->slot_count];
        if (slot->state != FC_SLOT_SCANNED)
            break;
        int done = try_commit(slot);
        if (done == 0) {
            s->p->rescanned += slot->chunk != 0;
            s->committing = true;
            pthread_mutex_unlock(&s->lock);
            rc = scan(w, slot, err);
            pthread_mutex_lock(&s->lock);
            s->committing = false;
            if (rc)
                break;
            done = 1;
        }
        rc = done < 0 ? done : settle_chunk(s, slot);
        if (rc) {
            fc_error_set(err, rc, NULL, FC_NO_OFFSET, "out of memory");
            break;
        }
        slot->state = FC_SLOT_COMMITTED;
        s->committed++;
        pthread_mutex_unlock(&s->lock);
        rc = publish(w, slot, err);
        if (rc == 0 && (rc = fc_sweeping_help(&s->sweeping, &w->sweeper, FC_TABLE_SHARDS / s->p->jobs / 4 + 1)))
            *err = w->sweeper.emitter.err;
        pthread_mutex_lock(&s->lock);
    }
    pthread_mutex_unlock(&s->lock);
    return rc;
}

static void *work(void *arg)
{
    struct worker *w = arg;
    struct shared *s = w->s;
    struct fc_error err = {.code = 0};
    int rc = 0;

    rcu_register_thread();
    while (rc == 0) {
        pthread_mutex_lock(&s->lock);
        struct fc_slot *slot = claim(w);
        pthread_mutex_unlock(&s->lock);
        if (!slot)
            break;
        rc = read_chunk(w, slot, &err);
        if (rc)
            break;
        pthread_mutex_lock(&s->lock);
        slot->state = FC_SLOT_SCANNED;
        pthread_mutex_unlock(&s->lock);
        rc = advance(w, &err);
        if (rc == 0 && interrupted(s->p))
            rc = fc_error_set(&err, FC_E_INTERRUPTED, NULL, FC_NO_OFFSET, "interrupted");
    }
    if (rc)
        fail(s, rc, &err);
    rcu_unregister_thread();
    return NULL;
}

/* All chunks are in: every worker takes shards until none is left. */
static void *finish(void *arg)
{
    struct worker *w = arg;
    struct shared *s = w->s;
    struct fc_emitter *emitter = &w->sweeper.emitter;
    int rc = 1;

    rcu_register_thread();
    while (rc == 1 && !atomic_load_explicit(&s->failed, memory_order_relaxed)) {
        rc = fc_sweeping_finish_next(&s->sweeping, &w->sweeper);
        if (rc == 1 && interrupted(s->p))
            rc = fc_error_set(&emitter->err, FC_E_INTERRUPTED, NULL, FC_NO_OFFSET, "interrupted");
    }
    if (rc >= 0)
        rc = fc_spool_sort(emitter->spool, &emitter->err);
    if (rc)
        fail(s, rc, &emitter->err);
    rcu_unregister_thread();
    return NULL;
}

/* Runs `step` in all workers; the calling thread is the first of them. */
static void run_all(struct worker *workers, unsigned jobs, void *(*step)(void *))
{
    for (unsigned i = 1; i < jobs; i++)
        workers[i].started = pthread_create(&workers[i].thread, NULL, step, &workers[i]) == 0;
    step(&workers[0]); /* also does the work of those that could not be started */
    for (unsigned i = 1; i < jobs; i++)
        if (workers[i].started)
            pthread_join(workers[i].thread, NULL);
}

static int init_workers(struct shared *s, struct worker *workers)
{
    struct fc_pipeline *p = s->p;

    if (fc_lender_init(&s->lender, s->slot_count, p->table, &p->settings->rules, p->settings->fields != 0))
        return FC_E_NOMEM;
    for (unsigned i = 0; i < p->jobs; i++) {
        workers[i].s = s;
        workers[i].number = i;
        fc_door_init(&workers[i].door, p->settings);
        fc_sweeper_init(&workers[i].sweeper, p, p->spools[i], &s->lock);
        if (fc_reader_init(&workers[i].reader, FC_READER_BUFFER))
            return FC_E_NOMEM;
    }
    return 0;
}

static void fini_workers(struct shared *s, struct worker *workers)
{
    for (unsigned i = 0; i < s->p->jobs; i++) {
        fc_reader_fini(&workers[i].reader);
        fc_door_fini(&workers[i].door);
        fc_sweeper_fini(&workers[i].sweeper);
    }
    for (size_t i = 0; i < s->slot_count; i++)
        fc_slot_fini(&s->slots[i]);
    fc_lender_fini(&s->lender);
}

int fc_pipeline_run(struct fc_pipeline *p, struct fc_error *err)
{
    struct shared *s = aligned_alloc(64, (sizeof *s + 63) & ~(size_t)63);
    struct worker *workers = calloc(p->jobs, sizeof *workers);
    int rc = FC_E_NOMEM;

    if (s)
        memset(s, 0, sizeof *s);
    if (!s || !workers || !(s->slots = calloc(p->jobs * SLOTS_PER_JOB, sizeof *s->slots))) {
        fc_error_set(err, rc, NULL, FC_NO_OFFSET, "out of memory");
        goto out;
    }
    s->p = p;
    s->slot_count = p->jobs * SLOTS_PER_JOB;
    s->watermark_ns = INT64_MIN;
    fc_sweeping_init(&s->sweeping, p);
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->changed, NULL);
    for (size_t i = 0; i < p->plan->count; i++)
        p->files[i].chunk_count =
            p->files[i].feed ? UINT32_MAX : (uint32_t)(p->plan->files[i].file.size / p->files[i].chunk_bytes + 1);
    rc = init_workers(s, workers);
    if (rc == 0)
        rc = begin_file(p, 0);
    if (rc == 0)
        rc = fc_feeder_start(p->feeder, p->jobs, told, s);
    if (rc) {
        fc_error_set(err, rc, NULL, FC_NO_OFFSET, "out of memory");
    } else {
        run_all(workers, p->jobs, work);
        fc_feeder_stop(p->feeder);
        fc_lender_fini(&s->lender);
        fc_held_foresee(p->held, p);
        fc_table_sort_late(p->table);
        fc_sweeping_finish(&s->sweeping);
        if (!s->failed)
            run_all(workers, p->jobs, finish);
        rc = s->failed;
        if (rc)
            *err = s->why;
    }
    fini_workers(s, workers);
    pthread_cond_destroy(&s->changed);
    pthread_mutex_destroy(&s->lock);
out:
    if (s)
        free(s->slots);
    free(s);
    free(workers);
    return rc;
}
