/* SPDX-License-Identifier: MIT */
#include "index/worker.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <urcu.h>

#define MIB ((uint64_t)1 << 20)

/* Under the lock. */
static void fail_locked(struct fc_shared *s, int code, const struct fc_error *why)
{
    if (!s->failed) {
        s->why = *why;
        if (s->why.code != code)
            fc_error_set(&s->why, code, NULL, FC_NO_OFFSET, "%s", fc_strerror(code));
        atomic_store_explicit(&s->failed, code, memory_order_relaxed); /* the lock orders it for those who care */
    }
    pthread_cond_broadcast(&s->changed);
}

static void fail(struct fc_shared *s, int code, const struct fc_error *why)
{
    pthread_mutex_lock(&s->lock);
    fail_locked(s, code, why);
    pthread_mutex_unlock(&s->lock);
}

/* News of the feeder. */
static void told(void *ctx, int code, const struct fc_error *why)
{
    struct fc_shared *s = ctx;

    pthread_mutex_lock(&s->lock);
    if (code)
        fail_locked(s, code, why);
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
}

/* ---- the tide, and what it brings */

/*
 * Settles fragments as far as the tide has come, unless somebody else is about it. Under the lock, which it leaves
 * meanwhile.
 */
static int settle(struct fc_worker *w, struct fc_error *err)
{
    struct fc_shared *s = w->s;
    int rc = 0;

    if (s->settling)
        return 0;
    s->settling = true;
    while (rc == 0 && fc_place_before(&s->settled, &s->tide)) {
        struct fc_place to = s->tide;
        pthread_mutex_unlock(&s->lock);
        rc = fc_fragments_advance(s->p->fragments, &to, &w->advancer.shelf);
        pthread_mutex_lock(&s->lock);
        s->settled = to;
    }
    s->settling = false;
    pthread_cond_broadcast(&s->changed);
    return rc ? fc_no_memory(err) : 0;
}

/* What an advance has failed by. */
static int advance_failed(struct fc_worker *w, int rc, struct fc_error *err)
{
    if (w->emitter.err.code == rc)
        *err = w->emitter.err;
    else if (w->advancer.err.code == rc)
        *err = w->advancer.err;
    else
        fc_error_set(err, rc, NULL, FC_NO_OFFSET, "%s", fc_strerror(rc));
    return rc;
}

/* Advances partitions of the round until there is none left. Under the lock, which it leaves meanwhile. */
static int advance(struct fc_worker *w, struct fc_error *err)
{
    struct fc_shared *s = w->s;
    struct fc_table *table = s->p->table;
    int rc = 0;

    s->advancing++;
    while (rc == 0 && s->cursor < FC_PARTITIONS && !s->failed) {
        unsigned i = s->cursor++;
        struct fc_place to = s->round;
        bool stowing = s->stowing;
        pthread_mutex_unlock(&s->lock);
        rc = stowing ? fc_table_stow(table, i, &w->advancer) : fc_table_advance(table, i, &to, &w->advancer);
        if (rc == 0 && fc_table_bytes(table) > s->flow_bytes) {
            rc = fc_table_suspend(table, i, &w->advancer);
            __atomic_fetch_add(&s->p->suspended, rc == 0, __ATOMIC_RELAXED);
        }
        if (rc == 0 && fc_pipeline_interrupted(s->p))
            rc = fc_error_set(&w->advancer.err, FC_E_INTERRUPTED, NULL, FC_NO_OFFSET, "interrupted");
        pthread_mutex_lock(&s->lock);
        rc = rc > 0 ? 0 : rc; /* another worker was still about it: the next round has it */
    }
    s->advancing--;
    uint64_t notes = fc_stock_bytes(fc_table_stock(table)), bytes = fc_table_bytes(table) + notes;
    if (s->stowing && !s->advancing)
        s->stow_bytes = notes + s->p->memory_bytes / 8; /* what is left is still being read, or in no partition yet */
    s->p->peak_bytes = bytes > s->p->peak_bytes ? bytes : s->p->peak_bytes;
    pthread_cond_broadcast(&s->changed);
    return rc ? advance_failed(w, rc, err) : 0;
}

/*
 * Begins a round when enough has come: all that the tide has passed leaves the notes; where most of them wait for
 * captures that are behind, they are put away. Under the lock.
 */
