/* SPDX-License-Identifier: MIT */
/* One output out of the records of chosen sessions. Threads: one. */
#ifndef FC_CARVE_CARVING_H
#define FC_CARVE_CARVING_H

#include "carve/describe.h"
#include "carve/output.h"
#include "packets/packets.h"

#include <flowcarve/carve.h>

struct fc_carve_taken {
    uint64_t packets, bytes;
};

struct fc_carving {
    struct fc_packets packets; /* found and not started; the caller's to free */
    struct fc_carve_files files;
    const struct fc_carve_options *options;
    struct fc_carve_taken *taken; /* of each session, where the options limit it */
    bool *commented;              /* of each session, where its first packet gets a comment */
    uint64_t records;             /* written */
    struct fc_buffer heads[2];    /* of the sections entered, by byte order, until they are written */
    struct fc_output out;
    struct fc_progress *progress; /* records and bytes_done go on from what they are; may be NULL */
    uint64_t told_records, told_bytes;
};

/* By enum fc_compression: what a name ends with. */
extern const char *const fc_compression_suffixes[];

/* Decides what the output is: captures are described by now. Codes as fc_carve_choose(). */
int fc_carving_choose(struct fc_carving *carving, enum fc_carve_format format, struct fc_output_form *form,
                      struct fc_error *err);
/* Writes all of it. */
int fc_carving_write(struct fc_carving *carving, const struct fc_output_form *form, int fd, const int *stop,
                     struct fc_error *err);
/* Frees all but the packets. */
void fc_carving_fini(struct fc_carving *carving);

#endif
