/* SPDX-License-Identifier: MIT */
/* `--cluster FILE`: many sensors are asked in place of an index. */
#ifndef FC_CLI_CLUSTER_OPTION_H
#define FC_CLI_CLUSTER_OPTION_H

#include "cli/cli.h"

#include <flowcarve/cluster_query.h>
#include <stdbool.h>

#define FC_OPTION_CLUSTER(type)                                                                                        \
    {                                                                                                                  \
        "cluster", 0, "FILE", "ask the sensors that FILE names, by the engine that they send their sessions to",       \
            FC_WORD(type, cluster.path)                                                                                \
    }
#define FC_OPTION_MAX_ROWS(type)                                                                                       \
    {                                                                                                                  \
        "max-rows", 0, "N", "with --cluster: a question that reads more rows of a server is refused (default: 1000M)", \
            FC_TAKE(type, cluster, fc_take_rows)                                                                       \
    }
#define FC_OPTION_DEADLINE(type)                                                                                       \
    {                                                                                                                  \
        "deadline", 0, "TIME", "with --cluster: how long an answer may take, as in 30s, 5m (default: 30s)",            \
            FC_TAKE(type, cluster, fc_take_deadline)                                                                   \
    }

struct fc_cluster_option {
    const char *path; /* NULL: an index is asked */
    struct fc_inquiry_options o;
    /* once it is open */
    struct fc_cluster *cluster;
    struct fc_inquiry *inquiry;
};

/* Take --max-rows and --deadline. */
int fc_take_rows(const char *command, void *cluster_option, const char *value);
int fc_take_deadline(const char *command, void *cluster_option, const char *value);

/*
 * False: --max-rows or --deadline stand without --cluster, or it with one of others (a name, NULL: none), which is
 * said.
 */
bool fc_cluster_option_fits(const struct fc_cluster_option *option, const char *command, const char *other);

/*
 * Reads the file, and asks the engine which sensors there are. Sensors of which one of both knows nothing are told.
 * False: that is not possible, which is said. To be closed in any case.
 */
bool fc_cluster_option_open(struct fc_cluster_option *option, const char *command, bool quiet);
void fc_cluster_option_close(struct fc_cluster_option *option);

#endif
