/* SPDX-License-Identifier: MIT */
#include "cli/cmd_carve_cluster.h"
#include "cli/cli.h"

#if defined FC_HAS_CLUSTER

#include "cli/json.h"
#include "cli/progress.h"
#include "cli/sandbox.h"
#include "cli/target.h"

#include <flowcarve/cluster_carve.h>
#include <flowcarve/text.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What the engine says is to be carved: a part a sensor. */
struct chosen {
    struct fc_cluster_part *parts;
    struct fc_id_range *ranges; /* of the last part */
    size_t count, room, range_room;
    uint64_t sessions;
};

static bool grow(void *list, size_t *room, size_t count, size_t size)
{
    void **items = list, *bigger;

    if (count < *room)
        return true;
    if (!(bigger = realloc(*items, (*room ? *room * 2 : 64) * size)))
        return false;
    *room = *room ? *room * 2 : 64;
    *items = bigger;
    return true;
}

/* They come by sensor, and those of one by ID. */
static int take_id(void *ctx, const struct fc_inquiry_id *id, struct fc_error *err)
{
    struct chosen *c = ctx;
    struct fc_cluster_part *part = c->count ? &c->parts[c->count - 1] : NULL;
    bool good = true;

    if (!part || part->sensor != id->sensor->name) {
        good = grow(&c->parts, &c->room, c->count, sizeof *c->parts);
        part = good ? &c->parts[c->count++] : NULL;
        if (part) {
            *part = (struct fc_cluster_part){.sensor = id->sensor->name};
            memcpy(part->generation, id->sensor->generation, sizeof part->generation);
            c->ranges = NULL;
            c->range_room = 0;
        }
    }
    struct fc_id_range *last = good && part->range_count ? &c->ranges[part->range_count - 1] : NULL;
    if (last && last->last + 1 == id->id) {
        last->last = id->id;
    } else if (good && (good = grow(&c->ranges, &c->range_room, part->range_count, sizeof *c->ranges))) {
        part->ranges = c->ranges;
        c->ranges[part->range_count++] = (struct fc_id_range){id->id, id->id};
    }
    c->sessions++;
    if (!good && err)
        *err = (struct fc_error){.code = FC_E_NOMEM, .off = FC_NO_OFFSET, .cause = "out of memory"};
    return good ? 0 : FC_E_NOMEM;
}

static void free_chosen(struct chosen *c)
{
    for (size_t i = 0; i < c->count; i++)
        free((void *)(uintptr_t)c->parts[i].ranges);
    free(c->parts);
}

/* ---- what became of it */

/* A line for each sensor that something is missing of. */
static void tell_missing(const struct fc_cluster_carve_result *r, bool left_out)
{
    char text[FC_ERROR_TEXT_MAX], things[48];

    for (size_t i = 0; i < r->missing_count; i++) {
        const struct fc_cluster_missing *m = &r->missing[i];
        fc_human_things(m->sessions ? m->sessions : m->packets, m->sessions ? "session" : "packet", things,
                        sizeof things);
        fc_complain("%s%s; %s %s%s%s", left_out ? "warning: " : "", fc_error_text(&m->why, text, sizeof text), things,
                    left_out ? "left out" : "missing", *m->ids ? ": " : "", m->ids);
    }
}

static void report(const struct fc_carve_over *o, const struct fc_cluster_carve_result *r)
{
    char b[5][48];

    if (o->quiet || o->json)
        return;
    fprintf(stderr, "%s of %s of %s carved, %s", fc_human_things(r->packets, "packet", b[0], sizeof b[0]),
            fc_human_things(r->sessions, "session", b[1], sizeof b[1]),
            fc_human_things(r->sensors, "sensor", b[2], sizeof b[2]),
            fc_human_bytes(r->bytes_written, b[3], sizeof b[3]));
    if (r->packets_forgotten)
        fprintf(stderr, "; %s forgotten", fc_human_things(r->packets_forgotten, "packet", b[4], sizeof b[4]));
    if (o->verbose)
        fprintf(stderr, "; %s received", fc_human_bytes(r->bytes_received, b[4], sizeof b[4]));
    fputc('\n', stderr);
}

static bool print_json(const struct fc_carve_over *o, const struct fc_cluster_carve_result *r)
{
    const struct fc_json_member members[] = {
        {"sensors", r->sensors, FC_JSON_NUMBER},
        {"sessions", r->sessions, FC_JSON_NUMBER},
        {"packets", r->packets, FC_JSON_NUMBER},
        {"packets_forgotten", r->packets_forgotten, FC_JSON_NUMBER},
        {"bytes_written", r->bytes_written, FC_JSON_NUMBER},
        {"bytes_received", r->bytes_received, FC_JSON_NUMBER},
        {"missing", r->missing_count, FC_JSON_NUMBER},
        {0},
    };

    return fc_json_print(strcmp(o->path, "-") == 0 ? stderr : stdout, members);
}

