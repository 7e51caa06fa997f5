/* SPDX-License-Identifier: MIT */
#include "cli/capture_log.h"
#include "cli/cli.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static const int64_t second_ns = 1000000000, minute_ns = INT64_C(60) * 1000000000;
static const int64_t patience_ns = INT64_C(5) * 1000000000; /* from one line of what was dropped to the next */

static int64_t now_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * second_ns + ts.tv_nsec;
}

/* "3 by the kernel, 5 as the disk was too slow". Returns how many there were. */
static uint64_t say_dropped(const struct fc_recorder_counts *from, const struct fc_recorder_counts *to, char *text,
                            size_t size)
{
    const struct {
        uint64_t n;
        const char *why;
    } causes[] = {{to->dropped_kernel - from->dropped_kernel, "by the kernel"},
                  {to->dropped_iface - from->dropped_iface, "by the interface"},
                  {to->dropped_queue - from->dropped_queue, "for want of memory"},
                  {to->dropped_disk - from->dropped_disk, "as the disk was too slow"}};
    uint64_t sum = 0;
    size_t at = 0;

    *text = '\0';
    for (size_t i = 0; i < sizeof causes / sizeof causes[0] && at < size; i++) {
        char n[48];
        if (causes[i].n)
            at += (size_t)snprintf(text + at, size - at, "%s%s %s", sum ? ", " : "",
                                   fc_human_count(causes[i].n, n, sizeof n), causes[i].why);
        sum += causes[i].n;
    }
    return sum;
}

static void tell_rate(struct fc_capture_log *log)
{
    struct fc_recorder_counts now;
    char dropped[256], b[4][48];
    int64_t ns = now_ns();
    double s = (double)(ns - log->then_ns) / (double)second_ns;

    fc_recorder_count(log->recorder, NULL, &now);
    double packets = (double)(now.recorded - log->then.recorded) / s;
    double bytes = (double)(now.recorded_bytes - log->then.recorded_bytes) / s;
    uint64_t lost = say_dropped(&log->then, &now, dropped, sizeof dropped);
    fc_log(FC_LEVEL_INFO, "%s/s, %s/s: %s, %s continued; %.1f s behind at most; dropped: %s",
           fc_human_things((uint64_t)(packets + .5), "packet", b[0], sizeof b[0]),
           fc_human_bytes((uint64_t)(bytes + .5), b[1], sizeof b[1]),
           fc_human_things(log->sessions, "new session", b[2], sizeof b[2]),
           fc_human_count(log->continued, b[3], sizeof b[3]), (double)log->lag_ns / (double)second_ns,
           lost ? dropped : "none");
    log->then = now;
    log->then_ns = ns;
    log->lag_ns = 0;
    log->sessions = log->continued = 0;
}

static void tell_dropped(struct fc_capture_log *log)
{
    struct fc_recorder_counts now;
    char text[256];
    uint64_t lost;

    fc_recorder_count(log->recorder, NULL, &now);
    if (!(lost = say_dropped(&log->dropped, &now, text, sizeof text)))
        return;
    fc_log(FC_LEVEL_WARNING, "warning: %s dropped: %s", fc_human_things(lost, "packet", (char[48]){0}, 48), text);
    log->dropped = now;
    log->dropped_ns = now_ns();
}

void fc_capture_log_start(struct fc_capture_log *log, struct fc_recorder *recorder, bool quiet, bool verbose)
{
    *log = (struct fc_capture_log){.quiet = quiet, .verbose = verbose, .recorder = recorder, .then_ns = now_ns()};
}

void fc_capture_log_commit(struct fc_capture_log *log, const struct fc_recorder_commit *c)
{
    log->sessions += c->result->sessions;
    log->continued += c->result->continued;
    log->lag_ns = c->lag_ns > log->lag_ns ? c->lag_ns : log->lag_ns;
    if (log->verbose && !log->quiet && c->result->packets)
        tell_rate(log);
}

void fc_capture_log_idle(struct fc_capture_log *log)
{
    int64_t ns = now_ns();

    if (ns - log->dropped_ns >= patience_ns)
        tell_dropped(log);
    if (!log->quiet && ns - log->then_ns >= minute_ns)
        tell_rate(log);
}

void fc_capture_log_notice(const struct fc_capture_log *log, const struct fc_notice *n)
{
    bool wrong = n->kind == FC_NOTICE_REFUSED || n->kind == FC_NOTICE_DAMAGE || n->kind == FC_NOTICE_FILTER;
    char text[FC_ERROR_TEXT_MAX];

    if (wrong || log->verbose)
        fc_log(wrong ? FC_LEVEL_WARNING : FC_LEVEL_INFO, "warning: %s", fc_error_text(&n->what, text, sizeof text));
}

void fc_capture_log_word(const struct fc_capture_log *log, const struct fc_error *what)
{
    char text[FC_ERROR_TEXT_MAX];

    if (what->code)
        fc_complain("%s; it is tried again", fc_error_text(what, text, sizeof text));
    else if (!log->quiet)
        fc_log(FC_LEVEL_INFO, "%s", fc_error_text(what, text, sizeof text));
}

void fc_capture_log_end(struct fc_capture_log *log)
{
    const struct fc_recorder_counts none = {0};
    struct fc_recorder_counts now;
    char dropped[256], b[3][48];

    fc_recorder_count(log->recorder, NULL, &now);
    uint64_t lost = say_dropped(&none, &now, dropped, sizeof dropped);
    if (!log->quiet || lost)
        fc_log(lost ? FC_LEVEL_WARNING : FC_LEVEL_INFO, "%s received, %s recorded (%s); dropped: %s",
               fc_human_things(now.received, "packet", b[0], sizeof b[0]),
               fc_human_count(now.recorded, b[1], sizeof b[1]), fc_human_bytes(now.recorded_bytes, b[2], sizeof b[2]),
               lost ? dropped : "none");
}
