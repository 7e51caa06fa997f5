/* SPDX-License-Identifier: MIT */
/* What each capture that is carved from says of its interfaces and sections. Threads: one. */
#ifndef FC_CARVE_DESCRIBE_H
#define FC_CARVE_DESCRIBE_H

#include "carve/interface.h"
#include "packets/source.h"

struct fc_carve_file {
    /* one each of the stored file's interfaces; NULL: in a section without a position */
    struct fc_carve_iface **ifaces;
    bool *heads; /* the same: of the first interface of a section, its head was read; NULL: of none */
};

struct fc_carve_files {
    struct fc_blocks *blocks; /* NULL: captures are open while they are described */
    struct fc_carve_ifaces ifaces;
    struct fc_carve_file *items; /* one a file of the places */
    size_t count;
};
void fc_carve_files_fini(struct fc_carve_files *files);

/* Description of a file of these places. */
static inline struct fc_carve_file *fc_carve_file_of(const struct fc_carve_files *files, const struct fc_places *places,
                                                     const struct fc_place_file *file)
{
    return &files->items[file - places->files];
}

/*
 * Reads what a capture says of the interfaces of the sections that have positions: ctx is a fc_carve_files, all zero
 * before the first. FC_E_CHANGED, FC_E_IO, FC_E_NOMEM.
 */
int fc_carve_describe(void *ctx, struct fc_places *places, struct fc_place_file *file, struct fc_error *err);

/*
 * Appends to heads[byte order] the blocks of names and secrets that the section of the source's current record begins
 * with, the first time that it is asked for them. FC_E_IO, FC_E_NOMEM.
 */
int fc_carve_head(struct fc_blocks *blocks, struct fc_carve_file *described, const struct fc_record_source *source,
                  struct fc_buffer heads[2], struct fc_error *err);

#endif
