/* SPDX-License-Identifier: MIT */
/* `--from LOG` of commands about sessions: those that the rows of another program's log mean. Threads: the main one. */
#ifndef FC_CLI_LOG_OPTION_H
#define FC_CLI_LOG_OPTION_H

#include "cli/cli.h"

#include <flowcarve/log.h>
#include <flowcarve/query.h>
#include <stdbool.h>

#define FC_OPTION_FROM(type)                                                                                           \
    {                                                                                                                  \
        "from", 0, "FILE", "sessions of a Zeek conn.log, Suricata eve.json, list of Community IDs or 5-tuples",        \
            FC_WORD(type, log.path)                                                                                    \
    }
#define FC_OPTION_SLACK(type)                                                                                          \
    {                                                                                                                  \
        "slack", 0, "TIME", "how far times of --from may be off (default: 1s)", FC_TAKE(type, log, fc_take_slack)      \
    }

/* All of it 0 at first. */
struct fc_log_option {
    const char *path; /* NULL: there is none */
    bool has_slack;   /* else a second */
    int64_t slack_ns;
    const char *of_several; /* what is done where a row means several sessions, as in "all carved"; NULL: "all taken" */
    /* once the filter is narrowed */
    struct fc_log *log;
    const struct fc_log_row *rows;
    size_t row_count;
    uint64_t found, ambiguous;
};

/* Takes --slack. */
int fc_take_slack(const char *command, void *log_option, const char *value);

/* At most one of log, filter's file and IDs is standard input; else false, which is said in the name of `command`. */
bool fc_log_option_alone(const struct fc_log_option *o, const char *command, const char *filter_file, bool ids);

/*
 * Narrows the filter to the sessions that the log's rows mean, and tells of rows that mean none or several, unless
 * quiet. False: it cannot be read or looked up, which is said.
 */
bool fc_log_option_narrow(struct fc_log_option *o, const char *command, bool quiet, struct fc_db *db,
                          struct fc_filter *filter);

/* "12 rows: 10 found, 1 ambiguous, 1 not found", on standard error, where there is a log. */
void fc_log_option_report(const struct fc_log_option *o);
void fc_log_option_close(struct fc_log_option *o);

#endif
