/* SPDX-License-Identifier: MIT */
/*
 * Any text as the target of a request, or without a slash in front as the body of one: what is a question is answered
 * from a small index, by JSON or a capture.
 */
#include "fuzz.h"
#include "small_index.h"

#include "serve/route.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>

static struct fc_db *db;
static int nowhere;

/* JSON as far as brackets, strings and text go. */
static bool is_json(const char *text, size_t len)
{
    char open[64];
    size_t depth = 0;
    bool string = false;

    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];
        if (string && c < 0x20)
            return false;
        if (string && c == '\\')
            i++;
        else if (c == '"')
            string = !string;
        else if (!string && (c == '{' || c == '['))
            open[depth++] = c == '{' ? '}' : ']';
        else if (!string && (c == '}' || c == ']') && (!depth || open[--depth] != c))
            return false;
        if (depth == sizeof open)
            return false;
    }
    return !string && !depth && len > 1;
}

static void ask(struct fc_ask *a, const struct fc_route *route)
{
    static const int stop = 0;
    char *copy;

    a->db = db;
    a->db_path = "a.db";
    a->stop = &stop;
    a->who = "fuzz";
    a->scopes = FC_SCOPE_ALL;
    a->fd = nowhere;
    int rc = route->answer(a);
    HOLDS(!a->out.failed && (rc != 0) == (a->status != 0) && (!a->status || a->status >= 400));
    if (a->status || (!a->type && !(route->flags & FC_ROUTE_STREAM))) {
        HOLDS(is_json(a->out.text, a->out.len));
        HOLDS((copy = strndup(a->out.text, a->out.len)) && strlen(copy) == a->out.len && fc_is_utf8(copy));
        free(copy);
    }
    HOLDS(a->status != 500);
    fc_json_fini(&a->out);
    free(a->unknown);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fc_ask a = {.fd = -1};
    const struct fc_route *route;
    char *text = malloc(size + 1);

    if (!db) {
        db = fc_fuzz_index(true);
        signal(SIGPIPE, SIG_IGN);
        nowhere = open("/dev/null", O_WRONLY);
    }
    HOLDS(text && nowhere >= 0);
    memcpy(text, data, size);
    text[size] = '\0';
    if (size && *text != '/') {
        a.body = text;
        a.body_len = size;
        ask(&a, fc_route_post("carve", false));
    } else if (size && !fc_params_read(text, &a.params) && strncmp(a.params.path, "/v1/", 4) == 0 &&
               (route = fc_route_find(a.params.path + 4, false, &a.id)))
        ask(&a, route);
    free(text);
    return 0;
}
