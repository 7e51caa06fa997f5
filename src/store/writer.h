/* SPDX-License-Identifier: MIT */
/*
 * Writes an index: a fresh one beside its name, renamed into place when it is complete and on disk, unless something
 * has appeared there; additions to an existing one in a single transaction, which nobody who reads waits for. Whatever
 * ends the process before fc_writer_commit() returns leaves the old state, and so does that when it fails.
 *
 * A call that fails for SQLite, for the disk or for memory breaks the writer: all later ones, fc_writer_commit() too,
 * give that first error again.
 *
 * Sessions of a fresh index do not pass through SQLite's INSERT but are written as finished b-trees (store/bulk.h). It
 * is fastest, then, when nothing else is called between the first and the last of them; if it is, the rest is INSERTed.
 *
 * Threads: one; unless told not to, it starts others of its own where that pays. Order of calls: open; meta, files and
 * priors in any order; sessions in the order of their IDs; commit.
 */
#ifndef FC_STORE_WRITER_H
#define FC_STORE_WRITER_H

#include "capture/reader.h"
#include "capture/stream.h"
#include "flow/clock.h"
#include "flow/fragment.h"
#include "store/forgotten.h"
#include "store/record.h"

#include <flowcarve/capture.h>
#include <flowcarve/newfile.h>

struct fc_writer;

/*
 * Where reading a capture goes on when it has grown, and what is known of it up to there. Made by
 * fc_writer_file_state(), freed by fc_file_state_fini().
 */
struct fc_file_state {
    uint64_t end_off;
    struct fc_section section; /* that holds there; of a pcap without what its file header says */
    struct fc_clock clock;
    int64_t tail_ns; /* of the last record that has a time */
    uint64_t mark;   /* fc_print_mark() of end_off */
    enum fc_compression compression;
    uint64_t stream_size; /* as far as it was known */
    uint64_t records, ignored, malformed, backward;
    int64_t first_ns, last_ns;
    uint64_t header_bytes, record_bytes, other_bytes, lost_bytes, damaged; /* all before end_off */
    struct fc_interface *ifaces;
    size_t iface_count;
    /* compressed: where decoding may start, and nothing that is read again lies before; state NULL: at 0 */
    struct fc_seek_point point;
    uint8_t *point_state;
};
void fc_file_state_fini(struct fc_file_state *state);

/* A row of `files`, with its interfaces and damage. */
struct fc_file_row {
    uint32_t id;
    const struct fc_file_state *state; /* the row is there, and this was known of it; else NULL */
    const char *path;                  /* as the user gave it; remembered as store/path.h says */
    uint64_t size, stream_size;
    enum fc_compression compression;
    int64_t mtime_ns, ctime_ns; /* FC_TIME_NONE: the latter tells nothing */
    uint64_t dev, ino;
    uint64_t fingerprint, stored_fingerprint, begin;
    enum fc_format format;
    uint64_t records, ignored, malformed, backward;
    int64_t first_ns, last_ns; /* FC_TIME_NONE: none */
    uint64_t end_off;
    /* bytes; with those lost they are the size */
    uint64_t header_bytes, record_bytes, other_bytes, pending_bytes;
    const struct fc_interface *ifaces;
    size_t iface_count;
    const struct fc_damage_list *damage; /* behind state->end_off */
    const struct fc_section *section;    /* at end_off */
    const struct fc_clock *clock;
    int64_t tail_ns;
    uint64_t mark;
};

/*
 * Opens the index at `path` for writing; makes it when there is none. *fresh tells which. FC_E_SCHEMA: the file is
 * something else. FC_E_DB: e.g. somebody else is writing it. FC_E_IO.
 */
int fc_writer_open(const char *path, struct fc_writer **out, bool *fresh, struct fc_error *err);

/* Of an index that is made; one that is there, be it an empty file, keeps its own. FC_E_IO. */
int fc_writer_give_rights(struct fc_writer *writer, const struct fc_rights *rights, struct fc_error *err);

