/* SPDX-License-Identifier: MIT */
/* Where the packets of chosen sessions are: their positions, by capture. Threads: one. */
#ifndef FC_PACKETS_PLACES_H
#define FC_PACKETS_PLACES_H

#include "capture/file.h"
#include "store/files.h"
#include "store/record.h"

#include <flowcarve/packets.h>

/* An entry of two words, as store/sorter.h sorts them. */
struct fc_place {
    uint64_t off;
    uint64_t session; /* index into the sessions */
};

struct fc_place_session {
    struct fc_flow_key key;
    int64_t id;
    uint8_t client;           /* endpoint of the key */
    uint8_t shown;            /* fc_key_shown() of the records read so far */
    bool enough;              /* whoever reads sets it: the packets behind are not asked for */
    int64_t start_ns, end_ns; /* FC_TIME_NONE: it has no times */
};

struct fc_place_file {
    struct fc_stored_file *stored;
    struct fc_file file; /* of use while open: see fc_record_source_init() */
    bool open;
    struct fc_place *pos; /* ascending by offset */
    size_t count, room;
    const uint64_t *kept_at; /* places->kept: where the records of the positions are; FC_KEPT_NONE */
};

struct fc_kept;

struct fc_places {
    struct fc_stored_files stored;
    struct fc_place_file *files; /* one a stored file */
    struct fc_place_session *sessions;
    size_t session_count, session_room;
    bool one; /* of all positions only that at one_off of the capture one_file is wanted */
    uint32_t one_file;
    uint64_t one_off;
    bool partial;     /* records that have changed are left out */
    uint64_t changed; /* so many were, and why the first one */
    struct fc_error changed_why;
    uint32_t mask;           /* what fc_decode() must be asked for: to compare keys, and what is wanted */
    int64_t low_ns, high_ns; /* times of the chosen sessions; FC_TIME_NONE: none has any */
    bool timeless;           /* there is a session without times */
    uint64_t forgotten;      /* packets of the sessions that the index has no positions of any more */
    int64_t forgotten_low_ns, forgotten_high_ns; /* times of these sessions */
    int64_t forgotten_ns;     /* when the last capture of that time was forgotten, since 1970; 0: that is not known */
    struct fc_error *missing; /* captures left out by `partial`, and why */
    size_t missing_count;
    uint64_t packets_missing;   /* in them */
    const struct fc_kept *kept; /* records are taken from there, and captures are not opened; NULL: they are */
    const int *stop;            /* may be NULL */
};

/* Called for each capture that has positions, while it is open; its code ends it, or has the capture left out. */
typedef int fc_places_examine(void *ctx, struct fc_places *places, struct fc_place_file *file, struct fc_error *err);

/*
 * Collects positions and looks whether the captures that have some are there and unchanged. examine may be NULL. Codes
 * as fc_packets_open(), and of `examine`. fc_places_fini() frees also after a failure.
 */
int fc_places_make(struct fc_places *places, struct fc_db *db, const struct fc_filter *filter,
                   const struct fc_packets_options *options, fc_places_examine *examine, void *ctx,
                   struct fc_error *err);
void fc_places_fini(struct fc_places *places);

/* First position behind position i whose offset is not below `off`: a walk gets on, whatever a damaged index says. */
size_t fc_places_behind(const struct fc_place_file *file, size_t i, uint64_t off);

/* Notes packets that `partial` leaves out. FC_E_NOMEM. */
int fc_places_note(struct fc_places *places, const struct fc_error *why, uint64_t packets);

/*
 * All is read: no session may have fragments of a tunnel that it is not in (FC_E_CHANGED). What `partial` left out
 * might have shown it.
 */
int fc_places_check(const struct fc_places *places, const char *path, struct fc_error *err);

static inline bool fc_places_stopped(const struct fc_places *places)
{
    return places->stop && __atomic_load_n(places->stop, __ATOMIC_RELAXED);
}

#endif
