/* SPDX-License-Identifier: MIT */
#include "serve/route.h"

#include <stdlib.h>
#include <string.h>

static const struct fc_route routes[] = {
    {"status", fc_answer_status, FC_SCOPE_METADATA, 0},
    {"sessions", fc_answer_sessions, FC_SCOPE_METADATA, FC_ROUTE_HEAVY},
    {"count", fc_answer_count, FC_SCOPE_METADATA, FC_ROUTE_HEAVY},
    {"cost", fc_answer_cost, FC_SCOPE_METADATA, 0},
    {"histogram", fc_answer_histogram, FC_SCOPE_METADATA, FC_ROUTE_HEAVY},
    {"top", fc_answer_top, FC_SCOPE_METADATA, FC_ROUTE_HEAVY},
    {"complete", fc_answer_complete, FC_SCOPE_METADATA, 0},
    {"filter", fc_answer_filter, FC_SCOPE_METADATA, 0},
    {"files", fc_answer_files, FC_SCOPE_METADATA, 0},
    {"damage", fc_answer_damage, FC_SCOPE_METADATA, 0},
    {"carve/check", fc_answer_carve_check, FC_SCOPE_PACKETS, FC_ROUTE_HEAVY | FC_ROUTE_NO_PACKETS},
    {"carve", fc_answer_carve, FC_SCOPE_PACKETS, FC_ROUTE_STREAM | FC_ROUTE_CARVE},
    {"", fc_answer_session, FC_SCOPE_METADATA, FC_ROUTE_ID},
    {"/packets", fc_answer_packets, FC_SCOPE_PACKETS, FC_ROUTE_ID | FC_ROUTE_HEAVY},
    {"/packet", fc_answer_packet, FC_SCOPE_PACKETS, FC_ROUTE_ID},
    {"/follow", fc_answer_follow, FC_SCOPE_PACKETS, FC_ROUTE_ID | FC_ROUTE_STREAM},
};

#if defined FC_HAS_CLUSTER
/* What a sensor has to answer is sent as it comes, whatever it is. */
static const struct fc_route routes_of_many[] = {
    {"status", fc_answer_many_status, FC_SCOPE_METADATA, 0},
    {"sensors", fc_answer_sensors, FC_SCOPE_METADATA, 0},
    {"sessions", fc_answer_sessions, FC_SCOPE_METADATA, FC_ROUTE_HEAVY},
    {"count", fc_answer_count, FC_SCOPE_METADATA, FC_ROUTE_HEAVY},
    {"cost", fc_answer_many_cost, FC_SCOPE_METADATA, 0},
    {"histogram", fc_answer_histogram, FC_SCOPE_METADATA, FC_ROUTE_HEAVY},
    {"top", fc_answer_top, FC_SCOPE_METADATA, FC_ROUTE_HEAVY},
    {"complete", fc_answer_complete, FC_SCOPE_METADATA, 0},
    {"filter", fc_answer_filter, FC_SCOPE_METADATA, 0},
    {"files", fc_answer_of_index, FC_SCOPE_METADATA, 0},
    {"damage", fc_answer_of_index, FC_SCOPE_METADATA, 0},
    {"carve/check", fc_answer_many_carve_check, FC_SCOPE_PACKETS, FC_ROUTE_HEAVY | FC_ROUTE_NO_PACKETS},
    {"carve", fc_answer_many_carve, FC_SCOPE_PACKETS, FC_ROUTE_STREAM | FC_ROUTE_CARVE},
    {"", fc_answer_forward, FC_SCOPE_METADATA, FC_ROUTE_ID | FC_ROUTE_STREAM},
    {"/packets", fc_answer_forward, FC_SCOPE_PACKETS, FC_ROUTE_ID | FC_ROUTE_STREAM},
    {"/packet", fc_answer_forward, FC_SCOPE_PACKETS, FC_ROUTE_ID | FC_ROUTE_STREAM},
    {"/follow", fc_answer_forward, FC_SCOPE_PACKETS, FC_ROUTE_ID | FC_ROUTE_STREAM},
};
#endif

static const struct fc_route of_ids = {"carve", fc_answer_carve, FC_SCOPE_PACKETS, FC_ROUTE_STREAM | FC_ROUTE_CARVE};

/* The ID behind "sessions/", up to 18 digits; the byte behind it, NULL: it is none. */
static const char *read_id(const char *path, int64_t *id)
{
    static const char front[] = "sessions/";
    const char *digits = path + sizeof front - 1;

    if (strncmp(path, front, sizeof front - 1) != 0)
        return NULL;
    size_t len = strspn(digits + (*digits == '-'), "0123456789");
    if (!len || len > 18)
        return NULL;
    *id = strtoll(digits, NULL, 10);
    return digits + (*digits == '-') + len;
}

const struct fc_route *fc_route_find(const char *path, bool many, int64_t *id)
{
    const char *behind = read_id(path, id);
    const struct fc_route *list = routes;
    size_t count = sizeof routes / sizeof routes[0];

#if defined FC_HAS_CLUSTER
    if (many) {
        list = routes_of_many;
        count = sizeof routes_of_many / sizeof routes_of_many[0];
    }
#else
    (void)many;
#endif
    for (size_t i = 0; i < count; i++) {
        const char *name = list[i].flags & FC_ROUTE_ID ? behind : path;
        if (name && strcmp(name, list[i].path) == 0)
            return &list[i];
    }
    return NULL;
}

const struct fc_route *fc_route_post(const char *path, bool many)
{
    return !many && strcmp(path, of_ids.path) == 0 ? &of_ids : NULL;
}
