/* SPDX-License-Identifier: MIT */
/*
 * What an index has, all together, without reading its sessions. Threads: as for the handle. Memory: nothing to free.
 */
#ifndef FLOWCARVE_SUMMARY_H
#define FLOWCARVE_SUMMARY_H

#include <flowcarve/db.h>
#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct fc_summary {
    char generation[64]; /* another text whenever the index was written to, or is another one */
    char uuid[33];       /* random, of the index for good, 32 hex digits; "": it has none yet */
    uint64_t sessions;   /* reading them is needed only where captures were forgotten */
    int64_t last_id;     /* of a session; 0: there is none */
    uint64_t files;      /* captures, with those that are gone or forgotten */
    uint64_t packets;    /* of all sessions */
    uint64_t bytes;      /* of these, on the wire */
    uint64_t size;       /* bytes of the index's file */
    bool has_time;       /* of some session: */
    int64_t start_ns;    /* earliest start, ns since 1970, */
    int64_t end_ns;      /* and latest end */
    uint32_t fields;     /* FC_FIELD_* that it holds */
    char profile[32];    /* as index --profile; "": none was given */
};

/* FC_E_IO, FC_E_DB, FC_E_NOMEM, FC_E_INTERRUPTED. */
int fc_summary_read(struct fc_db *db, struct fc_summary *summary, struct fc_error *err);

#ifdef __cplusplus
}
#endif
#endif
