/* SPDX-License-Identifier: MIT */
/* Packets, with the keys and values of `flowcarve packets --format json`. */
#include "serve/ask.h"

#include <flowcarve/layers.h>
#include <flowcarve/packets.h>
#include <flowcarve/value.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- columns */

enum word {
    TIME,
    DIRECTION,
    SRC,
    DST,
    PROTO,
    TCP_FLAGS,
    SEQ_RAW,
    PAYLOAD,
    TTL,
    DSCP,
    VLAN,
    MPLS,
    TUNNEL,
    MAC,
    CAPLEN,
    ORIGLEN,
    FILE_ID,
    OFFSET,
    PATH,
    NUMBER,
    WORDS
};

static const struct {
    const char *name;
    uint32_t want; /* what is decoded for it, beside the key */
    bool usual;
} words[WORDS] = {
    [TIME] = {"time", 0, true},
    [DIRECTION] = {"direction", 0, true},
    [SRC] = {"src", 0, true},
    [DST] = {"dst", 0, true},
    [PROTO] = {"proto", 0, true},
    [TCP_FLAGS] = {"tcp-flags", FC_WANT_TCP, true},
    [SEQ_RAW] = {"seq-raw", FC_WANT_TCP, true},
    [PAYLOAD] = {"payload", FC_WANT_PAYLOAD, true},
    [TTL] = {"ttl", FC_WANT_TTL, false},
    [DSCP] = {"dscp", FC_WANT_DSCP, false},
    [VLAN] = {"vlan", FC_WANT_VLAN, false},
    [MPLS] = {"mpls", FC_WANT_MPLS, false},
    [TUNNEL] = {"tunnel", FC_WANT_TUNNEL, false},
    [MAC] = {"mac", FC_WANT_MAC, false},
    [CAPLEN] = {"caplen", 0, true},
    [ORIGLEN] = {"origlen", 0, true},
    [FILE_ID] = {"file", 0, true},
    [OFFSET] = {"offset", 0, true},
    [PATH] = {"path", 0, false},
    [NUMBER] = {"number", 0, false},
};

struct asked {
    int64_t first, limit;
    int direction; /* 0: both, else 1 + enum fc_from */
    bool partial;
    uint32_t columns; /* 1 << enum word */
    uint32_t want;
};

static const char *const directions[] = {"both", "client", "server", NULL};

static bool read_columns(struct fc_ask *ask, struct asked *a)
{
    const char *list = fc_params_get(&ask->params, "columns");

    for (int w = 0; w < WORDS; w++)
        if ((!list && words[w].usual) || (list && strcmp(list, "all") == 0 && w != NUMBER))
            a->columns |= 1u << w;
    for (const char *p = list; p && !a->columns; p += strcspn(p, ",") + 1) {
        uint32_t found = 0;
        do {
            size_t len = strcspn(p, ",");
            int w = 0;
            while (w < WORDS && (strlen(words[w].name) != len || memcmp(words[w].name, p, len) != 0))
                w++;
            if (w == WORDS || found & 1u << w) {
                fc_ask_fail_parameter(ask, "columns", "there is no column '%.*s', or it comes twice", (int)len, p);
                return false;
            }
            found |= 1u << w;
            p += len;
        } while (*p++ == ',');
        a->columns = found;
        break;
    }
    for (int w = 0; w < WORDS; w++)
        a->want |= a->columns & 1u << w ? words[w].want : 0;
    return true;
}

static void put_end(struct fc_json *j, const char *name, const struct fc_packet *packet, int end)
{
    const struct fc_flow_key *key = &packet->key;
    char buf[FC_TEXT_MAX], text[16];

    snprintf(text, sizeof text, "%s_addr", name);
    fc_json_key(j, text);
    fc_json_plain(j, buf, fc_text_addr(buf, (int)key->addr_kind, key->addr[end]));
    snprintf(text, sizeof text, "%s_port", name);
    fc_json_key(j, text);
    if (fc_proto_has_ports(key->proto) && packet->frag != FC_FRAG_LATER)
        fc_json_number(j, key->port[end]);
    else
        fc_json_null(j);
}

