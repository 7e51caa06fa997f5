/* SPDX-License-Identifier: MIT */
/* Shared libraries that are loaded by name when they are asked for. Threads: any, on tables of their own. */
#ifndef FC_BASE_LIBRARY_H
#define FC_BASE_LIBRARY_H

#include <stdbool.h>
#include <stddef.h>

/* A function, and where in a table of functions its address goes. A list ends with a name that is NULL. */
struct fc_symbol {
    const char *name;
    size_t place;
};

/* Loads a library for good and fills the table. False: why (size bytes) says what is missing; the table is no good. */
bool fc_library_load(const char *file, const struct fc_symbol *symbols, void *table, char *why, size_t size);

#endif
