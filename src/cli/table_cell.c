/* SPDX-License-Identifier: MIT */
#include "cli/table_cell.h"
#include "cli/format.h"

#include <ctype.h>
#include <flowcarve/decode.h>
#include <flowcarve/text.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(FC_CELLS <= 32, "a mask takes all of them");

#define FIELD_TEXT(column, FIELD, ...) , [FC_CELL_##FIELD] = {#column, FC_FIELD_##FIELD, false, false}
#define FIELD_ADDRESS(column, FIELD, ...) , [FC_CELL_##FIELD] = {#column, FC_FIELD_##FIELD, true, false}
#define FIELD_NUMBER(column, FIELD, ...) , [FC_CELL_##FIELD] = {#column, FC_FIELD_##FIELD, true, true}

/*
 * Each column: the key of --sort, for pairs the part behind client_, which in capitals is its title; its field where it
 * has one.
 */
static const struct column {
    const char *key;
    uint32_t field;
    bool pair;  /* something of each direction */
    bool right; /* numbers and durations stand at the right of their column */
} columns[FC_CELLS] = {
    [FC_CELL_SENSOR] = {"sensor", FC_FIELD_SENSOR, false, false},
    [FC_CELL_ID] = {"id", 0, false, true},
    [FC_CELL_START] = {"start", 0, false, false},
    [FC_CELL_END] = {"end", 0, false, false},
    [FC_CELL_DURATION] = {"duration", 0, false, true},
    [FC_CELL_PROTO] = {"proto", 0, false, false},
    [FC_CELL_CLIENT] = {"client", 0, true, false},
    [FC_CELL_SERVER] = {"server", 0, true, false},
    [FC_CELL_PACKETS] = {"packets", 0, true, true},
    [FC_CELL_BYTES] = {"bytes", 0, true, true},
    [FC_CELL_STATE] = {"state", 0, false, false} FC_FIELD_COLUMNS(FIELD_TEXT, FIELD_ADDRESS, FIELD_NUMBER),
};

int fc_cell_year(int64_t ns, const struct fc_cell_style *style)
{
    char text[FC_TEXT_MAX];

    fc_cell_time(text, ns, 0, style->zone != NULL);
    return atoi(text);
}

void fc_cell_time(char *buf, int64_t ns, unsigned digits, bool local)
{
    *(local ? fc_text_local(buf, ns) : fc_text_time(buf, ns)) = '\0';
    buf[10] = ' ';
    buf[digits ? 20 + digits : 19] = '\0';
}

static void write_time(char *buf, const struct fc_session *row, int64_t ns, const struct fc_cell_style *style)
{
    char text[FC_TEXT_MAX];

    if (!row->has_time) {
        strcpy(buf, "-");
        return;
    }
    fc_cell_time(text, ns, style->fraction ? 6 : 0, style->zone != NULL);
    strcpy(buf, text + (style->year >= 0 && atoi(text) == style->year ? 5 : 0));
}

void fc_cell_duration(char *buf, uint64_t ns)
{
    uint64_t ms = (ns + 500000) / 1000000, s = (ns + 500000000) / 1000000000, min = (s + 30) / 60;

    if (ms < 100000)
        snprintf(buf, FC_CELL_MAX, "%u.%03us", (unsigned)(ms / 1000), (unsigned)(ms % 1000));
    else if (s < 6000)
        snprintf(buf, FC_CELL_MAX, "%um%02us", (unsigned)(s / 60), (unsigned)(s % 60));
    else if (min < 6000)
        snprintf(buf, FC_CELL_MAX, "%uh%02um", (unsigned)(min / 60), (unsigned)(min % 60));
    else
        snprintf(buf, FC_CELL_MAX, "%ud%02uh", (unsigned)((min + 30) / 1440), (unsigned)((min + 30) / 60 % 24));
}

static void write_duration(char *buf, const struct fc_session *row)
{
    if (row->has_time)
        fc_cell_duration(buf, row->end_ns > row->start_ns ? (uint64_t)(row->end_ns - row->start_ns) : 0);
    else
        strcpy(buf, "-");
}

static void write_end(char *buf, const struct fc_session *row, const uint8_t *addr, int port)
{
    bool icmp = row->proto == 1 || row->proto == 58; /* their ports are message types */
    bool brackets = row->kind == FC_ADDR_IPV6 && port >= 0 && !icmp;
    char *p = buf;

    if (row->kind == FC_ADDR_NONE) {
        strcpy(buf, "-");
        return;
    }
    if (brackets)
        *p++ = '[';
    p = fc_text_addr(p, row->kind, addr);
    if (brackets)
        *p++ = ']';
    if (port >= 0 && !icmp) {
        *p++ = ':';
        p = fc_text_number(p, (uint64_t)port);
    }
    *p = '\0';
}

void fc_cell_number(char *buf, uint64_t number)
{
    static const char units[] = "kMGTPE";
    double value = (double)number;
    int unit = -1;

    if (number < 10000) {
        snprintf(buf, FC_TEXT_MAX, "%u", (unsigned)number);
        return;
    }
    while (value >= 999.5) {
        value /= 1000;
        unit++;
    }
    snprintf(buf, FC_TEXT_MAX, "%.*f%c", value < 9.995 ? 2 : value < 99.95 ? 1 : 0, value, units[unit]);
}

static void whole(char *buf, int64_t number)
{
    if (number < 0)
        strcpy(buf, "-");
    else
        *fc_text_number(buf, (uint64_t)number) = '\0';
}

