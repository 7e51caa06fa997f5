/* SPDX-License-Identifier: MIT */
#include "base/library.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

bool fc_library_load(const char *file, const struct fc_symbol *symbols, void *table, char *why, size_t size)
{
    void *library = dlopen(file, RTLD_NOW | RTLD_LOCAL), *symbol = library;

    for (; symbol && symbols->name; symbols++) {
        symbol = dlsym(library, symbols->name);
        memcpy((char *)table + symbols->place, &symbol, sizeof symbol);
    }
    if (!symbol) {
        const char *cause = dlerror();
        snprintf(why, size, "%s", cause ? cause : "a function is missing");
    }
    return symbol != NULL;
}
