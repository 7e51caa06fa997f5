/* SPDX-License-Identifier: MIT */
/*
 * How far a command has come: on a terminal one line that is drawn again and again, else, with -v, a line now and then.
 * All goes to standard error.
 *
 * Threads: fc_bar_show() is called by one of the library's, all else by the main one; a lock keeps their lines
 * apart.
 */
#ifndef FC_CLI_PROGRESS_H
#define FC_CLI_PROGRESS_H

#include <flowcarve/progress.h>
#include <pthread.h>
#include <stdbool.h>

struct fc_bar {
    bool terminal, lines; /* what is shown */
    bool drawn;           /* a line stands on the terminal that is to be drawn over */
    int64_t start_ns, phase_ns, line_ns, seen_ns;
    uint32_t phase;
    struct fc_progress last;
    pthread_mutex_t lock;
};

/* quiet: nothing is shown; verbose: lines where standard error is no terminal. */
void fc_bar_init(struct fc_bar *bar, bool quiet, bool verbose);
/* A fc_progress_call; ctx: the bar. */
void fc_bar_show(void *bar, const struct fc_progress *now);
/* Between these two the terminal is free for a line of another kind. */
void fc_bar_hold(struct fc_bar *bar);
void fc_bar_release(struct fc_bar *bar);
/* Takes the bar away; where something was shown, and it went well, says how fast that was. */
void fc_bar_end(struct fc_bar *bar, bool well);

#endif
