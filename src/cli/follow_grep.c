/* SPDX-License-Identifier: MIT */
#include "cli/follow_grep.h"
#include "cli/cli.h"
#include "cli/dump.h"
#include "cli/follow_format.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <inttypes.h>
#include <pcre2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    ENDS = FC_FROM_UNKNOWN + 1,
    PART_MAX = 64 << 10, /* bytes of a line that are searched at once */
    PART_SHARED = 4 << 10,
    SHOWN_BEFORE = 200, /* bytes of a line that are shown in front of a match, */
    SHOWN_MAX = 1000,   /* and in all */
    SESSIONS_AT_ONCE = 16384,
    JIT_STACK_MAX = 1 << 20,
    TCP = 6
};

static const uint64_t BYTES_AT_ONCE = 64 << 20;

struct fc_grep {
    pcre2_code *code;
    pcre2_match_data *match;
    pcre2_match_context *context;
    pcre2_jit_stack *stack; /* NULL: without */
};

void fc_grep_free(struct fc_grep *grep)
{
    if (!grep)
        return;
    pcre2_jit_stack_free(grep->stack);
    pcre2_match_context_free(grep->context);
    pcre2_match_data_free(grep->match);
    pcre2_code_free(grep->code);
    free(grep);
}

struct fc_grep *fc_grep_compile(const char *regex)
{
    struct fc_grep *grep = calloc(1, sizeof *grep);
    PCRE2_SIZE at;
    int error;

    if (!grep) {
        fc_complain("out of memory");
        return NULL;
    }
    grep->code = pcre2_compile((PCRE2_SPTR)regex, PCRE2_ZERO_TERMINATED, 0, &error, &at, NULL);
    if (!grep->code) {
        PCRE2_UCHAR why[256];
        pcre2_get_error_message(error, why, sizeof why);
        fc_complain("follow: --grep: %s, behind '%.*s'", (const char *)why, (int)at, regex);
        free(grep);
        return NULL;
    }
    /* Without what makes machine code of it matching is slower, and all else the same. */
    if (pcre2_jit_compile(grep->code, PCRE2_JIT_COMPLETE) == 0)
        grep->stack = pcre2_jit_stack_create(32 << 10, JIT_STACK_MAX, NULL);
    grep->match = pcre2_match_data_create_from_pattern(grep->code, NULL);
    grep->context = pcre2_match_context_create(NULL);
    if (!grep->match || !grep->context) {
        fc_complain("out of memory");
        fc_grep_free(grep);
        return NULL;
    }
    if (grep->stack)
        pcre2_jit_stack_assign(grep->context, NULL, grep->stack);
    return grep;
}

/* What has come of a line of one direction. */
struct line {
    uint8_t *data; /* of the line, or of its last part */
    size_t len, room;
    uint64_t at;           /* of data[0] in the direction */
    struct fc_piece where; /* of the line's first byte */
    bool begun, parted;    /* parted: data[0] is not the line's beginning */
    bool found;            /* what is left of the line is passed over */
};

struct followed {
    int64_t id;
    uint32_t proto;
    struct line lines[ENDS];
};

struct search {
    struct fc_grep *grep;
    const struct fc_follow_grep *o;
    struct fc_out *out;
    struct fc_follow_grep_result *result;
    struct followed *sessions; /* ascending by id */
    struct fc_id_range *ranges;
    size_t count;
};

static int no_memory(struct fc_error *err)
{
    memset(err, 0, sizeof *err);
    err->code = FC_E_NOMEM;
    err->off = FC_NO_OFFSET;
    snprintf(err->cause, sizeof err->cause, "out of memory");
    return FC_E_NOMEM;
}

/* ---- what is printed */

static void put_signed(struct fc_out *out, int64_t number)
{
    out->len += (size_t)snprintf(fc_out_room(out, FC_TEXT_MAX), FC_TEXT_MAX, "%" PRId64, number);
}

