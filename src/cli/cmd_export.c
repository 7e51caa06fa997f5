/* SPDX-License-Identifier: MIT */
#include "cli/cli.h"

#if defined FC_HAS_CLUSTER

#include "cli/engine_options.h"
#include "cli/json.h"
#include "cli/progress.h"
#include "cli/service.h"

#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define NS_PER_S INT64_C(1000000000)
#define PAUSE_LEAST_NS NS_PER_S
#define PAUSE_MOST_NS (60 * NS_PER_S)

struct args {
    const char *db;
    struct fc_engine_args engine;
    struct fc_export_options o;
    bool follow, json, quiet, verbose;
};

static const struct fc_option options[] = {
    FC_OPTION_DB(struct args),
    {"sensor", 0, "NAME", "by what name this index is known there: letters, digits, '.', '_' and '-'",
     FC_WORD(struct args, o.sensor)},
    FC_OPTIONS_ENGINE(struct args),
    {"follow", 'f', NULL,
     "go on, with what comes to the index, until a signal ends it; where the engine is away, try again",
     FC_FLAG(struct args, follow)},
    {"again", 0, NULL,
     "as if it never had been exported: all is sent beside what there is, and then asked in its place",
     FC_FLAG(struct args, o.again)},
    {"compress", 0, NULL, "send rows as gzip: fewer bytes for more of the processor's time, for lines that are slow",
     FC_FLAG(struct args, o.compress)},
    FC_OPTION_JSON(struct args),
    {"quiet", 'q', NULL, "say nothing when all goes well", FC_FLAG(struct args, quiet)},
    {"verbose", 'v', NULL, "with --follow: a line for each time that something was sent",
     FC_FLAG(struct args, verbose)},
    {0},
};

static int64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * NS_PER_S + now.tv_nsec;
}

static bool is_stopped(void)
{
    return __atomic_load_n(&fc_stop, __ATOMIC_RELAXED);
}

static void pause_for(int64_t ns)
{
    const struct timespec piece = {.tv_nsec = 100000000};

    for (int64_t end = now_ns() + ns; !is_stopped() && now_ns() < end;)
        nanosleep(&piece, NULL);
}

static void add(struct fc_export_result *sum, const struct fc_export_result *r)
{
    sum->run = r->run;
    sum->sessions += r->sessions;
    sum->tombstones += r->tombstones;
    sum->bytes += r->bytes;
    sum->forgotten += r->forgotten;
    sum->gap |= r->gap;
    sum->flipped |= r->flipped;
    sum->made_tables |= r->made_tables;
}

/* What became of it, for programs; the keys are those of the library. */
static bool print_json(const struct fc_export_result *r)
{
    const struct fc_json_member members[] = {
        {"run", (uint64_t)r->run, FC_JSON_NUMBER},
        {"sessions", r->sessions, FC_JSON_NUMBER},
        {"tombstones", r->tombstones, FC_JSON_NUMBER},
        {"bytes", r->bytes, FC_JSON_NUMBER},
        {"forgotten", r->forgotten, FC_JSON_NUMBER},
        {"gap", r->gap, FC_JSON_BOOL},
        {"flipped", r->flipped, FC_JSON_BOOL},
        {"made_tables", r->made_tables, FC_JSON_BOOL},
        {0},
    };

    return fc_json_print(stdout, members);
}

/* A line of a command that ends, or of one that goes on for long. */
__attribute__((format(printf, 2, 3))) static void tell(const struct args *a, const char *fmt, ...)
{
    char text[400];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (a->follow)
        fc_log(FC_LEVEL_INFO, "%s", text);
    else
        fprintf(stderr, "%s\n", text);
}

static void report(const struct args *a, const struct fc_export_result *r)
{
    char b[2][48];

    if (r->made_tables)
        tell(a, "tables are made in the engine");
    if (r->sessions)
        tell(a, "%s: %s sent, %s; the engine has run %" PRId64, a->o.sensor,
             fc_human_things(r->sessions, "session", b[0], sizeof b[0]), fc_human_bytes(r->bytes, b[1], sizeof b[1]),
             r->run);
    else
        tell(a, "%s: nothing new; the engine has run %" PRId64, a->o.sensor, r->run);
    if (r->gap)
        fc_log(FC_LEVEL_WARNING,
               "warning: %s: of what came since the last time some is forgotten; all that the index still has was sent",
               a->o.sensor);
    else if (r->forgotten)
        fc_log(FC_LEVEL_WARNING, "warning: %s: %s not sent, as the index had forgotten them before", a->o.sensor,
               fc_human_things(r->forgotten, "session", b[0], sizeof b[0]));
}

/* One that was begun before is ended first, and then there may be more; who writes all the time is not waited for. */
static int export_once(struct fc_exporter *exporter, struct fc_export_result *sum, struct fc_error *err)
{
    struct fc_export_result r;
    int rc = 1;

    for (int i = 0; rc == 1 && i < 3; i++) {
        rc = fc_export_next(exporter, &r, err);
        add(sum, &r);
    }
    return rc < 0 ? rc : 0;
}

/* What may be better the next time. */
static bool passes(int rc)
{
    return rc == FC_E_IO || rc == FC_E_DB || rc == FC_E_LIMIT || rc == FC_E_BUSY || rc == FC_E_MISSING ||
           rc == FC_E_CHANGED;
}

