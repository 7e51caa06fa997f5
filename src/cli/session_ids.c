/* SPDX-License-Identifier: MIT */
#include "cli/session_ids.h"
#include "cli/cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int fc_ids_option(const char *command, const char *value, char **ids)
{
    if (!*value || value[strspn(value, "0123456789,-")] || value[0] == ',') {
        fc_complain("%s: --id takes numbers with commas between them, not '%s'", command, value);
        return -1;
    }
    return fc_list_option(ids, value);
}

char *fc_ids_filter(const char *words, const char *ids)
{
    size_t room = strlen(words) + (ids ? 8 * strlen(ids) : 0) + 64;
    char *text = malloc(room), *p = text;
    bool first = true;

    if (!text)
        return NULL;
    *p = '\0';
    if (!ids)
        return strcpy(text, words);
    if (*words)
        p += sprintf(p, "( %s ) and ", words);
    p += sprintf(p, "( ");
    for (const char *id = ids; *id;) {
        while (id[0] == '0' && id[1] >= '0' && id[1] <= '9')
            id++;
        size_t len = strcspn(id, ",");
        if (len) {
            p += sprintf(p, "%sid %.*s ", first ? "" : "or ", (int)len, id);
            first = false;
        }
        id += len + (id[len] == ',');
    }
    strcpy(p, ")");
    return text;
}

static int compare_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

uint64_t fc_ids_count(const char *ids)
{
    char *copy = strdup(ids), **list = malloc((strlen(ids) + 1) * sizeof *list), *rest = copy;
    uint64_t n = 0, count = 0;

    for (char *id; copy && list && (id = strtok_r(rest, ",", &rest));)
        list[n++] = id + strspn(id, "0");
    if (n)
        qsort(list, n, sizeof *list, compare_text);
    for (uint64_t i = 0; i < n; i++)
        count += i == 0 || strcmp(list[i], list[i - 1]) != 0;
    free(list);
    free(copy);
    return count;
}

enum { IDS_TOLD = 10 };

/* Is there a session that has this ID, or one of this range? Where that cannot be told it is not said to be missing. */
static bool is_there(struct fc_db *db, const char *id)
{
    struct fc_filter *filter = NULL;
    struct fc_error err;
    char text[64];
    bool there = true;

    snprintf(text, sizeof text, "id %s", id);
    if (fc_filter_parse(text, 0, &filter, NULL) == 0)
        there = fc_query_count(db, filter, &err) != 0;
    fc_filter_free(filter);
    return there;
}

bool fc_ids_tell_missing(struct fc_db *db, const char *ids, const char *lead)
{
    char *copy = strdup(ids), *rest = copy, told[IDS_TOLD * 24 + 64] = "";
    uint64_t missing = 0;
    size_t len = 0;

    for (char *id; copy && (id = strtok_r(rest, ",", &rest));) {
        while (id[0] == '0' && id[1] >= '0' && id[1] <= '9')
            id++;
        if (is_there(db, id))
            continue;
        if (++missing <= IDS_TOLD)
            len += (size_t)snprintf(told + len, sizeof told - len, "%s%.20s", len ? ", " : "", id);
    }
    if (missing > IDS_TOLD)
        snprintf(told + len, sizeof told - len, " and %llu more", (unsigned long long)(missing - IDS_TOLD));
    if (missing)
        fc_complain("%snot in the index: %s", lead, told);
    free(copy);
    return missing != 0;
}
