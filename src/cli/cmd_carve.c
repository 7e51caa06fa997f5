/* SPDX-License-Identifier: MIT */
#include "cli/cli.h"
#include "cli/cmd_query.h"
#include "cli/filter_words.h"
#include "cli/json.h"
#include "cli/progress.h"
#include "cli/sandbox.h"
#include "cli/target.h"
#include "cli/zone.h"

#include <flowcarve/carve.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { DB, WRITE, ID, FORMAT, PARTIAL, JSON, MODE, GROUP, TZ, FILTER_FILE, QUIET, VERBOSE };

static const struct fc_option options[] = {
    [DB] = FC_OPTION_DB,
    [WRITE] = {"write", 'w', "FILE", "the capture to write; - for standard output"},
    [ID] = {"id", 'i', "N[,N...]", "sessions by their IDs"},
    [FORMAT] = {"format", 'f', "NAME", "pcap or pcapng (default: pcap where it can hold the result)"},
    [PARTIAL] = {"partial", 0, NULL, "carve the rest when captures are missing or have changed"},
    [JSON] = {"json", 0, NULL, "print the result as a JSON object, on standard output; with -w - on standard error"},
    [MODE] = FC_OPTION_MODE,
    [GROUP] = FC_OPTION_GROUP,
    [TZ] = FC_OPTION_TZ,
    [FILTER_FILE] = FC_OPTION_FILTER_FILE,
    [QUIET] = {"quiet", 'q', NULL, "errors only"},
    [VERBOSE] = {"verbose", 'v', NULL, "also tell how many bytes were read and decompressed, and in lines of progress"},
    {0},
};

static const struct fc_values values[] = {
    {"format", "pcap pcapng"},
    {0},
};

struct args {
    const char *db, *path, *filter_file;
    char *ids; /* a list, which may come in several options */
    struct fc_carve_options o;
    struct fc_rights rights;
    struct fc_zone zone;
    bool quiet, verbose, json;
};

static int set(void *ctx, int option, const char *value)
{
    struct args *a = ctx;

    switch (option) {
    case DB:
        a->db = value;
        return 0;
    case WRITE:
        a->path = value;
        return 0;
    case ID:
        if (!*value || value[strspn(value, "0123456789,-")] || value[0] == ',') {
            fc_complain("carve: --id takes numbers with commas between them, not '%s'", value);
            return -1;
        }
        return fc_list_option(&a->ids, value);
    case FORMAT:
        if (strcmp(value, "pcap") == 0) {
            a->o.format = FC_CARVE_PCAP;
        } else if (strcmp(value, "pcapng") == 0) {
            a->o.format = FC_CARVE_PCAPNG;
        } else {
            fc_complain("carve: --format takes pcap or pcapng, not '%s'", value);
            return -1;
        }
        return 0;
    case PARTIAL:
        a->o.partial = true;
        return 0;
    case JSON:
        a->json = true;
        return 0;
    case MODE:
        return fc_mode_option("carve", value, &a->rights);
    case GROUP:
        return fc_group_option("carve", value, &a->rights);
    case TZ:
        return fc_zone_set(&a->zone, value, "carve") ? 0 : -1;
    case FILTER_FILE:
        a->filter_file = value;
        return 0;
    case QUIET:
        a->quiet = true;
        return 0;
    default:
        a->verbose = true;
        return 0;
    }
}

/* "(FILTER) and (id 1 or id 2)", a new string; NULL without memory. */
static char *whole_filter(const char *words, const char *ids)
{
    size_t room = strlen(words) + (ids ? 8 * strlen(ids) : 0) + 64;
    char *text = malloc(room), *p = text;
    bool first = true;

    if (!text)
        return NULL;
    *p = '\0';
    if (!ids)
        return strcpy(text, words);
    if (*words)
        p += sprintf(p, "( %s ) and ", words);
    p += sprintf(p, "( ");
    for (const char *id = ids; *id;) {
        while (id[0] == '0' && id[1] >= '0' && id[1] <= '9')
            id++;
        size_t len = strcspn(id, ",");
        if (len) {
            p += sprintf(p, "%sid %.*s ", first ? "" : "or ", (int)len, id);
            first = false;
        }
        id += len + (id[len] == ',');
    }
    strcpy(p, ")");
    return text;
}

