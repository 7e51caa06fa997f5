/* SPDX-License-Identifier: MIT */
/* Which index this is: see fc_db_generation(). Threads: any. */
#ifndef FC_STORE_GENERATION_H
#define FC_STORE_GENERATION_H

#include <flowcarve/error.h>
#include <stdbool.h>
#include <stdint.h>

enum { FC_GENERATION_BYTES = 16 };

/* Gives the index at `path` a generation, where it has none or, `again`, in any case. Codes as fc_conn_begin_index();
 * FC_E_IO. */
int fc_generation_make(const char *path, bool again, struct fc_error *err);

#endif
