/* SPDX-License-Identifier: MIT */
#include "cli/monitor.h"
#include "cli/cli.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SECOND INT64_C(1000000000)
#define SERVICE_NS (10 * SECOND) /* the line that `systemctl status` shows is as old at most */

static int64_t clock_ns(clockid_t clock)
{
    struct timespec ts;

    clock_gettime(clock, &ts);
    return (int64_t)ts.tv_sec * SECOND + ts.tv_nsec;
}

/* "a, b", cut where there is no more room. */
static void join(char *buf, size_t size, const char *const *words, int count)
{
    *buf = '\0';
    for (int i = 0; i < count; i++)
        snprintf(buf + strlen(buf), size - strlen(buf), "%s%s", i ? ", " : "", words[i]);
}

static void write_metrics(struct fc_monitor *m)
{
    struct fc_error err;
    bool failed = m->o.metrics && fc_metrics_write(m->o.metrics, m->o.db, &m->o.rights, &m->status, &err) != 0;

    if (failed && !m->metrics_failed)
        fc_complain_error(&err);
    m->metrics_failed = failed;
}

int fc_monitor_open(struct fc_monitor *m, const struct fc_monitor_options *o)
{
    struct fc_error err;

    *m = (struct fc_monitor){.o = *o};
    m->status.role = o->role;
    m->status.pid = (uint32_t)getpid();
    m->status.started_ns = clock_ns(CLOCK_REALTIME);
    join(m->status.what, sizeof m->status.what, o->what, o->what_count);
    m->service.fd = -1;
    if (fc_status_meter_new(&m->meter, &err)) {
        fc_complain_error(&err);
        return -1;
    }
    write_metrics(m);
    if (m->metrics_failed) { /* a name that is wrong is told at once */
        fc_status_meter_free(m->meter);
        return -1;
    }
    pthread_mutex_init(&m->lock, NULL);
    fc_service_open(&m->service);
    return 0;
}

/* With the lock held. */
static void publish(struct fc_monitor *m)
{
    struct fc_status *s = &m->status;
    int64_t now = clock_ns(CLOCK_MONOTONIC);
    char packets[48];

    if (m->published_ns && now - m->published_ns < SECOND)
        return;
    m->published_ns = now;
    m->o.fill(m->o.ctx, s);
    fc_status_measure(m->meter, s);
    m->o.tell(m->o.ctx, s);
    write_metrics(m);
    if (now - m->service_told_ns < SERVICE_NS)
        return;
    m->service_told_ns = now;
    fc_service_tell(&m->service, "STATUS=%s a second, %.1f s behind",
                    fc_human_things((uint64_t)s->packets_per_s[0], "packet", packets, sizeof packets),
                    (double)s->lag_ns / 1e9);
}

void fc_monitor_ready(struct fc_monitor *m)
{
    pthread_mutex_lock(&m->lock);
    fc_service_tell(&m->service, "READY=1");
    publish(m);
    pthread_mutex_unlock(&m->lock);
}

void fc_monitor_tick(struct fc_monitor *m)
{
    pthread_mutex_lock(&m->lock);
    memset(&m->seen, 0, sizeof m->seen);
    fc_service_alive(&m->service);
    publish(m);
    pthread_mutex_unlock(&m->lock);
}

static bool differs(const struct fc_progress *a, const struct fc_progress *b)
{
    return a->bytes_done != b->bytes_done || a->files_done != b->files_done || a->records != b->records ||
           a->sessions != b->sessions || a->sessions_written != b->sessions_written || a->phase != b->phase;
}

void fc_monitor_progress(void *monitor, const struct fc_progress *now)
{
    struct fc_monitor *m = monitor;

    pthread_mutex_lock(&m->lock);
    if (differs(&m->seen, now))
        fc_service_alive(&m->service);
    m->seen = *now;
    publish(m);
    pthread_mutex_unlock(&m->lock);
}

void fc_monitor_failed(struct fc_monitor *m, const struct fc_error *what)
{
    char text[FC_ERROR_TEXT_MAX];

    pthread_mutex_lock(&m->lock);
    snprintf(m->status.word, sizeof m->status.word, "%s", fc_error_text(what, text, sizeof text));
    m->status.errors++;
    m->status.word_ns = clock_ns(CLOCK_REALTIME);
    pthread_mutex_unlock(&m->lock);
}

void fc_monitor_close(struct fc_monitor *m)
{
    fc_service_tell(&m->service, "STOPPING=1");
    if (m->o.metrics)
        unlink(m->o.metrics);
    fc_service_close(&m->service);
    fc_status_meter_free(m->meter);
    pthread_mutex_destroy(&m->lock);
}
