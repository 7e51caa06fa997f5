/* SPDX-License-Identifier: MIT */
/*
 * The table for people. Its first rows are kept back to measure the columns; what comes later is fitted to those, and
 * a cell that is wider pushes its line. Where the terminal is too narrow, times get shorter and columns go.
 */
#include "cli/format.h"

#include <flowcarve/decode.h>
#include <flowcarve/text.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEPT_ROWS = 500, CELL_MAX = 80, GAP = 2 };

enum { ID, START, DURATION, PROTO, CLIENT, SERVER, PACKETS, BYTES, STATE, COMMUNITY_ID, COLUMNS };

/* How much is left out, each level with all before it. */
enum { FULL, NO_FRACTION, NO_YEAR, NO_DATE, NO_DURATION, NO_STATE };

static const char *const titles[COLUMNS] = {"ID",     "START",   "DURATION", "PROTO", "CLIENT",
                                            "SERVER", "PACKETS", "BYTES",    "STATE", "COMMUNITY-ID"};

struct fc_row_table {
    unsigned level;
    unsigned width[COLUMNS]; /* 0: the column is not shown */
    bool measured;
    size_t count;
    bool community_id; /* has that column */
    struct fc_session rows[KEPT_ROWS];
    char community_ids[KEPT_ROWS][FC_COMMUNITY_ID_SIZE];
};

static void write_start(char *buf, const struct fc_session *row, unsigned level)
{
    char text[FC_TEXT_MAX];

    if (!row->has_time) {
        strcpy(buf, "-");
        return;
    }
    *fc_text_time(text, row->start_ns) = '\0';
    text[10] = ' ';
    text[level >= NO_FRACTION ? 19 : 26] = '\0';
    strcpy(buf, text + (level >= NO_DATE ? 11 : level >= NO_YEAR ? 5 : 0));
}

