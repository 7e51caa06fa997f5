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

enum {
    SLAB_FIRST = 64 << 10,
    SLAB_GROWTH = 5,
    SLAB_MAX = SLAB_FIRST << SLAB_GROWTH, /* a huge page */
    REGION_MAX = 64 << 20,
    REFILL = 4096,
    AHEAD = 8
};

void fc_heap_init(struct fc_heap *heap)
{
    memset(heap, 0, sizeof *heap);
    pthread_mutex_init(&heap->lock, NULL);
}

/* Not malloc()'s, which keeps what it is given back and, between blocks that are aligned, loses as much again. */
static void *map_region(size_t bytes)
{
    size_t align = bytes < SLAB_MAX ? bytes : SLAB_MAX;
    uint8_t *p = mmap(NULL, bytes + align, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (p == MAP_FAILED)
        return NULL;
    size_t front = -(uintptr_t)p % align;
    if (front)
        munmap(p, front);
    munmap(p + front + bytes, align - front);
    if (bytes >= SLAB_MAX)
        madvise(p + front, bytes, MADV_HUGEPAGE); /* fewer faults and TLB misses; all the same where it is refused */
    return p + front;
}

void fc_heap_shrink(struct fc_heap *heap)
{
    for (size_t i = 0; i < heap->region_count; i++) {
        ASAN_UNPOISON_MEMORY_REGION(heap->regions[i].start, heap->regions[i].bytes);
        munmap(heap->regions[i].start, heap->regions[i].bytes);
    }
    heap->region_count = 0;
    heap->slab = heap->slab_end = NULL;
    atomic_store_explicit(&heap->bytes, 0, memory_order_relaxed);
    for (unsigned i = 0; i < FC_POOL_CLASSES; i++)
        atomic_store_explicit(&heap->returned[i], NULL, memory_order_relaxed);
}

void fc_heap_fini(struct fc_heap *heap)
{
    fc_heap_shrink(heap);
    free(heap->regions);
    pthread_mutex_destroy(&heap->lock);
}

/*
 * The first regions are a slab each, from small ones on; the others an eighth of what there is, since a process may have some 65,000
 * mappings. False without memory.
 */
static bool add_region(struct fc_heap *heap)
{
    uint64_t bytes = atomic_load_explicit(&heap->bytes, memory_order_relaxed) / 8;

    if (heap->region_count == heap->region_room) {
        size_t room = heap->region_room ? heap->region_room * 2 : 64;
        struct fc_region *bigger = realloc(heap->regions, room * sizeof *bigger);
        if (!bigger)
            return false;
        heap->regions = bigger;
        heap->region_room = room;
    }
    bytes = bytes > REGION_MAX ? REGION_MAX : bytes & ~(uint64_t)(SLAB_MAX - 1);
    if (bytes < SLAB_MAX)
        bytes = heap->region_count < SLAB_GROWTH ? (uint64_t)SLAB_FIRST << heap->region_count : SLAB_MAX;
    uint8_t *start = map_region(bytes);
    if (!start)
        return false;
    ASAN_POISON_MEMORY_REGION(start, bytes);
    heap->regions[heap->region_count++] = (struct fc_region){start, bytes};
    heap->slab = start;
    heap->slab_end = start + bytes;
    return true;
}

/* A new slab; its size goes to *bytes. NULL without memory. */
static void *new_slab(struct fc_heap *heap, size_t *bytes)
{
    uint8_t *slab = NULL;

    pthread_mutex_lock(&heap->lock);
    if (heap->slab != heap->slab_end || add_region(heap)) {
        slab = heap->slab;
        *bytes = (size_t)(heap->slab_end - slab) < SLAB_MAX ? (size_t)(heap->slab_end - slab) : SLAB_MAX;
        heap->slab += *bytes;
        atomic_fetch_add_explicit(&heap->bytes, *bytes, memory_order_relaxed);
    }
    pthread_mutex_unlock(&heap->lock);
    return slab;
}

void fc_pool_init(struct fc_pool *pool, struct fc_heap *heap)
{
    memset(pool, 0, sizeof *pool);
    pool->heap = heap;
    pthread_mutex_lock(&heap->lock);
    pool->next_pool = heap->pools;
    heap->pools = pool;
    pthread_mutex_unlock(&heap->lock);
}

static int64_t counted(const atomic_int_fast64_t *count)
{
    return atomic_load_explicit(count, memory_order_relaxed);
}

static void forget(struct fc_pool *pool)
{
    struct fc_heap *heap = pool->heap;
    struct fc_pool **p = &heap->pools;

    pthread_mutex_lock(&heap->lock);
    while (*p != pool)
        p = &(*p)->next_pool;
    *p = pool->next_pool;
    fc_tally_add(&heap->gone, counted(&pool->tally.bytes), counted(&pool->tally.objects));
    pthread_mutex_unlock(&heap->lock);
}

void fc_heap_tally(struct fc_heap *heap, int64_t *bytes, int64_t *objects)
{
    pthread_mutex_lock(&heap->lock);
    *bytes = counted(&heap->gone.bytes);
    *objects = counted(&heap->gone.objects);
    for (const struct fc_pool *pool = heap->pools; pool; pool = pool->next_pool) {
        *bytes += counted(&pool->tally.bytes);
        *objects += counted(&pool->tally.objects);
    }
    pthread_mutex_unlock(&heap->lock);
}

void fc_pool_fini(struct fc_pool *pool)
{
    if (!pool->heap)
        return;
    forget(pool);
    for (unsigned i = 0; i < FC_POOL_CLASSES; i++)
        free(pool->stacks[i].objects);
    memset(pool, 0, sizeof *pool);
}

static inline unsigned class_of(size_t size)
{
    return (unsigned)(size <= FC_POOL_SMALL ? (size + 15) / 16 : FC_POOL_SMALL / 16 + (size - FC_POOL_SMALL + 63) / 64);
}

static inline size_t class_size(unsigned size_class)
{
    return size_class <= FC_POOL_SMALL / 16 ? (size_t)size_class * 16
                                            : FC_POOL_SMALL + (size_t)(size_class - FC_POOL_SMALL / 16) * 64;
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
static bool take_returned(struct fc_pool *pool, unsigned size_class)
{
    _Atomic(struct fc_free *) *returned = &pool->heap->returned[size_class];

    if (!atomic_load_explicit(returned, memory_order_relaxed))
        return false;
    pool->stacks[size_class].list = atomic_exchange_explicit(returned, NULL, memory_order_acquire);
    return pool->stacks[size_class].list != NULL;
}

/* False without memory. */
static bool grow(struct fc_pool_stack *stack)
{
    uint32_t room = stack->room ? stack->room * 2 : 128;
    void **bigger = realloc(stack->objects, room * sizeof *bigger);

    if (!bigger)
        return false;
    stack->objects = bigger;
    stack->room = room;
    return true;
}

/* Cuts a stretch of the slab into objects of one size. */
static bool refill(struct fc_pool *pool, unsigned size_class)
{
    struct fc_pool_stack *stack = &pool->stacks[size_class];
    size_t size = class_size(size_class), bytes;

    if ((size_t)(pool->end - pool->next) < REFILL) {
        uint8_t *slab = new_slab(pool->heap, &bytes);
        if (!slab)
            return false;
        pool->next = slab;
        pool->end = slab + bytes;
    }
    while (stack->room < REFILL / size)
        if (!grow(stack))
            return false;
    /* the first one on top, so that memory is used in its order */
    for (size_t off = REFILL / size * size; off > 0; off -= size)
        stack->objects[stack->count++] = pool->next + off - size;
    pool->next += REFILL;
    return true;
}

/* One that is free, made accessible; NULL: there is none. */
static struct fc_free *next_free(struct fc_pool_stack *stack, size_t size)
{
    struct fc_free *object = stack->list;

    if (stack->count)
        object = stack->objects[--stack->count];
    else if (object)
        stack->list = object->next;
    if (object)
        ASAN_UNPOISON_MEMORY_REGION(object, size);
    return object;
}

void fc_pool_release(struct fc_pool *pool)
{
    for (unsigned i = 0; i < FC_POOL_CLASSES; i++) {
        struct fc_free *first = NULL, *last = NULL, *object;
        while ((object = next_free(&pool->stacks[i], class_size(i)))) {
            object->next = first;
            object->ahead = first;
            last = last ? last : object;
            first = object;
        }
        if (first)
            fc_heap_return(pool->heap, class_size(i), first, last);
    }
}

void *fc_pool_take(struct fc_pool *pool, size_t size)
{
    if (__builtin_expect(size > FC_POOL_MAX, 0))
        return malloc(size);
    unsigned size_class = class_of(size);
    struct fc_pool_stack *stack = &pool->stacks[size_class];
    void *object;

    if (!stack->count && (stack->list || take_returned(pool, size_class))) {
        object = stack->list;
        ASAN_UNPOISON_MEMORY_REGION(object, class_size(size_class));
        __builtin_prefetch(stack->list->ahead, 1); /* will be taken soon */
        stack->list = stack->list->next;
        return object;
    }
    if (__builtin_expect(!stack->count, 0) && !refill(pool, size_class))
        return NULL;
    object = stack->objects[--stack->count];
    __builtin_prefetch(stack->objects[stack->count < AHEAD ? 0 : stack->count - AHEAD], 1);
    ASAN_UNPOISON_MEMORY_REGION(object, class_size(size_class));
    return object;
}

void fc_pool_give(struct fc_pool *pool, void *object, size_t size)
{
    if (size > FC_POOL_MAX) {
        free(object);
        return;
    }
    unsigned size_class = class_of(size);
    struct fc_pool_stack *stack = &pool->stacks[size_class];

    ASAN_POISON_MEMORY_REGION(object, class_size(size_class));
    if (stack->count == stack->room && !grow(stack))
        return; /* out of use until the heap goes */
    stack->objects[stack->count++] = object;
}
