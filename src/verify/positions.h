/* SPDX-License-Identifier: MIT */
/* All positions of an index by capture, and its sessions' sums. Threads: one. */
#ifndef FC_VERIFY_POSITIONS_H
#define FC_VERIFY_POSITIONS_H

#include "store/files.h"
#include "store/record.h"

struct fc_verify_session {
    struct fc_flow_key key;
    int64_t id;
    uint64_t packets[2], bytes[2]; /* by endpoint of the key, what the row says less what was found */
    int64_t low_ns, high_ns;       /* earliest and latest time by the row, FC_TIME_NONE */
    int64_t seen_low, seen_high;   /* and by the records */
    bool blind;                    /* the direction of some packet cannot be told: only the sums of both count */
    uint8_t shown;                 /* fc_key_shown() of its records */
    bool partial;                  /* some of its packets are in a capture that is gone, or forgotten */
    uint64_t positions;            /* that the index has */
};

/* An entry of two words, as store/sorter.h sorts them. */
struct fc_verify_pos {
    uint64_t off;
    uint64_t session; /* index into the sessions */
};

struct fc_verify_list {
    struct fc_verify_pos *pos;
    size_t count, room;
};

struct fc_verify_positions {
    struct fc_verify_session *sessions;
    size_t session_count, session_room;
    struct fc_verify_list *lists; /* one a stored file, ascending by offset */
    size_t list_count;
};

/*
 * Loads them. damaged(ctx, id, cause) is called for a session whose row or positions are none; it is left out.
 * FC_E_NOMEM, FC_E_IO, FC_E_DB, FC_E_INTERRUPTED by *stop. fc_verify_positions_fini() frees in any case.
 */
int fc_verify_positions_load(struct fc_db *db, const struct fc_stored_files *files, struct fc_verify_positions *all,
                             void (*damaged)(void *ctx, int64_t id, const char *cause), void *ctx, const int *stop,
                             struct fc_error *err);
void fc_verify_positions_fini(struct fc_verify_positions *all);

#endif
