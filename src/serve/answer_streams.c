/* SPDX-License-Identifier: MIT */
/* What is sent as it is made: the payload of a session, and captures. */
#include "serve/ask.h"
#include "serve/body.h"

#include <errno.h>
#include <fcntl.h>
#include <flowcarve/carve.h>
#include <flowcarve/stream.h>
#include <flowcarve/summary.h>
#include <flowcarve/top.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const directions[] = {"both", "client", "server", NULL};

/* ---- follow */

struct following {
    int direction; /* 0: both, else 1 + enum fc_from */
    int format;    /* 0: JSON, 1: raw */
    bool partial;
    int64_t max_bytes, bytes;
};

static void put_piece(struct fc_json *j, const struct fc_piece *piece)
{
    static const char *const kinds[] = {[FC_PIECE_DATA] = "data",
                                        [FC_PIECE_MISSING] = "missing",
                                        [FC_PIECE_CUT] = "cut",
                                        [FC_PIECE_FRAGMENTS] = "fragments"};
    static const char *const ends[] = {"client", "server", "unknown"};

    fc_json_mark(j, '{');
    fc_json_key(j, "session");
    fc_json_signed(j, piece->session);
    fc_json_put_text(j, "from", ends[piece->from]);
    fc_json_put_number(j, "at", piece->at);
    fc_json_put_text(j, "kind", kinds[piece->kind]);
    fc_json_put_number(j, "bytes", piece->len);
    fc_json_put_time(j, "time", piece->ts_ns != FC_TIME_NONE, piece->ts_ns);
    fc_json_put_number(j, "file", piece->file);
    fc_json_put_number(j, "offset", piece->off);
    if (piece->kind == FC_PIECE_DATA) {
        fc_json_key(j, "data");
        fc_json_base64(j, piece->data, piece->len);
    }
    fc_json_mark(j, '}');
    fc_json_line(j);
}

/* The line without which a stream of lines is not whole. */
static void put_last(struct fc_json *j, bool complete, const struct fc_packets_result *r)
{
    fc_json_mark(j, '{');
    fc_json_put_bool(j, "end", true);
    fc_json_put_bool(j, "complete", complete);
    fc_json_put_number(j, "packets", r->packets);
    fc_put_packets_result(j, r);
    fc_json_mark(j, '}');
    fc_json_line(j);
}

static void put_raw(struct fc_json *j, const struct fc_piece *piece)
{
    if (piece->kind == FC_PIECE_DATA && piece->len)
        fc_json_bytes(j, piece->data, piece->len);
}

static int send_pieces(struct fc_ask *ask, struct following *f, struct fc_follow *follow)
{
    const struct fc_piece *piece;
    struct fc_packets_result result;
    struct fc_error err;
    bool complete = true;
    int rc;

    while ((rc = fc_follow_next(follow, &piece, &err)) > 0) {
        if (f->direction && piece->from != FC_FROM_UNKNOWN && (int)piece->from != f->direction - 1)
            continue;
        if (f->max_bytes && f->bytes >= f->max_bytes && piece->kind == FC_PIECE_DATA && piece->len) {
            complete = false;
            break;
        }
        f->bytes += piece->kind == FC_PIECE_DATA ? (int64_t)piece->len : 0;
        (f->format ? put_raw : put_piece)(&ask->out, piece);
        if (fc_ask_send(ask, false) != 0)
            return -1;
    }
    if (rc < 0)
        return fc_ask_fail_error(ask, &err);
    fc_follow_result(follow, &result);
    if (!f->format)
        put_last(&ask->out, complete, &result);
    return fc_ask_send(ask, true);
}

int fc_answer_follow(struct fc_ask *ask)
{
    static const char *const formats[] = {"json", "raw", NULL};
    struct following f = {0};
    struct fc_packets_result result;
    struct fc_filter *filter;
    struct fc_follow *follow;
    struct fc_error err;

    if (!fc_ask_word(ask, "direction", directions, &f.direction) || !fc_ask_word(ask, "format", formats, &f.format) ||
        !fc_ask_number(ask, "max_bytes", 1, INT64_MAX, &f.max_bytes) || !fc_ask_bool(ask, "partial", &f.partial) ||
        !fc_ask_end(ask) || !(filter = fc_ask_session_filter(ask)))
        return -1;
    ask->type = f.format ? "application/octet-stream" : "application/x-ndjson";
    struct fc_follow_options o = {.partial = f.partial, .stop = ask->stop};
    int rc = fc_follow_open(ask->db, filter, &o, &follow, &err);
    fc_filter_free(filter);
    if (rc)
        return fc_ask_fail_error(ask, &err);
    fc_follow_result(follow, &result);
    rc = result.sessions ? send_pieces(ask, &f, follow)
                         : fc_ask_fail(ask, 404, "not_found", "there is no session %" PRId64, ask->id);
    fc_follow_close(follow);
    return rc;
}

