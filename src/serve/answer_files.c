/* SPDX-License-Identifier: MIT */
/* The captures, with the keys and values of `flowcarve files --format json`. */
#include "serve/ask.h"

#include <flowcarve/files.h>
#include <string.h>

static void put_file(struct fc_json *j, const struct fc_listed_file *f)
{
    fc_json_mark(j, '{');
    fc_json_put_number(j, "id", f->id);
    fc_json_put_text(j, "path", f->path);
    fc_json_put_text(j, "state", fc_presence_name(f->presence));
    fc_json_put_text(j, "why", f->why);
    fc_json_put_text(j, "format", f->format);
    fc_json_put_text(j, "compression", f->compression);
    fc_json_put_number(j, "size", f->size);
    fc_json_put_number(j, "stream_size", f->stream_size);
    fc_json_put_number(j, "records", f->records);
    fc_json_put_number(j, "ignored", f->ignored);
    fc_json_put_number(j, "forgotten", f->forgotten);
    fc_json_put_time(j, "first", f->has_time, f->first_ns);
    fc_json_put_time(j, "last", f->has_time, f->last_ns);
    fc_json_put_number(j, "damaged", f->damaged);
    fc_json_put_number(j, "lost_bytes", f->lost_bytes);
    fc_json_put_number(j, "pending_bytes", f->pending_bytes);
    fc_json_mark(j, '}');
}

static void put_sums(struct fc_json *j, const struct fc_file_list *list)
{
    uint64_t states[FC_FILE_ARCHIVED + 1] = {0}, size = 0, records = 0;

    for (size_t i = 0; i < list->count; i++) {
        states[list->items[i].presence]++;
        size += list->items[i].size;
        records += list->items[i].records;
    }
    fc_json_key(j, "sums");
    fc_json_mark(j, '{');
    fc_json_put_number(j, "files", list->count);
    fc_json_put_number(j, "size", size);
    fc_json_put_number(j, "records", records);
    for (int i = 0; i <= FC_FILE_ARCHIVED; i++)
        if (states[i])
            fc_json_put_number(j, fc_presence_name((enum fc_presence)i), states[i]);
    fc_json_mark(j, '}');
}

int fc_answer_files(struct fc_ask *ask)
{
    struct fc_file_list list;
    struct fc_error err;
    bool check = false;

    if (!fc_ask_bool(ask, "check", &check) || !fc_ask_end(ask))
        return -1;
    if (fc_files_list(ask->db, check, ask->stop, &list, &err) != 0)
        return fc_ask_fail_error(ask, &err);
    fc_json_mark(&ask->out, '{');
    fc_json_key(&ask->out, "files");
    fc_json_mark(&ask->out, '[');
    for (size_t i = 0; i < list.count; i++)
        put_file(&ask->out, &list.items[i]);
    fc_json_mark(&ask->out, ']');
    put_sums(&ask->out, &list);
    fc_json_mark(&ask->out, '}');
    fc_file_list_fini(&list);
    return 0;
}

struct damages {
    struct fc_json *json;
    int64_t left;
};

enum { ENOUGH = 1 };

static int take(void *ctx, const struct fc_listed_damage *d)
{
    struct damages *damages = ctx;
    struct fc_json *j = damages->json;

    if (damages->left-- == 0)
        return ENOUGH;
    fc_json_mark(j, '{');
    fc_json_put_number(j, "file", d->file);
    fc_json_put_text(j, "path", d->path);
    fc_json_put_number(j, "off", d->off);
    fc_json_put_number(j, "length", d->length);
    fc_json_put_text(j, "cause", d->cause);
    fc_json_mark(j, '}');
    return 0;
}

int fc_answer_damage(struct fc_ask *ask)
{
    struct damages damages = {.json = &ask->out, .left = 1000};
    struct fc_error err;
    int64_t file = 0;

    if (!fc_ask_number(ask, "file", 1, UINT32_MAX, &file) ||
        !fc_ask_number(ask, "limit", 1, FC_ASK_ROWS_MAX, &damages.left) || !fc_ask_end(ask))
        return -1;
    fc_json_mark(&ask->out, '{');
    fc_json_key(&ask->out, "damage");
    fc_json_mark(&ask->out, '[');
    int rc = fc_damage_list(ask->db, (uint32_t)file, take, &damages, &err);
    if (rc == FC_E_USAGE)
        return fc_ask_fail(ask, 404, "not_found", "%s", err.cause);
    if (rc < 0)
        return fc_ask_fail_error(ask, &err);
    fc_json_mark(&ask->out, ']');
    fc_json_put_bool(&ask->out, "more", rc == ENOUGH);
    fc_json_mark(&ask->out, '}');
    return 0;
}
