/* SPDX-License-Identifier: MIT */
#include "base/export.h"
#include "base/error.h"
#include "cluster/config.h"
#include "cluster/engine.h"
#include "cluster/journal.h"
#include "cluster/rollup.h"
#include "cluster/tables.h"
#include "store/generation.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define QUIET_NS (INT64_C(60) * 1000000000)

enum {
    BATCH = 65536, /* IDs */
    /* exceptions */
    UNKNOWN_TABLE = 60,
    UNKNOWN_DATABASE = 81
};

static const char progress_columns[] = "progress (sensor,generation,step,run,until,batches,fields,clock_ns,told_ns)";

/* What the engine has noted of an index. */
struct told {
    bool known;
    uint64_t step, run, until, batches;
    int64_t clock_ns, told_ns;
    bool is_asked; /* this index is what is asked under the sensor's name */
    bool other;    /* another one is */
};

struct fc_exporter {
    struct fc_peer peer; /* the cluster's, copied by the engine when it is opened */
    char *database, *path, *sensor;
    bool again, compress;
    const int *stop;
    fc_progress_call *progress;
    void *ctx;
    struct fc_engine *engine; /* NULL: not asked yet */
    struct fc_journal_state state;
    struct told told;
    struct fc_binary_rows rows;
    struct fc_slots slots;
    struct fc_export_result *result;
    struct fc_progress how_far;
};

