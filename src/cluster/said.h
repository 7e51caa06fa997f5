/* SPDX-License-Identifier: MIT */
/* What a sensor says in its JSON (docs/http.md). Threads: any. */
#ifndef FC_CLUSTER_SAID_H
#define FC_CLUSTER_SAID_H

#include "cluster/http.h"

/*
 * The value of the first member `key`, wherever it stands, in buf, cut to its size: of a text without its quotes and
 * escapes, else as it is written. NULL: there is none. A sensor writes no key inside of a text, as the quotes of that
 * are escaped.
 */
const char *fc_said(const char *json, const char *key, char *buf, size_t size);

/*
 * Fills err with what an answer that is none says: FC_E_CHANGED (another index, or a capture), FC_E_MISSING (a capture,
 * or a session), FC_E_LIMIT (too many bytes), FC_E_USAGE (who asks may not), else FC_E_IO. Returns that.
 */
int fc_sensor_refused(const struct fc_http_answer *answer, const char *name, struct fc_error *err);

#endif
