/* SPDX-License-Identifier: MIT */
/* The chosen records of one capture, one by one, in time order as far as the capture is. Threads: one. */
#ifndef FC_PACKETS_SOURCE_H
#define FC_PACKETS_SOURCE_H

#include "packets/aside.h"
#include "packets/places.h"

struct fc_record_source {
    struct fc_place_file *f;
    struct fc_places *places;
    struct fc_reader reader;
    struct fc_section section;
    size_t first_iface;    /* of the section, among those of the file */
    size_t next;           /* position to read next */
    uint64_t span_end;     /* offsets up to here are read ahead together */
    struct fc_aside aside; /* records that were read ahead of their turn, all of them, in time order */
    int64_t order_ns;      /* time by which the current record is merged: none counts as that of the record before */
    uint64_t bytes_read, bytes_decoded;
    /* current, valid until the next call */
    struct fc_record rec;
    struct fc_packet packet;          /* of fc_record_source_next() only */
    struct fc_place_session *session; /* the same */
    size_t iface;                     /* among those of the file */
    const uint8_t *block;             /* of a pcapng: the block that rec is in; else NULL */
};

/* Opens a file of the places. FC_E_NOMEM, FC_E_IO, FC_E_CHANGED. */
int fc_record_source_open(struct fc_record_source *source, struct fc_places *places, struct fc_place_file *file,
                          struct fc_error *err);
/* Makes position i the current record, whatever it is. 1, or a code as fc_record_source_next(). */
int fc_record_source_read(struct fc_record_source *source, size_t i, struct fc_error *err);

/*
 * Opens a file and starts on it. by_time: positions in a capture whose times run backwards are put in order of time
 * first, for which their headers are read; of a compressed one all of them, once, in the order of the stream, as to go
 * back in it is to decode again. Codes as above, and FC_E_INTERRUPTED.
 */
int fc_record_source_init(struct fc_record_source *source, struct fc_places *places, struct fc_place_file *file,
                          bool by_time, struct fc_error *err);
void fc_record_source_fini(struct fc_record_source *source);

/* 1: source->rec is the next record, and it fits its session; 0: end; FC_E_CHANGED: it does not; FC_E_IO, FC_E_NOMEM,
 * FC_E_INTERRUPTED. */
int fc_record_source_next(struct fc_record_source *source, struct fc_error *err);

#endif