static int no_memory(struct fc_error *err)
{
    return fc_error_set(err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");
}

static int64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

FC_EXPORT int fc_exporter_open(const struct fc_cluster *cluster, const char *db_path,
                               const struct fc_export_options *options, struct fc_exporter **out, struct fc_error *err)
{
    struct fc_exporter *x;

    *out = NULL;
    if (!options->sensor || !fc_is_sensor_name(options->sensor))
        return fc_error_set(err, FC_E_USAGE, NULL, FC_NO_OFFSET,
                            "a sensor's name has letters, digits, '.', '_' and '-', 63 of them at the most, the first "
                            "a letter or a digit");
    if (!(x = calloc(1, sizeof *x)) || fc_peer_copy(&x->peer, &cluster->engine) ||
        !(x->database = strdup(cluster->database)) || !(x->path = strdup(db_path)) ||
        !(x->sensor = strdup(options->sensor))) {
        fc_exporter_close(x);
        return no_memory(err);
    }
    x->again = options->again;
    x->compress = options->compress;
    x->stop = options->stop;
    x->progress = options->progress;
    x->ctx = options->ctx;
    *out = x;
    return 0;
}

FC_EXPORT void fc_exporter_close(struct fc_exporter *x)
{
    if (!x)
        return;
    fc_engine_close(x->engine);
    fc_peer_fini(&x->peer);
    fc_binary_rows_fini(&x->rows);
    fc_slots_fini(&x->slots);
    free(x->database);
    free(x->path);
    free(x->sensor);
    free(x);
}

/* ---- what the engine has */

/* An answer of one row at the most. */
struct row {
    uint8_t bytes[64];
    size_t len;
};

static int take_row(void *ctx, const uint8_t *data, size_t len, struct fc_error *err)
{
    struct row *row = ctx;

    if (len > sizeof row->bytes - row->len)
        return fc_error_set(err, FC_E_DB, NULL, FC_NO_OFFSET, "the engine answers with more than was asked");
    memcpy(row->bytes + row->len, data, len);
    row->len += len;
    return 0;
}

static uint64_t number(const struct row *row, unsigned place)
{
    uint64_t v = 0;

    for (unsigned i = 8; i-- > 0;)
        v = v << 8 | row->bytes[8 * place + i];
    return v;
}

static int ask_progress(struct fc_exporter *x, struct fc_error *err)
{
    char sql[600], name[2 * 64 + 10], id[2 * 16 + 10];
    struct row row = {.len = 0};
    int rc;

    snprintf(sql, sizeof sql,
             "SELECT step, run, until, batches, clock_ns, told_ns FROM progress WHERE sensor = %s AND generation = "
             "toFixedString(%s, 16)"
             " ORDER BY step DESC LIMIT 1 FORMAT RowBinary",
             fc_sql_bytes(x->sensor, strlen(x->sensor), name), fc_sql_bytes(x->state.generation, 16, id));
    if ((rc = fc_engine_run(x->engine, sql, NULL, take_row, &row, err)))
        return rc;
    if (row.len && row.len != 48)
        return fc_error_set(err, FC_E_DB, x->peer.url, FC_NO_OFFSET, "table progress is not as flowcarve makes it");
    x->told = (struct told){.clock_ns = INT64_MIN};
    if (row.len)
        x->told = (struct told){.step = number(&row, 0),
                                .run = number(&row, 1),
                                .until = number(&row, 2),
                                .batches = number(&row, 3),
                                .clock_ns = (int64_t)number(&row, 4),
                                .told_ns = (int64_t)number(&row, 5)};
    return 0;
}

static int ask_sensor(struct fc_exporter *x, struct fc_error *err)
{
    char sql[400], name[2 * 64 + 10];
    struct row row = {.len = 0};
    int rc;

    snprintf(sql, sizeof sql,
             "SELECT generation FROM sensor WHERE sensor = %s ORDER BY since DESC LIMIT 1 FORMAT RowBinary",
             fc_sql_bytes(x->sensor, strlen(x->sensor), name));
    if ((rc = fc_engine_run(x->engine, sql, NULL, take_row, &row, err)))
        return rc;
    x->told.is_asked = row.len == 16 && memcmp(row.bytes, x->state.generation, 16) == 0;
    x->told.other = row.len == 16 && !x->told.is_asked;
    return 0;
}

/* Asks; where there are no tables yet they are made, as of one server. */
static int ask_told(struct fc_exporter *x, struct fc_error *err)
{
    int rc = ask_progress(x, err);

    if (rc == FC_E_DB &&
        (fc_engine_code(x->engine) == UNKNOWN_TABLE || fc_engine_code(x->engine) == UNKNOWN_DATABASE)) {
        if ((rc = fc_tables_make(x->engine, err)) == 0) {
            x->result->made_tables = true;
            rc = ask_progress(x, err);
        }
    }
    if (rc == 0 && (rc = ask_sensor(x, err)) == 0)
        x->told.known = true;
    return rc;
}

/* May what the engine has be gone on with? */
static int check_told(struct fc_exporter *x, struct fc_error *err)
{
    const struct told *t = &x->told;
    uint64_t most = t->run > t->until ? t->run : t->until;

    if (most > (uint64_t)x->state.run)
        return fc_error_set(err, FC_E_USAGE, x->path, FC_NO_OFFSET,
                            "the engine has %" PRIu64 " runs of this index, and it has %" PRId64
                            " itself: it is an older copy; --again exports it as another index",
                            most, x->state.run);
    if (t->clock_ns > x->state.clock_ns)
        return fc_error_set(err, FC_E_USAGE, x->path, FC_NO_OFFSET,
                            "the engine has later packets of this index than it has itself: it is a copy that went "
                            "another way; --again exports"
                            " it as another index");
    if (t->other && t->run > 0)
        return fc_error_set(
            err, FC_E_USAGE, x->path, FC_NO_OFFSET,
            "sensor %s is another index by now, which was exported under this name; --again puts this one in its place",
            x->sensor);
    return 0;
}

/* ---- sending */

static int note(struct fc_exporter *x, uint64_t run, uint64_t until, uint64_t batches, struct fc_error *err)
{
    struct told *t = &x->told;
    struct fc_binary_rows *rows = &x->rows;
    int64_t told_ns = now_ns();
    int rc;

    fc_binary_rows_clear(rows);
    fc_binary_put_text(rows, x->sensor, strlen(x->sensor));
    fc_binary_put_bytes(rows, x->state.generation, 16);
    fc_binary_put_number(rows, t->step + 1, 8);
    fc_binary_put_number(rows, run, 8);
    fc_binary_put_number(rows, until, 8);
    fc_binary_put_number(rows, batches, 8);
    fc_binary_put_number(rows, x->state.fields, 4);
    fc_binary_put_number(rows, (uint64_t)x->state.clock_ns, 8);
    fc_binary_put_number(rows, (uint64_t)told_ns, 8);
    if (rows->failed)
        return no_memory(err);
    if ((rc = fc_engine_insert(x->engine, progress_columns, rows->data, rows->len, err)))
        return rc;
    *t = (struct told){.known = true,
                       .step = t->step + 1,
                       .run = run,
                       .until = until,
                       .batches = batches,
                       .clock_ns = x->state.clock_ns,
                       .told_ns = told_ns,
                       .is_asked = t->is_asked,
                       .other = t->other};
    return 0;
}

/* From now on this index is asked. It comes behind all that were before, whatever clocks say. */
static int flip(struct fc_exporter *x, struct fc_error *err)
{
    char sql[400], name[2 * 64 + 10], id[2 * 16 + 10];
    int rc;

    if (x->told.is_asked)
        return 0;
    snprintf(sql, sizeof sql,
             "INSERT INTO sensor (sensor, since, generation) SELECT %s, greatest(toUInt64(%" PRId64
             "), max(since) + 1), toFixedString(%s, 16)"
             " FROM sensor WHERE sensor = %s",
             fc_sql_bytes(x->sensor, strlen(x->sensor), name), now_ns(), fc_sql_bytes(x->state.generation, 16, id),
             name);
    if ((rc = fc_engine_run(x->engine, sql, NULL, NULL, NULL, err)))
        return rc;
    x->told.is_asked = true;
    x->told.other = false;
    x->result->flipped = true;
    return 0;
}

/* A step that is under way. */
struct sending {
    struct fc_exporter *x;
    struct fc_journal_step step;
    struct fc_journal_rows read;
    uint64_t batch, batches; /* the next one; new and changed ones, without the provisional ones */
    struct fc_error *err;
};

static bool is_stopped(const struct fc_exporter *x)
{
    return x->stop && __atomic_load_n(x->stop, __ATOMIC_RELAXED);
}

/* The sessions of a batch, into memory. */
static int read_batch(struct sending *s, uint64_t batch)
{
    const struct fc_journal_step *step = &s->step;
    uint64_t of_new =
        step->last_new < step->first_new ? 0 : ((uint64_t)(step->last_new - step->first_new) + BATCH) / BATCH;

    fc_binary_rows_clear(&s->x->rows);
    if (is_stopped(s->x))
        return fc_error_set(s->err, FC_E_INTERRUPTED, s->x->path, FC_NO_OFFSET, "interrupted");
    if (batch < of_new) {
        int64_t first = step->first_new + (int64_t)batch * BATCH, last = first + BATCH - 1;
        uint64_t before = s->read.sessions;
        last = last < step->last_new ? last : step->last_new;
        int rc = fc_journal_range(&s->read, first, last, s->err);
        s->x->result->forgotten += rc ? 0 : (uint64_t)(last - first + 1) - (s->read.sessions - before);
        return rc;
    }
    size_t at = (size_t)(batch - of_new) * BATCH, left = step->count - at;
    return fc_journal_list(&s->read, step->changed + at, left < BATCH ? left : BATCH, s->err);
}

static int send_rows(struct sending *s)
{
    struct fc_exporter *x = s->x;
    char into[1200];
    int rc;

    if (!x->rows.len)
        return 0;
    snprintf(into, sizeof into, "session (%s)", fc_session_columns);
    if ((rc = fc_engine_insert(x->engine, into, x->rows.data, x->rows.len, s->err)))
        return rc;
    x->result->bytes += x->rows.len;
    x->result->sessions = s->read.sessions;
    x->result->tombstones = s->read.tombstones;
    x->how_far.sessions_written = x->how_far.sessions = s->read.sessions;
    if (x->progress)
        x->progress(x->ctx, &x->how_far);
    return 0;
}

/* Of batches that were noted as sent the slots alone are wanted. */
static int send_batches(struct sending *s)
{
    struct fc_exporter *x = s->x;
    uint64_t sent =
        x->told.until == (uint64_t)s->step.until && x->told.run == (uint64_t)s->step.from ? x->told.batches : 0;
    int rc = 0;

    for (uint64_t batch = 0; rc == 0 && batch < s->batches; batch++) {
        if ((rc = read_batch(s, batch)))
            break;
        if (batch < sent) {
            s->read.sessions = s->read.tombstones = 0;
            continue;
        }
        if ((rc = send_rows(s)))
            break;
        if (batch + 1 < s->batches)
            rc = note(x, (uint64_t)s->step.from, (uint64_t)s->step.until, batch + 1, s->err);
    }
    return rc;
}

/* Provisional sessions: all that there are, as each run makes them anew. */
static int send_provisional(struct sending *s)
{
    int rc = 0;

    for (int64_t last = -1;; last -= BATCH) {
        uint64_t before = s->read.sessions;
        fc_binary_rows_clear(&s->x->rows);
        if ((rc = fc_journal_range(&s->read, last - BATCH + 1, last, s->err)) || s->read.sessions == before ||
            (rc = send_rows(s)))
            return rc;
    }
}

static int send_all(struct sending *s)
{
    struct fc_exporter *x = s->x;
    int rc;

    if ((rc = send_batches(s)) || (rc = send_provisional(s)))
        return rc;
    fc_slots_sort(&x->slots);
    if (x->slots.failed)
        return no_memory(s->err);
    /* of an index that is asked already the sums and what is noted come behind the rows; one that is not is asked when
     * all is there */
    if ((rc = fc_rollup(x->engine, x->sensor, x->state.generation, 2 * (uint64_t)s->step.until + 1, &x->slots,
                        s->err)) ||
        (rc = flip(x, s->err)))
        return rc;
    return note(x, (uint64_t)s->step.until, (uint64_t)s->step.until, 0, s->err);
}

static int send_step(struct fc_exporter *x, int64_t until, struct fc_error *err)
{
    struct sending s = {.x = x, .err = err};
    int rc = fc_journal_step(x->path, x->stop, (int64_t)x->told.run, until, &s.step, err);

    if (rc)
        return rc;
    s.read = (struct fc_journal_rows){.path = x->path,
                                      .sensor = x->sensor,
                                      .stop = x->stop,
                                      .generation = x->state.generation,
                                      .from = s.step.from,
                                      .until = until,
                                      .rows = &x->rows,
                                      .slots = &x->slots};
    uint64_t of_new = s.step.last_new < s.step.first_new ? 0 : (uint64_t)(s.step.last_new - s.step.first_new) + 1;
    s.batches = (of_new + BATCH - 1) / BATCH + (s.step.count + BATCH - 1) / BATCH;
    x->result->gap = s.step.gap;
    x->slots.count = x->slots.sorted = 0;
    x->how_far = (struct fc_progress){.phase = FC_PHASE_WRITING, .sessions_total = of_new + s.step.count};
    rc = send_all(&s);
    fc_journal_step_fini(&s.step);
    return rc;
}

/* ---- what is to be done */

static int read_state(struct fc_exporter *x, struct fc_error *err)
{
    uint8_t before[16];
    int rc;

    memcpy(before, x->state.generation, 16);
    if ((rc = fc_journal_state(x->path, x->stop, &x->state, err)))
        return rc;
    if (x->again || !x->state.has_generation) {
        if ((rc = fc_generation_make(x->path, x->again, err)) ||
            (rc = fc_journal_state(x->path, x->stop, &x->state, err)))
            return rc;
        x->again = false;
    }
    if (memcmp(before, x->state.generation, 16) != 0)
        x->told.known = false;
    return 0;
}

/* By what is known of the engine; once a minute that it is as it was is told, too. */
static bool is_due(const struct fc_exporter *x)
{
    const struct told *t = &x->told;
    int64_t quiet_ns = now_ns() - t->told_ns;

    return !t->known || t->until > t->run || t->run != (uint64_t)x->state.run || !t->is_asked || quiet_ns >= QUIET_NS ||
           quiet_ns < 0;
}

static int export_next(struct fc_exporter *x, struct fc_error *err)
{
    struct told *t = &x->told;
    int rc;

    if ((rc = read_state(x, err)) ||
        (!x->engine && (rc = fc_engine_open(&x->peer, x->database, x->stop, &x->engine, err))))
        return rc;
    fc_engine_set_compress(x->engine, x->compress);
    x->result->run = (int64_t)t->run;
    if (!is_due(x))
        return 0;
    /* another export of this sensor may have been there since */
    if ((rc = ask_told(x, err)) || (rc = check_told(x, err)))
        return rc;
    x->result->run = (int64_t)t->run;
    if (!is_due(x))
        return 0;
    if (t->until <= t->run && t->run == (uint64_t)x->state.run && t->is_asked)
        return note(x, t->run, t->until, 0, err);
    /* one that was begun is ended, so that what was sent of it counts */
    rc = send_step(x, t->until > t->run ? (int64_t)t->until : x->state.run, err);
    x->result->run = (int64_t)t->run;
    return rc ? rc : 1;
}

FC_EXPORT int fc_export_next(struct fc_exporter *x, struct fc_export_result *result, struct fc_error *err)
{
    int rc;

    *result = (struct fc_export_result){0};
    x->result = result;
    if ((rc = export_next(x, err)) < 0)
        x->told.known = false; /* what was noted last may be there or not */
    return rc;
}