static bool begin_round(struct fc_shared *s)
{
    uint64_t bytes = fc_stock_bytes(fc_table_stock(s->p->table));

    if (s->cursor < FC_PARTITIONS || s->advancing || bytes < s->notes_bytes)
        return false;
    s->stowing = !fc_place_before(&s->round, &s->settled);
    if (s->stowing && bytes < s->stow_bytes)
        return false;
    s->round = s->settled;
    s->cursor = 0;
    pthread_cond_broadcast(&s->changed);
    return true;
}

/* ---- workers */

static void *work(void *arg)
{
    struct fc_worker *w = arg;
    struct fc_shared *s = w->s;
    struct fc_error err = {.code = 0};
    int rc = 0;

    rcu_register_thread();
    pthread_mutex_lock(&s->lock);
    while (rc == 0 && !s->failed) {
        struct fc_scan_file *f, *ended = NULL;
        bool wait = false;
        if (fc_pipeline_interrupted(s->p)) {
            rc = fc_error_set(&err, FC_E_INTERRUPTED, NULL, FC_NO_OFFSET, "interrupted");
        } else if (!s->settling && fc_place_before(&s->settled, &s->tide)) {
            rc = settle(w, &err);
        } else if (s->cursor < FC_PARTITIONS || begin_round(s)) {
            rc = advance(w, &err);
        } else if ((f = fc_claim_choose(s, &wait, &ended))) {
            struct fc_chunk *c = fc_claim_chunk(s, f, NULL);
            rc = c ? fc_worker_read(w, c, &err) : fc_no_memory(&err);
        } else if (ended) {
            rc = fc_worker_tend(w, ended, &err);
        } else if (wait || s->reading || s->settling) {
            pthread_cond_wait(&s->changed, &s->lock);
        } else {
            break;
        }
    }
    if (rc)
        fail_locked(s, rc, &err);
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->lock);
    fc_shelf_fini(&w->advancer.shelf); /* so that what others need is not here */
    rcu_unregister_thread();
    return NULL;
}

/* All is handed over: every worker finishes partitions until none is left. */
static void *finish(void *arg)
{
    struct fc_worker *w = arg;
    struct fc_shared *s = w->s;
    struct fc_error err = {.code = 0};
    int rc = 0;

    rcu_register_thread();
    while (rc == 0 && !atomic_load_explicit(&s->failed, memory_order_relaxed)) {
        pthread_mutex_lock(&s->lock);
        unsigned i = s->cursor < FC_PARTITIONS ? s->cursor++ : FC_PARTITIONS;
        pthread_mutex_unlock(&s->lock);
        if (i == FC_PARTITIONS)
            break;
        rc = fc_table_finish(s->p->table, i, s->resume, &w->advancer);
        assert(rc <= 0); /* one worker has it */
        if (rc)
            rc = advance_failed(w, rc, &err);
        else if (fc_pipeline_interrupted(s->p))
            rc = fc_error_set(&err, FC_E_INTERRUPTED, NULL, FC_NO_OFFSET, "interrupted");
    }
    if (rc == 0 && (rc = fc_spool_sort(w->emitter.spool, &w->emitter.err)))
        err = w->emitter.err;
    if (rc)
        fail(s, rc, &err);
    fc_shelf_fini(&w->advancer.shelf);
    rcu_unregister_thread();
    return NULL;
}

/* Runs `step` in all workers; the calling thread is the first of them. */
static void run_all(struct fc_worker *workers, unsigned jobs, void *(*step)(void *))
{
    for (unsigned i = 1; i < jobs; i++)
        workers[i].started = pthread_create(&workers[i].thread, NULL, step, &workers[i]) == 0;
    step(&workers[0]); /* also does the work of those that could not be started */
    for (unsigned i = 1; i < jobs; i++)
        if (workers[i].started)
            pthread_join(workers[i].thread, NULL);
}

static int init_workers(struct fc_shared *s, struct fc_worker *workers)
{
    struct fc_pipeline *p = s->p;
    int rc = 0;

    for (unsigned i = 0; i < p->jobs; i++) {
        struct fc_worker *w = &workers[i];
        w->s = s;
        w->emitter.spool = p->spools[i];
        w->emitter.progress = p->progress;
        w->advancer.sink = (struct fc_sink){fc_emitter_emit, &w->emitter};
        fc_shelf_init(&w->advancer.shelf, fc_table_stock(p->table));
        fc_door_init(&w->door, p->settings);
        if (fc_reader_init(&w->reader, FC_READER_BUFFER))
            rc = FC_E_NOMEM;
    }
    return rc;
}

