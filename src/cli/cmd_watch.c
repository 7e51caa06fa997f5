/* SPDX-License-Identifier: MIT */
#include "cli/cli.h"
#include "cli/index_options.h"
#include "cli/monitor.h"
#include "cli/retain_options.h"
#include "cli/sandbox.h"

#include <flowcarve/live.h>

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

struct args {
    const char *db, *metrics;
    struct fc_index_words words;
    struct fc_retain_limits limits;
    int64_t commit_ns, poll_ns;
    bool deletes, quiet, verbose;
    const char *const *folders;
    int folder_count;
};

static int take_time(const char *command, const char *name, int64_t *ns, const char *value)
{
    if (fc_duration_option(value, ns))
        return 0;
    fc_complain("%s: --%s takes a time, such as 500ms, 5s or 1m, not '%s'", command, name, value);
    return -1;
}

static int take_commit(const char *command, void *ns, const char *value)
{
    return take_time(command, "commit", ns, value);
}

static int take_poll(const char *command, void *ns, const char *value)
{
    return take_time(command, "poll", ns, value);
}

static const struct fc_option options[] = {
    FC_OPTION_DB(struct args),
    FC_INDEX_OPTION_TABLE(struct args),
    {"commit", 0, "TIME", "add to the index at most that often (default: 1s)",
     FC_TAKE(struct args, commit_ns, take_commit)},
    {"poll", 0, "TIME",
     "look through the folders that often, where the kernel tells nothing of changes (default: 5s on file "
     "systems of a network, else never)",
     FC_TAKE(struct args, poll_ns, take_poll)},
    FC_OPTION_METRICS(struct args),
    {"delete-captures", 0, NULL, "delete captures in the folders, as the limits below say",
     FC_FLAG(struct args, deletes)},
    FC_RETAIN_OPTION_TABLE(struct args),
    FC_OPTION_MODE(struct args, words.o.rights),
    FC_OPTION_GROUP(struct args, words.o.rights),
    {"keep-copies", 0, NULL, "also index captures that have the content of another one",
     FC_FLAG(struct args, words.o.keep_copies)},
    {"quiet", 'q', NULL, "tell of what went wrong alone", FC_FLAG(struct args, quiet)},
    {"verbose", 'v', NULL, "a line for each time something is added, each capture deleted, and files passed over",
     FC_FLAG(struct args, verbose)},
    {0},
};

/* What was added since the last line that told of it. */
struct sum {
    uint64_t files, grown, packets, sessions, continued;
    int64_t lag_ns;
};

struct log {
    const struct args *args;
    struct fc_watch *watch;
    struct fc_monitor monitor;
    struct fc_status counts; /* since the start, of commits */
    struct sum sum;
    struct fc_retain_sum deleted;
    uint64_t missed, missed_told;
    int64_t told_ns; /* when there was the last such line; 0: none yet */
};

static int64_t now_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static void tell_sum(struct log *log)
{
    struct sum *s = &log->sum;
    char b[5][48], missed[96] = "";

    if (log->missed > log->missed_told) {
        char n[48];
        snprintf(missed, sizeof missed, "; %s gone before %s could be read",
                 fc_human_things(log->missed - log->missed_told, "file", n, sizeof n),
                 log->missed - log->missed_told == 1 ? "it" : "they");
    }
    if (s->files || s->grown || s->continued || *missed)
        fc_log(FC_LEVEL_INFO, "%s new, %s grown: %s in %s new, %s continued; %.1f s behind at most%s",
               fc_human_things(s->files, "file", b[0], sizeof b[0]), fc_human_count(s->grown, b[1], sizeof b[1]),
               fc_human_things(s->packets, "packet", b[2], sizeof b[2]),
               fc_human_things(s->sessions, "session", b[3], sizeof b[3]),
               fc_human_count(s->continued, b[4], sizeof b[4]), (double)s->lag_ns / 1e9, missed);
    log->missed_told = log->missed;
    *s = (struct sum){0};
    log->told_ns = now_ns();
}

/* The monitor asks by its lock what was counted, perhaps during a run. */
static void fill(void *ctx, struct fc_status *s)
{
    struct log *log = ctx;
    const struct fc_progress *p = &log->monitor.seen;
    struct fc_watch_behind behind;

    fc_watch_behind(log->watch, &behind);
    s->packets = log->counts.packets + p->records;
    s->bytes = log->counts.bytes + p->bytes_done;
    s->files = log->counts.files;
    s->sessions = log->counts.sessions;
    s->missed = log->counts.missed;
    s->commits = log->counts.commits;
    s->commit_took_ns = log->counts.commit_took_ns;
    fc_retain_status(&log->args->limits, &log->counts, s);
    s->waiting = behind.files;
    s->lag_ns = behind.lag_ns;
}

