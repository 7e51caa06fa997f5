/* SPDX-License-Identifier: MIT */
#include "cli/follow_format.h"
#include "cli/cli.h"
#include "cli/dump.h"

#include <flowcarve/capture.h>
#include <stdio.h>
#include <string.h>

static const char *const names[] = {
    [FC_FOLLOW_ASCII] = "ascii", [FC_FOLLOW_HEX] = "hex", [FC_FOLLOW_RAW] = "raw", [FC_FOLLOW_JSON] = "json"};

int fc_follow_format_by_name(const char *name)
{
    for (int i = 0; i < (int)(sizeof names / sizeof names[0]); i++)
        if (strcmp(names[i], name) == 0)
            return i;
    return -1;
}

const char *fc_follow_from(enum fc_from from)
{
    return from == FC_FROM_CLIENT ? "client" : from == FC_FROM_SERVER ? "server" : "unknown";
}

const char *fc_follow_gap(const struct fc_piece *piece, char *buf, size_t size)
{
    char count[48];

    snprintf(buf, size, "%s %s", fc_human_things(piece->len, "byte", count, sizeof count),
             piece->kind == FC_PIECE_CUT         ? "not captured"
             : piece->kind == FC_PIECE_FRAGMENTS ? "of an incomplete datagram"
                                                 : "missing");
    return buf;
}

static void put_number(struct fc_out *out, uint64_t number)
{
    out->len = (size_t)(fc_text_number(fc_out_room(out, FC_TEXT_MAX), number) - out->buf);
}

static void put_time(struct fc_out *out, bool local, int64_t ns)
{
    char *p = fc_out_room(out, FC_TEXT_MAX);

    out->len = (size_t)((local ? fc_text_local(p, ns) : fc_text_time(p, ns)) - out->buf);
}

/* ---- text */

static void begin_line(struct fc_follow_text *t, int from)
{
    if (t->color)
        fc_out_text(t->out, from == FC_FROM_CLIENT ? "\x1b[31m" : from == FC_FROM_SERVER ? "\x1b[36m" : "\x1b[33m");
    t->in_line = true;
}

static void end_line(struct fc_follow_text *t)
{
    if (t->color && t->in_line)
        fc_out_text(t->out, "\x1b[0m");
    fc_out_text(t->out, "\n");
    t->in_line = false;
}

static void put_character(struct fc_follow_text *t, int from, char c)
{
    if (!t->in_line)
        begin_line(t, from);
    fc_out_bytes(t->out, &c, 1);
}

/* Ends a line that has begun. */
static void break_line(struct fc_follow_text *t)
{
    if (t->had_cr)
        put_character(t, t->last, '.');
    t->had_cr = false;
    if (t->in_line)
        end_line(t);
}

/* Without a branch: what is printable and what is not come in no order that could be foreseen. */
static inline char shown(uint8_t c)
{
    unsigned printable = ((uint8_t)(c - 0x20) < 0x7f - 0x20) | (c == '\t');

    return (char)('.' ^ (('.' ^ c) & -printable));
}

static void put_ascii(struct fc_follow_text *t, int from, const uint8_t *data, uint64_t len)
{
    enum { AT_ONCE = 512 };

    for (uint64_t i = 0; i < len;) {
        uint8_t c = data[i];
        if (t->had_cr && c != '\n')
            put_character(t, from, '.');
        t->had_cr = c == '\r';
        if (c == '\n')
            end_line(t);
        if (c == '\n' || c == '\r') {
            i++;
            continue;
        }
        if (!t->in_line)
            begin_line(t, from);
        char *to = fc_out_room(t->out, AT_ONCE), *p = to;
        uint64_t end = len - i < AT_ONCE ? len : i + AT_ONCE;
        for (; i < end && (c = data[i]) != '\n' && c != '\r'; i++)
            *p++ = shown(c);
        t->out->len += (size_t)(p - to);
    }
}

static void put_row(struct fc_follow_text *t, const struct fc_piece *piece, uint64_t off)
{
    char row[FC_DUMP_TEXT];
    size_t len = fc_dump_row(row, piece->at + off, piece->data + off, piece->len - off);

    begin_line(t, piece->from);
    fc_out_text(t->out, piece->from == FC_FROM_CLIENT ? "> " : piece->from == FC_FROM_SERVER ? "< " : "? ");
    fc_out_bytes(t->out, row, len);
    end_line(t);
}

