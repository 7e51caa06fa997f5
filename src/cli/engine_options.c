/* SPDX-License-Identifier: MIT */
#include "cli/cli.h"

#if defined FC_HAS_CLUSTER

#include "cli/engine_options.h"

struct fc_cluster *fc_engine_args_open(const char *command, const struct fc_engine_args *args)
{
    const struct fc_engine_options *o = &args->o;
    struct fc_cluster *cluster;
    struct fc_error err;

    if (!args->file == !o->url) {
        fc_complain("%s: which engine? --to http://HOST:8123/DATABASE, or --cluster FILE", command);
        return NULL;
    }
    if (args->file && (o->user || o->password_file || o->ca || o->cert || o->key)) {
        fc_complain("%s: with --cluster the file says who asks and how", command);
        return NULL;
    }
    if (args->file ? fc_cluster_read(args->file, &cluster, &err) : fc_cluster_of_engine(o, &cluster, &err)) {
        fc_complain_error(&err);
        return NULL;
    }
    return cluster;
}
#endif
