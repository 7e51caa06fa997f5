/* SPDX-License-Identifier: MIT */
/* Which optional fields an index holds. */
#ifndef FC_QUERY_FIELDS_H
#define FC_QUERY_FIELDS_H

#include <flowcarve/query.h>

/* FC_FIELD_* bits of the index; 0 also when it does not say. Codes as fc_db_meta(). */
int fc_db_fields(struct fc_db *db, uint32_t *fields, struct fc_error *err);

#endif