/* A line that says who sends what follows, and when. */
static void put_mark(struct fc_follow_text *t, const struct fc_piece *piece)
{
    const char *arrow = piece->from == FC_FROM_CLIENT ? "-->" : piece->from == FC_FROM_SERVER ? "<--" : "---";

    begin_line(t, piece->from);
    if (t->color)
        fc_out_text(t->out, "\x1b[1m");
    fc_out_text(t->out, arrow);
    fc_out_text(t->out, " ");
    fc_out_text(t->out, fc_follow_from(piece->from));
    if (piece->from != FC_FROM_UNKNOWN) {
        fc_out_text(t->out, " ");
        fc_out_text(t->out, t->ends[piece->from]);
    }
    if (piece->ts_ns != FC_TIME_NONE) {
        fc_out_text(t->out, " ");
        put_time(t->out, t->local, piece->ts_ns);
    }
    end_line(t);
}

static void put_gap(struct fc_follow_text *t, const struct fc_piece *piece)
{
    char gap[96];

    break_line(t);
    begin_line(t, piece->from);
    fc_out_text(t->out, "[");
    fc_out_text(t->out, fc_follow_gap(piece, gap, sizeof gap));
    fc_out_text(t->out, "]");
    end_line(t);
}

static void write_text(struct fc_follow_text *t, const struct fc_piece *piece)
{
    if (t->datagrams || t->last != (int)piece->from) {
        break_line(t);
        if (t->marks)
            put_mark(t, piece);
    }
    t->last = (int)piece->from;
    if (piece->kind != FC_PIECE_DATA)
        put_gap(t, piece);
    else if (t->format == FC_FOLLOW_ASCII)
        put_ascii(t, piece->from, piece->data, piece->len);
    else
        for (uint64_t off = 0; off < piece->len; off += FC_DUMP_ROW)
            put_row(t, piece, off);
}

/* ---- JSON */

static void put_base64(struct fc_out *out, const uint8_t *data, uint64_t len)
{
    char group[4];

    for (uint64_t i = 0; i < len; i += 3) {
        fc_dump_base64(group, data + i, len - i);
        fc_out_bytes(out, group, sizeof group);
    }
}

static void write_json(struct fc_follow_text *t, const struct fc_piece *piece)
{
    struct fc_out *out = t->out;
    static const char *const kinds[] = {[FC_PIECE_DATA] = "data",
                                        [FC_PIECE_MISSING] = "missing",
                                        [FC_PIECE_CUT] = "cut",
                                        [FC_PIECE_FRAGMENTS] = "fragments"};
    char number[32];

    fc_out_text(out, "{\"session\":");
    snprintf(number, sizeof number, "%lld", (long long)piece->session);
    fc_out_text(out, number);
    fc_out_text(out, ",\"from\":\"");
    fc_out_text(out, fc_follow_from(piece->from));
    fc_out_text(out, "\",\"at\":");
    put_number(out, piece->at);
    fc_out_text(out, ",\"kind\":\"");
    fc_out_text(out, kinds[piece->kind]);
    fc_out_text(out, "\",\"bytes\":");
    put_number(out, piece->len);
    if (piece->ts_ns != FC_TIME_NONE) {
        fc_out_text(out, ",\"time\":\"");
        put_time(out, t->local, piece->ts_ns);
        snprintf(number, sizeof number, "\",\"time_ns\":%lld", (long long)piece->ts_ns);
        fc_out_text(out, number);
    } else {
        fc_out_text(out, ",\"time\":null,\"time_ns\":null");
    }
    fc_out_text(out, ",\"file\":");
    put_number(out, piece->file);
    fc_out_text(out, ",\"offset\":");
    put_number(out, piece->off);
    if (piece->kind == FC_PIECE_DATA) {
        fc_out_text(out, ",\"data\":\"");
        put_base64(out, piece->data, piece->len);
        fc_out_text(out, "\"");
    }
    fc_out_text(out, "}\n");
}

void fc_follow_write(struct fc_follow_text *t, const struct fc_piece *piece)
{
    if (t->format == FC_FOLLOW_JSON)
        write_json(t, piece);
    else if (t->format != FC_FOLLOW_RAW)
        write_text(t, piece);
    else if (piece->kind == FC_PIECE_DATA && piece->len)
        fc_out_bytes(t->out, (const char *)piece->data, piece->len);
}

void fc_follow_finish(struct fc_follow_text *t)
{
    break_line(t);
}
