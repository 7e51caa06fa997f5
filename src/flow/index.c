/* SPDX-License-Identifier: MIT */
/* Finding flows of a partition: an index by open addressing, which readers may walk while it grows. */
#include "base/tsan.h"
#include "flow/partition.h"

#include <stdlib.h>

enum { FIRST_SLOTS = 64, RETIRE_FLOWS = 64 };

_Static_assert(sizeof(struct fc_rare) <= 1 << 8 && offsetof(struct fc_rare, extra) <= 1 << 7, "sizes of rare parts");

static unsigned rare_log(const struct fc_partition *p)
{
    return p->table->extra ? 8 : 7;
}

static char grace; /* its address only: what ThreadSanitizer cannot see of RCU */

static struct fc_flow_index *index_of(const struct fc_partition *p)
{
    return atomic_load_explicit(&p->index, memory_order_relaxed); /* owner */
}

static bool same_key(const struct fc_flow *f, const struct fc_short_key *key, const struct fc_flow_key *wide)
{
    return f->key.ends == key->ends && f->key.rest == (key->rest & FC_SHORT_MASK) &&
           (!wide || memcmp(&f->rare->key, wide, sizeof *wide) == 0);
}

uint32_t fc_partition_find(const struct fc_partition *p, uint32_t hash, const struct fc_short_key *key,
                           const struct fc_flow_key *wide)
{
    const struct fc_flow_index *x = index_of(p);

    if (!x)
        return FC_NO_FLOW;
    for (uint32_t i = hash & x->mask;; i = (i + 1) & x->mask) {
        uint64_t slot = atomic_load_explicit(&x->slots[i], memory_order_relaxed);
        if (!slot)
            return FC_NO_FLOW;
        if (slot >> 32 == hash && slot != FC_SLOT_GONE) {
            uint32_t number = (uint32_t)slot - 1;
            if (same_key(fc_flow_at(p, number), key, wide))
                return number;
        }
    }
}

static void free_index(struct fc_gone *gone)
{
    FC_TSAN_ACQUIRE(&grace);
    free(caa_container_of(gone, struct fc_flow_index, gone));
}

static void enter(struct fc_flow_index *x, uint32_t hash, uint32_t number)
{
    uint32_t i = hash & x->mask;
    uint64_t slot;

    while ((slot = atomic_load_explicit(&x->slots[i], memory_order_relaxed)) && slot != FC_SLOT_GONE)
        i = (i + 1) & x->mask;
    x->used += slot == 0;
    /* release: pairs with the load in fc_table_find(); guarantee D */
    atomic_store_explicit(&x->slots[i], (uint64_t)hash << 32 | (number + 1), memory_order_release);
}

static size_t index_size(uint32_t mask)
{
    /* flows are at most half of the slots, and a block more */
    size_t blocks = ((size_t)mask + 1) / FC_FLOWS_A_BLOCK + 2;

    return sizeof(struct fc_flow_index) + ((size_t)mask + 1) * sizeof(uint64_t) + blocks * sizeof(struct fc_flow *);
}

/* A new index with room for twice the flows. The old one is left to readers. */
static int publish_index(struct fc_partition *p)
{
    struct fc_flow_index *old = index_of(p), *x;
    uint32_t flows = p->flow_count, slots = FIRST_SLOTS;

    while (slots < flows * 3 || slots / FC_FLOWS_A_BLOCK < p->block_count)
        slots *= 2;
    if (!(x = calloc(1, index_size(slots - 1))))
        return FC_E_NOMEM;
    x->mask = slots - 1;
    x->blocks = (struct fc_flow **)(x->slots + slots);
    memcpy(x->blocks, p->blocks, p->block_count * sizeof *x->blocks);
    for (uint32_t i = 0; old && i <= old->mask; i++) {
        uint64_t slot = atomic_load_explicit(&old->slots[i], memory_order_relaxed);
        if (slot && slot != FC_SLOT_GONE)
            enter(x, (uint32_t)(slot >> 32), (uint32_t)slot - 1);
    }
    p->slabs.bytes += index_size(x->mask);
    /* release: pairs with the load in fc_table_find(); guarantee D */
    atomic_store_explicit(&p->index, x, memory_order_release);
    if (old) {
        p->slabs.bytes -= index_size(old->mask);
        FC_TSAN_RELEASE(&grace);
        fc_reclaim_later(&p->table->reclaim, &old->gone, free_index);
    }
    return 0;
}

