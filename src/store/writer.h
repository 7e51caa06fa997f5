/* SPDX-License-Identifier: MIT */
/*
 * Writes an index: a fresh one beside its name, renamed into place when it is complete and on disk; additions to an
 * existing one in a single transaction or, where they are many, as a fresh one that has all. Whatever ends the process before
 * fc_writer_commit() returns leaves the old state.
 *
 * Sessions of a fresh index do not pass through SQLite's INSERT but are written as finished b-trees (store/bulk.h). It is
 * fastest, then, when nothing else is called between the first and the last of them; if it is, the rest is INSERTed.
 *
 * Threads: one; unless told not to, it starts others of its own where that pays. Order of calls: open; meta, files and priors in any
 * order; sessions in the order of their IDs; commit.
 */
#ifndef FC_STORE_WRITER_H
#define FC_STORE_WRITER_H

#include "capture/reader.h"
#include "capture/stream.h"
#include "flow/fragment.h"
#include "store/record.h"

#include <flowcarve/capture.h>

struct fc_writer;

/* A row of `files`, with its interfaces and damage. */
struct fc_file_row {
    uint32_t id;
    const char *path; /* as the user gave it; remembered as store/path.h says */
    uint64_t size, stream_size;
    enum fc_compression compression;
    int64_t mtime_ns;
    uint64_t fingerprint;
    enum fc_format format;
    uint64_t records, ignored, malformed, backward;
    int64_t first_ns, last_ns; /* FC_TIME_NONE: none */
    uint64_t end_off;
    /* bytes; with those lost they are the size */
    uint64_t header_bytes, record_bytes, other_bytes;
    const struct fc_interface *ifaces;
    size_t iface_count;
    const struct fc_damage_list *damage;
};

/*
 * Opens the index at `path` for writing; makes it when there is none. *fresh tells which. FC_E_SCHEMA: the file is
 * something else. FC_E_DB: e.g. somebody else is writing it. FC_E_IO.
 */
int fc_writer_open(const char *path, struct fc_writer **out, bool *fresh, struct fc_error *err);

/* Ends without a trace unless committed before. NULL is allowed. */
void fc_writer_close(struct fc_writer *writer);

/* Memory for sorting the indexes of a fresh database, 256 MB unless said before the first session; at least 1 MB. What
 * exceeds it goes to an unnamed file in the folder. Of an index that is added to, four times as much is held in pages. */
void fc_writer_set_memory(struct fc_writer *writer, size_t bytes);

/* Writing uses no thread but the caller's. Said before the first session. */
void fc_writer_set_alone(struct fc_writer *writer);

/*
 * So many sessions will come, those of the index first; said before the first one. Where many of them are new, what is added to an
 * index is faster to write. *stop, when not NULL, becoming other than 0 ends that with FC_E_INTERRUPTED.
 */
void fc_writer_expect(struct fc_writer *writer, uint64_t sessions, const int *stop);

/* Folder of the database, resolved. Valid until close. */
const char *fc_writer_folder(const struct fc_writer *writer);

/*
 * Is this file part of the index itself? Such a file must not be opened while the writer is: closing it would give up the
 * locks that SQLite holds on it (POSIX locks belong to the process, not to the descriptor).
 */
bool fc_writer_owns(const struct fc_writer *writer, uint64_t dev, uint64_t ino);

/* Settings. A new string, "" when unset; NULL without memory. */
char *fc_writer_meta(struct fc_writer *writer, const char *name);
int fc_writer_set_meta(struct fc_writer *writer, const char *name, const char *value, struct fc_error *err);

/* Looks a capture up by its name: 1 with what was remembered, 0 unknown, or negative. */
struct fc_known_file {
    uint32_t id;
    uint64_t size, fingerprint;
    int64_t mtime_ns;
};
int fc_writer_known(struct fc_writer *writer, const char *path, struct fc_known_file *known, struct fc_error *err);

/*
 * Is this file in the index under another name? 1, 0, or negative. It is where size and fingerprint agree, and what stands under that
 * name is this very file; or nothing is there any more: then it has been renamed, the index gets the new name, and *moved is true.
 */
int fc_writer_known_elsewhere(struct fc_writer *writer, const struct fc_file *file, uint64_t fingerprint, bool *moved,
                              struct fc_error *err);

/* Highest file id so far; latest time of any capture so far (FC_TIME_NONE: none). */
int fc_writer_last(struct fc_writer *writer, uint32_t *file_id, int64_t *last_ns, struct fc_error *err);

