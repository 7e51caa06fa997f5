/* SPDX-License-Identifier: MIT */
#include "cli/json.h"
#include "cli/cli.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

bool fc_json_print(FILE *to, const struct fc_json_member *m)
{
    for (const struct fc_json_member *first = m; m->key; m++) {
        fprintf(to, "%c\"%s\":", m == first ? '{' : ',', m->key);
        if (m->type == FC_JSON_BOOL)
            fputs(m->number ? "true" : "false", to);
        else
            fprintf(to, "%" PRIu64, m->number);
    }
    fputs("}\n", to);
    if ((fflush(to) == 0 && !ferror(to)) || errno == EPIPE)
        return true;
    fc_complain("cannot write the result: %s", strerror(errno));
    return false;
}