static void tell(void *ctx, const struct fc_status *s)
{
    fc_watch_tell(((struct log *)ctx)->watch, s);
}

/* The run's own counts are among those since the start now. */
static void count(struct log *log, const struct fc_watch_commit *c)
{
    pthread_mutex_lock(&log->monitor.lock);
    log->counts.packets += c->result->records;
    log->counts.bytes += c->result->bytes;
    log->counts.files += c->result->files;
    log->counts.sessions += c->result->sessions;
    log->counts.missed = c->missed;
    log->counts.commits++;
    log->counts.commit_took_ns = c->took_ns;
    memset(&log->monitor.seen, 0, sizeof log->monitor.seen);
    pthread_mutex_unlock(&log->monitor.lock);
}

static void committed(void *ctx, const struct fc_watch_commit *c)
{
    struct log *log = ctx;
    struct sum *s = &log->sum;

    count(log, c);
    s->files += c->result->files;
    s->grown += c->result->files_grown;
    s->packets += c->result->packets;
    s->sessions += c->result->sessions;
    s->continued += c->result->continued;
    s->lag_ns = c->lag_ns > s->lag_ns ? c->lag_ns : s->lag_ns;
    log->missed = c->missed;
    if (!log->args->quiet && (log->args->verbose || !log->told_ns))
        tell_sum(log);
}

static void deleted(void *ctx, const struct fc_retain_deleted *d)
{
    struct log *log = ctx;

    if (log->args->quiet)
        return;
    if (log->args->verbose)
        fc_retain_tell_one(d);
    else
        fc_retain_add(&log->deleted, d);
}

static void retained(void *ctx, const struct fc_retain_result *r)
{
    struct log *log = ctx;

    pthread_mutex_lock(&log->monitor.lock);
    fc_retain_count(&log->counts, r);
    pthread_mutex_unlock(&log->monitor.lock);
}

static void idle(void *ctx)
{
    const int64_t minute_ns = INT64_C(60) * 1000000000;
    struct log *log = ctx;

    fc_monitor_tick(&log->monitor);
    if (!log->args->quiet && log->told_ns && now_ns() - log->told_ns >= minute_ns)
        tell_sum(log);
    fc_retain_tell_in_time(&log->deleted, false);
}

/* Of captures: what is known of them for good, and what is wrong with them. */
static void notice(void *ctx, const struct fc_notice *n)
{
    const struct args *a = ((struct log *)ctx)->args;
    bool wrong = n->kind == FC_NOTICE_REFUSED || n->kind == FC_NOTICE_DAMAGE || n->kind == FC_NOTICE_FILTER;
    bool rare = n->kind == FC_NOTICE_SKIPPED || n->kind == FC_NOTICE_OLDER;
    char text[FC_ERROR_TEXT_MAX];

    if (!wrong && (a->quiet || (rare && !a->verbose)))
        return;
    fc_log(n->kind == FC_NOTICE_REFUSED ? FC_LEVEL_ERROR
           : wrong                      ? FC_LEVEL_WARNING
                                        : FC_LEVEL_INFO,
           "%s%s",
           n->kind == FC_NOTICE_SKIPPED   ? "skipped: "
           : n->kind == FC_NOTICE_REFUSED ? ""
                                          : "warning: ",
           fc_error_text(&n->what, text, sizeof text));
}

static void word(void *ctx, const struct fc_error *what)
{
    struct log *log = ctx;
    char text[FC_ERROR_TEXT_MAX];

    if (what->code) {
        fc_monitor_failed(&log->monitor, what);
        fc_complain("%s; it is tried again", fc_error_text(what, text, sizeof text));
    } else if (!log->args->quiet) {
        fc_log(FC_LEVEL_INFO, "%s", fc_error_text(what, text, sizeof text));
    }
}

/* From here on captures are parsed. */
static void confine(void *ctx, bool names)
{
    struct log *log = ctx;
    const struct args *a = log->args;

    if (a->deletes)
        fc_sandbox_enter_deleting(a->db, a->metrics, a->folders, (unsigned)a->folder_count, names);
    else
        fc_sandbox_enter_beside(a->db, a->metrics, names ? FC_NEED_NAMES : 0);
    fc_monitor_ready(&log->monitor);
}

static void tell_start(const struct args *a, const struct fc_watch *watch, int count)
{
    int64_t poll_ns = fc_watch_poll_ns(watch);
    char b[2][48], how[96];

    if (poll_ns)
        snprintf(how, sizeof how, "looked through every %g s", (double)poll_ns / 1e9);
    else
        snprintf(how, sizeof how, "%s with those below", fc_human_count(fc_watch_folders(watch), b[0], sizeof b[0]));
    fc_log(FC_LEVEL_INFO, "watching %s for %s, %s", fc_human_things((uint64_t)count, "folder", b[1], sizeof b[1]),
           a->db, how);
}

