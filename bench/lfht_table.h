/* SPDX-License-Identifier: MIT */
/*
 * The flow table over userspace-rcu's cds_lfht, to compare flow/table.h with. The same runs in the same packed form, memory from
 * the same pools, sessions joined by the same code: what differs is how flows are found and taken out.
 *
 * It is no stand-in for the table: it does not evict by force and notes nothing late. A flow takes 128 bytes.
 *
 * Threads: as flow/table.h. One sweeper a shard at a time; the caller sees to that.
 */
#ifndef FC_BENCH_LFHT_TABLE_H
#define FC_BENCH_LFHT_TABLE_H

#include "flow/table.h"

struct lfht_table;

/* buckets: of each shard to begin with, a power of two; it grows from there. NULL without memory. */
struct lfht_table *lfht_table_new(const struct fc_rules *rules, uint64_t buckets);
void lfht_table_free(struct lfht_table *table);
uint64_t lfht_table_hash(const struct lfht_table *table, const struct fc_flow_key *key);
void lfht_table_pool(struct lfht_table *table, struct fc_pool *pool);

/* FC_E_NOMEM. */
int lfht_table_publish(struct lfht_table *table, struct fc_pool *pool, const struct fc_flow_key *key, uint64_t hash,
                       const struct fc_node *node);

/* FC_SWEEP_EXPIRED or FC_SWEEP_FINISH. 0, FC_E_NOMEM, or what emit returned. */
int lfht_table_sweep(struct lfht_table *table, struct fc_pool *pool, unsigned shard, enum fc_sweep_mode mode,
                     int64_t watermark_ns, struct fc_join *join, const struct fc_sink *sink);

#endif
