/* SPDX-License-Identifier: MIT */
/*
 * What `capture` tells while it goes on, on standard error: a line a minute, and what was dropped at once.
 *
 * Threads: the main one, but for fc_capture_log_word(), which is for any.
 */
#ifndef FC_CLI_CAPTURE_LOG_H
#define FC_CLI_CAPTURE_LOG_H

#include <flowcarve/recorder.h>

struct fc_capture_log {
    bool quiet, verbose;
    struct fc_recorder *recorder;
    /* since the last line */
    struct fc_recorder_counts then;
    int64_t then_ns, lag_ns;
    uint64_t sessions, continued;
    /* since the last line of what was dropped */
    struct fc_recorder_counts dropped;
    int64_t dropped_ns;
};

void fc_capture_log_start(struct fc_capture_log *log, struct fc_recorder *recorder, bool quiet, bool verbose);
/* Something was added to the index. */
void fc_capture_log_commit(struct fc_capture_log *log, const struct fc_recorder_commit *commit);
/* Time has passed. */
void fc_capture_log_idle(struct fc_capture_log *log);
void fc_capture_log_notice(const struct fc_capture_log *log, const struct fc_notice *notice);
void fc_capture_log_word(const struct fc_capture_log *log, const struct fc_error *what);
/* The sums, in the end. */
void fc_capture_log_end(struct fc_capture_log *log);

#endif
