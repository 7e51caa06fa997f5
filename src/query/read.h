/* SPDX-License-Identifier: MIT */
/* Sessions out of the rows of a statement, with memory of their own. */
#ifndef FC_QUERY_READ_H
#define FC_QUERY_READ_H

#include "query/ast.h"

#include <flowcarve/fields.h>
#include <sqlite3.h>

#define FC_SELECT_BASE                                                                                                 \
    "SELECT s.id, s.start_ns, s.duration_ns, s.proto, s.kind, s.client_addr, s.client_port, s.server_addr, "           \
    "s.server_port, s.client_packets, s.server_packets, s.client_bytes, s.server_bytes, s.state, s.flags"
#define FC_SELECT_ONE(column, ...) ", f." #column
#define FC_SELECT_TWO(column, ...) ", f.client_" #column ", f.server_" #column
#define FC_SELECT_FIELDS FC_FIELD_COLUMNS(FC_SELECT_ONE, FC_SELECT_TWO, FC_SELECT_TWO)

/*
 * The session of a row of FC_SELECT_BASE; fields: and of FC_SELECT_FIELDS, which follow; community_id: compute it. What
 * the session points to is in the arena. FC_E_NOMEM.
 */
int fc_read_session(sqlite3_stmt *stmt, bool fields, bool community_id, struct fc_arena *arena, struct fc_session *row);

#endif
