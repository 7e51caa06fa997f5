/* SPDX-License-Identifier: MIT */
/*
 * What is read of captures beside records: headers, descriptions and their kin. Where many outputs are made of the same
 * captures they are kept, and a capture is only opened for what is not there yet.
 *
 * Threads: one. Memory: 16 MiB of what was read, or nothing.
 */
#ifndef FC_CARVE_BLOCKS_H
#define FC_CARVE_BLOCKS_H

#include "packets/places.h"

struct fc_blocks {
    struct fc_block_kept *items; /* in the order in which they were asked for, which is that of the next output, too */
    size_t count, room, next, bytes;
};

/* blocks NULL, here and below: the file is open, and nothing is kept. As fc_pcapng_load(). */
int fc_blocks_load(struct fc_blocks *blocks, struct fc_place_file *file, uint64_t off, bool big, uint32_t max,
                   const uint32_t *types, uint8_t **block, uint32_t *size, struct fc_error *err);
/* As fc_file_read(). */
int64_t fc_blocks_read(struct fc_blocks *blocks, struct fc_place_file *file, void *buf, size_t n, uint64_t off,
                       struct fc_error *err);
void fc_blocks_fini(struct fc_blocks *blocks);

#endif
