/* SPDX-License-Identifier: MIT */
/* Rows of an engine: whole, cut at every byte, changed at every byte. */
#include "cluster/engine_row.h"

#include <criterion/criterion.h>
#include <flowcarve/decode.h>
#include <stdlib.h>
#include <string.h>

struct made {
    uint8_t bytes[4096];
    size_t len;
};

static void put(struct made *m, const void *bytes, size_t len)
{
    memcpy(m->bytes + m->len, bytes, len);
    m->len += len;
}

static void put_number(struct made *m, uint64_t number, unsigned size)
{
    for (unsigned i = 0; i < size; i++)
        m->bytes[m->len++] = (uint8_t)(number >> 8 * i);
}

static void put_text(struct made *m, const char *text)
{
    m->bytes[m->len++] = 0;
    m->bytes[m->len++] = (uint8_t)strlen(text);
    put(m, text, strlen(text));
}

/* A row as fc_engine_row_columns name it. */
static struct made make_row(void)
{
    static const uint8_t client[16] = {[10] = 0xff, 0xff, 10, 0, 0, 5}, server[16] = {[10] = 0xff, 0xff, 10, 0, 0, 6};
    struct made m = {.len = 0};

    put_number(&m, (uint64_t)-7, 8);
    put_number(&m, 1, 1);
    put_number(&m, 1000, 8);
    put_number(&m, 3000, 8);
    put_number(&m, 6, 4);
    put_number(&m, 4, 1);
    put(&m, client, 16);
    put(&m, server, 16);
    put_number(&m, 40000, 4);
    put_number(&m, (uint32_t)-1, 4);
    for (unsigned i = 1; i <= 4; i++)
        put_number(&m, i * 100, 8);
    put_number(&m, 2, 1);
    put_text(&m, "10,20");
    put_number(&m, 1, 1); /* mpls: NULL */
    put_text(&m, "");
    put_number(&m, 0, 1);
    put(&m, "\2\0\0\0\0\1", 6);
    put_number(&m, 1, 1); /* server_mac: NULL */
    put_number(&m, 64 << 8, 2);
    put_number(&m, 1, 1);
    put_number(&m, 0, 2);
    put_number(&m, 255 << 8, 2);
    put_number(&m, 0x1b << 8, 3);
    put_number(&m, 1, 1);
    put_number(&m, UINT64_C(0xffffffff) << 8, 5);
    put_number(&m, 1, 1);
    put_number(&m, 0, 1);
    put_number(&m, 5, 8);
    put_number(&m, 1, 1);
    put_text(&m, "1:LQU9qZlK+B5F3KDmev6m5PMibrg=");
    return m;
}

static void check_row(const struct fc_session *s)
{
    cr_assert(s->id == -7 && s->has_time && s->start_ns == 1000 && s->end_ns == 3000 && s->proto == 6 && s->kind == 4);
    cr_assert(memcmp(s->client_addr, "\12\0\0\5", 4) == 0 && memcmp(s->server_addr, "\12\0\0\6", 4) == 0);
    cr_assert(s->client_port == 40000 && s->server_port == -1 && s->client_packets == 100 && s->server_packets == 200);
    cr_assert(s->client_bytes == 300 && s->server_bytes == 400 && s->state == 2);
    cr_assert(strcmp(s->vlan, "10,20") == 0 && !s->mpls && strcmp(s->tunnel, "") == 0);
    cr_assert(memcmp(s->client_mac, "\2\0\0\0\0\1", 6) == 0 && !s->server_mac);
    cr_assert(s->client_ttl == 64 && s->server_ttl == -1 && s->client_dscp == 0 && s->server_dscp == 255);
    cr_assert(s->client_tcp_flags == 0x1b && s->server_tcp_flags == -1 && s->client_isn == 0xffffffff &&
              s->server_isn == -1);
    cr_assert(s->client_payload == 5 && s->server_payload == -1);
    cr_assert(strcmp(s->community_id, "1:LQU9qZlK+B5F3KDmev6m5PMibrg=") == 0);
}

struct taken {
    struct fc_engine_texts texts;
    unsigned rows;
    bool check;
};

static int take(void *ctx, struct fc_binary *row, struct fc_error *err)
{
    struct taken *t = ctx;
    struct fc_session s;

    (void)err;
    cr_assert_eq(fc_engine_row(row, &t->texts, &s), 0);
    if (row->cut || row->bad)
        return 0;
    if (t->check)
        check_row(&s);
    t->rows++;
    return 0;
}

