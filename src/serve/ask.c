/* SPDX-License-Identifier: MIT */
#include "serve/ask.h"

#include <errno.h>
#include <flowcarve/value.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- errors */

static void begin_error(struct fc_ask *ask, int status, const char *code, const char *message)
{
    ask->status = status;
    ask->type = NULL;
    ask->out.len = 0;
    fc_json_mark(&ask->out, '{');
    fc_json_key(&ask->out, "error");
    fc_json_mark(&ask->out, '{');
    fc_json_put_text(&ask->out, "code", code);
    fc_json_put_text(&ask->out, "message", message);
}

static int end_error(struct fc_ask *ask)
{
    fc_json_mark(&ask->out, '}');
    fc_json_mark(&ask->out, '}');
    fc_json_line(&ask->out);
    return -1;
}

int fc_ask_fail(struct fc_ask *ask, int status, const char *code, const char *fmt, ...)
{
    char text[1024];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    begin_error(ask, status, code, text);
    return end_error(ask);
}

int fc_ask_fail_parameter(struct fc_ask *ask, const char *parameter, const char *fmt, ...)
{
    char text[1024];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    begin_error(ask, 400, "parameter", text);
    fc_json_put_text(&ask->out, "parameter", parameter);
    return end_error(ask);
}

int fc_ask_fail_memory(struct fc_ask *ask)
{
    return fc_ask_fail(ask, 500, "internal", "out of memory");
}

int fc_ask_fail_error(struct fc_ask *ask, const struct fc_error *err)
{
    static const struct {
        int rc, status;
        const char *code;
    } known[] = {
        {FC_E_FILTER, 400, "filter"},    {FC_E_USAGE, 400, "parameter"},      {FC_E_LIMIT, 400, "parameter"},
        {FC_E_MISSING, 409, "missing"},  {FC_E_CHANGED, 409, "changed"},      {FC_E_BUSY, 503, "busy"},
        {FC_E_DAMAGED, 500, "internal"}, {FC_E_INTERRUPTED, 504, "deadline"},
    };
    bool of_engine = ask->cluster && (err->code == FC_E_IO || err->code == FC_E_DB || err->code == FC_E_DAMAGED);
    char text[sizeof err->cause + 16];
    int status = 500;
    const char *code = "internal", *message = *err->cause ? err->cause : fc_strerror(err->code);
    bool of_index = strcmp(err->file, ask->db_path) == 0;

    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (known[i].rc == err->code && !(err->code == FC_E_MISSING && of_index)) {
            status = known[i].status;
            code = known[i].code;
        }
    if (of_engine) {
        status = 502;
        code = "engine";
        snprintf(text, sizeof text, "%s%s", err->code == FC_E_IO ? "the engine: " : "", message);
        message = text;
    }
    if (err->code == FC_E_INTERRUPTED)
        message = "it took longer than it may";
    begin_error(ask, status, code, message);
    if (*err->file) {
        fc_json_put_text(&ask->out, "file", err->file);
        fc_json_key(&ask->out, "offset");
        if (err->off == FC_NO_OFFSET)
            fc_json_null(&ask->out);
        else
            fc_json_number(&ask->out, err->off);
    }
    return end_error(ask);
}

/* What stands under the text, in a font all of whose characters are as wide. */
static char *caret(size_t before, size_t marked)
{
    char *text = malloc(before + marked + 2);

    if (text) {
        memset(text, ' ', before);
        text[before] = '^';
        memset(text + before + 1, '~', marked);
        text[before + (marked ? marked : 1)] = '\0';
    }
    return text;
}

static int fail_where(struct fc_ask *ask, const char *parameter, const char *text, const struct fc_filter_error *where)
{
    size_t whole = strlen(text), off = where->off < whole ? where->off : whole;
    size_t len = where->len < whole - off ? where->len : whole - off;
    size_t start = fc_utf16_length(text, off), end = fc_utf16_length(text, off + len);
    char *marks = caret(start, end - start);

    begin_error(ask, 400, "filter", where->cause);
    fc_json_key(&ask->out, "where");
    fc_json_mark(&ask->out, '{');
    fc_json_put_text(&ask->out, "parameter", parameter);
    fc_json_put_text(&ask->out, "text", text);
    fc_json_put_number(&ask->out, "off", off);
    fc_json_put_number(&ask->out, "len", len);
    fc_json_put_number(&ask->out, "start", start);
    fc_json_put_number(&ask->out, "end", end);
    fc_json_put_text(&ask->out, "caret", marks);
    fc_json_mark(&ask->out, '}');
    free(marks);
    return end_error(ask);
}

/* ---- parameters */

static bool read_number(const char *text, int64_t *value)
{
    char *end;

    errno = 0;
    *value = strtoll(text, &end, 10);
    return (*text == '-' || (*text >= '0' && *text <= '9')) && !*end && errno == 0;
}

bool fc_ask_number(struct fc_ask *ask, const char *name, int64_t low, int64_t high, int64_t *value)
{
    const char *text = fc_params_get(&ask->params, name);
    int64_t number;

    if (!text)
        return true;
    if (!read_number(text, &number) || number < low || number > high) {
        fc_ask_fail_parameter(ask, name, "%s is a number from %lld to %lld, not '%s'", name, (long long)low,
                              (long long)high, text);
        return false;
    }
    *value = number;
    return true;
}