/* A failure is told once, and when it is over. */
struct trouble {
    char text[FC_ERROR_TEXT_MAX];
    int64_t pause_ns;
};

static void note_trouble(struct trouble *t, const struct fc_error *err)
{
    char text[FC_ERROR_TEXT_MAX];

    fc_error_text(err, text, sizeof text);
    if (strcmp(text, t->text) != 0)
        fc_log(FC_LEVEL_WARNING, "%s; trying again", text);
    memcpy(t->text, text, sizeof text);
    t->pause_ns = t->pause_ns ? 2 * t->pause_ns : PAUSE_LEAST_NS;
    t->pause_ns = t->pause_ns < PAUSE_MOST_NS ? t->pause_ns : PAUSE_MOST_NS;
}

static void end_trouble(struct trouble *t, const struct args *a)
{
    if (*t->text && !a->quiet)
        fc_log(FC_LEVEL_INFO, "it goes on");
    *t = (struct trouble){0};
}

/*
 * Looks once a second. Sums of 5 minutes are added up anew in the engine whenever a session of them goes on, which may
 * take long: it is kept busy for a fifth of the time at the most.
 */
static int follow(struct fc_exporter *exporter, const struct args *a, struct fc_export_result *sum,
                  struct fc_error *err)
{
    struct fc_service service;
    struct trouble trouble = {0};
    bool ready = false;
    int rc = 0;

    fc_service_open(&service);
    while (!is_stopped()) {
        struct fc_export_result r;
        int64_t from = now_ns();
        if ((rc = fc_export_next(exporter, &r, err)) < 0 && !passes(rc))
            break;
        add(sum, &r);
        if (rc < 0)
            note_trouble(&trouble, err);
        else
            end_trouble(&trouble, a);
        if (rc > 0 && a->verbose)
            report(a, &r);
        if (rc >= 0 && !ready)
            fc_service_tell(&service, "READY=1");
        ready |= rc >= 0;
        fc_service_alive(&service);
        int64_t took_ns = now_ns() - from;
        int64_t rest_ns = 4 * took_ns < PAUSE_LEAST_NS  ? PAUSE_LEAST_NS
                          : 4 * took_ns < PAUSE_MOST_NS ? 4 * took_ns
                                                        : PAUSE_MOST_NS;
        pause_for(rc < 0 ? trouble.pause_ns : rest_ns);
    }
    fc_service_tell(&service, "STOPPING=1");
    fc_service_close(&service);
    return is_stopped() ? 0 : rc;
}

static int export(struct args *a, struct fc_cluster *cluster)
{
    struct fc_export_result sum = {0};
    struct fc_exporter *exporter;
    struct fc_error err;
    struct fc_bar bar;
    int rc;

    fc_catch_signals();
    fc_bar_init(&bar, a->quiet || a->json || a->follow, a->verbose);
    if (bar.terminal || bar.lines) {
        a->o.progress = fc_bar_show;
        a->o.ctx = &bar;
    }
    a->o.stop = &fc_stop;
    if ((rc = fc_exporter_open(cluster, fc_db_name(a->db), &a->o, &exporter, &err)) == 0) {
        rc = a->follow ? follow(exporter, a, &sum, &err) : export_once(exporter, &sum, &err);
        fc_exporter_close(exporter);
    }
    fc_bar_end(&bar, rc == 0);
    if (!a->quiet && !a->json && (rc == 0 || sum.sessions))
        report(a, &sum);
    if (rc)
        fc_complain_error(&err);
    else if (a->json && !print_json(&sum))
        rc = FC_E_IO;
    /* SIGTERM is how one that follows is meant to end; other signals mean what they mean to all commands */
    if (a->follow && rc == 0 && fc_stop_signal() != SIGTERM)
        return FC_EXIT_ERROR;
    return rc ? FC_EXIT_ERROR : FC_EXIT_OK;
}

static int run(int argc, char **argv)
{
    struct args a = {0};
    struct fc_cluster *cluster;
    int first, rc = fc_options_parse(&fc_command_export, argc, argv, &a, &first);

    if (rc >= 0)
        return rc;
    if (first != argc) {
        fc_complain("export: takes no words, '%s' is one too many", argv[first]);
        return FC_EXIT_ERROR;
    }
    if (!a.o.sensor) {
        fc_complain("export: by what name is this index to be known? --sensor NAME");
        return FC_EXIT_ERROR;
    }
    if (!(cluster = fc_engine_args_open("export", &a.engine)))
        return FC_EXIT_ERROR;
    rc = export(&a, cluster);
    fc_cluster_free(cluster);
    return rc;
}

const struct fc_command fc_command_export = {
    .name = "export",
    .usage = "--sensor NAME (--to URL | --cluster FILE) [OPTION...]",
    .summary = "send what the index knows of sessions to ClickHouse",
    .details =
        "New and changed sessions go to an engine that many sensors share, packets stay where they are. Whatever ends "
        "it, "
        "the next one goes on where it was, and what comes twice is there once. Others may write the index meanwhile. "
        "See docs/cluster.md.\n",
    .options = options,
    .run = run,
};
#endif
