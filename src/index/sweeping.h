/* SPDX-License-Identifier: MIT */
/*
 * When the flow table is swept, and by whom: a worker that has published calls for a sweep when one is due, and all
 * workers take shards of it between their chunks; when all chunks are in, they take every shard once more.
 *
 * Threads: workers, as said at each function.
 */
#ifndef FC_INDEX_SWEEPING_H
#define FC_INDEX_SWEEPING_H

#include "flow/table.h"
#include "index/pipeline.h"

#include <stdatomic.h>

/* Shared by the workers of one run. */
struct fc_sweeping {
    /* shared: atomic */
    atomic_uint_fast64_t runs;   /* published since the last sweep was called for */
    atomic_uint_fast32_t cursor; /* next shard to sweep; FC_TABLE_SHARDS: none */
    atomic_int_fast64_t at_ns;   /* watermark of the sweep under way, */
    atomic_uint_fast64_t seq;    /* and the chunk it stands for */
    atomic_int mode;
    atomic_bool urgent; /* memory is short: nothing is read before the sweep is over */
    /* under the pipeline's lock */
    int64_t expired_ns; /* the highest watermark that a sweep has used */
};

/* What a worker sweeps with; its own. */
struct fc_sweeper {
    struct fc_pool pool; /* of the table's memory; the worker publishes with it as well */
    struct fc_join join;
    struct fc_replayer replayer;
    struct fc_emitter emitter; /* its err: why a sweep failed */
};

/* Before the workers start; pipeline->sweep_runs becomes the default when it is 0. */
void fc_sweeping_init(struct fc_sweeping *sweeping, struct fc_pipeline *pipeline);

/* lock: the pipeline's, a pthread_mutex_t. */
void fc_sweeper_init(struct fc_sweeper *sweeper, struct fc_pipeline *pipeline, struct fc_spool *spool, void *lock);
void fc_sweeper_fini(struct fc_sweeper *sweeper);

/* So many runs were published. By any worker. */
static inline void fc_sweeping_published(struct fc_sweeping *sweeping, size_t runs)
{
    atomic_fetch_add_explicit(&sweeping->runs, runs, memory_order_relaxed);
}

/*
 * Calls for a sweep when enough has come, or memory runs short. watermark_ns: no record still to come starts before it, as
 * far as times run forward; published: so many chunks are in the table, none before them is missing;
 * chunk_bytes: what the private tables of chunks take, which is not left for flows. Under the lock.
 */
void fc_sweeping_call(struct fc_sweeping *sweeping, struct fc_pipeline *pipeline, int64_t watermark_ns,
                      uint64_t published, uint64_t chunk_bytes);

/*
 * Before the workers start, while sessions of an index fill the table: evicts those that were silent longest by force where memory is
 * short. By the calling thread, as a registered reader; pool: its own. FC_E_NOMEM, FC_E_IO.
 */
int fc_sweeping_evict(struct fc_pipeline *pipeline, struct fc_pool *pool, struct fc_error *err);

/* Sweeps at most so many shards of the sweep that was called for, if one was; all, when it is urgent. By any worker. FC_E_NOMEM,
 * FC_E_IO. */
int fc_sweeping_help(struct fc_sweeping *sweeping, struct fc_sweeper *sweeper, unsigned most);

/* All chunks are in: the last sweep takes all flows. By one thread, while the workers do not run. */
void fc_sweeping_finish(struct fc_sweeping *sweeping);

/* Sweeps the next shard of the last sweep. 1: done; 0: none was left. By any worker. FC_E_NOMEM, FC_E_IO. */
int fc_sweeping_finish_next(struct fc_sweeping *sweeping, struct fc_sweeper *sweeper);

#endif
