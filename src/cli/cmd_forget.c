/* SPDX-License-Identifier: MIT */
#include "cli/cli.h"
#include "cli/json.h"
#include "cli/zone.h"

#include <flowcarve/index.h>
#include <flowcarve/query.h>

#include <stdio.h>

struct args {
    const char *db, *before;
    struct fc_zone zone;
    struct fc_forget_options o;
    bool quiet, verbose, json;
};

static const struct fc_option options[] = {
    FC_OPTION_DB(struct args),
    {"before", 0, "TIME", "captures that end before: 2024-05-31, 2024-05-31T10:00, @SECONDS, '30d ago', as in filters",
     FC_WORD(struct args, before)},
    {"gone", 0, NULL, "captures that are no longer in their folder, or whose name another one has",
     FC_FLAG(struct args, o.gone)},
    {"keep-sessions", 0, NULL, "sessions of which no packet is left stay, with their counts",
     FC_FLAG(struct args, o.keep_sessions)},
    FC_OPTION_JSON(struct args),
    FC_OPTION_TZ(struct args),
    {"quiet", 'q', NULL, "say nothing when all goes well", FC_FLAG(struct args, quiet)},
    {"verbose", 'v', NULL, "also tell how large the index was", FC_FLAG(struct args, verbose)},
    {0},
};

/* What became of it, for programs; the keys are those of the library. */
static bool print_json(const struct fc_forget_result *r)
{
    const struct fc_json_member members[] = {
        {"files", r->files, FC_JSON_NUMBER},           {"packets", r->packets, FC_JSON_NUMBER},
        {"sessions", r->sessions, FC_JSON_NUMBER},     {"size_before", r->size_before, FC_JSON_NUMBER},
        {"size_after", r->size_after, FC_JSON_NUMBER}, {0},
    };

    return fc_json_print(stdout, members);
}

static void report(const struct args *a, const struct fc_forget_result *r)
{
    char b[5][48];

    fprintf(stderr, "%s forgotten: %s, %s gone with them; the index has %s%s%s\n",
            fc_human_things(r->files, "capture", b[0], sizeof b[0]),
            fc_human_things(r->packets, "packet", b[1], sizeof b[1]),
            fc_human_things(r->sessions, "session", b[2], sizeof b[2]),
            fc_human_bytes(r->size_after, b[3], sizeof b[3]), a->verbose ? ", before " : "",
            a->verbose ? fc_human_bytes(r->size_before, b[4], sizeof b[4]) : "");
}

/* --before, whose zone may be an option behind it. */
static bool read_before(struct args *a)
{
    struct fc_time_options times = {.local = a->zone.local};
    struct fc_filter_error where;

    if (!a->before)
        return true;
    a->o.has_before = fc_time_read(a->before, &times, &a->o.before_ns, &where);
    if (!a->o.has_before)
        fc_complain("forget: --before takes a time such as 2024-05-31, @1717150000 or '30d ago', not '%s'", a->before);
    return a->o.has_before;
}

static int run(int argc, char **argv)
{
    struct fc_forget_result r;
    struct args a = {0};
    struct fc_error err;
    int first, rc = fc_options_parse(&fc_command_forget, argc, argv, &a, &first);

    if (rc >= 0)
        return rc;
    if (!read_before(&a))
        return FC_EXIT_ERROR;
    a.o.files = (const char *const *)argv + first;
    a.o.file_count = (size_t)(argc - first);
    if (!a.o.file_count && !a.o.has_before && !a.o.gone) {
        fc_complain("forget: which captures? --before TIME, --gone, or their names");
        return FC_EXIT_ERROR;
    }
    fc_catch_signals();
    rc = fc_forget(fc_db_name(a.db), &a.o, &fc_stop, &r, &err);
    if (rc ? r.packets > 0 : !a.quiet && !a.json)
        report(&a, &r);
    if (rc) {
        fc_complain_error(&err);
        return FC_EXIT_ERROR;
    }
    if (r.wal_left && !a.quiet)
        fc_complain("warning: %s has a -wal or -journal file beside it, since it is being read, or the disk is full or "
                    "fails; copy both, until the next run that writes has made them one",
                    fc_db_name(a.db));
    if (a.json && !print_json(&r))
        return FC_EXIT_ERROR;
    return r.files ? FC_EXIT_OK : FC_EXIT_NONE;
}

const struct fc_command fc_command_forget = {
    .name = "forget",
    .usage = "[OPTION...] [CAPTURE...]",
    .summary = "take the packets of captures out of the index",
    .details = "The captures themselves are not touched. Counts of a session and of a capture stay what they were; "
               "`carve` and `verify` say how many packets are forgotten. A session without packets goes, unless "
               "--keep-sessions. Others may read meanwhile. Exit status 1: there was nothing to forget.\n",
    .options = options,
    .run = run,
};