static void fini_workers(struct fc_shared *s, struct fc_worker *workers)
{
    for (unsigned i = 0; i < s->p->jobs; i++) {
        fc_reader_fini(&workers[i].reader);
        fc_door_fini(&workers[i].door);
        fc_emitter_fini(&workers[i].emitter);
        fc_shelf_fini(&workers[i].advancer.shelf);
    }
}

/* Chunks that a failure has left. */
static void drop_chunks(struct fc_shared *s)
{
    struct fc_shelf shelf;

    fc_shelf_init(&shelf, fc_table_stock(s->p->table));
    for (size_t i = 0; i < s->p->plan->count; i++)
        for (struct fc_chunk *c = s->p->files[i].chunks, *next; c; c = next) {
            next = c->next;
            if (!c->counted && --c->unit->chunks == 0)
                fc_unit_free(c->unit, &shelf);
            fc_chunk_free(c);
        }
    fc_shelf_fini(&shelf);
}

static int init_files(struct fc_shared *s)
{
    struct fc_pipeline *p = s->p;
    size_t n = p->plan->count;

    if (!(s->beyond = malloc((n + 1) * sizeof *s->beyond)))
        return FC_E_NOMEM;
    s->beyond[n] = FC_PLACE_END;
    for (size_t i = n; i-- > 0;) {
        struct fc_scan_file *f = &p->files[i];
        f->frontier = (struct fc_place){f->plan->bound_ns, 0, f->plan->id, 0};
        f->open_index = SIZE_MAX;
        fc_clock_init(&f->clock);
        if (f->plan->state)
            f->clock = f->plan->state->clock;
        s->beyond[i] = fc_place_before(&f->frontier, &s->beyond[i + 1]) ? f->frontier : s->beyond[i + 1];
    }
    return 0;
}

/* A part of --memory is for notes; the rest is for flows, but for what the threads' buffers take. */
static void share_memory(struct fc_shared *s)
{
    uint64_t memory = s->p->memory_bytes;

    s->notes_bytes = memory / 32 < 32 * MIB ? memory / 32 : 32 * MIB;
    s->flow_bytes = memory / 8 * 5;
    s->stow_bytes = memory / 4;
}

static int run(struct fc_shared *s, struct fc_worker *workers)
{
    struct fc_pipeline *p = s->p;
    struct fc_error err = {.code = 0};
    int rc = init_files(s);

    if (rc == 0)
        rc = init_workers(s, workers);
    if (rc == 0)
        rc = fc_feeder_start(p->feeder, p->jobs, told, s);
    if (rc)
        return rc;
    run_all(workers, p->jobs, work);
    fc_feeder_stop(p->feeder);
    if (!s->failed) {
        rcu_register_thread();
        if (fc_fragments_finish(p->fragments, p->clock_ns, &workers[0].advancer.shelf))
            fail(s, FC_E_NOMEM, &err);
        rcu_unregister_thread();
    }
    /* partitions that are in the file have the memory of the others */
    for (int i = 0; i < (p->suspended ? 2 : 1) && !s->failed; i++) {
        s->cursor = 0;
        s->resume = i == 1;
        run_all(workers, p->jobs, finish);
        fc_table_shrink(p->table);
    }
    p->peak_flows = fc_table_peak_flows(p->table);
    return 0;
}

int fc_pipeline_run(struct fc_pipeline *p, struct fc_error *err)
{
    struct fc_shared *s = aligned_alloc(64, (sizeof *s + 63) & ~(size_t)63);
    struct fc_worker *workers = calloc(p->jobs, sizeof *workers);
    int rc = FC_E_NOMEM;

    p->bad_file = SIZE_MAX;
    if (s)
        memset(s, 0, sizeof *s);
    if (!s || !workers) {
        fc_no_memory(err);
        goto out;
    }
    s->p = p;
    s->tide = s->settled = s->round = (struct fc_place){INT64_MIN, 0, 0, 0};
    s->cursor = FC_PARTITIONS;
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->changed, NULL);
    share_memory(s);
    if ((rc = run(s, workers))) {
        fc_no_memory(err);
    } else if ((rc = s->failed)) {
        *err = s->why;
    }
    fini_workers(s, workers);
    drop_chunks(s);
    pthread_cond_destroy(&s->changed);
    pthread_mutex_destroy(&s->lock);
out:
    if (s) {
        free(s->beyond);
        free(s->open);
    }
    free(s);
    free(workers);
    return rc;
}
