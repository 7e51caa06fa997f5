/* SPDX-License-Identifier: MIT */
#include "cli/format.h"
#include "cli/columns.h"

#include <errno.h>
#include <flowcarve/text.h>
#include <string.h>
#include <unistd.h>

enum { TEXT_PIECE = 512 };

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
    bool first = w->column == 0;

    while (fc_columns_all[w->column].field & ~w->fields)
        w->column++;
    if (w->format == FC_ROWS_JSON) {
        fc_out_text(w->out, first ? "{\"" : ",\"");
        fc_out_text(w->out, fc_columns_all[w->column].title.key);
        fc_out_bytes(w->out, "\":", 2);
    } else if (!first) {
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

static void mac_cell(struct fc_rows *w, const uint8_t *mac)
{
    char buf[FC_TEXT_MAX];

    plain_cell(w, buf, mac ? fc_text_addr(buf, FC_ADDR_MAC, mac) : buf, true);
}

static void field_cells(struct fc_rows *w, const struct fc_session *row)
{
#define TEXT(column, FIELD, ...)                                                                                       \
    if (w->fields & FC_FIELD_##FIELD)                                                                                  \
        text_cell(w, row->column);
#define ADDRESS(column, FIELD, title)                                                                                  \
    if (w->fields & FC_FIELD_##FIELD) {                                                                                \
        mac_cell(w, row->client_##column);                                                                             \
        mac_cell(w, row->server_##column);                                                                             \
    }
#define NUMBER(column, FIELD, ...)                                                                                     \
    if (w->fields & FC_FIELD_##FIELD) {                                                                                \
        maybe_cell(w, row->client_##column);                                                                           \
        maybe_cell(w, row->server_##column);                                                                           \
    }
    FC_FIELD_COLUMNS(TEXT, ADDRESS, NUMBER)
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
    for (unsigned i = 0; i < fc_columns_output; i++) {
        if (fc_columns_all[i].field & ~w->fields)
            continue;
        if (!first)
            fc_out_bytes(w->out, w->format == FC_ROWS_CSV ? "," : "\t", 1);
        fc_out_text(w->out, fc_columns_all[i].title.key);
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
    if (w->fields & FC_FIELD_SENSOR)
        text_cell(w, row->sensor);
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
