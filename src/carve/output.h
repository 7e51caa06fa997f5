/* SPDX-License-Identifier: MIT */
/*
 * Writes a capture: pcap with microseconds or nanoseconds, or pcapng.
 *
 * A pcap is written in one byte order. In a pcapng, a record out of a pcapng, or of a link type whose headers are in
 * the order of the capturing host, is in a section of its capture's order; sections begin where that changes.
 * Interfaces are described in a section where they are first used there. Threads: one.
 */
#ifndef FC_CARVE_OUTPUT_H
#define FC_CARVE_OUTPUT_H

#include "carve/interface.h"
#include "carve/pack.h"

/* What is written. */
struct fc_output_form {
    bool pcapng;
    enum fc_compression compression;
    /* of a pcap */
    bool nanoseconds, big_endian;
    uint32_t link_type; /* with the bits of fc_pcap.fcs */
    uint32_t snaplen;
    /* of a pcapng; may be NULL */
    const struct fc_carve_ifaces *ifaces;
};

struct fc_output {
    struct fc_output_form form;
    int fd;
    const int *stop;      /* waiting for fd ends with FC_E_INTERRUPTED once *stop is not 0; may be NULL */
    bool big_endian;      /* what is written now */
    struct fc_pack *pack; /* NULL: it is not compressed */
    uint8_t *buf;
    size_t len;
    const char *comment;           /* pcapng: on the record that is appended next, but in a simple packet block; NULL */
    uint64_t written;              /* bytes, those in the buffer included, before they are compressed */
    uint32_t section, iface_count; /* pcapng: sections so far, and interfaces in the last one */
};

/* Are there headers in the capturing host's byte order in packets of this link type? */
bool fc_output_has_order(uint32_t link_type);

/* Starts a capture on fd. stop: see above. FC_E_NOMEM, and as fc_output_record(). */
int fc_output_init(struct fc_output *out, int fd, const struct fc_output_form *form, const int *stop);
/* Frees, without writing. */
void fc_output_fini(struct fc_output *out);

/*
 * Appends a record of an interface. block: of a record out of a pcapng: the block that it is in; else NULL. A time of
 * FC_TIME_NONE is written as 0 in pcap. FC_E_PIPE: closed by its reader. FC_E_IO.
 */
int fc_output_record(struct fc_output *out, struct fc_carve_iface *iface, const struct fc_record *rec,
                     const uint8_t *block);

/* pcapng: appends a block of an interface as it is, but for the number of the interface. Size: bytes, padded. */
int fc_output_block(struct fc_output *out, struct fc_carve_iface *iface, const uint8_t *block, uint32_t size);

/* pcapng: appends whole blocks of this byte order that are no packets. */
int fc_output_blocks(struct fc_output *out, bool big_endian, const uint8_t *blocks, size_t len);

/* Fills err for a code of these functions; returns it. */
int fc_output_error(int rc, struct fc_error *err);

/* Ends the capture: writes what is left in the buffer. */
int fc_output_end(struct fc_output *out);

#endif
