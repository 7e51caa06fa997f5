/* SPDX-License-Identifier: MIT */
/*
 * An open capture file and what its first header says. Immutable after fc_file_open(), so that several threads may
 * read it, each through a reader of its own (capture/reader.h); a compressed one by one thread only, as its source is.
 */
#ifndef FC_CAPTURE_FILE_H
#define FC_CAPTURE_FILE_H

#include "capture/source.h"

struct fc_file {
    int fd;
    char *path;
    uint64_t stored_size; /* bytes of the file, when opened */
    uint64_t size;        /* the same; of a compressed file FC_SIZE_UNKNOWN, or the stream's where that is known */
    enum fc_compression compression;
    struct fc_source *source; /* of a compressed file; offsets are those of its stream */
    int64_t mtime_ns;
    uint64_t dev, ino;
    enum fc_format format;
    uint64_t data_off;        /* offset of the first record or block */
    bool swapped_lengths;     /* pcap before 2.3: caplen and origlen change places */
    bool maybe_swapped;       /* pcap 2.3: they do where caplen > origlen */
    uint32_t record_header;   /* bytes: 16, or 24 in modified pcap */
    uint32_t max_caplen;      /* bytes */
    struct fc_interface pcap; /* the one interface of a pcap file */
};

/* Errors as fc_capture_open(). On success fc_file_close() frees. */
int fc_file_open(const char *path, struct fc_file *file, struct fc_error *err);
void fc_file_close(struct fc_file *file);
/* Gives the descriptor and the source back and keeps what is known of the file. */
void fc_file_rest(struct fc_file *file);

/*
 * pread() that goes on after short reads and signals. Returns bytes read, less than n only at the end of the file, or
 * FC_E_IO with err filled.
 */
int64_t fc_file_read(const struct fc_file *file, void *buf, size_t n, uint64_t off, struct fc_error *err);

/* 64-bit hash of the file's size and of samples spread over it, as it is stored. FC_E_IO when it cannot be read. */
int fc_file_fingerprint(const struct fc_file *file, uint64_t *out, struct fc_error *err);

/* Largest caplen that a record of this link type may have, as libpcap has it. */
uint32_t fc_max_caplen(uint32_t link_type);

/* ns since 1970 of a tick count; clamped to the range of int64_t without FC_TIME_NONE. */
int64_t fc_interface_time(const struct fc_interface *iface, uint64_t ticks);

#endif