/*
 * Something is to be added: said before it is, when all of the above has been asked. What the calls until then have
 * changed is committed. 1: another writer has come in between, and what was asked is to be asked again. Without this
 * call additions are made all the same, but who reads may be in their way.
 */
int fc_writer_begin(struct fc_writer *writer, struct fc_error *err);

/* 0, or the code of what broke the writer, and *err (may be NULL) filled. */
int fc_writer_status(const struct fc_writer *writer, struct fc_error *err);

/* Ends without a trace unless committed before. NULL is allowed. */
void fc_writer_close(struct fc_writer *writer);

/* Memory for writing: of an index that is added to, four times as much is held in pages. */
void fc_writer_set_memory(struct fc_writer *writer, size_t bytes);

/* Writing uses no thread but the caller's. Said before the first session. */
void fc_writer_set_alone(struct fc_writer *writer);

/* The commit does not wait for the disk: a machine that goes down may leave half an index. */
void fc_writer_set_unsynced(struct fc_writer *writer);

/*
 * Additions leave the index in WAL mode, for who adds every second: each change of the mode waits for a moment without
 * readers. Somebody should hold the index open meanwhile, so that the -wal stays. A writer that is opened and closed
 * without this makes it one file again.
 */
void fc_writer_set_staying(struct fc_writer *writer);

/* So many sessions will come, those of the index first; said before the first one. Many are added in bulk. */
void fc_writer_expect(struct fc_writer *writer, uint64_t sessions);

/* *stop, when not NULL, becoming other than 0 ends what is running in the database with FC_E_INTERRUPTED. */
void fc_writer_set_stop(struct fc_writer *writer, const int *stop);

/* Forgetting ends behind the transaction during which CLOCK_MONOTONIC passes that; 0: it does not. */
void fc_writer_set_late(struct fc_writer *writer, int64_t late_ns);

/* Of a writer that changes nothing: what is in the -wal goes to the index, and the -wal gets empty, if nobody reads. */
void fc_writer_empty_wal(struct fc_writer *writer);

/* Has it changed anything? */
bool fc_writer_has_changed(const struct fc_writer *writer);

/*
 * After the commit: somebody was reading, so that the index has a -wal beside it until the next writer comes; or the
 * journal by which it left WAL mode could not be removed, and takes that back with who reads next.
 */
bool fc_writer_wal_left(const struct fc_writer *writer);

/* Folder of the database, resolved. Valid until close. */
const char *fc_writer_folder(const struct fc_writer *writer);

/*
 * Is this file part of the index itself? Such a file must not be opened while the writer is: closing it would give up
 * the locks that SQLite holds on it (POSIX locks belong to the process, not to the descriptor).
 */
bool fc_writer_owns(const struct fc_writer *writer, uint64_t dev, uint64_t ino);

/* Settings. *value: a new string, "" when unset. */
int fc_writer_meta(struct fc_writer *writer, const char *name, char **value, struct fc_error *err);
int fc_writer_set_meta(struct fc_writer *writer, const char *name, const char *value, struct fc_error *err);

/* What the index says of a capture. */
struct fc_known_file {
    uint32_t id;
    char *path; /* where it is, as far as the index can tell */
    uint64_t size, stream_size;
    enum fc_compression compression;
    int64_t mtime_ns, ctime_ns; /* FC_TIME_NONE: the latter tells nothing */
    uint64_t dev, ino;
    uint64_t fingerprint, stored_fingerprint;
    uint64_t records;
    bool gone, forgotten;
};
struct fc_known_files {
    struct fc_known_file *items;
    size_t count, room;
};
void fc_known_files_fini(struct fc_known_files *list);

/*
 * The captures that the index has, by what they are found by. Of one name or inode the latest 16, the last one first;
 * those that are gone, too, but by name only where asked for. They are appended to *out.
 */
