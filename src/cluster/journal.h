/* SPDX-License-Identifier: MIT */
/*
 * What an index has to tell an engine: which sessions runs have made and changed, and their rows.
 *
 * The index is opened for each of these calls and closed again, so that nobody who writes it waits for who sends.
 * Threads: one.
 */
#ifndef FC_CLUSTER_JOURNAL_H
#define FC_CLUSTER_JOURNAL_H

#include "cluster/binary_rows.h"
#include "cluster/slots.h"
#include <flowcarve/error.h>

/* What the index is by now. */
struct fc_journal_state {
    uint8_t generation[16];
    bool has_generation;
    int64_t run;      /* its last one */
    int64_t clock_ns; /* INT64_MIN: no packet has a time */
    uint32_t fields;  /* FC_FIELD_* */
};

int fc_journal_state(const char *path, const int *stop, struct fc_journal_state *state, struct fc_error *err);

/* What the runs behind `from`, up to `until`, have done. */
struct fc_journal_step {
    int64_t from, until;
    bool gap;                    /* rows of runs among them are gone: then it is as from 0 */
    int64_t first_new, last_new; /* sessions; first behind last: none */
    int64_t *changed;            /* sessions before first_new, ascending */
    size_t count, room;
};

/* On success *step must go to fc_journal_step_fini(). */
int fc_journal_step(const char *path, const int *stop, int64_t from, int64_t until, struct fc_journal_step *step,
                    struct fc_error *err);
void fc_journal_step_fini(struct fc_journal_step *step);

/* What rows are of. */
struct fc_journal_rows {
    const char *path, *sensor;
    const int *stop;
    const uint8_t *generation; /* FC_E_CHANGED: the index has another one by now */
    int64_t from, until;
    struct fc_binary_rows *rows; /* of table session, in the order of fc_session_columns */
    struct fc_slots *slots;      /* those that the rows are of */
    uint64_t sessions, tombstones;
};

extern const char fc_session_columns[];

/*
 * Appends the rows of sessions, as one transaction sees them, with what `moved` tells of where they stood before: all
 * from first to last, or those of a list. FC_E_DAMAGED names a session that is none.
 */
int fc_journal_range(struct fc_journal_rows *out, int64_t first, int64_t last, struct fc_error *err);
int fc_journal_list(struct fc_journal_rows *out, const int64_t *ids, size_t count, struct fc_error *err);

#endif
