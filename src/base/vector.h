/* SPDX-License-Identifier: MIT */
/*
 * Growing an array: the one place where that is done.
 *
 * Threads: any, on arrays of their own.
 */
#ifndef FC_BASE_VECTOR_H
#define FC_BASE_VECTOR_H

#include <flowcarve/error.h>
#include <stdint.h>
#include <stdlib.h>

/*
 * Makes room for `count` items of `size` bytes in the array that `list` points to, at least doubling it; room: items
 * that fit now. FC_E_NOMEM, and nothing has changed.
 */
static inline int fc_vector_reserve(void *list, size_t *room, size_t count, size_t size)
{
    void **array = list, *bigger;
    size_t want = *room * 2 > count ? *room * 2 : count;

    if (count <= *room)
        return 0;
    if (want < 16)
        want = 16;
    if (want > SIZE_MAX / size || !(bigger = realloc(*array, want * size)))
        return FC_E_NOMEM;
    *array = bigger;
    *room = want;
    return 0;
}

#endif
