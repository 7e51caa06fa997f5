/* SPDX-License-Identifier: MIT */
/*
 * Records of a capture file with their byte offsets: pcap (both byte orders; microseconds, nanoseconds and the
 * "modified" variant with 24-byte record headers) and pcapng (all sections, byte orders and interfaces). The file may
 * be compressed with gzip, zstd, lz4 or xz, whatever its name: offsets are those in the stream that it holds.
 *
 * Reads regular files and memory with large pread()s. Does not decode packets, does not read live interfaces.
 *
 * Threads: a handle belongs to one thread at a time. Memory: record data is valid until the next call on the handle.
 * Limits: a record of more than 262144 captured bytes is damage (128 MiB for the link types that libpcap allows that
 * much). Times outside of +-292 years around 1970 are clamped.
 * Source: draft-ietf-opsawg-pcap, draft-ietf-opsawg-pcapng.
 */
#ifndef FLOWCARVE_CAPTURE_H
#define FLOWCARVE_CAPTURE_H

#include <flowcarve/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Time of a record that has none (pcapng simple packet block). */
#define FC_TIME_NONE INT64_MIN

enum fc_format {
    FC_FORMAT_EMPTY = 0, /* a file of no bytes, or cut inside its first header */
    FC_FORMAT_PCAP,      /* microseconds */
    FC_FORMAT_PCAP_NS,
    FC_FORMAT_PCAP_MODIFIED,
    FC_FORMAT_PCAPNG
};

enum fc_compression {
    FC_COMPRESSION_NONE = 0,
    FC_COMPRESSION_GZIP,
    FC_COMPRESSION_ZSTD,
    FC_COMPRESSION_LZ4,
    FC_COMPRESSION_XZ
};

/* One interface of a capture; a pcap file has one, number 0 of section 0. */
struct fc_interface {
    uint64_t section_off; /* bytes: offset of the section header block; 0 in pcap */
    uint64_t off;         /* bytes: offset of the interface description block; 0 in pcap */
    int64_t tsoffset;     /* seconds added to each time */
    uint32_t section;     /* from 0 */
    uint32_t number;      /* inside its section, from 0 */
    uint32_t link_type;   /* LINKTYPE_, FCS bits removed */
    uint32_t snaplen;     /* as stored; 0: no limit */
    uint8_t tsresol;      /* as if_tsresol: bit 7 set: power of 2, else of 10 */
    bool big_endian;
};

struct fc_record {
    uint64_t off;        /* bytes: offset of the record header (pcap) or block (pcapng) */
    uint64_t next_off;   /* bytes: offset behind the record */
    int64_t ts_ns;       /* since 1970-01-01 UTC, or FC_TIME_NONE */
    const uint8_t *data; /* caplen bytes, valid until the next call */
    uint32_t caplen;     /* captured bytes */
    uint32_t origlen;    /* bytes on the wire, as the writer says: may be below caplen */
    uint32_t link_type;
    uint32_t section;
    uint32_t iface; /* number inside the section */
};

/* A range of bytes of which nothing could be made. */
struct fc_damage {
    uint64_t off, length; /* bytes */
    char cause[112];      /* a sentence without a full stop, perhaps shortened */
};

struct fc_capture;

/*
 * Opens the capture at `path`. On success *out must go to fc_capture_close().
 * An empty file, or one cut inside its first header, opens as FC_FORMAT_EMPTY: its first fc_capture_next() says so.
 * FC_E_IO: cannot be opened or is no regular file. FC_E_FORMAT: not a capture that this library reads; the cause says
 * what it looks like. FC_E_LIMIT: the process, or the system, has too many files open. FC_E_NOMEM.
 */
int fc_capture_open(const char *path, struct fc_capture **out, struct fc_error *err);

/*
 * The same of an open file, from its beginning whatever its place is: a regular one, or one in memory
 * (memfd_create(2)). The handle has a descriptor of its own; `fd` stays the caller's. name: what messages call it.
 * Codes as above.
 */
int fc_capture_open_fd(int fd, const char *name, struct fc_capture **out, struct fc_error *err);

/* The same of a capture in memory, compressed or not. The bytes are copied. Codes as above. */
int fc_capture_open_memory(const void *bytes, size_t len, const char *name, struct fc_capture **out,
                           struct fc_error *err);

/*
 * Next record in file order: 1 and *rec filled, 0 at a clean end, FC_E_DAMAGED where the file cannot be read on (err:
 * offset and cause; every later call says the same, but for fc_capture_resync()), FC_E_IO, FC_E_NOMEM.
 */
int fc_capture_next(struct fc_capture *capture, struct fc_record *rec, struct fc_error *err);

/*
 * Behind FC_E_DAMAGED: looks for the next record that can be believed (docs/architecture-captures.md, "Damage"), so
 * that fc_capture_next() goes on there. *lost: what is passed over, perhaps all that is left of the file. 0, FC_E_IO,
 * FC_E_NOMEM; FC_E_USAGE when there was no damage.
 */
int fc_capture_resync(struct fc_capture *capture, struct fc_damage *lost, struct fc_error *err);

/*
 * Goes to the record at `off`, one that this handle has given before, or to the first one (off 0): it is the next. Also
 * behind the end and behind a failure. FC_E_USAGE: no record so far was at `off` or behind it. FC_E_IO, FC_E_NOMEM;
 * then the handle is only good for another seek, or for being closed.
 */
int fc_capture_seek(struct fc_capture *capture, uint64_t off, struct fc_error *err);

enum fc_format fc_capture_format(const struct fc_capture *capture);
uint64_t fc_capture_size(const struct fc_capture *capture); /* bytes of the file, when opened */
enum fc_compression fc_capture_compression(const struct fc_capture *capture);

/* Interfaces met so far in file order; *count set (0 without memory). Valid until the next call on the handle. */
const struct fc_interface *fc_capture_interfaces(struct fc_capture *capture, size_t *count);

/* Closes; NULL is allowed. */
void fc_capture_close(struct fc_capture *capture);

/* "pcap", "pcap-ns", "pcap-modified", "pcapng", "empty". Static string. */
const char *fc_format_name(enum fc_format format);

/* "none", "gzip", "zstd", "lz4", "xz". Static string. */
const char *fc_compression_name(enum fc_compression compression);

#ifdef __cplusplus
}
#endif
#endif
