/* SPDX-License-Identifier: MIT */
/* What `flowcarve carve` is asked for. Threads: the main one. */
#ifndef FC_CLI_CMD_CARVE_H
#define FC_CLI_CMD_CARVE_H

#include "cli/cli.h"
#include "cli/cluster_option.h"
#include "cli/id_list.h"
#include "cli/log_option.h"
#include "cli/reading.h"
#include "cli/zone.h"

#include <flowcarve/carve.h>

struct fc_carve_args {
    const char *db, *path, *folder, *filter_file;
    struct fc_id_list ids;
    struct fc_log_option log;
    struct fc_carve_options o;
    struct fc_rights rights;
    struct fc_zone zone;
    struct fc_reading reading;
    int64_t before_ns, after_ns; /* --with-peers */
    struct fc_cluster_option cluster;
    int64_t silence_ns;
    bool quiet, verbose, json, list, peers, compress;
};

extern const struct fc_option fc_carve_option_table[];
extern const struct fc_values fc_carve_values[];

#endif