static int compare_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* How many different numbers are in a list; 0 without memory. */
static uint64_t count_ids(const char *ids)
{
    char *copy = strdup(ids), **list = malloc((strlen(ids) + 1) * sizeof *list), *rest = copy;
    uint64_t n = 0, count = 0;

    for (char *id; copy && list && (id = strtok_r(rest, ",", &rest));)
        list[n++] = id + strspn(id, "0");
    if (n)
        qsort(list, n, sizeof *list, compare_text);
    for (uint64_t i = 0; i < n; i++)
        count += i == 0 || strcmp(list[i], list[i - 1]) != 0;
    free(list);
    free(copy);
    return count;
}

/* What became of it, for programs; the keys are those of the library. */
static bool print_json(const struct args *a, const struct fc_carve_result *r)
{
    const struct fc_json_member members[] = {
        {"sessions", r->sessions, FC_JSON_NUMBER},
        {"packets", r->packets, FC_JSON_NUMBER},
        {"packets_missing", r->packets_missing, FC_JSON_NUMBER},
        {"packets_forgotten", r->packets_forgotten, FC_JSON_NUMBER},
        {"bytes_written", r->bytes_written, FC_JSON_NUMBER},
        {"bytes_read", r->bytes_read, FC_JSON_NUMBER},
        {"bytes_decoded", r->bytes_decoded, FC_JSON_NUMBER},
        {0},
    };

    return fc_json_print(strcmp(a->path, "-") == 0 ? stderr : stdout, members);
}

static void report(const struct args *a, const struct fc_carve_result *r)
{
    char b[4][48], text[FC_ERROR_TEXT_MAX];

    for (size_t i = 0; i < r->missing_count; i++)
        fc_complain("warning: %s; left out", fc_error_text(&r->missing[i], text, sizeof text));
    if (a->quiet || a->json)
        return;
    fprintf(stderr, "%s of %s carved, %s", fc_human_things(r->packets, "packet", b[0], sizeof b[0]),
            fc_human_things(r->sessions, "session", b[1], sizeof b[1]),
            fc_human_bytes(r->bytes_written, b[2], sizeof b[2]));
    if (r->packets_missing)
        fprintf(stderr, "; %s missing", fc_human_things(r->packets_missing, "packet", b[3], sizeof b[3]));
    if (r->packets_forgotten)
        fprintf(stderr, "; %s forgotten", fc_human_things(r->packets_forgotten, "packet", b[3], sizeof b[3]));
    if (a->verbose)
        fprintf(stderr, "; %s read from captures", fc_human_bytes(r->bytes_read, b[3], sizeof b[3]));
    if (a->verbose && r->bytes_decoded)
        fprintf(stderr, ", %s decompressed", fc_human_bytes(r->bytes_decoded, b[3], sizeof b[3]));
    fputc('\n', stderr);
}

enum { IDS_TOLD = 10 };

/* Is there a session that has this ID, or one of this range? Where that cannot be told it is not said to be missing. */
static bool is_there(struct fc_db *db, const char *id)
{
    struct fc_filter *filter = NULL;
    struct fc_error err;
    char text[64];
    bool there = true;

    snprintf(text, sizeof text, "id %s", id);
    if (fc_filter_parse(text, 0, &filter, NULL) == 0)
        there = fc_query_count(db, filter, &err) != 0;
    fc_filter_free(filter);
    return there;
}

/* Tells which of --id are not in the index, in front of which `lead` stands. False: none of them. */
static bool tell_missing(struct fc_db *db, const char *ids, const char *lead)
{
    char *copy = strdup(ids), *rest = copy, told[IDS_TOLD * 24 + 64] = "";
    uint64_t missing = 0;
    size_t len = 0;

    for (char *id; copy && (id = strtok_r(rest, ",", &rest));) {
        while (id[0] == '0' && id[1] >= '0' && id[1] <= '9')
            id++;
        if (is_there(db, id))
            continue;
        if (++missing <= IDS_TOLD)
            len += (size_t)snprintf(told + len, sizeof told - len, "%s%.20s", len ? ", " : "", id);
    }
    if (missing > IDS_TOLD)
        snprintf(told + len, sizeof told - len, " and %llu more", (unsigned long long)(missing - IDS_TOLD));
    if (missing)
        fc_complain("%snot in the index: %s", lead, told);
    free(copy);
    return missing != 0;
}

