/* SPDX-License-Identifier: MIT */
/* Which path is answered by what. Threads: any. */
#ifndef FC_SERVE_ROUTE_H
#define FC_SERVE_ROUTE_H

#include "serve/ask.h"

enum {
    FC_ROUTE_STREAM = 1,     /* it is sent as it is made */
    FC_ROUTE_HEAVY = 2,      /* takes long, or much memory */
    FC_ROUTE_ID = 4,         /* of a session */
    FC_ROUTE_CARVE = 8,      /* of so many bytes at the most; what it holds is told behind it */
    FC_ROUTE_NO_PACKETS = 16 /* gives none, whatever its scope: it is not in the audit log */
};

struct fc_route {
    const char *path; /* behind "/v1/"; with FC_ROUTE_ID behind "/v1/sessions/ID" */
    fc_answer *answer;
    unsigned scope, flags;
};

/* That of a path, which is what stands behind "/v1/"; *id: the session that it names. many: of a cluster. NULL: there
 * is none. */
const struct fc_route *fc_route_find(const char *path, bool many, int64_t *id);

/* The same for a question that has a body. */
const struct fc_route *fc_route_post(const char *path, bool many);

#endif
