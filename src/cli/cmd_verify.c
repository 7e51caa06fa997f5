/* SPDX-License-Identifier: MIT */
#include "cli/archive.h"
#include "cli/cli.h"
#include "cli/json.h"
#include "cli/progress.h"
#include "cli/sandbox.h"

#include <flowcarve/text.h>
#include <flowcarve/verify.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct args {
    const char *db;
    bool quiet, verbose, json, archived;
};

static const struct fc_option options[] = {
    FC_OPTION_DB(struct args),
    FC_OPTION_JSON(struct args),
    {"archived", 0, NULL, "read captures in archives, too: all of each, over the network",
     FC_FLAG(struct args, archived)},
    {"quiet", 'q', NULL, "differences only", FC_FLAG(struct args, quiet)},
    {"verbose", 'v', NULL, "also tell why libpcap cannot read a capture, and in lines of progress",
     FC_FLAG(struct args, verbose)},
    {0},
};

static void print_balance(const struct args *a, const struct fc_verify_result *r)
{
    char b[4][48], text[4 * sizeof r->files->path];

    printf("%14s %14s %14s %10s %10s  %s\n", "records", "in sessions", "ignored", "libpcap", "", "capture");
    for (size_t i = 0; i < r->file_count; i++) {
        const struct fc_verify_file *f = &r->files[i];
        char libpcap[32] = "-";
        if (f->libpcap_records >= 0)
            fc_human_count((uint64_t)f->libpcap_records, libpcap, sizeof libpcap);
        printf("%14s %14s %14s %10s %10s  %s\n", fc_human_count(f->records, b[0], sizeof b[0]),
               fc_human_count(f->in_sessions, b[1], sizeof b[1]), fc_human_count(f->ignored, b[2], sizeof b[2]),
               libpcap,
               f->missing       ? "missing"
               : f->differences ? "DIFFERS"
               : f->forgotten   ? "forgotten"
               : f->gone        ? "gone"
               : f->archived    ? "archived"
                                : "ok",
               fc_text_show(f->path, text, sizeof text));
        if (a->verbose && f->libpcap_records < 0 && f->libpcap_message[0])
            printf("%76s libpcap: %s\n", "", fc_text_show(f->libpcap_message, text, sizeof text));
    }
    printf("%" PRIu64 " bytes = %" PRIu64 " headers + %" PRIu64 " records + %" PRIu64 " other blocks + %" PRIu64
           " skipped%s\n",
           r->bytes, r->header_bytes, r->record_bytes, r->other_bytes, r->lost_bytes,
           fc_pending_term(r->pending_bytes, b[0], sizeof b[0]));
    printf("%s = %s in sessions + %s ignored; %s\n", fc_human_things(r->records, "record", b[0], sizeof b[0]),
           fc_human_count(r->in_sessions, b[1], sizeof b[1]), fc_human_count(r->ignored, b[2], sizeof b[2]),
           fc_human_things(r->sessions, "session", b[3], sizeof b[3]));
}

/* The same for programs; the keys are those of `index --json`, where it has them. */
static bool print_json(const struct fc_verify_result *r)
{
    const struct fc_json_member members[] = {
        {"agrees", r->differences == 0, FC_JSON_BOOL},
        {"differences", r->differences, FC_JSON_NUMBER},
        {"files", r->file_count, FC_JSON_NUMBER},
        {"files_gone", r->gone, FC_JSON_NUMBER},
        {"files_forgotten", r->forgotten, FC_JSON_NUMBER},
        {"files_archived", r->archived, FC_JSON_NUMBER},
        {"records", r->records, FC_JSON_NUMBER},
        {"packets", r->in_sessions, FC_JSON_NUMBER},
        {"ignored", r->ignored, FC_JSON_NUMBER},
        {"sessions", r->sessions, FC_JSON_NUMBER},
        {"bytes", r->bytes, FC_JSON_NUMBER},
        {"header_bytes", r->header_bytes, FC_JSON_NUMBER},
        {"record_bytes", r->record_bytes, FC_JSON_NUMBER},
        {"other_bytes", r->other_bytes, FC_JSON_NUMBER},
        {"skipped_bytes", r->lost_bytes, FC_JSON_NUMBER},
        {"pending_bytes", r->pending_bytes, FC_JSON_NUMBER},
        {0},
    };

    return fc_json_print(stdout, members);
}

