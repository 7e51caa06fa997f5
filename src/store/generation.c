/* SPDX-License-Identifier: MIT */
#include "store/generation.h"
#include "base/error.h"
#include "base/export.h"
#include "store/db.h"
#include "store/stmt.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

static int digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool read_hex(const char *text, uint8_t out[FC_GENERATION_BYTES])
{
    for (int i = 0; i < FC_GENERATION_BYTES; i++, text += 2) {
        int high = digit(text[0]), low = high < 0 ? -1 : digit(text[1]);
        if (low < 0)
            return false;
        out[i] = (uint8_t)(high << 4 | low);
    }
    return !*text;
}

FC_EXPORT int fc_db_generation(struct fc_db *db, uint8_t generation[16], struct fc_error *err)
{
    char *value;
    int rc = fc_db_meta(db, "generation", &value, err);

    if (rc)
        return rc;
    rc = !*value ? 0
         : read_hex(value, generation)
             ? 1
             : fc_error_set(err, FC_E_DB, db->path, FC_NO_OFFSET, "its generation is damaged");
    free(value);
    return rc;
}

int fc_generation_make(const char *path, bool again, struct fc_error *err)
{
    uint8_t bytes[FC_GENERATION_BYTES];
    char text[2 * FC_GENERATION_BYTES + 1];
    struct fc_conn conn = {.name = path};
    struct fc_stmt stmt = {0};
    int rc;

    if (getrandom(bytes, sizeof bytes, 0) != sizeof bytes)
        return fc_error_errno(err, FC_E_IO, path, FC_NO_OFFSET, "no random numbers for its generation");
    for (int i = 0; i < FC_GENERATION_BYTES; i++)
        sprintf(text + 2 * i, "%02x", bytes[i]);
    if ((rc = fc_conn_begin_index(&conn, true, err)) == 0) {
        fc_stmt_prepare(&stmt, &conn,
                        again ? "INSERT OR REPLACE INTO meta VALUES ('generation', ?)"
                              : "INSERT OR IGNORE INTO meta VALUES ('generation', ?)");
        fc_stmt_text(&stmt, 1, text);
        if ((rc = fc_stmt_run(&stmt, err)) == 0)
            rc = fc_conn_commit(&conn, err);
        fc_stmt_fini(&stmt);
    }
    fc_conn_close(&conn);
    return rc;
}