/* ---- carve */

struct carving {
    struct fc_chosen chosen;
    struct fc_carve_options o;
    const char *ids, *uuid;
    struct fc_id_range *range; /* what `ids` says, in order, without what is there twice */
    size_t ranges;
    uint64_t asked;             /* how many these are */
    uint64_t sessions, packets; /* of these that there are, as the index has them, */
    uint64_t bytes;             /* on the wire */
};

static int compare_range(const void *a, const void *b)
{
    const struct fc_id_range *x = a, *y = b;

    return x->first != y->first ? (x->first > y->first) - (x->first < y->first)
                                : (x->last > y->last) - (x->last < y->last);
}

/* Ranges that touch become one. */
static void sort_ranges(struct carving *c)
{
    size_t count = 0;

    qsort(c->range, c->ranges, sizeof *c->range, compare_range);
    for (size_t i = 0; i < c->ranges; i++) {
        struct fc_id_range *last = count ? &c->range[count - 1] : NULL;
        if (last && (last->last == INT64_MAX || c->range[i].first <= last->last + 1))
            last->last = c->range[i].last > last->last ? c->range[i].last : last->last;
        else
            c->range[count++] = c->range[i];
    }
    c->ranges = count;
    c->asked = 0;
    for (size_t i = 0; i < count; i++)
        c->asked += (uint64_t)c->range[i].last - (uint64_t)c->range[i].first + 1;
}

static size_t count_commas(const char *text)
{
    size_t count = 0;

    for (; (text = strchr(text, ',')); text++)
        count++;
    return count;
}

/* "1,5-30" */
static bool read_ids(struct fc_ask *ask, struct carving *c)
{
    struct fc_id_range *range = c->range = malloc((count_commas(c->ids) + 1) * sizeof *range);
    size_t count = 0;
    const char *p = c->ids;
    bool good = range != NULL;

    if (!good)
        fc_ask_fail_memory(ask);
    while (good) {
        char *end;
        errno = 0;
        range[count].first = range[count].last = strtoll(p, &end, 10);
        good = end != p && *p != ' ' && *p != '+';
        if (good && *end == '-') {
            p = end + 1;
            range[count].last = strtoll(p, &end, 10);
            good = end != p && *p != ' ' && *p != '+';
        }
        good = good && errno == 0 && range[count].first <= range[count].last;
        p = end;
        count++;
        if (!good || *p != ',')
            break;
        p++;
    }
    if (range && (!good || *p))
        fc_ask_fail_parameter(ask, "ids", "ids are numbers and ranges as 1,5-30, not '%.200s'", c->ids);
    good = good && !*p;
    c->ranges = count;
    if (good)
        sort_ranges(c);
    return good;
}

/* The filter selects these alone. */
static bool narrow(struct fc_ask *ask, struct carving *c)
{
    int rc = c->chosen.filter ? 0 : fc_filter_parse("", 1, &c->chosen.filter, NULL);

    if (rc == 0 && fc_filter_narrow(c->chosen.filter, c->range, c->ranges) == 0)
        return true;
    fc_ask_fail_memory(ask);
    return false;
}

/* What a body says besides: of which index these IDs are. */
static bool read_body(struct fc_ask *ask, struct carving *c)
{
    const char *wrong = fc_body_read(ask->body, ask->body_len, &ask->params);

    if (wrong) {
        fc_ask_fail(ask, 400, "request", "%s", wrong);
        return false;
    }
    c->ids = fc_params_get(&ask->params, "ids");
    c->uuid = fc_params_get(&ask->params, "uuid");
    if (!c->ids)
        fc_ask_fail_parameter(ask, "ids", "ids say which sessions");
    else
        snprintf(ask->list, sizeof ask->list, "%s", c->ids);
    return c->ids != NULL;
}

