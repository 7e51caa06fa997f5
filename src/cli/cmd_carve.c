/* SPDX-License-Identifier: MIT */
#include "cli/cmd_carve.h"
#include "cli/archive.h"
#include "cli/cmd_carve_cluster.h"
#include "cli/cmd_query.h"
#include "cli/filter_words.h"
#include "cli/json.h"
#include "cli/progress.h"
#include "cli/sandbox.h"
#include "cli/target.h"

#include <flowcarve/log.h>
#include <flowcarve/packets.h>
#include <flowcarve/text.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What became of it, for programs; the keys are those of the library. */
static bool print_json(const struct fc_carve_args *a, const struct fc_carve_result *r)
{
    const struct fc_json_member members[] = {
        {"sessions", r->sessions, FC_JSON_NUMBER},
        {"packets", r->packets, FC_JSON_NUMBER},
        {"packets_missing", r->packets_missing, FC_JSON_NUMBER},
        {"packets_forgotten", r->packets_forgotten, FC_JSON_NUMBER},
        {"bytes_written", r->bytes_written, FC_JSON_NUMBER},
        {"bytes_read", r->bytes_read, FC_JSON_NUMBER},
        {"bytes_decoded", r->bytes_decoded, FC_JSON_NUMBER},
        {"rows", a->log.row_count, FC_JSON_NUMBER},
        {"rows_found", a->log.found, FC_JSON_NUMBER},
        {"rows_ambiguous", a->log.ambiguous, FC_JSON_NUMBER},
        {"files_written", r->files_written, FC_JSON_NUMBER},
        {"files_skipped", r->files_skipped, FC_JSON_NUMBER},
        {0},
    };

    const size_t most = sizeof members / sizeof members[0];
    struct fc_json_member told[sizeof members / sizeof members[0]];
    size_t count = 0;

    for (size_t i = 0; i < most; i++) /* only of what was asked for */
        if (!members[i].key || !((strncmp(members[i].key, "rows", 4) == 0 && !a->log.path) ||
                                 (strncmp(members[i].key, "files", 5) == 0 && !a->folder)))
            told[count++] = members[i];
    return fc_json_print(a->path && strcmp(a->path, "-") == 0 ? stderr : stdout, told);
}

static void report(const struct fc_carve_args *a, const struct fc_carve_result *r)
{
    char b[4][48], since[80], text[FC_ERROR_TEXT_MAX];

    for (size_t i = 0; i < r->missing_count; i++)
        fc_complain("warning: %s; left out", fc_error_text(&r->missing[i], text, sizeof text));
    if (a->quiet || a->json)
        return;
    fprintf(stderr, "%s of %s carved, %s", fc_human_things(r->packets, "packet", b[0], sizeof b[0]),
            fc_human_things(a->folder ? r->files_written : r->sessions, "session", b[1], sizeof b[1]),
            fc_human_bytes(r->bytes_written, b[2], sizeof b[2]));
    if (r->files_skipped)
        fprintf(stderr, "; %s there already", fc_human_things(r->files_skipped, "file", b[3], sizeof b[3]));
    if (r->packets_missing)
        fprintf(stderr, "; %s missing", fc_human_things(r->packets_missing, "packet", b[3], sizeof b[3]));
    if (r->packets_forgotten)
        fprintf(stderr, "; %s forgotten%s", fc_human_things(r->packets_forgotten, "packet", b[3], sizeof b[3]),
                fc_gone_since(r->forgotten_ns, since, sizeof since));
    if (a->verbose)
        fprintf(stderr, "; %s read from captures", fc_human_bytes(r->bytes_read, b[3], sizeof b[3]));
    if (a->verbose && r->bytes_decoded)
        fprintf(stderr, ", %s decompressed", fc_human_bytes(r->bytes_decoded, b[3], sizeof b[3]));
    fputc('\n', stderr);
}

