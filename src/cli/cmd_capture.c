/* SPDX-License-Identifier: MIT */
#include "cli/capture_log.h"
#include "cli/cli.h"
#include "cli/index_options.h"
#include "cli/monitor.h"
#include "cli/retain_options.h"
#include "cli/sandbox.h"
#include "cli/user.h"

#include <flowcarve/tap.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct args {
    const char *db, *folder, *metrics;
    const char **interfaces;
    size_t count;
    struct fc_index_words words;
    struct fc_tap_options tap;
    struct fc_recorder_options recorder;
    struct fc_retain_limits limits;
    struct fc_user user;
    bool quiet, verbose;
};

static int take_interface(const char *command, void *args, const char *name)
{
    struct args *a = args;
    const char **more = realloc(a->interfaces, (a->count + 1) * sizeof *more);

    if (!more) {
        fc_complain("%s: out of memory", command);
        return -1;
    }
    a->interfaces = more;
    a->interfaces[a->count++] = name;
    return 0;
}

/* "1G,60s", "1G", "60s". What may be both, as "5m", is neither. */
static int take_rotate(const char *command, void *recorder, const char *value)
{
    struct fc_recorder_options *o = recorder;
    const char *comma = strchr(value, ',');
    char size[32];
    uint64_t bytes;
    int64_t ns;

    snprintf(size, sizeof size, "%.*s", (int)(comma ? comma - value : 31), value);
    bool is_size = fc_size_option(size, &bytes), is_time = fc_duration_option(comma ? comma + 1 : value, &ns);
    if (comma ? !is_size || !is_time : is_size == is_time) {
        fc_complain("%s: --rotate takes bytes, a time, or both, such as 1G, 60s or 1G,60s, not '%s'%s", command, value,
                    is_size && !comma ? ", which may be either: 5M are bytes, 300s a time" : "");
        return -1;
    }
    o->rotate_bytes = is_size ? bytes : 0;
    o->rotate_ns = is_time ? ns : 0;
    if ((is_size && bytes < 1 << 20) || (is_time && ns < 1000000000)) {
        fc_complain("%s: --rotate takes at least 1M and 1s, not '%s'", command, value);
        return -1;
    }
    return 0;
}

static int take_number(const char *command, const char *name, const char *value, int64_t low, int64_t high,
                       uint32_t *out)
{
    int64_t n;

    if (!fc_number_option(value, low, high, &n)) {
        fc_complain("%s: --%s takes a number from %d to %d, not '%s'", command, name, (int)low, (int)high, value);
        return -1;
    }
    *out = (uint32_t)n;
    return 0;
}

static int take_snaplen(const char *command, void *snaplen, const char *value)
{
    return take_number(command, "snaplen", value, 0, 262144, snaplen);
}

static int take_threads(const char *command, void *threads, const char *value)
{
    return take_number(command, "threads", value, 1, FC_TAP_THREADS_MAX, threads);
}

/* "500ms", or "5s,100000". */
static int take_commit(const char *command, void *recorder, const char *value)
{
    struct fc_recorder_options *o = recorder;
    const char *comma = strchr(value, ',');
    int64_t packets = 0;
    char time[32];

    snprintf(time, sizeof time, "%.*s", (int)(comma ? comma - value : 31), value);
    if (!fc_duration_option(time, &o->commit_ns) || (comma && !fc_number_option(comma + 1, 1, INT64_MAX, &packets))) {
        fc_complain("%s: --commit takes a time, such as 500ms, 5s or 1m, and perhaps a number of packets, such as "
                    "5s,100000, not '%s'",
                    command, value);
        return -1;
    }
    o->commit_packets = (uint64_t)packets;
    return 0;
}

static int take_buffer(const char *command, void *buffer, const char *value)
{
    uint64_t bytes;

    if (!fc_size_option(value, &bytes) || bytes < FC_TAP_BUFFER_MIN || bytes > FC_TAP_BUFFER_MAX) {
        fc_complain("%s: --buffer takes 1M to 2046M, not '%s'", command, value);
        return -1;
    }
    *(uint32_t *)buffer = (uint32_t)bytes;
    return 0;
}

