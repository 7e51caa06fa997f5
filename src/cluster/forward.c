/* SPDX-License-Identifier: MIT */
/* Questions that are a sensor's to answer, passed on to it. */
#include "base/error.h"
#include "base/export.h"
#include "cluster/config.h"
#include "cluster/said.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct forwarding {
    const char *sensor;
    fc_forward_take *take;
    void *ctx;
    uint64_t left; /* bytes that may come */
};

static int take(void *ctx, const uint8_t *data, size_t len, struct fc_error *err)
{
    struct forwarding *f = ctx;

    if (len > f->left)
        return fc_error_set(err, FC_E_IO, f->sensor, FC_NO_OFFSET, "it answers more than any such answer can have");
    f->left -= len;
    return f->take(f->ctx, data, len, err);
}

static const struct fc_peer *find_peer(const struct fc_cluster *cluster, const char *sensor)
{
    for (size_t i = 0; i < cluster->sensors; i++)
        if (strcmp(cluster->sensor[i].name, sensor) == 0)
            return &cluster->sensor[i].peer;
    return NULL;
}

static void read_error(const struct fc_http_answer *from, struct fc_forward_answer *to)
{
    if (!fc_said(from->text, "code", to->code, sizeof to->code))
        *to->code = '\0';
    if (!fc_said(from->text, "message", to->message, sizeof to->message))
        *to->message = '\0';
}

/* The sensor is who is to be named, and not its URL. */
static void name_sensor(struct fc_error *err, const char *sensor)
{
    if (err)
        snprintf(err->file, sizeof err->file, "%s", sensor);
}

FC_EXPORT int fc_cluster_forward(const struct fc_cluster *cluster, const char *sensor, const char *target,
                                 const struct fc_forward_options *options, fc_forward_take *call, void *ctx,
                                 struct fc_forward_answer *answer, struct fc_error *err)
{
    static const struct fc_forward_options usual;
    const struct fc_forward_options *o = options ? options : &usual;
    struct forwarding f = {sensor, call, ctx, o->bytes_max ? o->bytes_max : UINT64_MAX};
    const struct fc_peer *peer = find_peer(cluster, sensor);
    struct fc_http_answer got;
    struct fc_http *http;
    struct fc_error local;
    int rc;

    err = err ? err : &local;
    memset(answer, 0, sizeof *answer);
    if (!peer)
        return fc_error_set(err, FC_E_USAGE, cluster->path, FC_NO_OFFSET, "it names no sensor '%s'", sensor);
    if ((rc = fc_http_open(peer, &http, err)))
        return rc;
    rc = fc_http_ask(http,
                     &(struct fc_http_request){.path = target,
                                               .deadline_ms = o->deadline_ms,
                                               .silence_ms = o->silence_ms,
                                               .stop = o->stop,
                                               .take = take,
                                               .ctx = &f},
                     &got, err);
    fc_http_close(http);
    answer->status = (int)got.status;
    if (got.status >= 300)
        read_error(&got, answer);
    if (rc == FC_E_IO)
        name_sensor(err, sensor);
    return rc;
}
