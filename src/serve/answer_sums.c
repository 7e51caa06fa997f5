/* SPDX-License-Identifier: MIT */
#include "serve/ask.h"
#include "serve/session_json.h"

#include <flowcarve/histogram.h>
#include <flowcarve/state.h>
#include <flowcarve/status.h>
#include <flowcarve/summary.h>
#include <flowcarve/top.h>
#include <flowcarve/value.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* ---- count, cost */

/* What all of some sessions are. */
static void put_total(struct fc_json *j, const struct fc_top_row *row)
{
    fc_json_put_number(j, "sessions", row->sessions);
    fc_json_put_number(j, "packets", row->packets);
    fc_json_put_number(j, "bytes", row->bytes);
    fc_json_put_time(j, "start", row->has_time, row->first_ns);
    fc_json_put_time(j, "end", row->has_time, row->last_ns);
}

static int count(struct fc_ask *ask, const struct fc_chosen *chosen)
{
    struct fc_top_row row = {0};
    struct fc_top *top;
    struct fc_error err;

    if (fc_ask_top(ask, chosen->filter, NULL, &top, &err) != 0)
        return fc_ask_fail_error(ask, &err);
    fc_top_next(top, &row);
    fc_top_close(top);
    fc_json_mark(&ask->out, '{');
    put_total(&ask->out, &row);
    if (fc_ask_put_cost(ask, chosen->filter) != 0)
        return -1;
    fc_json_mark(&ask->out, '}');
    return 0;
}

int fc_answer_count(struct fc_ask *ask)
{
    struct fc_chosen chosen;
    int rc = fc_ask_chosen(ask, &chosen) && fc_ask_end(ask) ? count(ask, &chosen) : -1;

    fc_chosen_fini(&chosen);
    return rc;
}

int fc_answer_cost(struct fc_ask *ask)
{
    struct fc_query_cost cost;
    struct fc_chosen chosen;
    struct fc_error err;
    int rc = fc_ask_chosen(ask, &chosen) && fc_ask_end(ask) ? 0 : -1;

    if (rc == 0 && fc_query_cost(ask->db, chosen.filter, &cost, &err) != 0)
        rc = fc_ask_fail_error(ask, &err);
    if (rc == 0) {
        fc_json_mark(&ask->out, '{');
        fc_json_put_number(&ask->out, "sessions", (uint64_t)cost.sessions);
        fc_json_put_number(&ask->out, "reads", (uint64_t)cost.reads);
        fc_json_put_bool(&ask->out, "scan", cost.scan);
        fc_json_mark(&ask->out, '}');
    }
    fc_chosen_fini(&chosen);
    return rc;
}

/* ---- histogram */

static const char *const stacks[] = {"none", "proto", "state", NULL}; /* enum fc_histogram_by */

static void put_sum(struct fc_json *j, const char *key, const struct fc_histogram_sum *sum)
{
    fc_json_key(j, key);
    fc_json_mark(j, '{');
    fc_json_put_number(j, "sessions", sum->sessions);
    fc_json_put_number(j, "packets", sum->packets);
    fc_json_put_number(j, "bytes", sum->bytes);
    fc_json_mark(j, '}');
}

static void put_group(struct fc_json *j, const struct fc_histogram *h, int by, const struct fc_histogram_group *g)
{
    static const char *const keys[] = {"sessions", "packets", "bytes"};
    char name[FC_TEXT_MAX];
    const char *state = by == FC_HISTOGRAM_STATE ? fc_state_name((int)g->key) : NULL;

    fc_json_mark(j, '{');
    if (by == FC_HISTOGRAM_PROTOCOL && g->key >= 0)
        *fc_text_proto(name, (uint32_t)g->key) = '\0';
    else
        snprintf(name, sizeof name, "%s", g->key == -2 ? "other" : by == FC_HISTOGRAM_ALL ? "all" : "unknown");
    fc_json_put_text(j, "name", state ? state : name);
    for (int k = 0; k < 3; k++) {
        fc_json_key(j, keys[k]);
        fc_json_mark(j, '[');
        for (size_t i = 0; i < h->count; i++)
            fc_json_number(j, k == 0 ? g->bucket[i].sessions : k == 1 ? g->bucket[i].packets : g->bucket[i].bytes);
        fc_json_mark(j, ']');
    }
    fc_json_mark(j, '}');
}

