/* SPDX-License-Identifier: MIT */
#include "query/fields.h"
#include "store/db.h"

#include <stdlib.h>
#include <string.h>

int fc_db_fields(struct fc_db *db, uint32_t *fields, struct fc_error *err)
{
    static const char *const names[] = {"mac",       "vlan", "mpls",    "ttl",          "dscp",
                                        "tcp-flags", "isn",  "payload", "community-id", "tunnel"};
    char *value, *rest, *name;

    *fields = db->fields;
    if (db->fields_known)
        return 0;
    int rc = fc_db_meta(db, "fields", &value, err);
    rest = value;
    while (rest && (name = strsep(&rest, ",")))
        for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++)
            if (strcmp(name, names[i]) == 0)
                *fields |= 1u << i;
    free(value);
    db->fields = *fields;
    db->fields_known = rc == 0;
    return rc;
}
