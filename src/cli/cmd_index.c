/* SPDX-License-Identifier: MIT */
#include "cli/cmd_index.h"
#include "cli/cli.h"
#include "cli/index_options.h"
#include "cli/json.h"
#include "cli/progress.h"
#include "cli/sandbox.h"

#include <flowcarve/fields.h>
#include <flowcarve/index.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct args {
    const char *db;
    struct fc_index_words words;
    bool strict, quiet, verbose, json;
};

static const struct fc_option options[] = {
    FC_OPTION_DB(struct args),
    FC_INDEX_OPTION_TABLE(struct args),
    {"spool", 0, "FILE", "write the stream that is indexed ('-': standard input) to this new file",
     FC_WORD(struct args, words.o.spool)},
    FC_OPTION_MODE(struct args, words.o.rights),
    FC_OPTION_GROUP(struct args, words.o.rights),
    {"strict", 0, NULL, "exit status 2 when bytes of a capture had to be skipped, or are pending",
     FC_FLAG(struct args, strict)},
    {"wait", 0, NULL, "wait as long as another process writes the index", FC_FLAG(struct args, words.o.wait)},
    {"keep-copies", 0, NULL, "also index captures that have the content of another one",
     FC_FLAG(struct args, words.o.keep_copies)},
    FC_OPTION_JSON(struct args),
    {"quiet", 'q', NULL, "no balance and no progress", FC_FLAG(struct args, quiet)},
    {"verbose", 'v', NULL, "also tell of files passed over, of timing, and in lines of progress",
     FC_FLAG(struct args, verbose)},
    {0},
};

enum { NOTICES_SHOWN = 20 }; /* of a kind, unless all are asked for */

struct show {
    const struct args *args;
    uint64_t notices[FC_NOTICE_TIMES + 1];
    struct fc_bar bar;
};

/* Tells of a capture, at once. */
static void notice(void *ctx, const struct fc_notice *n)
{
    struct show *s = ctx;
    const struct args *a = s->args;
    char text[FC_ERROR_TEXT_MAX];
    bool quiet = n->kind == FC_NOTICE_WAL || n->kind == FC_NOTICE_OLDER || n->kind == FC_NOTICE_PIECE ||
                 n->kind == FC_NOTICE_GROWN || n->kind == FC_NOTICE_PENDING || n->kind == FC_NOTICE_LINK ||
                 n->kind == FC_NOTICE_COPY || n->kind == FC_NOTICE_TIMES;

    if (n->kind == FC_NOTICE_SKIPPED ? !a->verbose : quiet && a->quiet)
        return;
    if (s->notices[n->kind]++ >= NOTICES_SHOWN && !a->verbose)
        return;
    fc_error_text(&n->what, text, sizeof text);
    fc_bar_hold(&s->bar);
    fc_complain("%s%s",
                n->kind == FC_NOTICE_SKIPPED   ? "skipped: "
                : n->kind == FC_NOTICE_REFUSED ? ""
                                               : "warning: ",
                text);
    fc_bar_release(&s->bar);
}

/* How many there were besides. */
static void tell_rest(const struct show *s)
{
    static const char *const kinds[] = {[FC_NOTICE_SKIPPED] = "passed over",
                                        [FC_NOTICE_DAMAGE] = "of damage",
                                        [FC_NOTICE_REFUSED] = "refused",
                                        [FC_NOTICE_OLDER] = "of older captures",
                                        [FC_NOTICE_GROWN] = "of captures that grew",
                                        [FC_NOTICE_PIECE] = "of large pieces",
                                        [FC_NOTICE_FILTER] = "of the filter",
                                        [FC_NOTICE_WAL] = "of readers",
                                        [FC_NOTICE_PENDING] = "of ends that are not whole",
                                        [FC_NOTICE_LINK] = "of links to folders",
                                        [FC_NOTICE_COPY] = "of copies",
                                        [FC_NOTICE_TIMES] = "of times"};
    char b[48];

    for (int i = 0; i <= FC_NOTICE_TIMES && !s->args->verbose; i++)
        if (s->notices[i] > NOTICES_SHOWN)
            fc_complain("and %s more %s (-v shows all)", fc_human_count(s->notices[i] - NOTICES_SHOWN, b, sizeof b),
                        kinds[i]);
}

/* From here on captures are parsed. The thread that draws begins behind it, or it would be a way out. */
static void confine(void *ctx, bool names)
{
    struct show *s = ctx;

    fc_sandbox_enter_beside(s->args->db, s->args->words.o.spool, names ? FC_NEED_NAMES : 0);
}

static int run_shown(struct args *a, char **words, int count, struct fc_index_result *result, struct fc_error *err)
{
    struct show show = {.args = a};

    a->words.o.ready = confine;
    a->words.o.ready_ctx = &show;
    fc_bar_init(&show.bar, a->quiet, a->verbose);
    a->words.o.notice = notice;
    a->words.o.notice_ctx = &show;
    if (show.bar.terminal || show.bar.lines) {
        a->words.o.progress = fc_bar_show;
        a->words.o.progress_ctx = &show.bar;
    }
    int rc = fc_index_run(a->db, (const char *const *)words, (size_t)count, &a->words.o, NULL, &fc_stop, result, err);
    fc_bar_end(&show.bar, rc == 0);
    tell_rest(&show);
    return rc;
}

