/* SPDX-License-Identifier: MIT */
#include "glue.h"

#include <stdlib.h>

int64_t fcpy_columns_next(struct fc_columns *columns, const struct fcpy_cell *cells, size_t count, size_t room,
                          void *base, struct fc_error *err)
{
    struct fc_column *to = malloc((count ? count : 1) * sizeof *to);

    if (!to) {
        *err = (struct fc_error){.code = FC_E_NOMEM, .off = FC_NO_OFFSET, .cause = "out of memory"};
        return FC_E_NOMEM;
    }
    for (size_t i = 0; i < count; i++)
        to[i] = (struct fc_column){cells[i].field, cells[i].stride, (uint8_t *)base + cells[i].off};
    int64_t rows = fc_columns_next(columns, to, count, room, err);
    free(to);
    return rows;
}