int fc_writer_by_name(struct fc_writer *writer, const char *path, bool gone_too, struct fc_known_files *out,
                      struct fc_error *err);
int fc_writer_by_inode(struct fc_writer *writer, uint64_t dev, uint64_t ino, struct fc_known_files *out,
                       struct fc_error *err);
/* By the file as it is stored, and by the stream that it holds. */
int fc_writer_by_stored(struct fc_writer *writer, uint64_t stored_fingerprint, uint64_t size,
                        struct fc_known_files *out, struct fc_error *err);
int fc_writer_by_stream(struct fc_writer *writer, uint64_t fingerprint, uint64_t stream_size,
                        struct fc_known_files *out, struct fc_error *err);

/* By files.begin: all that a compressed file may be a copy of. */
int fc_writer_by_begin(struct fc_writer *writer, uint64_t begin, struct fc_known_files *out, struct fc_error *err);

/* Notes that the file is a copy of a capture of the index; not when its times tell nothing. */
int fc_writer_copy(struct fc_writer *writer, uint32_t id, const struct fc_file *file, struct fc_error *err);
/* The captures of which a file with this inode, size and times was noted as a copy: one, or none. */
int fc_writer_copied(struct fc_writer *writer, uint64_t dev, uint64_t ino, uint64_t size, int64_t mtime_ns,
                     int64_t ctime_ns, struct fc_known_files *out, struct fc_error *err);

/* 1: the index remembers that capture by this very name; 0, or negative. */
int fc_writer_has_name(struct fc_writer *writer, const struct fc_known_file *known, const char *path,
                       struct fc_error *err);

/* Gives a capture of the index its new name; it is not gone. */
int fc_writer_move(struct fc_writer *writer, uint32_t id, const char *path, struct fc_error *err);
/* Notes the file by which a capture is found now, of the same name: device, inode, times; stored fingerprint, size and
 * compression, where it is stored in another way. Seek points that were added for file 0 become its own, with
 * `restored`. */
int fc_writer_place(struct fc_writer *writer, uint32_t id, const struct fc_file *file, uint64_t stored_fingerprint,
                    bool restored, struct fc_error *err);
/* Another content stands under its name. */
int fc_writer_gone(struct fc_writer *writer, uint32_t id, struct fc_error *err);
/* Forgets the seek points of a file. */
int fc_writer_forget_points(struct fc_writer *writer, uint32_t id, struct fc_error *err);

/* FC_E_CHANGED: what reading on needs was written by another version of flowcarve. */
int fc_writer_file_state(struct fc_writer *writer, uint32_t id, struct fc_file_state *state, struct fc_error *err);

/* Highest file id so far; counted time of the latest record of any capture so far (FC_TIME_NONE: none). */
int fc_writer_last(struct fc_writer *writer, uint32_t *file_id, int64_t *last_ns, struct fc_error *err);

/* What fc_writer_last() is to say next time; by it sessions have expired, too. In front of the first session. */
int fc_writer_set_clock(struct fc_writer *writer, int64_t clock_ns, struct fc_error *err);

/* Adds a row, or writes one anew that has grown (row->state). */
int fc_writer_add_file(struct fc_writer *writer, const struct fc_file_row *row, struct fc_error *err);

/* Adds a place where the decompression of a file may start. */
int fc_writer_add_point(struct fc_writer *writer, uint32_t file_id, const struct fc_seek_point *point,
                        struct fc_error *err);

/*
 * All sessions that captures may continue of which some are older than the clock: those that are open, and those whose
 * last packet is not before from_ns. The callback gets key, state so far and ID. Without older ones: store/recall.h.
 */
struct fc_prior_options {
    const struct fc_rules *rules;
    int64_t clock_ns; /* of the index */
    int64_t from_ns;
    int64_t begin_ns; /* nothing has its place before: what is closed, and had expired by then, is left out */
    int (*prior)(void *ctx, const struct fc_flow_key *key, int64_t id, const struct fc_session_sum *session);
    void *ctx;
};
int fc_writer_priors(struct fc_writer *writer, const struct fc_prior_options *options, struct fc_error *err);

