/* SPDX-License-Identifier: MIT */
/*
 * The table for people. Its first rows are kept back to measure the columns; what comes later is fitted to those, and
 * a cell that is wider pushes its line.
 *
 * Where the terminal is too narrow for all, (1) the table begins with what must be there: ID, START, PROTO, both ends,
 * and what is sorted by or filtered by. Where even that does not fit, both ends stand under one another, and a session
 * takes two lines. (2) Everything else is added, in the order of `extras`, as far as there is room. No cell is cut.
 */
#include "cli/format.h"
#include "cli/table_cell.h"

#include <stdlib.h>
#include <string.h>

#define ONE(...) +1
enum {
    KEPT_ROWS = 500,
    GAP = 2,
    TEXTS = FC_FIELD_COLUMNS(ONE, FC_FIELD_SKIP, FC_FIELD_SKIP),
    MACS = 2 * (FC_FIELD_COLUMNS(FC_FIELD_SKIP, ONE, FC_FIELD_SKIP))
};

#define BIT(cell) (1u << FC_CELL_##cell)

static const uint32_t always = BIT(ID) | BIT(START) | BIT(PROTO) | BIT(CLIENT) | BIT(SERVER);
static const uint32_t usual = BIT(ID) | BIT(START) | BIT(DURATION) | BIT(PROTO) | BIT(CLIENT) | BIT(SERVER) |
                              BIT(PACKETS) | BIT(BYTES) | BIT(STATE);

struct kept_row {
    struct fc_session row;
    char *texts[TEXTS];
    uint8_t macs[MACS][6];
};

struct fc_row_table {
    struct fc_cell_style style;
    uint32_t pinned; /* columns that stay */
    uint32_t apart;  /* columns in which one direction is sorted by */
    unsigned width[FC_CELLS];
    bool measured;
    size_t count;
    struct kept_row rows[KEPT_ROWS];
};

static bool is_shown(const struct fc_cell_style *style, int cell)
{
    return (style->shown & 1u << cell) && !(style->stacked && cell == FC_CELL_SERVER);
}

/* Widths of the columns in a style; returns the width of the whole table. */
static unsigned measure(struct fc_row_table *table, const struct fc_cell_style *style)
{
    unsigned total = 0;
    char text[FC_CELL_MAX];

    for (int c = 0; c < FC_CELLS; c++) {
        size_t width;

        if (!is_shown(style, c))
            continue;
        fc_cell_title(text, (enum fc_cell)c, style);
        width = strlen(text);
        for (size_t i = 0; i < table->count; i++) {
            enum fc_cell_side side = style->stacked ? FC_CELL_OF_CLIENT : FC_CELL_BOTH;
            do {
                fc_cell_text(text, (enum fc_cell)c, &table->rows[i].row, style, side);
                width = strlen(text) > width ? strlen(text) : width;
            } while (side++ == FC_CELL_OF_CLIENT);
        }
        table->width[c] = (unsigned)width;
        total += (unsigned)width + (total ? GAP : 0);
    }
    return total;
}

/* The year of all times that the table has kept; -1 when they differ or there is none. */
static int common_year(const struct fc_row_table *table)
{
    int year = -1;

    for (size_t i = 0; i < table->count; i++) {
        const struct fc_session *row = &table->rows[i].row;
        int start = row->has_time ? fc_cell_year(row->start_ns, &table->style) : year;

        if (row->has_time && ((year >= 0 && start != year) || fc_cell_year(row->end_ns, &table->style) != start))
            return -1;
        year = start;
    }
    return year;
}

/* Adds what there is room for. */
static void grow(struct fc_row_table *table, unsigned most)
{
    static const struct extra {
        uint32_t show, apart; /* columns to show, sums to tell apart */
        bool year, fraction;
    } extras[] = {
        {.show = BIT(DURATION)}, {.show = BIT(BYTES)},    {.show = BIT(STATE)}, {.show = BIT(PACKETS)},
        {.apart = BIT(BYTES)},   {.apart = BIT(PACKETS)}, {.year = true},       {.fraction = true},
    };

    for (size_t i = 0; i < sizeof extras / sizeof extras[0]; i++) {
        struct fc_cell_style larger = table->style;

        larger.shown |= extras[i].show;
        larger.summed &= ~extras[i].apart;
        larger.year = extras[i].year ? -1 : larger.year;
        larger.fraction |= extras[i].fraction;
        if (measure(table, &larger) <= most)
            table->style = larger;
    }
}

static void choose(struct fc_row_table *table, unsigned most, const char *zone)
{
    struct fc_cell_style *style = &table->style;

    *style = (struct fc_cell_style){.shown = usual | table->pinned, .fraction = true, .year = -1, .zone = zone};
    if (!most || measure(table, style) <= most)
        return;
    *style = (struct fc_cell_style){.shown = always | table->pinned,
                                    .summed = (BIT(PACKETS) | BIT(BYTES)) & ~table->apart,
                                    .year = common_year(table),
                                    .zone = zone};
    style->stacked = measure(table, style) > most;
    grow(table, most);
}