static void put_bytes(struct search *s, const uint8_t *data, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        char c = (char)(data[i] >= 0x20 && data[i] < 0x7f ? data[i] : '.');
        if (s->o->json && (c == '"' || c == '\\'))
            fc_out_bytes(s->out, "\\", 1);
        fc_out_bytes(s->out, &c, 1);
    }
}

/* A line or a part of it, and where it matches. */
struct found {
    const uint8_t *data;
    size_t len, from, to;
    bool parted, whole; /* more of the line is in front of it; nothing is behind it */
};

/* The line around its match, as text. */
static void put_line(struct search *s, const struct found *f)
{
    const uint8_t *data = f->data;
    size_t len = f->len, from = f->from, to = f->to;
    size_t first = from > SHOWN_BEFORE && len > SHOWN_MAX ? from - SHOWN_BEFORE : 0;
    size_t last = len - first > SHOWN_MAX ? first + SHOWN_MAX : len;
    size_t marked = to < last ? to : last;

    fc_out_text(s->out, first || f->parted ? "..." : "");
    put_bytes(s, data + first, from - first);
    fc_out_text(s->out, s->o->color && marked > from ? "\x1b[1;31m" : "");
    put_bytes(s, data + from, marked - from);
    fc_out_text(s->out, s->o->color && marked > from ? "\x1b[0m" : "");
    put_bytes(s, data + marked, last - marked);
    fc_out_text(s->out, last < len || !f->whole ? "..." : "");
}

static void put_time(struct search *s, int64_t ns)
{
    struct fc_out *out = s->out;

    if (ns == FC_TIME_NONE) {
        fc_out_text(out, ",\"time\":null,\"time_ns\":null");
        return;
    }
    fc_out_text(out, ",\"time\":\"");
    char *p = fc_out_room(out, FC_TEXT_MAX);
    out->len = (size_t)((s->o->local ? fc_text_local(p, ns) : fc_text_time(p, ns)) - out->buf);
    fc_out_text(out, "\",\"time_ns\":");
    put_signed(out, ns);
}

static void put_json(struct search *s, const struct line *l, const struct found *f)
{
    struct fc_out *out = s->out;

    fc_out_text(out, "{\"session\":");
    put_signed(out, l->where.session);
    fc_out_text(out, ",\"from\":\"");
    fc_out_text(out, fc_follow_from(l->where.from));
    fc_out_text(out, "\",\"at\":");
    put_signed(out, (int64_t)(l->at + f->from));
    fc_out_text(out, ",\"bytes\":");
    put_signed(out, (int64_t)(f->to - f->from));
    put_time(s, l->where.ts_ns);
    fc_out_text(out, ",\"file\":");
    put_signed(out, l->where.file);
    fc_out_text(out, ",\"offset\":");
    put_signed(out, (int64_t)l->where.off);
    fc_out_text(out, ",\"line\":\"");
    put_line(s, f);
    fc_out_text(out, "\",\"data\":\"");
    for (size_t i = f->from; i < f->to; i += 3) {
        char group[4];
        fc_dump_base64(group, f->data + i, f->to - i);
        fc_out_bytes(out, group, sizeof group);
    }
    fc_out_text(out, "\"}\n");
}

static void put_text(struct search *s, const struct line *l, const struct found *f)
{
    struct fc_out *out = s->out;

    put_signed(out, l->where.session);
    fc_out_text(out, "\t");
    fc_out_text(out, fc_follow_from(l->where.from));
    fc_out_text(out, "\t");
    put_signed(out, (int64_t)(l->at + f->from));
    fc_out_text(out, "\t");
    put_line(s, f);
    fc_out_text(out, "\n");
}

/* ---- lines */

