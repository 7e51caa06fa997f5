/* SPDX-License-Identifier: MIT */
/* What a server of many sensors says of itself and of them. */
#include "base/hash.h"
#include "serve/ask.h"
#include "serve/many.h"
#include "serve/session_json.h"

#if defined FC_HAS_CLUSTER

#include <flowcarve/cluster_query.h>
#include <flowcarve/value.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static int64_t wall_clock(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

void fc_hex_uuid(const uint8_t uuid[16], char text[33])
{
    for (int i = 0; i < 16; i++)
        snprintf(text + 2 * i, 3, "%02x", uuid[i]);
}

static void put_decimal(struct fc_json *j, const char *key, double value)
{
    char buf[FC_TEXT_MAX];

    fc_json_key(j, key);
    fc_json_raw(j, buf, (size_t)snprintf(buf, sizeof buf, "%.3f", value));
}

static void put_sensor(struct fc_json *j, const struct fc_inquiry_sensor *s, int64_t now)
{
    char uuid[33];

    fc_json_mark(j, '{');
    fc_json_put_text(j, "name", s->name);
    fc_json_put_bool(j, "in_file", s->in_file);
    fc_json_put_bool(j, "in_engine", s->in_engine);
    fc_hex_uuid(s->generation, uuid);
    fc_json_put_text(j, "generation", s->in_engine ? uuid : NULL);
    fc_json_put_number(j, "run", s->run);
    fc_put_fields(j, s->fields);
    fc_json_put_time(j, "clock", s->in_engine && s->clock_ns != INT64_MIN, s->clock_ns);
    fc_json_put_time(j, "told", s->told_ns != 0, s->told_ns);
    if (s->told_ns) {
        put_decimal(j, "lag", (double)(now / 1000000 - s->told_ns / 1000000) / 1e3);
    } else {
        fc_json_key(j, "lag");
        fc_json_null(j);
    }
    fc_json_mark(j, '}');
}

static void put_sensors(struct fc_ask *ask)
{
    int64_t now = wall_clock();

    fc_json_key(&ask->out, "sensors");
    fc_json_mark(&ask->out, '[');
    for (size_t i = 0; i < fc_inquiry_sensors(ask->inquiry); i++)
        put_sensor(&ask->out, fc_inquiry_sensor(ask->inquiry, i), now);
    fc_json_mark(&ask->out, ']');
}

int fc_answer_sensors(struct fc_ask *ask)
{
    if (!fc_ask_end(ask))
        return -1;
    fc_json_mark(&ask->out, '{');
    put_sensors(ask);
    fc_json_mark(&ask->out, '}');
    return 0;
}

static void put_null(struct fc_json *j, const char *key)
{
    fc_json_key(j, key);
    fc_json_null(j);
}

/* As of an index, without what only reading all sessions would tell: this is asked for every other second. */
static void put_index(struct fc_ask *ask)
{
    static const char *const unknown[] = {"uuid", "sessions", "last_id", "files", "packets", "bytes"};
    struct fc_json *j = &ask->out;
    int64_t last = INT64_MIN;
    uint64_t hash = 1;
    char generation[24];

    for (size_t i = 0; i < fc_inquiry_sensors(ask->inquiry); i++) {
        const struct fc_inquiry_sensor *s = fc_inquiry_sensor(ask->inquiry, i);
        hash = fc_hash_bytes(s->name, strlen(s->name) + 1, hash);
        hash = fc_hash_bytes(s->generation, sizeof s->generation, hash);
        hash = fc_hash_bytes(&s->run, sizeof s->run, hash);
        last = s->in_engine && s->clock_ns > last ? s->clock_ns : last;
    }
    snprintf(generation, sizeof generation, "%016" PRIx64, hash);
    fc_json_key(j, "index");
    fc_json_mark(j, '{');
    fc_json_put_text(j, "path", ask->db_path);
    fc_json_put_text(j, "generation", generation);
    for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++)
        put_null(j, unknown[i]);
    fc_json_put_time(j, "start", false, 0);
    fc_json_put_time(j, "end", last != INT64_MIN, last);
    fc_put_fields(j, fc_inquiry_fields(ask->inquiry, NULL));
    fc_json_put_text(j, "profile", "");
    put_null(j, "size");
    fc_json_mark(j, '}');
}

int fc_answer_many_status(struct fc_ask *ask)
{
    struct fc_json *j = &ask->out;
    char buf[FC_TEXT_MAX];

    if (!fc_ask_end(ask))
        return -1;
    fc_json_mark(j, '{');
    fc_json_put_text(j, "flowcarve", FC_VERSION);
    fc_json_put_number(j, "api", 1);
    fc_json_put_bool(j, "cluster", true);
    fc_json_put_text(j, "who", ask->who);
    fc_json_key(j, "scopes");
    fc_put_scopes(j, ask->scopes);
    fc_json_key(j, "now");
    fc_json_plain(j, buf, fc_text_time(buf, wall_clock()));
    put_null(j, "sensor");
    put_sensors(ask);
    put_index(ask);
    put_null(j, "writer");
    fc_json_key(j, "limits");
    fc_json_mark(j, '{');
    fc_json_put_number(j, "rows", FC_ASK_ROWS_MAX);
    fc_json_key(j, "deadline_s");
    fc_json_raw(j, buf, (size_t)snprintf(buf, sizeof buf, "%g", (double)ask->deadline_ns / 1e9));
    fc_json_put_number(j, "streams", FC_ASK_STREAMS_MAX);
    fc_json_mark(j, '}');
    fc_json_mark(j, '}');
    return 0;
}

/* An engine does not tell before what it will read, but has bounds. */
int fc_answer_many_cost(struct fc_ask *ask)
{
    struct fc_chosen chosen;
    int rc = fc_ask_chosen(ask, &chosen) && fc_ask_end(ask) ? 0 : -1;

    if (rc == 0) {
        fc_json_mark(&ask->out, '{');
        put_null(&ask->out, "sessions");
        put_null(&ask->out, "reads");
        fc_json_put_bool(&ask->out, "scan", false);
        fc_json_put_number(&ask->out, "most", ask->rows_max ? ask->rows_max : FC_INQUIRY_ROWS_MAX);
        fc_json_mark(&ask->out, '}');
    }
    fc_chosen_fini(&chosen);
    return rc;
}

int fc_answer_of_index(struct fc_ask *ask)
{
    return fc_ask_fail(ask, 404, "not_found",
                       "captures are the sensors' own: ask one of them, or /v1/sensors for how all of them are");
}

#endif
