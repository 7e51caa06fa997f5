/* SPDX-License-Identifier: MIT */
#include "serve/session_json.h"

#include <flowcarve/fields.h>
#include <flowcarve/state.h>
#include <flowcarve/value.h>
#include <stdio.h>
#include <string.h>

enum column {
    SENSOR,
    ID,
    START,
    END,
    START_NS,
    END_NS,
    DURATION,
    PROTO,
    CLIENT_ADDR,
    CLIENT_PORT,
    SERVER_ADDR,
    SERVER_PORT,
    CLIENT_PACKETS,
    SERVER_PACKETS,
    CLIENT_BYTES,
    SERVER_BYTES,
#define ONE(column, FIELD, ...) , FIELD
#define TWO(column, FIELD, ...) , CLIENT_##FIELD, SERVER_##FIELD
    STATE FC_FIELD_COLUMNS(ONE, TWO, TWO),
    PACKETS, /* those from here on only when they are asked for */
    BYTES,
    FILES,
    COLUMNS
};
_Static_assert((int)COLUMNS <= (int)FC_SESSION_COLUMNS_MAX, "all columns fit");

static const struct {
    const char *key;
    uint32_t field;
} all[COLUMNS] = {
    [SENSOR] = {"sensor", FC_OF_SENSORS},
    [ID] = {"id", 0},
    [START] = {"start", 0},
    [END] = {"end", 0},
    [START_NS] = {"start_ns", 0},
    [END_NS] = {"end_ns", 0},
    [DURATION] = {"duration", 0},
    [PROTO] = {"proto", 0},
    [CLIENT_ADDR] = {"client_addr", 0},
    [CLIENT_PORT] = {"client_port", 0},
    [SERVER_ADDR] = {"server_addr", 0},
    [SERVER_PORT] = {"server_port", 0},
    [CLIENT_PACKETS] = {"client_packets", 0},
    [SERVER_PACKETS] = {"server_packets", 0},
    [CLIENT_BYTES] = {"client_bytes", 0},
    [SERVER_BYTES] = {"server_bytes", 0},
    [STATE] = {"state", 0},
    [PACKETS] = {"packets", 0},
    [BYTES] = {"bytes", 0},
#define KEY_ONE(column, FIELD, ...) [FIELD] = {#column, FC_FIELD_##FIELD},
#define KEY_TWO(column, FIELD, ...)                                                                                    \
    [CLIENT_##FIELD] = {"client_" #column, FC_FIELD_##FIELD}, [SERVER_##FIELD] = {"server_" #column, FC_FIELD_##FIELD},
    FC_FIELD_COLUMNS(KEY_ONE, KEY_TWO, KEY_TWO)[FILES] = {"files", FC_OF_INDEX},
};

static void add_column(struct fc_session_columns *columns, unsigned c)
{
    columns->column[columns->count++] = (uint8_t)c;
    columns->fields |= all[c].field;
    columns->files |= c == FILES;
}

void fc_session_columns_all(struct fc_session_columns *columns, uint32_t fields, bool more)
{
    *columns = (struct fc_session_columns){0};
    fields |= more ? (uint32_t)FC_FIELD_COMMUNITY_ID : 0;
    for (unsigned c = 0; c < (more ? FILES : PACKETS); c++)
        if (!(all[c].field & ~fields))
            add_column(columns, c);
}

const char *fc_session_columns_read(struct fc_session_columns *columns, const char *list, char *bad)
{
    *columns = (struct fc_session_columns){0};
    do {
        size_t len = strcspn(list, ",");
        unsigned c = 0;
        while (c < COLUMNS && (strlen(all[c].key) != len || memcmp(all[c].key, list, len) != 0))
            c++;
        bool twice = c < COLUMNS && memchr(columns->column, (int)c, columns->count);
        if (c == COLUMNS || twice) {
            snprintf(bad, 64, "%.*s", (int)(len < 60 ? len : 60), list);
            return bad;
        }
        add_column(columns, c);
        list += len;
    } while (*list++ == ',');
    return NULL;
}

const char *fc_session_columns_lacking(const struct fc_session_columns *columns, uint32_t fields)
{
    for (unsigned i = 0; i < columns->count; i++)
        if (all[columns->column[i]].field & ~fields)
            return all[columns->column[i]].key;
    return NULL;
}

static void put_maybe(struct fc_json *j, int64_t number)
{
    if (number < 0)
        fc_json_null(j);
    else
        fc_json_number(j, (uint64_t)number);
}

static void put_addr(struct fc_json *j, int kind, const uint8_t *addr)
{
    char buf[FC_TEXT_MAX];

    fc_json_plain(j, buf, addr ? fc_text_addr(buf, kind, addr) : buf);
}

static void put_time(struct fc_json *j, const struct fc_session *row, enum column c)
{
    int64_t ns = c == START || c == START_NS ? row->start_ns : row->end_ns;
    char buf[FC_TEXT_MAX];

    if (!row->has_time)
        fc_json_null(j);
    else if (c == START || c == END)
        fc_json_plain(j, buf, fc_text_time(buf, ns));
    else if (c == DURATION)
        fc_json_raw(j, buf, (size_t)(fc_text_duration(buf, row->end_ns - row->start_ns) - buf));
    else
        fc_json_signed(j, ns);
}

static void put_files(struct fc_json *j, const struct fc_session_file *files, size_t count)
{
    fc_json_mark(j, '[');
    for (size_t i = 0; i < count; i++) {
        fc_json_mark(j, '{');
        fc_json_put_text(j, "path", files[i].path);
        fc_json_put_number(j, "packets", files[i].packets);
        fc_json_mark(j, '}');
    }
    fc_json_mark(j, ']');
}

static void put_field(struct fc_json *j, const struct fc_session *row, enum column c)
{
    switch (c) {
#define TEXT(column, FIELD, ...)                                                                                       \
    case FIELD:                                                                                                        \
        fc_json_text(j, row->column);                                                                                  \
        break;
#define ADDRESS(column, FIELD, ...)                                                                                    \
    case CLIENT_##FIELD:                                                                                               \
        put_addr(j, FC_ADDR_MAC, row->client_##column);                                                                \
        break;                                                                                                         \
    case SERVER_##FIELD:                                                                                               \
        put_addr(j, FC_ADDR_MAC, row->server_##column);                                                                \
        break;
#define NUMBER(column, FIELD, ...)                                                                                     \
    case CLIENT_##FIELD:                                                                                               \
        put_maybe(j, row->client_##column);                                                                            \
        break;                                                                                                         \
    case SERVER_##FIELD:                                                                                               \
        put_maybe(j, row->server_##column);                                                                            \
        break;
        FC_FIELD_COLUMNS(TEXT, ADDRESS, NUMBER)
    default:
        break;
    }
}

static void put_value(struct fc_json *j, const struct fc_session *row, enum column c)
{
    char buf[FC_TEXT_MAX];

    switch (c) {
    case SENSOR:
        fc_json_text(j, row->sensor);
        break;
    case ID:
        fc_json_signed(j, row->id);
        break;
    case START:
    case END:
    case START_NS:
    case END_NS:
    case DURATION:
        put_time(j, row, c);
        break;
    case PROTO:
        fc_json_plain(j, buf, fc_text_proto(buf, row->proto));
        break;
    case CLIENT_ADDR:
    case SERVER_ADDR:
        put_addr(j, row->kind, c == CLIENT_ADDR ? row->client_addr : row->server_addr);
        break;
    case CLIENT_PORT:
    case SERVER_PORT:
        put_maybe(j, c == CLIENT_PORT ? row->client_port : row->server_port);
        break;
    case CLIENT_PACKETS:
        fc_json_number(j, row->client_packets);
        break;
    case SERVER_PACKETS:
        fc_json_number(j, row->server_packets);
        break;
    case CLIENT_BYTES:
        fc_json_number(j, row->client_bytes);
        break;
    case SERVER_BYTES:
        fc_json_number(j, row->server_bytes);
        break;
    case STATE:
        fc_json_text(j, fc_state_name(row->state));
        break;
    case PACKETS:
        fc_json_number(j, row->client_packets + row->server_packets);
        break;
    case BYTES:
        fc_json_number(j, row->client_bytes + row->server_bytes);
        break;
    default:
        put_field(j, row, c);
    }
}

void fc_put_session(struct fc_json *j, const struct fc_session_columns *columns, const struct fc_session *row,
                    const struct fc_session_file *files, size_t file_count)
{
    fc_json_mark(j, '{');
    for (unsigned i = 0; i < columns->count; i++) {
        enum column c = (enum column)columns->column[i];
        fc_json_key(j, all[c].key);
        if (c == FILES)
            put_files(j, files, file_count);
        else
            put_value(j, row, c);
    }
    fc_json_mark(j, '}');
}

void fc_put_fields(struct fc_json *j, uint32_t fields)
{
#define NAME(FIELD, bit, name, want) {FC_FIELD_##FIELD, name},
    static const struct {
        uint32_t bit;
        const char *name;
    } names[] = {FC_FIELDS(NAME)};

    fc_json_key(j, "fields");
    fc_json_mark(j, '[');
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (fields & names[i].bit)
            fc_json_text(j, names[i].name);
    fc_json_mark(j, ']');
}