static const struct fc_option options[] = {
    FC_OPTION_DB(struct args),
    {"interface", 'i', "IFACE", "capture from it, or from 'any'; may be given several times",
     FC_TAKE_ALL(take_interface)},
    {"write", 'w', "DIR", "the folder for the captures, which must be there", FC_WORD(struct args, folder)},
    {"snaplen", 's', "BYTES", "keep so much of each packet (default, and at most: 262144)",
     FC_TAKE(struct args, tap.snaplen, take_snaplen)},
    {"buffer", 'B', "BYTES", "the kernel's buffer for each thread (1M to 2046M, default 32M)",
     FC_TAKE(struct args, tap.buffer, take_buffer)},
    {"promiscuous", 0, NULL, "also packets that are meant for others", FC_FLAG(struct args, tap.promiscuous)},
    {"threads", 0, "N", "threads an interface, among which its flows are divided (1 to 64, default 1)",
     FC_TAKE(struct args, tap.threads, take_threads)},
    {"rotate", 0, "BYTES,TIME",
     "begin a new file when one is as long (default: 1G), and whenever the clock has gone on by so much, such "
     "as 1G,60s; either may be left out",
     FC_TAKE(struct args, recorder, take_rotate)},
    {"commit", 0, "TIME,PACKETS", "add to the index that often (default: 1s), and when so many have come",
     FC_TAKE(struct args, recorder, take_commit)},
    FC_OPTION_METRICS(struct args),
    FC_RETAIN_OPTION_TABLE(struct args),
    {"user", 'Z', "USER", "go on as this user once the interfaces are open", FC_TAKE(struct args, user, fc_take_user)},
    FC_OPTION_MODE(struct args, words.o.rights),
    FC_OPTION_GROUP(struct args, words.o.rights),
    FC_INDEX_OPTION_TABLE(struct args),
    {"quiet", 'q', NULL, "tell of what went wrong alone", FC_FLAG(struct args, quiet)},
    {"verbose", 'v', NULL, "a line for each time something is added", FC_FLAG(struct args, verbose)},
    {0},
};

/* All that is at work. */
struct work {
    const struct args *args;
    struct fc_tap *tap;
    struct fc_recorder *recorder;
    struct fc_capture_log log;
    struct fc_monitor monitor;
    struct fc_retain_sum deleted;
    struct fc_status counts; /* since the start, of commits */
    int ended;               /* the tap gives nothing more */
};

/* The monitor asks by its lock what was counted, perhaps during a commit. */
static void fill(void *ctx, struct fc_status *s)
{
    struct work *w = ctx;
    struct fc_recorder_counts counts;
    struct fc_loss_counts of_one;

    if (!w->recorder) /* it is being opened */
        return;
    fc_recorder_count(w->recorder, NULL, &counts);
    s->packets = counts.received;
    s->bytes = counts.recorded_bytes;
    s->waiting = counts.waiting + counts.recorded - counts.indexed;
    s->lag_ns = counts.lag_ns;
    s->files = w->counts.files;
    s->sessions = w->counts.sessions;
    s->commits = w->counts.commits;
    s->commit_took_ns = w->counts.commit_took_ns;
    fc_retain_status(&w->args->limits, &w->counts, s);
    s->interface_count = 0;
    for (size_t i = 0; i < w->args->count; i++) {
        fc_recorder_count(w->recorder, w->args->interfaces[i], &counts);
        fc_status_recorded(&counts, &of_one);
        fc_status_interface(s, w->args->interfaces[i], &of_one);
    }
}

static void tell(void *ctx, const struct fc_status *s)
{
    struct work *w = ctx;

    if (w->recorder)
        fc_recorder_publish(w->recorder, s);
}

static void committed(void *ctx, const struct fc_recorder_commit *commit)
{
    struct work *w = ctx;

    pthread_mutex_lock(&w->monitor.lock);
    w->counts.files += commit->files;
    w->counts.sessions += commit->result->sessions;
    w->counts.commits++;
    w->counts.commit_took_ns = commit->took_ns;
    pthread_mutex_unlock(&w->monitor.lock);
    fc_capture_log_commit(&w->log, commit);
}

