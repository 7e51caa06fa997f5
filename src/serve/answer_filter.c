/* SPDX-License-Identifier: MIT */
#include "serve/ask.h"
#include "serve/session_json.h"

#include <flowcarve/complete.h>
#include <flowcarve/files.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#if defined FC_HAS_CLUSTER
#include <flowcarve/cluster_query.h>
#endif

/* ---- what may stand at a place */

struct proposals {
    struct fc_json *json;
    int64_t left;
    const char *part; /* of the word that is there */
};

static void put_item(struct fc_json *j, const char *text, const char *kind, const char *about)
{
    fc_json_mark(j, '{');
    fc_json_put_text(j, "text", text);
    fc_json_put_text(j, "kind", kind);
    fc_json_put_text(j, "about", about);
    fc_json_mark(j, '}');
}

static bool take(void *ctx, const struct fc_proposal *proposal)
{
    struct proposals *p = ctx;

    if (p->left <= 0)
        return false;
    p->left--;
    put_item(p->json, proposal->text, proposal->kind, proposal->about);
    return true;
}

/* Names of captures, without their folders, as `file` takes them. */
static int propose_files(struct fc_ask *ask, struct proposals *p)
{
    struct fc_file_list list;
    struct fc_error err;
    size_t len = strlen(p->part);
    char text[512];

    if (fc_files_list(ask->db, false, ask->stop, &list, &err) != 0)
        return fc_ask_fail_error(ask, &err);
    for (size_t i = 0; i < list.count && p->left > 0; i++) {
        const char *slash = strrchr(list.items[i].path, '/'), *name = slash ? slash + 1 : list.items[i].path;
        bool quoted = strpbrk(name, " \t,()'") != NULL;
        if (strncasecmp(name, p->part, len) != 0 || strlen(name) > sizeof text - 3 || strchr(name, '"') ||
            !fc_is_utf8(name))
            continue;
        snprintf(text, sizeof text, quoted ? "\"%s\"" : "%s", name);
        p->left--;
        put_item(p->json, text, "file", NULL);
    }
    fc_file_list_fini(&list);
    return 0;
}

static void propose_sensors(struct fc_ask *ask, struct proposals *p)
{
#if defined FC_HAS_CLUSTER
    size_t len = strlen(p->part);

    for (size_t i = 0; i < fc_inquiry_sensors(ask->inquiry) && p->left > 0; i++) {
        const char *name = fc_inquiry_sensor(ask->inquiry, i)->name;
        if (strncasecmp(name, p->part, len) != 0)
            continue;
        p->left--;
        put_item(p->json, name, "sensor", NULL);
    }
#else
    (void)ask;
    (void)p;
#endif
}

int fc_answer_complete(struct fc_ask *ask)
{
    const char *text = fc_params_get(&ask->params, "filter");
    struct fc_json items = {0};
    struct proposals p = {.json = &items, .left = 20};
    enum fc_proposal_names names;
    size_t start;
    int rc = 0;

    text = text ? text : "";
    size_t whole = fc_utf16_length(text, strlen(text));
    int64_t at = (int64_t)whole;
    if (!fc_ask_number(ask, "at", 0, (int64_t)whole, &at) || !fc_ask_number(ask, "limit", 1, 100, &p.left) ||
        !fc_ask_end(ask))
        return -1;
    size_t place = fc_utf16_place(text, (size_t)at);
    char part[256];
    fc_json_mark(&items, '[');
    fc_filter_complete(text, place, take, &p, &start, &names);
    snprintf(part, sizeof part, "%.*s", (int)(place - start < sizeof part ? place - start : sizeof part - 1),
             text + start);
    p.part = part;
    if (names == FC_NAMES_OF_FILES && ask->db)
        rc = propose_files(ask, &p);
    else if (names == FC_NAMES_OF_SENSORS && ask->inquiry)
        propose_sensors(ask, &p);
    fc_json_mark(&items, ']');
    if (rc == 0) {
        fc_json_mark(&ask->out, '{');
        fc_json_put_number(&ask->out, "start", fc_utf16_length(text, start));
        fc_json_put_number(&ask->out, "end", (uint64_t)at);
        fc_json_key(&ask->out, "items");
        fc_json_raw(&ask->out, items.text, items.len);
        ask->out.failed |= items.failed;
        fc_json_mark(&ask->out, '}');
    }
    fc_json_fini(&items);
    return rc;
}

/* ---- what a filter is */

static int explain(struct fc_ask *ask, const struct fc_chosen *chosen)
{
    struct fc_explain e;
    struct fc_error err;

    if (fc_ask_explain(ask, chosen->filter, &e, &err) != 0)
        return fc_ask_fail_error(ask, &err);
    fc_json_mark(&ask->out, '{');
    fc_json_put_text(&ask->out, "filter", chosen->text);
    fc_json_put_text(&ask->out, "tree", e.tree);
    fc_json_put_text(&ask->out, "bpf", e.bpf);
    fc_json_put_text(&ask->out, "wireshark", e.wireshark);
    fc_json_put_text(&ask->out, "bpf_lacks", e.bpf_lacks);
    fc_json_put_text(&ask->out, "wireshark_lacks", e.wireshark_lacks);
    fc_put_fields(&ask->out, fc_filter_fields(chosen->filter, NULL));
    fc_explain_fini(&e);
    if (fc_ask_put_cost(ask, chosen->filter) != 0)
        return -1;
    fc_json_mark(&ask->out, '}');
    return 0;
}

int fc_answer_filter(struct fc_ask *ask)
{
    struct fc_chosen chosen;
    int rc = fc_ask_chosen(ask, &chosen) && fc_ask_end(ask) ? explain(ask, &chosen) : -1;

    fc_chosen_fini(&chosen);
    return rc;
}
