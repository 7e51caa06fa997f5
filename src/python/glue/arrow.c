/* SPDX-License-Identifier: MIT */
/*
 * Packets and sessions as streams of Arrow. A stream has all that it needs of its own, but for names and cells, which
 * it copies: whoever reads it may do that from any thread, and after all else was closed.
 */
#include "arrow.h"
#include "arrow_column.h"
#include "source.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct stream {
    struct fcpy_source *source; /* packets, */
    uint32_t want;
    struct fc_columns *columns; /* or sessions */
    struct fc_filter *filter;
    struct fc_db *db;
    size_t count, room;
    struct fcpy_cell *cells; /* and one more behind them: what addresses are */
    char **names;
    uint8_t *block; /* room rows of all */
    char text[FC_ERROR_TEXT_MAX];
};

static void free_stream(struct stream *s)
{
    fcpy_source_free(s->source);
    fc_columns_close(s->columns);
    fc_filter_free(s->filter);
    fc_db_close(s->db);
    for (size_t i = 0; s->names && i < s->count; i++)
        free(s->names[i]);
    free(s->names);
    free(s->cells);
    free(s->block);
    free(s);
}

/* ---- schema */

static void release_schema(struct ArrowSchema *schema)
{
    for (int64_t i = 0; schema->children && i < schema->n_children; i++) {
        if (schema->children[i] && schema->children[i]->release)
            schema->children[i]->release(schema->children[i]);
        free(schema->children[i]);
    }
    free(schema->children);
    free(schema->private_data); /* the name */
    schema->release = NULL;
}

static bool make_schema(struct ArrowSchema *out, const char *format, const char *name, int64_t flags, size_t children)
{
    *out = (struct ArrowSchema){.format = format, .flags = flags, .release = release_schema};
    out->name = out->private_data = strdup(name);
    if (children) {
        out->children = calloc(children, sizeof *out->children);
        out->n_children = out->children ? (int64_t)children : 0;
    }
    return out->name && (out->children || !children);
}

static int get_schema(struct ArrowArrayStream *stream, struct ArrowSchema *out)
{
    struct stream *s = stream->private_data;
    bool ok = make_schema(out, "+s", "", 0, s->count);

    for (size_t i = 0; ok && i < s->count; i++) {
        int cell = s->cells[i].cell;
        struct ArrowSchema *child = out->children[i] = calloc(1, sizeof *child);
        ok = child && make_schema(child, fcpy_arrow_format(cell), s->names[i],
                                  fcpy_arrow_nullable(cell) ? ARROW_FLAG_NULLABLE : 0, 0);
    }
    if (!ok)
        release_schema(out);
    return ok ? 0 : ENOMEM;
}

/* ---- batches */

static void release_batch(struct ArrowArray *array)
{
    for (int64_t i = 0; array->children && i < array->n_children; i++) {
        if (array->children[i] && array->children[i]->release)
            array->children[i]->release(array->children[i]);
        free(array->children[i]);
    }
    free(array->children);
    free(array->buffers);
    array->release = NULL;
}

static int make_batch(struct stream *s, size_t rows, struct ArrowArray *out)
{
    const struct fcpy_cell *kind = &s->cells[s->count];
    bool ok = true;

    *out = (struct ArrowArray){.length = (int64_t)rows, .n_buffers = 1, .release = release_batch};
    out->buffers = calloc(1, sizeof *out->buffers);
    out->children = calloc(s->count ? s->count : 1, sizeof *out->children);
    out->n_children = out->children ? (int64_t)s->count : 0;
    ok = out->buffers && out->children;
    for (size_t i = 0; ok && i < s->count; i++) {
        struct ArrowArray *child = out->children[i] = calloc(1, sizeof *child);
        ok = child && fcpy_arrow_column(&s->cells[i], s->block, s->block + kind->off, rows, child);
    }
    if (!ok)
        release_batch(out);
    return ok ? 0 : ENOMEM;
}

static int get_next(struct ArrowArrayStream *stream, struct ArrowArray *out)
{
    struct stream *s = stream->private_data;
    struct fc_error err = {0};
    uint64_t need;
    int64_t rows;

    memset(out, 0, sizeof *out);
    if (s->source)
        rows = fcpy_source_next(s->source, s->want, s->cells, s->count + 1, s->room, s->block, NULL, 0, &need, &err);
    else
        rows = fcpy_columns_next(s->columns, s->cells, s->count + 1, s->room, s->block, &err);
    if (rows > 0)
        return make_batch(s, (size_t)rows, out);
    if (rows < 0)
        fc_error_text(&err, s->text, sizeof s->text);
    return rows == 0 ? 0 : rows == FC_E_NOMEM ? ENOMEM : EIO;
}

static const char *get_last_error(struct ArrowArrayStream *stream)
{
    const struct stream *s = stream->private_data;

    return *s->text ? s->text : NULL;
}

static void release_stream(struct ArrowArrayStream *stream)
{
    free_stream(stream->private_data);
    stream->release = NULL;
}

/* ---- making one */

/* Copies what the stream is of. NULL without memory. */
static struct stream *new_stream(const struct fcpy_cell *cells, const char *const *names, size_t count, size_t room)
{
    struct stream *s = calloc(1, sizeof *s);
    uint64_t size = 0;
    bool ok = s && (s->cells = malloc((count + 1) * sizeof *cells)) && (s->names = calloc(count + 1, sizeof *s->names));

    if (!ok) {
        if (s)
            free_stream(s);
        return NULL;
    }
    s->count = count;
    s->room = room;
    memcpy(s->cells, cells, (count + 1) * sizeof *cells);
    for (size_t i = 0; i <= count; i++) { /* each column by itself */
        s->cells[i].stride = cells[i].size;
        s->cells[i].off = size;
        size += (room * cells[i].size + 7) / 8 * 8;
    }
    for (size_t i = 0; ok && i < count; i++)
        ok = (s->names[i] = strdup(names[i]));
    if (!ok || !(s->block = malloc(size + 1))) {
        free_stream(s);
        return NULL;
    }
    return s;
}

static void begin_stream(struct ArrowArrayStream *out, struct stream *s)
{
    *out = (struct ArrowArrayStream){get_schema, get_next, get_last_error, release_stream, s};
}

int fcpy_arrow_packets(struct fcpy_source *source, uint32_t want, const struct fcpy_cell *cells,
                       const char *const *names, size_t count, size_t room, void *stream)
{
    struct stream *s = new_stream(cells, names, count, room);

    if (!s)
        return FC_E_NOMEM;
    s->source = fcpy_source_share(source);
    s->want = want;
    begin_stream(stream, s);
    return 0;
}

int fcpy_arrow_sessions(struct fc_db *db, struct fc_filter *filter, const struct fc_query_options *options,
                        const struct fcpy_cell *cells, const char *const *names, size_t count, size_t room,
                        void *stream, struct fc_error *err)
{
    struct stream *s = new_stream(cells, names, count, room);
    int rc;

    if (!s) {
        *err = (struct fc_error){.code = FC_E_NOMEM, .off = FC_NO_OFFSET, .cause = "out of memory"};
        return FC_E_NOMEM;
    }
    if ((rc = fc_columns_open(db, filter, options, &s->columns, err))) {
        free_stream(s);
        return rc;
    }
    s->db = db;
    s->filter = filter;
    begin_stream(stream, s);
    return 0;
}

void *fcpy_arrow_new(void)
{
    return calloc(1, sizeof(struct ArrowArrayStream));
}

void fcpy_arrow_drop(void *stream)
{
    struct ArrowArrayStream *s = stream;

    if (s && s->release)
        s->release(s);
    free(s);
}