static int carve_to(const struct fc_carve_args *a, struct fc_db *db, const struct fc_filter *filter)
{
    struct fc_carve_options o = a->o;
    struct fc_carve_result result = {0};
    struct fc_target target;
    struct fc_error err;
    struct fc_bar bar;
    char b[48], since[80];
    int status = FC_EXIT_ERROR, rc = fc_target_open(&target, a->path, &a->rights, &err);

    if (rc == 0)
        fc_sandbox_enter_beside(a->db, target.file.place, fc_archive_needs(db));
    o.avoid = strcmp(a->path, "-") != 0 ? a->path : NULL;
    fc_bar_init(&bar, a->quiet, a->verbose);
    if (bar.terminal || bar.lines) {
        o.progress = fc_bar_show;
        o.progress_ctx = &bar;
    }
    if (rc == 0)
        rc = fc_carve(db, filter, &o, target.fd, &fc_stop, &result, &err);
    fc_bar_end(&bar, rc == 0);
    if (rc == 0 && result.sessions && !result.packets && result.packets_forgotten && !result.packets_missing) {
        fc_target_abandon(&target);
        fc_complain("nothing to carve: %s of what matches, all forgotten%s",
                    fc_human_things(result.packets_forgotten, "packet", b, sizeof b),
                    fc_gone_since(result.forgotten_ns, since, sizeof since));
        status = FC_EXIT_NONE;
    } else if (rc == 0 && result.sessions && !result.packets && !result.packets_missing) {
        fc_target_abandon(&target);
        fc_complain("nothing to carve: the %s has sent nothing", a->o.from == FC_FROM_SERVER ? "server" : "client");
        status = FC_EXIT_NONE;
    } else if (rc == 0 && !result.sessions) {
        fc_target_abandon(&target);
        if (!a->quiet && !(a->ids.given && fc_id_list_tell_missing(&a->ids, db, "no session matches; ")))
            fc_complain("no session matches");
        status = FC_EXIT_NONE;
    } else if (rc == 0 && !result.packets && result.packets_missing) {
        fc_target_abandon(&target);
        report(a, &result);
        fc_complain("nothing was carved: all of it is missing");
    } else if (rc == 0 && (rc = fc_target_finish(&target, &err)) == 0) {
        report(a, &result);
        if (a->ids.given && (a->peers || result.sessions < fc_id_list_ids(&a->ids)))
            fc_id_list_tell_missing(&a->ids, db, "warning: ");
        status = FC_EXIT_OK;
    } else {
        fc_target_abandon(&target);
        if (rc == FC_E_PIPE)
            status = FC_EXIT_OK; /* whoever reads has seen enough */
        else {
            if (rc == FC_E_IO && !err.file[0]) /* every other file is named */
                snprintf(err.file, sizeof err.file, "%s", strcmp(a->path, "-") == 0 ? "standard output" : a->path);
            fc_complain_error(&err);
        }
        if (rc == FC_E_MISSING || rc == FC_E_CHANGED)
            fc_complain("nothing was carved; --partial carves what the other captures hold");
    }
    if (rc == 0 && a->json && !print_json(a, &result))
        status = FC_EXIT_ERROR;
    fc_carve_result_fini(&result);
    return status;
}

static bool nothing_left(const struct fc_carve_result *r)
{
    return !r->packets && !r->files_skipped;
}

static void print_position(const struct fc_session_packet *packet)
{
    char text[512];

    printf("{\"session\":%lld,\"file\":\"", (long long)packet->session);
    for (const char *p = packet->path; *p;)
        fwrite(text, 1, fc_text_escape(FC_TEXT_JSON, &p, text, sizeof text), stdout);
    printf("\",\"offset\":%llu}\n", (unsigned long long)packet->off);
}

/* Where the packets are, from the index alone. */
static int list_positions(const struct fc_carve_args *a, struct fc_db *db, const struct fc_filter *filter)
{
    struct fc_packets_options o = {.positions = true, .stop = &fc_stop};
    const struct fc_session_packet *packet;
    struct fc_packets_result result;
    struct fc_packets *packets;
    struct fc_error err;
    int rc = fc_packets_open(db, filter, &o, &packets, &err);

    if (rc == 0) {
        while ((rc = fc_packets_next(packets, &packet, &err)) == 1 && !ferror(stdout))
            print_position(packet);
        fc_packets_result(packets, &result);
        fc_packets_close(packets);
    }
    if (rc < 0) {
        fc_complain_error(&err);
        return FC_EXIT_ERROR;
    }
    if (a->ids.given && (a->peers || result.sessions < fc_id_list_ids(&a->ids)) && !a->quiet)
        fc_id_list_tell_missing(&a->ids, db, "warning: ");
    else if (!result.sessions && !a->quiet)
        fc_complain("no session matches");
    rc = fc_output_done();
    return rc ? rc : result.packets ? FC_EXIT_OK : FC_EXIT_NONE;
}