int fc_writer_add_file(struct fc_writer *writer, const struct fc_file_row *row, struct fc_error *err);

/* Adds a place where the decompression of a file may start. */
int fc_writer_add_point(struct fc_writer *writer, uint32_t file_id, const struct fc_seek_point *point,
                        struct fc_error *err);

/* About how many sessions fc_writer_priors() gives, to make room for: between half as many and a few times as many. */
int fc_writer_prior_count(struct fc_writer *writer, bool all, uint64_t *count, struct fc_error *err);

/*
 * Sessions that captures starting at from_ns may continue: those that were open, and with `all` those whose last packet
 * is not before from_ns. The callback gets key, state so far and ID.
 */
int fc_writer_priors(struct fc_writer *writer, bool all, int64_t from_ns,
                     int (*prior)(void *ctx, const struct fc_flow_key *key, int64_t id, const struct fc_run *run),
                     void *ctx, struct fc_error *err);

/* First fragments that the index remembers, and their replacement (count first ones, those at or after from_ns). */
int fc_writer_fragments(struct fc_writer *writer, int (*first)(void *ctx, const struct fc_fragment *fragment),
                        void *ctx, struct fc_error *err);
int fc_writer_set_fragments(struct fc_writer *writer, const struct fc_fragment *first, size_t count, int64_t from_ns,
                            struct fc_error *err);

/*
 * Fragments without a first one that the index remembers, each with the session that holds it, and one of a session with what
 * that is without them, its rest (no positions; NULL: nothing). Those to remember are added behind fc_writer_set_fragments().
 * The callback takes both nodes, also when it fails. want_extra: nodes have optional fields.
 */
int fc_writer_loose(struct fc_writer *writer, bool want_extra,
                    int (*later)(void *ctx, const struct fc_fragment *fragment, struct fc_node *rest), void *ctx,
                    struct fc_error *err);
int fc_writer_add_loose(struct fc_writer *writer, const struct fc_fragment *later, const struct fc_node *rest,
                        struct fc_error *err);

/* One session as fc_writer_priors() gives it, but for what its row does not tell; no call when there is none of this ID. */
int fc_writer_prior(struct fc_writer *writer, int64_t id,
                    int (*prior)(void *ctx, const struct fc_flow_key *key, int64_t id, const struct fc_run *run),
                    void *ctx, struct fc_error *err);

/*
 * Takes packets off a session of the index, and its optional fields; the next fc_writer_session() under its ID brings its row up
 * to date, and has all of these. FC_E_DB: the packets are not there.
 */
struct fc_place {
    uint32_t file;
    uint64_t off;
};
struct fc_release {
    int64_t id;
    const struct fc_place *places; /* ascending */
    size_t count;
    bool whole; /* they are all that it has */
    bool gone;  /* no fc_writer_session() follows: the row goes, and its ID is not given out again */
};
int fc_writer_release(struct fc_writer *writer, const struct fc_release *release, struct fc_error *err);

/* Takes the optional fields off a session of the index and puts them in front of `extra`. */
int fc_writer_take_fields(struct fc_writer *writer, int64_t id, struct fc_extra *extra, struct fc_error *err);

/* Ports of a session whose flow has changed: the new ones, when it has been written; the old ones, when all have been. */
int fc_writer_add_ports(struct fc_writer *writer, int64_t id, const struct fc_flow_key *key, struct fc_error *err);
int fc_writer_drop_ports(struct fc_writer *writer, int64_t id, const struct fc_flow_key *key, struct fc_error *err);

/* Forgets which sessions were open; fc_writer_session() says anew. */
int fc_writer_clear_open(struct fc_writer *writer, struct fc_error *err);

/* Optional fields that are stored on wish only: those that FC_WANT_TCP brings, and what the key tells. */
enum { FC_STORE_TCP_FLAGS = 1u << 24, FC_STORE_ISN = 1u << 25, FC_STORE_COMMUNITY_ID = 1u << 26 };

/*
 * Adds a session under the next ID, or changes the one of record->db_id. fields: FC_WANT_* and FC_STORE_*. id, when not NULL, is
 * set to its ID.
 */
int fc_writer_session(struct fc_writer *writer, const struct fc_session_record *record, uint32_t fields, int64_t *id,
                      struct fc_error *err);

/* Makes what was written the index, on disk when this returns 0. sync_ns: time spent waiting for the disk; may be NULL.
 */
int fc_writer_commit(struct fc_writer *writer, int64_t *sync_ns, struct fc_error *err);

#endif
