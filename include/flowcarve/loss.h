/* SPDX-License-Identifier: MIT */
/*
 * What was not recorded: table `loss` of an index, as who records writes it and others read it.
 *
 * A process that records opens a log behind the lock of its index and before its first commit, tells it once a second
 * what it has counted of each interface since it began, and lets it write after commits:
 *
 *     fc_loss_open(db_path, now_ns, &log, &err);
 *     ...each second, behind a commit:
 *         fc_loss_add(log, "eth0", now_ns, &totals, &err);
 *         fc_loss_write(log, false, &err);
 *     ...in the end, behind the last commit:
 *         fc_loss_add(...); fc_loss_write(log, true, &err); fc_loss_close(log);
 *
 * Seconds with drops are rows of their own; those between are put together, up to an hour a row. So the table grows by
 * a row an hour and interface, and one more for each second with drops.
 *
 * Threads: a log belongs to one thread. Memory: 4096 rows at most, of some 150 bytes, that could not be written so far;
 * what comes then is added to the latest row of its interface.
 */
#ifndef FLOWCARVE_LOSS_H
#define FLOWCARVE_LOSS_H

#include <flowcarve/db.h>
#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Packets. received = recorded + dropped_kernel + dropped_queue + dropped_disk, all of them at one moment. */
struct fc_loss_counts {
    uint64_t received;       /* what passed the filter, and of which is known by now what became of it */
    uint64_t recorded;       /* in a capture and in the index */
    uint64_t dropped_kernel; /* its buffer was full */
    uint64_t dropped_queue;  /* no room was left in memory, */
    uint64_t dropped_disk;   /* and that as the disk was too slow, or full */
    uint64_t dropped_iface;  /* by the interface or its driver, of which `received` knows nothing */
};

/* A row; `interface` is valid during the call. */
struct fc_loss_row {
    int64_t capture_ns; /* when the process began that wrote it */
    const char *interface;
    int64_t start_ns, end_ns; /* wall clock, ns since 1970 */
    struct fc_loss_counts counts;
    uint32_t first_file, last_file; /* IDs: all that this process has recorded until end_ns is in these */
};

struct fc_loss_log;

/*
 * capture_ns: when this process began, by the wall clock. The index may not be there yet. On success *out must go to
 * fc_loss_close(). FC_E_NOMEM; FC_E_IO, FC_E_DB, FC_E_SCHEMA: of what is there.
 */
int fc_loss_open(const char *db_path, int64_t capture_ns, struct fc_loss_log **out, struct fc_error *err);

/*
 * The counts of an interface since it began, or since the log was opened, at now_ns of the wall clock; none is ever
 * less than before. The first call for an interface says when it began, with counts of 0 or what was lost until then.
 * FC_E_NOMEM: nothing is added, the next call has it.
 */
int fc_loss_add(struct fc_loss_log *log, const char *interface, int64_t now_ns, const struct fc_loss_counts *totals,
                struct fc_error *err);

/*
 * Writes what is due in one small transaction: all when there are seconds with drops, else once a minute; `all`:
 * whatever there is. To be called by who has the index to itself (fc_watch, fc_recorder), between commits: it does not
 * check the tables. It does not wait for the disk: the next commit does, or SQLite when nobody reads any more. Where
 * there is no index yet, 0, and it is written later. So it is after FC_E_BUSY (another process writes: after 2 s),
 * FC_E_IO, FC_E_DB, FC_E_NOMEM. FC_E_SCHEMA.
 */
int fc_loss_write(struct fc_loss_log *log, bool all, struct fc_error *err);

/* What was not written is lost. NULL is allowed. */
void fc_loss_close(struct fc_loss_log *log);

/*
 * Calls back for each row of which some part lies in from_ns <= t < to_ns, in the order in which they were written,
 * until that gives other than 0, which is returned. 0 also when nothing was ever lost. FC_E_DB, FC_E_IO, FC_E_NOMEM.
 */
int fc_loss_read(struct fc_db *db, int64_t from_ns, int64_t to_ns,
                 int (*call)(void *ctx, const struct fc_loss_row *row), void *ctx, struct fc_error *err);

/*
 * Forgets rows that end before before_ns, as retention does; *rows (may be NULL): so many. Takes turns with who writes.
 * FC_E_MISSING: no index. FC_E_SCHEMA, FC_E_BUSY, FC_E_IO, FC_E_DB, FC_E_NOMEM.
 */
int fc_loss_forget(const char *db_path, int64_t before_ns, uint64_t *rows, struct fc_error *err);

#ifdef __cplusplus
}
#endif
#endif
