/* SPDX-License-Identifier: MIT */
#include "cli/cli.h"
#include "cli/progress.h"

#include <flowcarve/text.h>
#include <flowcarve/verify.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { DB, QUIET, VERBOSE };

static const struct fc_option options[] = {
    [DB] = FC_OPTION_DB,
    [QUIET] = {"quiet", 'q', NULL, "differences only"},
    [VERBOSE] = {"verbose", 'v', NULL, "also tell why libpcap cannot read a capture, and in lines of progress"},
    {0},
};

struct args {
    const char *db;
    bool quiet, verbose;
};

static int set(void *ctx, int option, const char *value)
{
    struct args *a = ctx;

    if (option == DB)
        a->db = value;
    else if (option == QUIET)
        a->quiet = true;
    else
        a->verbose = true;
    return 0;
}

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

static int run(int argc, char **argv)
{
    struct fc_verify_options o = {0};
    struct fc_verify_result result;
    struct args a = {0};
    struct fc_bar bar;
    struct fc_db *db;
    struct fc_error err;
    char text[FC_ERROR_TEXT_MAX];
    int first, rc = fc_options_parse(&fc_command_verify, argc, argv, set, &a, &first);

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
    fc_bar_init(&bar, a.quiet, a.verbose);
    if (bar.terminal || bar.lines)
        o = (struct fc_verify_options){fc_bar_show, &bar};
    rc = fc_verify(db, &o, &fc_stop, &result, &err);
    fc_bar_end(&bar, rc == 0);
    if (!a.quiet && rc != FC_E_INTERRUPTED) /* the sums of a part would differ */
        print_balance(&a, &result);
    fflush(stdout);
    for (size_t i = 0; i < result.problem_count; i++)
        fc_complain("%s", fc_error_text(&result.problems[i], text, sizeof text));
    if (result.differences > result.problem_count)
        fc_complain("and %" PRIu64 " more", result.differences - result.problem_count);
    if (rc)
        fc_complain_error(&err);
    else if (!a.quiet && result.forgotten)
        printf("the index and its captures agree, but for %s that %s forgotten%s\n",
               fc_human_things(result.forgotten, "capture", text, sizeof text), result.forgotten == 1 ? "is" : "are",
               result.gone ? ", and those that are gone" : "");
    else if (!a.quiet && result.gone)
        printf("the index and its captures agree, but for %s: gone, as other captures have the names\n",
               fc_human_things(result.gone, "capture", text, sizeof text));
    else if (!a.quiet)
        puts("the index and its captures agree");
    fc_verify_result_fini(&result);
    fc_db_close(db);
    if ((fflush(stdout) != 0 || ferror(stdout)) && errno != EPIPE) {
        fc_complain("cannot write the balance: %s", strerror(errno));
        rc = FC_E_IO;
    }
    return rc ? FC_EXIT_ERROR : FC_EXIT_OK;
}

const struct fc_command fc_command_verify = {
    .name = "verify",
    .usage = "[OPTION...]",
    .summary = "read all captures again and compare them with the index",
    .options = options,
    .run = run,
};