static void print_balance(const struct args *a, const struct fc_index_result *r)
{
    char b[5][48];
    uint64_t skipped = r->files_skipped;

    fprintf(stderr, "%s, %s: %s = %s in sessions + %s ignored\n",
            fc_human_things(r->files + r->files_grown, "file", b[0], sizeof b[0]),
            fc_human_bytes(r->bytes, b[1], sizeof b[1]), fc_human_things(r->records, "record", b[2], sizeof b[2]),
            fc_human_things(r->packets, "packet", b[3], sizeof b[3]), fc_human_count(r->ignored, b[4], sizeof b[4]));
    fprintf(stderr,
            "%" PRIu64 " bytes = %" PRIu64 " headers + %" PRIu64 " records + %" PRIu64 " other blocks + %" PRIu64
            " skipped%s\n",
            r->bytes, r->header_bytes, r->record_bytes, r->other_bytes, r->skipped_bytes,
            fc_pending_term(r->pending_bytes, b[0], sizeof b[0]));
    fprintf(stderr, "%s new, %s continued", fc_human_things(r->sessions, "session", b[0], sizeof b[0]),
            fc_human_count(r->continued, b[1], sizeof b[1]));
    if (r->malformed)
        fprintf(stderr, "; %s malformed", fc_human_things(r->malformed, "record", b[2], sizeof b[2]));
    if (r->damaged_files)
        fprintf(stderr, "; %s damaged, %s not read", fc_human_things(r->damaged_files, "file", b[3], sizeof b[3]),
                fc_human_things(r->damages, "range", b[4], sizeof b[4]));
    fputc('\n', stderr);
    if (r->provisional)
        fprintf(stderr, "%s provisional: fragments whose first one may still come\n",
                fc_human_things(r->provisional, "session", b[0], sizeof b[0]));
    if (r->files_grown)
        fprintf(stderr, "%s grown since %s\n", fc_human_things(r->files_grown, "file", b[0], sizeof b[0]),
                r->files_grown == 1 ? "it was indexed" : "they were indexed");
    if (r->files_known)
        fprintf(stderr, "%s %s\n", fc_human_things(r->files_known, "file", b[0], sizeof b[0]),
                r->files_known == 1 ? "was indexed before and is unchanged" : "were indexed before and are unchanged");
    if (r->files_moved)
        fprintf(stderr, "%s of them %s, which the index has now\n", fc_human_count(r->files_moved, b[0], sizeof b[0]),
                r->files_moved == 1 ? "has a new name" : "have new names");
    if (r->files_gone)
        fprintf(stderr, "%s gone: other captures have %s by now\n",
                fc_human_things(r->files_gone, "capture", b[0], sizeof b[0]),
                r->files_gone == 1 ? "its name" : "their names");
    if (r->files_copied)
        fprintf(stderr, "%s %s\n", fc_human_things(r->files_copied, "file", b[0], sizeof b[0]),
                r->files_copied == 1 ? "is a copy of another one and left out (--keep-copies indexes it)"
                                     : "are copies of others and left out (--keep-copies indexes them)");
    if (skipped && !a->verbose)
        fprintf(stderr, "%s passed over, %s\n", fc_human_things(skipped, "file", b[0], sizeof b[0]),
                skipped == 1 ? "which is no capture or comes twice (-v names it)"
                             : "which are no captures or come twice (-v names them)");
    if (a->verbose)
        fprintf(stderr,
                "read %.3f s, written %.3f s, fsync %.3f s; %s read twice, at most %s at a time, %s of the table put "
                "aside\n",
                (double)r->read_ns / 1e9, (double)r->write_ns / 1e9, (double)r->sync_ns / 1e9,
                fc_human_things(r->rescanned_chunks, "chunk", b[0], sizeof b[0]),
                fc_human_things(r->peak_flows, "flow", b[1], sizeof b[1]),
                fc_human_things(r->suspended, "part", b[2], sizeof b[2]));
}