Test(rows, pieces_of_any_size_are_the_same_rows)
{
    struct made one = make_row(), m = {.len = 0};

    for (int i = 0; i < 5; i++)
        put(&m, one.bytes, one.len);
    for (size_t piece = 1; piece <= m.len; piece++) {
        struct taken t = {.check = true};
        struct fc_binary_stream s = {.row = take, .ctx = &t, .name = "x"};
        for (size_t at = 0; at < m.len; at += piece) {
            /* memory of its own, so that a sanitizer sees a byte too far */
            size_t len = m.len - at < piece ? m.len - at : piece;
            uint8_t *copy = malloc(len);
            memcpy(copy, m.bytes + at, len);
            cr_assert_eq(fc_binary_take(&s, copy, len, NULL), 0);
            free(copy);
        }
        cr_assert_eq(fc_binary_finish(&s, NULL), 0);
        cr_assert_eq(t.rows, 5, "%zu", piece);
        fc_binary_free(&s);
        fc_engine_texts_fini(&t.texts);
    }
}

Test(rows, every_end_that_is_too_early_is_found)
{
    struct made m = make_row();

    for (size_t len = 1; len < m.len; len++) {
        struct taken t = {.check = true};
        struct fc_binary_stream s = {.row = take, .ctx = &t, .name = "http://x"};
        struct fc_error err;
        uint8_t *copy = malloc(len);
        memcpy(copy, m.bytes, len);
        cr_assert_eq(fc_binary_take(&s, copy, len, &err), 0, "%zu", len);
        cr_assert_eq(t.rows, 0);
        cr_assert_eq(fc_binary_finish(&s, &err), FC_E_DAMAGED);
        cr_assert(strcmp(err.file, "http://x") == 0 && strstr(err.cause, "row 1"));
        free(copy);
        fc_binary_free(&s);
        fc_engine_texts_fini(&t.texts);
    }
}

/* Any byte may be any other: rows, or none, and no harm. What cannot be a value is found. */
Test(rows, no_byte_is_trusted)
{
    struct made whole = make_row();
    unsigned refused = 0;

    for (size_t at = 0; at < whole.len; at++) {
        for (unsigned value = 0; value < 256; value += value < 8 || value > 247 ? 1 : 31) {
            struct taken t = {.check = false};
            struct fc_binary_stream s = {.row = take, .ctx = &t, .name = "x"};
            struct fc_error err;
            uint8_t *copy = malloc(whole.len);
            memcpy(copy, whole.bytes, whole.len);
            copy[at] = (uint8_t)value;
            refused += fc_binary_take(&s, copy, whole.len, &err) != 0 || fc_binary_finish(&s, &err) != 0;
            free(copy);
            fc_binary_free(&s);
            fc_engine_texts_fini(&t.texts);
        }
    }
    cr_assert_gt(refused, whole.len);
}

static bool is_bad(size_t at, uint8_t value)
{
    struct made m = make_row();
    struct fc_engine_texts texts = {0};
    struct fc_session s;

    m.bytes[at] = value;
    struct fc_binary row = {m.bytes, m.bytes + m.len, false, false};
    cr_assert_eq(fc_engine_row(&row, &texts, &s), 0);
    fc_engine_texts_fini(&texts);
    return row.bad;
}

Test(rows, what_cannot_be_is_refused)
{
    enum {
        TIMED = 8,
        END_HIGH = 24,
        KIND = 29,
        MAPPED = 40,
        PORT_HIGH = 64,
        COUNT_HIGH = 77,
        STATE = 102,
        NULLS = 103,
        TEXT = 105
    };

    cr_assert(!is_bad(0, 1));
    cr_assert(is_bad(TIMED, 2));
    cr_assert(is_bad(END_HIGH, 0x80), "ends before it starts");
    cr_assert(is_bad(KIND, 5) && is_bad(KIND, 1), "no such kind, a link address that is longer");
    cr_assert(is_bad(MAPPED, 0), "no IPv4 address");
    cr_assert(is_bad(PORT_HIGH, 1));
    cr_assert(is_bad(COUNT_HIGH, 0xff));
    cr_assert(is_bad(STATE, 5));
    cr_assert(is_bad(NULLS, 7));
    cr_assert(is_bad(TEXT, 0), "a byte 0 in a text");
}

static int endless(void *ctx, struct fc_binary *row, struct fc_error *err)
{
    size_t len;

    (void)ctx;
    (void)err;
    fc_binary_text(row, SIZE_MAX, &len);
    return 0;
}

Test(rows, a_row_without_an_end_takes_no_memory)
{
    struct fc_binary_stream s = {.row = endless, .name = "x"};
    uint8_t piece[4096], first[] = {0xff, 0xff, 0xff, 0xff, 0x0f};
    unsigned pieces = 0;
    int rc = fc_binary_take(&s, first, sizeof first, NULL);

    memset(piece, 'a', sizeof piece);
    for (; rc == 0 && pieces < 10000; pieces++)
        rc = fc_binary_take(&s, piece, sizeof piece, NULL);
    cr_assert_eq(rc, FC_E_DAMAGED);
    cr_assert_leq(pieces, FC_BINARY_ROW_MAX / sizeof piece + 2);
    fc_binary_free(&s);
}
