/* SPDX-License-Identifier: MIT */
/* `--tz`: the zone in which times are read and shown, by the C library and the system's zoneinfo. */
#ifndef FC_CLI_ZONE_H
#define FC_CLI_ZONE_H

#include "cli/cli.h"

#include <stdbool.h>

#define FC_OPTION_TZ(type)                                                                                             \
    {                                                                                                                  \
        "tz", 0, "ZONE",                                                                                               \
            "zone of times, read and shown: a name as in Europe/Berlin, an offset as in +02:00, or local (default: "   \
            "UTC)",                                                                                                    \
            FC_TAKE(type, zone, fc_take_zone)                                                                          \
    }

struct fc_zone {
    bool local;    /* the C library's zone, which fc_take_zone() has set; else UTC */
    char name[64]; /* for titles; "" as long as nothing was set */
};

/*
 * Makes `value` the zone of this process: Area/City, +HH[:MM], -HH[:MM], UTC, or "local" for that of the system. -1:
 * there is no such zone, which is said in the name of `command`. To be called before there are threads.
 */
int fc_take_zone(const char *command, void *zone, const char *value);

/* The name for titles: "UTC" where nothing was set. */
const char *fc_zone_name(const struct fc_zone *zone);

#endif
