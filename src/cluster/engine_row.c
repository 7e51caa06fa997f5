/* SPDX-License-Identifier: MIT */
#include "cluster/engine_row.h"
#include "base/vector.h"

#include <flowcarve/decode.h>
#include <stdlib.h>
#include <string.h>

enum { ADDR = 16, MAC = 6 };

#define ONE(column, ...) ", " #column
#define TWO(column, ...) ", client_" #column ", server_" #column
const char fc_engine_row_columns[] = "id, timed, start_ns, end_ns, proto, kind, client, server, client_port, "
                                     "server_port, client_packets, server_packets, client_bytes, "
                                     "server_bytes, state" FC_FIELD_COLUMNS(ONE, TWO, TWO);

void fc_engine_texts_fini(struct fc_engine_texts *texts)
{
    for (size_t i = 0; i < FC_ENGINE_ROW_TEXTS; i++)
        free(texts->text[i]);
    *texts = (struct fc_engine_texts){0};
}

bool fc_engine_row_time(struct fc_binary *row, int64_t *ns)
{
    bool timed = fc_binary_bool(row);
    int64_t value = fc_binary_i64(row);

    *ns = timed ? value : 0;
    return timed;
}

int fc_engine_row_kind(struct fc_binary *row)
{
    uint8_t kind = fc_binary_u8(row);

    row->bad |= kind != FC_ADDR_NONE && kind != FC_ADDR_MAC && kind != FC_ADDR_IPV4 && kind != FC_ADDR_IPV6;
    return kind;
}

void fc_engine_row_address(struct fc_binary *row, int kind, uint8_t addr[ADDR])
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff}, nothing[ADDR];
    const uint8_t *bytes = fc_binary_bytes(row, ADDR);
    size_t size = kind == FC_ADDR_IPV4 ? 4 : kind == FC_ADDR_IPV6 ? ADDR : kind == FC_ADDR_MAC ? MAC : 0;

    memset(addr, 0, ADDR);
    if (!bytes)
        return;
    if (kind == FC_ADDR_IPV4)
        row->bad |= memcmp(bytes, mapped, sizeof mapped) != 0;
    else if (kind != FC_ADDR_NONE)
        row->bad |= memcmp(bytes + size, nothing, ADDR - size) != 0;
    memcpy(addr, kind == FC_ADDR_IPV4 ? bytes + sizeof mapped : bytes, size);
}

static int read_port(struct fc_binary *row)
{
    int32_t port = (int32_t)fc_binary_u32(row);

    row->bad |= port < -1 || port > UINT16_MAX;
    return port;
}

static uint64_t read_count(struct fc_binary *row)
{
    return fc_binary_below(row, fc_binary_u64(row), INT64_MAX);
}

/* A number whose type is the least for what it can be; -1: NULL. */
static int64_t read_number(struct fc_binary *row, uint64_t most)
{
    if (!fc_binary_has(row))
        return -1;
    return most <= UINT8_MAX    ? fc_binary_u8(row)
           : most <= UINT16_MAX ? fc_binary_u16(row)
           : most <= UINT32_MAX ? fc_binary_u32(row)
                                : (int64_t)read_count(row);
}

static int read_text(struct fc_binary *row, struct fc_engine_texts *texts, int number, const char **to)
{
    size_t len;

    *to = NULL;
    if (!fc_binary_has(row))
        return 0;
    const char *text = fc_binary_text(row, FC_ENGINE_ROW_TEXT_MAX, &len);
    if (fc_vector_reserve(&texts->text[number], &texts->room[number], len + 1, 1))
        return FC_E_NOMEM;
    memcpy(texts->text[number], text, len);
    texts->text[number][len] = '\0';
    *to = texts->text[number];
    return 0;
}

static const uint8_t *read_mac(struct fc_binary *row)
{
    return fc_binary_has(row) ? fc_binary_bytes(row, MAC) : NULL;
}

static int read_fields(struct fc_binary *row, struct fc_engine_texts *texts, struct fc_session *s)
{
    int number = 0, rc = 0;

#define TEXT(column, ...) rc = rc ? rc : read_text(row, texts, number++, &s->column);
#define ADDRESS(column, ...)                                                                                           \
    s->client_##column = read_mac(row);                                                                                \
    s->server_##column = read_mac(row);
#define NUMBER(column, FIELD, title, most, merge)                                                                      \
    s->client_##column = read_number(row, most);                                                                       \
    s->server_##column = read_number(row, most);
    FC_FIELD_COLUMNS(TEXT, ADDRESS, NUMBER)
    return rc;
}

int fc_engine_row(struct fc_binary *row, struct fc_engine_texts *texts, struct fc_session *s)
{
    memset(s, 0, sizeof *s);
    s->id = fc_binary_i64(row);
    s->has_time = fc_engine_row_time(row, &s->start_ns);
    s->end_ns = fc_binary_i64(row);
    s->end_ns = s->has_time ? s->end_ns : 0;
    row->bad |= s->end_ns < s->start_ns;
    s->proto = fc_binary_u32(row);
    s->kind = fc_engine_row_kind(row);
    fc_engine_row_address(row, s->kind, s->client_addr);
    fc_engine_row_address(row, s->kind, s->server_addr);
    s->client_port = read_port(row);
    s->server_port = read_port(row);
    s->client_packets = read_count(row);
    s->server_packets = read_count(row);
    s->client_bytes = read_count(row);
    s->server_bytes = read_count(row);
    s->state = (int)fc_binary_below(row, fc_binary_u8(row), 4);
    return read_fields(row, texts, s);
}
