/* SPDX-License-Identifier: MIT */
/*
 * An index that is kept up to date while other programs write captures: rings, folders that grow, files that are being
 * written. Captures are read only; none is ever changed, nor deleted unless limits are given (`retain`).
 *
 * A file is indexed up to its last whole record and read on as it grows. One that is deleted before its turn comes is
 * read all the same, as it is held open from when something was heard of it: its sessions are in the index then, and
 * its packets are gone. Who reads the index beside it never waits for it, and never fails because of it.
 *
 * One process an index: what fc_index_run() would add is refused meanwhile (FC_E_BUSY); fc_forget() and
 * fc_files_relocate() take turns with it.
 *
 * Threads: a handle belongs to one thread, which all callbacks are called by; it has another one that looks. *stop may
 * be set from any thread or signal handler. Memory: beside what a run of fc_index_run() takes, some 100 bytes a folder,
 * and as many a file that has changed; where folders are walked 150 a file. Descriptors: a quarter of the limit at
 * most.
 */
#ifndef FLOWCARVE_LIVE_H
#define FLOWCARVE_LIVE_H

#include <flowcarve/error.h>
#include <flowcarve/index.h>
#include <flowcarve/retain.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct fc_watch;
struct fc_status;

/* What a run has added. */
struct fc_watch_commit {
    const struct fc_index_result *result; /* valid during the call */
    int64_t lag_ns;                       /* from when the first of these changes was noticed until it was visible */
    int64_t took_ns;                      /* the run */
    uint64_t missed; /* files that went before they could be opened, up to now; not those that only were renamed */
};

struct fc_watch_options {
    /*
     * How each run is made. Not used: wait, spool, notice and ready; see below. `chunk_bytes` to `key` as for
     * fc_index_run(); `progress` is called during each run. May be NULL.
     */
    const struct fc_index_options *index;
    int64_t commit_ns; /* at least so long from the start of a run to that of the next one; 0: a second */
    /* look through all folders that often, as on network file systems, of which the kernel tells nothing; 0: by
     * inotify(7), and every 5 s only where that cannot be had, which is told */
    int64_t poll_ns;
    /*
     * Told of a capture, the same once. What is normal here is not told: ends that are no whole record yet, captures
     * that grow or are replaced while they are read, readers that keep a -wal. May be NULL.
     */
    void (*notice)(void *ctx, const struct fc_notice *notice);
    /* Told of all else: a folder that is gone, a run that failed (code is not FC_OK) and is tried again; or NULL. */
    void (*word)(void *ctx, const struct fc_error *what);
    /* After each run that has changed the index. May be NULL. */
    void (*committed)(void *ctx, const struct fc_watch_commit *commit);
    /* Called some times a second between runs, to tell of time that passes. May be NULL. */
    void (*idle)(void *ctx);
    /* As in fc_index_options, once, in front of the first run and before there are other threads. May be NULL. */
    void (*ready)(void *ctx, bool names);
    void *ctx;
    /*
     * The oldest captures in the folders are deleted and forgotten until these limits hold, behind commits and every
     * 10 s (flowcarve/retain.h). So is forgotten what others have deleted, when it has been gone for 10 s, or for three
     * times poll_ns if that is longer. NULL: neither is. Copied.
     */
    const struct fc_retain_limits *retain;
    /* Of each capture that was deleted; of each step (fc_retain_step()). May be NULL. */
    void (*deleted)(void *ctx, const struct fc_retain_deleted *deleted);
    void (*retained)(void *ctx, const struct fc_retain_result *result);
};

/*
 * Begins to watch the folders and all below them; symbolic links to folders are not followed. The options, but for
 * `index` itself, are copied; strings must stay. FC_E_USAGE: one of them is no folder, or limits that cannot be kept.
 * FC_E_BUSY: another process watches for this index, which is told. FC_E_IO, FC_E_DB, FC_E_NOMEM. On success *out must
 * go to fc_watch_close().
 */
int fc_watch_open(const char *db_path, const char *const *folders, size_t count, const struct fc_watch_options *options,
                  struct fc_watch **out, struct fc_error *err);

/*
 * Indexes what there is, and what comes, until *stop is not 0: FC_E_INTERRUPTED, within a second on most machines; what
 * a run had begun is given up, and taken up again by the next watch. A run that fails for the disk, for memory, or as
 * another process writes the index is told and tried again after 1, 2, 4... 60 s. A capture that cannot be read is told
 * once, and tried again when it changes. Else: FC_E_USAGE, FC_E_SCHEMA, FC_E_FILTER: no run can be made with these
 * options, or of what is at db_path. FC_E_LIMIT: no thread can be had.
 */
int fc_watch_run(struct fc_watch *watch, const int *stop, struct fc_error *err);

/*
 * How it watches, after fc_watch_open(): folders, with those below (0: not known); how often they are walked, 0: never.
 */
size_t fc_watch_folders(const struct fc_watch *watch);
int64_t fc_watch_poll_ns(const struct fc_watch *watch);

/*
 * What is not in the index yet, but was noticed: so many files; since when the oldest is waited for, 0: there is none.
 */
struct fc_watch_behind {
    uint64_t files;
    int64_t lag_ns;
};
/* From any callback, also from that of the progress, and where nothing runs. */
void fc_watch_behind(struct fc_watch *watch, struct fc_watch_behind *out);

/* Tells it to whoever asks; see <flowcarve/status.h>. From one callback at a time. It does not wait for anything. */
void fc_watch_tell(struct fc_watch *watch, const struct fc_status *status);

/* Ends; NULL is allowed. */
void fc_watch_close(struct fc_watch *watch);

#ifdef __cplusplus
}
#endif
#endif
