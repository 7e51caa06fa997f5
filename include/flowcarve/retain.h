/* SPDX-License-Identifier: MIT */
/*
 * Disks are finite: deletes the oldest captures of an index when they take more than they may, and forgets them.
 *
 * A capture is deleted by the exact name that the index has of it, when it lies in a folder that was named, and the
 * file there is the one that was indexed: device, inode, and times, or else content. One that is being written, and
 * whatever the index does not have, is never deleted. Between the last look at a file and its deletion lie
 * microseconds: who puts another file under its name in that time loses it.
 *
 * Deleting comes first, then forgetting. Whatever ends the process in between leaves an index that has a capture which
 * is missing, as of a disk that was taken out; that is known, and mended by the next one who keeps limits. The other
 * way round a file would be left that nobody knows of.
 *
 * With captures their sessions go, unless `keep_sessions_ns` says otherwise.
 *
 * Threads: a handle belongs to one. Memory: 56 bytes a capture, and what forgetting takes (fc_forget()).
 */
#ifndef FLOWCARVE_RETAIN_H
#define FLOWCARVE_RETAIN_H

#include <flowcarve/error.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct fc_retain;

/* Captures go until all of these hold. 0: no such limit. */
struct fc_retain_limits {
    uint64_t keep_bytes; /* captures in the folders, as long as they are on the disk, and the index with its -wal */
    int64_t keep_ns; /* age of a capture's last packet by the wall clock, or of its last change if none has a time */
    uint64_t min_free_bytes; /* what must be free on the disk of each folder for others than root, whoever fills it; */
    double min_free_part;    /* the same as a part of the disk, below 1 */
    /*
     * Sessions stay until their last packet is so old, if that is longer than their captures do: found by queries, with
     * counts, and without packets. INT64_MAX: for ever. They go 4096 at a time, with the last that ends.
     */
    int64_t keep_sessions_ns;
    /* Nobody but the caller writes captures in these folders, and they are whole: none is left alone for 10 s. */
    bool own;
    /* What one capture takes at most, and its time: limits below that cannot be kept. 0: not known */
    uint64_t file_bytes;
    int64_t file_ns;
    /* What is gone must have been so for that long to be forgotten: it may be on its way to another name. 0: 10 s */
    int64_t gone_ns;
};

enum fc_retain_why { FC_RETAIN_BYTES, FC_RETAIN_AGE, FC_RETAIN_FREE };

/* A capture that was deleted; valid during the call. */
struct fc_retain_deleted {
    const char *path;
    uint64_t bytes;
    bool has_time;
    int64_t last_ns; /* its last packet, ns since 1970 */
    enum fc_retain_why why;
};

struct fc_retain_options {
    struct fc_retain_limits limits;
    void (*deleted)(void *ctx, const struct fc_retain_deleted *deleted); /* may be NULL */
    /* What cannot be deleted, and why, once a capture; limits that cannot be kept. May be NULL. */
    void (*word)(void *ctx, const struct fc_error *what);
    void *ctx;
};

/* What a step has done, and what there is now. */
struct fc_retain_result {
    uint64_t deleted, deleted_bytes;       /* captures */
    uint64_t forgotten, forgotten_packets; /* captures that the index has no packets of any more */
    uint64_t sessions;                     /* that went */
    bool more;                             /* there was no time for all that is to be done */
    uint64_t captures, capture_bytes;      /* in the folders */
    uint64_t index_bytes;
    int64_t oldest_ns; /* last packet of the capture that is next; INT64_MIN: there is none */
    /* of the disk of the first folder: what is free for others than root, and what is to be */
    uint64_t free_bytes, min_free_bytes;
};

/*
 * Begins to keep limits of captures that lie in the folders or below them. The folders must be there; the index need
 * not be yet. Options are copied. FC_E_USAGE: there is no limit of captures; one is too small for a single capture, or
 * larger than the disk. FC_E_IO: a folder. FC_E_NOMEM. On success *out must go to fc_retain_close().
 */
int fc_retain_open(const char *db_path, const char *const *folders, size_t count,
                   const struct fc_retain_options *options, struct fc_retain **out, struct fc_error *err);

/*
 * Deletes and forgets what is due, as far as that can be done in some `budget_ns` (0: 250 ms, and up to 2 s as long
 * as steps in a row have not done all; one capture and some thousand sessions always are). To be called behind commits,
 * and every 10 s at least; at once when there is more. For 86,000 captures it takes some 10 ms when nothing is due; the
 * first one looks at all captures, which takes a second.
 *
 * now_ns: the wall clock. settled: the index has all that was heard of names until now, so that a capture that is not
 * under its name is not just on its way to another one. *result is filled also on failure. Codes as fc_forget(): what
 * was deleted is forgotten by a later step. FC_E_BUSY: another process writes the index.
 */
int fc_retain_step(struct fc_retain *retain, int64_t now_ns, bool settled, int64_t budget_ns,
                   struct fc_retain_result *result, struct fc_error *err);

/* NULL is allowed. */
void fc_retain_close(struct fc_retain *retain);

#ifdef __cplusplus
}
#endif
#endif
