/* SPDX-License-Identifier: MIT */
/*
 * Memory of one partition for many small objects of few sizes: powers of two, each with a list of spare ones, cut from
 * slabs. Large ones go to malloc().
 *
 * Threads: one an arena. Memory: what was in use at the most, by size, until fc_slabs_fini().
 */
#ifndef FC_FLOW_SLABS_H
#define FC_FLOW_SLABS_H

#include <stddef.h>
#include <stdint.h>

enum { FC_SLABS_MIN = 5, FC_SLABS_MAX = 11 /* logarithms of the sizes from slabs */ };

struct fc_slabs {
    void *spare[FC_SLABS_MAX + 1];
    uint8_t *next, *end; /* of the latest slab */
    void **slabs;
    size_t slab_count, slab_room;
    uint64_t bytes; /* taken from the system */
};

/* 1 << log bytes, aligned to 32. NULL without memory. */
void *fc_slabs_take(struct fc_slabs *from, unsigned log);
void fc_slabs_give(struct fc_slabs *from, void *object, unsigned log);
/* Frees all slabs. Large objects must have been given back. */
void fc_slabs_fini(struct fc_slabs *from);

#endif
