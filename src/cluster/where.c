/* SPDX-License-Identifier: MIT */
/*
 * What a filter asks of the table of sessions. Of rows that replace each other the latest is read (cluster/source.h),
 * and conditions hold for what is left, so that no revision that is out of date can match. That is what the tables are
 * keyed for: a session that a later run has moved has a tombstone under its old key. Partitions, which are days, are
 * told by what is known of when sessions end; the sessions of few hosts by their keys.
 */
#include "base/error.h"
#include "base/vector.h"
#include "cluster/config.h"
#include "cluster/filter_sql.h"
#include "cluster/inquiry.h"
#include "cluster/source.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
    DAYS = 49673,       /* that a partition can be */
    DAY_RANGES = 12,    /* that are written */
    HOST_ROWS = 200000, /* keys that are looked up one by one; beyond, the sessions of a time are read as they lie */
    NAMES_SHOWN = 10
};

#define DAY_NS INT64_C(86400000000000)
#define SLOT_NS INT64_C(300000000000)

static int no_memory(struct fc_error *err)
{
    return fc_error_set(err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");
}

static int64_t floor_divide(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

static int64_t day_of(int64_t ns)
{
    int64_t day = floor_divide(ns, DAY_NS);

    return day < 0 ? 0 : day >= DAYS ? DAYS - 1 : day;
}

/* ---- sensors */

static bool is_asked(const struct fc_inquiry_sensor *s, const struct fc_plan *plan)
{
    return s->in_engine && (!plan || fc_engine_can_be_of(plan, s->name));
}

/* A sensor that is not there must not look like one without sessions. */
static int check_names(const struct fc_inquiry *q, const struct fc_ast *node, struct fc_error *err)
{
    int rc = 0;

    if (node->type == FC_AST_SENSOR && !fc_inquiry_find(q, node->text, strlen(node->text))) {
        char list[400] = "none";
        for (size_t i = 0, len = 0; i < q->sensors && i < NAMES_SHOWN && len < sizeof list; i++)
            len += (size_t)snprintf(list + len, sizeof list - len, "%s%s%s", i ? ", " : "", q->sensor[i].name,
                                    i + 1 == NAMES_SHOWN && q->sensors > NAMES_SHOWN ? "..." : "");
        return fc_error_set(err, FC_E_FILTER, NULL, FC_NO_OFFSET, "no sensor is called '%s'; there are %s", node->text,
                            list);
    }
    for (const struct fc_ast *child = node->first; child && rc == 0; child = child->next)
        rc = check_names(q, child, err);
    return rc;
}

/* Community IDs are there of every session. */
static int check_fields(const struct fc_inquiry *q, const struct fc_filter *filter, const struct fc_plan *plan,
                        struct fc_error *err)
{
#define NAME(FIELD, bit, name, want) [bit] = name,
    static const char *const names[] = {FC_FIELDS(NAME)};
    uint32_t used = fc_filter_fields(filter, NULL) & ~(uint32_t)FC_FIELD_COMMUNITY_ID;

    for (size_t i = 0; i < q->sensors; i++) {
        uint32_t missing = is_asked(&q->sensor[i], plan) ? used & ~q->sensor[i].fields : 0;
        if (missing)
            return fc_error_set(err, FC_E_FILTER, NULL, FC_NO_OFFSET,
                                "sensor %s holds no %s, which the filter asks for: index with --fields %s there, or "
                                "leave it out ('not sensor %s')",
                                q->sensor[i].name, names[__builtin_ctz(missing)], names[__builtin_ctz(missing)],
                                q->sensor[i].name);
    }
    return 0;
}

/* The one behind number `at` that is asked; q->sensors: there is none. */
static size_t next_asked(const struct fc_inquiry *q, const struct fc_plan *plan, size_t at)
{
    while (at < q->sensors && !is_asked(&q->sensor[at], plan))
        at++;
    return at;
}

static void put_name(FILE *out, const struct fc_inquiry_sensor *s)
{
    fc_engine_hex(out, s->name, strlen(s->name));
}

static void put_generation(FILE *out, const struct fc_inquiry_sensor *s)
{
    fc_engine_hex(out, s->generation, sizeof s->generation);
}

/* A comparison takes an engine a fraction of the time of a look-up of two columns: as long as it is one sensor. */
static size_t put_sensors(FILE *out, const struct fc_inquiry *q, const struct fc_plan *plan)
{
    size_t first = next_asked(q, plan, 0), count = 0;
    bool one = next_asked(q, plan, first + 1) >= q->sensors;

    fputs(one ? "sensor = " : "(sensor, generation) IN (", out);
    for (size_t i = first; i < q->sensors; i = next_asked(q, plan, i + 1)) {
        fputs(one ? "" : count ? ", (" : "(", out);
        put_name(out, &q->sensor[i]);
        fputs(one ? " AND generation = " : ", ", out);
        put_generation(out, &q->sensor[i]);
        fputs(one ? "" : ")", out);
        count++;
    }
    fputs(one ? "" : ")", out);
    return count;
}

/*
 * Sessions of fragments that wait are those of the latest run, and no others. Other indexes of a sensor are left out
 * already.
 */
static void put_provisional(FILE *out, const struct fc_inquiry *q, const struct fc_plan *plan)
{
    size_t first = next_asked(q, plan, 0);

    if (next_asked(q, plan, first + 1) >= q->sensors) {
        fprintf(out, " AND (id >= 0 OR revision = %" PRIu64 ")", 2 * q->sensor[first].run + 1);
        return;
    }
    fputs(" AND (id >= 0 OR revision = transform(sensor, [", out);
    for (size_t i = first; i < q->sensors; i = next_asked(q, plan, i + 1)) {
        fputs(i == first ? "" : ", ", out);
        put_name(out, &q->sensor[i]);
    }
    fputs("], [", out);
    for (size_t i = first; i < q->sensors; i = next_asked(q, plan, i + 1))
        fprintf(out, "%stoUInt64(%" PRIu64 ")", i == first ? "" : ", ", 2 * q->sensor[i].run + 1);
    fputs("], toUInt64(0)))", out);
}

uint32_t fc_where_fields(const struct fc_inquiry *q, const struct fc_filter *filter)
{
    struct fc_arena arena = {0};
    struct fc_plan *plan = filter && filter->root ? fc_plan_build(&arena, filter->root) : NULL;
    uint32_t fields = 0;

    for (size_t i = 0; i < q->sensors; i++)
        fields |= is_asked(&q->sensor[i], plan) ? q->sensor[i].fields : 0;
    fc_arena_fini(&arena);
    return fields;
}

/* ---- days */

struct days {
    uint16_t *day; /* ascending */
    size_t count, room;
};

static int take_day(void *ctx, struct fc_binary *row, struct fc_error *err)
{
    struct days *days = ctx;
    uint16_t day = fc_binary_u16(row);

    row->bad |= !row->cut && (day >= DAYS || (days->count && day <= days->day[days->count - 1]));
    if (row->cut || row->bad)
        return 0;
    if (fc_vector_reserve(&days->day, &days->room, days->count + 1, sizeof *days->day))
        return no_memory(err);
    days->day[days->count++] = day;
    return 0;
}

/* Days one behind the other are a range; the last ranges become one where there are too many. */
static void write_days(struct fc_where *where, const struct days *days)
{
    size_t len = 0, ranges = 0;

    for (size_t i = 0, last; i < days->count; i = last + 1) {
        for (last = i;
             last + 1 < days->count && (ranges + 1 == DAY_RANGES || days->day[last + 1] == days->day[last] + 1); last++)
            ;
        len += (size_t)snprintf(where->days + len, sizeof where->days - len, "%sday BETWEEN toDate(%u) AND toDate(%u)",
                                ranges ? " OR " : "(", days->day[i], days->day[last]);
        ranges++;
    }
    snprintf(where->days + len, sizeof where->days - len, ")");
}

/* The days on which sessions start that are active in a window; *any: there are some. */
static int find_days(struct fc_inquiry *q, const struct fc_engine_window *window, struct fc_where *where, bool *any,
                     struct fc_error *err)
{
    struct fc_statement s = {0};
    struct days days = {0};
    FILE *out;
    int rc;

    *any = true;
    if (!window->has_after) {
        strcpy(where->days, "1");
        if (window->has_before)
            snprintf(where->days, sizeof where->days, "day <= toDate(%" PRId64 ")", day_of(window->before));
        return 0;
    }
    if ((out = fc_statement_begin(&s))) {
        fprintf(out, "SELECT DISTINCT day FROM span WHERE %s AND last_day >= toDate(%" PRId64 ")", where->sensors,
                day_of(window->after));
        if (window->has_before)
            fprintf(out, " AND day <= toDate(%" PRId64 ")", day_of(window->before));
        fputs(" ORDER BY day FORMAT RowBinary", out);
    }
    rc = fc_inquiry_ask(q, fc_statement_end(&s), NULL, false, take_day, &days, err);
    *any = days.count > 0;
    if (rc == 0 && *any)
        write_days(where, &days);
    free(days.day);
    return rc;
}

/* ---- hosts */

static int take_count(void *ctx, struct fc_binary *row, struct fc_error *err)
{
    uint64_t count = fc_binary_u64(row);

    (void)err;
    if (!row->cut)
        *(uint64_t *)ctx = count;
    return 0;
}

/*
 * A condition by keys where the filter is about hosts that have few sessions: "" where it is not. The caller's to
 * free.
 */
static int find_hosts(struct fc_inquiry *q, const struct fc_plan *plan, const char *places, char **keys,
                      struct fc_error *err)
{
    struct fc_statement addresses = {0}, count = {0}, in = {0};
    FILE *out = fc_statement_begin(&addresses);
    bool has = out && fc_engine_hosts(out, plan);
    char *text = fc_statement_end(&addresses);
    uint64_t rows = HOST_ROWS;
    int rc = text ? 0 : no_memory(err);

    if (rc == 0 && has) {
        if ((out = fc_statement_begin(&count)))
            fprintf(out, "SELECT count() FROM (SELECT id FROM host WHERE %s AND %s LIMIT %d) FORMAT RowBinary", places,
                    text, HOST_ROWS);
        rc = fc_inquiry_ask(q, fc_statement_end(&count), NULL, false, take_count, &rows, err);
    }
    if (rc == 0) {
        if ((out = fc_statement_begin(&in)) && rows < HOST_ROWS)
            fprintf(out,
                    "(slot, client, server, sensor, generation, id) IN (SELECT slot, client, server, sensor, "
                    "generation, id FROM host WHERE %s AND %s)",
                    places, text);
        if (!(*keys = fc_statement_end(&in)))
            rc = no_memory(err);
    }
    free(text);
    return rc;
}

/* ---- the whole */

/* What rows of `session` and of `host` have in common. */
static char *places_of(const struct fc_where *where, const struct fc_engine_window *window)
{
    struct fc_statement s = {0};
    FILE *out = fc_statement_begin(&s);

    if (out) {
        fprintf(out, "%s AND %s", where->sensors, where->days);
        if (window->has_before && window->before > INT64_MIN)
            fprintf(out, " AND slot <= %" PRId64, floor_divide(window->before - 1, SLOT_NS));
    }
    return fc_statement_end(&s);
}

static int write_where(struct fc_inquiry *q, const struct fc_plan *plan, struct fc_where *where, struct fc_error *err)
{
    struct fc_statement s = {0}, condition = {0};
    char *keys = NULL, *text = NULL;
    FILE *out;
    int rc = 0;

    if (plan) {
        /* what cannot be asked is found before anything is */
        if ((out = fc_statement_begin(&condition)))
            rc = fc_engine_filter(out, plan, err);
        text = fc_statement_end(&condition);
        rc = rc == 0 && !text ? no_memory(err) : rc;
        rc = rc ? rc : find_hosts(q, plan, where->places, &keys, err);
    }
    if (rc == 0 && (out = fc_statement_begin(&s))) {
        fprintf(out, "deleted = 0 AND %s", where->places);
        put_provisional(out, q, plan);
        if (plan)
            fprintf(out, " AND %s", text);
    }
    where->by_keys = keys && *keys;
    if (rc == 0 && (!(where->text = fc_statement_end(&s)) ||
                    (plan && !(where->narrow = fc_source_narrow(where->places, where->by_keys ? keys : NULL, text)))))
        rc = no_memory(err);
    free(keys);
    free(text);
    return rc;
}

static int make_for_plan(struct fc_inquiry *q, const struct fc_plan *plan, struct fc_where *where, struct fc_error *err)
{
    struct fc_engine_window window = plan ? fc_engine_window(plan) : (struct fc_engine_window){0};
    struct fc_statement s = {0};
    FILE *out = fc_statement_begin(&s);
    size_t count = out ? put_sensors(out, q, plan) : 0;
    bool any;
    int rc;

    if (!(where->sensors = fc_statement_end(&s)))
        return no_memory(err);
    if (!count)
        return 0;
    if ((rc = find_days(q, &window, where, &any, err)) || !any)
        return rc;
    if (!(where->places = places_of(where, &window)))
        return no_memory(err);
    return write_where(q, plan, where, err);
}

int fc_where_make(struct fc_inquiry *q, const struct fc_filter *filter, struct fc_where *where, struct fc_error *err)
{
    const struct fc_ast *root = filter ? filter->root : NULL;
    struct fc_arena arena = {0};
    struct fc_plan *plan = root ? fc_plan_build(&arena, root) : NULL;
    int rc = root && !plan ? no_memory(err) : 0;

    *where = (struct fc_where){0};
    if (rc == 0 && root && (rc = check_names(q, root, err)) == 0)
        rc = check_fields(q, filter, plan, err);
    if (rc == 0)
        rc = make_for_plan(q, plan, where, err);
    if (rc == 0)
        where->fields = fc_where_fields(q, filter);
    fc_arena_fini(&arena);
    if (rc)
        fc_where_fini(where);
    return rc;
}

void fc_where_fini(struct fc_where *where)
{
    free(where->text);
    free(where->sensors);
    free(where->places);
    free(where->source);
    free(where->narrow);
    *where = (struct fc_where){0};
}
