/* SPDX-License-Identifier: MIT */
/* What a handle of fc_packets_open() is, for those who need more of a record than it gives: carving. Threads: one. */
#ifndef FC_PACKETS_PACKETS_H
#define FC_PACKETS_PACKETS_H

#include "packets/number.h"
#include "packets/source.h"

struct fc_packets {
    struct fc_places places;
    bool by_time, read, counted;
    const char *db_path; /* the db's */
    /* captures that take part, in the order in which they are opened; `opened` of them are or were */
    struct fc_place_file **waiting;
    size_t file_count, opened;
    struct fc_record_source *sources; /* one each */
    struct fc_numbers *numbers;       /* the same, when records are counted */
    size_t *heap;                     /* sources with a record, the next one on top */
    size_t live;
    bool started;                       /* the top of the heap was given */
    size_t place;                       /* of the next position, when captures are not read */
    uint64_t packets;                   /* given */
    uint64_t bytes_read, bytes_decoded; /* of the sources that are closed */
    int failed;
    struct fc_error why;
    struct fc_session_packet now;
    bool held;      /* `now` has not been given: it did not fit in the batch before */
    uint8_t *bytes; /* of a batch's records */
    size_t bytes_room;
    /* called before a capture is closed of which all was given; may be NULL */
    int (*at_end)(void *ctx, struct fc_place_file *file, struct fc_error *err);
    void *at_end_ctx;
};

/* fc_packets_open() in two steps: between them the places are known and nothing is read. Codes as there. */
int fc_packets_find(struct fc_packets *packets, struct fc_db *db, const struct fc_filter *filter,
                    const struct fc_packets_options *options, fc_places_examine *examine, void *ctx,
                    struct fc_error *err);
int fc_packets_start(struct fc_packets *packets, struct fc_error *err);

/*
 * Makes the next record the current one of *source, without filling in what fc_packets_next() gives. 1, 0, or a code.
 */
int fc_packets_step(struct fc_packets *packets, struct fc_record_source **source, struct fc_error *err);

/* Which end of its session has sent the packet. */
enum fc_from fc_packets_sender(const struct fc_place_session *session, const struct fc_packet *packet);

/* Frees what fc_packets_start() and the reading have made, and leaves the places. */
void fc_packets_stop(struct fc_packets *packets);
/* Frees what is in it. */
void fc_packets_fini(struct fc_packets *packets);

#endif