static void deleted(void *ctx, const struct fc_retain_deleted *d)
{
    struct work *w = ctx;

    if (!w->args->quiet && w->args->verbose)
        fc_retain_tell_one(d);
    else if (!w->args->quiet)
        fc_retain_add(&w->deleted, d);
}

static void retained(void *ctx, const struct fc_retain_result *r)
{
    struct work *w = ctx;

    pthread_mutex_lock(&w->monitor.lock);
    fc_retain_count(&w->counts, r);
    pthread_mutex_unlock(&w->monitor.lock);
}

static void idle(void *ctx)
{
    struct work *w = ctx;

    fc_monitor_tick(&w->monitor);
    fc_retain_tell_in_time(&w->deleted, false);
    fc_capture_log_idle(&w->log);
}

static void notice(void *ctx, const struct fc_notice *n)
{
    fc_capture_log_notice(&((struct work *)ctx)->log, n);
}

static void word(void *ctx, const struct fc_error *what)
{
    struct work *w = ctx;

    if (what->code)
        fc_monitor_failed(&w->monitor, what);
    fc_capture_log_word(&w->log, what);
}

static void tell_start(const struct args *a)
{
    char *names = fc_join_words((int)a->count, (char **)a->interfaces);

    fc_log(FC_LEVEL_INFO, "capturing from %s into %s for %s", names ? names : "", a->folder, a->db);
    free(names);
}

/* From here on there are threads, and packets are parsed. */
static void confine(void *ctx, bool names)
{
    const struct args *a = ((struct work *)ctx)->args;

    fc_sandbox_enter_capture(a->db, a->folder, a->metrics, names);
}

static struct fc_recorder *to_rotate; /* by SIGHUP; NULL: there is none */

static void on_hangup(int number)
{
    struct fc_recorder *recorder = __atomic_load_n(&to_rotate, __ATOMIC_RELAXED);

    (void)number;
    if (recorder)
        fc_recorder_rotate(recorder);
}

/* nohup(1) has it ignored, and it stays so. */
static void catch_hangup(void)
{
    const struct sigaction action = {.sa_handler = on_hangup, .sa_flags = SA_RESTART};
    struct sigaction before;

    if (sigaction(SIGHUP, NULL, &before) == 0 && before.sa_handler != SIG_IGN)
        sigaction(SIGHUP, &action, NULL);
}

static int record(struct work *w, struct fc_error *err)
{
    const struct args *a = w->args;
    struct fc_recorder_options o = a->recorder;
    int rc;

    struct fc_index_options index = a->words.o;
    index.progress = fc_monitor_progress;
    index.progress_ctx = &w->monitor;
    o.index = &index;
    o.notice = notice;
    o.word = word;
    o.committed = committed;
    o.idle = idle;
    o.ready = confine;
    o.retain = fc_retain_given(&a->limits) ? &a->limits : NULL;
    o.deleted = deleted;
    o.retained = retained;
    o.ctx = w;
    if ((rc = fc_recorder_open(a->db, a->folder, &o, &w->recorder, err)))
        return rc;
    fc_monitor_ready(&w->monitor);
    fc_capture_log_start(&w->log, w->recorder, a->quiet, a->verbose);
    if ((rc = fc_tap_start(w->tap, w->recorder, err)))
        return rc;
    __atomic_store_n(&to_rotate, w->recorder, __ATOMIC_RELAXED);
    catch_hangup();
    if (!a->quiet)
        tell_start(a);
    rc = fc_recorder_run(w->recorder, &w->ended, err);
    __atomic_store_n(&to_rotate, NULL, __ATOMIC_RELAXED);
    return rc;
}

/* The rights that opening takes are given up before anything is made: files are the user's that was asked for. */
static int become_user(const struct args *a, struct fc_error *err)
{
    int rc;

    if (!a->user.name)
        return 0;
    rc = fc_user_become(&a->user, err);
    return rc ? rc : fc_user_may_write(a->folder, a->db, err);
}

