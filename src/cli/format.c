/* SPDX-License-Identifier: MIT */
#include "cli/format.h"

#include <errno.h>
#include <flowcarve/text.h>
#include <string.h>
#include <unistd.h>

static const struct {
    const char *name;
    uint32_t field; /* 0: always there */
} columns[] = {
    {"id", 0},
    {"start", 0},
    {"end", 0},
    {"start_ns", 0},
    {"end_ns", 0},
    {"duration", 0},
    {"proto", 0},
    {"client_addr", 0},
    {"client_port", 0},
    {"server_addr", 0},
    {"server_port", 0},
    {"client_packets", 0},
    {"server_packets", 0},
    {"client_bytes", 0},
    {"server_bytes", 0},
    {"state", 0},
    {"vlan", FC_FIELD_VLAN},
    {"mpls", FC_FIELD_MPLS},
    {"tunnel", FC_FIELD_TUNNEL},
    {"client_mac", FC_FIELD_MAC},
    {"server_mac", FC_FIELD_MAC},
    {"client_ttl", FC_FIELD_TTL},
    {"server_ttl", FC_FIELD_TTL},
    {"client_dscp", FC_FIELD_DSCP},
    {"server_dscp", FC_FIELD_DSCP},
    {"client_tcp_flags", FC_FIELD_TCP_FLAGS},
    {"server_tcp_flags", FC_FIELD_TCP_FLAGS},
    {"client_isn", FC_FIELD_ISN},
    {"server_isn", FC_FIELD_ISN},
    {"client_payload", FC_FIELD_PAYLOAD},
    {"server_payload", FC_FIELD_PAYLOAD},
    {"community_id", FC_FIELD_COMMUNITY_ID},
};

enum { COLUMNS = sizeof columns / sizeof columns[0], TEXT_PIECE = 512 };

int fc_row_format_by_name(const char *name)
{
    static const char *const names[] = {"table", "json", "csv", "tsv", "zeek"};

    for (int i = 0; i < 5; i++)
        if (strcmp(names[i], name) == 0)
            return i;
    return -1;
}

int fc_out_flush(struct fc_out *out)
{
    size_t done = 0;

    while (done < out->len && !out->failed) {
        ssize_t n = write(out->fd, out->buf + done, out->len - done);
        if (n >= 0)
            done += (size_t)n;
        else if (errno != EINTR)
            out->failed = errno;
    }
    out->len = 0;
    return out->failed;
}

char *fc_out_room(struct fc_out *out, size_t size)
{
    if (sizeof out->buf - out->len < size)
        fc_out_flush(out);
    return out->buf + out->len;
}

void fc_out_bytes(struct fc_out *out, const char *bytes, size_t len)
{
    while (len > 0) {
        size_t part;

        if (out->len == sizeof out->buf)
            fc_out_flush(out);
        part = sizeof out->buf - out->len < len ? sizeof out->buf - out->len : len;
        memcpy(out->buf + out->len, bytes, part);
        out->len += part;
        bytes += part;
        len -= part;
    }
}

void fc_out_text(struct fc_out *out, const char *text)
{
    fc_out_bytes(out, text, strlen(text));
}

void fc_out_escaped(struct fc_out *out, enum fc_row_format format, const char *text)
{
    enum fc_text_form form = format == FC_ROWS_JSON ? FC_TEXT_JSON : format == FC_ROWS_CSV ? FC_TEXT_CSV : FC_TEXT_TSV;
    bool quoted = form == FC_TEXT_JSON || (form == FC_TEXT_CSV && strpbrk(text, ",\""));

    if (quoted)
        fc_out_bytes(out, "\"", 1);
    while (*text) {
        char *room = fc_out_room(out, TEXT_PIECE);
        out->len += fc_text_escape(form, &text, room, TEXT_PIECE);
    }
    if (quoted)
        fc_out_bytes(out, "\"", 1);
}

/* What stands between two cells; in JSON also the key. */
static void next_cell(struct fc_rows *w)
{
    while (columns[w->column].field & ~w->fields)
        w->column++;
    if (w->format == FC_ROWS_JSON) {
        fc_out_text(w->out, w->column ? ",\"" : "{\"");
        fc_out_text(w->out, columns[w->column].name);
        fc_out_bytes(w->out, "\":", 2);
    } else if (w->column) {
        fc_out_bytes(w->out, w->format == FC_ROWS_CSV ? "," : "\t", 1);
    }
    w->column++;
}

static void null_cell(struct fc_rows *w)
{
    next_cell(w);
    if (w->format == FC_ROWS_JSON)
        fc_out_bytes(w->out, "null", 4);
}

/* Text in [text, end) that needs no escaping anywhere; nothing is NULL. */
static void plain_cell(struct fc_rows *w, const char *text, const char *end, bool quoted)
{
    if (text == end) {
        null_cell(w);
        return;
    }
    next_cell(w);
    quoted &= w->format == FC_ROWS_JSON;
    if (quoted)
        fc_out_bytes(w->out, "\"", 1);
    fc_out_bytes(w->out, text, (size_t)(end - text));
    if (quoted)
        fc_out_bytes(w->out, "\"", 1);
}

static void text_cell(struct fc_rows *w, const char *text)
{
    if (!text) {
        null_cell(w);
        return;
    }
    next_cell(w);
    fc_out_escaped(w->out, w->format, text);
}

static void number_cell(struct fc_rows *w, uint64_t number)
{
    next_cell(w);
    w->out->len = (size_t)(fc_text_number(fc_out_room(w->out, FC_TEXT_MAX), number) - w->out->buf);
}

