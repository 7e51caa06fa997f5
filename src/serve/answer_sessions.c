/* SPDX-License-Identifier: MIT */
#include "base/hash.h"
#include "serve/ask.h"
#include "serve/session_json.h"

#include <errno.h>
#include <flowcarve/fields.h>
#include <flowcarve/files.h>
#include <flowcarve/summary.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#if defined FC_HAS_CLUSTER
#include <flowcarve/cluster_query.h>
#endif

enum { LIMIT = 100 };

struct listing {
    struct fc_chosen chosen;
    struct fc_session_columns columns;
    const char *columns_text, *sort, *cursor;
    int64_t limit, offset;
    uint64_t question; /* a hash of it, that a cursor has */
};

/* ---- cursors: "k1.HASH.PLACE" */

static uint64_t hash_question(const struct listing *l)
{
    uint64_t hash = fc_hash_bytes(l->chosen.text, strlen(l->chosen.text), 1);

    return fc_hash_bytes(l->sort, strlen(l->sort), hash);
}

static bool read_cursor(struct fc_ask *ask, struct listing *l)
{
    char front[24];

    if (!l->cursor)
        return true;
    snprintf(front, sizeof front, "k1.%016" PRIx64 ".", l->question);
    if (strncmp(l->cursor, front, strlen(front)) == 0) {
        l->cursor += strlen(front);
        return true;
    }
    fc_ask_fail_parameter(ask, "cursor", "the cursor is none, or of another question");
    return false;
}

static void put_cursor(struct fc_ask *ask, const struct listing *l, const char *rest)
{
    char *text = NULL;

    fc_json_key(&ask->out, "cursor");
    if (rest && asprintf(&text, "k1.%016" PRIx64 ".%s", l->question, rest) < 0) {
        text = NULL;
        ask->out.failed = true;
    }
    fc_json_text(&ask->out, text);
    free(text);
}

/* ---- many */

static bool read_parameters(struct fc_ask *ask, struct listing *l)
{
    if (!fc_ask_chosen(ask, &l->chosen) || !fc_ask_number(ask, "limit", 1, FC_ASK_ROWS_MAX, &l->limit) ||
        !fc_ask_number(ask, "offset", 0, INT64_MAX, &l->offset))
        return false;
    l->sort = fc_params_get(&ask->params, "sort");
    l->sort = l->sort ? l->sort : ask->inquiry ? "start" : "id";
    l->cursor = fc_params_get(&ask->params, "cursor");
    l->columns_text = fc_params_get(&ask->params, "columns");
    if (!fc_ask_end(ask))
        return false;
    if (l->cursor && l->offset) {
        fc_ask_fail_parameter(ask, "offset", "offset does not go with a cursor");
        return false;
    }
    l->question = hash_question(l);
    return read_cursor(ask, l);
}

static bool read_columns(struct fc_ask *ask, struct listing *l)
{
    char bad[64];

    if (!l->columns_text || !fc_session_columns_read(&l->columns, l->columns_text, bad))
        return true;
    fc_ask_fail_parameter(ask, "columns", "there is no column '%s', or it comes twice", bad);
    return false;
}

static int put_row(struct fc_ask *ask, const struct listing *l, struct fc_session_files *files,
                   const struct fc_session *row)
{
    const struct fc_session_file *list = NULL;
    struct fc_error err;
    size_t count = 0;

    if (files && fc_session_files(files, row->id, &list, &count, &err) != 0)
        return fc_ask_fail_error(ask, &err);
    fc_put_session(&ask->out, &l->columns, row, list, count);
    return 0;
}

