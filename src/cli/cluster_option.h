/* SPDX-License-Identifier: MIT */
/* `--cluster FILE`: many sensors are asked in place of an index. */
#ifndef FC_CLI_CLUSTER_OPTION_H
#define FC_CLI_CLUSTER_OPTION_H

#include <flowcarve/cluster_query.h>
#include <stdbool.h>

#define FC_OPTION_CLUSTER                                                                                              \
    {                                                                                                                  \
        "cluster", 0, "FILE", "ask the sensors that FILE names, by the engine that they send their sessions to"        \
    }
#define FC_OPTION_MAX_ROWS                                                                                             \
    {                                                                                                                  \
        "max-rows", 0, "N", "with --cluster: a question that reads more rows of a server is refused (default: 1000M)"  \
    }
#define FC_OPTION_DEADLINE                                                                                             \
    {                                                                                                                  \
        "deadline", 0, "TIME", "with --cluster: how long an answer may take, as in 30s, 5m (default: 30s)"             \
    }

struct fc_cluster_option {
    const char *path; /* NULL: an index is asked */
    struct fc_inquiry_options o;
    /* once it is open */
    struct fc_cluster *cluster;
    struct fc_inquiry *inquiry;
};

/* The value of one of the options. -1 when it is no good, which is said. */
int fc_cluster_option_rows(struct fc_cluster_option *option, const char *command, const char *value);
int fc_cluster_option_deadline(struct fc_cluster_option *option, const char *command, const char *value);

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