/* Searches a line, or a part of it, that begins at l->at. whole: it ends with this. */
static void search(struct search *s, struct line *l, const uint8_t *data, size_t len, bool whole)
{
    uint32_t options = (l->parted ? PCRE2_NOTBOL : 0) | (whole ? 0 : PCRE2_NOTEOL);

    if (whole && len && data[len - 1] == '\r')
        len--;
    int rc =
        pcre2_match(s->grep->code, len ? data : (const uint8_t *)"", len, 0, options, s->grep->match, s->grep->context);
    if (rc == PCRE2_ERROR_NOMATCH)
        return;
    if (rc < 0) {
        s->result->given_up++;
        return;
    }
    const PCRE2_SIZE *span = pcre2_get_ovector_pointer(s->grep->match);
    if (!whole && span[0] >= len - PART_SHARED) /* it may go on: the next part has all of it */
        return;
    size_t to = span[1] > span[0] ? span[1] : span[0]; /* \K may turn them round */
    struct found found = {data, len, span[0], to, l->parted, whole};
    l->found = true;
    s->result->lines++;
    (s->o->json ? put_json : put_text)(s, l, &found);
}

static void end_line(struct search *s, struct line *l)
{
    if (l->begun && !l->found)
        search(s, l, l->data, l->len, true);
    l->begun = l->found = l->parted = false;
    l->len = 0;
}

static void begin_line(struct line *l, const struct fc_piece *piece, uint64_t off)
{
    l->begun = true;
    l->at = piece->at + off;
    l->where = *piece;
}

/* Adds bytes to a line that has begun; parts that are full are searched. */
static int add(struct search *s, struct line *l, const uint8_t *data, size_t len)
{
    while (len && !l->found) {
        size_t part = len < PART_MAX - l->len ? len : PART_MAX - l->len;
        if (l->len + part > l->room) {
            size_t room = l->len + part > 512 ? PART_MAX : 512;
            uint8_t *bigger = realloc(l->data, room);
            if (!bigger)
                return FC_E_NOMEM;
            l->data = bigger;
            l->room = room;
        }
        memcpy(l->data + l->len, data, part);
        l->len += part;
        data += part;
        len -= part;
        if (l->len < PART_MAX)
            continue;
        search(s, l, l->data, l->len, false);
        memmove(l->data, l->data + PART_MAX - PART_SHARED, PART_SHARED);
        l->at += PART_MAX - PART_SHARED;
        l->len = PART_SHARED;
        l->parted = true;
    }
    return 0;
}

static int take(struct search *s, struct line *l, const struct fc_piece *piece)
{
    const uint8_t *p = piece->data, *end = p + piece->len, *newline;

    if (!piece->len)
        return 0;
    for (; (newline = memchr(p, '\n', (size_t)(end - p))) && !s->out->failed; p = newline + 1) {
        size_t len = (size_t)(newline - p);
        if (!l->begun && len < PART_MAX) { /* as it lies there */
            begin_line(l, piece, (uint64_t)(p - piece->data));
            search(s, l, p, len, true);
            l->begun = l->found = false;
            continue;
        }
        if (!l->begun)
            begin_line(l, piece, (uint64_t)(p - piece->data));
        if (add(s, l, p, len))
            return FC_E_NOMEM;
        end_line(s, l);
    }
    if (p == end)
        return 0;
    if (!l->begun)
        begin_line(l, piece, (uint64_t)(p - piece->data));
    return add(s, l, p, (size_t)(end - p));
}

static int by_id(const void *a, const void *b)
{
    const struct followed *x = a, *y = b;

    return (x->id > y->id) - (x->id < y->id);
}

static int take_piece(struct search *s, const struct fc_piece *piece, struct fc_error *err)
{
    const struct followed key = {.id = piece->session};
    struct followed *session = bsearch(&key, s->sessions, s->count, sizeof key, by_id);
    struct line *l = &session->lines[piece->from];

    if (s->o->direction >= 0 && piece->from != FC_FROM_UNKNOWN && (int)piece->from != s->o->direction)
        return 0;
    if (piece->kind == FC_PIECE_DATA && take(s, l, piece))
        return no_memory(err);
    if (piece->kind != FC_PIECE_DATA) {
        s->result->gaps++;
        s->result->gap_bytes += piece->len;
    }
    if (piece->kind != FC_PIECE_DATA || session->proto != TCP)
        end_line(s, l);
    return 0;
}

