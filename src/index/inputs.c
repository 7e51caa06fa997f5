/* SPDX-License-Identifier: MIT */
#include "index/inputs.h"
#include "base/error.h"
#include "index/plan.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static int add(struct fc_inputs *in, char *path, bool named)
{
    if (!path)
        return FC_E_NOMEM;
    if (in->count == in->room) {
        size_t room = in->room ? in->room * 2 : 64;
        struct fc_input *bigger = realloc(in->items, room * sizeof *bigger);
        if (!bigger) {
            free(path);
            return FC_E_NOMEM;
        }
        in->items = bigger;
        in->room = room;
    }
    in->items[in->count++] = (struct fc_input){path, named};
    return 0;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int not_dots(const struct dirent *e)
{
    return strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
}

static int walk(struct fc_inputs *in, const char *folder, bool named, struct fc_index_result *result)
{
    struct dirent **entries;
    int n = scandir(folder, &entries, not_dots, by_name), rc = 0;

    if (n < 0) {
        struct fc_error why;
        fc_error_errno(&why, FC_E_IO, folder, FC_NO_OFFSET, "cannot read the folder");
        result->files_refused += named;
        fc_notice_add(result, named ? FC_NOTICE_REFUSED : FC_NOTICE_SKIPPED, &why);
        return errno == ENOMEM ? FC_E_NOMEM : 0;
    }
    for (int i = 0; i < n; i++) {
        const char *slash = folder[strlen(folder) - 1] == '/' ? "" : "/";
        struct stat st;
        char *path = NULL;
        if (rc == 0 && asprintf(&path, "%s%s%s", folder, slash, entries[i]->d_name) < 0) {
            path = NULL;
            rc = FC_E_NOMEM;
        }
        free(entries[i]);
        if (rc) {
            free(path);
            continue;
        }
        if (lstat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
            rc = walk(in, path, false, result);
            free(path);
        } else if (stat(path, &st) == 0 && S_ISREG(st.st_mode)) {
            rc = add(in, path, false);
        } else {
            free(path); /* sockets, devices, dangling links: nothing a folder full of captures would mean */
        }
    }
    free(entries);
    return rc;
}

int fc_inputs_collect(struct fc_inputs *in, const char *const *paths, size_t count, struct fc_index_result *result,
                      struct fc_error *err)
{
    int rc = 0;

    for (size_t i = 0; i < count && rc == 0; i++) {
        struct stat st;
        if (stat(paths[i], &st) == 0 && S_ISDIR(st.st_mode))
            rc = walk(in, paths[i], true, result);
        else
            rc = add(in, strdup(paths[i]), true);
    }
    return rc ? fc_error_set(err, rc, NULL, FC_NO_OFFSET, "out of memory") : 0;
}

void fc_inputs_fini(struct fc_inputs *in)
{
    for (size_t i = 0; i < in->count; i++)
        free(in->items[i].path);
    free(in->items);
    memset(in, 0, sizeof *in);
}
