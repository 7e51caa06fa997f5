/* SPDX-License-Identifier: MIT */
/*
 * Many sessions one by one, each as fc_packets gives it when it is asked for alone, out of one reading: the records of
 * all are read in the order of their captures, kept in memory, and given session by session.
 *
 * Threads: one. Memory: the records, 40 bytes for each, and the places of all.
 */
#ifndef FC_PACKETS_KEPT_H
#define FC_PACKETS_KEPT_H

#include "packets/packets.h"
#include "store/blob.h"

struct fc_kept {
    struct fc_packets all;   /* of all sessions; read once */
    struct fc_file *shapes;  /* of each capture, what is known of it when it is not open */
    struct fc_buffer memory; /* struct fc_put_aside and its bytes, one behind the other */
    uint64_t **at;           /* one a capture: where in it the record of each position is; FC_KEPT_NONE */
    /* the positions of each session, side by side: those of session i are [first[i], first[i + 1]) */
    struct fc_place *places; /* off; session: index of the capture */
    uint64_t *place_at;
    size_t *first;
    struct fc_place_file *files; /* what one session has of each capture, empty between two */
    uint64_t absent_count;       /* records that are not there, as they have changed */
    struct fc_error absent;      /* why records are not there, that `partial` left out */
};

#define FC_KEPT_NONE UINT64_MAX

/* Reads all; options: order is not looked at. Codes as fc_packets_open(). fc_kept_fini() also after a failure. */
int fc_kept_read(struct fc_kept *kept, struct fc_db *db, const struct fc_filter *filter,
                 const struct fc_packets_options *options, struct fc_error *err);
void fc_kept_fini(struct fc_kept *kept);

/*
 * Makes *packets, all zero, as fc_packets_find() would make it for session `i` of kept->all.places alone, by time.
 * fc_kept_leave() in place of fc_packets_fini(), before the next one.
 */
void fc_kept_enter(struct fc_kept *kept, size_t i, struct fc_packets *packets);
void fc_kept_leave(struct fc_kept *kept, struct fc_packets *packets);

#endif
