/* SPDX-License-Identifier: MIT */
/*
 * Table `loss` beside itself and the captures: every packet that came is recorded or dropped, and what is recorded is
 * in captures of the index. Captures that were forgotten count: their rows stay. What is recorded behind the latest row
 * (of a process that was killed) makes the captures have more, which is right.
 *
 * Threads: one.
 */
#ifndef FC_VERIFY_LOSS_H
#define FC_VERIFY_LOSS_H

#include "store/db.h"

/* differ(ctx, text) is called for each difference. FC_E_IO, FC_E_DB, FC_E_NOMEM. Without the table: 0. */
int fc_verify_loss(struct fc_db *db, void (*differ)(void *ctx, const char *text), void *ctx, struct fc_error *err);

#endif
