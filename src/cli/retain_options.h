/* SPDX-License-Identifier: MIT */
/* Options by which captures are kept and deleted, as the commands share them that do. Threads: the main one. */
#ifndef FC_CLI_RETAIN_OPTIONS_H
#define FC_CLI_RETAIN_OPTIONS_H

#include "cli/cli.h"

#include <flowcarve/retain.h>
#include <flowcarve/status.h>

/* Their entries in a command's table, whose arguments have `struct fc_retain_limits limits`. */
#define FC_RETAIN_OPTION_TABLE(type)                                                                                   \
    {"keep", 0, "LIMIT,...",                                                                                           \
     "delete the oldest captures that are more than this: bytes, with those of the index, as "                         \
     "500G or 2T; or age of the last packet, as 12h, 30d or 1y",                                                       \
     FC_TAKE(type, limits, fc_take_keep)},                                                                             \
        {"min-free", 0, "PART", "or that leave less of their disk free, whatever fills it: 10% or 50G",                \
         FC_TAKE(type, limits, fc_take_min_free)},                                                                     \
    {                                                                                                                  \
        "keep-sessions", 0, "TIME",                                                                                    \
            "keep sessions until their last packet is so old (1y; or 'forever'), also without packets (default: they " \
            "go with their packets)",                                                                                  \
            FC_TAKE(type, limits.keep_sessions_ns, fc_take_keep_sessions)                                              \
    }

/* Take what these options say. */
int fc_take_keep(const char *command, void *limits, const char *value);
int fc_take_min_free(const char *command, void *limits, const char *value);
int fc_take_keep_sessions(const char *command, void *ns, const char *value);
/* Is there a limit of captures? */
bool fc_retain_given(const struct fc_retain_limits *limits);
/* All are taken. -1 when they do not go together, which is said. */
int fc_retain_end(const struct fc_retain_limits *limits, const char *command);

/* What was deleted since it was told last: a line. */
struct fc_retain_sum {
    uint64_t deleted, deleted_bytes;
    int64_t last_ns; /* latest packet of these; INT64_MIN: none has a time */
    int64_t told_ns; /* monotonic; 0: nothing was told yet */
};
void fc_retain_add(struct fc_retain_sum *sum, const struct fc_retain_deleted *deleted);
/* Empties it; says nothing when there is nothing. */
void fc_retain_tell(struct fc_retain_sum *sum);
/* The same once a minute at most; end: now. */
void fc_retain_tell_in_time(struct fc_retain_sum *sum, bool end);
/* Adds what a step has done to what is told of the process, and puts that, with the limits, into its status. */
void fc_retain_count(struct fc_status *counts, const struct fc_retain_result *result);
void fc_retain_status(const struct fc_retain_limits *limits, const struct fc_status *counts, struct fc_status *s);
/* A line for one. */
void fc_retain_tell_one(const struct fc_retain_deleted *deleted);

#endif
