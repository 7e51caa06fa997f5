/* SPDX-License-Identifier: MIT */
#include "cli/progress.h"
#include "cli/cli.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

enum { BAR_LEAST = 8, BAR_MOST = 40, LINE_MAX_BYTES = 400 };

#define NS_PER_S INT64_C(1000000000)
#define LINE_EVERY_NS (5 * NS_PER_S)

static int64_t now_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

void fc_bar_init(struct fc_bar *bar, bool quiet, bool verbose)
{
    memset(bar, 0, sizeof *bar);
    pthread_mutex_init(&bar->lock, NULL);
    bar->terminal = !quiet && isatty(STDERR_FILENO);
    bar->lines = !quiet && verbose && !bar->terminal;
    bar->start_ns = bar->phase_ns = bar->line_ns = bar->seen_ns = now_ns();
}

/* Of 1000: what is known of the phase; -1: nothing. */
static int share(const struct fc_progress *p)
{
    uint64_t total = p->phase == FC_PHASE_WRITING ? p->sessions_total
                     : p->bytes_total             ? p->bytes_total
                                                  : p->records_total;
    uint64_t done = p->phase == FC_PHASE_WRITING ? p->sessions_written : p->bytes_total ? p->bytes_done : p->records;

    if ((p->phase != FC_PHASE_READING && p->phase != FC_PHASE_WRITING) || !total)
        return -1;
    return (int)(done < total ? (double)done / (double)total * 1000 : 1000);
}

static void put(char *line, const char *text)
{
    size_t len = strlen(line);

    snprintf(line + len, LINE_MAX_BYTES - len, "%s%s", len ? "  " : "", text);
}

/* "1.23 GB/s  4.5 Mpps" */
static void put_speed(char *line, const struct fc_progress *p, int64_t ns)
{
    double s = (double)(ns > NS_PER_S / 1000 ? ns : NS_PER_S / 1000) / 1e9;
    char text[64];

    snprintf(text, sizeof text, "%.2f GB/s", (double)p->bytes_done / 1e9 / s);
    put(line, text);
    if (!p->records) /* they are counted later */
        return;
    snprintf(text, sizeof text, "%.2f Mpps", (double)p->records / 1e6 / s);
    put(line, text);
}

/* "0:07 left", "2:13:45 left", from what the phase has taken so far. */
static void put_left(char *line, int share, int64_t ns)
{
    int64_t left = share > 0 ? (int64_t)((double)ns / share * (1000 - share) / 1e9 + 0.5) : 0;
    char text[64];

    if (share < 1 || share == 1000 || ns < NS_PER_S / 2) /* it would jump */
        return;
    if (left >= 3600)
        snprintf(text, sizeof text, "%" PRId64 ":%02d:%02d left", left / 3600, (int)(left / 60 % 60), (int)(left % 60));
    else
        snprintf(text, sizeof text, "%d:%02d left", (int)(left / 60), (int)(left % 60));
    put(line, text);
}

static void describe(const struct fc_bar *bar, const struct fc_progress *p, char *line)
{
    static const char *const phases[] = {"looking", "reading", "finishing", "writing", "done"};
    int64_t ns = now_ns() - bar->phase_ns;
    char text[64];
    int of_1000 = share(p);

    snprintf(line, LINE_MAX_BYTES, "%s", phases[p->phase > FC_PHASE_DONE ? FC_PHASE_DONE : p->phase]);
    if (of_1000 >= 0) {
        snprintf(text, sizeof text, "%3d%%", of_1000 / 10);
        put(line, text);
    }
    if (p->phase == FC_PHASE_READING)
        put_speed(line, p, ns);
    if (p->sessions)
        put(line, fc_human_things(p->sessions, "session", text, sizeof text));
    put_left(line, of_1000, ns);
}

/* The line, with a bar behind the percentage where there is room for one. */
static void draw(struct fc_bar *bar, const struct fc_progress *p)
{
    struct winsize size;
    char line[LINE_MAX_BYTES], drawn[BAR_MOST + 4] = "";
    int of_1000 = share(p);

    describe(bar, p, line);
    int width = ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col ? size.ws_col : 80;
    int room = width - 1 - (int)strlen(line) - 4; /* "  [" and "]" */
    size_t head = of_1000 >= 0 ? strcspn(line, "%") + 1 : strlen(line);
    if (of_1000 >= 0 && room >= BAR_LEAST) {
        int most = width / 5 < BAR_MOST ? width / 5 : BAR_MOST; /* its length stays while what is behind it grows */
        int cells = room < most ? room : most, full = cells * of_1000 / 1000;
        memset(drawn, ' ', sizeof drawn);
        memset(drawn + 1, '#', (size_t)full);
        drawn[0] = '[';
        drawn[cells + 1] = ']';
        drawn[cells + 2] = '\0';
    }
    fprintf(stderr, "\r\033[K%.*s%s%s%.*s", (int)head, line, *drawn ? "  " : "", drawn,
            width - 1 - (int)head > 0 ? width - 1 - (int)head - (*drawn ? 2 + (int)strlen(drawn) : 0) : 0, line + head);
    fflush(stderr);
    bar->drawn = true;
}

static void erase(struct fc_bar *bar)
{
    if (bar->drawn)
        fputs("\r\033[K", stderr);
    bar->drawn = false;
}

void fc_bar_show(void *ctx, const struct fc_progress *now)
{
    struct fc_bar *bar = ctx;
    int64_t ns = now_ns();

    pthread_mutex_lock(&bar->lock);
    bool next = now->phase != bar->phase;
    if (next) /* it began some time since the call before */
        bar->phase_ns = bar->seen_ns;
    bar->seen_ns = ns;
    bar->phase = now->phase;
    bar->last = *now;
    if (bar->terminal && now->phase != FC_PHASE_DONE) {
        draw(bar, now);
    } else if (bar->lines && now->phase != FC_PHASE_DONE && (next || ns - bar->line_ns >= LINE_EVERY_NS)) {
        char line[LINE_MAX_BYTES];
        describe(bar, now, line);
        fprintf(stderr, "%s\n", line);
        bar->line_ns = ns;
    }
    pthread_mutex_unlock(&bar->lock);
}

void fc_bar_hold(struct fc_bar *bar)
{
    pthread_mutex_lock(&bar->lock);
    erase(bar);
}

void fc_bar_release(struct fc_bar *bar)
{
    pthread_mutex_unlock(&bar->lock);
}

void fc_bar_end(struct fc_bar *bar, bool well)
{
    char line[LINE_MAX_BYTES] = "", b[2][48];
    const struct fc_progress *p = &bar->last;
    int64_t ns = now_ns() - bar->start_ns;

    erase(bar);
    if (well && (bar->terminal || bar->lines) && p->bytes_done) {
        put_speed(line, p, ns);
        fprintf(stderr, "%s and %s in %.2f s: %s\n", fc_human_bytes(p->bytes_done, b[0], sizeof b[0]),
                fc_human_things(p->records, "packet", b[1], sizeof b[1]), (double)ns / 1e9, line);
    }
    pthread_mutex_destroy(&bar->lock);
}