/* Blocks that the index knows are not moved, but its list of them is as long as it was made. */
static int new_block(struct fc_partition *p)
{
    struct fc_flow_index *x = index_of(p);
    struct fc_flow *block;

    if (fc_vector_reserve(&p->blocks, &p->block_room, p->block_count + 1, sizeof *p->blocks) ||
        !(block = aligned_alloc(64, FC_FLOWS_A_BLOCK * sizeof *block)))
        return FC_E_NOMEM;
    p->slabs.bytes += FC_FLOWS_A_BLOCK * sizeof *block;
    uint32_t first = (uint32_t)(p->block_count * FC_FLOWS_A_BLOCK);
    for (unsigned i = FC_FLOWS_A_BLOCK; i-- > 0;) {
        block[i].rare = NULL;
        block[i].pos_room = block[i].seen = 0;
        block[i].tag = p->spare;
        p->spare = first + i + 1;
    }
    p->blocks[p->block_count] = block;
    if (x && p->block_count < ((size_t)x->mask + 1) / FC_FLOWS_A_BLOCK + 2)
        x->blocks[p->block_count] = block; /* seen by those who see a slot that leads there */
    else if (x) {
        p->block_count++;
        return publish_index(p);
    }
    p->block_count++;
    return 0;
}

/* Takes over flows of batches that nobody stands on any more. */
static void reuse(struct fc_partition *p)
{
    struct fc_limbo **at = &p->limbo, *l;

    while ((l = *at)) {
        /* acquire: pairs with the store in is_done() */
        if (!atomic_load_explicit(&l->done, memory_order_acquire)) {
            at = &l->next;
            continue;
        }
        for (uint32_t i = 0; i < l->count; i++) {
            struct fc_flow *f = fc_flow_at(p, l->flows[i]);
            if (f->rare)
                fc_slabs_give(&p->slabs, f->rare, rare_log(p));
            f->rare = NULL;
            f->tag = p->spare;
            p->spare = l->flows[i] + 1;
        }
        *at = l->next;
        free(l);
    }
}

struct fc_rare *fc_flow_rare(struct fc_partition *p, struct fc_flow *f)
{
    if (!f->rare && (f->rare = fc_slabs_take(&p->slabs, rare_log(p))))
        memset(f->rare, 0, p->table->extra ? sizeof *f->rare : offsetof(struct fc_rare, extra));
    return f->rare;
}

uint32_t fc_partition_new_flow(struct fc_partition *p, uint32_t hash, const struct fc_short_key *key,
                               const struct fc_flow_key *wide)
{
    struct fc_flow_index *x;

    if (!p->spare)
        reuse(p);
    if (!p->spare && new_block(p))
        return FC_NO_FLOW;
    x = index_of(p);
    if ((!x || x->used + 1 > (x->mask + 1) / 4 * 3) && publish_index(p))
        return FC_NO_FLOW;
    uint32_t number = p->spare - 1;
    struct fc_flow *f = fc_flow_at(p, number);
    uint32_t next = f->tag;
    memset(f, 0, sizeof *f);
    f->key = (struct fc_short_key){key->ends, key->rest & FC_SHORT_MASK};
    f->tag = hash;
    if (wide) {
        if (!fc_flow_rare(p, f)) {
            f->tag = next;
            return FC_NO_FLOW;
        }
        f->rare->key = *wide;
    }
    p->spare = next;
    if (++p->flow_count > p->peak_flows)
        p->peak_flows = p->flow_count;
    atomic_store_explicit(&p->flows, p->flow_count, memory_order_relaxed);
    return number;
}

void fc_partition_show(struct fc_partition *p, uint32_t number)
{
    enter(index_of(p), fc_flow_at(p, number)->tag, number);
}

static void is_done(struct fc_gone *gone)
{
    struct fc_limbo *l = caa_container_of(gone, struct fc_limbo, gone);

    FC_TSAN_ACQUIRE(&grace);
    /* release: pairs with the load in reuse(); what readers did is in front of it */
    atomic_store_explicit(&l->done, true, memory_order_release);
}

static void let_go(struct fc_partition *p, struct fc_limbo *l)
{
    FC_TSAN_RELEASE(&grace);
    l->closed = true;
    fc_reclaim_later(&p->table->reclaim, &l->gone, is_done);
}

