/* SPDX-License-Identifier: MIT */
/*
 * Sums by group of many sensors: the engine adds up, and what it gives is put in order as sums of an index are
 * (query/top.h).
 *
 * Its sums would wrap where they do not fit in 64 bits, so that upper and lower halves of numbers are added up apart,
 * and put together here.
 */
#include "base/error.h"
#include "base/export.h"
#include "base/vector.h"
#include "cluster/engine_row.h"
#include "cluster/inquiry.h"
#include "cluster/source.h"
#include "query/top_rows.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct asking {
    struct fc_inquiry *inquiry;
    struct fc_top_options o;
    struct fc_top *top;
    struct fc_where where;
    bool by_time;   /* besides something else */
    char group[48]; /* names of the columns that tell groups apart, as the rows have them */
    uint32_t figures;
    uint64_t groups;
    char *text; /* of the row at hand */
    size_t room;
};

static int no_memory(struct fc_error *err)
{
    return fc_error_set(err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");
}

/* ---- the question */

/* What groups are told apart by: columns as they are read, which are in the order of groups as well. */
static void put_key(FILE *out, const struct asking *a)
{
    static const char *const keys[] = {[FC_TOP_TOTAL] = "",
                                       [FC_TOP_CLIENT] = "kind, client AS a",
                                       [FC_TOP_SERVER] = "kind, server AS a",
                                       [FC_TOP_HOST] = "kind, if(side = 0, client, server) AS a",
                                       [FC_TOP_PAIR] = "kind, client AS a, server AS b",
                                       [FC_TOP_PORT] = "if(proto IN (1, 58), toInt32(-1), server_port) AS a, proto",
                                       [FC_TOP_PROTOCOL] = "proto",
                                       [FC_TOP_STATE] = "state",
                                       [FC_TOP_VLAN] = "vlan",
                                       [FC_TOP_TUNNEL] = "tunnel",
                                       [FC_TOP_SENSOR] = "sensor"};
    int64_t bucket = fc_top_bucket(a->top);

    if (a->o.by != FC_TOP_TIME)
        fprintf(out, "%s%s", keys[a->o.by], a->by_time ? ", " : "");
    if (a->o.by == FC_TOP_TIME || a->by_time)
        fprintf(out,
                "timed != 1 AS untimed, if(timed = 1, intDiv(start_ns, toInt64(%" PRId64
                ")) - (start_ns %% toInt64(%" PRId64 ") < 0), toInt64(0)) AS started",
                bucket, bucket);
}

/* The names of these columns, as groups are put in order; in front of them those of time, which come behind texts. */
static void write_group(struct asking *a)
{
    static const char *const names[] = {
        [FC_TOP_TOTAL] = "",         [FC_TOP_CLIENT] = "kind, a",  [FC_TOP_SERVER] = "kind, a",
        [FC_TOP_HOST] = "kind, a",   [FC_TOP_PAIR] = "kind, a, b", [FC_TOP_PORT] = "a, proto",
        [FC_TOP_PROTOCOL] = "proto", [FC_TOP_STATE] = "state",     [FC_TOP_VLAN] = "vlan",
        [FC_TOP_TUNNEL] = "tunnel",  [FC_TOP_TIME] = "",           [FC_TOP_SENSOR] = "sensor"};
    const char *name = names[a->o.by];

    if (a->o.by == FC_TOP_TIME)
        snprintf(a->group, sizeof a->group, "untimed, started");
    else if (a->by_time && fc_top_by_text(a->o.by))
        snprintf(a->group, sizeof a->group, "%s, untimed, started", name);
    else
        snprintf(a->group, sizeof a->group, "%s%s%s", a->by_time ? "untimed, " : "", name,
                 a->by_time ? ", started" : "");
}

/* Two columns: sums of the upper and of the lower halves. */
static void put_sum(FILE *out, const char *expression, const char *name)
{
    fprintf(out, ", sum(bitShiftRight(%s, 32)) AS %s_high, sum(bitAnd(%s, 4294967295)) AS %s_low", expression, name,
            expression, name);
}

static void put_figures(FILE *out, const struct asking *a)
{
    enum fc_top_by by = a->o.by;
    const char *other = by == FC_TOP_CLIENT   ? "server"
                        : by == FC_TOP_SERVER ? "client"
                                              : "if(side = 0, server, client)";

    fputs("count() AS n", out);
    put_sum(out, "(client_packets + server_packets)", "packets");
    put_sum(out,
            by == FC_TOP_SERVER ? "server_bytes"
            : by == FC_TOP_HOST ? "if(side = 0, client_bytes, server_bytes)"
                                : "client_bytes",
            "sent");
    put_sum(out,
            by == FC_TOP_SERVER ? "client_bytes"
            : by == FC_TOP_HOST ? "if(side = 0, server_bytes, client_bytes)"
                                : "server_bytes",
            "received");
    fputs(
        ", countIf(timed = 1) > 0 AS has_time, minIf(start_ns, timed = 1) AS first, maxIf(end_ns, timed = 1) AS last, ",
        out);
    if (!(a->figures & FC_TOP_PEERS))
        fputs("toUInt64(0)", out);
    else if (by == FC_TOP_CLIENT || by == FC_TOP_SERVER || by == FC_TOP_HOST)
        fprintf(out, "uniqExactIf(%s, kind != 0)", other);
    else
        fputs("uniqExactArrayIf([(kind, client), (kind, server)], kind != 0)", out);
    fputs(" AS peers, ", out);
    fputs(a->figures & FC_TOP_PORTS ? "uniqExactIf(server_port, server_port >= 0 AND proto NOT IN (1, 58))"
                                    : "toUInt64(0)",
          out);
    fputs(" AS ports, ", out);
    fputs(a->figures & FC_TOP_INTERVAL ? "arraySort(groupArrayIf(start_ns, timed = 1)) AS starts" : "0 AS starts", out);
}

/* In place of starts: their number less one, mean and deviation of what lies between them, in ns. */
static const char interval_columns[] = "toUInt64(greatest(toInt64(length(starts)) - 1, 0)) AS gaps, if(gaps = 0, 0., "
                                       "toFloat64(arrayElement(starts, -1) - arrayElement(starts, 1)) / gaps) "
                                       "AS mean, if(gaps = 0, 0., sqrt(arraySum(x -> (x - mean) * (x - mean), "
                                       "arrayMap((x, y) -> toFloat64(y - x), arrayPopBack(starts), "
                                       "arrayPopFront(starts))) / gaps)) AS deviation";

/* Columns by which a sum is in the order of its value, though it is in two halves. */
static void put_order_of_sum(FILE *out, const char *name, const char *direction)
{
    fprintf(out, "%s_high + bitShiftRight(%s_low, 32) %s, bitAnd(%s_low, 4294967295) %s, ", name, name, direction, name,
            direction);
}

/* As rows are put in order here, so that those which are left out are none of the first. */
static void put_order(FILE *out, const struct asking *a)
{
    bool descending;
    enum fc_top_sort sort = fc_top_sorted(a->top, &descending);
    const char *direction = descending ? "DESC" : "ASC",
               *nulls = a->o.by == FC_TOP_VLAN || a->o.by == FC_TOP_TUNNEL ? " NULLS FIRST" : "";

    fputs(" ORDER BY ", out);
    if (sort == FC_TOP_SORT_PACKETS || sort == FC_TOP_SORT_SENT || sort == FC_TOP_SORT_RECEIVED)
        put_order_of_sum(out,
                         sort == FC_TOP_SORT_PACKETS ? "packets"
                         : sort == FC_TOP_SORT_SENT  ? "sent"
                                                     : "received",
                         direction);
    else if (sort == FC_TOP_SORT_BYTES)
        fprintf(out,
                "sent_high + received_high + bitShiftRight(sent_low + received_low, 32) %s, bitAnd(sent_low + "
                "received_low, 4294967295) %s, ",
                direction, direction);
    else if (sort == FC_TOP_SORT_FIRST || sort == FC_TOP_SORT_LAST)
        fprintf(out, "has_time DESC, %s %s, ", sort == FC_TOP_SORT_FIRST ? "first" : "last", direction);
    else if (sort == FC_TOP_SORT_INTERVAL)
        fprintf(out, "gaps > 0 DESC, mean %s, ", direction);
    else if (sort != FC_TOP_SORT_KEY)
        fprintf(out, "%s %s, ",
                sort == FC_TOP_SORT_SESSIONS ? "n"
                : sort == FC_TOP_SORT_PEERS  ? "peers"
                                             : "ports",
                direction);
    bool backward = sort == FC_TOP_SORT_KEY && descending;
    for (const char *key = a->group; *key;) {
        size_t len = strcspn(key, ",");
        fprintf(out, "%.*s %s%s", (int)len, key, backward ? "DESC" : "ASC", backward && *nulls ? " NULLS LAST" : nulls);
        key += len + strspn(key + len, ", ");
        fputs(*key ? ", " : "", out);
    }
}

/* Where the engine need not give all groups. */
static bool is_cut(const struct asking *a)
{
    return a->o.limit > 0 && a->o.by != FC_TOP_TIME && a->o.by != FC_TOP_TOTAL;
}

static void put_from(FILE *out, const struct asking *a)
{
    fprintf(out, " FROM " FC_SOURCE "%s WHERE %s",
            a->o.by == FC_TOP_HOST ? " ARRAY JOIN if(client = server, [0], [0, 1]) AS side" : "", a->where.text);
    if (a->o.by != FC_TOP_TOTAL)
        fprintf(out, " GROUP BY %s", a->group);
}

static char *write_question(const struct asking *a)
{
    struct fc_statement s = {0};
    FILE *out = fc_statement_begin(&s);
    const char *comma = *a->group ? ", " : "";

    if (!out)
        return fc_statement_end(&s);
    fprintf(out,
            "SELECT %s%sn, packets_high, packets_low, sent_high, sent_low, received_high, received_low, has_time, "
            "first, last, peers, ports, %s FROM (SELECT ",
            a->group, comma,
            a->figures & FC_TOP_INTERVAL ? interval_columns : "toUInt64(0) AS gaps, 0. AS mean, 0. AS deviation");
    put_key(out, a);
    fputs(comma, out);
    put_figures(out, a);
    put_from(out, a);
    fputc(')', out);
    if (is_cut(a)) {
        put_order(out, a);
        fprintf(out, " LIMIT %" PRId64, a->o.limit);
    }
    fputs(" FORMAT RowBinary", out);
    return fc_statement_end(&s);
}

/* ---- the answer */

static int read_text(struct asking *a, struct fc_binary *row, const char **to)
{
    size_t len;

    *to = NULL;
    if (a->o.by != FC_TOP_SENSOR && !fc_binary_has(row))
        return 0;
    const char *text = fc_binary_text(row, FC_ENGINE_ROW_TEXT_MAX, &len);
    if (fc_vector_reserve(&a->text, &a->room, len + 1, 1))
        return FC_E_NOMEM;
    memcpy(a->text, text, len);
    a->text[len] = '\0';
    *to = a->text;
    return 0;
}

static void read_port(struct fc_binary *row, struct fc_top_row *r)
{
    r->port = (int32_t)fc_binary_u32(row);
    row->bad |= r->port < -1 || r->port > UINT16_MAX;
    r->proto = fc_binary_u32(row);
}

static void read_bucket(const struct asking *a, struct fc_binary *row, struct fc_top_row *r)
{
    int64_t number = fc_binary_i64(row);

    if (!r->has_bucket)
        return;
    /* the first one may begin before what 64 bits can say */
    if (__builtin_mul_overflow(number, fc_top_bucket(a->top), &r->bucket_ns)) {
        row->bad |= number > 0;
        r->bucket_ns = INT64_MIN;
    }
}

static int read_group(struct asking *a, struct fc_binary *row, struct fc_top_row *r)
{
    switch (a->o.by) {
    case FC_TOP_CLIENT:
    case FC_TOP_SERVER:
    case FC_TOP_HOST:
    case FC_TOP_PAIR:
        r->kind = fc_engine_row_kind(row);
        fc_engine_row_address(row, r->kind, r->addr);
        if (a->o.by == FC_TOP_PAIR)
            fc_engine_row_address(row, r->kind, r->server);
        return 0;
    case FC_TOP_PORT:
        read_port(row, r);
        return 0;
    case FC_TOP_PROTOCOL:
        r->proto = fc_binary_u32(row);
        return 0;
    case FC_TOP_STATE:
        r->state = (int)fc_binary_below(row, fc_binary_u8(row), 4);
        return 0;
    case FC_TOP_TIME:
    case FC_TOP_TOTAL:
        return 0;
    default:
        return read_text(a, row, &r->text);
    }
}

/* The columns that write_group() names. */
static int read_key(struct asking *a, struct fc_binary *row, struct fc_top_row *r)
{
    bool timed = a->by_time || a->o.by == FC_TOP_TIME, by_text = fc_top_by_text(a->o.by);
    int rc = by_text ? read_group(a, row, r) : 0;

    r->has_bucket = timed && !fc_binary_bool(row);
    if (!by_text)
        rc = read_group(a, row, r);
    if (timed)
        read_bucket(a, row, r);
    return rc;
}

/* Two halves as one number; false: it has more than 64 bits. */
static bool read_sum(struct fc_binary *row, uint64_t *sum)
{
    uint64_t high = fc_binary_u64(row), low = fc_binary_u64(row);

    *sum = (high << 32) + low;
    return high >> 32 == 0 && *sum >= low;
}

static int take_group(void *ctx, struct fc_binary *row, struct fc_error *err)
{
    struct asking *a = ctx;
    struct fc_top_row r = {.has_bytes = true};
    int rc = read_key(a, row, &r);

    r.sessions = fc_binary_u64(row);
    bool fits = read_sum(row, &r.packets);
    fits &= read_sum(row, &r.sent_bytes);
    fits &= read_sum(row, &r.received_bytes);
    fits &= !__builtin_add_overflow(r.sent_bytes, r.received_bytes, &r.bytes);
    r.has_time = fc_binary_bool(row);
    r.first_ns = fc_binary_i64(row);
    r.last_ns = fc_binary_i64(row);
    r.peers = fc_binary_u64(row);
    r.ports = fc_binary_u64(row);
    r.intervals = fc_binary_u64(row);
    r.interval_mean = fc_binary_double(row) / 1e9;
    r.interval_deviation = fc_binary_double(row) / 1e9;
    row->bad |= !row->cut && r.has_time && r.last_ns < r.first_ns;
    if (row->cut || row->bad || r.sessions == 0)
        return 0;
    if (!r.has_time)
        r.first_ns = r.last_ns = 0;
    if (!fits)
        return fc_error_set(err, FC_E_LIMIT, NULL, FC_NO_OFFSET,
                            "a sum has more than 64 bits: some sessions' numbers cannot be true");
    a->groups++;
    return rc || fc_top_add(a->top, &r) ? no_memory(err) : 0;
}

static int take_count(void *ctx, struct fc_binary *row, struct fc_error *err)
{
    uint64_t count = fc_binary_u64(row);

    (void)err;
    if (!row->cut)
        *(uint64_t *)ctx = count;
    return 0;
}

/* How many groups there are, where not all were given. */
static int count_groups(struct asking *a, struct fc_error *err)
{
    struct fc_statement s = {0};
    FILE *out = fc_statement_begin(&s);

    if (out) {
        fputs("SELECT count() FROM (SELECT ", out);
        put_key(out, a);
        put_from(out, a);
        fputs(") FORMAT RowBinary", out);
    }
    return fc_inquiry_ask(a->inquiry, fc_statement_end(&s), &a->where, false, take_count, &a->groups, err);
}

/* First and last start of sessions with a time. */
struct starts {
    int64_t first, last;
};

static int take_starts(void *ctx, struct fc_binary *row, struct fc_error *err)
{
    bool any = fc_binary_bool(row);
    struct starts starts = {fc_binary_i64(row), 0};

    (void)err;
    starts.last = fc_binary_i64(row);
    if (!row->cut && !row->bad && any)
        *(struct starts *)ctx = starts;
    return 0;
}

int fc_inquiry_starts(struct fc_inquiry *q, struct fc_where *where, int64_t from_ns, int64_t *first_ns,
                      int64_t *last_ns, struct fc_error *err)
{
    struct starts starts = {0};
    char *sql = NULL;

    if (asprintf(&sql,
                 "SELECT count() > 0, min(start_ns), max(start_ns)" FC_FROM_SESSION
                 "%s AND timed = 1 AND start_ns >= %" PRId64 " FORMAT RowBinary",
                 where->text, from_ns) < 0)
        sql = NULL;
    int rc = fc_inquiry_ask(q, sql, where, false, take_starts, &starts, err);
    *first_ns = starts.first;
    *last_ns = starts.last;
    return rc;
}

static int choose_bucket(struct asking *a, struct fc_error *err)
{
    int64_t first_ns, last_ns;
    int rc = fc_inquiry_starts(a->inquiry, &a->where, INT64_MIN, &first_ns, &last_ns, err);

    return rc ? rc : fc_top_choose_bucket(a->top, first_ns, last_ns, a->o.bucket_ns, err);
}

static int ask(struct asking *a, struct fc_error *err)
{
    int rc = a->o.by == FC_TOP_TIME || a->by_time ? choose_bucket(a, err) : 0;

    a->figures = fc_top_figures(a->top, &a->o);
    rc = rc ? rc : fc_inquiry_ask(a->inquiry, write_question(a), &a->where, false, take_group, a, err);
    if (rc == 0 && is_cut(a) && !a->o.rough_groups && a->groups == (uint64_t)a->o.limit)
        rc = count_groups(a, err);
    return rc ? rc : fc_source_check(a->inquiry, &a->where, err);
}

static int check(const struct asking *a, const struct fc_filter *filter, struct fc_error *err)
{
    uint32_t needed = a->o.by == FC_TOP_VLAN ? FC_FIELD_VLAN : a->o.by == FC_TOP_TUNNEL ? FC_FIELD_TUNNEL : 0;

    if (a->o.by == FC_TOP_FILE)
        return fc_error_set(err, FC_E_USAGE, NULL, FC_NO_OFFSET,
                            "of captures the engine knows nothing: ask the sensors' own indexes");
    if (needed && !(fc_inquiry_fields(a->inquiry, filter) & needed))
        return fc_error_set(err, FC_E_USAGE, NULL, FC_NO_OFFSET, "no sensor holds %s; index with --fields %s there",
                            a->o.by == FC_TOP_VLAN ? "VLAN ids" : "encapsulations",
                            a->o.by == FC_TOP_VLAN ? "vlan" : "tunnel");
    return 0;
}

FC_EXPORT int fc_inquiry_top(struct fc_inquiry *q, const struct fc_filter *filter, const struct fc_top_options *options,
                             struct fc_top **out, struct fc_error *err)
{
    struct asking a = {.inquiry = q};
    int rc;

    *out = NULL;
    if (options)
        a.o = *options;
    if ((rc = check(&a, filter, err)) || (rc = fc_top_begin(&a.o, &a.top, err)))
        return rc;
    a.o.by = a.top->by;
    a.by_time = a.top->by_time;
    write_group(&a);
    rc = fc_where_make(q, filter, &a.where, err);
    a.where.sums = true;
    while (rc == 0 && a.where.text && (rc = ask(&a, err)) == 1) {
        fc_top_close(a.top);
        a.groups = 0;
        rc = fc_top_begin(&a.o, &a.top, err);
    }
    fc_where_fini(&a.where);
    free(a.text);
    if (rc) {
        fc_top_close(a.top);
        return rc;
    }
    fc_top_end(a.top, a.groups);
    *out = a.top;
    return 0;
}
