/* SPDX-License-Identifier: MIT */
/*
 * Rows are taken in the order of their times, some at a time: the sessions of their hosts in that time are asked for at
 * once, and each is held against the rows by its key.
 */
#include "base/error.h"
#include "base/export.h"
#include "base/vector.h"
#include "query/log.h"

#include <arpa/inet.h>
#include <flowcarve/decode.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TOGETHER = 256 };

static int no_memory(struct fc_error *err)
{
    return fc_error_set(err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");
}

static bool is_community(const struct fc_log_entry *e)
{
    return e->kind == FC_ADDR_NONE;
}

/* Community IDs first, then rows without a time, then by time. */
static int compare_time(const void *a, const void *b)
{
    const struct fc_log_entry *x = *(struct fc_log_entry *const *)a, *y = *(struct fc_log_entry *const *)b;

    if (is_community(x) != is_community(y))
        return is_community(x) ? -1 : 1;
    if (x->has_time != y->has_time)
        return x->has_time ? 1 : -1;
    return x->from_ns < y->from_ns ? -1 : x->from_ns > y->from_ns;
}

static int compare_key(const void *a, const void *b)
{
    const struct fc_log_entry *x = *(struct fc_log_entry *const *)a, *y = *(struct fc_log_entry *const *)b;

    return is_community(x) ? strcmp(x->name, y->name) : memcmp(x->key, y->key, FC_LOG_KEY);
}

static int add_id(struct fc_log_entry *e, int64_t id)
{
    if (fc_vector_reserve(&e->ids, &e->room, e->row.id_count + 1, sizeof *e->ids))
        return FC_E_NOMEM;
    e->ids[e->row.id_count++] = id;
    return 0;
}

static bool is_meant(const struct fc_log_entry *e, const struct fc_session *row, int64_t slack_ns)
{
    return !e->has_time ||
           (row->has_time && row->end_ns >= e->from_ns - slack_ns && row->start_ns <= e->to_ns + slack_ns);
}

/* Adds the session to those of the rows, which are sorted by key, that have this one and mean it. */
static int add_to(struct fc_log_entry **rows, size_t count, struct fc_log_entry *key, const struct fc_session *row,
                  int64_t slack_ns)
{
    size_t lo = 0, hi = count;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (compare_key(&rows[mid], &key) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    for (; lo < count && compare_key(&rows[lo], &key) == 0; lo++)
        if (is_meant(rows[lo], row, slack_ns) && add_id(rows[lo], row->id))
            return FC_E_NOMEM;
    return 0;
}

static int hold_against(struct fc_log_entry **rows, size_t count, const struct fc_session *row, int64_t slack_ns)
{
    enum { ICMP = 1, TCP = 6, UDP = 17, ICMP6 = 58 };
    struct fc_log_entry key = {.kind = (uint8_t)row->kind};
    bool other = row->proto != TCP && row->proto != UDP && row->proto != ICMP && row->proto != ICMP6;
    int rc;

    if (is_community(rows[0])) {
        key.kind = FC_ADDR_NONE;
        key.name = (char *)(uintptr_t)row->community_id;
        return key.name ? add_to(rows, count, &key, row, slack_ns) : 0;
    }
    if (row->proto > 255 || (row->kind != FC_ADDR_IPV4 && row->kind != FC_ADDR_IPV6))
        return 0;
    fc_log_key(key.key, row->proto, row->kind, row->client_addr, row->client_port, row->server_addr, row->server_port);
    if ((rc = add_to(rows, count, &key, row, slack_ns)))
        return rc;
    if (fc_proto_has_ports(row->proto)) {
        fc_log_key(key.key, FC_LOG_ANY, row->kind, row->client_addr, row->client_port, row->server_addr,
                   row->server_port);
        if ((rc = add_to(rows, count, &key, row, slack_ns)))
            return rc;
    }
    if (!other || row->proto == FC_LOG_OTHER)
        return 0;
    fc_log_key(key.key, FC_LOG_OTHER, row->kind, row->client_addr, 0, row->server_addr, 0);
    return add_to(rows, count, &key, row, slack_ns);
}

static void write_time(FILE *out, const char *word, int64_t ns)
{
    ns = ns < 0 ? 0 : ns;
    fprintf(out, " and %s @%" PRId64 ".%09" PRId64, word, ns / 1000000000, ns % 1000000000);
}

/* What the sessions of these rows have in common: hosts, and a time. NULL without memory. */
static struct fc_filter *of_rows(struct fc_log_entry *const *rows, size_t count, int64_t slack_ns)
{
    struct fc_filter *filter = NULL;
    int64_t low_ns = INT64_MAX, high_ns = INT64_MIN;
    bool timed = rows[0]->has_time;
    char text[INET6_ADDRSTRLEN], *whole = NULL;
    size_t size;
    FILE *out = open_memstream(&whole, &size);

    for (size_t i = 0; out && i < count && !is_community(rows[i]); i++) {
        inet_ntop(rows[i]->kind == FC_ADDR_IPV4 ? AF_INET : AF_INET6, rows[i]->addr, text, sizeof text);
        fprintf(out, "%shost %s", i ? " or " : "(", text);
        low_ns = rows[i]->from_ns < low_ns ? rows[i]->from_ns : low_ns;
        high_ns = rows[i]->to_ns > high_ns ? rows[i]->to_ns : high_ns;
    }
    if (out && !is_community(rows[0])) {
        fputs(")", out);
        if (timed) {
            write_time(out, "after", low_ns - slack_ns);
            write_time(out, "before", high_ns + slack_ns + 1);
        }
    }
    if (out && fclose(out) == 0 && fc_filter_parse(whole, 0, &filter, NULL))
        filter = NULL;
    free(whole);
    return filter;
}

static int match_some(struct fc_db *db, struct fc_log_entry **rows, size_t count, int64_t slack_ns,
                      struct fc_error *err)
{
    struct fc_query_options options = {.community_id = is_community(rows[0])};
    struct fc_filter *filter = of_rows(rows, count, slack_ns);
    struct fc_query *query;
    struct fc_session row;
    int rc = filter ? fc_query_open(db, filter, &options, &query, err) : no_memory(err);

    if (rc == 0) {
        qsort(rows, count, sizeof *rows, compare_key);
        while ((rc = fc_query_next(query, &row, err)) == 1)
            if (hold_against(rows, count, &row, slack_ns)) {
                rc = no_memory(err);
                break;
            }
        fc_query_close(query);
    }
    fc_filter_free(filter);
    return rc;
}

/* Rows [i, ...) that are looked up together: all Community IDs, some of the others. */
static size_t together(struct fc_log_entry *const *rows, size_t i, size_t count)
{
    size_t end = i + 1;

    while (end < count && (is_community(rows[i]) || end - i < TOGETHER) &&
           is_community(rows[end]) == is_community(rows[i]) && rows[end]->has_time == rows[i]->has_time)
        end++;
    return end;
}

FC_EXPORT int fc_log_match(struct fc_log *log, struct fc_db *db, int64_t slack_ns, const struct fc_log_row **rows,
                           size_t *count, struct fc_error *err)
{
    struct fc_log_entry **order = malloc((log->count + 1) * sizeof *order);
    struct fc_error local;
    int rc = 0;

    err = err ? err : &local;
    free(log->rows);
    log->rows = malloc((log->count + 1) * sizeof *log->rows);
    if (!order || !log->rows)
        rc = no_memory(err);
    for (size_t i = 0; rc == 0 && i < log->count; i++) {
        order[i] = &log->items[i];
        log->items[i].row.id_count = 0;
    }
    if (rc == 0 && log->count)
        qsort(order, log->count, sizeof *order, compare_time);
    for (size_t i = 0, end; rc == 0 && i < log->count; i = end) {
        end = together(order, i, log->count);
        rc = match_some(db, order + i, end - i, slack_ns, err);
    }
    for (size_t i = 0; rc == 0 && i < log->count; i++) {
        log->items[i].row.name = log->items[i].name;
        log->items[i].row.ids = log->items[i].ids;
        log->rows[i] = log->items[i].row;
    }
    free(order);
    *rows = log->rows;
    *count = log->count;
    return rc;
}