static void put_maybe(struct fc_json *j, const char *key, bool has, uint64_t number)
{
    fc_json_key(j, key);
    if (has)
        fc_json_number(j, number);
    else
        fc_json_null(j);
}

static void put_flags(struct fc_json *j, const struct fc_packet *k)
{
    static const char letters[] = "FSRPAUEC";
    char text[9], *p = text;

    for (int i = 0; i < 8; i++)
        if (k->tcp_flags & 1u << i)
            *p++ = letters[i];
    *p = '\0';
    fc_json_put_text(j, "tcp_flags", !(k->got & FC_WANT_TCP) ? NULL : p == text ? "none" : text);
}

static void put_list(struct fc_json *j, const char *key, unsigned count, const uint16_t *vlan, const uint32_t *mpls)
{
    char text[FC_TEXT_MAX * 2], *p = text;

    for (unsigned i = 0; i < count; i++) {
        if (i)
            *p++ = ',';
        p = fc_text_number(p, vlan ? vlan[i] : mpls[i]);
    }
    fc_json_key(j, key);
    fc_json_plain(j, text, p);
}

static void put_macs(struct fc_json *j, const struct fc_packet *k)
{
    static const char *const keys[] = {"src_mac", "dst_mac"};
    char buf[FC_TEXT_MAX];

    for (int i = 0; i < 2; i++) {
        fc_json_key(j, keys[i]);
        fc_json_plain(j, buf, k->got & FC_WANT_MAC ? fc_text_addr(buf, FC_ADDR_MAC, k->mac[i]) : buf);
    }
}

static const char *direction_name(enum fc_from from)
{
    return from == FC_FROM_UNKNOWN ? NULL : from == FC_FROM_CLIENT ? "client" : "server";
}

static void put_column(struct fc_json *j, enum word w, const struct fc_session_packet *s)
{
    const struct fc_packet *k = &s->packet;
    char buf[FC_TUNNEL_TEXT + FC_TEXT_MAX];

    switch (w) {
    case TIME:
        fc_json_put_time(j, "time", s->record.ts_ns != FC_TIME_NONE, s->record.ts_ns);
        break;
    case DIRECTION:
        fc_json_put_text(j, "direction", direction_name(s->from));
        break;
    case SRC:
        put_end(j, "src", k, k->dir);
        break;
    case DST:
        put_end(j, "dst", k, !k->dir);
        break;
    case PROTO:
        *fc_text_proto(buf, k->key.proto) = '\0';
        fc_json_put_text(j, "proto", buf);
        break;
    case TCP_FLAGS:
        put_flags(j, k);
        break;
    case SEQ_RAW:
        put_maybe(j, "seq_raw", k->got & FC_WANT_TCP, k->tcp_seq);
        put_maybe(j, "ack_raw", k->got & FC_WANT_TCP && k->tcp_flags & FC_TCP_ACK, k->tcp_ack);
        break;
    case PAYLOAD:
        put_maybe(j, "payload", k->got & FC_WANT_PAYLOAD, k->payload_bytes);
        break;
    case TTL:
        put_maybe(j, "ttl", k->got & FC_WANT_TTL, k->ttl);
        break;
    case DSCP:
        put_maybe(j, "dscp", k->got & FC_WANT_DSCP, k->dscp);
        break;
    case VLAN:
        put_list(j, "vlan", k->got & FC_WANT_VLAN ? k->vlan_count : 0, k->vlan, NULL);
        break;
    case MPLS:
        put_list(j, "mpls", k->got & FC_WANT_MPLS ? k->mpls_count : 0, NULL, k->mpls);
        break;
    case TUNNEL:
        fc_tunnel_text(k->tunnel, k->got & FC_WANT_TUNNEL ? k->tunnel_count : 0, buf, sizeof buf);
        fc_json_put_text(j, "tunnel", k->got & FC_WANT_TUNNEL ? buf : NULL);
        break;
    case MAC:
        put_macs(j, k);
        break;
    case CAPLEN:
        fc_json_put_number(j, "caplen", s->record.caplen);
        break;
    case ORIGLEN:
        fc_json_put_number(j, "origlen", s->record.origlen);
        break;
    case FILE_ID:
        fc_json_put_number(j, "file", s->file);
        break;
    case OFFSET:
        fc_json_put_number(j, "offset", s->off);
        break;
    case PATH:
        fc_json_put_text(j, "path", s->path);
        break;
    default:
        put_maybe(j, "number", s->number != 0, s->number);
    }
}

