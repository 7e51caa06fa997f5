/* SPDX-License-Identifier: MIT */
/* What one sensor has to answer, passed on as it comes. What it says is not looked at, and is no more than data of the
 * type that is asked for. */
#include "serve/ask.h"
#include "serve/many.h"

#if defined FC_HAS_CLUSTER

#include <ctype.h>
#include <errno.h>
#include <flowcarve/cluster_query.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Of an answer that is one JSON value: 10,000 packets have 6 MB. */
#define JSON_MAX (UINT64_C(64) << 20)

const struct fc_inquiry_sensor *fc_ask_sensor(struct fc_ask *ask)
{
    const char *name = fc_params_get(&ask->params, "sensor");
    const struct fc_inquiry_sensor *found = NULL;

    if (!name) {
        fc_ask_fail_parameter(ask, "sensor", "IDs mean something together with their sensor alone: which one?");
        return NULL;
    }
    for (size_t i = 0; i < fc_inquiry_sensors(ask->inquiry) && !found; i++)
        if (strcmp(fc_inquiry_sensor(ask->inquiry, i)->name, name) == 0)
            found = fc_inquiry_sensor(ask->inquiry, i);
    if (!found || !found->in_file)
        fc_ask_fail_parameter(ask, "sensor",
                              found ? "sensor '%s' is in the engine, but the cluster's file does not say where it is"
                                    : "there is no sensor '%s'",
                              name);
    else if (!found->in_engine)
        fc_ask_fail(ask, 404, "not_found", "nothing of sensor %s is in the engine", name);
    else
        return found;
    return NULL;
}

enum { LONGEST_MS = 86400000, PATIENCE = 10 };

/* ---- the question, as the sensor is asked it */

static void put_encoded(FILE *out, const char *text)
{
    for (; *text; text++)
        if (isalnum((unsigned char)*text) || strchr("-._~", *text))
            fputc(*text, out);
        else
            fprintf(out, "%%%02X", (unsigned char)*text);
}

static char *write_target(const struct fc_ask *ask, const struct fc_inquiry_sensor *sensor)
{
    char *text = NULL, uuid[33];
    size_t size;
    FILE *out = open_memstream(&text, &size);

    if (!out)
        return NULL;
    fc_hex_uuid(sensor->generation, uuid);
    fprintf(out, "%s?uuid=%s", ask->params.path, uuid);
    for (size_t i = 0; i < ask->params.count; i++) {
        if (strcmp(ask->params.item[i].name, "sensor") == 0)
            continue;
        fputc('&', out);
        put_encoded(out, ask->params.item[i].name);
        fputc('=', out);
        put_encoded(out, ask->params.item[i].value);
    }
    bool bad = ferror(out);
    if (fclose(out) != 0 || bad) {
        free(text);
        return NULL;
    }
    return text;
}

/* ---- the answer */

static int take(void *ctx, const uint8_t *data, size_t len, struct fc_error *err)
{
    struct fc_ask *ask = ctx;

    while (len) {
        ssize_t n = write(ask->fd, data, len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            *err = (struct fc_error){.code = FC_E_PIPE, .off = FC_NO_OFFSET, .cause = "nobody takes it"};
            return FC_E_PIPE;
        }
        data += n;
        len -= (size_t)n;
    }
    return 0;
}

/* An error of the sensor's is the client's but for those that are between the two of us. */
static int fail_as(struct fc_ask *ask, const char *sensor, const struct fc_forward_answer *a)
{
    static const int own[] = {400, 404, 409, 413, 503, 504};
    const char *message = *a->message ? a->message : "it does not say why; is it flowcarve serve?";

    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++)
        if (a->status == own[i] && *a->code)
            return fc_ask_fail(ask, a->status, a->code, "sensor %s: %s", sensor, message);
    return fc_ask_fail(ask, 502, "sensor", "sensor %s answers %d: %s", sensor, a->status, message);
}

static bool is_of(const struct fc_ask *ask, const char *end)
{
    size_t len = strlen(ask->params.path), tail = strlen(end);

    return len > tail && strcmp(ask->params.path + len - tail, end) == 0;
}

static int forward(struct fc_ask *ask, const char *sensor, const char *target)
{
    const char *format = fc_params_get(&ask->params, "format");
    bool follow = is_of(ask, "/follow"), raw = format && strcmp(format, "raw") == 0;
    struct fc_forward_options o = {.stop = ask->stop};
    struct fc_forward_answer answer;
    struct fc_error err;

    if (!follow) { /* who takes it slowly may do so, up to a point */
        o.silence_ms = ask->deadline_ns / 1000000 < LONGEST_MS ? (unsigned)(ask->deadline_ns / 1000000) : LONGEST_MS;
        o.deadline_ms = PATIENCE * o.silence_ms;
        o.bytes_max = JSON_MAX;
    }
    ask->type = raw ? "application/octet-stream" : follow ? "application/x-ndjson" : "application/json; charset=utf-8";
    int rc = fc_cluster_forward(ask->cluster, sensor, target, &o, take, ask, &answer, &err);
    if (rc == FC_E_IO)
        return fc_ask_fail(ask, 502, "sensor", "sensor %s: %s", sensor, err.cause);
    if (rc)
        return fc_ask_fail_error(ask, &err);
    return answer.status == 200 ? 0 : fail_as(ask, sensor, &answer);
}

int fc_answer_forward(struct fc_ask *ask)
{
    const struct fc_inquiry_sensor *sensor = fc_ask_sensor(ask);
    int rc = -1;

    if (!sensor)
        return -1;
    char *target = write_target(ask, sensor);
    rc = target ? forward(ask, sensor->name, target) : fc_ask_fail_memory(ask);
    free(target);
    return rc;
}

#endif
