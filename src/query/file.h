/* SPDX-License-Identifier: MIT */
/*
 * Captures by name inside of SQL:
 *
 *     fc_in_file(positions, name)   a blob of positions has a packet in one of the captures that have the name
 *     fc_in_file(id, name)          the capture of this ID has it
 *
 * A capture has a name that is its whole path, or the end of it behind a slash; with wildcards (* ? [ ]), which match
 * no slash.
 */
#ifndef FC_QUERY_FILE_H
#define FC_QUERY_FILE_H

#include "store/db.h"

/* Makes the function known to the connection of db, which must outlive it; an SQLite result code. */
int fc_file_register(struct fc_db *db);

/* 1 when a capture has the name, 0 when none has. FC_E_IO, FC_E_DB, FC_E_NOMEM. fc_file_register() was called. */
int fc_file_is_known(struct fc_db *db, const char *name, struct fc_error *err);

#endif