/* ---- many */

static void put_packet(struct fc_json *j, const struct asked *a, uint64_t n, const struct fc_session_packet *packet)
{
    fc_json_mark(j, '{');
    fc_json_put_number(j, "n", n);
    for (int w = 0; w < WORDS; w++)
        if (a->columns & 1u << w)
            put_column(j, (enum word)w, packet);
    fc_json_mark(j, '}');
}

void fc_put_packets_result(struct fc_json *j, const struct fc_packets_result *r)
{
    char text[FC_ERROR_TEXT_MAX];

    fc_json_put_number(j, "missing", r->missing);
    fc_json_put_number(j, "forgotten", r->forgotten);
    fc_json_key(j, "warnings");
    fc_json_mark(j, '[');
    for (size_t i = 0; i < r->why_count; i++)
        fc_json_text(j, fc_error_text(&r->why[i], text, sizeof text));
    fc_json_mark(j, ']');
}

static int put_packets(struct fc_ask *ask, const struct asked *a, struct fc_packets *packets, uint64_t total)
{
    const struct fc_session_packet *packet;
    struct fc_packets_result result;
    struct fc_error err;
    int64_t given = 0;
    uint64_t n = 0;
    int rc;

    fc_json_mark(&ask->out, '{');
    fc_json_key(&ask->out, "session");
    fc_json_signed(&ask->out, ask->id);
    fc_json_key(&ask->out, "packets");
    fc_json_mark(&ask->out, '[');
    while ((rc = fc_packets_next(packets, &packet, &err)) > 0) {
        bool other = a->direction && packet->from != FC_FROM_UNKNOWN && (int)packet->from != a->direction - 1;
        if (++n < (uint64_t)a->first || other)
            continue;
        if (given == a->limit) /* there is more */
            break;
        given++;
        put_packet(&ask->out, a, n, packet);
    }
    if (rc < 0)
        return fc_ask_fail_error(ask, &err);
    fc_json_mark(&ask->out, ']');
    fc_packets_result(packets, &result);
    fc_json_put_number(&ask->out, "total", total);
    fc_json_put_bool(&ask->out, "more", rc > 0);
    fc_put_packets_result(&ask->out, &result);
    fc_json_mark(&ask->out, '}');
    return 0;
}

/* How many positions the index has of the session. */
static int count_positions(struct fc_ask *ask, uint64_t *total)
{
    const struct fc_session_file *list;
    struct fc_session_files *files;
    struct fc_error err;
    size_t count;
    int rc = fc_session_files_open(ask->db, &files, &err);

    *total = 0;
    if (rc == 0 && (rc = fc_session_files(files, ask->id, &list, &count, &err)) == 0)
        for (size_t i = 0; i < count; i++)
            *total += list[i].packets;
    if (rc)
        fc_ask_fail_error(ask, &err);
    fc_session_files_close(files);
    return rc ? -1 : 0;
}

/* The session's packets; -1 when there is no such session. */
static int open_packets(struct fc_ask *ask, const struct fc_packets_options *options, struct fc_packets **packets)
{
    struct fc_filter *filter = fc_ask_session_filter(ask);
    struct fc_packets_result result;
    struct fc_error err;

    if (!filter)
        return -1;
    int rc = fc_packets_open(ask->db, filter, options, packets, &err);
    fc_filter_free(filter);
    if (rc)
        return fc_ask_fail_error(ask, &err);
    fc_packets_result(*packets, &result);
    if (result.sessions)
        return 0;
    fc_packets_close(*packets);
    return fc_ask_fail(ask, 404, "not_found", "there is no session %" PRId64, ask->id);
}

