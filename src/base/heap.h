/* SPDX-License-Identifier: MIT */
/*
 * A heap in an array: the one that comes first is in front.
 *
 *   FC_HEAP(NAME, ITEM, CONTEXT, BEFORE)   defines NAME_sink() and NAME_rise()
 *
 * BEFORE(const ITEM *a, const ITEM *b, CONTEXT context) tells whether a comes first. A macro and not a call of a
 * function: what is merged by such a heap passes through it record by record.
 *
 * Threads: any, on heaps of their own.
 */
#ifndef FC_BASE_HEAP_H
#define FC_BASE_HEAP_H

#include <stddef.h>

#define FC_HEAP(name, item, context, before)                                                                           \
    /* Moves the item at i towards the end, to where it belongs. */                                                    \
    static inline void name##_sink(item *heap, size_t count, size_t i, context ctx)                                    \
    {                                                                                                                  \
        item down = heap[i];                                                                                           \
        for (size_t child; (child = 2 * i + 1) < count; i = child) {                                                   \
            if (child + 1 < count && before(&heap[child + 1], &heap[child], ctx))                                      \
                child++;                                                                                               \
            if (!before(&heap[child], &down, ctx))                                                                     \
                break;                                                                                                 \
            heap[i] = heap[child];                                                                                     \
        }                                                                                                              \
        heap[i] = down;                                                                                                \
    }                                                                                                                  \
    /* Moves the item at i towards the front, to where it belongs. */                                                  \
    static inline void name##_rise(item *heap, size_t i, context ctx)                                                  \
    {                                                                                                                  \
        item up = heap[i];                                                                                             \
        for (size_t parent; i && before(&up, &heap[parent = (i - 1) / 2], ctx); i = parent)                            \
            heap[i] = heap[parent];                                                                                    \
        heap[i] = up;                                                                                                  \
    }

#endif
