/* SPDX-License-Identifier: MIT */
/*
 * Verification: reads every capture of an index again and compares it with what the index says.
 *
 * For each capture, as far as it was indexed, but for those that are gone or, unless it is asked for, in archives: is
 * it there and unchanged; does this library's reader, and libpcap where it can read the capture, find as many records
 * as were indexed; is every record in exactly one session, and fits it, or was left out by the index's filter; is every
 * byte a header, a record, another block or listed as damage; do the sessions' sums and times agree with their records.
 * Of the database: is it sound, and is every session in all that it is found by (indexes, ports, spans of time,
 * Community IDs). Where it was captured live: is each packet that table `loss` counts recorded or dropped, and does the
 * index have those that are recorded.
 *
 * Threads: one at a time per db handle. Memory: 16 bytes a packet, 16 more while those of a capture are put in order,
 * one capture at a time, and 128 a session; behind that up to 256 MiB of the database and 32 bytes a session.
 */
#ifndef FLOWCARVE_VERIFY_H
#define FLOWCARVE_VERIFY_H

#include <flowcarve/db.h>
#include <flowcarve/progress.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct fc_verify_file {
    uint32_t id;
    char path[512];       /* shortened at the front when longer */
    uint64_t indexed;     /* records by the index */
    uint64_t records;     /* records read now */
    uint64_t in_sessions; /* of these: in exactly one session that they fit */
    uint64_t ignored;     /* of these: left out by --filter or --exclude-net */
    uint64_t malformed;   /* of those in sessions */
    uint64_t size;        /* bytes; header + record + other + lost + pending */
    uint64_t header_bytes, record_bytes, other_bytes, lost_bytes;
    uint64_t pending_bytes;    /* at the end: a record of which the capture had only the beginning */
    uint64_t forgotten;        /* packets that `forget` took out of the index: it was not looked at */
    bool gone;                 /* another content has its name by now: it was not looked at */
    bool missing;              /* it is not there; a difference */
    bool archived;             /* it is in an archive, and was not looked at */
    uint64_t damages;          /* ranges of lost bytes */
    int64_t libpcap_records;   /* -1: libpcap cannot read this capture to its end */
    char libpcap_message[256]; /* why */
    uint64_t differences;
};

struct fc_verify_result {
    struct fc_verify_file *files; /* owned by the result */
    size_t file_count;
    uint64_t sessions, records, in_sessions, ignored, differences;
    uint64_t bytes, header_bytes, record_bytes, other_bytes, lost_bytes, pending_bytes;
    uint64_t gone, forgotten, archived; /* captures */
    uint64_t libpcap_unable; /* captures that libpcap cannot read to their end, whatever is right or wrong with them */
    struct fc_error *problems; /* the first ones in words; owned by the result */
    size_t problem_count;
};

/* All of it 0: the default. */
struct fc_verify_options {
    fc_progress_call *progress; /* NULL: nobody is told */
    void *progress_ctx;
    bool archived; /* captures in archives are read, too: all of them, by ranges, and by this library alone */
};

/*
 * Loads what fc_verify() takes from the system (libpcap), so that a program may give up rights in between that parsing
 * does not need. *names: the index has a filter, with perhaps names of hosts in it, which fc_verify() looks up.
 * FC_E_IO: libpcap cannot be loaded, as fc_verify() will say in the end. FC_E_DB, FC_E_NOMEM.
 */
int fc_verify_prepare(struct fc_db *db, bool *names, struct fc_error *err);

/*
 * Verifies. options may be NULL. Returns 0 when all agrees, FC_E_MISMATCH when it does not (result->problems), other
 * codes when it could not be done: FC_E_LIMIT (too many files are open), FC_E_IO, FC_E_NOMEM, FC_E_DB,
 * FC_E_INTERRUPTED. FC_E_IO is also that all agrees, but libpcap could not be asked: it cannot be loaded, or the system
 * failed it; err says which. A capture that it does not understand is no failure (libpcap_records). *result is filled
 * in all cases and must go to fc_verify_result_fini(). `stop` as in fc_index_run().
 */
int fc_verify(struct fc_db *db, const struct fc_verify_options *options, const int *stop,
              struct fc_verify_result *result, struct fc_error *err);
void fc_verify_result_fini(struct fc_verify_result *result);

#ifdef __cplusplus
}
#endif
#endif
