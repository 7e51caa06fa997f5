/* SPDX-License-Identifier: MIT */
/* Packets of many sensors as one capture. */
#include "base/vector.h"
#include "serve/ask.h"
#include "serve/many.h"

#if defined FC_HAS_CLUSTER

#include <fcntl.h>
#include <flowcarve/cluster_carve.h>
#include <flowcarve/cluster_query.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { RANGES_MAX = 1 << 22 }; /* of a sensor: their text would have 8 MiB at the least */

/* What is to be carved: a part a sensor. */
struct carving {
    struct fc_cluster_carve_options o;
    struct fc_cluster_part *parts;
    struct fc_id_range *ranges; /* of the last part */
    size_t count, room, range_room;
    bool one; /* session */
};

static struct fc_cluster_part *add_part(struct carving *c, const struct fc_inquiry_sensor *sensor)
{
    if (fc_vector_reserve(&c->parts, &c->room, c->count + 1, sizeof *c->parts))
        return NULL;
    struct fc_cluster_part *part = &c->parts[c->count++];
    *part = (struct fc_cluster_part){.sensor = sensor->name};
    memcpy(part->generation, sensor->generation, sizeof part->generation);
    c->ranges = NULL;
    c->range_room = 0;
    return part;
}

/* They come by sensor, and those of one by ID. */
static int take_id(void *ctx, const struct fc_inquiry_id *id, struct fc_error *err)
{
    struct carving *c = ctx;
    struct fc_cluster_part *part = c->count ? &c->parts[c->count - 1] : NULL;

    if (!part || part->sensor != id->sensor->name)
        part = add_part(c, id->sensor);
    if (part && part->range_count == RANGES_MAX) {
        *err = (struct fc_error){.code = FC_E_LIMIT, .off = FC_NO_OFFSET};
        snprintf(err->cause, sizeof err->cause, "these are more sessions of sensor %s than it can be asked for at once",
                 part->sensor);
        return FC_E_LIMIT;
    }
    struct fc_id_range *last = part && part->range_count ? &c->ranges[part->range_count - 1] : NULL;
    if (last && last->last + 1 == id->id) {
        last->last = id->id;
    } else if (part && fc_vector_reserve(&c->ranges, &c->range_room, part->range_count + 1, sizeof *c->ranges) == 0) {
        part->ranges = c->ranges;
        c->ranges[part->range_count++] = (struct fc_id_range){id->id, id->id};
    } else {
        *err = (struct fc_error){.code = FC_E_NOMEM, .off = FC_NO_OFFSET, .cause = "out of memory"};
        return FC_E_NOMEM;
    }
    return 0;
}

/* Sessions of one sensor by their IDs. */
static bool read_ids(struct fc_ask *ask, struct carving *c, const char *ids)
{
    const struct fc_inquiry_sensor *sensor = fc_ask_sensor(ask);
    struct fc_cluster_part *part = sensor ? add_part(c, sensor) : NULL;
    bool good = part && fc_ask_ids(ask, ids, &c->ranges, &part->range_count);

    if (sensor && !part)
        fc_ask_fail_memory(ask);
    if (part)
        part->ranges = c->ranges;
    c->one = good && part->range_count == 1 && c->ranges[0].first == c->ranges[0].last;
    snprintf(ask->list, sizeof ask->list, "%s", ids);
    return good;
}

static bool read_filter(struct fc_ask *ask, struct carving *c)
{
    struct fc_chosen chosen;
    struct fc_error err;
    bool good = fc_ask_chosen(ask, &chosen) && fc_ask_carve_options(ask, &c->o.carve);

    if (good && fc_inquiry_ids(ask->inquiry, chosen.filter, take_id, c, &err) != 0) {
        fc_ask_fail_error(ask, &err);
        good = false;
    }
    fc_chosen_fini(&chosen);
    return good;
}

static bool read_carving(struct fc_ask *ask, struct carving *c)
{
    const char *ids = fc_params_get(&ask->params, "ids");

    if (!ids)
        return read_filter(ask, c);
    return read_ids(ask, c, ids) && fc_ask_carve_options(ask, &c->o.carve);
}

/* ---- what became of it */

static int failed(struct fc_ask *ask, const struct fc_cluster_carve_result *r, const struct fc_error *err)
{
    char text[900] = "";
    size_t len = 0;

    for (size_t i = 0; i < r->missing_count && len < sizeof text; i++)
        len += (size_t)snprintf(text + len, sizeof text - len, "%ssensor %s: %s", i ? "; " : "", r->missing[i].why.file,
                                r->missing[i].why.cause);
    if (!r->missing_count)
        return fc_ask_fail_error(ask, err);
    switch (err->code) {
    case FC_E_MISSING:
        return fc_ask_fail(ask, 409, "missing", "%s", text);
    case FC_E_CHANGED:
        return fc_ask_fail(ask, 409, "changed", "%s", text);
    case FC_E_LIMIT:
        return fc_ask_fail(ask, 413, "too_large", "%s", text);
    case FC_E_INTERRUPTED:
    case FC_E_NOMEM:
        return fc_ask_fail_error(ask, err);
    default:
        return fc_ask_fail(ask, 502, "sensor", "%s", text);
    }
}

static void note(struct fc_ask *ask, const struct fc_cluster_carve_result *r)
{
    ask->sessions = r->sessions;
    ask->packets = r->packets;
    ask->forgotten = r->packets_forgotten;
    for (size_t i = 0; i < r->missing_count; i++)
        ask->missing += r->missing[i].packets;
    ask->told = true;
}

static int carve(struct fc_ask *ask, int fd)
{
    struct carving c = {0};
    struct fc_cluster_carve_result r;
    struct fc_error err;
    int rc = -1;

    if (read_carving(ask, &c)) {
        snprintf(ask->name, sizeof ask->name, "flowcarve%s%s", c.one ? "-" : "", c.one ? c.parts[0].sensor : "");
        rc = fc_cluster_carve(ask->cluster, c.parts, c.count, &c.o, fd, ask->stop, &r, &err);
        if (rc == FC_E_PIPE && fd != ask->fd) /* its first bytes, which nobody was to take */
            rc = 0;
        else if (rc || (!r.packets && r.missing_count))
            rc = failed(ask, &r, rc ? &err : &r.missing[0].why);
        else if (!r.packets)
            rc = fc_ask_fail(ask, 404, "not_found",
                             c.count ? "no packet of these sessions is there" : "no session matches");
        note(ask, &r);
        fc_cluster_carve_result_fini(&r);
    }
    for (size_t i = 0; i < c.count; i++)
        free((void *)(uintptr_t)c.parts[i].ranges);
    free(c.parts);
    return rc;
}

int fc_answer_many_carve(struct fc_ask *ask)
{
    return carve(ask, ask->fd);
}

int fc_answer_many_carve_check(struct fc_ask *ask)
{
    return fc_ask_check_carve(ask, carve);
}

#endif
