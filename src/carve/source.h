/* SPDX-License-Identifier: MIT */
/* The chosen records of one capture, one by one, in time order as far as the capture is. Threads: one. */
#ifndef FC_CARVE_SOURCE_H
#define FC_CARVE_SOURCE_H

#include "carve/plan.h"

struct fc_carve_source {
    struct fc_carve_file *f;
    struct fc_carve_plan *plan;
    struct fc_reader reader;
    struct fc_section section;
    size_t first_iface; /* of the section, among those of the file */
    size_t next;        /* position to read next */
    uint64_t span_end;  /* offsets up to here are read ahead together */
    int64_t order_ns;   /* time by which the current record is merged: no time counts as that of the record before */
    uint64_t bytes_read, bytes_decoded;
    /* current, valid until the next call */
    struct fc_record rec;
    struct fc_carve_iface *iface;
    const uint8_t *block; /* of a pcapng: the block that rec is in; else NULL */
    /* of the sections entered since the caller last emptied them, by byte order: their blocks of names and secrets */
    struct fc_buffer heads[2];
};

/* Opens a file of the plan. FC_E_NOMEM, FC_E_IO, FC_E_CHANGED. */
int fc_carve_source_open(struct fc_carve_source *source, struct fc_carve_plan *plan, struct fc_carve_file *file,
                         struct fc_error *err);
/* Makes position i the current record, whatever it is. 1, or a code as fc_carve_source_next(). */
int fc_carve_source_read(struct fc_carve_source *source, size_t i, struct fc_error *err);

/*
 * Opens a file and starts on it. Positions in a capture whose times run backwards are put in order of time first, for
 * which their headers are read. Codes as above.
 */
int fc_carve_source_init(struct fc_carve_source *source, struct fc_carve_plan *plan, struct fc_carve_file *file,
                         struct fc_error *err);
void fc_carve_source_fini(struct fc_carve_source *source);

/* 1: source->rec is the next record, and it fits its session; 0: end; FC_E_CHANGED: it does not; FC_E_IO, FC_E_NOMEM.
 */
int fc_carve_source_next(struct fc_carve_source *source, struct fc_error *err);

#endif