static int put_histogram(struct fc_ask *ask, const struct fc_chosen *chosen, int by, const struct fc_histogram *h)
{
    struct fc_json *j = &ask->out;

    fc_json_mark(j, '{');
    fc_json_put_text(j, "by", stacks[by]);
    fc_json_put_number(j, "bucket_ns", (uint64_t)h->bucket_ns);
    fc_json_put_number(j, "count", h->count);
    fc_json_put_time(j, "start", h->count > 0, h->start_ns);
    fc_json_key(j, "groups");
    fc_json_mark(j, '[');
    for (size_t i = 0; i < h->groups; i++)
        put_group(j, h, by, &h->group[i]);
    fc_json_mark(j, ']');
    put_sum(j, "earlier", &h->earlier);
    put_sum(j, "timeless", &h->timeless);
    fc_json_put_bool(j, "exact", h->exact);
    fc_json_key(j, "total");
    if (h->exact) {
        fc_json_mark(j, '{');
        put_total(j, &(struct fc_top_row){.sessions = h->total.sessions,
                                          .packets = h->total.packets,
                                          .bytes = h->total.bytes,
                                          .has_time = h->has_time,
                                          .first_ns = h->first_ns,
                                          .last_ns = h->last_ns});
        fc_json_mark(j, '}');
    } else {
        fc_json_null(j);
    }
    if (fc_ask_put_cost(ask, chosen->filter) != 0)
        return -1;
    fc_json_mark(j, '}');
    return 0;
}

int fc_answer_histogram(struct fc_ask *ask)
{
    enum { MANY = 500000 }; /* sessions: reading as many takes a quarter of a second */
    int64_t buckets = FC_HISTOGRAM_BUCKETS;
    struct fc_query_cost cost = {0};
    struct fc_histogram h;
    struct fc_chosen chosen;
    struct fc_error err;
    bool exact = false;
    int by = 0, rc = -1;

    if (fc_ask_chosen(ask, &chosen) && fc_ask_word(ask, "by", stacks, &by) &&
        fc_ask_number(ask, "buckets", 2, FC_HISTOGRAM_BUCKETS_MAX, &buckets) && fc_ask_bool(ask, "exact", &exact) &&
        fc_ask_end(ask)) {
        struct fc_histogram_options o = {.by = (enum fc_histogram_by)by,
                                         .buckets = (unsigned)buckets,
                                         .has_from = chosen.has_from,
                                         .from_ns = chosen.from_ns};
        rc = exact || ask->inquiry ? 0 : fc_query_cost(ask->db, NULL, &cost, &err);
        o.sums = !exact && cost.sessions > MANY;
        rc = rc ? rc : fc_ask_histogram(ask, chosen.filter, &o, &h, &err);
        rc = rc ? fc_ask_fail_error(ask, &err) : 0;
        if (rc == 0) {
            rc = put_histogram(ask, &chosen, by, &h);
            fc_histogram_fini(&h);
        }
    }
    fc_chosen_fini(&chosen);
    return rc;
}

/* ---- top */

static const char *const groupings[] = {"total", "client", "server", "host", "pair",   "port",
                                        "proto", "state",  "file",   "vlan", "tunnel", NULL}; /* enum fc_top_by */
/* of many sensors: without captures, of which an engine knows nothing */
static const char *const groupings_of_many[] = {"total", "client", "server", "host",   "pair",   "port",
                                                "proto", "state",  "vlan",   "tunnel", "sensor", NULL};
static const enum fc_top_by by_of_many[] = {FC_TOP_TOTAL, FC_TOP_CLIENT, FC_TOP_SERVER,   FC_TOP_HOST,
                                            FC_TOP_PAIR,  FC_TOP_PORT,   FC_TOP_PROTOCOL, FC_TOP_STATE,
                                            FC_TOP_VLAN,  FC_TOP_TUNNEL, FC_TOP_SENSOR};

static char *addr_text(char buf[FC_TEXT_MAX + 1], int kind, const uint8_t *addr)
{
    *fc_text_addr(buf, kind, addr) = '\0';
    return *buf ? buf : NULL;
}

