/* SPDX-License-Identifier: MIT */
/* The optional fields that an index may hold, by the names of `index --fields`. */
#ifndef FC_QUERY_FIELDS_H
#define FC_QUERY_FIELDS_H

#include <flowcarve/query.h>

enum {
    FC_FIELD_MAC = 1 << 0,
    FC_FIELD_VLAN = 1 << 1,
    FC_FIELD_MPLS = 1 << 2,
    FC_FIELD_TTL = 1 << 3,
    FC_FIELD_DSCP = 1 << 4,
    FC_FIELD_TCP_FLAGS = 1 << 5,
    FC_FIELD_ISN = 1 << 6,
    FC_FIELD_PAYLOAD = 1 << 7
};

/* FC_FIELD_* bits of the index that a query reads: the columns that its sessions can have. */
uint32_t fc_query_fields(const struct fc_query *query);

/* FC_FIELD_* bits of the index; 0 also when it does not say. */
uint32_t fc_db_fields(struct fc_db *db);

#endif