static int put_rows(struct fc_ask *ask, struct listing *l, struct fc_query *query, struct fc_session_files *files)
{
    struct fc_session row;
    struct fc_error err;
    int rc;

    if (!l->columns_text)
        fc_session_columns_all(&l->columns, fc_query_fields(query), false);
    const char *lacking = fc_session_columns_lacking(&l->columns, fc_query_fields(query) | FC_OF_INDEX);
    if (lacking)
        return fc_ask_fail_parameter(ask, "columns", "this index holds no %s", lacking);
    fc_json_mark(&ask->out, '{');
    fc_json_key(&ask->out, "sessions");
    fc_json_mark(&ask->out, '[');
    while ((rc = fc_query_next(query, &row, &err)) > 0)
        if (put_row(ask, l, files, &row) != 0)
            return -1;
    if (rc < 0)
        return fc_ask_fail_error(ask, &err);
    fc_json_mark(&ask->out, ']');
    fc_json_put_bool(&ask->out, "more", fc_query_rest(query) != NULL);
    put_cursor(ask, l, fc_query_rest(query));
    if (fc_ask_put_cost_of(ask, query) != 0)
        return -1;
    fc_json_mark(&ask->out, '}');
    return 0;
}

static int list(struct fc_ask *ask, struct listing *l)
{
    struct fc_query_options options = {.sort = l->sort,
                                       .limit = l->limit,
                                       .offset = l->offset,
                                       .after = l->cursor,
                                       .rest = true,
                                       .community_id = l->columns.fields & FC_FIELD_COMMUNITY_ID};
    struct fc_session_files *files = NULL;
    struct fc_query *query;
    struct fc_error err;

    if (fc_query_open(ask->db, l->chosen.filter, &options, &query, &err) != 0)
        return fc_ask_fail_error(ask, &err);
    int rc = l->columns.files ? fc_session_files_open(ask->db, &files, &err) : 0;
    rc = rc ? fc_ask_fail_error(ask, &err) : put_rows(ask, l, query, files);
    fc_session_files_close(files);
    fc_query_close(query);
    return rc;
}

/* ---- of many sensors: a cursor is a number of rows, as their order (sort key, sensor, ID) is a whole one */

#if defined FC_HAS_CLUSTER
struct giving {
    struct fc_ask *ask;
    const struct listing *l;
    int64_t left; /* rows that are given; one more tells that there are more */
    bool more;
};

static int take_row(void *ctx, const struct fc_session *row, struct fc_error *err)
{
    struct giving *g = ctx;

    (void)err;
    g->more = g->left == 0;
    if (g->left) {
        fc_put_session(&g->ask->out, &g->l->columns, row, NULL, 0);
        g->left--;
    }
    return 0;
}

static bool read_place(struct fc_ask *ask, struct listing *l)
{
    char *end;

    if (!l->cursor)
        return true;
    errno = 0;
    l->offset = strtoll(l->cursor, &end, 10);
    if (*l->cursor >= '0' && *l->cursor <= '9' && !*end && errno == 0)
        return true;
    fc_ask_fail_parameter(ask, "cursor", "the cursor is none, or of another question");
    return false;
}

static int list_many(struct fc_ask *ask, struct listing *l)
{
    struct giving g = {.ask = ask, .l = l, .left = l->limit};
    uint32_t fields = fc_inquiry_fields(ask->inquiry, l->chosen.filter) | FC_OF_SENSORS;
    char rest[24];
    struct fc_error err;

    if (!read_place(ask, l))
        return -1;
    if (l->offset > INT64_MAX - FC_ASK_ROWS_MAX - 1)
        return fc_ask_fail_parameter(ask, "offset", "so many sessions there cannot be");
    if (!l->columns_text)
        fc_session_columns_all(&l->columns, fields, false);
    const char *lacking = fc_session_columns_lacking(&l->columns, fields | FC_FIELD_COMMUNITY_ID);
    if (lacking)
        return fc_ask_fail_parameter(ask, "columns", "no sensor holds %s", lacking);
    struct fc_inquiry_rows_options o = {.sort = l->sort, .limit = l->limit + 1, .offset = l->offset};
    fc_json_mark(&ask->out, '{');
    fc_json_key(&ask->out, "sessions");
    fc_json_mark(&ask->out, '[');
    if (fc_inquiry_rows(ask->inquiry, l->chosen.filter, &o, take_row, &g, &err) != 0)
        return fc_ask_fail_error(ask, &err);
    fc_json_mark(&ask->out, ']');
    fc_json_put_bool(&ask->out, "more", g.more);
    snprintf(rest, sizeof rest, "%" PRId64, l->offset + l->limit);
    put_cursor(ask, l, g.more ? rest : NULL);
    fc_ask_put_cost(ask, NULL);
    fc_json_mark(&ask->out, '}');
    return 0;
}
#else
static int list_many(struct fc_ask *ask, struct listing *l)
{
    (void)l;
    return fc_ask_fail_memory(ask);
}
#endif

