/* SPDX-License-Identifier: MIT */
/* What is sent as it is made: the payload of a session, and captures. */
#include "serve/ask.h"

#include <errno.h>
#include <fcntl.h>
#include <flowcarve/carve.h>
#include <flowcarve/stream.h>
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
    const char *ids;
};

/* "1,5-30" narrows the filter. */
static bool narrow(struct fc_ask *ask, struct carving *c)
{
    enum { RANGES_MAX = 8192 };
    struct fc_id_range *range = c->ids ? malloc(RANGES_MAX * sizeof *range) : NULL;
    size_t count = 0;
    const char *p = c->ids;
    bool good = range != NULL;

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
        if (!good || *p != ',' || count == RANGES_MAX)
            break;
        p++;
    }
    good = good && !*p;
    if (!good)
        fc_ask_fail_parameter(ask, "ids", "ids are numbers and ranges as 1,5-30, not '%s'", c->ids);
    int rc = good && !c->chosen.filter ? fc_filter_parse("", 1, &c->chosen.filter, NULL) : 0;
    if (good && (rc || fc_filter_narrow(c->chosen.filter, range, count) != 0)) {
        fc_ask_fail_memory(ask);
        good = false;
    }
    free(range);
    return good;
}

static bool read_carving(struct fc_ask *ask, struct carving *c)
{
    static const char *const formats[] = {"auto", "pcap", "pcapng", NULL};
    static const char *const compressions[] = {"none", "gzip", "zstd", "lz4", "xz", NULL};
    int format = 0, compression = 0, direction = 0;
    int64_t packets = 0, bytes = 0;

    c->ids = fc_params_get(&ask->params, "ids");
    if (!fc_ask_chosen(ask, &c->chosen) || !fc_ask_word(ask, "format", formats, &format) ||
        !fc_ask_word(ask, "compress", compressions, &compression) ||
        !fc_ask_word(ask, "direction", directions, &direction) ||
        !fc_ask_number(ask, "first_packets", 1, INT64_MAX, &packets) ||
        !fc_ask_number(ask, "first_bytes", 1, INT64_MAX, &bytes) || !fc_ask_bool(ask, "comments", &c->o.comments) ||
        !fc_ask_bool(ask, "partial", &c->o.partial) || !fc_ask_end(ask))
        return false;
    c->o.format = (enum fc_carve_format)format;
    c->o.compression = (enum fc_compression)compression;
    c->o.one_direction = direction != 0;
    c->o.from = direction == 2 ? FC_FROM_SERVER : FC_FROM_CLIENT;
    c->o.first_packets = (uint64_t)packets;
    c->o.first_bytes = (uint64_t)bytes;
    return !c->ids || narrow(ask, c);
}

/* What it is saved as; its suffix follows when it is known what it is. */
static void name_file(struct fc_ask *ask, const struct carving *c)
{
    bool one = c->ids && *c->ids && strspn(c->ids, "0123456789") == strlen(c->ids);

    snprintf(ask->name, sizeof ask->name, "flowcarve%s%.40s", one ? "-" : "", one ? c->ids : "");
}

static int carve(struct fc_ask *ask, int fd)
{
    struct carving c = {0};
    struct fc_carve_result result;
    struct fc_error err;
    int rc = -1;

    if (read_carving(ask, &c)) {
        name_file(ask, &c);
        rc = fc_carve(ask->db, c.chosen.filter, &c.o, fd, ask->stop, &result, &err);
        if (rc == FC_E_PIPE && fd != ask->fd) /* its first bytes, which nobody was to take */
            rc = 0;
        if (rc)
            rc = fc_ask_fail_error(ask, &err);
        else if (!result.sessions)
            rc = fc_ask_fail(ask, 404, "not_found", "no session matches");
        ask->sessions = result.sessions;
        ask->packets = result.packets;
        fc_carve_result_fini(&result);
    }
    fc_chosen_fini(&c.chosen);
    return rc;
}

int fc_answer_carve(struct fc_ask *ask)
{
    return carve(ask, ask->fd);
}

/* A carve that ends at its first byte. */
int fc_answer_carve_check(struct fc_ask *ask)
{
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) != 0)
        return fc_ask_fail(ask, 503, "busy", "there are too many open files");
    close(ends[0]);
    int rc = carve(ask, ends[1]);
    close(ends[1]);
    if (rc == 0) {
        fc_json_mark(&ask->out, '{');
        fc_json_put_number(&ask->out, "sessions", ask->sessions);
        fc_json_mark(&ask->out, '}');
    }
    return rc;
}