/* -1 is NULL. */
static void maybe_cell(struct fc_rows *w, int64_t number)
{
    if (number < 0)
        null_cell(w);
    else
        number_cell(w, (uint64_t)number);
}

static void signed_cell(struct fc_rows *w, int64_t number)
{
    char buf[FC_TEXT_MAX], *p = buf;

    if (number < 0)
        *p++ = '-';
    p = fc_text_number(p, number < 0 ? -(uint64_t)number : (uint64_t)number);
    plain_cell(w, buf, p, false);
}

static void time_cells(struct fc_rows *w, const struct fc_session *row)
{
    char buf[FC_TEXT_MAX];

    if (!row->has_time) {
        for (int i = 0; i < 5; i++)
            null_cell(w);
        return;
    }
    plain_cell(w, buf, w->zone ? fc_text_local(buf, row->start_ns) : fc_text_time(buf, row->start_ns), true);
    plain_cell(w, buf, w->zone ? fc_text_local(buf, row->end_ns) : fc_text_time(buf, row->end_ns), true);
    signed_cell(w, row->start_ns);
    signed_cell(w, row->end_ns);
    plain_cell(w, buf, fc_text_duration(buf, row->end_ns - row->start_ns), false);
}

static void field_cells(struct fc_rows *w, const struct fc_session *row)
{
    const int64_t numbers[] = {row->client_ttl,       row->server_ttl,       row->client_dscp, row->server_dscp,
                               row->client_tcp_flags, row->server_tcp_flags, row->client_isn,  row->server_isn,
                               row->client_payload,   row->server_payload};
    static const uint32_t fields[] = {FC_FIELD_TTL, FC_FIELD_DSCP, FC_FIELD_TCP_FLAGS, FC_FIELD_ISN, FC_FIELD_PAYLOAD};
    char buf[FC_TEXT_MAX];

    if (w->fields & FC_FIELD_VLAN)
        text_cell(w, row->vlan);
    if (w->fields & FC_FIELD_MPLS)
        text_cell(w, row->mpls);
    if (w->fields & FC_FIELD_TUNNEL)
        text_cell(w, row->tunnel);
    if (w->fields & FC_FIELD_MAC) {
        plain_cell(w, buf, row->client_mac ? fc_text_addr(buf, 1, row->client_mac) : buf, true);
        plain_cell(w, buf, row->server_mac ? fc_text_addr(buf, 1, row->server_mac) : buf, true);
    }
    for (unsigned i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        if (w->fields & fields[i / 2])
            maybe_cell(w, numbers[i]);
    if (w->fields & FC_FIELD_COMMUNITY_ID)
        text_cell(w, row->community_id);
}

/* "files":[{"path":"day/a.pcap","packets":12}] */
static void file_cells(struct fc_rows *w)
{
    char *p;

    fc_out_text(w->out, ",\"files\":[");
    for (size_t i = 0; i < w->file_count; i++) {
        fc_out_text(w->out, i ? ",{\"path\":" : "{\"path\":");
        fc_out_escaped(w->out, FC_ROWS_JSON, w->files[i].path);
        fc_out_text(w->out, ",\"packets\":");
        p = fc_text_number(fc_out_room(w->out, FC_TEXT_MAX), w->files[i].packets);
        w->out->len = (size_t)(p - w->out->buf);
        fc_out_text(w->out, "}");
    }
    fc_out_text(w->out, "]");
}

void fc_rows_start(struct fc_rows *w)
{
    bool first = true;

    if (w->format == FC_ROWS_ZEEK)
        fc_zeek_start(w);
    if (w->format != FC_ROWS_CSV && w->format != FC_ROWS_TSV)
        return;
    for (unsigned i = 0; i < COLUMNS; i++) {
        if (columns[i].field & ~w->fields)
            continue;
        if (!first)
            fc_out_bytes(w->out, w->format == FC_ROWS_CSV ? "," : "\t", 1);
        fc_out_text(w->out, columns[i].name);
        first = false;
    }
    fc_out_text(w->out, w->format == FC_ROWS_CSV ? "\r\n" : "\n");
}

int fc_rows_write(struct fc_rows *w, const struct fc_session *row)
{
    char buf[FC_TEXT_MAX];

    if (w->format == FC_ROWS_TABLE)
        return fc_row_table_write(w, row);
    if (w->format == FC_ROWS_ZEEK) {
        fc_zeek_write(w, row);
        return 0;
    }
    w->column = 0;
    signed_cell(w, row->id);
    time_cells(w, row);
    plain_cell(w, buf, fc_text_proto(buf, row->proto), true);
    plain_cell(w, buf, fc_text_addr(buf, row->kind, row->client_addr), true);
    maybe_cell(w, row->client_port);
    plain_cell(w, buf, fc_text_addr(buf, row->kind, row->server_addr), true);
    maybe_cell(w, row->server_port);
    number_cell(w, row->client_packets);
    number_cell(w, row->server_packets);
    number_cell(w, row->client_bytes);
    number_cell(w, row->server_bytes);
    text_cell(w, fc_state_name(row->state));
    field_cells(w, row);
    if (w->has_files && w->format == FC_ROWS_JSON)
        file_cells(w);
    fc_out_text(w->out, w->format == FC_ROWS_JSON ? "}\n" : w->format == FC_ROWS_CSV ? "\r\n" : "\n");
    return 0;
}

void fc_rows_finish(struct fc_rows *w)
{
    if (w->format == FC_ROWS_TABLE)
        fc_row_table_finish(w);
    else if (w->format == FC_ROWS_ZEEK)
        fc_zeek_finish(w);
}