struct part {
    struct fc_carve_part part;
    char name[128];
    int64_t *ids;
    size_t line; /* place among the rows */
};

static int compare_part(const void *a, const void *b)
{
    const struct part *x = a, *y = b;
    int names = strcmp(x->name, y->name);

    return names ? names : x->line < y->line ? -1 : x->line > y->line;
}

static int compare_id(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return x < y ? -1 : x > y;
}

/* IDs of the sessions that the whole filter selects, ascending. False: that is told. */
static bool selected(struct fc_db *db, const struct fc_filter *filter, int64_t **ids, size_t *count)
{
    struct fc_session row;
    struct fc_query *query;
    struct fc_error err;
    size_t room = 0;
    int rc = fc_query_open(db, filter, NULL, &query, &err);

    *ids = NULL;
    *count = 0;
    if (rc == 0) {
        while ((rc = fc_query_next(query, &row, &err)) == 1) {
            int64_t *bigger = *count < room ? *ids : realloc(*ids, (room = room * 2 + 64) * sizeof *bigger);
            if (!bigger)
                break;
            *ids = bigger;
            (*ids)[(*count)++] = row.id;
        }
        fc_query_close(query);
    }
    if (rc < 0)
        fc_complain_error(&err);
    else if (rc == 1)
        fc_complain("out of memory");
    return rc == 0;
}

/* Adds what is selected of the row's sessions. */
static bool take_ids(struct part *to, const struct fc_log_row *row, const int64_t *ids, size_t count)
{
    int64_t *bigger = realloc(to->ids, (to->part.id_count + row->id_count + 1) * sizeof *bigger);

    if (!bigger)
        return false;
    to->ids = bigger;
    for (size_t k = 0; k < row->id_count; k++)
        if (count && bsearch(&row->ids[k], ids, count, sizeof *ids, compare_id))
            to->ids[to->part.id_count++] = row->ids[k];
    return true;
}

/* A file a row; rows of one name are one. */
static int split_rows(const struct fc_carve_args *a, struct fc_db *db, const struct fc_filter *filter,
                      const struct fc_carve_options *o, struct fc_carve_result *result, struct fc_error *err)
{
    struct part *parts = calloc(a->log.row_count + 1, sizeof *parts);
    struct fc_carve_part *list = calloc(a->log.row_count + 1, sizeof *list);
    int64_t *ids = NULL;
    size_t count = 0, id_count = 0;
    bool good = parts && list && selected(db, filter, &ids, &id_count);
    int rc = FC_E_NOMEM;

    for (size_t i = 0; good && i < a->log.row_count; i++) {
        fc_log_row_file_name(&a->log.rows[i], parts[i].name, sizeof parts[i].name);
        parts[i].line = i;
    }
    if (good && a->log.row_count)
        qsort(parts, a->log.row_count, sizeof *parts, compare_part);
    for (size_t i = 0; good && i < a->log.row_count; i++) {
        bool same = count && strcmp(list[count - 1].name, parts[i].name) == 0;
        struct part *to = same ? &parts[i - 1] : &parts[i];
        if (same) { /* the last of them has the IDs of all */
            parts[i].ids = to->ids;
            parts[i].part = to->part;
            to->ids = NULL;
            to = &parts[i];
        }
        count += !same;
        good = take_ids(to, &a->log.rows[to->line], ids, id_count);
        list[count - 1] = (struct fc_carve_part){to->name, to->ids, to->part.id_count};
    }
    memset(err, 0, sizeof *err);
    err->code = FC_E_NOMEM;
    err->off = FC_NO_OFFSET;
    snprintf(err->cause, sizeof err->cause, "out of memory");
    if (good)
        rc = fc_carve_parts(db, list, count, o, a->folder, &a->rights, &fc_stop, result, err);
    for (size_t i = 0; parts && i < a->log.row_count; i++)
        free(parts[i].ids);
    free(parts);
    free(list);
    free(ids);
    return rc;
}

