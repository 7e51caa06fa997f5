/* SPDX-License-Identifier: MIT */
/* How sensors are: what they say of themselves. */
#include "base/error.h"
#include "base/export.h"
#include "cluster/config.h"
#include "cluster/said.h"
#include "cluster/streams.h"

#include <flowcarve/cluster_carve.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { DEADLINE_MS = 5000, ANSWER_MOST = 65536 };

/* "2024-06-01T08:00:00.000000000Z" */
static bool read_time(const char *text, int64_t *ns)
{
    struct tm tm = {0};
    long fraction;
    char end;

    if (sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2d.%9ld%c", &tm.tm_year, &tm.tm_mon, &tm.tm_mday, &tm.tm_hour, &tm.tm_min,
               &tm.tm_sec, &fraction, &end) != 8 ||
        end != 'Z')
        return false;
    tm.tm_year -= 1900;
    tm.tm_mon--;
    *ns = (int64_t)timegm(&tm) * 1000000000 + fraction;
    return true;
}

static bool read_number(const char *json, const char *key, int64_t *value)
{
    char text[32], *end;

    if (!fc_said(json, key, text, sizeof text))
        return false;
    *value = strtoll(text, &end, 10);
    return end != text && !*end;
}

/* What an answer tells. */
static void read_status(const char *json, int64_t between_ns, struct fc_cluster_sensor_status *s)
{
    char text[64];
    int64_t number;

    if (!fc_said(json, "flowcarve", s->version, sizeof s->version) || !read_number(json, "sessions", &number) ||
        number < 0) {
        fc_error_set(&s->why, FC_E_IO, s->name, FC_NO_OFFSET, "what it answers is no status of flowcarve serve");
        return;
    }
    s->reachable = true;
    s->sessions = (uint64_t)number;
    s->has_time = read_number(json, "end_ns", &s->end_ns);
    if (fc_said(json, "sensor", s->sensor, sizeof s->sensor) && strcmp(s->sensor, "null") == 0)
        *s->sensor = '\0';
    if (!fc_said(json, "uuid", s->uuid, sizeof s->uuid) || strcmp(s->uuid, "null") == 0)
        *s->uuid = '\0';
    if (fc_said(json, "now", text, sizeof text) && read_time(text, &number)) {
        s->has_clock = true;
        s->clock_off_ns = number - between_ns;
    }
    if (*s->sensor && strcmp(s->sensor, s->name) != 0)
        fc_error_set(&s->why, FC_E_MISMATCH, s->name, FC_NO_OFFSET, "it calls itself '%s'", s->sensor);
}

/* Reads an answer to its end. */
static int read_answer(struct fc_streams *streams, size_t number, char *text, struct fc_error *err)
{
    struct fc_source *source = fc_streams_source(streams, number);
    int64_t n = source->read(source, text, ANSWER_MOST - 1, 0, err);

    text[n < 0 ? 0 : n] = '\0';
    return n < 0 ? (int)n : 0;
}

FC_EXPORT int fc_cluster_ask_sensors(const struct fc_cluster *cluster, const int *stop,
                                     struct fc_cluster_sensor_status *statuses, struct fc_error *err)
{
    const struct fc_streams_options options = {.deadline_ms = DEADLINE_MS, .silence_ms = DEADLINE_MS, .stop = stop};
    char *text = malloc(ANSWER_MOST);
    struct fc_streams *streams = NULL;
    int rc = text ? fc_streams_open(cluster->sensors, &options, &streams, err)
                  : fc_error_set(err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");

    for (size_t i = 0; rc == 0 && i < cluster->sensors; i++) {
        statuses[i] = (struct fc_cluster_sensor_status){.name = cluster->sensor[i].name};
        rc =
            fc_streams_begin(streams, i, &cluster->sensor[i].peer, cluster->sensor[i].name, "/v1/status", NULL, 0, err);
    }
    for (size_t i = 0; rc == 0 && i < cluster->sensors; i++) {
        struct fc_cluster_sensor_status *s = &statuses[i];
        int failed = read_answer(streams, i, text, &s->why);
        if (failed == FC_E_INTERRUPTED || failed == FC_E_NOMEM) {
            if (err)
                *err = s->why;
            rc = failed;
        } else if (!failed) {
            read_status(text, fc_streams_middle(streams, i), s);
        }
    }
    fc_streams_close(streams);
    free(text);
    return rc;
}
