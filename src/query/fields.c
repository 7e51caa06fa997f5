/* SPDX-License-Identifier: MIT */
#include "query/fields.h"
#include "store/db.h"

#include <stdlib.h>
#include <string.h>

uint32_t fc_db_fields(struct fc_db *db)
{
    static const char *const names[] = {"mac",       "vlan", "mpls",    "ttl",          "dscp",
                                        "tcp-flags", "isn",  "payload", "community-id", "tunnel"};
    char *value = fc_db_meta(fc_db_sqlite(db), "fields"), *rest = value, *name;
    uint32_t fields = 0;

    while (rest && (name = strsep(&rest, ",")))
        for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++)
            if (strcmp(name, names[i]) == 0)
                fields |= 1u << i;
    free(value);
    return fields;
}
