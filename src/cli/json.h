/* SPDX-License-Identifier: MIT */
/* Results of commands as one JSON object. Threads: any. */
#ifndef FC_CLI_JSON_H
#define FC_CLI_JSON_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct fc_json_member {
    const char *key; /* NULL ends a list */
    uint64_t number;
    enum { FC_JSON_NUMBER, FC_JSON_BOOL } type;
};

/* A line on `to`. False: it cannot be written, which is said. */
bool fc_json_print(FILE *to, const struct fc_json_member *members);

#define FC_OPTION_JSON(type)                                                                                           \
    {                                                                                                                  \
        "json", 0, NULL, "print the result as a JSON object, on standard output", FC_FLAG(type, json)                  \
    }

#endif