static bool is_filter(const char *text)
{
    struct fc_filter *filter = NULL;
    bool is = fc_filter_parse(text, 1, &filter, NULL) == 0;

    fc_filter_free(filter);
    return is;
}

/* The condition that a group's sessions are, "" where there is none. */
static void group_filter(enum fc_top_by by, const struct fc_top_row *r, char *text, size_t size)
{
    enum { TCP = 6, UDP = 17, SCTP = 132 };
    char a[FC_TEXT_MAX + 1], b[FC_TEXT_MAX + 1];
    const char *addr = addr_text(a, r->kind, r->addr), *state = fc_state_name(r->state);

    *text = '\0';
    if (by == FC_TOP_CLIENT || by == FC_TOP_SERVER || by == FC_TOP_HOST)
        snprintf(text, size, "%shost %s",
                 by == FC_TOP_CLIENT   ? "client "
                 : by == FC_TOP_SERVER ? "server "
                                       : "",
                 addr ? addr : "");
    else if (by == FC_TOP_PAIR && addr)
        snprintf(text, size, "client host %s and server host %s", a, addr_text(b, r->kind, r->server) ? b : "");
    else if (by == FC_TOP_STATE && state)
        snprintf(text, size, "state %s", state);
    else if (by == FC_TOP_FILE && r->text && !strchr(r->text, '"'))
        snprintf(text, size, "file \"%s\"", r->text);
    else if ((by == FC_TOP_VLAN || by == FC_TOP_TUNNEL) && r->text && !strpbrk(r->text, ",/"))
        snprintf(text, size, "%s %s", by == FC_TOP_VLAN ? "vlan" : "tunnel", r->text);
    else if (by == FC_TOP_SENSOR)
        snprintf(text, size, "sensor %s", r->text);
    bool has_port = by == FC_TOP_PORT && r->port >= 0;
    if ((by == FC_TOP_PORT && (!has_port || r->proto == TCP || r->proto == UDP || r->proto == SCTP)) ||
        by == FC_TOP_PROTOCOL) { /* a filter knows no ports of others */
        *fc_text_proto(a, r->proto) = '\0';
        if (has_port)
            snprintf(text, size, "proto %s and server port %d", a, r->port);
        else
            snprintf(text, size, "proto %s", a);
    }
    if (*text && !is_filter(text))
        *text = '\0';
}

static void put_group_key(struct fc_json *j, enum fc_top_by by, const struct fc_top_row *r)
{
    char buf[FC_TEXT_MAX + 1];

    if (by == FC_TOP_CLIENT || by == FC_TOP_PAIR)
        fc_json_put_text(j, "client", addr_text(buf, r->kind, r->addr));
    if (by == FC_TOP_SERVER || by == FC_TOP_PAIR)
        fc_json_put_text(j, "server", addr_text(buf, r->kind, by == FC_TOP_PAIR ? r->server : r->addr));
    if (by == FC_TOP_HOST)
        fc_json_put_text(j, "host", addr_text(buf, r->kind, r->addr));
    if (by == FC_TOP_PORT) {
        fc_json_key(j, "port");
        if (r->port < 0)
            fc_json_null(j);
        else
            fc_json_number(j, (uint64_t)r->port);
    }
    if (by == FC_TOP_PORT || by == FC_TOP_PROTOCOL) {
        *fc_text_proto(buf, r->proto) = '\0';
        fc_json_put_text(j, "proto", buf);
    }
    if (by == FC_TOP_STATE)
        fc_json_put_text(j, "state", fc_state_name(r->state));
    if (by == FC_TOP_FILE) {
        fc_json_put_number(j, "file", r->file);
        fc_json_put_text(j, "path", r->text);
    }
    if (by == FC_TOP_VLAN || by == FC_TOP_TUNNEL || by == FC_TOP_SENSOR)
        fc_json_put_text(j, by == FC_TOP_VLAN ? "vlan" : by == FC_TOP_TUNNEL ? "tunnel" : "sensor", r->text);
}