static int monitor_and_record(struct work *w, struct fc_error *err)
{
    const struct args *a = w->args;
    const struct fc_monitor_options o = {.role = FC_STATUS_CAPTURE,
                                         .db = a->db,
                                         .metrics = a->metrics,
                                         .rights = a->words.o.rights,
                                         .what = a->interfaces,
                                         .what_count = (int)a->count,
                                         .fill = fill,
                                         .tell = tell,
                                         .ctx = w};

    if (fc_monitor_open(&w->monitor, &o))
        return FC_E_IO; /* it is said */
    int rc = record(w, err);
    fc_tap_close(w->tap);
    w->tap = NULL;
    fc_monitor_close(&w->monitor);
    if (w->recorder) {
        fc_retain_tell_in_time(&w->deleted, true);
        fc_capture_log_end(&w->log);
        fc_recorder_close(w->recorder);
    }
    return rc;
}

static int capture(struct args *a)
{
    struct work w = {.args = a};
    struct fc_error err = {0};

    a->tap.stop = &fc_stop;
    a->tap.ended = &w.ended;
    a->tap.word = word;
    a->tap.ctx = &w;
    fc_catch_signals();
    fc_lift_descriptors();
    int rc = fc_tap_open(a->interfaces, a->count, &a->tap, &w.tap, &err);
    if (rc == FC_E_FILTER)
        fc_complain("capture: the filter of an interface is one of pcap-filter(7)");
    rc = rc ? rc : become_user(a, &err);
    rc = rc ? rc : monitor_and_record(&w, &err);
    fc_tap_close(w.tap);
    if (rc == FC_E_INTERRUPTED)
        return fc_stop_signal() == SIGTERM ? FC_EXIT_OK : FC_EXIT_ERROR;
    if (err.code) /* else it is said */
        fc_complain_error(&err);
    return FC_EXIT_ERROR;
}

static int check(struct args *a)
{
    const char *missing = !a->count ? "no interface (-i)" : !a->folder ? "no folder (-w)" : NULL;

    if (missing) {
        fc_complain("capture: %s given (see 'flowcarve capture --help')", missing);
        return -1;
    }
    if (a->limits.keep_sessions_ns && !fc_retain_given(&a->limits)) {
        fc_complain("capture: --keep-sessions needs a limit of captures: --keep or --min-free");
        return -1;
    }
    return fc_retain_end(&a->limits, "capture") ? -1 : fc_index_words_end(&a->words);
}

static int run(int argc, char **argv)
{
    struct args a = {0};
    char *filter = NULL;
    int first, rc = fc_options_parse(&fc_command_capture, argc, argv, &a, &first);

    if (rc < 0 && check(&a))
        rc = FC_EXIT_ERROR;
    if (rc < 0 && !(filter = fc_join_words(argc - first, argv + first))) {
        fc_complain("out of memory");
        rc = FC_EXIT_ERROR;
    }
    if (rc < 0) {
        a.db = fc_db_name(a.db);
        a.tap.filter = filter;
        rc = capture(&a);
    }
    free(filter);
    free(a.interfaces);
    fc_index_words_fini(&a.words);
    return rc;
}

const struct fc_command fc_command_capture = {
    .name = "capture",
    .usage = "[OPTION...] -i IFACE... -w DIR [BPF]",
    .summary = "capture from interfaces into files that are indexed as they grow",
    .details =
        "Packets that BPF matches, as in pcap-filter(7), are written into pcapng files in the folder, and are in "
        "the index a second later, until SIGTERM ends it, with status 0, or another signal; SIGHUP begins a new file. "
        "--filter and --exclude-net are another thing: what they leave out is in the files, and not in the index. A "
        "file that is being written has a name with a dot in front. Other commands may use the index meanwhile, but "
        "for "
        "'index', 'watch' and another 'capture'. After a crash it goes on where it was.\n"
        "This takes the right to capture (CAP_NET_RAW), which is all that is kept of those of root behind --user. An "
        "interface that goes away is opened again when it is back.\n"
        "How much comes, and how much was dropped by whom, is told in a line a minute, and at the end.\n",
    .options = options,
    .values = fc_index_values,
    .run = run,
};