/* ---- sessions */

static int open_batch(struct search *s, struct fc_db *db, struct fc_follow **follow, struct fc_error *err)
{
    struct fc_filter *filter = NULL;

    qsort(s->sessions, s->count, sizeof *s->sessions, by_id);
    for (size_t i = 0; i < s->count; i++)
        s->ranges[i] = (struct fc_id_range){s->sessions[i].id, s->sessions[i].id};
    int rc = fc_filter_parse("", 0, &filter, NULL);
    if (rc == 0)
        rc = fc_filter_narrow(filter, s->ranges, s->count);
    rc = rc ? no_memory(err) : fc_follow_open(db, filter, &s->o->follow, follow, err);
    fc_filter_free(filter);
    return rc;
}

/* Follows the sessions that were collected, and forgets them. */
static int search_batch(struct search *s, struct fc_db *db, struct fc_error *err)
{
    struct fc_follow *follow = NULL;
    struct fc_packets_result r;
    const struct fc_piece *piece;
    int rc = s->count ? open_batch(s, db, &follow, err) : 0;

    while (follow && rc == 0 && !s->out->failed && (rc = fc_follow_next(follow, &piece, err)) > 0)
        rc = take_piece(s, piece, err);
    for (size_t i = 0; i < s->count; i++) {
        for (int from = 0; from < ENDS; from++) {
            if (rc == 0)
                end_line(s, &s->sessions[i].lines[from]);
            free(s->sessions[i].lines[from].data);
        }
    }
    if (follow && rc == 0) {
        fc_follow_result(follow, &r);
        s->result->missing += r.missing;
        s->result->forgotten += r.forgotten;
        if (r.forgotten_ns > s->result->forgotten_ns)
            s->result->forgotten_ns = r.forgotten_ns;
        for (size_t i = 0; i < r.why_count; i++) {
            char text[FC_ERROR_TEXT_MAX];
            fc_complain("warning: %s; left out", fc_error_text(&r.why[i], text, sizeof text));
        }
    }
    fc_follow_close(follow);
    s->result->sessions += s->count;
    s->count = 0;
    return rc;
}

int fc_follow_grep(struct fc_grep *grep, struct fc_db *db, const struct fc_filter *filter,
                   const struct fc_follow_grep *o, struct fc_out *out, struct fc_follow_grep_result *result,
                   struct fc_error *err)
{
    struct search s = {.grep = grep, .o = o, .out = out, .result = result};
    struct fc_query_options all = {.limit = -1};
    struct fc_query *query = NULL;
    struct fc_session row;
    uint64_t bytes = 0;

    *result = (struct fc_follow_grep_result){0};
    s.sessions = calloc(SESSIONS_AT_ONCE, sizeof *s.sessions);
    s.ranges = calloc(SESSIONS_AT_ONCE, sizeof *s.ranges);
    int rc = s.sessions && s.ranges ? fc_query_open(db, filter, &all, &query, err) : no_memory(err);
    while (rc == 0 && !out->failed && (rc = fc_query_next(query, &row, err)) > 0) {
        s.sessions[s.count++] = (struct followed){.id = row.id, .proto = row.proto};
        bytes += row.client_bytes + row.server_bytes;
        rc = 0;
        if (s.count == SESSIONS_AT_ONCE || bytes >= BYTES_AT_ONCE) {
            rc = search_batch(&s, db, err);
            bytes = 0;
        }
    }
    if (rc == 0)
        rc = search_batch(&s, db, err);
    fc_query_close(query);
    free(s.sessions);
    free(s.ranges);
    return rc;
}
