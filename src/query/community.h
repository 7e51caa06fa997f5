/* SPDX-License-Identifier: MIT */
/*
 * Community IDs inside of SQL, for an index that does not hold them:
 *
 *     fc_community_id(proto, kind, client_addr, client_port, server_addr, server_port, one_way)
 *
 * is the text of the ID, or NULL for what has none and for values that are none of an index.
 */
#ifndef FC_QUERY_COMMUNITY_H
#define FC_QUERY_COMMUNITY_H

#include <sqlite3.h>

/* Makes the function known to a connection; an SQLite result code. */
int fc_community_register(sqlite3 *sql);

#endif