static void write_duration(char *buf, const struct fc_session *row)
{
    uint64_t ms = (uint64_t)(row->end_ns - row->start_ns) / 1000000, s = ms / 1000;

    if (!row->has_time)
        strcpy(buf, "-");
    else if (s < 100)
        snprintf(buf, CELL_MAX, "%u.%03us", (unsigned)s, (unsigned)(ms % 1000));
    else if (s < 6000)
        snprintf(buf, CELL_MAX, "%um%02us", (unsigned)(s / 60), (unsigned)(s % 60));
    else if (s < 100 * 3600)
        snprintf(buf, CELL_MAX, "%uh%02um", (unsigned)(s / 3600), (unsigned)(s / 60 % 60));
    else
        snprintf(buf, CELL_MAX, "%ud%02uh", (unsigned)(s / 86400), (unsigned)(s / 3600 % 24));
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

static int human(char *buf, size_t size, uint64_t number)
{
    static const char units[] = "kMGTPE";
    double value = (double)number;
    int unit = -1;

    if (number < 10000)
        return snprintf(buf, size, "%u", (unsigned)number);
    while (value >= 999.5) {
        value /= 1000;
        unit++;
    }
    return snprintf(buf, size, "%.*f%c", value < 9.995 ? 2 : value < 99.95 ? 1 : 0, value, units[unit]);
}

static void write_pair(char *buf, uint64_t client, uint64_t server)
{
    int len = human(buf, 32, client);

    buf[len++] = '/';
    human(buf + len, 32, server);
}

static void write_cell(char *buf, const struct fc_session *row, unsigned column, unsigned level)
{
    switch (column) {
    case ID:
        snprintf(buf, CELL_MAX, "%lld", (long long)row->id);
        break;
    case START:
        write_start(buf, row, level);
        break;
    case DURATION:
        write_duration(buf, row);
        break;
    case PROTO:
        *fc_text_proto(buf, row->proto) = '\0';
        break;
    case CLIENT:
        write_end(buf, row, row->client_addr, row->client_port);
        break;
    case SERVER:
        write_end(buf, row, row->server_addr, row->server_port);
        break;
    case PACKETS:
        write_pair(buf, row->client_packets, row->server_packets);
        break;
    case BYTES:
        write_pair(buf, row->client_bytes, row->server_bytes);
        break;
    case COMMUNITY_ID:
        fc_text_show(row->community_id ? row->community_id : "-", buf, CELL_MAX);
        break;
    default:
        snprintf(buf, CELL_MAX, "%s", fc_text_state(row->state) ? fc_text_state(row->state) : "-");
    }
}

/* Widths at a level of detail; returns the width of the whole table. */
static unsigned measure(struct fc_row_table *table, unsigned level)
{
    unsigned total = 0;
    char cell[CELL_MAX];

    for (unsigned c = 0; c < COLUMNS; c++) {
        table->width[c] = 0;
        if ((c == COMMUNITY_ID && !table->community_id) || (c == DURATION && level >= NO_DURATION) ||
            (c == STATE && level >= NO_STATE))
            continue;
        table->width[c] = (unsigned)strlen(titles[c]);
        for (size_t i = 0; i < table->count; i++) {
            write_cell(cell, &table->rows[i], c, level);
            if (table->width[c] < strlen(cell))
                table->width[c] = (unsigned)strlen(cell);
        }
        total += table->width[c] + (total ? GAP : 0);
    }
    return total;
}

static bool right_aligned(unsigned column)
{
    return column == ID || column == DURATION || column == PACKETS || column == BYTES;
}

/* One line; the last cell is not padded. row is NULL for the titles. */
static void write_line(struct fc_rows *w, const struct fc_session *row)
{
    static const char spaces[] = "                                                                                ";
    const struct fc_row_table *table = w->table;
    size_t owed = 0; /* spaces that only come when something follows */

    for (unsigned c = 0; c < COLUMNS; c++) {
        char cell[CELL_MAX];
        size_t len, pad;

        if (table->width[c] == 0)
            continue;
        if (row)
            write_cell(cell, row, c, table->level);
        else
            strcpy(cell, titles[c]);
        len = strlen(cell);
        pad = len < table->width[c] ? table->width[c] - len : 0;
        if (right_aligned(c))
            owed += pad;
        fc_out_bytes(w->out, spaces, owed < sizeof spaces - 1 ? owed : sizeof spaces - 1);
        fc_out_bytes(w->out, cell, len);
        owed = GAP + (right_aligned(c) ? 0 : pad);
    }
}

static void write_row(struct fc_rows *w, const struct fc_session *row)
{
    bool red = w->color && row->state == 3;

    if (red)
        fc_out_text(w->out, "\033[31m");
    write_line(w, row);
    fc_out_text(w->out, red ? "\033[0m\n" : "\n");
}

/* Settles the widths and writes what was kept. */
static void release(struct fc_rows *w)
{
    struct fc_row_table *table = w->table;

    while (measure(table, table->level) > w->width && w->width && table->level < NO_STATE)
        table->level++;
    table->measured = true;
    if (w->color)
        fc_out_text(w->out, "\033[1m");
    write_line(w, NULL);
    fc_out_text(w->out, w->color ? "\033[0m\n" : "\n");
    for (size_t i = 0; i < table->count; i++)
        write_row(w, &table->rows[i]);
}

/* Texts belong to the query and are gone with its next row: of these, only what the table shows is kept. */
static void keep(struct fc_row_table *table, const struct fc_session *row)
{
    struct fc_session *kept = &table->rows[table->count];
    char *id = table->community_ids[table->count];

    *kept = *row;
    kept->vlan = kept->mpls = kept->tunnel = kept->community_id = NULL;
    kept->client_mac = kept->server_mac = NULL;
    if (row->community_id) {
        snprintf(id, FC_COMMUNITY_ID_SIZE, "%s", row->community_id);
        kept->community_id = id;
    }
    table->count++;
}

int fc_row_table_write(struct fc_rows *w, const struct fc_session *row)
{
    if (!w->table && !(w->table = calloc(1, sizeof *w->table)))
        return FC_E_NOMEM;
    if (w->table->measured) {
        write_row(w, row);
        return 0;
    }
    w->table->community_id = w->community_id;
    keep(w->table, row);
    if (w->table->count == KEPT_ROWS)
        release(w);
    return 0;
}

void fc_row_table_finish(struct fc_rows *w)
{
    if (w->table && !w->table->measured)
        release(w);
    free(w->table);
    w->table = NULL;
}
