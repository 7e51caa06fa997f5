/* SPDX-License-Identifier: MIT */
/* Many late flows: their pieces go to spools that sort by hash, a range of hashes each, so that those of a flow come together. */
#include "base/error.h"
#include "index/rejoin.h"

#include <pthread.h>
#include <stdlib.h>

enum { RANGES_MAX = 4 /* of hashes, each joined by a thread of its own */ };

struct sorting {
    struct fc_pipeline *p;
    const struct fc_rejoin *late;
    unsigned ranges;
    struct fc_spool *spools[RANGES_MAX][RANGES_MAX]; /* by thread, and range */
    struct sorter {
        struct sorting *all;
        unsigned number;
        struct fc_rejoin r; /* shares the lists of `late` */
        struct fc_error err;
        int rc;
        pthread_t thread;
        bool started;
    } sorters[RANGES_MAX];
};

static uint64_t rank(const void *table, const struct fc_flow_key *key)
{
    return fc_table_hash(table, key);
}

static int take_sorted(void *ctx, const struct fc_session_record *record)
{
    struct sorter *s = ctx;
    uint64_t hash = fc_table_hash(s->all->late->table, &record->key);
    int rc = fc_spool_add(s->all->spools[s->number][(hash >> 32) % s->all->ranges], record, &s->err);

    return rc ? rc : 1;
}

static bool want_sorted(void *ctx, const struct fc_flow_key *key)
{
    return fc_rejoin_want(&((struct sorter *)ctx)->r, key);
}

/* Takes the pieces out of the spools of some workers. */
static void *sort_pieces(void *arg)
{
    struct sorter *s = arg;

    for (unsigned i = s->number; i < s->all->p->jobs && s->rc == 0; i += s->all->ranges)
        s->rc = fc_spool_extract(s->all->p->spools[i], want_sorted, take_sorted, s, &s->err);
    return NULL;
}

/* Joins the pieces of one range, flow by flow, all of which are out of the workers' spools by now. */
static int join_merged(struct sorter *s, struct fc_merge *merge)
{
    struct fc_pipeline *p = s->all->p;
    struct fc_replayer replayer = {.pipeline = p};
    struct fc_replay replay = {fc_replayer_read, &replayer};
    struct fc_emitter emitter = {.spool = p->spools[s->number]};
    struct fc_join join = {0};
    struct fc_session_record *record;
    int rc;

    while ((rc = fc_merge_next(merge, &record, &s->err)) == 1) {
        bool next = s->r.count && s->r.pieces[0].hash != fc_table_hash(s->r.table, &record->key);
        if (next && (rc = fc_rejoin_join(p, &s->r, &emitter, &join, &replay))) {
            s->err = emitter.err;
            break;
        }
        if (next)
            fc_rejoin_drop(&s->r);
        if ((rc = fc_rejoin_take(&s->r, record)) < 0) {
            fc_error_set(&s->err, rc, NULL, FC_NO_OFFSET, "cannot join the pieces of a flow");
            break;
        }
    }
    if (rc == 0 && (rc = fc_rejoin_join(p, &s->r, &emitter, &join, &replay)))
        s->err = emitter.err;
    fc_rejoin_drop(&s->r);
    fc_join_fini(&join);
    fc_replayer_fini(&replayer);
    fc_emitter_fini(&emitter);
    return rc;
}

static void *join_range(void *arg)
{
    struct sorter *s = arg;
    struct fc_spool *spools[RANGES_MAX];
    struct fc_merge *merge;

    for (unsigned i = 0; i < s->all->ranges; i++)
        spools[i] = s->all->spools[i][s->number];
    if ((s->rc = fc_merge_open(spools, s->all->ranges, &merge, &s->err)) == 0) {
        s->rc = join_merged(s, merge);
        fc_merge_close(merge);
    }
    return NULL;
}

/* Runs `step` in all threads, the calling one among them. The first failure. */
static int run_sorters(struct sorting *all, void *(*step)(void *), struct fc_error *err)
{
    int rc = 0;

    for (unsigned i = 1; i < all->ranges; i++)
        all->sorters[i].started = pthread_create(&all->sorters[i].thread, NULL, step, &all->sorters[i]) == 0;
    step(&all->sorters[0]);
    for (unsigned i = 1; i < all->ranges; i++) {
        if (all->sorters[i].started)
            pthread_join(all->sorters[i].thread, NULL);
        else
            step(&all->sorters[i]);
    }
    for (unsigned i = 0; i < all->ranges && rc == 0; i++)
        if ((rc = all->sorters[i].rc))
            *err = all->sorters[i].err;
    return rc;
}

int fc_rejoin_many(struct fc_pipeline *p, const struct fc_rejoin *r, struct fc_error *err)
{
    struct sorting all = {.p = p, .late = r, .ranges = p->jobs < RANGES_MAX ? p->jobs : RANGES_MAX};
    size_t budget = p->memory_bytes / 4 / (all.ranges * all.ranges);
    int rc = 0;

    for (unsigned i = 0; i < all.ranges; i++) {
        all.sorters[i] = (struct sorter){.all = &all, .number = i, .r = *r};
        all.sorters[i].r.parts = 1;
        for (unsigned k = 0; k < all.ranges && rc == 0; k++)
            if (!(all.spools[i][k] = fc_spool_new_ranked(fc_spool_folder(p->spools[0]), budget, rank, r->table)))
                rc = fc_error_set(err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");
    }
    if (rc == 0 && (rc = run_sorters(&all, sort_pieces, err)) == 0)
        rc = run_sorters(&all, join_range, err);
    for (unsigned i = 0; i < all.ranges; i++) {
        free(all.sorters[i].r.pieces);
        fc_buffer_fini(&all.sorters[i].r.scratch);
        for (unsigned k = 0; k < all.ranges; k++)
            fc_spool_free(all.spools[i][k]);
    }
    return rc;
}
