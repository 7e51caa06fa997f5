/* SPDX-License-Identifier: MIT */
#include "cli/grid.h"

#include <flowcarve/error.h>
#include <flowcarve/text.h>
#include <stdlib.h>
#include <string.h>

enum { KEPT_ROWS = 500, GAP = 2 };

unsigned fc_grid_width(const char *text)
{
    unsigned width = 0;

    for (; *text; text++)
        width += ((unsigned char)*text & 0xc0) != 0x80;
    return width;
}

/* ---------------------------------------------------------------- for programs */

void fc_grid_start(struct fc_grid *g)
{
    bool csv = g->format == FC_ROWS_CSV;

    if (!csv && g->format != FC_ROWS_TSV)
        return;
    for (unsigned i = 0; i < g->columns; i++) {
        if (i)
            fc_out_bytes(g->out, csv ? "," : "\t", 1);
        fc_out_text(g->out, g->column[i].key);
    }
    fc_out_text(g->out, csv ? "\r\n" : "\n");
}

static void write_json(struct fc_grid *g, const char *const *texts)
{
    for (unsigned i = 0; i < g->columns; i++) {
        fc_out_text(g->out, i ? ",\"" : "{\"");
        fc_out_text(g->out, g->column[i].key);
        fc_out_bytes(g->out, "\":", 2);
        if (!texts[i])
            fc_out_text(g->out, "null");
        else if (g->column[i].quoted)
            fc_out_escaped(g->out, FC_ROWS_JSON, texts[i]);
        else
            fc_out_text(g->out, texts[i]);
    }
    fc_out_text(g->out, "}\n");
}

static void write_separated(struct fc_grid *g, const char *const *texts)
{
    bool csv = g->format == FC_ROWS_CSV;

    for (unsigned i = 0; i < g->columns; i++) {
        if (i)
            fc_out_bytes(g->out, csv ? "," : "\t", 1);
        if (texts[i])
            fc_out_escaped(g->out, g->format, texts[i]);
    }
    fc_out_text(g->out, csv ? "\r\n" : "\n");
}

/* ---------------------------------------------------------------- for people */

static void write_spaces(struct fc_out *out, unsigned count)
{
    static const char spaces[] = "                                ";

    for (unsigned n; count; count -= n) {
        n = count < sizeof spaces - 1 ? count : (unsigned)sizeof spaces - 1;
        fc_out_bytes(out, spaces, n);
    }
}

/* One line; what would be blanks at its end is left out. texts: NULL: the titles. */
static void write_line(struct fc_grid *g, const char *const *texts)
{
    unsigned owed = 0;

    for (unsigned i = 0; i < g->columns; i++) {
        const char *text = !texts ? g->column[i].title : texts[i] ? texts[i] : "-";
        unsigned width = fc_grid_width(text), pad = width < g->widest[i] ? g->widest[i] - width : 0;

        if (g->hidden[i])
            continue;
        if (*text)
            write_spaces(g->out, owed + (g->column[i].right ? pad : 0));
        owed = *text ? GAP + (g->column[i].right ? 0 : pad) : owed + GAP + pad;
        fc_out_text(g->out, text);
    }
    fc_out_text(g->out, "\n");
}

static unsigned total_width(const struct fc_grid *g)
{
    unsigned total = 0;

    for (unsigned i = 0; i < g->columns; i++)
        total += g->hidden[i] ? 0 : g->widest[i] + (total ? GAP : 0);
    return total;
}

static void hide(struct fc_grid *g)
{
    while (g->width && total_width(g) > g->width) {
        unsigned most = 0;

        for (unsigned i = 0; i < g->columns; i++)
            if (!g->hidden[i] && g->column[i].spare > g->column[most].spare)
                most = i;
        if (g->hidden[most] || !g->column[most].spare)
            return;
        g->hidden[most] = true;
    }
}

static void release(struct fc_grid *g)
{
    for (unsigned i = 0; i < g->columns; i++) {
        g->widest[i] = fc_grid_width(g->column[i].title);
        for (size_t k = 0; k < g->rows; k++) {
            const char *text = g->kept[k * g->columns + i];
            unsigned width = text ? fc_grid_width(text) : 1;
            g->widest[i] = width > g->widest[i] ? width : g->widest[i];
        }
    }
    hide(g);
    g->measured = true;
    fc_out_text(g->out, g->color ? "\033[1m" : "");
    write_line(g, NULL);
    fc_out_text(g->out, g->color ? "\033[0m" : "");
    for (size_t k = 0; k < g->rows; k++)
        write_line(g, (const char *const *)g->kept + k * g->columns);
}

static void free_kept(struct fc_grid *g)
{
    for (size_t i = 0; g->kept && i < KEPT_ROWS * (size_t)g->columns; i++)
        free(g->kept[i]);
    free(g->kept);
    g->kept = NULL;
    g->rows = 0;
}

/* Fit for a terminal, a new string. */
static char *shown(const char *text)
{
    size_t size = FC_TEXT_CHARACTER_MAX * strlen(text) + 1;
    char *copy = malloc(size);

    if (copy)
        fc_text_show(text, copy, size);
    return copy;
}

static int write_table_row(struct fc_grid *g, const char *const *texts)
{
    char *own[FC_GRID_COLUMNS] = {0};
    int rc = 0;

    if (!g->measured && !g->kept && !(g->kept = calloc(KEPT_ROWS * (size_t)g->columns, sizeof *g->kept)))
        return FC_E_NOMEM;
    for (unsigned i = 0; i < g->columns; i++)
        if (texts[i] && !(own[i] = shown(texts[i])))
            rc = FC_E_NOMEM;
    if (rc == 0 && !g->measured) {
        memcpy(g->kept + g->rows++ * g->columns, own, g->columns * sizeof *own);
        if (g->rows == KEPT_ROWS) {
            release(g);
            free_kept(g);
        }
        return 0;
    }
    if (rc == 0)
        write_line(g, (const char *const *)own);
    for (unsigned i = 0; i < g->columns; i++)
        free(own[i]);
    return rc;
}

int fc_grid_row(struct fc_grid *g, const char *const *texts)
{
    if (g->format == FC_ROWS_TABLE)
        return write_table_row(g, texts);
    if (g->format == FC_ROWS_JSON)
        write_json(g, texts);
    else
        write_separated(g, texts);
    return 0;
}

void fc_grid_finish(struct fc_grid *g)
{
    if (g->format == FC_ROWS_TABLE && !g->measured && g->rows)
        release(g);
    free_kept(g);
}
