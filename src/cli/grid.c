/* SPDX-License-Identifier: MIT */
#include "cli/grid.h"
#include "cli/dump.h"

#include <flowcarve/error.h>
#include <flowcarve/text.h>
#include <stdlib.h>
#include <string.h>

enum { KEPT_ROWS = 500, KEPT_UNDER = 1 << 20, GAP = 2 };

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

static void write_under(struct fc_grid *g, const struct fc_grid_under *under)
{
    char row[FC_DUMP_TEXT];

    if (under->text)
        fc_out_text(g->out, under->text);
    for (size_t at = 0; under->data && at < under->len && !g->out->failed; at += FC_DUMP_ROW) {
        size_t len = fc_dump_row(row, at, under->data + at, under->len - at);
        fc_out_text(g->out, "  ");
        fc_out_bytes(g->out, row, len);
        fc_out_text(g->out, "\n");
    }
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
        unsigned most = g->columns;

        for (unsigned i = 0; i < g->columns; i++)
            if (!g->hidden[i] && g->column[i].spare > (most < g->columns ? g->column[most].spare : 0))
                most = i;
        if (most == g->columns)
            return;
        g->hidden[most] = true;
    }
}

/* all: no row comes behind those that were kept back. */
static void release(struct fc_grid *g, bool all)
{
    for (unsigned i = 0; i < g->columns; i++) {
        g->hidden[i] = all && g->column[i].spare;
        for (size_t k = 0; k < g->rows && g->hidden[i]; k++)
            g->hidden[i] = !g->kept[k * g->columns + i];
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
    for (size_t k = 0; k < g->rows; k++) {
        write_line(g, (const char *const *)g->kept + k * g->columns);
        write_under(g, &g->under[k]);
    }
}

static void free_kept(struct fc_grid *g)
{
    for (size_t i = 0; g->kept && i < KEPT_ROWS * (size_t)g->columns; i++)
        free(g->kept[i]);
    for (size_t k = 0; k < g->rows; k++) {
        free((char *)g->under[k].text);
        free((uint8_t *)g->under[k].data);
    }
    free(g->kept);
    free(g->under);
    g->kept = NULL;
    g->under = NULL;
    g->under_bytes = 0;
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

/* Keeps a copy for the last row. */
static int keep_under(struct fc_grid *g, const struct fc_grid_under *under)
{
    struct fc_grid_under *own = &g->under[g->rows - 1];
    uint8_t *data = under->data ? malloc(under->len + 1) : NULL;

    own->text = under->text ? strdup(under->text) : NULL;
    own->data = data;
    if ((under->text && !own->text) || (under->data && !data))
        return FC_E_NOMEM;
    if (data)
        memcpy(data, under->data, under->len);
    own->len = under->len;
    g->under_bytes += own->len + (own->text ? strlen(own->text) : 0);
    return 0;
}

static int start_keeping(struct fc_grid *g)
{
    if (g->measured || g->kept)
        return 0;
    g->kept = calloc(KEPT_ROWS * (size_t)g->columns, sizeof *g->kept);
    g->under = calloc(KEPT_ROWS, sizeof *g->under);
    return g->kept && g->under ? 0 : FC_E_NOMEM;
}

static int write_table_row(struct fc_grid *g, const char *const *texts, const struct fc_grid_under *under)
{
    char *own[FC_GRID_COLUMNS] = {0};
    int rc = start_keeping(g);

    if (rc)
        return rc;
    for (unsigned i = 0; i < g->columns; i++)
        if (texts[i] && !(own[i] = shown(texts[i])))
            rc = FC_E_NOMEM;
    if (rc == 0 && !g->measured) {
        memcpy(g->kept + g->rows++ * g->columns, own, g->columns * sizeof *own);
        rc = under ? keep_under(g, under) : 0;
        if (rc == 0 && (g->rows == KEPT_ROWS || g->under_bytes > KEPT_UNDER)) {
            release(g, false);
            free_kept(g);
        }
        return rc;
    }
    if (rc == 0) {
        write_line(g, (const char *const *)own);
        if (under)
            write_under(g, under);
    }
    for (unsigned i = 0; i < g->columns; i++)
        free(own[i]);
    return rc;
}

int fc_grid_row(struct fc_grid *g, const char *const *texts)
{
    return fc_grid_row_under(g, texts, NULL);
}

int fc_grid_row_under(struct fc_grid *g, const char *const *texts, const struct fc_grid_under *under)
{
    if (g->format == FC_ROWS_TABLE)
        return write_table_row(g, texts, under);
    if (g->format == FC_ROWS_JSON)
        write_json(g, texts);
    else
        write_separated(g, texts);
    return 0;
}

void fc_grid_release(struct fc_grid *g)
{
    if (g->measured || !g->rows)
        return;
    release(g, false);
    free_kept(g);
}

void fc_grid_finish(struct fc_grid *g)
{
    if (g->format == FC_ROWS_TABLE && !g->measured && g->rows)
        release(g, true);
    free_kept(g);
}