/* A file a session, or a row of a log. */
static int split_to(const struct fc_carve_args *a, struct fc_db *db, const struct fc_filter *filter)
{
    struct fc_carve_options o = a->o;
    struct fc_carve_result result = {0};
    struct fc_error err;
    struct fc_bar bar;
    int status = FC_EXIT_OK, rc = fc_new_folder(a->folder, &a->rights, &err);

    if (rc == 0) {
        const char *folders[] = {NULL, a->folder};
        char *index = fc_sandbox_folder(a->db);
        folders[0] = index;
        fc_sandbox_enter(folders, 2, fc_archive_needs(db));
        free(index);
    }
    fc_bar_init(&bar, a->quiet, a->verbose);
    if (bar.terminal || bar.lines) {
        o.progress = fc_bar_show;
        o.progress_ctx = &bar;
    }
    if (rc == 0)
        rc = a->log.path ? split_rows(a, db, filter, &o, &result, &err)
                         : fc_carve_split(db, filter, &o, a->folder, &a->rights, &fc_stop, &result, &err);
    fc_bar_end(&bar, rc == 0);
    if (rc)
        fc_complain_error(&err);
    if (rc && result.files_written && !a->quiet)
        fc_complain("%llu files are complete; the same command goes on with the others",
                    (unsigned long long)result.files_written);
    else if (rc == FC_E_MISSING || rc == FC_E_CHANGED)
        fc_complain("nothing was carved; --partial carves what the other captures hold");
    if (rc) {
        status = FC_EXIT_ERROR;
    } else if (!result.sessions) {
        if (!a->quiet && !(a->ids.given && fc_id_list_tell_missing(&a->ids, db, "no session matches; ")))
            fc_complain("no session matches");
        status = FC_EXIT_NONE;
    } else {
        report(a, &result);
        if (a->ids.given && (a->peers || result.sessions < fc_id_list_ids(&a->ids)))
            fc_id_list_tell_missing(&a->ids, db, "warning: ");
        status = !nothing_left(&result) ? FC_EXIT_OK : result.packets_missing ? FC_EXIT_ERROR : FC_EXIT_NONE;
    }
    if (rc == 0 && a->json && !print_json(a, &result))
        status = FC_EXIT_ERROR;
    fc_carve_result_fini(&result);
    return status;
}

static int carve_filter(struct fc_carve_args *a, struct fc_db *db, struct fc_filter *parsed)
{
    struct fc_filter *wider = NULL;
    struct fc_error err;
    const struct fc_filter *filter = parsed;
    int status;

    if (a->log.path && !fc_log_option_narrow(&a->log, "carve", a->quiet, db, parsed))
        return FC_EXIT_ERROR;
    if (a->peers && fc_filter_peers(db, filter, a->before_ns, a->after_ns, &wider, &err)) {
        fc_complain_error(&err);
        return FC_EXIT_ERROR;
    }
    filter = wider ? wider : filter;
    fc_catch_signals(); /* until here nothing is to be tidied up, and looking sessions up may take its time */
    if (a->list)
        status = list_positions(a, db, filter);
    else
        status = a->folder ? split_to(a, db, filter) : carve_to(a, db, filter);
    if (!a->quiet && !a->json)
        fc_log_option_report(&a->log);
    fc_filter_free(wider);
    return status;
}

/* What of the options is about one index. */
static bool fits_cluster(const struct fc_carve_args *a)
{
    const char *other = a->db                                    ? "--db"
                        : a->reading.count || a->reading.no_keep ? "--read"
                        : a->folder                              ? "--split"
                        : a->ids.given                           ? "--id"
                        : a->log.path                            ? "--from"
                        : a->list                                ? "--list"
                        : a->peers                               ? "--with-peers"
                                                                 : NULL;

    if (!fc_cluster_option_fits(&a->cluster, "carve", other))
        return false;
    if (a->silence_ns && !a->cluster.path)
        fc_complain("carve: --silence goes with --cluster");
    return a->cluster.path || !a->silence_ns;
}

static int carve_over(struct fc_carve_args *a, const struct fc_filter *filter)
{
    const struct fc_carve_over over = {.cluster = &a->cluster,
                                       .path = a->path,
                                       .carve = &a->o,
                                       .rights = &a->rights,
                                       .silence_ns = a->silence_ns,
                                       .quiet = a->quiet,
                                       .verbose = a->verbose,
                                       .json = a->json};

    return fc_carve_over_sensors(&over, filter);
}

