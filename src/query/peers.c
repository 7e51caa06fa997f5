/* SPDX-License-Identifier: MIT */
/*
 * Sessions between the hosts of others. The pairs of those that match are sorted with their windows of time; then the
 * sessions of their hosts, all at once, are held against them.
 */
#include "base/error.h"
#include "base/export.h"
#include "base/vector.h"
#include "query/filter.h"
#include "store/db.h"

#include <arpa/inet.h>
#include <flowcarve/decode.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HOSTS_MAX = 10000, ADDR = 16 }; /* of more hosts than that all sessions are looked at */

struct window {
    uint8_t pair[1 + 2 * ADDR]; /* kind, and both addresses, the lower one first */
    int64_t low_ns, high_ns;
    int64_t latest_ns; /* of the windows of this pair up to here, when sorted: the end that is latest */
};

struct windows {
    struct window *items;
    size_t count, room;
    struct fc_id_range *ids; /* of the sessions that are chosen */
    size_t id_count, id_room;
};

static int no_memory(struct fc_error *err)
{
    return fc_error_set(err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");
}

static size_t addr_len(int kind)
{
    return kind == FC_ADDR_IPV4 ? 4 : kind == FC_ADDR_IPV6 ? 16 : kind == FC_ADDR_MAC ? 6 : 0;
}

/* False: the session has no addresses. */
static bool pair_of(const struct fc_session *row, uint8_t pair[1 + 2 * ADDR])
{
    size_t len = addr_len(row->kind);
    bool swap = memcmp(row->client_addr, row->server_addr, len) > 0;

    memset(pair, 0, 1 + 2 * ADDR);
    pair[0] = (uint8_t)row->kind;
    memcpy(pair + 1, swap ? row->server_addr : row->client_addr, len);
    memcpy(pair + 1 + ADDR, swap ? row->client_addr : row->server_addr, len);
    return len != 0;
}

static int add_id(struct windows *w, int64_t id)
{
    if (fc_vector_reserve(&w->ids, &w->id_room, w->id_count + 1, sizeof *w->ids))
        return FC_E_NOMEM;
    w->ids[w->id_count++] = (struct fc_id_range){id, id};
    return 0;
}

static int64_t moved(int64_t ns, int64_t by)
{
    int64_t sum;

    return __builtin_add_overflow(ns, by, &sum) ? by < 0 ? INT64_MIN : INT64_MAX : sum;
}

/* A session that matches: it is chosen, and opens a window. */
static int add_window(struct windows *w, const struct fc_session *row, int64_t before_ns, int64_t after_ns)
{
    if (add_id(w, row->id) || fc_vector_reserve(&w->items, &w->room, w->count + 1, sizeof *w->items))
        return FC_E_NOMEM;
    struct window *window = &w->items[w->count];
    *window = (struct window){.low_ns = moved(row->start_ns, -before_ns), .high_ns = moved(row->end_ns, after_ns)};
    w->count += pair_of(row, window->pair) && row->has_time;
    return 0;
}

static int compare_pair(const void *a, const void *b)
{
    return memcmp(((const struct window *)a)->pair, ((const struct window *)b)->pair, 1 + 2 * ADDR);
}

static int compare_window(const void *a, const void *b)
{
    const struct window *x = a, *y = b;
    int pairs = compare_pair(a, b);

    return pairs ? pairs : x->low_ns < y->low_ns ? -1 : x->low_ns > y->low_ns;
}

static void sort_windows(struct windows *w)
{
    if (w->count)
        qsort(w->items, w->count, sizeof *w->items, compare_window);
    for (size_t i = 0; i < w->count; i++) {
        struct window *now = &w->items[i];
        now->latest_ns = now->high_ns;
        if (i && compare_pair(now, now - 1) == 0 && now[-1].latest_ns > now->latest_ns)
            now->latest_ns = now[-1].latest_ns;
    }
}

/* Was the session active in a window of its pair? Of those that begin before its end, one ends behind its start. */
static bool is_inside(const struct windows *w, const struct fc_session *row)
{
    struct window key = {.low_ns = row->end_ns};
    size_t lo = 0, hi = w->count;

    if (!pair_of(row, key.pair) || !row->has_time)
        return false;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (compare_window(&w->items[mid], &key) <= 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo && compare_pair(&w->items[lo - 1], &key) == 0 && w->items[lo - 1].latest_ns >= row->start_ns;
}

static void write_host(FILE *out, const struct window *window)
{
    const uint8_t *a = window->pair + 1;
    char text[INET6_ADDRSTRLEN];

    if (window->pair[0] == FC_ADDR_MAC)
        fprintf(out, "ether host %02x:%02x:%02x:%02x:%02x:%02x", a[0], a[1], a[2], a[3], a[4], a[5]);
    else
        fprintf(out, "host %s", inet_ntop(window->pair[0] == FC_ADDR_IPV4 ? AF_INET : AF_INET6, a, text, sizeof text));
}

/* The sessions of one host of each pair; all of them where there are too many hosts. NULL without memory. */
static struct fc_filter *of_hosts(const struct windows *w)
{
    struct fc_filter *filter = NULL;
    size_t hosts = 0, size;
    char *text = NULL;
    FILE *out = open_memstream(&text, &size);

    for (size_t i = 0; out && i < w->count && hosts <= HOSTS_MAX; i++) {
        if (i && memcmp(w->items[i].pair, w->items[i - 1].pair, 1 + ADDR) == 0)
            continue;
        fputs(hosts++ ? " or " : "", out);
        write_host(out, &w->items[i]);
    }
    if (out && fclose(out) == 0 && fc_filter_parse(hosts <= HOSTS_MAX ? text : "", 0, &filter, NULL))
        filter = NULL;
    free(text);
    return filter;
}

typedef int visit(struct windows *w, const struct fc_session *row, const int64_t around_ns[2]);

static int visit_match(struct windows *w, const struct fc_session *row, const int64_t around_ns[2])
{
    return add_window(w, row, around_ns[0], around_ns[1]);
}

static int visit_peer(struct windows *w, const struct fc_session *row, const int64_t around_ns[2])
{
    (void)around_ns;
    return is_inside(w, row) ? add_id(w, row->id) : 0;
}

static int for_each(struct fc_db *db, const struct fc_filter *filter, visit *call, struct windows *w,
                    const int64_t around_ns[2], struct fc_error *err)
{
    struct fc_session row;
    struct fc_query *query;
    int rc = fc_query_open(db, filter, NULL, &query, err);

    if (rc)
        return rc;
    while ((rc = fc_query_next(query, &row, err)) == 1)
        if (call(w, &row, around_ns)) {
            rc = no_memory(err);
            break;
        }
    fc_query_close(query);
    return rc;
}

FC_EXPORT int fc_filter_peers(struct fc_db *db, const struct fc_filter *filter, int64_t before_ns, int64_t after_ns,
                              struct fc_filter **out, struct fc_error *err)
{
    const int64_t around_ns[2] = {before_ns, after_ns};
    struct fc_filter *hosts = NULL;
    struct windows w = {.count = 0};
    struct fc_error local;
    int rc;

    err = err ? err : &local;
    rc = for_each(db, filter, visit_match, &w, around_ns, err);
    if (rc == 0 && w.count) {
        sort_windows(&w);
        hosts = of_hosts(&w);
        rc = hosts ? for_each(db, hosts, visit_peer, &w, around_ns, err) : no_memory(err);
    }
    if (rc == 0 && (rc = fc_filter_parse("", 0, out, NULL)) == 0 && (rc = fc_filter_narrow(*out, w.ids, w.id_count)))
        fc_filter_free(*out);
    if (rc == FC_E_NOMEM)
        no_memory(err);
    fc_filter_free(hosts);
    free(w.items);
    free(w.ids);
    return rc;
}