bool fc_ask_bool(struct fc_ask *ask, const char *name, bool *value)
{
    static const char *const words[] = {"false", "true", NULL};
    int which = *value;
    bool good = fc_ask_word(ask, name, words, &which);

    *value = which == 1;
    return good;
}

bool fc_ask_word(struct fc_ask *ask, const char *name, const char *const *words, int *value)
{
    const char *text = fc_params_get(&ask->params, name);
    char list[256] = "";

    if (!text)
        return true;
    for (int i = 0; words[i]; i++)
        if (strcmp(words[i], text) == 0) {
            *value = i;
            return true;
        }
    for (int i = 0; words[i]; i++)
        snprintf(list + strlen(list), sizeof list - strlen(list), "%s%s", i ? ", " : "", words[i]);
    fc_ask_fail_parameter(ask, name, "%s is one of %s, not '%s'", name, list, text);
    return false;
}

bool fc_ask_end(struct fc_ask *ask)
{
    const char *name = fc_params_unknown(&ask->params);

    if (name)
        fc_ask_fail_parameter(ask, name, "there is no parameter '%s' here", name);
    return !name;
}

static bool read_time(struct fc_ask *ask, const char *name, bool *has, int64_t *ns)
{
    const char *text = fc_params_get(&ask->params, name);
    struct fc_filter_error where;

    if (!text || !*text)
        return true;
    if (!fc_time_read(text, NULL, ns, &where)) {
        fail_where(ask, name, text, &where);
        return false;
    }
    return *has = true;
}

/* "(FILTER\n) and between FROM and UNTIL"; a new string. */
static char *join_text(const char *filter, bool has_from, int64_t from, bool has_until, int64_t until)
{
    char a[FC_TEXT_MAX + 1], b[FC_TEXT_MAX + 1], *text = NULL;
    bool blank = !filter[strspn(filter, " \t\r\n\v\f")];
    int n;

    *fc_text_time(a, has_from ? from : 0) = '\0';
    *fc_text_time(b, !has_until ? 0 : has_from || until == INT64_MAX ? until : until + 1) = '\0';
    if (!has_from && !has_until)
        return strdup(blank ? "" : filter);
    n = asprintf(&text, "%s%s%s%s%s%s%s", blank ? "" : "(", blank ? "" : filter, blank ? "" : "\n) and ",
                 !has_until  ? "after "
                 : !has_from ? "before "
                             : "between ",
                 has_from ? a : b, has_from && has_until ? " and " : "", has_from && has_until ? b : "");
    return n < 0 ? NULL : text;
}

bool fc_ask_chosen(struct fc_ask *ask, struct fc_chosen *c)
{
    const char *filter = fc_params_get(&ask->params, "filter");
    struct fc_filter_error where;
    bool has_until = false;
    int64_t until = 0;

    *c = (struct fc_chosen){0};
    filter = filter ? filter : "";
    int rc = fc_filter_parse_with(filter, NULL, &c->filter, &where);
    if (rc == FC_E_FILTER)
        fail_where(ask, "filter", filter, &where);
    else if (rc)
        fc_ask_fail_memory(ask);
    if (rc || !read_time(ask, "from", &c->has_from, &c->from_ns) || !read_time(ask, "until", &has_until, &until))
        return false;
    if (!(c->text = join_text(filter, c->has_from, c->from_ns, has_until, until))) {
        fc_ask_fail_memory(ask);
        return false;
    }
    if (strcmp(c->text, filter) == 0 && *filter)
        return true;
    fc_filter_free(c->filter);
    c->filter = NULL;
    if (!*c->text)
        return true;
    rc = fc_filter_parse_with(c->text, NULL, &c->filter, &where);
    if (rc == FC_E_FILTER) /* `between` with its times the wrong way round */
        fc_ask_fail_parameter(ask, "until", "%s", where.cause);
    else if (rc)
        fc_ask_fail_memory(ask);
    return rc == 0;
}

void fc_chosen_fini(struct fc_chosen *chosen)
{
    fc_filter_free(chosen->filter);
    free(chosen->text);
}

struct fc_filter *fc_ask_session_filter(struct fc_ask *ask)
{
    struct fc_filter *filter = NULL;
    int rc = fc_filter_parse("", 1, &filter, NULL);

    if (rc == 0)
        rc = fc_filter_narrow(filter, &(struct fc_id_range){ask->id, ask->id}, 1);
    if (rc == 0)
        return filter;
    fc_filter_free(filter);
    fc_ask_fail_memory(ask);
    return NULL;
}

int fc_ask_send(struct fc_ask *ask, bool all)
{
    enum { MUCH = 1 << 16 };
    size_t done = 0;

    if (ask->out.failed)
        return -1;
    if (!all && ask->out.len < MUCH)
        return 0;
    while (done < ask->out.len) {
        ssize_t n = write(ask->fd, ask->out.text + done, ask->out.len - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        done += (size_t)n;
    }
    ask->out.len = 0;
    return 0;
}

void fc_put_scopes(struct fc_json *json, unsigned scopes)
{
    fc_json_mark(json, '[');
    if (scopes & FC_SCOPE_METADATA)
        fc_json_text(json, "metadata");
    if (scopes & FC_SCOPE_PACKETS)
        fc_json_text(json, "packets");
    fc_json_mark(json, ']');
}
