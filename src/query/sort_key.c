/* SPDX-License-Identifier: MIT */
#include "query/sort_key.h"
#include "base/error.h"

#include <stdio.h>
#include <string.h>

static int fail(const struct fc_sort_key *keys, size_t count, const char *sort, uint32_t fields, struct fc_error *err)
{
    char list[1024];
    size_t len = 0;

    for (size_t i = 0; i < count; i++)
        if (!(keys[i].field & ~fields) && len < sizeof list)
            len += (size_t)snprintf(list + len, sizeof list - len, "%s%s", len ? ", " : "", keys[i].name);
    return fc_error_set(err, FC_E_USAGE, NULL, FC_NO_OFFSET,
                        "cannot sort by '%.40s'; KEY[:asc|:desc] with KEY one of %s", sort, list);
}

int fc_sort_key_find(const struct fc_sort_key *keys, size_t count, const char *sort, uint32_t fields,
                     const struct fc_sort_key **key, bool *descending, struct fc_error *err)
{
    size_t len = strcspn(sort, ":");

    *descending = strcmp(sort + len, ":desc") == 0;
    if (sort[len] && !*descending && strcmp(sort + len, ":asc") != 0)
        return fail(keys, count, sort, fields, err);
    for (size_t i = 0; i < count; i++)
        if (strlen(keys[i].name) == len && memcmp(keys[i].name, sort, len) == 0 && !(keys[i].field & ~fields)) {
            *key = &keys[i];
            return 0;
        }
    return fail(keys, count, sort, fields, err);
}
