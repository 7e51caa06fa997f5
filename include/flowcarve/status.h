/* SPDX-License-Identifier: MIT */
/*
 * What a process that keeps an index up to date tells of itself, once a second, and what others read of that.
 *
 * It counts what it has done since it began, has rates and the last minute made of that by a meter, and tells it
 * (fc_watch_tell()): that is one write to the file of its lock beside the index, DB.watch, without waiting for the disk
 * or for anybody. Whoever reads disturbs nobody. The same structure goes to files in the text format of Prometheus.
 *
 *     fc_status_meter_new(&meter, &err);
 *     struct fc_status s = {.role = FC_STATUS_WATCH, ...};
 *     ...each second:
 *         s.packets = ...; s.lag_ns = ...;
 *         fc_status_measure(meter, &s);
 *         fc_watch_tell(watch, &s);
 *         fc_metrics_write("/run/metrics/flowcarve.prom", db_path, NULL, &s, &err);
 *
 * Threads: a meter belongs to one at a time; all else may be called by any. Memory: a meter has some 200 KiB.
 */
#ifndef FLOWCARVE_STATUS_H
#define FLOWCARVE_STATUS_H

#include <flowcarve/error.h>
#include <flowcarve/loss.h>
#include <flowcarve/newfile.h>
#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct fc_recorder_counts;

enum { FC_STATUS_INTERFACES = 32, FC_STATUS_NAME = 64, FC_STATUS_TEXT = 512 };

enum fc_status_role { FC_STATUS_NONE, FC_STATUS_WATCH, FC_STATUS_CAPTURE };

/* Of an interface; of those behind the first FC_STATUS_INTERFACES - 1 the sums stand under the last name, "others". */
struct fc_status_interface {
    char name[FC_STATUS_NAME];
    struct fc_loss_counts total; /* since the start */
    struct fc_loss_counts minute;
};

/*
 * Plain numbers and texts with a NUL; what is not known is 0 or "". Times are of the wall clock, ns since 1970.
 */
struct fc_status {
    /* what the process knows of itself */
    uint32_t role; /* enum fc_status_role */
    uint32_t pid;
    int64_t started_ns;
    char what[FC_STATUS_TEXT]; /* folders that are watched, or interfaces and the folder */
    /* since the start */
    uint64_t packets;  /* watch: records that were indexed; capture: packets received */
    uint64_t bytes;    /* watch: of captures; capture: of packets, as recorded */
    uint64_t files;    /* captures that are new in the index, or completed */
    uint64_t missed;   /* watch: files that went before they could be read */
    uint64_t sessions; /* new ones */
    uint64_t commits;
    uint64_t errors;        /* times that something went wrong; see `word` */
    int64_t commit_took_ns; /* the latest */
    /* now */
    int64_t lag_ns;   /* age of the oldest that is not in the index yet; 0: all is */
    uint64_t waiting; /* watch: files with something that is not in the index yet; capture: packets */
    uint32_t interface_count;
    struct fc_status_interface interfaces[FC_STATUS_INTERFACES];
    /* retention: limits, 0: none, and what they have done since the start */
    uint64_t keep_bytes, min_free_bytes;
    int64_t keep_ns, keep_sessions_ns;
    uint64_t deleted_files, deleted_bytes; /* captures */
    uint64_t forgotten_sessions;
    uint64_t captures_bytes; /* of those that retention looks after */
    /* the latest word of something that went wrong */
    char word[FC_STATUS_TEXT];
    int64_t word_ns;
    /* made by fc_status_measure() */
    int64_t told_ns;
    struct fc_loss_counts total, minute;     /* of all interfaces */
    double packets_per_s[2], bytes_per_s[2]; /* over the last 10 s, and the last minute */
};

struct fc_status_meter;

/* FC_E_NOMEM. On success *out must go to fc_status_meter_free(), which takes NULL as well. */
int fc_status_meter_new(struct fc_status_meter **out, struct fc_error *err);
void fc_status_meter_free(struct fc_status_meter *meter);

/*
 * Fills told_ns, rates, sums and the last minute from what s counts since the start, and notes that. To be called about
 * once a second; more often does no harm.
 */
void fc_status_measure(struct fc_status_meter *meter, struct fc_status *s);

/*
 * What a recorder has counted of an interface, as table `loss` and the status have it: what is on its way to a file or
 * to the index is not received yet.
 */
void fc_status_recorded(const struct fc_recorder_counts *counts, struct fc_loss_counts *out);

/*
 * Puts an interface's counts into s, whose interface_count is 0 in front of the first one, in the same order each time;
 * see struct fc_status_interface.
 */
void fc_status_interface(struct fc_status *s, const char *name, const struct fc_loss_counts *total);

enum fc_status_state {
    FC_STATUS_STOPPED, /* nothing keeps the index up to date; s is empty */
    /* s is what it has told last; role FC_STATUS_NONE: nothing yet, or not to us, or in another version's way */
    FC_STATUS_RUNNING,
    FC_STATUS_KILLED /* s is what a process has told last that has not come to its end */
};

/*
 * What the process that keeps the index up to date tells, without disturbing it. There need be no index. FC_E_IO,
 * FC_E_NOMEM.
 */
int fc_status_read(const char *db_path, enum fc_status_state *state, struct fc_status *s, struct fc_error *err);

/* What the index says, whoever writes it. */
struct fc_status_index {
    uint64_t captures, forgotten, gone; /* captures that it has, and of these */
    uint64_t captures_bytes;            /* size of those that are neither */
    uint64_t packets;                   /* in sessions */
    uint64_t last_session;              /* ID: so many sessions were made */
    bool has_time;
    int64_t first_ns, last_ns;       /* earliest start and latest end of a session */
    struct fc_loss_counts loss;      /* sums of table `loss`, when they were asked for */
    uint64_t bytes;                  /* of the index, with what SQLite keeps beside it */
    uint64_t free_bytes, disk_bytes; /* of the file system that it lies on, for who is not root */
};

/* `bytes`, `free_bytes` and `disk_bytes` alone, of files and their system. */
void fc_status_of_disk(const char *db_path, struct fc_status_index *out);

/*
 * Looks all up, in milliseconds but for `loss`, which reads that table. FC_E_MISSING: there is none, disk_bytes is of
 * its folder then. FC_E_SCHEMA, FC_E_DB, FC_E_IO, FC_E_NOMEM.
 */
int fc_status_of_index(const char *db_path, bool loss, struct fc_status_index *out, struct fc_error *err);

/*
 * Writes a file in the text format of Prometheus, by renaming, so that who reads has all of it. Each number has the
 * label index="DB_PATH", so that those of several processes can be put together. The file has `rights`, without any
 * (NULL, or a mode of 0) 0644. It does not wait for the disk. FC_E_IO, FC_E_NOMEM: the file is as before.
 */
int fc_metrics_write(const char *path, const char *db_path, const struct fc_rights *rights, const struct fc_status *s,
                     struct fc_error *err);

#ifdef __cplusplus
}
#endif
#endif
