/* SPDX-License-Identifier: MIT */
/* The SQL of schema/ as C strings; the definitions are generated at build time. */
#ifndef FC_STORE_SCHEMA_H
#define FC_STORE_SCHEMA_H

enum { FC_SCHEMA_VERSION = 5, FC_APPLICATION_ID = 0x66637276 };

extern const char fc_schema_flowcarve[];
extern const char fc_schema_indexes[];
/* made when there is something for them: not in every index */
extern const char fc_schema_loss[];
extern const char fc_schema_moved[];

#endif
