/* SPDX-License-Identifier: MIT */
#include "cluster/inquiry.h"
#include "base/error.h"
#include "base/export.h"
#include "base/vector.h"
#include "cluster/config.h"
#include "cluster/source.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
    GENERATION = 16,
    NAME_LONGEST = 63,
    SENSORS_MAX = 100000,
    UNKNOWN_TABLE = 60,
    UNKNOWN_DATABASE = 81,
    TOO_MANY_ROWS = 158
};

static int no_memory(struct fc_error *err)
{
    return fc_error_set(err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");
}

FILE *fc_statement_begin(struct fc_statement *s)
{
    return s->out = open_memstream(&s->text, &s->size);
}

char *fc_statement_end(struct fc_statement *s)
{
    bool bad = !s->out || ferror(s->out);

    if (s->out && fclose(s->out) != 0)
        bad = true;
    if (bad) {
        free(s->text);
        s->text = NULL;
    }
    return s->text;
}

/* ---- questions */

struct number {
    uint64_t value;
    uint64_t rows;
};

static int take_number(void *ctx, struct fc_binary *row, struct fc_error *err)
{
    struct number *n = ctx;
    uint64_t value = fc_binary_u64(row);

    (void)err;
    if (!row->cut)
        n->value = value;
    return 0;
}

/* How many sessions lie where the question would have to look, by the sums that are kept; 0: that cannot be told. */
static uint64_t sessions_within(struct fc_inquiry *q, const struct fc_where *where)
{
    struct fc_binary_stream stream = {take_number, &(struct number){0}, "", NULL, 0, 0, 0};
    struct fc_engine_bounds bounds = {.deadline_ms = 5000};
    char *sql = NULL;

    if (!where || !where->sensors ||
        asprintf(&sql, "SELECT toUInt64(sum(arraySum(sessions))) FROM rollup FINAL WHERE %s AND %s FORMAT RowBinary",
                 where->sensors, where->days) < 0)
        return 0;
    int rc = fc_engine_run(q->engine, sql, &bounds, fc_binary_take, &stream, NULL);
    uint64_t found = rc == 0 && fc_binary_finish(&stream, NULL) == 0 ? ((struct number *)stream.ctx)->value : 0;
    fc_binary_free(&stream);
    free(sql);
    return found;
}

/* Says what would have been too much, and what makes it less. */
static int too_much(struct fc_inquiry *q, const struct fc_where *where, int code, struct fc_error *err)
{
    char within[120] = "";

    if (code != TOO_MANY_ROWS)
        return fc_error_set(err, FC_E_LIMIT, NULL, FC_NO_OFFSET,
                            "the engine has not answered within %u s: name a shorter time (after, before), hosts or "
                            "sensors, or allow it more "
                            "(--deadline)",
                            q->bounds.deadline_ms / 1000);
    uint64_t sessions = sessions_within(q, where);
    if (sessions)
        snprintf(within, sizeof within, " (%" PRIu64 " sessions lie in the days that it is about)", sessions);
    return fc_error_set(err, FC_E_LIMIT, NULL, FC_NO_OFFSET,
                        "this would read more than %" PRIu64
                        " rows of a server%s: name a shorter time (after, before), hosts or sensors, or "
                        "allow it more (--max-rows)",
                        q->bounds.rows_to_read, within);
}

static int ask_engine(struct fc_inquiry *q, const char *sql, const struct fc_engine_bounds *bounds,
                      const struct fc_where *where, fc_binary_row *row, void *ctx, struct fc_error *err)
{
    struct fc_binary_stream stream = {row, ctx, q->cluster->engine.url, NULL, 0, 0, 0};
    int rc = fc_engine_run(q->engine, sql, bounds, fc_binary_take, &stream, err);

    if (rc == FC_E_LIMIT && fc_engine_code(q->engine))
        rc = too_much(q, where, fc_engine_code(q->engine), err);
    if (rc == 0)
        rc = fc_binary_finish(&stream, err);
    fc_binary_free(&stream);
    return rc;
}

int fc_inquiry_ask_as_it_is(struct fc_inquiry *q, char *sql, const struct fc_where *where, fc_binary_row *row,
                            void *ctx, struct fc_error *err)
{
    int rc = sql ? ask_engine(q, sql, &q->bounds, where, row, ctx, err) : no_memory(err);

    free(sql);
    return rc;
}

/* With what is read put in; where that turns out not to be narrow, which is before a row comes, with another source. */
static int ask_source(struct fc_inquiry *q, const char *sql, struct fc_where *where, struct fc_engine_bounds *bounds,
                      fc_binary_row *row, void *ctx, struct fc_error *err)
{
    int rc = where->source ? 0 : fc_source_choose(q, where, err);

    for (;;) {
        char *text = rc ? NULL : fc_source_put_in(sql, where);
        if (!text)
            return rc ? rc : no_memory(err);
        bounds->set_rows = !where->is_narrow || where->by_keys ? 0
                           : where->sums                       ? FC_SOURCE_NARROW_SUMS_MAX
                                                               : FC_SOURCE_NARROW_MAX;
        rc = ask_engine(q, text, bounds, where, row, ctx, err);
        free(text);
        if (rc == 0 || !where->is_narrow || fc_engine_code(q->engine) != FC_SOURCE_SET_TOO_LARGE)
            return rc;
        rc = fc_source_choose(q, where, err);
    }
}

int fc_inquiry_ask(struct fc_inquiry *q, char *sql, struct fc_where *where, bool long_answer, fc_binary_row *row,
                   void *ctx, struct fc_error *err)
{
    struct fc_engine_bounds bounds = q->bounds;
    int rc;

    if (!sql)
        return no_memory(err);
    bounds.long_answer = long_answer;
    if (!where)
        bounds.rows_to_read = 0;
    rc = where ? ask_source(q, sql, where, &bounds, row, ctx, err) : ask_engine(q, sql, &bounds, NULL, row, ctx, err);
    free(sql);
    return rc;
}

/* ---- sensors */

/* Where a name is or would be. */
static size_t place_of(const struct fc_inquiry *q, const char *name, size_t len, bool *found)
{
    size_t lo = 0, hi = q->sensors;

    *found = false;
    while (lo < hi) {
        size_t middle = lo + (hi - lo) / 2;
        int order = strncmp(q->name[middle], name, len);
        order = order ? order : q->name[middle][len] != '\0';
        if (order == 0) {
            *found = true;
            return middle;
        }
        if (order < 0)
            lo = middle + 1;
        else
            hi = middle;
    }
    return lo;
}

const struct fc_inquiry_sensor *fc_inquiry_find(const struct fc_inquiry *q, const char *name, size_t len)
{
    bool found;
    size_t at = place_of(q, name, len, &found);

    return found ? &q->sensor[at] : NULL;
}

/* The sensor of a name, made where there is none; NULL without memory. */
static struct fc_inquiry_sensor *add_sensor(struct fc_inquiry *q, const char *name, size_t len)
{
    bool found;
    size_t at = place_of(q, name, len, &found);

    if (found)
        return &q->sensor[at];
    char *copy = strndup(name, len);
    if (!copy || fc_vector_reserve(&q->sensor, &q->room, q->sensors + 1, sizeof *q->sensor) ||
        fc_vector_reserve(&q->name, &q->names_room, q->sensors + 1, sizeof *q->name)) {
        free(copy);
        return NULL;
    }
    memmove(q->sensor + at + 1, q->sensor + at, (q->sensors - at) * sizeof *q->sensor);
    memmove(q->name + at + 1, q->name + at, (q->sensors - at) * sizeof *q->name);
    q->name[at] = copy;
    q->sensor[at] = (struct fc_inquiry_sensor){.name = copy, .clock_ns = INT64_MIN};
    q->sensors++;
    return &q->sensor[at];
}

/* A name, and a generation behind it. */
static const char *read_index(struct fc_binary *row, size_t *len, const uint8_t **generation)
{
    const char *name = fc_binary_text(row, NAME_LONGEST, len);
    char copy[NAME_LONGEST + 1];

    *generation = fc_binary_bytes(row, GENERATION);
    snprintf(copy, sizeof copy, "%.*s", (int)*len, name);
    row->bad |= !row->cut && !fc_is_sensor_name(copy);
    return row->cut || row->bad ? NULL : name;
}

static int take_sensor(void *ctx, struct fc_binary *row, struct fc_error *err)
{
    const uint8_t *generation;
    size_t len;
    const char *name = read_index(row, &len, &generation);
    struct fc_inquiry *q = ctx;

    row->bad |= q->sensors == SENSORS_MAX;
    if (!name || row->bad)
        return 0;
    struct fc_inquiry_sensor *sensor = add_sensor(q, name, len);
    if (!sensor)
        return no_memory(err);
    sensor->in_engine = true;
    memcpy(sensor->generation, generation, GENERATION);
    return 0;
}

static int take_progress(void *ctx, struct fc_binary *row, struct fc_error *err)
{
    struct fc_inquiry *q = ctx;
    const uint8_t *generation;
    size_t len;
    bool found;
    const char *name = read_index(row, &len, &generation);
    uint64_t run = fc_binary_u64(row);
    uint32_t fields = fc_binary_u32(row);
    int64_t clock_ns = fc_binary_i64(row), told_ns = fc_binary_i64(row);

    (void)err;
    if (row->cut || row->bad || !name)
        return 0;
    size_t at = place_of(q, name, len, &found);
    struct fc_inquiry_sensor *s = &q->sensor[at];
    /* of an index that is not the one to be asked */
    if (!found || !s->in_engine || memcmp(s->generation, generation, GENERATION) != 0)
        return 0;
    s->run = run;
    s->fields = fields;
    s->clock_ns = clock_ns;
    s->told_ns = told_ns;
    return 0;
}

static int ask_for_sensors(struct fc_inquiry *q, struct fc_error *err)
{
    static const char sensors[] = "SELECT sensor, generation FROM (SELECT sensor, generation FROM sensor ORDER BY "
                                  "since DESC LIMIT 1 BY sensor) ORDER BY sensor FORMAT RowBinary",
                      progress[] =
                          "SELECT sensor, generation, run, fields, clock_ns, told_ns FROM progress ORDER BY step DESC "
                          "LIMIT 1 BY sensor, generation FORMAT RowBinary";
    int rc = fc_inquiry_ask(q, strdup(sensors), NULL, false, take_sensor, q, err);

    if (rc == 0)
        rc = fc_inquiry_ask(q, strdup(progress), NULL, false, take_progress, q, err);
    if (rc == FC_E_DB && (fc_engine_code(q->engine) == UNKNOWN_TABLE || fc_engine_code(q->engine) == UNKNOWN_DATABASE))
        return fc_error_set(err, FC_E_USAGE, q->cluster->engine.url, FC_NO_OFFSET,
                            "database %s of the engine has none of flowcarve's tables: nothing has been exported to it",
                            q->cluster->database);
    for (size_t i = 0; i < q->cluster->sensors && rc == 0; i++) {
        struct fc_inquiry_sensor *s = add_sensor(q, q->cluster->sensor[i].name, strlen(q->cluster->sensor[i].name));
        if (!s)
            return no_memory(err);
        s->in_file = true;
    }
    return rc;
}

FC_EXPORT int fc_inquiry_open(const struct fc_cluster *cluster, const struct fc_inquiry_options *options,
                              struct fc_inquiry **out, struct fc_error *err)
{
    static const struct fc_inquiry_options usual;
    const struct fc_inquiry_options *o = options ? options : &usual;
    struct fc_inquiry *q = calloc(1, sizeof *q);
    int rc;

    *out = NULL;
    if (!q)
        return no_memory(err);
    q->cluster = cluster;
    q->bounds.deadline_ms = o->deadline_ms ? o->deadline_ms : FC_INQUIRY_DEADLINE_MS;
    q->bounds.rows_to_read = o->rows_max ? o->rows_max : FC_INQUIRY_ROWS_MAX;
    if ((rc = fc_engine_open(&cluster->engine, cluster->database, o->stop, &q->engine, err)) ||
        (rc = ask_for_sensors(q, err))) {
        fc_inquiry_close(q);
        return rc;
    }
    *out = q;
    return 0;
}

FC_EXPORT void fc_inquiry_close(struct fc_inquiry *q)
{
    if (!q)
        return;
    fc_engine_close(q->engine);
    for (size_t i = 0; i < q->sensors; i++)
        free(q->name[i]);
    free(q->name);
    free(q->sensor);
    free(q);
}

FC_EXPORT void fc_inquiry_set_stop(struct fc_inquiry *q, const int *stop)
{
    fc_engine_set_stop(q->engine, stop);
}

FC_EXPORT size_t fc_inquiry_sensors(const struct fc_inquiry *q)
{
    return q->sensors;
}

FC_EXPORT const struct fc_inquiry_sensor *fc_inquiry_sensor(const struct fc_inquiry *q, size_t number)
{
    return &q->sensor[number];
}

FC_EXPORT uint32_t fc_inquiry_fields(const struct fc_inquiry *q, const struct fc_filter *filter)
{
    return fc_where_fields(q, filter);
}
