/* SPDX-License-Identifier: MIT */
/*
 * Memory for what lives in the flow table: many small objects that are made by one thread and given back by another.
 *
 * A heap owns all memory, in regions that go back to the system only as a whole. A pool, which takes slabs of them, is one thread's share of it: stacks of free
 * objects by size, so that taking and giving needs neither lock nor atomic, and giving does not even touch the object. Objects may be
 * given back to any pool of the heap; what a pool was given it hands out again itself. Large objects go to malloc().
 *
 * malloc() costs more here than all the rest of publishing: blocks that another thread has allocated go back to that
 * thread's arena, under its lock.
 *
 * Threads: a pool belongs to one thread at a time; heap: fc_heap_return() and pools that fill up, any.
 * Memory: what was in use at the most, by size.
 */
#ifndef FC_FLOW_POOL_H
#define FC_FLOW_POOL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

enum {
    FC_POOL_SMALL = 256, /* up to here in steps of 16, */
    FC_POOL_MAX = 1024,  /* up to here in steps of 64 bytes, above by malloc() */
    FC_POOL_CLASSES = FC_POOL_SMALL / 16 + (FC_POOL_MAX - FC_POOL_SMALL) / 64 + 1
};

/* What an object holds that a thread without a pool gives back. The first words are left as they were: a list may be made while
 * readers still look at those. */
struct fc_free {
    uint64_t kept[2];
    struct fc_free *next;
    struct fc_free
        *ahead; /* one that stands some places behind `next`, to be fetched by then; a hint, may be anything */
};

/* What users of a heap count, each with the pool it has at hand; only the sums mean anything. Written by the pool's thread. */
struct fc_tally {
    atomic_int_fast64_t bytes, objects;
};

static inline void fc_tally_add(struct fc_tally *tally, int64_t bytes, int64_t objects)
{
    /* one writer: no need to lock the line, which others only read */
    int64_t b = atomic_load_explicit(&tally->bytes, memory_order_relaxed);
    int64_t n = atomic_load_explicit(&tally->objects, memory_order_relaxed);

    atomic_store_explicit(&tally->bytes, b + bytes, memory_order_relaxed);
    atomic_store_explicit(&tally->objects, n + objects, memory_order_relaxed);
}

/* Memory of the system's. */
struct fc_region {
    void *start;
    size_t bytes;
};

struct fc_heap {
    /* shared: under the lock */
    pthread_mutex_t lock;
    struct fc_region *regions;
    size_t region_count, region_room;
    uint8_t *slab, *slab_end;   /* what is left of the latest one */
    atomic_uint_fast64_t bytes; /* shared: of all slabs; written under the lock */
    /* shared: atomic; objects given back by a thread without a pool */
    _Atomic(struct fc_free *) returned[FC_POOL_CLASSES];
    /* under the lock */
    struct fc_pool *pools;
    struct fc_tally gone; /* of pools that are no more */
};

struct fc_pool {
    struct fc_heap *heap;
    struct fc_pool *next_pool; /* guarded by the heap's lock */
    struct fc_tally tally;
    struct fc_pool_stack {
        void **objects;
        uint32_t count, room;
        struct fc_free *list; /* taken over from the heap */
    } stacks[FC_POOL_CLASSES];
    uint8_t *next, *end; /* of the current slab */
};

void fc_heap_init(struct fc_heap *heap);
/* Sums of all tallies, those of pools that are no more too. While others count, sums of about now. Any thread. */
void fc_heap_tally(struct fc_heap *heap, int64_t *bytes, int64_t *objects);
/* Frees all memory, while nothing in them is in use and no pool is left. */
void fc_heap_shrink(struct fc_heap *heap);
/* Frees all memory. Large objects must have been given back. */
void fc_heap_fini(struct fc_heap *heap);

/* Gives back a list, first to last, of objects that were taken with this size, FC_POOL_MAX at the most. */
void fc_heap_return(struct fc_heap *heap, size_t size, struct fc_free *first, struct fc_free *last);

void fc_pool_init(struct fc_pool *pool, struct fc_heap *heap);
/* Forgets what is free in it; the memory is the heap's. Before fc_heap_fini(). */
void fc_pool_fini(struct fc_pool *pool);

/* Gives what is free in it to the heap, for other pools; that touches every object. */
void fc_pool_release(struct fc_pool *pool);

/* size: that of struct fc_free at least. Objects of 64 bytes and multiples of it lie on cache lines. NULL without memory. */
void *fc_pool_take(struct fc_pool *pool, size_t size);
/* size: as it was taken with. */
void fc_pool_give(struct fc_pool *pool, void *object, size_t size);

#endif
