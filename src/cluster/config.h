/* SPDX-License-Identifier: MIT */
/* Who takes part in a cluster. Threads: immutable once it is read. */
#ifndef FC_CLUSTER_CONFIG_H
#define FC_CLUSTER_CONFIG_H

#include "cluster/http.h"
#include <flowcarve/cluster.h>

struct fc_sensor {
    char *name;
    struct fc_peer peer;
    unsigned line; /* of the file, where it begins */
};

struct fc_cluster {
    char *path;
    struct fc_peer engine; /* url: without the path */
    char *database;
    struct fc_peer common; /* of all sensors: ca, cert, key, token */
    struct fc_sensor *sensor;
    size_t sensors, room;
};

/*
 * Takes http://host:port/database apart: the peer's URL, and the database (letters, digits, '_'; 1 to 63 of them).
 * NULL, or what is wrong with it. Both are the caller's to free.
 */
const char *fc_engine_url(const char *text, char **url, char **database);

/* The line that a file of a secret holds, which must belong to its user alone; the caller's to free. FC_E_IO,
 * FC_E_USAGE, FC_E_NOMEM. */
int fc_secret_read(const char *path, char **out, struct fc_error *err);

#endif