static void print_verdict(const struct fc_verify_result *r)
{
    char b[48];

    fputs("the index and its captures agree", stdout);
    if (r->forgotten)
        printf(", but for %s that %s forgotten%s", fc_human_things(r->forgotten, "capture", b, sizeof b),
               r->forgotten == 1 ? "is" : "are", r->gone ? ", and those that are gone" : "");
    else if (r->gone)
        printf(", but for %s: gone, as other captures have the names",
               fc_human_things(r->gone, "capture", b, sizeof b));
    if (r->archived)
        printf("%s %s in archives, not read without --archived",
               r->forgotten || r->gone ? "; and but for" : ", but for",
               fc_human_things(r->archived, "capture", b, sizeof b));
    putchar('\n');
}

/* From here on captures are parsed. Who reads an index makes files beside it, too, while another run adds to it. */
static void confine(struct fc_db *db, const struct args *a)
{
    bool names = false;

    (void)fc_verify_prepare(db, &names, NULL);
    fc_sandbox_enter_beside(fc_db_name(a->db), NULL,
                            (names ? FC_NEED_NAMES : 0) | (a->archived ? fc_archive_needs(db) : 0));
}

static int run(int argc, char **argv)
{
    struct fc_verify_options o = {0};
    struct fc_verify_result result;
    struct args a = {0};
    struct fc_bar bar;
    struct fc_db *db;
    struct fc_error err;
    char text[FC_ERROR_TEXT_MAX];
    int first, rc = fc_options_parse(&fc_command_verify, argc, argv, &a, &first);

    if (rc >= 0)
        return rc;
    if (first != argc) {
        fc_complain("verify: takes no words, '%s' is one too many", argv[first]);
        return FC_EXIT_ERROR;
    }
    fc_catch_signals();
    if (fc_db_open(fc_db_name(a.db), &db, &err)) {
        fc_complain_error(&err);
        return FC_EXIT_ERROR;
    }
    confine(db, &a);
    a.quiet |= a.json;
    fc_bar_init(&bar, a.quiet, a.verbose);
    if (bar.terminal || bar.lines)
        o = (struct fc_verify_options){fc_bar_show, &bar, false};
    o.archived = a.archived;
    rc = fc_verify(db, &o, &fc_stop, &result, &err);
    fc_bar_end(&bar, rc == 0);
    bool written = true;
    if (a.json && (rc == 0 || rc == FC_E_MISMATCH))
        written = print_json(&result);
    if (!a.quiet && rc != FC_E_INTERRUPTED) /* the sums of a part would differ */
        print_balance(&a, &result);
    fflush(stdout);
    for (size_t i = 0; i < result.problem_count; i++)
        fc_complain("%s", fc_error_text(&result.problems[i], text, sizeof text));
    if (result.differences > result.problem_count)
        fc_complain("and %" PRIu64 " more", result.differences - result.problem_count);
    if (rc)
        fc_complain_error(&err);
    else if (!a.quiet)
        print_verdict(&result);
    if (!rc && !a.quiet && !a.verbose && result.libpcap_unable)
        printf("libpcap does not read %s to %s end, flowcarve alone has (-v tells why)\n",
               fc_human_things(result.libpcap_unable, "capture", text, sizeof text),
               result.libpcap_unable == 1 ? "its" : "their");
    fc_verify_result_fini(&result);
    fc_db_close(db);
    if ((fflush(stdout) != 0 || ferror(stdout)) && errno != EPIPE) {
        fc_complain("cannot write the balance: %s", strerror(errno));
        rc = FC_E_IO;
    }
    return rc || !written ? FC_EXIT_ERROR : FC_EXIT_OK;
}

const struct fc_command fc_command_verify = {
    .name = "verify",
    .usage = "[OPTION...]",
    .summary = "read all captures again and compare them with the index",
    .options = options,
    .run = run,
};
