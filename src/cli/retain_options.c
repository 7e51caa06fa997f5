/* SPDX-License-Identifier: MIT */
#include "cli/retain_options.h"
#include "cli/table_cell.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* A limit by itself: one of bytes has a unit, which minutes ('m') share with none. */
static int set_limit(struct fc_retain_limits *l, const char *command, const char *word)
{
    size_t digits = strspn(word, "0123456789");
    uint64_t bytes = 0;
    int64_t ns = 0;
    bool time = fc_duration_option(word, &ns);

    if (!time && !(digits && word[digits] && fc_size_option(word, &bytes) && bytes)) {
        fc_complain("%s: --keep takes bytes, such as 500G or 2T, a time, such as 12h, 30d or 1y, or both with a comma, "
                    "not '%s'%s",
                    command, word, digits && !word[digits] ? " without a unit" : "");
        return -1;
    }
    if (time ? l->keep_ns != 0 : l->keep_bytes != 0) {
        fc_complain("%s: --keep has two limits of %s", command, time ? "time" : "bytes");
        return -1;
    }
    if (time)
        l->keep_ns = ns;
    else
        l->keep_bytes = bytes;
    return 0;
}

int fc_take_keep(const char *command, void *limits, const char *value)
{
    char *list = strdup(value), *rest = list, *word;
    int rc = list ? 0 : -1;

    if (!list)
        fc_complain("%s: out of memory", command);
    while (rc == 0 && (word = strsep(&rest, ",")))
        rc = set_limit(limits, command, word);
    free(list);
    return rc;
}

int fc_take_min_free(const char *command, void *limits, const char *value)
{
    struct fc_retain_limits *l = limits;
    size_t n = strspn(value, "0123456789.");
    char *end;
    double part = strtod(value, &end);

    if (n && end == value + n && strcmp(end, "%") == 0 && part > 0 && part < 100) {
        l->min_free_part = part / 100;
        l->min_free_bytes = 0;
        return 0;
    }
    n = strspn(value, "0123456789");
    if (n && value[n] && fc_size_option(value, &l->min_free_bytes) && l->min_free_bytes) {
        l->min_free_part = 0;
        return 0;
    }
    fc_complain("%s: --min-free takes a part of the disk, such as 10%%, or bytes, such as 50G, not '%s'", command,
                value);
    return -1;
}

int fc_take_keep_sessions(const char *command, void *place, const char *value)
{
    int64_t *ns = place;

    if (strcmp(value, "forever") == 0) {
        *ns = INT64_MAX;
        return 0;
    }
    if (fc_duration_option(value, ns))
        return 0;
    fc_complain("%s: --keep-sessions takes a time, such as 90d or 1y, or 'forever', not '%s'", command, value);
    return -1;
}

bool fc_retain_given(const struct fc_retain_limits *l)
{
    return l->keep_bytes || l->keep_ns || l->min_free_bytes || l->min_free_part > 0;
}

int fc_retain_end(const struct fc_retain_limits *l, const char *command)
{
    if (!l->keep_sessions_ns || fc_retain_given(l))
        return 0;
    fc_complain("%s: --keep-sessions goes with --keep or --min-free: without them all sessions stay", command);
    return -1;
}

void fc_retain_add(struct fc_retain_sum *sum, const struct fc_retain_deleted *d)
{
    if (!sum->deleted++)
        sum->last_ns = INT64_MIN;
    sum->deleted_bytes += d->bytes;
    if (d->has_time && d->last_ns > sum->last_ns)
        sum->last_ns = d->last_ns;
}

static const char *until(bool has_time, int64_t last_ns, char *buf, size_t size)
{
    char time[FC_CELL_MAX];

    if (has_time)
        fc_cell_time(time, last_ns, 0, false);
    snprintf(buf, size, "%s%s", has_time ? ", with packets up to " : "", has_time ? time : "");
    return buf;
}

void fc_retain_tell(struct fc_retain_sum *sum)
{
    char b[2][48], time[FC_CELL_MAX + 32];

    if (sum->deleted)
        fc_log(FC_LEVEL_INFO, "%s deleted, %s%s", fc_human_things(sum->deleted, "capture", b[0], sizeof b[0]),
               fc_human_bytes(sum->deleted_bytes, b[1], sizeof b[1]),
               until(sum->last_ns != INT64_MIN, sum->last_ns, time, sizeof time));
    *sum = (struct fc_retain_sum){0};
}

static int64_t now_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

void fc_retain_tell_in_time(struct fc_retain_sum *sum, bool end)
{
    const int64_t minute_ns = INT64_C(60) * 1000000000, now = now_ns();

    if (!sum->deleted || (!end && sum->told_ns && now - sum->told_ns < minute_ns))
        return;
    fc_retain_tell(sum);
    sum->told_ns = now;
}

void fc_retain_count(struct fc_status *counts, const struct fc_retain_result *r)
{
    counts->deleted_files += r->deleted;
    counts->deleted_bytes += r->deleted_bytes;
    counts->forgotten_sessions += r->sessions;
    counts->captures_bytes = r->capture_bytes;
    counts->min_free_bytes = r->min_free_bytes;
}

void fc_retain_status(const struct fc_retain_limits *limits, const struct fc_status *counts, struct fc_status *s)
{
    s->keep_bytes = limits->keep_bytes;
    s->keep_ns = limits->keep_ns;
    s->keep_sessions_ns = limits->keep_sessions_ns;
    s->min_free_bytes = counts->min_free_bytes ? counts->min_free_bytes : limits->min_free_bytes;
    s->deleted_files = counts->deleted_files;
    s->deleted_bytes = counts->deleted_bytes;
    s->forgotten_sessions = counts->forgotten_sessions;
    s->captures_bytes = counts->captures_bytes;
}

void fc_retain_tell_one(const struct fc_retain_deleted *d)
{
    static const char *const whys[] = {
        [FC_RETAIN_BYTES] = "--keep, bytes", [FC_RETAIN_AGE] = "--keep, age", [FC_RETAIN_FREE] = "--min-free"};
    char b[48], time[FC_CELL_MAX + 32];

    fc_log(FC_LEVEL_INFO, "deleted %s (%s): %s%s", d->path, whys[d->why], fc_human_bytes(d->bytes, b, sizeof b),
           until(d->has_time, d->last_ns, time, sizeof time));
}
