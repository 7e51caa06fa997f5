/* SPDX-License-Identifier: MIT */
/*
 * The packets of chosen sessions, one after the other, with what a record of a capture does not say: session,
 * direction, capture, place.
 *
 * Reads only what is asked for (near records together). Every record is decoded again and must fit its session: a
 * capture that is missing or has changed is an error, never a wrong packet.
 *
 * Threads: one at a time per db handle. Memory: 16 bytes a packet, and 16 more while those of a capture are put in
 * order, one capture at a time (32 more where its times run backwards); 80 a session; 16 a packet for numbers; a window
 * and a descriptor for each of the captures that overlap in time at one place. The packets of a compressed capture
 * whose times run backwards are put aside until they are sorted, in an unnamed file of $TMPDIR when they are many.
 */
#ifndef FLOWCARVE_PACKETS_H
#define FLOWCARVE_PACKETS_H

#include <flowcarve/capture.h>
#include <flowcarve/decode.h>
#include <flowcarve/query.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum fc_packets_order {
    FC_PACKETS_BY_TIME = 0, /* then by capture and place in it; a packet without a time as the one before it */
    FC_PACKETS_BY_FILE      /* captures in the order of their IDs, each from its beginning to its end */
};

/* All of it 0: the default. */
struct fc_packets_options {
    enum fc_packets_order order;
    bool partial;    /* leave out captures that are missing and records that have changed, instead of giving up */
    bool positions;  /* captures are not read: file and offset are all that is known of a packet; implies BY_FILE */
    bool numbers;    /* count the records of each capture up to the last one that is asked for */
    uint32_t fields; /* FC_WANT_*: what is decoded, beside the key */
    const char
        *avoid; /* path that an output will replace, or NULL: FC_E_USAGE when it is the index or a capture of it */
    /*
     * with `one`: no packets but the one whose record is at `off` of the capture of ID `file`, if the sessions have it
     */
    bool one;
    uint32_t file;
    uint64_t off;
    const int *stop; /* as in fc_index_run(); may be NULL */
};

enum fc_from {
    FC_FROM_CLIENT = 0,
    FC_FROM_SERVER = 1,
    FC_FROM_UNKNOWN = 2 /* both ends have one address and the packet shows no more, or it was not read */
};

/* Valid until the next call on the handle. */
struct fc_session_packet {
    int64_t session; /* its ID */
    uint64_t nth;    /* which of the chosen sessions that is: 0 to fc_packets_result.sessions - 1, in no order */
    enum fc_from from;
    uint32_t file;           /* ID of the capture in the index */
    const char *path;        /* where the capture is */
    uint64_t off;            /* bytes: of the record's header in it */
    uint64_t number;         /* of the record in the capture, from 1; 0: not asked for */
    struct fc_record record; /* only .off of it when captures are not read */
    struct fc_packet packet; /* decoded: the key, and the fields asked for */
};

struct fc_packets_result {
    uint64_t sessions;          /* chosen */
    uint64_t packets;           /* given so far */
    uint64_t bytes_read;        /* from captures, as they are stored */
    uint64_t bytes_decoded;     /* that came out of compressed ones */
    uint64_t missing;           /* packets left out by `partial` */
    uint64_t forgotten;         /* packets of these sessions that the index has no more (fc_forget(), retain.h) */
    int64_t forgotten_ns;       /* since when, by the captures of their time: the last one; 0: that is not known */
    const struct fc_error *why; /* of what is missing, one a capture; valid as long as the handle */
    size_t why_count;
};

struct fc_packets;

/*
 * Looks up the packets of the sessions that `filter` (NULL: all) selects, and checks that their captures are there and
 * unchanged. The filter is not needed behind; db is. options: NULL: all of it 0. On success *out must go to
 * fc_packets_close(). FC_E_MISSING, FC_E_CHANGED: a capture (err says which). FC_E_LIMIT, FC_E_IO, FC_E_NOMEM, FC_E_DB,
 * FC_E_FILTER, FC_E_USAGE, FC_E_INTERRUPTED.
 */
int fc_packets_open(struct fc_db *db, const struct fc_filter *filter, const struct fc_packets_options *options,
                    struct fc_packets **out, struct fc_error *err);

/*
 * Next packet: 1 and *packet points to it, 0 at the end, or a code as above, which every later call repeats.
 * FC_E_LIMIT: more captures overlap in time than the process may have files open.
 */
int fc_packets_next(struct fc_packets *packets, const struct fc_session_packet **packet, struct fc_error *err);

/*
 * The next packets: up to `room` of them, less where their bytes come to a MiB, as if by as many calls of
 * fc_packets_next(), for callers to whom a call is dear. Their number, 0 at the end, or a code as above, when there was
 * no packet before it. Valid until the next call on the handle.
 */
int64_t fc_packets_batch(struct fc_packets *packets, struct fc_session_packet *batch, size_t room,
                         struct fc_error *err);

/* What was found and read so far; *result has nothing to free. */
void fc_packets_result(const struct fc_packets *packets, struct fc_packets_result *result);

/* Closes; NULL is allowed. */
void fc_packets_close(struct fc_packets *packets);

#ifdef __cplusplus
}
#endif
#endif