/* One line; the last cell is not padded. row is NULL for the titles. */
static void write_line(struct fc_rows *w, const struct fc_session *row, enum fc_cell_side side)
{
    static const char spaces[] = "                                                                                ";
    const struct fc_row_table *table = w->table;
    size_t owed = 0; /* spaces that only come when something follows */

    for (int c = 0; c < FC_CELLS; c++) {
        char text[FC_CELL_MAX];
        size_t len, pad;

        if (!is_shown(&table->style, c))
            continue;
        if (row)
            fc_cell_text(text, (enum fc_cell)c, row, &table->style, side);
        else
            fc_cell_title(text, (enum fc_cell)c, &table->style);
        len = strlen(text);
        pad = len < table->width[c] ? table->width[c] - len : 0;
        if (fc_cell_right((enum fc_cell)c) && len) {
            owed += pad;
            pad = 0;
        }
        for (size_t n; len && owed; owed -= n) {
            n = owed < sizeof spaces - 1 ? owed : sizeof spaces - 1;
            fc_out_bytes(w->out, spaces, n);
        }
        fc_out_bytes(w->out, text, len);
        owed += GAP + pad;
    }
}

static void write_row(struct fc_rows *w, const struct fc_session *row)
{
    bool red = w->color && row->state == 3, stacked = w->table->style.stacked;

    if (red)
        fc_out_text(w->out, "\033[31m");
    write_line(w, row, stacked ? FC_CELL_OF_CLIENT : FC_CELL_BOTH);
    if (stacked) {
        fc_out_text(w->out, "\n");
        write_line(w, row, FC_CELL_OF_SERVER);
    }
    fc_out_text(w->out, red ? "\033[0m\n" : "\n");
}

/* Settles what is shown and writes what was kept. */
static void release(struct fc_rows *w)
{
    struct fc_row_table *table = w->table;

    choose(table, w->width, w->zone);
    measure(table, &table->style);
    table->measured = true;
    if (w->color)
        fc_out_text(w->out, "\033[1m");
    write_line(w, NULL, FC_CELL_BOTH);
    fc_out_text(w->out, w->color ? "\033[0m\n" : "\n");
    for (size_t i = 0; i < table->count; i++) {
        write_row(w, &table->rows[i].row);
        for (int k = 0; k < TEXTS; k++)
            free(table->rows[i].texts[k]);
    }
    table->count = 0;
}

/* Texts belong to the query and are gone with its next row. */
static int keep(struct fc_row_table *table, const struct fc_session *row)
{
    struct kept_row *kept = &table->rows[table->count++];
    struct fc_session *s = &kept->row;
#define TEXT(column, ...) &s->column,
#define ADDRESS(column, ...) &s->client_##column, &s->server_##column,
    const char **texts[TEXTS] = {FC_FIELD_COLUMNS(TEXT, FC_FIELD_SKIP, FC_FIELD_SKIP)};
    const uint8_t **macs[MACS] = {FC_FIELD_COLUMNS(FC_FIELD_SKIP, ADDRESS, FC_FIELD_SKIP)};

    *s = *row;
    for (int i = 0; i < TEXTS; i++) {
        const char *text = *texts[i];

        *texts[i] = kept->texts[i] = text ? strdup(text) : NULL;
        if (text && !kept->texts[i])
            return FC_E_NOMEM;
    }
    for (int i = 0; i < MACS; i++)
        if (*macs[i])
            *macs[i] = memcpy(kept->macs[i], *macs[i], sizeof kept->macs[i]);
    return 0;
}

static uint32_t columns_of(uint32_t asked)
{
    return (asked & FC_COLUMN_STATE ? BIT(STATE) : 0) | (asked & FC_COLUMN_PACKETS ? BIT(PACKETS) : 0) |
           (asked & FC_COLUMN_BYTES ? BIT(BYTES) : 0) | (asked & FC_COLUMN_DURATION ? BIT(DURATION) : 0);
}

static struct fc_row_table *new_table(const struct fc_rows *w)
{
    enum fc_cell sorted = fc_cell_sorted(w->sort);
    uint32_t sorted_bit = sorted == FC_CELLS ? 0 : 1u << sorted;
    struct fc_row_table *table = calloc(1, sizeof *table);

    if (!table)
        return NULL;
    table->pinned = fc_cell_fields(w->asked) | columns_of(w->columns_asked) | sorted_bit;
    table->apart = w->sort && strchr(w->sort, '_') ? sorted_bit : 0;
    return table;
}

int fc_row_table_write(struct fc_rows *w, const struct fc_session *row)
{
    int rc;

    if (!w->table && !(w->table = new_table(w)))
        return FC_E_NOMEM;
    if (w->table->measured) {
        write_row(w, row);
        return 0;
    }
    rc = keep(w->table, row);
    if (rc == 0 && w->table->count == KEPT_ROWS)
        release(w);
    return rc;
}

void fc_row_table_finish(struct fc_rows *w)
{
    if (w->table && !w->table->measured)
        release(w);
    free(w->table);
    w->table = NULL;
}
