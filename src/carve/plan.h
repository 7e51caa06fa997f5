/* SPDX-License-Identifier: MIT */
/* Which records are carved: the positions of the chosen sessions, by capture. Threads: one. */
#ifndef FC_CARVE_PLAN_H
#define FC_CARVE_PLAN_H

#include "carve/interface.h"
#include "store/files.h"
#include "store/record.h"

#include <flowcarve/carve.h>

/* An entry of two words, as store/sorter.h sorts them. */
struct fc_carve_pos {
    uint64_t off;
    uint64_t session; /* index into the plan's sessions */
};

struct fc_carve_session {
    struct fc_flow_key key;
    uint8_t shown; /* fc_key_shown() of the records read so far */
};

struct fc_carve_file {
    struct fc_stored_file *stored;
    struct fc_file file; /* of use while open: see fc_carve_source_init() */
    bool open;
    struct fc_carve_pos *pos; /* ascending by offset */
    size_t count, room;
    /* one each of stored->ifaces; NULL: in a section without a position */
    struct fc_carve_iface **ifaces;
    bool *heads; /* the same: of the first interface of a section, its head was read; NULL: heads are not asked for */
};

struct fc_carve_plan {
    struct fc_stored_files stored;
    struct fc_carve_file *files; /* one a stored file */
    struct fc_carve_session *sessions;
    size_t session_count, session_room;
    bool partial;     /* records that have changed are left out */
    uint64_t changed; /* so many were, and why the first one */
    struct fc_error changed_why;
    uint32_t mask;           /* what fc_decode() must be asked for to compare keys */
    int64_t low_ns, high_ns; /* times of the chosen sessions; FC_TIME_NONE: none has any */
    bool timeless;           /* there is a session without times */
    uint64_t forgotten;      /* packets of the sessions that the index has no positions of any more */
    struct fc_carve_ifaces ifaces;
    bool heads; /* what sections begin with is carved, too */
};

/*
 * Collects positions, looks whether the captures that have some are there and unchanged, and reads what they say of the
 * interfaces of the sections that these lie in. FC_E_MISSING,
 * FC_E_CHANGED, FC_E_IO unless options->partial; FC_E_DB, FC_E_FILTER, FC_E_LIMIT, FC_E_NOMEM, FC_E_INTERRUPTED.
 * fc_carve_plan_fini() frees also after a failure.
 */
int fc_carve_plan_make(struct fc_carve_plan *plan, struct fc_db *db, const struct fc_filter *filter,
                       const struct fc_carve_options *options, const int *stop, struct fc_carve_result *result,
                       struct fc_error *err);
void fc_carve_plan_fini(struct fc_carve_plan *plan);

/* First position behind position i whose offset is not below `off`: a walk gets on, whatever a damaged index says. */
size_t fc_carve_behind(const struct fc_carve_file *file, size_t i, uint64_t off);

/* Notes packets that `partial` leaves out. FC_E_NOMEM. */
int fc_carve_note(struct fc_carve_result *result, const struct fc_error *why, uint64_t packets);

#endif
