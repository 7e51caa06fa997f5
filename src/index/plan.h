/* SPDX-License-Identifier: MIT */
/*
 * Which captures are indexed, in which order: by the time of their first record, then by name. That order gives the
 * files their IDs, and so takes part in the order of sessions: it must not depend on the order of the command line.
 *
 * Threads: one. Memory: a few hundred bytes a file.
 */
#ifndef FC_INDEX_PLAN_H
#define FC_INDEX_PLAN_H

#include "capture/reader.h"
#include "index/inputs.h"
#include "store/writer.h"

#include <flowcarve/index.h>

struct fc_plan_file {
    struct fc_file file;         /* fd is -1 while it is not open */
    uint64_t stored_fingerprint; /* of a compressed file; a plain one's is taken when it is read */
    int64_t first_ns;            /* of the first record that has a time; FC_TIME_NONE */
    int64_t bound_ns;            /* no record is counted (flow/clock.h) as before this */
    uint64_t begin;              /* hash of its first bytes and the time of its first record */
    size_t order;                /* of the command line, and of names in folders */
    const char *copy_of;         /* path of another one with the same content, which is to be indexed; else NULL */
    uint32_t id;
    bool named;       /* by the user, not found in a folder */
    bool has_records; /* one at least */
    bool empty;       /* no record is to be read of it: only a header, or the beginning of a record */
    bool early;       /* it is new, and starts before the end of what the index holds */
    /*
     * of a pcapng: what holds at its first record, to guess by while nothing of it is read; NULL: not known, or it is
     * short
     */
    struct fc_section *head;
    struct fc_file_state *state; /* it has grown since it was indexed, and is read from there on; else NULL */
};

struct fc_plan {
    struct fc_plan_file *files;
    size_t count, room;
    uint32_t first_id; /* of the new ones */
    uint64_t bytes;    /* as stored */
    const int *stop;   /* as in fc_index_run() */
    bool keep_copies;  /* they are indexed as if they were other captures */
    bool adding;       /* the index holds captures already, */
    bool changed;      /* and what it says of them was changed */
    uint32_t *gone;    /* captures in whose place another content was found, and that were found nowhere else */
    size_t gone_count, gone_room;
    bool older; /* some capture may start before the end of what the index holds */
};

/* Gives a notice out, or keeps it in the result; what is not kept is counted. */
void fc_notice_add(struct fc_index_result *result, int kind, const struct fc_error *what);

/* How a plan is made. */
struct fc_plan_options {
    struct fc_save save;
    bool keep_copies;                 /* else a capture with the content of another one is left out */
    unsigned jobs;                    /* threads that may look for copies */
    const struct fc_offered *offered; /* besides what is named */
    size_t offered_count;
};

/*
 * Makes the plan. Files that are no captures, unreadable, given twice, copies or already indexed are counted and noted
 * in the result. FC_E_NOMEM, FC_E_LIMIT, FC_E_IO, FC_E_USAGE, FC_E_INTERRUPTED, FC_E_DB.
 */
int fc_plan_make(struct fc_plan *plan, const char *const *paths, size_t count, const struct fc_plan_options *options,
                 struct fc_writer *writer, struct fc_index_result *result, struct fc_error *err);
void fc_plan_fini(struct fc_plan *plan);

/* Leaves a file out that turned out to be none to index, and numbers those behind it anew. */
void fc_plan_drop(struct fc_plan *plan, size_t i);

/* Opens a planned file for reading again, but for a compressed one. FC_E_CHANGED: it is another one now. */
int fc_plan_reopen(struct fc_plan_file *file, struct fc_error *err);

#endif
