/* SPDX-License-Identifier: MIT */
/* Sessions out of an engine's rows. Threads: one at a time for a reader. */
#ifndef FC_CLUSTER_ENGINE_ROW_H
#define FC_CLUSTER_ENGINE_ROW_H

#include "cluster/row_binary.h"

#include <flowcarve/query.h>

/* The columns of a row, in the order in which fc_engine_row() reads them, behind the sensor's name. */
extern const char fc_engine_row_columns[];

#define FC_ENGINE_ROW_ONE(...) +1
enum {
    FC_ENGINE_ROW_TEXTS = FC_FIELD_COLUMNS(FC_ENGINE_ROW_ONE, FC_FIELD_SKIP, FC_FIELD_SKIP),
    FC_ENGINE_ROW_TEXT_MAX = 65535
};

/*
 * Texts of the last row, with an end that those of an engine do not have. Zeroed before use; fc_engine_texts_fini()
 * frees.
 */
struct fc_engine_texts {
    char *text[FC_ENGINE_ROW_TEXTS];
    size_t room[FC_ENGINE_ROW_TEXTS];
};
void fc_engine_texts_fini(struct fc_engine_texts *texts);

/*
 * Reads a session; what it points to is in `texts`, or in the row. Where the row is cut or bad, *session is nothing.
 * FC_E_NOMEM.
 */
int fc_engine_row(struct fc_binary *row, struct fc_engine_texts *texts, struct fc_session *session);

/* A time: whether there is one, and its ns. */
bool fc_engine_row_time(struct fc_binary *row, int64_t *ns);
/* An address of `kind` in the first bytes of addr, as struct fc_session has it. */
void fc_engine_row_address(struct fc_binary *row, int kind, uint8_t addr[16]);
/* A kind of addresses. */
int fc_engine_row_kind(struct fc_binary *row);

#endif