/* Until a signal, or an error. */
static int run_watch(struct log *log, const char *const *folders, int count, struct fc_error *err)
{
    const struct args *a = log->args;
    const struct fc_monitor_options o = {.role = FC_STATUS_WATCH,
                                         .db = a->db,
                                         .metrics = a->metrics,
                                         .rights = a->words.o.rights,
                                         .what = folders,
                                         .what_count = count,
                                         .fill = fill,
                                         .tell = tell,
                                         .ctx = log};

    if (fc_monitor_open(&log->monitor, &o))
        return FC_E_IO;
    if (!a->quiet)
        tell_start(a, log->watch, count);
    int rc = fc_watch_run(log->watch, &fc_stop, err);
    fc_monitor_close(&log->monitor);
    return rc;
}

/* -1: options that do not go together, which is said. */
static int check(struct args *a)
{
    bool given = fc_retain_given(&a->limits) || a->limits.keep_sessions_ns;

    if (given && !a->deletes) {
        fc_complain("watch: --keep, --min-free and --keep-sessions delete captures of others: only with "
                    "--delete-captures");
        return -1;
    }
    if (a->deletes && !fc_retain_given(&a->limits)) {
        fc_complain("watch: --delete-captures needs a limit: --keep or --min-free");
        return -1;
    }
    return fc_retain_end(&a->limits, "watch");
}

/* SIGTERM is how a watch is meant to end; other signals mean what they mean to all commands. */
static int watch_all(struct args *a, int argc, char **argv, int first)
{
    const char *const *folders = (const char *const *)argv + first;
    struct log log = {.args = a};
    struct fc_error err = {0};

    if (first == argc) {
        fc_complain("watch: no folder given (see 'flowcarve watch --help')");
        return FC_EXIT_ERROR;
    }
    if (check(a) || fc_index_words_end(&a->words))
        return FC_EXIT_ERROR;
    a->folders = (const char *const *)argv + first;
    a->folder_count = argc - first;
    a->db = fc_db_name(a->db);
    a->words.o.progress = fc_monitor_progress;
    a->words.o.progress_ctx = &log.monitor;
    fc_catch_signals();
    fc_lift_descriptors();
    const struct fc_watch_options o = {.index = &a->words.o,
                                       .commit_ns = a->commit_ns,
                                       .poll_ns = a->poll_ns,
                                       .notice = notice,
                                       .word = word,
                                       .committed = committed,
                                       .idle = idle,
                                       .ready = confine,
                                       .ctx = &log,
                                       .retain = a->deletes ? &a->limits : NULL,
                                       .deleted = deleted,
                                       .retained = retained};
    int rc = fc_watch_open(a->db, a->folders, (size_t)a->folder_count, &o, &log.watch, &err);
    if (rc == 0) {
        rc = run_watch(&log, folders, argc - first, &err);
        fc_watch_close(log.watch);
    }
    if (!a->quiet && (log.sum.files || log.sum.grown))
        tell_sum(&log);
    fc_retain_tell_in_time(&log.deleted, true);
    if (rc == FC_E_INTERRUPTED)
        return fc_stop_signal() == SIGTERM ? FC_EXIT_OK : FC_EXIT_ERROR;
    if (err.code) /* else it is said */
        fc_complain_error(&err);
    return FC_EXIT_ERROR;
}

static int run(int argc, char **argv)
{
    struct args a = {0};
    int first, rc = fc_options_parse(&fc_command_watch, argc, argv, &a, &first);

    if (rc < 0)
        rc = watch_all(&a, argc, argv, first);
    fc_index_words_fini(&a.words);
    return rc;
}

const struct fc_command fc_command_watch = {
    .name = "watch",
    .usage = "[OPTION...] FOLDER...",
    .summary = "index what other programs write into folders, as they write",
    .details =
        "All that is in the folders, and below, is indexed, and then what comes, until SIGTERM ends it, with status 0, "
        "or another signal. A file that is being written is indexed up to its last whole record, and read on; a file "
        "that is deleted before its turn comes is read all the same. What an index is made with is kept in it, as by "
        "'flowcarve index'. Other commands may use the index meanwhile, but for 'index' and another 'watch'. Captures "
        "are read, and never changed; they are deleted with --delete-captures alone.\n"
        "With it the oldest captures go, by their last packet, until all limits hold: those in the folders and below "
        "that the index has, when the file is the one that was indexed and nobody writes it. What others have deleted "
        "is forgotten, too. A session goes with the last of its packets, unless --keep-sessions keeps it: 'query' "
        "finds it then, and 'carve' says since when its packets are gone.\n"
        "What was added is told in a line a minute, when there was something.\n",
    .options = options,
    .values = fc_index_values,
    .run = run,
};
