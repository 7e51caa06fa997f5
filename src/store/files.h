/* SPDX-License-Identifier: MIT */
/* The captures of an index, for those who read them again. Threads: one. */
#ifndef FC_STORE_FILES_H
#define FC_STORE_FILES_H

#include "capture/reader.h"
#include "store/db.h"
#include "store/forgotten.h"

struct fc_stored_file {
    uint32_t id;
    char *path; /* where it is now, as far as the index can tell */
    uint64_t size, stored_fingerprint, end_off;
    char format[16], compression[8];
    int64_t mtime_ns, ctime_ns; /* FC_TIME_NONE: the latter tells nothing */
    uint64_t dev, ino;
    bool gone;          /* another content stands under its name */
    uint64_t forgotten; /* packets whose positions the index has no more */
    bool marked;        /* all of them, and it is known since when; and whether the capture is deleted */
    struct fc_forgotten_mark mark;
    bool grown; /* fc_stored_file_open() has found that there is more of it by now */
    uint64_t records, ignored, backward;
    int64_t first_ns, last_ns;   /* earliest and latest time; FC_TIME_NONE */
    struct fc_interface *ifaces; /* in file order */
    size_t iface_count;
    uint64_t stream_size, header_bytes, record_bytes, other_bytes, lost_bytes, pending_bytes;
    uint64_t damaged;         /* ranges */
    struct fc_remote *remote; /* of a capture in an archive, once it was opened */
    const int *stop;          /* what ends waiting for one; the caller's, may be NULL */
    struct fc_db *db;         /* where its seek points are */
    uint8_t *seek_state;      /* of the seek point found last */
};
struct fc_stored_files {
    struct fc_stored_file *items; /* ascending by id */
    size_t count;
};

/*
 * Loads all; db stays the caller's, and must live as long. FC_E_DB: a row is none that flowcarve has written, or SQLite
 * fails. FC_E_IO, FC_E_NOMEM. fc_stored_files_fini() frees.
 */
int fc_stored_files_load(struct fc_db *db, struct fc_stored_files *files, struct fc_error *err);
void fc_stored_files_fini(struct fc_stored_files *files);

/* Loads up to `most` captures with an ID above `behind`, without their interfaces. As above. */
int fc_stored_files_some(struct fc_db *db, uint32_t behind, size_t most, struct fc_stored_files *files,
                         struct fc_error *err);

/*
 * Calls range(ctx, off, length) for the damage of a capture that the index lists, by offset, until it returns other
 * than 0, which is returned. FC_E_IO, FC_E_DB.
 */
int fc_stored_damage(struct fc_db *db, uint32_t file, int (*range)(void *ctx, uint64_t off, uint64_t length), void *ctx,
                     struct fc_error *err);

/* The file of an id, or NULL. */
struct fc_stored_file *fc_stored_files_find(const struct fc_stored_files *files, uint32_t id);

/*
 * Opens the capture, as far as it was indexed, and checks that it is the one: by its fingerprint, and in an archive by
 * its version where the index has noted that one. What was opened there stays the same version from then on.
 * FC_E_MISSING (also when it is gone), FC_E_CHANGED, FC_E_IO, FC_E_INTERRUPTED. On success fc_file_close() frees,
 * before `stored` does.
 */
int fc_stored_file_open(struct fc_stored_file *stored, struct fc_file *file, struct fc_error *err);

/*
 * Opens a capture that was checked before, to read here and there in it: with the index's seek points. Codes as above.
 */
int fc_stored_file_enter(struct fc_stored_file *stored, struct fc_file *file, struct fc_error *err);

#endif
