/* SPDX-License-Identifier: MIT */
/*
 * What a command that never ends tells of itself while it runs: its status beside the index, once a second, for
 * `flowcarve status`; the same in a file for Prometheus; to the manager of services that it is ready and alive.
 *
 *     fc_monitor_open(&m, &o)                     in front of the work, and of the sandbox
 *     fc_monitor_ready(&m)                        options fit, the index is there or can be made
 *     fc_monitor_tick(&m)                         each time the main loop comes round
 *     fc_monitor_progress(&m, now)                by fc_index_options.progress, with the monitor as its ctx
 *     fc_monitor_failed(&m, &err)                 something went wrong
 *     fc_monitor_close(&m)                        behind the work, while `tell` may still be called
 *
 * Threads: any between opening and closing; a lock is inside, and `fill` and `tell` are called with it.
 */
#ifndef FC_CLI_MONITOR_H
#define FC_CLI_MONITOR_H

#include "cli/service.h"

#include <flowcarve/newfile.h>
#include <flowcarve/progress.h>
#include <flowcarve/status.h>
#include <pthread.h>

struct fc_monitor_options {
    enum fc_status_role role;
    const char *db;
    const char *metrics;     /* a file; NULL: none */
    struct fc_rights rights; /* of that file, a mode of 0: 0644 */
    const char *const *what; /* what is watched or captured, for people, */
    int what_count;          /* so many */
    /* Sets what is counted by now; what it does not set stays as it was. */
    void (*fill)(void *ctx, struct fc_status *s);
    /* fc_watch_tell() or its like. */
    void (*tell)(void *ctx, const struct fc_status *s);
    void *ctx;
};

struct fc_monitor {
    struct fc_monitor_options o;
    pthread_mutex_t lock; /* of all below */
    struct fc_status status;
    struct fc_status_meter *meter;
    struct fc_service service;
    int64_t published_ns, service_told_ns; /* monotonic */
    struct fc_progress seen;               /* of the run that goes on; else all 0 */
    bool metrics_failed;
};

/* -1 without memory, or where the file for Prometheus cannot be written; that is said. Else it is to be closed. */
int fc_monitor_open(struct fc_monitor *monitor, const struct fc_monitor_options *options);
void fc_monitor_ready(struct fc_monitor *monitor);
void fc_monitor_tick(struct fc_monitor *monitor);
/* Is alive when the counts differ from those of the last call. */
void fc_monitor_progress(void *monitor, const struct fc_progress *now);
void fc_monitor_failed(struct fc_monitor *monitor, const struct fc_error *what);
/* Tells that it ends, and takes the file for Prometheus away: its numbers are true no more. */
void fc_monitor_close(struct fc_monitor *monitor);

#endif