/* From here on captures are parsed. */
static void confine(const struct args *a, const struct fc_target *target)
{
    char *folders[] = {fc_sandbox_folder(a->db), target->file.place ? fc_sandbox_folder(target->file.place) : NULL};

    fc_sandbox_enter((const char *const *)folders, 2, false);
    free(folders[0]);
    free(folders[1]);
}

static int carve_to(const struct args *a, struct fc_db *db, const struct fc_filter *filter)
{
    struct fc_carve_options o = a->o;
    struct fc_carve_result result = {0};
    struct fc_target target;
    struct fc_error err;
    struct fc_bar bar;
    char b[48];
    int status = FC_EXIT_ERROR, rc = fc_target_open(&target, a->path, &a->rights, &err);

    if (rc == 0)
        confine(a, &target);
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
        fc_complain("nothing to carve: %s of what matches, all forgotten",
                    fc_human_things(result.packets_forgotten, "packet", b, sizeof b));
        status = FC_EXIT_NONE;
    } else if (rc == 0 && !result.sessions) {
        fc_target_abandon(&target);
        if (!a->quiet && !(a->ids && tell_missing(db, a->ids, "no session matches; ")))
            fc_complain("no session matches");
        status = FC_EXIT_NONE;
    } else if (rc == 0 && !result.packets && result.packets_missing) {
        fc_target_abandon(&target);
        report(a, &result);
        fc_complain("nothing was carved: all of it is missing");
    } else if (rc == 0 && (rc = fc_target_finish(&target, &err)) == 0) {
        report(a, &result);
        if (a->ids && (strchr(a->ids, '-') || result.sessions < count_ids(a->ids)))
            tell_missing(db, a->ids, "warning: ");
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

static int carve_text(const struct args *a, const char *text)
{
    struct fc_filter_error where;
    struct fc_filter *filter = NULL;
    struct fc_db *db = NULL;
    struct fc_time_options times = {.local = a->zone.local};
    struct fc_error err;
    int status = FC_EXIT_ERROR;

    int rc = fc_filter_parse_with(text, &times, &filter, &where);
    if (rc == FC_E_FILTER)
        fc_print_filter_error(text, &where);
    else if (rc)
        fc_complain("%s", fc_strerror(rc));
    else if (fc_db_open(a->db, &db, &err))
        fc_complain_error(&err);
    else
        status = carve_to(a, db, filter);
    fc_db_close(db);
    fc_filter_free(filter);
    return status;
}

static int carve_words(struct args *a, int argc, char **argv, int first)
{
    int status = FC_EXIT_ERROR;

    if (!a->path) {
        fc_complain("carve: no output given; -w FILE, or -w - for standard output");
        return FC_EXIT_ERROR;
    }
    if (strcmp(a->path, "-") == 0 && isatty(STDOUT_FILENO)) {
        fc_complain("carve: will not write a capture to a terminal");
        return FC_EXIT_ERROR;
    }
    char *words = fc_filter_words("carve", a->filter_file, argc - first, argv + first);
    if (!words)
        return FC_EXIT_ERROR;
    char *text = whole_filter(words, a->ids);
    if (text) {
        a->db = fc_db_name(a->db);
        fc_catch_signals();
        fc_lift_descriptors(); /* captures that overlap in time are open at once */
        status = carve_text(a, text);
    } else {
        fc_complain("out of memory");
    }
    free(words);
    free(text);
    return status;
}

static int run(int argc, char **argv)
{
    struct args a = {0};
    int first, rc = fc_options_parse(&fc_command_carve, argc, argv, set, &a, &first);

    if (rc < 0)
        rc = carve_words(&a, argc, argv, first);
    free(a.ids);
    return rc;
}

const struct fc_command fc_command_carve = {
    .name = "carve",
    .usage = "[OPTION...] [FILTER] -w FILE",
    .summary = "write the packets of chosen sessions to a new capture",
    .details =
        "FILTER is that of 'flowcarve query' ('flowcarve help filter'); without one, every session is carved. The "
        "output is in time order. "
        "FILE appears when it is complete. A pcapng has what captures say of interfaces, packets and sections; a pcap "
        "cannot.\n",
    .options = options,
    .values = values,
    .run = run,
};
