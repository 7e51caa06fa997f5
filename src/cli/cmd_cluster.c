/* SPDX-License-Identifier: MIT */
#include "cli/cli.h"

#if defined FC_HAS_CLUSTER

#include "cli/cmd_query.h"
#include "cli/engine_options.h"
#include "cli/grid.h"

#include <flowcarve/cluster_carve.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct args {
    struct fc_engine_args engine;
    struct fc_tables_options tables;
    const char *format;
    bool quiet, verbose;
};

static const struct fc_option options[] = {
    FC_OPTIONS_ENGINE(struct args),
    {"on", 0, "NAME", "init, schema: several servers share the work, and this is what their configuration calls them",
     FC_WORD(struct args, tables.cluster)},
    {"replicated", 0, NULL,
     "init, schema: tables of which servers keep copies (ZooKeeper; macros {shard} and {replica})",
     FC_FLAG(struct args, tables.replicated)},
    {"format", 'f', "NAME",
     "status: table, json (an object a line), csv or tsv (default: table on a terminal, else tsv)",
     FC_WORD(struct args, format)},
    {"quiet", 'q', NULL, "errors only", FC_FLAG(struct args, quiet)},
    {"verbose", 'v', NULL, "init: also print the statements", FC_FLAG(struct args, verbose)},
    {0},
};

static const struct fc_values values[] = {{"format", "table json csv tsv"}, {0}};

/* ---- init, schema */

static int print_statement(void *ctx, const char *statement, struct fc_error *err)
{
    (void)ctx;
    (void)err;
    printf("%s;\n", statement);
    return 0;
}

static int schema(const struct args *a, const struct fc_cluster *cluster)
{
    struct fc_error err;

    if (fc_tables_each(cluster, &a->tables, print_statement, NULL, &err)) {
        fc_complain_error(&err);
        return FC_EXIT_ERROR;
    }
    return fc_output_done();
}

static int init(const struct args *a, const struct fc_cluster *cluster)
{
    struct fc_error err;

    if (a->verbose && schema(a, cluster) != FC_EXIT_OK)
        return FC_EXIT_ERROR;
    if (fc_cluster_init(cluster, &a->tables, &fc_stop, &err)) {
        fc_complain_error(&err);
        return FC_EXIT_ERROR;
    }
    if (!a->quiet)
        fprintf(stderr, "tables are there%s\n",
                a->tables.cluster ? ", on this server: init is to be run for each of them" : "");
    return FC_EXIT_OK;
}

/* ---- status */

static const struct fc_grid_column columns[] = {
    {"sensor", "SENSOR", false, true, 0},
    {"state", "STATE", false, true, 0},
    {"sessions", "SESSIONS", true, false, 0},
    {"run", "RUN", true, false, 2},
    {"last_packet", "LAST PACKET", false, true, 1},
    {"exported", "EXPORTED", false, true, 3},
    {"lag_s", "LAG", true, false, 0},
    {"generation", "GENERATION", false, true, 5},
    {"engine", "ENGINE", false, true, 4},
    {"answers", "ANSWERS", false, true, 0},
    {"version", "VERSION", false, true, 6},
    {"clock_s", "CLOCK", true, false, 7},
};

enum { COLUMNS = sizeof columns / sizeof columns[0] };

static int64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* A time as RFC 3339 for programs, and to the second for people; "" for none. */
static void put_time(char *buf, int64_t ns, bool people)
{
    *buf = '\0';
    if (ns == INT64_MIN)
        return;
    *fc_text_time(buf, ns) = '\0';
    if (people && strlen(buf) > 19) {
        buf[19] = '\0';
        buf[10] = ' ';
    }
}

/* What sensors say themselves: of all in the file, in its order. */
struct said {
    struct fc_cluster_sensor_status *sensor;
    size_t count;
};

/* That of a name; NULL: the file does not have it. */
static const struct fc_cluster_sensor_status *said_by(const struct said *said, const char *name)
{
    for (size_t i = 0; i < said->count; i++)
        if (strcmp(said->sensor[i].name, name) == 0)
            return &said->sensor[i];
    return NULL;
}

static int ask_sensors(const struct fc_cluster *cluster, struct said *said, struct fc_error *err)
{
    size_t count = fc_cluster_sensors(cluster);

    *said = (struct said){calloc(count + 1, sizeof *said->sensor), count};
    if (!said->sensor) {
        *err = (struct fc_error){.code = FC_E_NOMEM, .off = FC_NO_OFFSET, .cause = "out of memory"};
        return FC_E_NOMEM;
    }
    fc_lift_descriptors(); /* all are asked at once */
    return count ? fc_cluster_ask_sensors(cluster, &fc_stop, said->sensor, err) : 0;
}

/* Why one does not answer, or is another one. */
static void tell_sensors(const struct said *said)
{
    char text[FC_ERROR_TEXT_MAX];

    for (size_t i = 0; i < said->count; i++)
        if (said->sensor[i].why.code)
            fc_complain("sensor %s", fc_error_text(&said->sensor[i].why, text, sizeof text));
}

/* Does it, and does it have the index that the engine knows? */
static const char *answers(const struct fc_cluster_sensor_status *own, bool known, const char *generation)
{
    if (!own)
        return NULL;
    if (!own->reachable)
        return "no";
    return known && strcmp(own->uuid, generation) != 0 ? "another index" : own->why.code ? "another name" : "yes";
}

