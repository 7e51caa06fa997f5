/* SPDX-License-Identifier: MIT */
#include "flow/slabs.h"
#include "base/vector.h"

#include <string.h>

enum { SLAB_FIRST = 4096, SLAB_MOST = 64 << 10 };

static int new_slab(struct fc_slabs *a)
{
    size_t size = a->slab_count < 4 ? SLAB_FIRST : SLAB_MOST;
    uint8_t *slab;

    if (fc_vector_reserve(&a->slabs, &a->slab_room, a->slab_count + 1, sizeof *a->slabs) ||
        !(slab = aligned_alloc(64, size)))
        return FC_E_NOMEM;
    /* what is left of the one before becomes spare objects */
    while (a->end - a->next >= 1 << FC_SLABS_MIN) {
        unsigned log = FC_SLABS_MIN;
        while (log < FC_SLABS_MAX && a->end - a->next >= 2 << log)
            log++;
        fc_slabs_give(a, a->next, log);
        a->next += (size_t)1 << log;
    }
    a->slabs[a->slab_count++] = slab;
    a->next = slab;
    a->end = slab + size;
    a->bytes += size;
    return 0;
}

void *fc_slabs_take(struct fc_slabs *a, unsigned log)
{
    size_t size = (size_t)1 << log;
    void *object;

    if (log > FC_SLABS_MAX) {
        if ((object = malloc(size)))
            a->bytes += size;
        return object;
    }
    if ((object = a->spare[log])) {
        memcpy(&a->spare[log], object, sizeof object);
        return object;
    }
    if ((size_t)(a->end - a->next) < size && new_slab(a))
        return NULL;
    object = a->next;
    a->next += size;
    return object;
}

void fc_slabs_give(struct fc_slabs *a, void *object, unsigned log)
{
    if (log > FC_SLABS_MAX) {
        a->bytes -= (uint64_t)1 << log;
        free(object);
        return;
    }
    memcpy(object, &a->spare[log], sizeof object);
    a->spare[log] = object;
}

void fc_slabs_fini(struct fc_slabs *a)
{
    for (size_t i = 0; i < a->slab_count; i++)
        free(a->slabs[i]);
    free(a->slabs);
    memset(a, 0, sizeof *a);
}
