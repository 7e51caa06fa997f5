/* SPDX-License-Identifier: MIT */
/*
 * An open capture file and what its first header says. Immutable after fc_file_open(), so that several threads may
 * read it, each through a reader of its own (capture/reader.h); a compressed one by one thread only, as its source is.
 */
#ifndef FC_CAPTURE_FILE_H
#define FC_CAPTURE_FILE_H

#include "capture/source.h"
#include "capture/tail.h"

#include <sys/stat.h>

/*
 * A pcap file header, and what the records behind it are like. A record header outside of the habits is odd: it is
 * looked at twice before it is believed (capture/resync.h). Habits are learned from the first records.
 */
struct fc_pcap {
    enum fc_format format;
    bool swapped_lengths;          /* before version 2.3: caplen and origlen change places */
    bool maybe_swapped;            /* version 2.3: they do where caplen > origlen */
    bool often_empty;              /* habit: records of no bytes */
    uint32_t record_header;        /* bytes: 16, or 24 in modified pcap; more in variants of both */
    uint32_t max_caplen;           /* bytes; more is damage */
    uint32_t odd_caplen;           /* bytes; more is odd */
    uint32_t odd_frac;             /* of a second; this or more is odd */
    uint32_t any_origlen;          /* UINT32_MAX: caplen > origlen is nothing odd; else 0 */
    uint32_t odd_before, odd_span; /* seconds: times before odd_before, or more than odd_span later, are odd */
    uint32_t since, until;         /* seconds in which most records must be; since > until: not known */
    uint32_t fcs;                  /* bits 26-31 of the link type field: of a frame check sequence behind each packet */
    struct fc_interface iface;
};

struct fc_file {
    int fd;
    struct fc_remote *remote; /* the archive that it is in, and fd is none; its owner closes it; NULL: it is a file */
    int held; /* another descriptor of it, that its owner keeps open: it is read whatever its name leads to; -1: none */
    struct fc_tail *tail; /* where its last bytes are to be had without reading the file; NULL: nowhere */
    uint64_t tail_base;   /* the file's first byte there */
    char *path;
    uint64_t stored_size; /* bytes of the file, when opened */
    uint64_t size;        /* the same; of a compressed file FC_SIZE_UNKNOWN, or the stream's where that is known */
    enum fc_compression compression;
    struct fc_source *source; /* of a compressed file; offsets are those of its stream */
    int64_t mtime_ns, ctime_ns;
    int64_t seen_ns; /* when they were looked at */
    uint64_t dev, ino;
    bool nameless; /* no name led to it any more when it was opened */
    enum fc_format format;
    uint64_t data_off;   /* offset of the first record or block */
    struct fc_pcap pcap; /* its first file header */
};

/* Errors as fc_capture_open(). On success fc_file_close() frees. */
int fc_file_open(const char *path, struct fc_file *file, struct fc_error *err);
/* The same of its first `bytes` bytes, as if it had no more. */
int fc_file_open_first(const char *path, uint64_t bytes, struct fc_file *file, struct fc_error *err);
/* The same of a file that is open, and may have lost its name; -1: by its name. `held` must outlive the file. */
int fc_file_open_held(int held, const char *path, uint64_t bytes, struct fc_file *file, struct fc_error *err);
/*
 * The same of a capture in an archive that was opened by its URL (capture/remote.h), which must outlive the file. What
 * a file is known by stands for its version: FC_REMOTE_DEVICE and fc_remote_version() as device and inode.
 */
int fc_file_open_remote(struct fc_remote *remote, const char *url, uint64_t bytes, struct fc_file *file,
                        struct fc_error *err);
#define FC_REMOTE_DEVICE ((uint64_t)INT64_MAX) /* no file system has it */
/*
 * The same of what comes out of a source, which is read in order, from the beginning; it is closed with the file. name:
 * what messages call it. Behind a failure the source is the caller's.
 */
int fc_file_open_source(struct fc_source *source, const char *name, struct fc_file *file, struct fc_error *err);
/*
 * What a file is called while it is written and indexed at once (flowcarve/recorder.h): "dir/.NAME.part" of "dir/NAME",
 * a new string, or NULL. Opening a path tries that name where there is none of its own.
 */
char *fc_file_part(const char *path);
/* stat(), which does so, too. */
int fc_file_stat(const char *path, struct stat *st);
/* One more descriptor of what is open, or what its name leads to now; -1 and errno. */
int fc_file_again(const struct fc_file *file);
/*
 * The time of the last change that tells whether the file is the one that was opened; FC_TIME_NONE: it was so lately
 * that another one might have the same time.
 */
int64_t fc_file_ctime(const struct fc_file *file);
void fc_file_close(struct fc_file *file);
/* Gives the descriptor and the source back and keeps what is known of the file. */
void fc_file_rest(struct fc_file *file);

enum { FC_PCAP_HEADER = 24 };

/* Is this a pcap magic number, in this byte order? */
bool fc_pcap_magic(const uint8_t *p, bool big);

/* Reads the file header `h` at offset `off`, without the habits. FC_E_FORMAT: it is none. */
int fc_pcap_parse(const uint8_t *h, uint64_t off, struct fc_pcap *pcap, struct fc_error *err);

/* Learns the habits from `n` bytes behind the file header; `more`: the file goes on behind them. */
void fc_pcap_learn(struct fc_pcap *pcap, const uint8_t *p, size_t n, bool more);

/* The file header at `off` with its habits. FC_E_FORMAT, FC_E_IO. */
int fc_pcap_read(const struct fc_file *file, uint64_t off, struct fc_pcap *pcap, struct fc_error *err);

/*
 * pread() that goes on after short reads and signals. Returns bytes read, less than n only at the end of the file, or
 * FC_E_IO with err filled.
 */
int64_t fc_file_read(const struct fc_file *file, void *buf, size_t n, uint64_t off, struct fc_error *err);

/* The same, of the file as it is stored. Neither reads behind what it had when it was opened. */
int64_t fc_file_stored(const struct fc_file *file, void *buf, size_t n, uint64_t off, struct fc_error *err);

/* Largest caplen that a record of this link type may have, as libpcap has it. */
uint32_t fc_max_caplen(uint32_t link_type);

/* ns since 1970 of a tick count; clamped to the range of int64_t without FC_TIME_NONE. */
int64_t fc_interface_time(const struct fc_interface *iface, uint64_t ticks);

#endif
