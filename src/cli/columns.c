/* SPDX-License-Identifier: MIT */
#include "cli/columns.h"
#include "cli/cli.h"
#include "cli/table_cell.h"

#include <flowcarve/decode.h>
#include <flowcarve/text.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Those of the output without --columns, in its order, and others behind. */
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
    TS,
    PACKETS,
    BYTES,
    FILES,
    COLUMNS
};

_Static_assert((int)COLUMNS <= (int)FC_GRID_COLUMNS, "a grid takes all of them");
const unsigned fc_columns_output = TS;

#define TEXT(column, FIELD, title, ...) , [FIELD] = {{#column, title, false, true, 0}, FC_FIELD_##FIELD}
#define ADDRESS(column, FIELD, title)                                                                                  \
    , [CLIENT_##FIELD] = {{"client_" #column, "CLIENT-" title, false, true, 0}, FC_FIELD_##FIELD},                     \
      [SERVER_##FIELD] = {{"server_" #column, "SERVER-" title, false, true, 0}, FC_FIELD_##FIELD}
#define NUMBER(column, FIELD, title, ...)                                                                              \
    , [CLIENT_##FIELD] = {{"client_" #column, "CLIENT-" title, true, false, 0}, FC_FIELD_##FIELD},                     \
      [SERVER_##FIELD] = {{"server_" #column, "SERVER-" title, true, false, 0}, FC_FIELD_##FIELD}
const struct fc_column fc_columns_all[] = {
    [SENSOR] = {{"sensor", "SENSOR", false, true, 0}, FC_FIELD_SENSOR},
    [ID] = {{"id", "ID", true, false, 0}, 0},
    [START] = {{"start", "START", false, true, 0}, 0},
    [END] = {{"end", "END", false, true, 0}, 0},
    [START_NS] = {{"start_ns", "START-NS", true, false, 0}, 0},
    [END_NS] = {{"end_ns", "END-NS", true, false, 0}, 0},
    [DURATION] = {{"duration", "DURATION", true, false, 0}, 0},
    [PROTO] = {{"proto", "PROTO", false, true, 0}, 0},
    [CLIENT_ADDR] = {{"client_addr", "CLIENT", false, true, 0}, 0},
    [CLIENT_PORT] = {{"client_port", "CLIENT-PORT", true, false, 0}, 0},
    [SERVER_ADDR] = {{"server_addr", "SERVER", false, true, 0}, 0},
    [SERVER_PORT] = {{"server_port", "SERVER-PORT", true, false, 0}, 0},
    [CLIENT_PACKETS] = {{"client_packets", "CLIENT-PACKETS", true, false, 0}, 0},
    [SERVER_PACKETS] = {{"server_packets", "SERVER-PACKETS", true, false, 0}, 0},
    [CLIENT_BYTES] = {{"client_bytes", "CLIENT-BYTES", true, false, 0}, 0},
    [SERVER_BYTES] = {{"server_bytes", "SERVER-BYTES", true, false, 0}, 0},
    [STATE] = {{"state", "STATE", false, true, 0}, 0},
    [TS] = {{"ts", "TS", true, false, 0}, 0},
    [PACKETS] = {{"packets", "PACKETS", true, false, 0}, 0},
    [BYTES] = {{"bytes", "BYTES", true, false, 0}, 0},
    [FILES] = {{"files", "FILES", false, false, 0}, 0} FC_FIELD_COLUMNS(TEXT, ADDRESS, NUMBER), /* JSON: an array */
};

/* '-' in the name is as good as '_' in the key. */
static bool is_key(const char *key, const char *name, size_t len)
{
    size_t i = 0;

    while (i < len && key[i] && (key[i] == name[i] || (key[i] == '_' && name[i] == '-')))
        i++;
    return i == len && !key[i];
}

static bool fail_column(const char *name, size_t len)
{
    char list[1024];
    size_t used = 0;

    for (int c = 0; c < COLUMNS && used < sizeof list; c++)
        used += (size_t)snprintf(list + used, sizeof list - used, "%s%s", c ? ", " : "", fc_columns_all[c].title.key);
    fc_complain("query: no column '%.*s'; --columns are of %s", (int)len, name, list);
    return false;
}

uint32_t fc_columns_field(const char *name, size_t len)
{
    for (unsigned c = 0; c < COLUMNS; c++)
        if (is_key(fc_columns_all[c].title.key, name, len))
            return fc_columns_all[c].field & ~(uint32_t)FC_FIELD_SENSOR;
    return 0;
}

bool fc_columns_read(struct fc_columns *columns, const char *list)
{
    *columns = (struct fc_columns){0};
    do {
        size_t len = strcspn(list, ",");
        unsigned c = 0;

        while (c < COLUMNS && !is_key(fc_columns_all[c].title.key, list, len))
            c++;
        if (c == COLUMNS)
            return fail_column(list, len);
        for (unsigned i = 0; i < columns->count; i++)
            if (columns->column[i] == c) {
                /* an object has a key once */
                fc_complain("query: column '%s' comes twice", fc_columns_all[c].title.key);
                return false;
            }
        columns->titles[columns->count] = fc_columns_all[c].title;
        columns->column[columns->count++] = (uint8_t)c;
        columns->fields |= fc_columns_all[c].field;
        columns->files |= c == FILES;
        list += len;
    } while (*list++ == ',');
    return true;
}

void fc_columns_zone(struct fc_columns *columns, const char *zone, bool local)
{
    columns->local = local;
    snprintf(columns->start_title, sizeof columns->start_title, "START %s", zone);
    snprintf(columns->end_title, sizeof columns->end_title, "END %s", zone);
    for (unsigned i = 0; i < columns->count; i++)
        if (columns->column[i] == START || columns->column[i] == END)
            columns->titles[i].title = columns->column[i] == START ? columns->start_title : columns->end_title;
}

bool fc_columns_check(const struct fc_columns *columns, uint32_t fields)
{
#define NAME(FIELD, bit, name, want) [bit] = name,
    static const char *const names[] = {FC_FIELDS(NAME)};

    for (unsigned i = 0; i < columns->count; i++) {
        uint32_t field = fc_columns_all[columns->column[i]].field;
        if (field & ~fields & FC_FIELD_SENSOR) {
            fc_complain("query: column sensor goes with --cluster");
            return false;
        }
        if (field & ~fields) {
            fc_complain("query: this index holds no %s; index with --fields %s", columns->titles[i].key,
                        names[__builtin_ctz(field)]);
            return false;
        }
    }
    return true;
}

static char *write_signed(char *p, int64_t number)
{
    if (number < 0)
        *p++ = '-';
    return fc_text_number(p, number < 0 ? -(uint64_t)number : (uint64_t)number);
}

/* Seconds since 1970, as a number that jq can take: to the microsecond it is exact. */
static char *write_ts(char *p, int64_t ns)
{
    int64_t second = ns / 1000000000 - (ns % 1000000000 < 0);

    p = write_signed(p, second);
    return p + sprintf(p, ".%09d", (int)(ns - second * 1000000000));
}

static char *write_addr(char *p, const struct fc_session *r, bool server)
{
    return fc_text_addr(p, r->kind, server ? r->server_addr : r->client_addr);
}

static char *write_maybe(char *p, int64_t number)
{
    return number < 0 ? p : fc_text_number(p, (uint64_t)number);
}

/* What programs get; the byte behind the text, nothing for NULL. */
static char *write_value(char *p, enum column c, const struct fc_session *r, bool local)
{
    switch (c) {
    case ID:
        return write_signed(p, r->id);
    case START:
    case END:
        return r->has_time ? (local ? fc_text_local : fc_text_time)(p, c == START ? r->start_ns : r->end_ns) : p;
    case START_NS:
    case END_NS:
        return r->has_time ? write_signed(p, c == START_NS ? r->start_ns : r->end_ns) : p;
    case TS:
        return r->has_time ? write_ts(p, r->start_ns) : p;
    case DURATION:
        return r->has_time ? fc_text_duration(p, r->end_ns - r->start_ns) : p;
    case PROTO:
        return fc_text_proto(p, r->proto);
    case CLIENT_ADDR:
    case SERVER_ADDR:
        return write_addr(p, r, c == SERVER_ADDR);
    case CLIENT_PORT:
    case SERVER_PORT:
        return write_maybe(p, c == CLIENT_PORT ? r->client_port : r->server_port);
    case CLIENT_PACKETS:
    case SERVER_PACKETS:
        return fc_text_number(p, c == CLIENT_PACKETS ? r->client_packets : r->server_packets);
    case PACKETS:
        return fc_text_number(p, r->client_packets + r->server_packets);
    case CLIENT_BYTES:
    case SERVER_BYTES:
        return fc_text_number(p, c == CLIENT_BYTES ? r->client_bytes : r->server_bytes);
    case BYTES:
        return fc_text_number(p, r->client_bytes + r->server_bytes);
#define ADDRESS_CASE(column, FIELD, title)                                                                             \
    case CLIENT_##FIELD:                                                                                               \
        return r->client_##column ? fc_text_addr(p, FC_ADDR_MAC, r->client_##column) : p;                              \
    case SERVER_##FIELD:                                                                                               \
        return r->server_##column ? fc_text_addr(p, FC_ADDR_MAC, r->server_##column) : p;
#define NUMBER_CASE(column, FIELD, ...)                                                                                \
    case CLIENT_##FIELD:                                                                                               \
        return write_maybe(p, r->client_##column);                                                                     \
    case SERVER_##FIELD:                                                                                               \
        return write_maybe(p, r->server_##column);
        FC_FIELD_COLUMNS(FC_FIELD_SKIP, ADDRESS_CASE, NUMBER_CASE)
    default:
        return p;
    }
}

/* What people get where that is something else; false: it is not. */
static bool write_shown(char *p, enum column c, const struct fc_session *r, bool local)
{
    if ((c == START || c == END) && r->has_time)
        fc_cell_time(p, c == START ? r->start_ns : r->end_ns, 6, local);
    else if (c == DURATION && r->has_time)
        fc_cell_duration(p, (uint64_t)(r->end_ns - r->start_ns));
    else if (c == CLIENT_BYTES || c == SERVER_BYTES || c == BYTES)
        fc_cell_number(p, c == BYTES          ? r->client_bytes + r->server_bytes
                          : c == CLIENT_BYTES ? r->client_bytes
                                              : r->server_bytes);
    else
        return false;
    return true;
}

static const char *text_of(char buf[FC_CELL_MAX], enum column c, const struct fc_session *r, bool table, bool local)
{
    switch (c) {
    case SENSOR:
        return r->sensor;
    case STATE:
        return fc_state_name(r->state);
#define TEXT_CASE(column, FIELD, ...)                                                                                  \
    case FIELD:                                                                                                        \
        return r->column;
        FC_FIELD_COLUMNS(TEXT_CASE, FC_FIELD_SKIP, FC_FIELD_SKIP)
    default:
        break;
    }
    if (table && write_shown(buf, c, r, local))
        return buf;
    char *end = write_value(buf, c, r, local);
    *end = '\0';
    return end == buf ? NULL : buf;
}

/* The captures: paths with commas between them, in JSON as `query --files` has them. A new string; NULL: no memory. */
static char *files_text(const struct fc_session_file *files, size_t count, bool json)
{
    char *text = NULL, part[512];
    size_t size;
    FILE *to = open_memstream(&text, &size);

    if (!to)
        return NULL;
    fputs(json ? "[" : "", to);
    for (size_t i = 0; i < count; i++) {
        fprintf(to, "%s%s", i ? "," : "", json ? "{\"path\":\"" : "");
        for (const char *path = files[i].path; json && *path;)
            fwrite(part, 1, fc_text_escape(FC_TEXT_JSON, &path, part, sizeof part), to);
        if (json)
            fprintf(to, "\",\"packets\":%" PRIu64 "}", files[i].packets);
        else
            fputs(files[i].path, to);
    }
    fputs(json ? "]" : "", to);
    if (fclose(to) == 0)
        return text;
    free(text);
    return NULL;
}

int fc_columns_write(const struct fc_columns *columns, struct fc_grid *grid, const struct fc_session *row,
                     const struct fc_session_file *files, size_t file_count)
{
    char buf[FC_GRID_COLUMNS][FC_CELL_MAX], *captures = NULL;
    const char *texts[FC_GRID_COLUMNS];

    if (columns->files && !(captures = files_text(files, file_count, grid->format == FC_ROWS_JSON)))
        return FC_E_NOMEM;
    for (unsigned i = 0; i < columns->count; i++)
        texts[i] = columns->column[i] == FILES
                       ? captures
                       : text_of(buf[i], columns->column[i], row, grid->format == FC_ROWS_TABLE, columns->local);
    int rc = fc_grid_row(grid, texts);
    free(captures);
    return rc;
}
