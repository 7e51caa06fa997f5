/* SPDX-License-Identifier: MIT */
#include "query/fields.h"
#include "store/db.h"

#include <stdlib.h>
#include <string.h>

int fc_db_fields(struct fc_db *db, uint32_t *fields, struct fc_error *err)
{
    char *value, *rest, *name;

    *fields = db->fields;
    if (db->fields_known)
        return 0;
    int rc = fc_db_meta(db, "fields", &value, err);
    rest = value;
    while (rest && (name = strsep(&rest, ","))) {
#define FIELD(FIELD, bit, text, want) *fields |= strcmp(name, text) == 0 ? 1u << (bit) : 0;
        FC_FIELDS(FIELD)
    }
    free(value);
    db->fields = *fields;
    db->fields_known = rc == 0;
    return rc;
}
