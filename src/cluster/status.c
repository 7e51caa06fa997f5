/* SPDX-License-Identifier: MIT */
#include "base/error.h"
#include "base/export.h"
#include "base/varint.h"
#include "base/vector.h"
#include "cluster/binary_rows.h"
#include "cluster/config.h"
#include "cluster/engine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_ROOM = 64 };

/* An answer as it is read; once it is not what was expected, nothing of it counts. */
struct answer {
    struct fc_binary_rows rows;
    size_t at;
    bool bad;
};

static int take(void *ctx, const uint8_t *data, size_t len, struct fc_error *err)
{
    struct fc_binary_rows *rows = ctx;

    fc_binary_put_bytes(rows, data, len);
    return rows->failed ? fc_error_set(err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory") : 0;
}

static const uint8_t *next_bytes(struct answer *a, size_t len)
{
    static const uint8_t none[NAME_ROOM];

    if (a->bad || (a->bad = len > a->rows.len - a->at))
        return none;
    a->at += len;
    return a->rows.data + a->at - len;
}

static uint64_t next_number(struct answer *a)
{
    const uint8_t *p = next_bytes(a, 8);
    uint64_t v = 0;

    for (unsigned i = 8; i-- > 0;)
        v = v << 8 | p[i];
    return v;
}

static void next_name(struct answer *a, char name[NAME_ROOM])
{
    size_t len = *next_bytes(a, 1); /* what is no sensor's name is longer than that may be, or has other bytes */

    name[0] = '\0';
    if ((a->bad |= len >= NAME_ROOM))
        return;
    memcpy(name, next_bytes(a, len), len);
    name[len] = '\0';
}

struct asking {
    struct fc_cluster_status *status;
    size_t room;
    struct fc_engine *engine;
    const char *url;
    struct fc_error *err;
};

static int no_memory(const struct asking *q)
{
    return fc_error_set(q->err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");
}

static int ask(struct asking *q, const char *sql, struct answer *a)
{
    *a = (struct answer){0};
    return fc_engine_run(q->engine, sql, NULL, take, &a->rows, q->err);
}

static int end(const struct asking *q, struct answer *a, int rc)
{
    fc_binary_rows_fini(&a->rows);
    return rc || !a->bad
               ? rc
               : fc_error_set(q->err, FC_E_DB, q->url, FC_NO_OFFSET, "its tables are not as flowcarve makes them");
}

static int read_progress(struct asking *q)
{
    struct fc_cluster_status *s = q->status;
    struct answer a;
    int rc = ask(q,
                 "SELECT sensor, generation, run, until, batches, clock_ns, told_ns FROM progress ORDER BY step DESC"
                 " LIMIT 1 BY sensor, generation FORMAT RowBinary",
                 &a);

    while (rc == 0 && !a.bad && a.at < a.rows.len) {
        if (fc_vector_reserve(&s->sensor, &q->room, s->count + 1, sizeof *s->sensor)) {
            rc = no_memory(q);
            break;
        }
        struct fc_sensor_status *one = &s->sensor[s->count++];
        *one = (struct fc_sensor_status){.known = true};
        next_name(&a, one->name);
        memcpy(one->generation, next_bytes(&a, 16), 16);
        one->run = next_number(&a);
        one->until = next_number(&a);
        one->batches = next_number(&a);
        one->clock_ns = (int64_t)next_number(&a);
        one->told_ns = (int64_t)next_number(&a);
    }
    return end(q, &a, rc);
}

static struct fc_sensor_status *find(const struct asking *q, const char *name, const uint8_t generation[16])
{
    for (size_t i = 0; i < q->status->count; i++)
        if (memcmp(q->status->sensor[i].generation, generation, 16) == 0 &&
            strcmp(q->status->sensor[i].name, name) == 0)
            return &q->status->sensor[i];
    return NULL;
}

static int read_asked(struct asking *q)
{
    struct answer a;
    int rc = ask(q, "SELECT sensor, generation FROM sensor ORDER BY since DESC LIMIT 1 BY sensor FORMAT RowBinary", &a);

    while (rc == 0 && !a.bad && a.at < a.rows.len) {
        char name[NAME_ROOM];
        next_name(&a, name);
        struct fc_sensor_status *one = find(q, name, next_bytes(&a, 16));
        if (one)
            one->asked = true;
    }
    return end(q, &a, rc);
}

static int read_sessions(struct asking *q)
{
    struct answer a;
    int rc = ask(
        q,
        "SELECT sensor, generation, sum(n) FROM (SELECT sensor, generation, slot, arraySum(sessions) AS n FROM rollup"
        " ORDER BY revision DESC LIMIT 1 BY sensor, generation, slot) GROUP BY sensor, generation FORMAT RowBinary",
        &a);

    while (rc == 0 && !a.bad && a.at < a.rows.len) {
        char name[NAME_ROOM];
        next_name(&a, name);
        struct fc_sensor_status *one = find(q, name, next_bytes(&a, 16));
        uint64_t sessions = next_number(&a);
        if (one)
            one->sessions = sessions;
    }
    return end(q, &a, rc);
}

/* Indexes that were asked once, and are not any more, go. */
static void leave_out_old(struct fc_cluster_status *s)
{
    size_t kept = 0;

    for (size_t i = 0; i < s->count; i++)
        if (s->sensor[i].asked || !s->sensor[i].run)
            s->sensor[kept++] = s->sensor[i];
    s->count = kept;
}

static int compare(const void *a, const void *b)
{
    const struct fc_sensor_status *x = a, *y = b;
    int order = strcmp(x->name, y->name);

    return order ? order : (int)y->asked - (int)x->asked;
}

/* Those that the file names and of which the engine knows nothing. */
static int add_named(struct asking *q, const struct fc_cluster *cluster)
{
    struct fc_cluster_status *s = q->status;
    size_t known = s->count;

    for (size_t i = 0; i < cluster->sensors; i++) {
        size_t k = 0;
        while (k < known && strcmp(s->sensor[k].name, cluster->sensor[i].name) != 0)
            k++;
        if (k < known)
            continue;
        if (fc_vector_reserve(&s->sensor, &q->room, s->count + 1, sizeof *s->sensor))
            return no_memory(q);
        s->sensor[s->count] = (struct fc_sensor_status){0};
        snprintf(s->sensor[s->count++].name, NAME_ROOM, "%s", cluster->sensor[i].name);
    }
    return 0;
}

FC_EXPORT int fc_cluster_status(const struct fc_cluster *cluster, const int *stop, struct fc_cluster_status *out,
                                struct fc_error *err)
{
    struct asking q = {.status = out, .url = cluster->engine.url, .err = err};
    int rc;

    *out = (struct fc_cluster_status){0};
    if ((rc = fc_engine_open(&cluster->engine, cluster->database, stop, &q.engine, err)))
        return rc;
    unsigned release = fc_engine_release(q.engine);
    snprintf(out->release, sizeof out->release, "%u.%u", release / 1000, release % 1000);
    if ((rc = read_progress(&q)) == 0 && (rc = read_asked(&q)) == 0 && (rc = read_sessions(&q)) == 0) {
        leave_out_old(out);
        rc = add_named(&q, cluster);
    }
    if (rc == 0 && out->count)
        qsort(out->sensor, out->count, sizeof *out->sensor, compare);
    fc_engine_close(q.engine);
    if (rc)
        fc_cluster_status_fini(out);
    return rc;
}

FC_EXPORT void fc_cluster_status_fini(struct fc_cluster_status *status)
{
    free(status->sensor);
    *status = (struct fc_cluster_status){0};
}