/*
 * Fragments of the last minute that the index remembers, in the order in which they were added. `extra` of those that
 * wait changes hands, also on failure; want_extra: they have one. Codes of the callbacks.
 */
struct fc_fragment_reader {
    int (*first)(void *ctx, const struct fc_first *first);
    int (*waiting)(void *ctx, const struct fc_waiting *waiting);
    void *ctx;
};
int fc_writer_fragments(struct fc_writer *writer, bool want_extra, const struct fc_fragment_reader *reader,
                        struct fc_error *err);
/* Forgets them, and the provisional sessions that those have that wait. */
int fc_writer_forget_fragments(struct fc_writer *writer, struct fc_error *err);
int fc_writer_add_first(struct fc_writer *writer, const struct fc_first *first, struct fc_error *err);
int fc_writer_add_waiting(struct fc_writer *writer, const struct fc_waiting *waiting, struct fc_error *err);
/* Adds a provisional session under a negative ID; behind all others. */
int fc_writer_provisional(struct fc_writer *writer, const struct fc_session_record *record, uint32_t fields, int64_t id,
                          struct fc_error *err);

/*
 * Adds a session under the next ID, or changes the one of record->db_id. Notes it when it is open; one of the index
 * also when it is not, as what is noted of it there does not hold any more. fields: FC_FIELD_*. id, when
 * not NULL, is set to its ID.
 */
int fc_writer_session(struct fc_writer *writer, const struct fc_session_record *record, uint32_t fields, int64_t *id,
                      struct fc_error *err);

/*
 * Forgets the positions of a capture, in transactions of its own; what they have done stays when a later one fails, and
 * once more goes on there. keep: sessions of which no packet is left stay with their counts. Adds to *sum.
 * FC_E_INTERRUPTED: it has become late, and there is more to do.
 */
struct fc_forgotten {
    uint64_t files, packets, sessions; /* sessions: those that went */
};
int fc_writer_forget_file(struct fc_writer *writer, uint32_t file, bool keep, struct fc_forgotten *sum,
                          struct fc_error *err);

/*
 * What is left of a capture all of whose packets are forgotten, and of sessions without packets; in the transaction at
 * hand. Codes of all of them: FC_E_DB, FC_E_IO, FC_E_NOMEM.
 */

/* Notes that a capture is forgotten, as of now unless it has been noted, and whether its row may go. */
int fc_writer_mark_forgotten(struct fc_writer *writer, uint32_t file, enum fc_forgotten_how how, struct fc_error *err);
/* Drops the row of a capture that is forgotten, unless it has the last ID: 1 dropped, 0 it has. */
int fc_writer_drop_file(struct fc_writer *writer, uint32_t file, struct fc_error *err);
/*
 * Drops sessions that were kept without packets: those of spans of 4096 IDs all of whose sessions have ended before
 * `before_ns`, or have no times; up to `most` spans, from that of *from on. *from: where to go on; 0: at the end.
 * Adds to *sessions.
 */
int fc_writer_drop_kept(struct fc_writer *writer, int64_t before_ns, unsigned most, int64_t *from, uint64_t *sessions,
                        struct fc_error *err);
/*
 * Drops rows of the journal, but for its last 4096, that are of no captures any more; looks at `most` of them, behind
 * run *from. *from: as above.
 */
int fc_writer_drop_runs(struct fc_writer *writer, unsigned most, int64_t *from, struct fc_error *err);

/* Makes what was written the index, on disk when this returns 0. sync_ns: time spent waiting for the disk; may be NULL.
 */
int fc_writer_commit(struct fc_writer *writer, int64_t *sync_ns, struct fc_error *err);

#endif
