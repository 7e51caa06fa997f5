/* SPDX-License-Identifier: MIT */
/*
 * The body of a question: a JSON object whose members are taken for parameters. Strict: members have text, a number,
 * true or false, or null, which is as if they were not there; nothing is nested, and nothing comes twice. Threads: one.
 */
#ifndef FC_SERVE_BODY_H
#define FC_SERVE_BODY_H

#include "serve/params.h"

/*
 * Reads `len` bytes, which have a NUL behind them and are changed; names and values of `params`, in place of those that
 * were there, point into them. NULL, or a phrase of what is wrong.
 */
const char *fc_body_read(char *body, size_t len, struct fc_params *params);

#endif
