/* SPDX-License-Identifier: MIT */
/* How far indexing, verifying and carving have come. */
#ifndef FLOWCARVE_PROGRESS_H
#define FLOWCARVE_PROGRESS_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum fc_phase {
    FC_PHASE_PLANNING, /* looking at captures, or at what the index has of them */
    FC_PHASE_READING,
    FC_PHASE_JOINING, /* index: the last sessions leave memory; verify: the index itself is looked at */
    FC_PHASE_WRITING, /* index: the database */
    FC_PHASE_DONE
};

/*
 * What is not known is 0. Written with relaxed atomic stores (GCC __atomic or C11): whoever looks at one that is being
 * written loads in that way, and may see counts that do not belong together.
 */
struct fc_progress {
    uint64_t bytes_total, bytes_done;  /* of captures; `verify` reads each twice, and counts it so */
    uint64_t files_total, files_done;  /* captures */
    uint64_t records_total, records;   /* records_total: of a carve */
    uint64_t sessions_total, sessions; /* index: those that left memory so far */
    uint64_t sessions_written;         /* index: of sessions_total, in the phase of writing */
    uint32_t phase;                    /* enum fc_phase */
};

/*
 * Called some five times a second, and once at the end, by a thread of the library's own, one call at a time; `now` is
 * a copy, valid during the call. It must not call the library with the same handle.
 */
typedef void fc_progress_call(void *ctx, const struct fc_progress *now);

#ifdef __cplusplus
}
#endif
#endif