static void put_top_row(struct fc_json *j, const struct fc_top_options *o, const struct fc_top_row *r)
{
    static const char *const keys[] = {"bytes", "sent_bytes", "received_bytes"};
    const uint64_t bytes[] = {r->bytes, r->sent_bytes, r->received_bytes};
    char filter[4096 + 16];

    fc_json_mark(j, '{');
    put_group_key(j, o->by, r);
    fc_json_put_number(j, "sessions", r->sessions);
    fc_json_put_number(j, "packets", r->packets);
    for (int i = 0; i < 3; i++) {
        fc_json_key(j, keys[i]);
        if (r->has_bytes)
            fc_json_number(j, bytes[i]);
        else
            fc_json_null(j);
    }
    if (o->figures & FC_TOP_PEERS)
        fc_json_put_number(j, "peers", r->peers);
    if (o->figures & FC_TOP_PORTS)
        fc_json_put_number(j, "ports", r->ports);
    fc_json_put_time(j, "first", r->has_time, r->first_ns);
    fc_json_put_time(j, "last", r->has_time, r->last_ns);
    group_filter(o->by, r, filter, sizeof filter);
    fc_json_put_text(j, "filter", *filter ? filter : NULL);
    fc_json_mark(j, '}');
}

static int put_top(struct fc_ask *ask, const struct fc_chosen *chosen, const struct fc_top_options *o)
{
    struct fc_top_row row;
    struct fc_top *top;
    struct fc_error err;
    uint64_t rows = 0;

    if (fc_ask_top(ask, chosen->filter, o, &top, &err) != 0)
        return fc_ask_fail_error(ask, &err);
    fc_json_mark(&ask->out, '{');
    fc_json_put_text(&ask->out, "by", o->by == FC_TOP_SENSOR ? "sensor" : groupings[o->by]);
    fc_json_key(&ask->out, "rows");
    fc_json_mark(&ask->out, '[');
    for (; fc_top_next(top, &row); rows++)
        put_top_row(&ask->out, o, &row);
    fc_json_mark(&ask->out, ']');
    fc_json_put_number(&ask->out, "groups", fc_top_groups(top));
    fc_json_put_bool(&ask->out, "more", fc_top_groups(top) > rows);
    fc_top_close(top);
    if (fc_ask_put_cost(ask, chosen->filter) != 0)
        return -1;
    fc_json_mark(&ask->out, '}');
    return 0;
}

int fc_answer_top(struct fc_ask *ask)
{
    struct fc_top_options o = {.limit = 20};
    struct fc_chosen chosen;
    bool peers = false, ports = false;
    int by = FC_TOP_TOTAL, rc = -1;

    o.sort = fc_params_get(&ask->params, "sort");
    if (fc_ask_chosen(ask, &chosen) && fc_ask_word(ask, "by", ask->inquiry ? groupings_of_many : groupings, &by) &&
        fc_ask_number(ask, "limit", 1, FC_ASK_ROWS_MAX, &o.limit) && fc_ask_bool(ask, "peers", &peers) &&
        fc_ask_bool(ask, "ports", &ports) && fc_ask_end(ask)) {
        o.by = ask->inquiry ? by_of_many[by] : (enum fc_top_by)by;
        peers |= o.sort && strncmp(o.sort, "peers", 5) == 0;
        ports |= o.sort && strncmp(o.sort, "ports", 5) == 0;
        o.figures = (peers ? FC_TOP_PEERS : 0) | (ports ? FC_TOP_PORTS : 0);
        rc = put_top(ask, &chosen, &o);
    }
    fc_chosen_fini(&chosen);
    return rc;
}

/* ---- status */

static void put_now(struct fc_json *j)
{
    struct timespec now;
    char buf[FC_TEXT_MAX];

    clock_gettime(CLOCK_REALTIME, &now);
    fc_json_key(j, "now");
    fc_json_plain(j, buf, fc_text_time(buf, (int64_t)now.tv_sec * 1000000000 + now.tv_nsec));
}

static void put_counts(struct fc_json *j, const struct fc_loss_counts *c)
{
    fc_json_put_number(j, "received", c->received);
    fc_json_put_number(j, "recorded", c->recorded);
    fc_json_put_number(j, "dropped_kernel", c->dropped_kernel);
    fc_json_put_number(j, "dropped_queue", c->dropped_queue);
    fc_json_put_number(j, "dropped_disk", c->dropped_disk);
    fc_json_put_number(j, "dropped_iface", c->dropped_iface);
}

