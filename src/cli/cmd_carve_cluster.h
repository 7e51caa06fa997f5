/* SPDX-License-Identifier: MIT */
/* `carve --cluster`: packets of the sensors of a cluster. Threads: the main one. */
#ifndef FC_CLI_CMD_CARVE_CLUSTER_H
#define FC_CLI_CMD_CARVE_CLUSTER_H

#include "cli/cluster_option.h"

#include <flowcarve/carve.h>

struct fc_carve_over {
    struct fc_cluster_option *cluster;
    const char *path; /* of the output */
    const struct fc_carve_options *carve;
    const struct fc_rights *rights;
    int64_t silence_ns; /* 0: the default */
    bool quiet, verbose, json;
};

/* Carves what `filter` selects; the exit status. */
int fc_carve_over_sensors(const struct fc_carve_over *over, const struct fc_filter *filter);

#endif
