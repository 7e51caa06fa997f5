/* SPDX-License-Identifier: MIT */
/*
 * What a sensor sends, read as a capture: its records one by one, and what stands between them. Threads: one. Memory: a
 * buffer of 128 KiB beside the stream's window.
 */
#ifndef FC_CLUSTER_INCOMING_H
#define FC_CLUSTER_INCOMING_H

#include "capture/reader.h"
#include "carve/output.h"
#include "cluster/streams.h"

/* A block that is no packet, and that is passed on. */
struct fc_incoming_block {
    uint32_t type, size;
    bool big_endian;
    struct fc_carve_iface *iface; /* of statistics */
    size_t at;                    /* in `bytes` */
};

struct fc_incoming {
    struct fc_streams *streams;
    size_t number;
    struct fc_stored_file stored; /* a name for messages */
    struct fc_place_file place;
    struct fc_reader reader;
    struct fc_carve_ifaces *ifaces; /* of all */
    const char *origin;
    /* of the section at hand */
    struct fc_carve_iface **iface;
    size_t iface_count, iface_room;
    size_t described; /* bytes of descriptions that no other interface has, of all sections */
    bool big_endian;
    bool begun; /* the first section is known */
    struct fc_incoming_block *block;
    size_t block_count, block_room;
    struct fc_buffer bytes; /* of the blocks in front of the record */
    struct fc_record rec;
    int64_t order_ns; /* time by which the record is merged: none counts as that of the record before */
    uint64_t records;
};

/*
 * Of a stream that was begun. name: what messages call the sensor; origin: the comment on its interfaces; both must
 * live as long. FC_E_IO: it sends no pcapng; what the stream's source says; FC_E_LIMIT: more interfaces than are
 * held; FC_E_NOMEM. fc_incoming_fini() frees in any case.
 */
int fc_incoming_open(struct fc_incoming *in, struct fc_streams *streams, size_t number, const char *name,
                     const char *origin, struct fc_carve_ifaces *ifaces, const int *stop, struct fc_error *err);
void fc_incoming_fini(struct fc_incoming *in);

/* The next record: 1 and in->rec, valid until the next call; 0: the end, as the stream has it. Codes as above. */
int fc_incoming_next(struct fc_incoming *in, struct fc_error *err);

/* The interface of the record. */
static inline struct fc_carve_iface *fc_incoming_iface(const struct fc_incoming *in)
{
    return in->iface[in->rec.iface];
}

/* Writes what stands in front of the record, or of the end. Codes as fc_output_record(). */
int fc_incoming_write_blocks(struct fc_incoming *in, struct fc_output *out);
/* Writes the record. The same codes. */
int fc_incoming_write(struct fc_incoming *in, struct fc_output *out);

#endif