static void put_decimal(struct fc_json *j, const char *key, double value)
{
    char buf[FC_TEXT_MAX];

    fc_json_key(j, key);
    fc_json_raw(j, buf, (size_t)snprintf(buf, sizeof buf, "%.3f", value));
}

/* Who keeps the index up to date, as far as he tells; null: nobody does. */
static void put_writer(struct fc_json *j, const char *db_path)
{
    enum fc_status_state state;
    struct fc_status s;

    fc_json_key(j, "writer");
    if (fc_status_read(db_path, &state, &s, NULL) != 0 || state == FC_STATUS_STOPPED || s.role == FC_STATUS_NONE) {
        fc_json_null(j);
        return;
    }
    fc_json_mark(j, '{');
    fc_json_put_text(j, "state", state == FC_STATUS_RUNNING ? "running" : "killed");
    fc_json_put_text(j, "command", s.role == FC_STATUS_CAPTURE ? "capture" : "watch");
    fc_json_put_text(j, "what", s.what);
    fc_json_put_time(j, "started", true, s.started_ns);
    fc_json_put_time(j, "told", s.told_ns != 0, s.told_ns);
    put_decimal(j, "packets_per_s", s.packets_per_s[0]);
    put_decimal(j, "bytes_per_s", s.bytes_per_s[0]);
    put_decimal(j, "lag", (double)s.lag_ns / 1e9);
    fc_json_put_number(j, "waiting", s.waiting);
    put_counts(j, &s.total);
    fc_json_key(j, "interfaces");
    fc_json_mark(j, '[');
    for (uint32_t i = 0; i < s.interface_count && i < FC_STATUS_INTERFACES; i++) {
        fc_json_mark(j, '{');
        fc_json_put_text(j, "interface", s.interfaces[i].name);
        put_counts(j, &s.interfaces[i].total);
        fc_json_mark(j, '}');
    }
    fc_json_mark(j, ']');
    fc_json_put_text(j, "error", *s.word ? s.word : NULL);
    fc_json_mark(j, '}');
}

int fc_answer_status(struct fc_ask *ask)
{
    struct fc_json *j = &ask->out;
    struct fc_summary s;
    struct fc_error err;

    if (!fc_ask_end(ask))
        return -1;
    if (fc_summary_read(ask->db, &s, &err) != 0)
        return fc_ask_fail_error(ask, &err);
    fc_json_mark(j, '{');
    fc_json_put_text(j, "flowcarve", FC_VERSION);
    fc_json_put_number(j, "api", 1);
    fc_json_put_text(j, "who", ask->who);
    fc_json_key(j, "scopes");
    fc_put_scopes(j, ask->scopes);
    put_now(j);
    fc_json_put_text(j, "sensor", ask->sensor);
    fc_json_key(j, "index");
    fc_json_mark(j, '{');
    fc_json_put_text(j, "path", ask->db_path);
    fc_json_put_text(j, "generation", s.generation);
    fc_json_put_text(j, "uuid", *s.uuid ? s.uuid : NULL);
    fc_json_put_number(j, "sessions", s.sessions);
    fc_json_put_number(j, "last_id", (uint64_t)s.last_id);
    fc_json_put_number(j, "files", s.files);
    fc_json_put_number(j, "packets", s.packets);
    fc_json_put_number(j, "bytes", s.bytes);
    fc_json_put_time(j, "start", s.has_time, s.start_ns);
    fc_json_put_time(j, "end", s.has_time, s.end_ns);
    fc_put_fields(j, s.fields);
    fc_json_put_text(j, "profile", s.profile);
    fc_json_put_number(j, "size", s.size);
    fc_json_mark(j, '}');
    put_writer(j, ask->db_path);
    fc_json_key(j, "limits");
    fc_json_mark(j, '{');
    fc_json_put_number(j, "rows", FC_ASK_ROWS_MAX);
    fc_json_key(j, "deadline_s");
    char buf[FC_TEXT_MAX];
    fc_json_raw(j, buf, (size_t)snprintf(buf, sizeof buf, "%g", (double)ask->deadline_ns / 1e9));
    fc_json_put_number(j, "streams", FC_ASK_STREAMS_MAX);
    fc_json_mark(j, '}');
    fc_json_mark(j, '}');
    return 0;
}