static bool is_filling(const struct fc_limbo *l)
{
    return l && l->count < sizeof l->flows / sizeof l->flows[0] && !l->closed;
}

void fc_partition_retire(struct fc_partition *p)
{
    if (is_filling(p->limbo) && p->limbo->count >= RETIRE_FLOWS)
        let_go(p, p->limbo);
}

int fc_partition_remove(struct fc_partition *p, uint32_t number)
{
    struct fc_flow_index *x = index_of(p);
    uint32_t hash = fc_flow_at(p, number)->tag;
    struct fc_limbo *l = p->limbo;

    if (!is_filling(l)) {
        if (!(l = calloc(1, sizeof *l)))
            return FC_E_NOMEM;
        l->next = p->limbo;
        p->limbo = l;
    }
    for (uint32_t i = hash & x->mask;; i = (i + 1) & x->mask) {
        uint64_t slot = atomic_load_explicit(&x->slots[i], memory_order_relaxed);
        if (slot >> 32 != hash || (uint32_t)slot != number + 1)
            continue;
        uint64_t next = atomic_load_explicit(&x->slots[(i + 1) & x->mask], memory_order_relaxed);
        /* nothing lies behind: the slot is as good as one never used */
        x->used -= next == 0;
        atomic_store_explicit(&x->slots[i], next ? FC_SLOT_GONE : 0, memory_order_relaxed);
        break;
    }
    l->flows[l->count++] = number;
    p->flow_count--;
    atomic_store_explicit(&p->flows, p->flow_count, memory_order_relaxed);
    if (l->count == sizeof l->flows / sizeof l->flows[0])
        let_go(p, l);
    return 0;
}

void fc_partition_clear(struct fc_partition *p)
{
    struct fc_flow_index *x = index_of(p);
    struct fc_limbo *next;

    if (x) {
        /* who has it still may be on its way to a flow */
        atomic_store_explicit(&p->index, NULL, memory_order_relaxed);
        synchronize_rcu();
        FC_TSAN_ACQUIRE(&grace);
    }
    for (struct fc_limbo *l = p->limbo; l; l = next) {
        next = l->next;
        free(l);
    }
    for (size_t i = 0; i < p->block_count; i++)
        free(p->blocks[i]);
    free(p->blocks);
    free(x);
    fc_slabs_fini(&p->slabs);
    p->limbo = NULL;
    p->blocks = NULL;
    p->block_count = p->block_room = 0;
    p->spare = p->flow_count = 0;
    atomic_store_explicit(&p->flows, 0, memory_order_relaxed);
    atomic_store_explicit(&p->bytes, 0, memory_order_relaxed);
}

bool fc_table_find(struct fc_table *t, const struct fc_flow_key *key, struct fc_glimpse *out)
{
    struct fc_short_key short_key;
    uint64_t full;
    bool wide = !fc_key_shorten(key, t->seed, &short_key, &full), found = false;
    uint32_t hash = (uint32_t)full;
    struct fc_partition *p = &t->partitions[full >> (64 - FC_PARTITION_BITS)];

    rcu_read_lock();
    /* acquire: guarantee D */
    struct fc_flow_index *x = atomic_load_explicit(&p->index, memory_order_acquire);
    for (uint32_t i = hash, n = 0; x && !found && n <= x->mask; i++, n++) {
        uint64_t slot = atomic_load_explicit(&x->slots[i & x->mask], memory_order_acquire);
        if (!slot)
            break;
        if (slot >> 32 != hash || slot == FC_SLOT_GONE)
            continue;
        uint32_t number = (uint32_t)slot - 1;
        const struct fc_flow *f = &x->blocks[number / FC_FLOWS_A_BLOCK][number % FC_FLOWS_A_BLOCK];
        if (!same_key(f, &short_key, wide ? key : NULL))
            continue;
        out->last_ns = __atomic_load_n(&f->last_ns, __ATOMIC_RELAXED);
        for (int d = 0; d < 2; d++) {
            out->packets[d] = __atomic_load_n(&f->packets[d], __ATOMIC_RELAXED);
            out->bytes[d] = __atomic_load_n(&f->bytes[d], __ATOMIC_RELAXED);
        }
        found = true;
    }
    FC_TSAN_RELEASE(&grace);
    rcu_read_unlock();
    return found;
}
