/* SPDX-License-Identifier: MIT */
#include "flow/pool.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(addr, size) ((void)(addr), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(addr, size) ((void)(addr), (void)(size))
#endif

enum { SLAB_FIRST = 64 << 10, SLAB_MAX = 2 << 20, REFILL = 4096 };

void fc_heap_init(struct fc_heap *heap)
{
    memset(heap, 0, sizeof *heap);
    pthread_mutex_init(&heap->lock, NULL);
    heap->slab_bytes = SLAB_FIRST;
}

void fc_heap_fini(struct fc_heap *heap)
{
    for (size_t i = 0; i < heap->slab_count; i++)
        free(heap->slabs[i]);
    free(heap->slabs);
    pthread_mutex_destroy(&heap->lock);
}

/* A new slab; its size goes to *bytes. */
static void *new_slab(struct fc_heap *heap, size_t *bytes)
{
    void *slab = NULL;

    pthread_mutex_lock(&heap->lock);
    if (heap->slab_count == heap->slab_room) {
        size_t room = heap->slab_room ? heap->slab_room * 2 : 64;
        void **bigger = realloc(heap->slabs, room * sizeof *bigger);
        if (!bigger)
            goto out;
        heap->slabs = bigger;
        heap->slab_room = room;
    }
    *bytes = heap->slab_bytes;
    slab = aligned_alloc(*bytes, *bytes);
    if (!slab)
        goto out;
    heap->slabs[heap->slab_count++] = slab;
    if (heap->slab_bytes < SLAB_MAX)
        heap->slab_bytes *= 2;
    else
        madvise(slab, *bytes, MADV_HUGEPAGE); /* fewer faults and TLB misses; all the same where it is refused */
    ASAN_POISON_MEMORY_REGION(slab, *bytes);
out:
    pthread_mutex_unlock(&heap->lock);
    return slab;
}

void fc_pool_init(struct fc_pool *pool, struct fc_heap *heap)
{
    memset(pool, 0, sizeof *pool);
    pool->heap = heap;
}

static inline unsigned class_of(size_t size)
{
    return (unsigned)(size <= FC_POOL_SMALL ? (size + 15) / 16
                                            : FC_POOL_SMALL / 16 + (size - FC_POOL_SMALL + 63) / 64);
}

static inline size_t class_size(unsigned class)
{
    return class <= FC_POOL_SMALL / 16 ? (size_t)class * 16
                                       : FC_POOL_SMALL + (size_t)(class - FC_POOL_SMALL / 16) * 64;
}

void fc_heap_return(struct fc_heap *heap, size_t size, struct fc_free *first, struct fc_free *last)
{
    _Atomic(struct fc_free *) *returned = &heap->returned[class_of(size)];
    struct fc_free *top = atomic_load_explicit(returned, memory_order_relaxed);

    do
        last->next = top;
    while (!atomic_compare_exchange_weak_explicit(returned, &top, first, memory_order_release,
                                                  memory_order_relaxed)); /* pairs with take_returned() */
}

/* Takes what threads without a pool have given back. Acquire: pairs with fc_heap_return(). */
static bool take_returned(struct fc_pool *pool, unsigned class)
{
    _Atomic(struct fc_free *) *returned = &pool->heap->returned[class];

    if (!atomic_load_explicit(returned, memory_order_relaxed))
        return false;
    pool->lists[class] = atomic_exchange_explicit(returned, NULL, memory_order_acquire);
    return pool->lists[class] != NULL;
}

/* Cuts a stretch of the slab into objects of one class. */
static int refill(struct fc_pool *pool, unsigned class)
{
    size_t size = class_size(class), bytes;

    if ((size_t)(pool->end - pool->next) < REFILL) {
        uint8_t *slab = new_slab(pool->heap, &bytes);
        if (!slab)
            return -1;
        pool->next = slab;
        pool->end = slab + bytes;
    }
    uint8_t *p = pool->next, *end = p + REFILL;
    for (; p + size <= end; p += size) {
        struct fc_free *object = (struct fc_free *)p;
        ASAN_UNPOISON_MEMORY_REGION(object, sizeof *object);
        object->next = pool->lists[class];
        ASAN_POISON_MEMORY_REGION(object, size);
        pool->lists[class] = object;
    }
    pool->next = end;
    return 0;
}

void *fc_pool_take(struct fc_pool *pool, size_t size)
{
    unsigned class = class_of(size);
    struct fc_free *object;

    if (__builtin_expect(size > FC_POOL_MAX, 0))
        return malloc(size);
    if (__builtin_expect(!pool->lists[class], 0) && !take_returned(pool, class) && refill(pool, class))
        return NULL;
    object = pool->lists[class];
    ASAN_UNPOISON_MEMORY_REGION(object, class_size(class));
    pool->lists[class] = object->next;
    __builtin_prefetch(object->next, 1); /* the next one will be taken soon */
    return object;
}

void fc_pool_give(struct fc_pool *pool, void *p, size_t size)
{
    unsigned class = class_of(size);
    struct fc_free *object = p;

    if (size > FC_POOL_MAX) {
        free(p);
        return;
    }
    object->next = pool->lists[class];
    pool->lists[class] = object;
    ASAN_POISON_MEMORY_REGION(p, class_size(class));
}