/* The same for programs; the keys are those of the library. */
static bool print_json(const struct fc_index_result *r)
{
    const struct fc_json_member members[] = {
        {"files", r->files, FC_JSON_NUMBER},
        {"files_grown", r->files_grown, FC_JSON_NUMBER},
        {"files_known", r->files_known, FC_JSON_NUMBER},
        {"files_moved", r->files_moved, FC_JSON_NUMBER},
        {"files_gone", r->files_gone, FC_JSON_NUMBER},
        {"files_refused", r->files_refused, FC_JSON_NUMBER},
        {"files_skipped", r->files_skipped, FC_JSON_NUMBER},
        {"files_copied", r->files_copied, FC_JSON_NUMBER},
        {"records", r->records, FC_JSON_NUMBER},
        {"packets", r->packets, FC_JSON_NUMBER},
        {"ignored", r->ignored, FC_JSON_NUMBER},
        {"malformed", r->malformed, FC_JSON_NUMBER},
        {"sessions", r->sessions, FC_JSON_NUMBER},
        {"provisional", r->provisional, FC_JSON_NUMBER},
        {"continued", r->continued, FC_JSON_NUMBER},
        {"bytes", r->bytes, FC_JSON_NUMBER},
        {"header_bytes", r->header_bytes, FC_JSON_NUMBER},
        {"record_bytes", r->record_bytes, FC_JSON_NUMBER},
        {"other_bytes", r->other_bytes, FC_JSON_NUMBER},
        {"skipped_bytes", r->skipped_bytes, FC_JSON_NUMBER},
        {"pending_bytes", r->pending_bytes, FC_JSON_NUMBER},
        {"pending_files", r->pending_files, FC_JSON_NUMBER},
        {"damaged_files", r->damaged_files, FC_JSON_NUMBER},
        {"damages", r->damages, FC_JSON_NUMBER},
        {0},
    };

    return fc_json_print(stdout, members);
}

static int index_all(struct args *a, int argc, char **argv, int first)
{
    struct fc_index_result result;
    struct fc_error err = {0};

    if (first == argc) {
        fc_complain("index: no capture given (see 'flowcarve index --help')");
        return FC_EXIT_ERROR;
    }
    for (int i = first; i < argc; i++) {
        if (!*argv[i]) {
            fc_complain("index: the name of a capture is empty");
            return FC_EXIT_ERROR;
        }
    }
    if (fc_index_words_end(&a->words))
        return FC_EXIT_ERROR;
    a->db = fc_db_name(a->db);
    fc_catch_signals();
    int rc = run_shown(a, argv + first, argc - first, &result, &err);
    if (rc)
        fc_complain_error(&err);
    if (rc == FC_E_BUSY)
        fc_complain("with --wait, index waits until that is done");
    bool written = true;
    if (!rc && a->json)
        written = print_json(&result);
    else if (!rc && !a->quiet)
        print_balance(a, &result);
    bool refused = result.files_refused != 0 || (a->strict && (result.damages || result.pending_files));
    fc_index_result_fini(&result);
    return rc || refused || !written ? FC_EXIT_ERROR : FC_EXIT_OK;
}

int fc_index_kept(const struct fc_kept_index *kept, char **paths, int count)
{
    struct args a = {.db = kept->db,
                     .quiet = kept->quiet,
                     .words.o = {.wait = true, .unsynced = true, .fields = kept->all ? "all" : NULL}};
    struct fc_index_result r;
    struct fc_error err = {0};
    char b[3][48];

    fc_catch_signals();
    int rc = run_shown(&a, paths, count, &r, &err);
    if (rc)
        fc_complain_error(&err);
    else if (!kept->quiet && r.files + r.files_grown)
        fc_complain("indexed %s, %s, %s in %.2f s; %s",
                    fc_human_things(r.files + r.files_grown, "capture", b[0], sizeof b[0]),
                    fc_human_bytes(r.bytes, b[1], sizeof b[1]), fc_human_things(r.records, "packet", b[2], sizeof b[2]),
                    (double)(r.read_ns + r.write_ns + r.sync_ns) / 1e9, kept->what);
    bool refused = r.files_refused != 0;
    fc_index_result_fini(&r);
    return rc ? FC_EXIT_ERROR : refused ? FC_EXIT_NONE : FC_EXIT_OK;
}

static int run(int argc, char **argv)
{
    struct args a = {0};
    int first, rc = fc_options_parse(&fc_command_index, argc, argv, &a, &first);

    if (rc < 0)
        rc = index_all(&a, argc, argv, first);
    fc_index_words_fini(&a.words);
    return rc;
}

const struct fc_command fc_command_index = {
    .name = "index",
    .usage = "[OPTION...] CAPTURE|FOLDER...",
    .summary = "index captures, or add captures to an index",
    .details =
        "Captures are pcap or pcapng files, plain or compressed with gzip, zstd, lz4 or xz, whatever their names; "
        "folders are searched to the bottom. What was indexed before is passed over, also under a new name; what has "
        "grown is read on, but for the beginning of a record, which is pending; where another content has the name it "
        "is a new capture, and the old one is gone. Of captures with the same content, also compressed ones, the first "
        "is "
        "indexed, the others are named. Damage inside of a capture is skipped with a warning; table "
        "'damage' has the bytes. A stream ('-' or a FIFO) needs --spool: sessions are carved from that file later.\n"
        "--fields, --filter, --exclude-net, --profile, --timeout, --key and --outer are kept in the index and hold "
        "for all that is added to it. Lists may be given in several options.\n",
    .options = options,
    .values = fc_index_values,
    .run = run,
};