static int carve_text(struct fc_carve_args *a, const char *text)
{
    struct fc_filter_error where;
    struct fc_filter *filter = NULL;
    struct fc_db *db = NULL;
    struct fc_time_options times = {.local = a->zone.local};
    struct fc_error err;
    int status = FC_EXIT_ERROR;

    int rc = fc_filter_parse_with(text, &times, &filter, &where);
    if (rc == 0 && a->ids.given)
        rc = fc_filter_narrow(filter, a->ids.items, a->ids.count);
    if (rc == FC_E_FILTER)
        fc_print_filter_error(text, &where);
    else if (rc)
        fc_complain("%s", fc_strerror(rc));
    else if (a->cluster.path)
        status = carve_over(a, filter);
    else if (fc_db_open(a->db, &db, &err))
        fc_complain_error(&err);
    else
        status = carve_filter(a, db, filter);
    fc_db_close(db);
    fc_filter_free(filter);
    return status;
}

static int carve_words(struct fc_carve_args *a, int argc, char **argv, int first)
{
    int status = FC_EXIT_ERROR;

    if (!fits_cluster(a))
        return FC_EXIT_ERROR;
    if (a->o.comments && (a->folder || a->list || a->o.format == FC_CARVE_PCAP)) {
        fc_complain("carve: --comments are those of one pcapng; not with --split, --list or --format pcap");
        return FC_EXIT_ERROR;
    }
    if (a->list && (a->path || a->folder || a->o.one_direction || a->o.first_packets || a->o.first_bytes)) {
        fc_complain("carve: --list reads no capture and writes none; it goes with --id and a filter");
        return FC_EXIT_ERROR;
    }
    if (!a->list && !a->path == !a->folder) {
        fc_complain(a->path ? "carve: the output is one file (-w) or a folder of them (--split), not both"
                            : "carve: no output given; -w FILE, or -w - for standard output, or --split DIR");
        return FC_EXIT_ERROR;
    }
    if (a->path && strcmp(a->path, "-") == 0 && isatty(STDOUT_FILENO)) {
        fc_complain("carve: will not write a capture to a terminal");
        return FC_EXIT_ERROR;
    }
    if (a->peers && a->log.path && a->folder) {
        fc_complain("carve: --split makes a file a row of --from, in which --with-peers has no place");
        return FC_EXIT_ERROR;
    }
    if (!fc_log_option_alone(&a->log, "carve", a->filter_file, a->ids.standard))
        return FC_EXIT_ERROR;
    char *words = fc_filter_words("carve", a->filter_file, argc - first, argv + first);
    if (!words)
        return FC_EXIT_ERROR;
    if (a->path && !a->compress)
        a->o.compression = fc_compression_by_suffix(a->path);
    if (a->path && a->o.format == FC_CARVE_AUTO)
        a->o.format = fc_carve_format_by_suffix(a->path);
    fc_id_list_sort(&a->ids);
    if (!a->cluster.path)
        a->db = fc_reading_db(&a->reading, "carve", a->db, words, &a->zone, 0, a->quiet);
    fc_lift_descriptors(); /* captures that overlap in time are open at once, and so are sensors */
    if (a->cluster.path || a->db)
        status = carve_text(a, words);
    free(words);
    return status;
}

static int run(int argc, char **argv)
{
    struct fc_carve_args a = {.log.of_several = "all carved"};
    int first, rc = fc_options_parse(&fc_command_carve, argc, argv, &a, &first);

    if (rc < 0)
        rc = carve_words(&a, argc, argv, first);
    rc = fc_reading_end(&a.reading, rc);
    fc_id_list_fini(&a.ids);
    fc_log_option_close(&a.log);
    return rc;
}

const struct fc_command fc_command_carve = {
    .name = "carve",
    .usage = "[OPTION...] [FILTER] -w FILE|--split DIR",
    .summary = "write the packets of chosen sessions to a new capture",
    .details =
        "FILTER is that of 'flowcarve query' ('flowcarve help filter'); without one, every session is carved. The "
        "output is in time order. "
        "FILE appears when it is complete. A pcapng has what captures say of interfaces, packets and sections; a pcap "
        "cannot.\n",
    .options = fc_carve_option_table,
    .values = fc_carve_values,
    .run = run,
};
