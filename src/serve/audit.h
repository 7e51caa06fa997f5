/* SPDX-License-Identifier: MIT */
/* Who asked for packets: a line of JSON when it begins, and one when it has ended. Threads: any. */
#ifndef FC_SERVE_AUDIT_H
#define FC_SERVE_AUDIT_H

#include <flowcarve/error.h>
#include <stdbool.h>
#include <stdint.h>

struct fc_audit {
    int fd; /* -1: nobody wants to know */
};

struct fc_audit_line {
    uint64_t number; /* of the request */
    const char *who, *from, *target;
    bool end; /* and then: */
    int status;
    uint64_t bytes; /* sent */
    uint64_t sessions, packets;
    uint64_t ids; /* asked for by a list, which perhaps is cut; 0: there is none */
    const char *list;
    const char *how; /* complete, failed, abandoned, limit */
};

/* path: NULL: none. FC_E_IO. */
int fc_audit_open(struct fc_audit *audit, const char *path, struct fc_error *err);
/* False: it cannot be written. */
bool fc_audit_write(const struct fc_audit *audit, const struct fc_audit_line *line);
void fc_audit_close(struct fc_audit *audit);

#endif