int fc_answer_packets(struct fc_ask *ask)
{
    struct asked a = {.first = 1, .limit = 1000};
    struct fc_packets *packets;
    uint64_t total;

    if (!fc_ask_number(ask, "first", 1, INT64_MAX, &a.first) ||
        !fc_ask_number(ask, "limit", 1, FC_ASK_ROWS_MAX, &a.limit) ||
        !fc_ask_word(ask, "direction", directions, &a.direction) || !fc_ask_bool(ask, "partial", &a.partial) ||
        !read_columns(ask, &a) || !fc_ask_end(ask))
        return -1;
    struct fc_packets_options o = {
        .partial = a.partial, .numbers = a.columns & 1u << NUMBER, .fields = a.want, .stop = ask->stop};
    if (open_packets(ask, &o, &packets) != 0)
        return -1;
    int rc = count_positions(ask, &total);
    if (rc == 0)
        rc = put_packets(ask, &a, packets, total);
    fc_packets_close(packets);
    return rc;
}

/* ---- one */

static int put_layer(void *ctx, const struct fc_layer_told *layer)
{
    struct fc_json *j = ctx;

    fc_json_mark(j, '{');
    fc_json_put_text(j, "name", layer->name);
    fc_json_put_number(j, "off", layer->off);
    fc_json_put_number(j, "len", layer->len);
    fc_json_put_number(j, "depth", layer->depth);
    fc_json_key(j, "fields");
    fc_json_mark(j, '[');
    for (size_t i = 0; i < layer->fields; i++) {
        const struct fc_layer_field *f = &layer->field[i];
        fc_json_mark(j, '{');
        fc_json_put_text(j, "name", f->name);
        fc_json_put_text(j, "value", f->value);
        fc_json_put_number(j, "off", f->off);
        fc_json_put_number(j, "len", f->len);
        fc_json_mark(j, '}');
    }
    fc_json_mark(j, ']');
    fc_json_mark(j, '}');
    return 0;
}

static void put_whole(struct fc_ask *ask, const struct fc_session_packet *s)
{
    static const enum word put[] = {FILE_ID, OFFSET, PATH, TIME, DIRECTION, CAPLEN, ORIGLEN};
    struct fc_json *j = &ask->out;
    bool malformed;

    fc_json_mark(j, '{');
    fc_json_key(j, "session");
    fc_json_signed(j, ask->id);
    for (size_t i = 0; i < sizeof put / sizeof put[0]; i++)
        put_column(j, put[i], s);
    fc_json_put_number(j, "link_type", s->record.link_type);
    fc_json_put_text(j, "link", fc_link_type_name(s->record.link_type));
    fc_json_key(j, "data");
    fc_json_base64(j, s->record.data, s->record.caplen);
    fc_json_key(j, "layers");
    fc_json_mark(j, '[');
    fc_layers_tell(&s->record, put_layer, j, &malformed);
    fc_json_mark(j, ']');
    fc_json_put_bool(j, "malformed", malformed);
    fc_json_mark(j, '}');
}

int fc_answer_packet(struct fc_ask *ask)
{
    static const char *const formats[] = {"json", "raw", NULL};
    const struct fc_session_packet *packet;
    struct fc_packets *packets;
    struct fc_error err;
    int64_t file = -1, off = -1;
    int format = 0, rc = -1, found;

    if (!fc_ask_number(ask, "file", 1, UINT32_MAX, &file) || !fc_ask_number(ask, "offset", 0, INT64_MAX, &off) ||
        !fc_ask_word(ask, "format", formats, &format) || !fc_ask_end(ask))
        return -1;
    if (file < 0 || off < 0)
        return fc_ask_fail_parameter(ask, file < 0 ? "file" : "offset", "file and offset say which packet");
    struct fc_packets_options o = {.one = true, .file = (uint32_t)file, .off = (uint64_t)off, .stop = ask->stop};
    if (open_packets(ask, &o, &packets) != 0)
        return -1;
    if ((found = fc_packets_next(packets, &packet, &err)) < 0) {
        fc_ask_fail_error(ask, &err);
    } else if (found == 0) {
        fc_ask_fail(ask, 404, "not_found", "the session has no packet there");
    } else {
        rc = 0;
        if (format) {
            ask->type = "application/octet-stream";
            fc_json_bytes(&ask->out, packet->record.data, packet->record.caplen);
        } else {
            put_whole(ask, packet);
        }
    }
    fc_packets_close(packets);
    return rc;
}
