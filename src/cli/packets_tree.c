/* SPDX-License-Identifier: MIT */
#include "cli/packets_tree.h"

#include <flowcarve/layers.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { INDENT = 24 };

struct tree {
    FILE *out;
    unsigned width, column;
    bool first; /* no field of the line yet */
};

/* A field behind a comma, on a new line where it would not fit. */
static void put_field(struct tree *t, const char *text)
{
    unsigned len = (unsigned)strlen(text);

    if (!t->first) {
        fputc(',', t->out);
        t->column++;
        if (t->width && t->column + 2 + len > t->width) {
            fprintf(t->out, "\n%*s", INDENT, "");
            t->column = INDENT;
        } else {
            fputc(' ', t->out);
            t->column++;
        }
    }
    fputs(text, t->out);
    t->column += len;
    t->first = false;
}

/* "  ipv4      14+20      src ..." */
static int put_layer(void *ctx, const struct fc_layer_told *layer)
{
    struct tree *t = ctx;
    bool payload = strcmp(layer->name, "payload") == 0;
    char place[32], text[160];

    t->first = true;
    t->column = INDENT;
    snprintf(place, sizeof place, "%" PRIu32 "+%" PRIu32, layer->off, layer->len);
    fprintf(t->out, "  %-9s %-11s ", layer->name, place);
    for (size_t i = 0; i < layer->fields; i++) {
        const struct fc_layer_field *f = &layer->field[i];
        const char *name = payload && strcmp(f->name, "bytes") == 0 && strcmp(f->value, "1") == 0 ? "byte" : f->name;
        snprintf(text, sizeof text, "%s%s%s", payload ? f->value : name, *f->value ? " " : "",
                 payload ? name : f->value);
        put_field(t, text);
    }
    fputc('\n', t->out);
    return 0;
}

char *fc_packet_tree(const struct fc_record *record, unsigned width)
{
    char *text = NULL;
    size_t size;
    struct tree t = {.out = open_memstream(&text, &size), .width = width};
    bool malformed;

    if (!t.out)
        return NULL;
    fc_layers_tell(record, put_layer, &t, &malformed);
    if (malformed)
        fprintf(t.out, "  malformed\n");
    bool failed = ferror(t.out);
    if (fclose(t.out) == 0 && !failed)
        return text;
    free(text);
    return NULL;
}
