/* SPDX-License-Identifier: MIT */
/* Sessions as JSON, with the keys and values of `flowcarve query --format json`. Threads: any. */
#ifndef FC_SERVE_SESSION_JSON_H
#define FC_SERVE_SESSION_JSON_H

#include "serve/json.h"

#include <flowcarve/query.h>

enum { FC_SESSION_COLUMNS_MAX = 48 };

/* Bits of fields for columns that are there with one source alone. */
enum { FC_OF_INDEX = 1 << 29, FC_OF_SENSORS = 1 << 30 };

struct fc_session_columns {
    uint8_t column[FC_SESSION_COLUMNS_MAX];
    unsigned count;
    uint32_t fields; /* FC_FIELD_* that they are of */
    bool files;      /* one of them is the captures */
};

/* All columns that an index with these fields has; more: the sums and the Community ID as well. */
void fc_session_columns_all(struct fc_session_columns *columns, uint32_t fields, bool more);

/* Reads "id,start,...". NULL; or the name that is none, or comes twice, in `bad`, of 64 bytes. */
const char *fc_session_columns_read(struct fc_session_columns *columns, const char *list, char *bad);

/* The first column that an index with these fields does not have; NULL: it has all. */
const char *fc_session_columns_lacking(const struct fc_session_columns *columns, uint32_t fields);

/* An object. files: of the session, where they are wanted. */
void fc_put_session(struct fc_json *json, const struct fc_session_columns *columns, const struct fc_session *row,
                    const struct fc_session_file *files, size_t file_count);

/* "fields": the names of FC_FIELD_* bits. */
void fc_put_fields(struct fc_json *json, uint32_t fields);

#endif
