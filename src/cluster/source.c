/* SPDX-License-Identifier: MIT */
/*
 * How it is known that no row of a day is replaced: table `rollup` has the number of sessions of each day, and counting
 * rows is cheap. Where there are as many rows as sessions, and no tombstone, each is the only one of its key: sums that
 * are out of date can only be too small, as keys never go, but with tombstones. Sessions of fragments that wait are in
 * no sum; their keys are counted. What comes while a question is asked is seen by counting once more behind it.
 */
#include "cluster/source.h"
#include "base/error.h"
#include "base/vector.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define KEY "slot, sensor, generation, client, server, client_port, server_port, id"

enum { ODD_DAYS = 100 /* that are named; beyond, all are merged */ };

static int no_memory(struct fc_error *err)
{
    return fc_error_set(err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");
}

char *fc_source_narrow(const char *places, const char *keys, const char *filter)
{
    struct fc_statement s = {0};
    FILE *out = fc_statement_begin(&s);

    if (!out)
        return fc_statement_end(&s);
    fputs("(SELECT * FROM session PREWHERE ", out);
    if (keys)
        fputs(keys, out);
    else
        /* IDs are of all sensors here: what they find too much does not match in the end */
        fprintf(out, "id IN (SELECT id FROM session WHERE %s AND %s)", places, filter);
    fprintf(out, " WHERE %s ORDER BY revision DESC LIMIT 1 BY " KEY ")", places);
    return fc_statement_end(&s);
}

/* ---- days */

struct days {
    uint16_t odd[ODD_DAYS];
    size_t odd_days, days;
    uint64_t rows; /* of days that are not odd */
    uint16_t last; /* that is not odd, and its rows */
    uint64_t last_rows;
};

static void add_odd(struct days *days, uint16_t day)
{
    if (days->odd_days++ < ODD_DAYS)
        days->odd[days->odd_days - 1] = day;
}

static int take_day(void *ctx, struct fc_binary *row, struct fc_error *err)
{
    struct days *days = ctx;
    uint16_t day = fc_binary_u16(row);
    uint64_t rows = fc_binary_u64(row);
    bool odd = fc_binary_bool(row);

    (void)err;
    if (row->cut || row->bad)
        return 0;
    days->days++;
    if (odd) {
        add_odd(days, day);
        return 0;
    }
    days->rows += rows;
    days->last = day;
    days->last_rows = rows;
    return 0;
}

/* For each day its rows, and whether there may be some that count for nothing. */
static int count_days(struct fc_inquiry *q, struct fc_where *where, struct days *days, struct fc_error *err)
{
    static const char question[] =
        "SELECT day, sum(rows), toUInt8(sum(surplus) != 0 OR sum(odd) != 0) FROM ("
        "SELECT day, count() AS rows, toInt64(countIf(id > 0)) AS surplus, countIf(id > 0 AND deleted = 1) AS odd "
        "FROM session WHERE %s GROUP BY day UNION ALL "
        "SELECT day, toUInt64(0) AS rows, toInt64(0) AS surplus, toUInt64(count() - uniqExact((" KEY "))) AS odd "
        "FROM session PREWHERE id < 0 WHERE %s GROUP BY day UNION ALL "
        "SELECT day, toUInt64(0) AS rows, -toInt64(sum(arraySum(sessions))) AS surplus, toUInt64(0) AS odd "
        "FROM rollup FINAL WHERE %s GROUP BY day) GROUP BY day ORDER BY day FORMAT RowBinary";
    char *sql = NULL;

    *days = (struct days){0};
    if (asprintf(&sql, question, where->places, where->places, where->places) < 0)
        return no_memory(err);
    int rc = fc_inquiry_ask_as_it_is(q, sql, where, take_day, days, err);
    if (rc == 0 && where->tries && days->last_rows) { /* what is captured now comes to the last day */
        add_odd(days, days->last);
        days->rows -= days->last_rows;
    }
    return rc;
}

static char *write_source(const struct days *days)
{
    struct fc_statement s = {0};
    FILE *out = fc_statement_begin(&s);

    if (!out)
        return fc_statement_end(&s);
    if (days->odd_days > ODD_DAYS || (days->odd_days && days->odd_days == days->days)) {
        fputs("session FINAL", out);
    } else if (!days->odd_days) {
        fputs("session", out);
    } else {
        for (int merged = 0; merged < 2; merged++) {
            fprintf(out, "%sday %s (",
                    merged ? " UNION ALL SELECT * FROM session FINAL WHERE " : "(SELECT * FROM session WHERE ",
                    merged ? "IN" : "NOT IN");
            for (size_t i = 0; i < days->odd_days; i++)
                fprintf(out, "%stoDate(%u)", i ? ", " : "", days->odd[i]);
            fputc(')', out);
        }
        fputc(')', out);
    }
    return fc_statement_end(&s);
}

int fc_source_choose(struct fc_inquiry *q, struct fc_where *where, struct fc_error *err)
{
    struct days days;

    free(where->source);
    where->source = where->narrow;
    where->is_narrow = where->narrow != NULL;
    where->narrow = NULL;
    if (where->source)
        return 0;
    if (where->sums) {
        int rc = count_days(q, where, &days, err);
        if (rc)
            return rc;
        where->is_plain = days.odd_days <= ODD_DAYS && days.odd_days < days.days;
        where->plain_rows = days.rows;
        where->source = write_source(&days);
    } else {
        where->source = strdup("session FINAL");
    }
    return where->source ? 0 : no_memory(err);
}

int fc_source_check(struct fc_inquiry *q, struct fc_where *where, struct fc_error *err)
{
    struct days days;
    int rc = where->is_plain ? count_days(q, where, &days, err) : 0;
    char *source = rc == 0 && where->is_plain ? write_source(&days) : NULL;

    if (rc || !where->is_plain)
        return rc;
    if (!source)
        return no_memory(err);
    bool holds = days.rows == where->plain_rows && strcmp(source, where->source) == 0;
    free(source);
    if (holds)
        return 0;
    where->sums = ++where->tries < 2;
    where->is_plain = false;
    free(where->source);
    where->source = NULL;
    return 1;
}

char *fc_source_put_in(const char *sql, const struct fc_where *where)
{
    struct fc_statement s = {0};
    FILE *out = fc_statement_begin(&s);

    for (size_t len; out && *sql; sql += len + (sql[len] != '\0')) {
        len = strcspn(sql, FC_SOURCE);
        fprintf(out, "%.*s%s", (int)len, sql, sql[len] ? where->source : "");
    }
    return fc_statement_end(&s);
}