/* Nothing is written: why. */
static int nothing(const struct fc_carve_over *o, const struct chosen *chosen, const struct fc_cluster_carve_result *r)
{
    char text[48];

    if (r->missing_count) {
        tell_missing(r, true);
        fc_complain("nothing was carved: all of it is missing");
        return FC_EXIT_ERROR;
    }
    if (o->quiet)
        return FC_EXIT_NONE;
    if (!chosen->sessions)
        fc_complain("no session matches");
    else if (r->packets_forgotten)
        fc_complain("nothing to carve: %s of what matches, all forgotten",
                    fc_human_things(r->packets_forgotten, "packet", text, sizeof text));
    else
        fc_complain("nothing to carve: the %s has sent nothing",
                    o->carve->from == FC_FROM_SERVER ? "server" : "client");
    return FC_EXIT_NONE;
}

static int failed(const struct fc_carve_over *o, int rc, const struct fc_cluster_carve_result *r, struct fc_error *err)
{
    if (rc == FC_E_PIPE)
        return FC_EXIT_OK; /* whoever reads has seen enough */
    if (r->missing_count) {
        tell_missing(r, false);
        fc_complain("nothing was carved; --partial carves what can be had");
        return FC_EXIT_ERROR;
    }
    if (rc == FC_E_IO && !err->file[0]) /* every sensor is named */
        snprintf(err->file, sizeof err->file, "%s", strcmp(o->path, "-") == 0 ? "standard output" : o->path);
    fc_complain_error(err);
    return FC_EXIT_ERROR;
}

/* ---- doing it */

static int carve(const struct fc_carve_over *o, const struct chosen *chosen, struct fc_target *target)
{
    struct fc_cluster_carve_options options = {.carve = *o->carve, .silence_ms = (unsigned)(o->silence_ns / 1000000)};
    struct fc_cluster_carve_result r;
    struct fc_error err;
    struct fc_bar bar;
    int status;

    fc_bar_init(&bar, o->quiet, o->verbose);
    if (bar.terminal || bar.lines) {
        options.carve.progress = fc_bar_show;
        options.carve.progress_ctx = &bar;
    }
    int rc =
        fc_cluster_carve(o->cluster->cluster, chosen->parts, chosen->count, &options, target->fd, &fc_stop, &r, &err);
    fc_bar_end(&bar, rc == 0);
    bool some = rc == 0 && r.packets;
    if (some && (rc = fc_target_finish(target, &err)) == 0) {
        tell_missing(&r, true);
        report(o, &r);
        status = FC_EXIT_OK;
    } else {
        fc_target_abandon(target);
        status = rc ? failed(o, rc, &r, &err) : nothing(o, chosen, &r);
    }
    if (rc == 0 && o->json && !print_json(o, &r))
        status = FC_EXIT_ERROR;
    fc_cluster_carve_result_fini(&r);
    return status;
}

int fc_carve_over_sensors(const struct fc_carve_over *o, const struct fc_filter *filter)
{
    struct fc_target target = {.fd = -1, .file = {.fd = -1}};
    struct chosen chosen = {0};
    struct fc_error err;
    int status = FC_EXIT_ERROR, rc = fc_target_open(&target, o->path, o->rights, &err);

    if (rc) {
        fc_complain_error(&err);
        return status;
    }
    fc_catch_signals();
    fc_sandbox_enter_beside(NULL, target.file.place, true);
    o->cluster->o.stop = &fc_stop;
    if (!fc_cluster_option_open(o->cluster, "carve", o->quiet)) {
        fc_target_abandon(&target);
    } else if (fc_inquiry_ids(o->cluster->inquiry, filter, take_id, &chosen, &err)) {
        fc_target_abandon(&target);
        fc_complain_error(&err);
    } else {
        status = carve(o, &chosen, &target);
    }
    free_chosen(&chosen);
    fc_cluster_option_close(o->cluster);
    return status;
}

#else

int fc_carve_over_sensors(const struct fc_carve_over *o, const struct fc_filter *filter)
{
    (void)filter;
    fc_cluster_option_open(o->cluster, "carve", o->quiet);
    return FC_EXIT_ERROR;
}

#endif