bool fc_ask_ids(struct fc_ask *ask, const char *text, struct fc_id_range **range, size_t *count)
{
    struct carving c = {.ids = text};
    bool good = read_ids(ask, &c);

    *range = c.range;
    *count = c.ranges;
    return good;
}

bool fc_ask_carve_options(struct fc_ask *ask, struct fc_carve_options *o)
{
    static const char *const formats[] = {"auto", "pcap", "pcapng", NULL};
    static const char *const compressions[] = {"none", "gzip", "zstd", "lz4", "xz", NULL};
    int format = 0, compression = 0, direction = 0;
    int64_t packets = 0, bytes = 0;

    if (!fc_ask_word(ask, "format", formats, &format) || !fc_ask_word(ask, "compress", compressions, &compression) ||
        !fc_ask_word(ask, "direction", directions, &direction) ||
        !fc_ask_number(ask, "first_packets", 1, INT64_MAX, &packets) ||
        !fc_ask_number(ask, "first_bytes", 1, INT64_MAX, &bytes) || !fc_ask_bool(ask, "comments", &o->comments) ||
        !fc_ask_bool(ask, "partial", &o->partial) || !fc_ask_end(ask))
        return false;
    o->format = (enum fc_carve_format)format;
    o->compression = (enum fc_compression)compression;
    o->one_direction = direction != 0;
    o->from = direction == 2 ? FC_FROM_SERVER : FC_FROM_CLIENT;
    o->first_packets = (uint64_t)packets;
    o->first_bytes = (uint64_t)bytes;
    return true;
}

static bool read_carving(struct fc_ask *ask, struct carving *c)
{
    if (ask->body ? !read_body(ask, c) : !fc_ask_chosen(ask, &c->chosen))
        return false;
    if (!ask->body)
        c->ids = fc_params_get(&ask->params, "ids");
    return fc_ask_carve_options(ask, &c->o) && (!c->ids || (read_ids(ask, c) && narrow(ask, c)));
}

/* ---- what it comes to, before it is begun */

/* Sessions that the filter selects, their packets and bytes. */
static int measure(struct fc_ask *ask, struct carving *c)
{
    struct fc_top_row row = {0};
    struct fc_top *top;
    struct fc_error err;

    if (fc_top_open(ask->db, c->chosen.filter, NULL, &top, &err) != 0)
        return fc_ask_fail_error(ask, &err);
    fc_top_next(top, &row);
    fc_top_close(top);
    c->sessions = row.sessions;
    c->packets = row.packets;
    c->bytes = row.bytes;
    return 0;
}

/* IDs of another index mean other sessions. */
static int check_index(struct fc_ask *ask, const struct carving *c)
{
    struct fc_summary s;
    struct fc_error err;

    if (!c->uuid)
        return 0;
    if (fc_summary_read(ask->db, &s, &err) != 0)
        return fc_ask_fail_error(ask, &err);
    if (strcmp(s.uuid, c->uuid) == 0)
        return 0;
    return fc_ask_fail(ask, 409, "generation",
                       *s.uuid ? "this is the index %s, and not the one that is asked for" : "this index has no uuid%s",
                       s.uuid);
}

/* " 1, 5-30" of a text that has room for so many. */
struct told {
    char text[4000];
    size_t len;
};

static void tell_range(struct told *told, int64_t first, int64_t last)
{
    enum { LONGEST = 48 };
    const char *comma = told->len ? "," : "";
    char *p = told->text + told->len;
    size_t room = sizeof told->text - told->len;

    if (room < 2 * LONGEST) {
        if (told->text[told->len - 1] != '.')
            told->len += (size_t)snprintf(p, room, "%s...", comma);
    } else {
        told->len += first == last ? (size_t)snprintf(p, room, "%s%" PRId64, comma, first)
                                   : (size_t)snprintf(p, room, "%s%" PRId64 "-%" PRId64, comma, first, last);
    }
}

/* The IDs that are asked for and that no session has. */
static int tell_unknown(struct fc_ask *ask, const struct carving *c, struct told *told)
{
    struct fc_session row;
    struct fc_query *query;
    struct fc_error err;
    int rc = fc_query_open(ask->db, c->chosen.filter, NULL, &query, &err);

    if (rc)
        return fc_ask_fail_error(ask, &err);
    told->len = 0;
    rc = fc_query_next(query, &row, &err);
    for (size_t i = 0; i < c->ranges; i++) {
        int64_t next = c->range[i].first; /* not looked at before */
        for (; rc > 0 && row.id <= c->range[i].last; rc = fc_query_next(query, &row, &err)) {
            if (next < row.id)
                tell_range(told, next, row.id - 1);
            next = row.id + 1;
        }
        if (next <= c->range[i].last)
            tell_range(told, next, c->range[i].last);
    }
    fc_query_close(query);
    return rc < 0 ? fc_ask_fail_error(ask, &err) : 0;
}

