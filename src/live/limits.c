/* SPDX-License-Identifier: MIT */
#include "live/limits.h"
#include "live/changes.h"

#include <string.h>
#include <time.h>

#define MS INT64_C(1000000)
#define SECOND (1000 * MS)
#define OFTEN_NS (10 * SECOND) /* limits are looked at that often, and behind what was added, but no more than */
#define LEAST_NS (100 * MS)    /* once in this time, unless there is more to do */

static void on_deleted(void *ctx, const struct fc_retain_deleted *deleted)
{
    const struct fc_limits *l = ctx;

    if (l->deleted)
        l->deleted(l->ctx, deleted);
}

static void on_word(void *ctx, const struct fc_error *what)
{
    const struct fc_limits *l = ctx;
    struct fc_error told = *what;

    if (told.code == FC_E_CHANGED)
        told.code = FC_OK; /* that is left alone, and not tried again */
    if (l->word)
        l->word(l->ctx, &told);
}

int fc_limits_open(struct fc_limits *l, const char *db_path, const char *const *folders, size_t count,
                   const struct fc_retain_limits *what, struct fc_error *err)
{
    struct fc_retain_options o = {.deleted = on_deleted, .word = on_word, .ctx = l};

    if (!what)
        return 0;
    o.limits = *what;
    return fc_retain_open(db_path, folders, count, &o, &l->retain, err);
}

void fc_limits_close(struct fc_limits *l)
{
    fc_retain_close(l->retain);
    l->retain = NULL;
}

void fc_limits_soon(struct fc_limits *l)
{
    if (l->next_ns > l->looked_ns + LEAST_NS)
        l->next_ns = l->looked_ns + LEAST_NS;
}

bool fc_limits_due(const struct fc_limits *l)
{
    return l->retain && fc_live_now() >= l->next_ns;
}

void fc_limits_keep(struct fc_limits *l, bool settled)
{
    struct fc_retain_result result;
    struct fc_error err = {0};
    struct timespec wall;

    if (!fc_limits_due(l))
        return;
    clock_gettime(CLOCK_REALTIME, &wall);
    int rc = fc_retain_step(l->retain, (int64_t)wall.tv_sec * SECOND + wall.tv_nsec, settled, 0, &result, &err);
    l->looked_ns = fc_live_now();
    l->next_ns = l->looked_ns + (rc == 0 && result.more ? 0 : OFTEN_NS);
    if (rc && l->word && (l->failure.code != err.code || strcmp(l->failure.cause, err.cause) != 0))
        l->word(l->ctx, &err);
    l->failure = err;
    if (l->retained)
        l->retained(l->ctx, &result);
}
