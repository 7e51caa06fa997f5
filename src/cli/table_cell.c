/* SPDX-License-Identifier: MIT */
#include "cli/table_cell.h"
#include "cli/format.h"

#include <flowcarve/decode.h>
#include <flowcarve/text.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Each column: its title, its field where it has one, and the key of --sort, for pairs the part behind client_. */
static const struct column {
    const char *title;
    uint32_t field;
    const char *key;
    bool pair; /* something of each direction */
} columns[FC_CELLS] = {
    [FC_CELL_ID] = {"ID", 0, "id", false},
    [FC_CELL_START] = {"START", 0, "start", false},
    [FC_CELL_END] = {"END", 0, "end", false},
    [FC_CELL_DURATION] = {"DURATION", 0, "duration", false},
    [FC_CELL_PROTO] = {"PROTO", 0, "proto", false},
    [FC_CELL_CLIENT] = {"CLIENT", 0, NULL, true},
    [FC_CELL_SERVER] = {"SERVER", 0, NULL, true},
    [FC_CELL_PACKETS] = {"PACKETS", 0, "packets", true},
    [FC_CELL_BYTES] = {"BYTES", 0, "bytes", true},
    [FC_CELL_STATE] = {"STATE", 0, "state", false},
    [FC_CELL_VLAN] = {"VLAN", FC_FIELD_VLAN, "vlan", false},
    [FC_CELL_MPLS] = {"MPLS", FC_FIELD_MPLS, "mpls", false},
    [FC_CELL_TUNNEL] = {"TUNNEL", FC_FIELD_TUNNEL, "tunnel", false},
    [FC_CELL_MAC] = {"MAC", FC_FIELD_MAC, "mac", true},
    [FC_CELL_TTL] = {"TTL", FC_FIELD_TTL, "ttl", true},
    [FC_CELL_DSCP] = {"DSCP", FC_FIELD_DSCP, "dscp", true},
    [FC_CELL_TCP_FLAGS] = {"TCP-FLAGS", FC_FIELD_TCP_FLAGS, "tcp_flags", true},
    [FC_CELL_ISN] = {"ISN", FC_FIELD_ISN, "isn", true},
    [FC_CELL_PAYLOAD] = {"PAYLOAD", FC_FIELD_PAYLOAD, "payload", true},
    [FC_CELL_COMMUNITY_ID] = {"COMMUNITY-ID", FC_FIELD_COMMUNITY_ID, "community_id", false},
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

/* What a column has of one direction. */
static void write_side(char *buf, enum fc_cell cell, const struct fc_session *r, bool server)
{
    const uint8_t *mac = server ? r->server_mac : r->client_mac;

    switch (cell) {
    case FC_CELL_CLIENT:
    case FC_CELL_SERVER:
        write_end(buf, r, server ? r->server_addr : r->client_addr, server ? r->server_port : r->client_port);
        break;
    case FC_CELL_PACKETS:
        fc_cell_number(buf, server ? r->server_packets : r->client_packets);
        break;
    case FC_CELL_BYTES:
        fc_cell_number(buf, server ? r->server_bytes : r->client_bytes);
        break;
    case FC_CELL_MAC:
        if (mac)
            *fc_text_addr(buf, FC_ADDR_MAC, mac) = '\0';
        else
            strcpy(buf, "-");
        break;
    case FC_CELL_TTL:
        whole(buf, server ? r->server_ttl : r->client_ttl);
        break;
    case FC_CELL_DSCP:
        whole(buf, server ? r->server_dscp : r->client_dscp);
        break;
    case FC_CELL_TCP_FLAGS:
        whole(buf, server ? r->server_tcp_flags : r->client_tcp_flags);
        break;
    case FC_CELL_ISN:
        whole(buf, server ? r->server_isn : r->client_isn);
        break;
    default:
        whole(buf, server ? r->server_payload : r->client_payload);
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
    case FC_CELL_VLAN:
        write_text(buf, row->vlan);
        break;
    case FC_CELL_MPLS:
        write_text(buf, row->mpls);
        break;
    case FC_CELL_TUNNEL:
        write_text(buf, row->tunnel);
        break;
    default:
        write_text(buf, row->community_id);
    }
}

void fc_cell_title(char *buf, enum fc_cell cell, const struct fc_cell_style *style)
{
    bool time = cell == FC_CELL_START || cell == FC_CELL_END;
    const char *zone = style->zone ? style->zone : "UTC", *city = strrchr(zone, '/');

    /* where there is little room, Berlin is enough of Europe/Berlin */
    if (time && style->year >= 0)
        snprintf(buf, FC_CELL_MAX, "%s %04d %s", columns[cell].title, style->year, city ? city + 1 : zone);
    else if (time)
        snprintf(buf, FC_CELL_MAX, "%s %s", columns[cell].title, zone);
    else if (cell == FC_CELL_CLIENT && style->stacked)
        strcpy(buf, "CLIENT, SERVER");
    else
        strcpy(buf, columns[cell].title);
}

bool fc_cell_right(enum fc_cell cell)
{
    return cell == FC_CELL_ID || cell == FC_CELL_DURATION ||
           (columns[cell].pair && cell != FC_CELL_CLIENT && cell != FC_CELL_SERVER && cell != FC_CELL_MAC);
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
        if (columns[c].key && strlen(columns[c].key) == len && memcmp(columns[c].key, sort, len) == 0)
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