/* Sessions that an ID names and that are not there are an error, or are told behind what there is. */
static int check_ids(struct fc_ask *ask, const struct carving *c)
{
    struct told told;

    ask->ids = c->asked;
    if (c->sessions == c->asked)
        return 0;
    if (tell_unknown(ask, c, &told) != 0)
        return -1;
    if (!c->o.partial)
        return fc_ask_fail(ask, 404, "not_found", "there is no session %.800s", told.text);
    return (ask->unknown = strdup(told.text)) ? 0 : fc_ask_fail_memory(ask);
}

/* Known is what is not cut by some option; of a capture that was cut, what it would have been. */
static int check_limit(struct fc_ask *ask, const struct carving *c)
{
    enum { AROUND = 16 }; /* bytes of a packet's header */
    const struct fc_carve_options *o = &c->o;
    uint64_t bytes = c->bytes + AROUND * c->packets;

    if (!ask->carve_limit || bytes <= ask->carve_limit || o->first_packets || o->first_bytes || o->one_direction ||
        o->compression)
        return 0;
    return fc_ask_fail(ask, 413, "too_large",
                       "%" PRIu64 " sessions have %" PRIu64 " bytes; %" PRIu64 " are carved at once here", c->sessions,
                       bytes, ask->carve_limit);
}

static int look_ahead(struct fc_ask *ask, struct carving *c)
{
    if (!ask->body && !ask->carve_limit)
        return 0;
    if (check_index(ask, c) != 0 || measure(ask, c) != 0 || (ask->body && check_ids(ask, c) != 0))
        return -1;
    return check_limit(ask, c);
}

/* What it is saved as; its suffix follows when it is known what it is. */
static void name_file(struct fc_ask *ask, const struct carving *c)
{
    bool one = c->ids && *c->ids && strlen(c->ids) < 20 && strspn(c->ids, "0123456789") == strlen(c->ids);

    snprintf(ask->name, sizeof ask->name, "flowcarve%s%.40s", one ? "-" : "", one ? c->ids : "");
}

static int carve(struct fc_ask *ask, int fd)
{
    struct carving c = {0};
    struct fc_carve_result result;
    struct fc_error err;
    int rc = -1;

    if (read_carving(ask, &c) && look_ahead(ask, &c) == 0) {
        name_file(ask, &c);
        rc = fc_carve(ask->db, c.chosen.filter, &c.o, fd, ask->stop, &result, &err);
        if (rc == FC_E_PIPE && fd != ask->fd) /* its first bytes, which nobody was to take */
            rc = 0;
        if (rc)
            rc = fc_ask_fail_error(ask, &err);
        else if (!result.sessions)
            rc = fc_ask_fail(ask, 404, "not_found", "no session matches");
        else if (ask->body && result.sessions != c.sessions)
            rc = fc_ask_fail(ask, 500, "internal", "the index has changed meanwhile");
        ask->sessions = result.sessions;
        ask->packets = result.packets;
        ask->missing = result.packets_missing;
        ask->forgotten = result.packets_forgotten;
        ask->told = true;
        fc_carve_result_fini(&result);
    }
    free(c.range);
    fc_chosen_fini(&c.chosen);
    return rc;
}

int fc_answer_carve(struct fc_ask *ask)
{
    return carve(ask, ask->fd);
}

int fc_ask_check_carve(struct fc_ask *ask, int (*carve_to)(struct fc_ask *, int))
{
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) != 0)
        return fc_ask_fail(ask, 503, "busy", "there are too many open files");
    close(ends[0]);
    int rc = carve_to(ask, ends[1]);
    close(ends[1]);
    if (rc == 0) {
        fc_json_mark(&ask->out, '{');
        fc_json_put_number(&ask->out, "sessions", ask->sessions);
        fc_json_mark(&ask->out, '}');
    }
    return rc;
}

int fc_answer_carve_check(struct fc_ask *ask)
{
    return fc_ask_check_carve(ask, carve);
}