static void write_mac(char *buf, const uint8_t *mac)
{
    if (mac)
        *fc_text_addr(buf, FC_ADDR_MAC, mac) = '\0';
    else
        strcpy(buf, "-");
}

/* What a column has of one direction. */
static void write_side(char *buf, enum fc_cell cell, const struct fc_session *r, bool server)
{
    switch (cell) {
    case FC_CELL_PACKETS:
        fc_cell_number(buf, server ? r->server_packets : r->client_packets);
        break;
    case FC_CELL_BYTES:
        fc_cell_number(buf, server ? r->server_bytes : r->client_bytes);
        break;
#define ADDRESS(column, FIELD, title)                                                                                  \
    case FC_CELL_##FIELD:                                                                                              \
        write_mac(buf, server ? r->server_##column : r->client_##column);                                              \
        break;
#define NUMBER(column, FIELD, ...)                                                                                     \
    case FC_CELL_##FIELD:                                                                                              \
        whole(buf, server ? r->server_##column : r->client_##column);                                                  \
        break;
        FC_FIELD_COLUMNS(FC_FIELD_SKIP, ADDRESS, NUMBER)
    default:
        write_end(buf, r, server ? r->server_addr : r->client_addr, server ? r->server_port : r->client_port);
    }
}

static void write_pair(char *buf, enum fc_cell cell, const struct fc_session *row, const struct fc_cell_style *style,
                       enum fc_cell_side side)
{
    if (side != FC_CELL_BOTH) {
        write_side(buf, cell, row, side == FC_CELL_OF_SERVER);
    } else if (cell == FC_CELL_CLIENT || cell == FC_CELL_SERVER) {
        write_side(buf, cell, row, cell == FC_CELL_SERVER);
    } else if (style->summed & 1u << cell) {
        fc_cell_number(buf, cell == FC_CELL_BYTES ? row->client_bytes + row->server_bytes
                                                  : row->client_packets + row->server_packets);
    } else {
        write_side(buf, cell, row, false);
        size_t len = strlen(buf);
        buf[len++] = '/';
        write_side(buf + len, cell, row, true);
    }
}

static void write_text(char *buf, const char *text)
{
    fc_text_show(text ? text : "-", buf, FC_CELL_MAX);
}

void fc_cell_text(char *buf, enum fc_cell cell, const struct fc_session *row, const struct fc_cell_style *style,
                  enum fc_cell_side side)
{
    *buf = '\0';
    if (columns[cell].pair) {
        write_pair(buf, cell, row, style, side);
        return;
    }
    if (side == FC_CELL_OF_SERVER)
        return;
    switch (cell) {
    case FC_CELL_SENSOR:
        write_text(buf, row->sensor);
        break;
    case FC_CELL_ID:
        snprintf(buf, FC_CELL_MAX, "%lld", (long long)row->id);
        break;
    case FC_CELL_START:
    case FC_CELL_END:
        write_time(buf, row, cell == FC_CELL_START ? row->start_ns : row->end_ns, style);
        break;
    case FC_CELL_DURATION:
        write_duration(buf, row);
        break;
    case FC_CELL_PROTO:
        *fc_text_proto(buf, row->proto) = '\0';
        break;
    case FC_CELL_STATE:
        write_text(buf, fc_state_name(row->state));
        break;
#define TEXT(column, FIELD, ...)                                                                                       \
    case FC_CELL_##FIELD:                                                                                              \
        write_text(buf, row->column);                                                                                  \
        break;
        FC_FIELD_COLUMNS(TEXT, FC_FIELD_SKIP, FC_FIELD_SKIP)
    default:
        break;
    }
}

void fc_cell_title(char *buf, enum fc_cell cell, const struct fc_cell_style *style)
{
    bool time = cell == FC_CELL_START || cell == FC_CELL_END;
    const char *zone = style->zone ? style->zone : "UTC", *city = strrchr(zone, '/');
    size_t len = 0;

    for (const char *key = columns[cell].key; *key; key++)
        buf[len++] = (char)(*key == '_' ? '-' : toupper(*key));
    buf[len] = '\0';
    /* where there is little room, Berlin is enough of Europe/Berlin */
    if (time && style->year >= 0)
        snprintf(buf + len, FC_CELL_MAX - len, " %04d %s", style->year, city ? city + 1 : zone);
    else if (time)
        snprintf(buf + len, FC_CELL_MAX - len, " %s", zone);
    else if (cell == FC_CELL_CLIENT && style->stacked)
        strcpy(buf + len, ", SERVER");
}

bool fc_cell_right(enum fc_cell cell)
{
    return columns[cell].right;
}

enum fc_cell fc_cell_sorted(const char *sort)
{
    size_t len = sort ? strcspn(sort, ":") : 0;

    if (len > 7 && (strncmp(sort, "client_", 7) == 0 || strncmp(sort, "server_", 7) == 0)) {
        sort += 7;
        len -= 7;
    }
    if (len > 3 && memcmp(sort + len - 3, "_ns", 3) == 0)
        len -= 3;
    for (int c = 0; len && c < FC_CELLS; c++)
        if (strlen(columns[c].key) == len && memcmp(columns[c].key, sort, len) == 0)
            return (enum fc_cell)c;
    return FC_CELLS; /* addresses and ports are always shown */
}

uint32_t fc_cell_fields(uint32_t fields)
{
    uint32_t cells = 0;

    for (int c = 0; c < FC_CELLS; c++)
        if (columns[c].field & fields)
            cells |= 1u << c;
    return cells;
}