int fc_answer_sessions(struct fc_ask *ask)
{
    struct listing l = {.limit = LIMIT};
    int rc = read_parameters(ask, &l) && read_columns(ask, &l) ? (ask->inquiry ? list_many : list)(ask, &l) : -1;

    fc_chosen_fini(&l.chosen);
    return rc;
}

/* ---- one */

static bool is_carvable(enum fc_presence presence)
{
    return presence == FC_FILE_PRESENT || presence == FC_FILE_PENDING || presence == FC_FILE_GROWN;
}

/* The captures that hold it, and whether they are there. */
static int put_captures(struct fc_ask *ask, const struct fc_session *row)
{
    const struct fc_session_file *list;
    struct fc_session_files *files;
    struct fc_file_list all;
    struct fc_error err;
    size_t count, at = 0;
    uint64_t positions = 0;
    bool carvable = true;

    if (fc_session_files_open(ask->db, &files, &err) != 0)
        return fc_ask_fail_error(ask, &err);
    if (fc_session_files(files, row->id, &list, &count, &err) != 0 ||
        fc_files_list(ask->db, false, ask->stop, &all, &err) != 0) {
        fc_session_files_close(files);
        return fc_ask_fail_error(ask, &err);
    }
    fc_json_key(&ask->out, "files");
    fc_json_mark(&ask->out, '[');
    for (size_t i = 0; i < count; i++) {
        while (at < all.count && all.items[at].id < list[i].file)
            at++;
        bool known = at < all.count && all.items[at].id == list[i].file;
        enum fc_presence presence = known ? all.items[at].presence : FC_FILE_MISSING;
        carvable &= is_carvable(presence);
        positions += list[i].packets;
        fc_json_mark(&ask->out, '{');
        fc_json_put_number(&ask->out, "id", list[i].file);
        fc_json_put_text(&ask->out, "path", list[i].path);
        fc_json_put_number(&ask->out, "packets", list[i].packets);
        fc_json_put_text(&ask->out, "state", fc_presence_name(presence));
        fc_json_put_bool(&ask->out, "carvable", is_carvable(presence));
        fc_json_mark(&ask->out, '}');
    }
    fc_json_mark(&ask->out, ']');
    uint64_t packets = row->client_packets + row->server_packets;
    fc_json_put_number(&ask->out, "positions", positions);
    fc_json_put_number(&ask->out, "forgotten", packets > positions ? packets - positions : 0);
    fc_json_put_bool(&ask->out, "carvable", carvable && positions);
    fc_file_list_fini(&all);
    fc_session_files_close(files);
    return 0;
}

int fc_answer_session(struct fc_ask *ask)
{
    struct fc_query_options options = {.community_id = true};
    struct fc_session_columns columns;
    struct fc_filter *filter = fc_ask_end(ask) ? fc_ask_session_filter(ask) : NULL;
    struct fc_query *query = NULL;
    struct fc_session row;
    struct fc_error err;
    int rc = -1, found;

    if (!filter)
        return -1;
    if (fc_query_open(ask->db, filter, &options, &query, &err) != 0 || (found = fc_query_next(query, &row, &err)) < 0) {
        fc_ask_fail_error(ask, &err);
    } else if (!found) {
        fc_ask_fail(ask, 404, "not_found", "there is no session %" PRId64, ask->id);
    } else {
        fc_session_columns_all(&columns, fc_query_fields(query), true);
        fc_json_mark(&ask->out, '{');
        fc_json_key(&ask->out, "session");
        fc_put_session(&ask->out, &columns, &row, NULL, 0);
        rc = put_captures(ask, &row);
        if (rc == 0)
            fc_json_mark(&ask->out, '}');
    }
    fc_query_close(query);
    fc_filter_free(filter);
    return rc;
}
