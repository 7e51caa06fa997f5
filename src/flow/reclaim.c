/* SPDX-License-Identifier: MIT */
#include "flow/table_internal.h"

#include <stdlib.h>
#include <string.h>

char fc_table_grace;

/* After a grace period: nobody stands on these flows any more. The thread has no pool of its own. */
static void free_flows(struct rcu_head *head)
{
    struct fc_shard *shard = caa_container_of(head, struct fc_shard, rcu);
    struct fc_table *t;

    FC_TSAN_ACQUIRE(&fc_table_grace);
    t = shard->table;
    for (int wide = 0; wide < 2; wide++)
        if (shard->batch[wide].first)
            fc_heap_return(&t->heap, flow_bytes(wide), shard->batch[wide].first, shard->batch[wide].last);
    atomic_store_explicit(&shard->reclaiming, false, memory_order_release); /* pairs with fc_table_reclaim() */
    pthread_mutex_lock(&t->reclaim_lock);
    if (--t->reclaiming == 0)
        pthread_cond_signal(&t->reclaimed); /* under the lock: the table may be gone behind it */
    pthread_mutex_unlock(&t->reclaim_lock);
}

void fc_table_bury(struct fc_shard *shard, struct fc_flow *flow)
{
    struct fc_free *object = (struct fc_free *)flow;
    struct fc_grave *grave = &shard->dead[flow->tag & 1];

    object->ahead = grave->recent[grave->count % FC_GRAVE_AHEAD];
    grave->recent[grave->count++ % FC_GRAVE_AHEAD] = object;
    object->next = grave->first;
    grave->first = object;
    if (!grave->last)
        grave->last = object;
}

void fc_table_reclaim(struct fc_table *t, struct fc_shard *shard)
{
    if (!shard->dead[0].first && !shard->dead[1].first)
        return;
    if (atomic_load_explicit(&shard->reclaiming, memory_order_acquire)) /* pairs with free_flows() */
        return;
    memcpy(shard->batch, shard->dead, sizeof shard->batch);
    memset(shard->dead, 0, sizeof shard->dead);
    atomic_store_explicit(&shard->reclaiming, true, memory_order_relaxed);
    pthread_mutex_lock(&t->reclaim_lock);
    t->reclaiming++;
    pthread_mutex_unlock(&t->reclaim_lock);
    FC_TSAN_RELEASE(&fc_table_grace); /* the batch; pairs with free_flows() */
    call_rcu(&shard->rcu, free_flows);
}

/* Not rcu_barrier(), whose end tools that watch for races cannot follow. */
void fc_table_wait_reclaimed(struct fc_table *t)
{
    pthread_mutex_lock(&t->reclaim_lock);
    while (t->reclaiming)
        pthread_cond_wait(&t->reclaimed, &t->reclaim_lock);
    pthread_mutex_unlock(&t->reclaim_lock);
}

int64_t fc_table_free_nodes(struct fc_pool *pool, struct fc_packed *node)
{
    int64_t bytes = 0;

    while (node) {
        struct fc_packed *next = node->next;
        bytes += node->size;
        if (pool)
            fc_pool_give(pool, node, node->size);
        else if (node->size > FC_POOL_MAX)
            free(node);
        node = next;
    }
    return bytes;
}
