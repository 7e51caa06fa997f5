/* SPDX-License-Identifier: MIT */
/*
 * Carving: the records of chosen sessions, out of all captures they lie in, into one new capture in time order.
 *
 * Reads only what is carved (near records together). Every record is decoded again and must fit its session: a capture
 * that is missing or has changed is an error, never a wrong packet.
 *
 * Threads: one at a time per db handle. Memory: as of packets.h, on which this stands.
 */
#ifndef FLOWCARVE_CARVE_H
#define FLOWCARVE_CARVE_H

#include <flowcarve/capture.h>
#include <flowcarve/newfile.h>
#include <flowcarve/packets.h>
#include <flowcarve/progress.h>
#include <flowcarve/query.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum fc_carve_format {
    FC_CARVE_AUTO = 0, /* pcap where it can hold the packets, else pcapng */
    /*
     * FC_E_USAGE when the packets have several link types, times it cannot hold, or headers in both byte orders. A
     * packet without a time gets 0; the length of frame check sequences is left out where captures differ in it
     */
    FC_CARVE_PCAP,
    FC_CARVE_PCAPNG
};

struct fc_carve_options {
    enum fc_carve_format format;
    enum fc_compression compression; /* of what is written */
    bool partial; /* leave out captures that are missing and records that have changed, instead of giving up */
    /* path that the output will replace, or NULL: FC_E_USAGE when it is the index or a capture of it */
    const char *avoid;
    bool one_direction; /* only packets that `from` has sent, and those of which it cannot be told */
    enum fc_from from;
    /*
     * Of each session, so many packets at the most, and those that come to so many bytes, on the wire, the one that
     * reaches it included. 0: all. Of one direction: counted in that.
     */
    uint64_t first_packets, first_bytes;
    /*
     * Makes a pcapng, in which a comment on the first packet of each session names the session, its capture, and the
     * record in it, for which captures are read up to there (16 bytes of memory a packet). One in a simple packet block
     * can have none. FC_E_USAGE with FC_CARVE_PCAP and by what makes a file a session.
     */
    bool comments;
    fc_progress_call *progress; /* NULL: nobody is told */
    void *progress_ctx;
};

struct fc_carve_result {
    uint64_t sessions, packets;
    uint64_t bytes_read;        /* from captures, as they are stored */
    uint64_t bytes_decoded;     /* that came out of compressed ones, to get at what was carved */
    uint64_t bytes_written;     /* of captures, before they are compressed */
    uint64_t packets_missing;   /* left out by `partial` */
    uint64_t packets_forgotten; /* of these sessions, that the index has no more (fc_forget(), retain.h): no error */
    int64_t forgotten_ns;       /* since when, by the captures of their time: the last one; 0: that is not known */
    struct fc_error *missing;   /* why, one a capture; owned by the result */
    size_t missing_count;
    uint64_t files_written, files_skipped; /* of fc_carve_split() */
};

/*
 * Writes the sessions that `filter` (NULL: all) selects to the descriptor `fd`, which is written to in order and not
 * closed. options: NULL: all of it 0. Returns 0 also when nothing matched (result->sessions is 0; nothing is written
 * then). *result is filled also on failure and must go to fc_carve_result_fini(). `stop` as in fc_index_run().
 * FC_E_MISSING, FC_E_CHANGED: a capture (err says which). FC_E_LIMIT: more captures overlap in time than the process
 * may have files open. FC_E_PIPE: fd was closed, and SIGPIPE is ignored, which is the caller's to see to. FC_E_IO,
 * FC_E_NOMEM, FC_E_DB, FC_E_FILTER, FC_E_USAGE, FC_E_INTERRUPTED.
 */
int fc_carve(struct fc_db *db, const struct fc_filter *filter, const struct fc_carve_options *options, int fd,
             const int *stop, struct fc_carve_result *result, struct fc_error *err);

/*
 * Writes a capture for each session that `filter` selects to `folder`, which is made when it is not there: what
 * fc_carve() writes of that session alone, under the name that fc_session_file_name() gives, with .pcap or .pcapng
 * behind it and what the compression is known by. A file appears when it is complete. One that is there is taken for
 * complete, and the session is passed over: so what was interrupted is gone on with by the same call. Sessions of which
 * nothing is left get no file. rights: of what is made; NULL: its owner alone. options->avoid is not looked at;
 * result->sessions counts those that were passed over as well. Codes as fc_carve(); files that are complete by then
 * stay. Memory: 64 MiB of records, and what is said in packets.h of the sessions that these are of.
 */
int fc_carve_split(struct fc_db *db, const struct fc_filter *filter, const struct fc_carve_options *options,
                   const char *folder, const struct fc_rights *rights, const int *stop, struct fc_carve_result *result,
                   struct fc_error *err);

/* A file of some sessions. */
struct fc_carve_part {
    const char *name; /* in the folder, without a suffix; each is another one */
    const int64_t *ids;
    size_t id_count;
};

/*
 * As fc_carve_split(), a file a part, whose sessions may be in other parts as well. IDs that the index does not have
 * are passed over. result->sessions counts those of all parts.
 */
int fc_carve_parts(struct fc_db *db, const struct fc_carve_part *parts, size_t count,
                   const struct fc_carve_options *options, const char *folder, const struct fc_rights *rights,
                   const int *stop, struct fc_carve_result *result, struct fc_error *err);

/*
 * "42-tcp-10.0.0.6_44150-23.0.0.1_80": ID, protocol, client and server of a session; the colons of addresses become
 * dots. Returns buf, cut to its size; 160 bytes are enough. Any thread.
 */
const char *fc_session_file_name(const struct fc_session *session, char *buf, size_t size);

/* What the suffix of a file's name says: .gz, .zst, .lz4, .xz; of any other name FC_COMPRESSION_NONE. Any thread. */
enum fc_compression fc_compression_by_suffix(const char *path);

/* The same of the format: FC_CARVE_PCAPNG of .pcapng, compressed or not; of others FC_CARVE_AUTO. Any thread. */
enum fc_carve_format fc_carve_format_by_suffix(const char *path);

void fc_carve_result_fini(struct fc_carve_result *result);

#ifdef __cplusplus
}
#endif
#endif