static int put_sensor(struct fc_grid *grid, const struct fc_sensor_status *s, const char *release,
                      const struct fc_cluster_sensor_status *own)
{
    char sessions[48], run[48], packet[FC_TEXT_MAX], told[FC_TEXT_MAX], lag[48], generation[33], clock[48] = "";
    const bool people = grid->format == FC_ROWS_TABLE;
    double lag_s = (double)(now_ns() - s->told_ns) / 1e9, off_s = own ? (double)own->clock_off_ns / 1e9 : 0;

    if (people)
        fc_human_count(s->sessions, sessions, sizeof sessions);
    else
        snprintf(sessions, sizeof sessions, "%" PRIu64, s->sessions);
    snprintf(run, sizeof run, "%" PRIu64, s->run);
    put_time(packet, s->clock_ns, people);
    put_time(told, s->told_ns, people);
    snprintf(lag, sizeof lag, people ? "%.0f s" : "%.3f", lag_s);
    for (int i = 0; i < 16; i++)
        snprintf(generation + 2 * i, 3, "%02x", s->generation[i]);
    if (own && own->has_clock)
        snprintf(clock, sizeof clock, !people ? "%.3f" : off_s < 0.05 && off_s > -0.05 ? "0 s" : "%+.1f s", off_s);
    const char *state = !s->known ? "nothing" : !s->asked ? "coming" : s->until > s->run ? "sending" : "there";
    const char *texts[COLUMNS] = {s->name,
                                  state,
                                  s->known ? sessions : NULL,
                                  s->known ? run : NULL,
                                  *packet && s->known ? packet : NULL,
                                  s->known ? told : NULL,
                                  s->known ? lag : NULL,
                                  s->known ? generation : NULL,
                                  release,
                                  answers(own, s->known, generation),
                                  own && own->reachable ? own->version : NULL,
                                  *clock ? clock : NULL};
    return fc_grid_row(grid, texts);
}

static int status(const struct args *a, const struct fc_cluster *cluster)
{
    int format = a->format ? fc_row_format_by_name(a->format) : isatty(STDOUT_FILENO) ? FC_ROWS_TABLE : FC_ROWS_TSV;
    struct fc_cluster_status s;
    struct said said;
    struct fc_error err;
    int rc;

    if (format < 0 || format == FC_ROWS_ZEEK) {
        fc_complain("cluster: no format '%s'; formats are table, json, csv, tsv", a->format);
        return FC_EXIT_ERROR;
    }
    struct fc_out *out = calloc(1, sizeof *out);
    if (!out) {
        fc_complain("out of memory");
        return FC_EXIT_ERROR;
    }
    rc = fc_cluster_status(cluster, &fc_stop, &s, &err);
    if (rc == 0 && (rc = ask_sensors(cluster, &said, &err))) {
        free(said.sensor);
        fc_cluster_status_fini(&s);
    }
    if (rc) {
        fc_complain_error(&err);
        free(out);
        return FC_EXIT_ERROR;
    }
    struct fc_grid grid = {.out = out, .format = (enum fc_row_format)format, .column = columns, .columns = COLUMNS};
    out->fd = STDOUT_FILENO;
    grid.width = fc_terminal_width();
    fc_grid_start(&grid);
    for (size_t i = 0; rc == 0 && i < s.count; i++)
        rc = put_sensor(&grid, &s.sensor[i], s.release, said_by(&said, s.sensor[i].name));
    fc_grid_finish(&grid);
    int written = fc_rows_end(out, s.count);
    if (rc)
        fc_complain("out of memory");
    if (!a->quiet)
        tell_sensors(&said);
    free(said.sensor);
    fc_cluster_status_fini(&s);
    free(out);
    return rc ? FC_EXIT_ERROR : written;
}

static int run(int argc, char **argv)
{
    struct args a = {0};
    int first, rc = fc_options_parse(&fc_command_cluster, argc, argv, &a, &first);

    if (rc >= 0)
        return rc;
    const char *word = first < argc ? argv[first++] : "";
    bool is_schema = strcmp(word, "schema") == 0, is_init = strcmp(word, "init") == 0;
    if (!is_schema && !is_init && strcmp(word, "status") != 0) {
        fc_complain("cluster: %s%s%s (see 'flowcarve cluster --help')",
                    *word ? "takes init, status or schema, not '" : "init, status or schema?", word, *word ? "'" : "");
        return FC_EXIT_ERROR;
    }
    if (first < argc && !a.engine.file)
        a.engine.file = argv[first++];
    if (first < argc) {
        fc_complain("cluster: '%s' is one word too many", argv[first]);
        return FC_EXIT_ERROR;
    }
    if (is_schema && !a.engine.file && !a.engine.o.url)
        return schema(&a, NULL);
    fc_catch_signals();
    struct fc_cluster *cluster = fc_engine_args_open("cluster", &a.engine);
    if (!cluster)
        return FC_EXIT_ERROR;
    rc = is_schema ? schema(&a, cluster) : is_init ? init(&a, cluster) : status(&a, cluster);
    fc_cluster_free(cluster);
    return rc;
}

const struct fc_command fc_command_cluster = {
    .name = "cluster",
    .usage = "init|status|schema [FILE] [OPTION...]",
    .summary = "make the tables of an engine, and see what it knows of sensors",
    .details =
        "init makes the tables that are not there, on the server that FILE or --to names; schema prints the "
        "statements for that (of database flowcarve, where none is named). "
        "status has a line for each sensor: 'there' is what is asked, 'sending' too, while more of it comes; "
        "'coming' is an index of "
        "which not all is there yet, and which is not asked before. LAG: since that was noted last, which "
        "'flowcarve export --follow' does once a minute at least. ANSWERS: whether the sensor does by itself, as "
        "'flowcarve serve', and has the index that the engine knows; CLOCK: how far its clock is ahead. "
        "See docs/cluster.md.\n",
    .options = options,
    .values = values,
    .run = run,
};
#endif
