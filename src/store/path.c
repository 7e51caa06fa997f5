/* SPDX-License-Identifier: MIT */
#include "store/path.h"
#include "capture/url.h"
#include "store/db.h"
#include "store/stmt.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *join_path(const char *folder, const char *name)
{
    char *path = NULL;
    const char *slash = folder[0] && folder[strlen(folder) - 1] == '/' ? "" : "/";

    return asprintf(&path, "%s%s%s", folder, slash, name) < 0 ? NULL : path;
}

char *fc_path_remember(const char *db_folder, const char *path, bool *relative)
{
    const char *slash = strrchr(path, '/');
    char *folder, *full, *name;
    size_t len = strlen(db_folder);

    *relative = false;
    if (fc_is_url(path))
        return strdup(path);
    if (!(folder = fc_path_folder(path)))
        return NULL;
    full = join_path(folder, slash ? slash + 1 : path);
    free(folder);
    if (!full)
        return NULL;
    if (len && db_folder[len - 1] == '/')
        len--; /* the root folder */
    *relative = strncmp(full, db_folder, len) == 0 && full[len] == '/' && len > 0;
    if (!*relative)
        return full;
    name = strdup(full + len + 1);
    free(full);
    return name;
}

char *fc_path_locate(const char *db_folder, const char *name, bool relative)
{
    return relative ? join_path(db_folder, name) : strdup(name);
}

static bool is_utf8(const unsigned char *s)
{
    while (*s) {
        unsigned n = *s < 0x80 ? 0 : (*s & 0xe0) == 0xc0 ? 1 : (*s & 0xf0) == 0xe0 ? 2 : (*s & 0xf8) == 0xf0 ? 3 : 9;
        uint32_t c = n ? *s & (0x3fu >> n) : *s;
        if (n > 3)
            return false;
        for (s++; n; n--, s++) {
            if ((*s & 0xc0) != 0x80)
                return false;
            c = c << 6 | (*s & 0x3f);
        }
        if ((c >= 0xd800 && c < 0xe000) || c > 0x10ffff)
            return false;
    }
    return true;
}

void fc_bind_path(struct fc_stmt *stmt, int index, const char *name)
{
    if (is_utf8((const unsigned char *)name))
        fc_stmt_text(stmt, index, name);
    else
        fc_stmt_blob(stmt, index, name, strlen(name));
}

char *fc_path_from_column(sqlite3_stmt *stmt, int col)
{
    const void *p = sqlite3_column_blob(stmt, col);
    size_t n = (size_t)sqlite3_column_bytes(stmt, col);

    if (!p || !n || memchr(p, 0, n))
        return NULL;
    return strndup(p, n);
}
