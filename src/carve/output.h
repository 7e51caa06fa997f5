/* SPDX-License-Identifier: MIT */
/* Writes a capture: pcap with microseconds or nanoseconds, or pcapng. Threads: one. */
#ifndef FC_CARVE_OUTPUT_H
#define FC_CARVE_OUTPUT_H

#include <flowcarve/capture.h>

struct fc_output {
    int fd;
    const int *stop; /* waiting for fd ends with FC_E_INTERRUPTED once *stop is not 0; may be NULL */
    bool pcapng, nanoseconds;
    uint8_t *buf;
    size_t len;
    uint64_t written;     /* bytes, those in the buffer included */
    int64_t epoch_s;      /* pcapng: seconds since 1970 from which times count */
    uint32_t *link_types; /* pcapng: of the interfaces so far */
    uint32_t iface_count;
};

/*
 * Starts a capture on fd. link_type and snaplen: of a pcap file. low_ns: no record is earlier; FC_TIME_NONE: none has a time.
 * stop: see above. FC_E_NOMEM.
 */
int fc_output_init(struct fc_output *out, int fd, bool pcapng, bool nanoseconds, uint32_t link_type, uint32_t snaplen,
                   int64_t low_ns, const int *stop);
/* Frees, without writing. */
void fc_output_fini(struct fc_output *out);

/* Appends a record; a time of FC_TIME_NONE is written as 0. FC_E_PIPE: closed by its reader. FC_E_IO, FC_E_NOMEM. */
int fc_output_record(struct fc_output *out, const struct fc_record *rec);

/* Writes what is left in the buffer. */
int fc_output_flush(struct fc_output *out);

#endif
