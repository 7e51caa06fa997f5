/* SPDX-License-Identifier: MIT */
#include "serve/mhd.h"
#include "base/error.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

static struct fc_mhd functions;
static bool loaded;
static char why[200];

struct symbol {
    const char *name;
    size_t place;
};

#define SYMBOL(member, name) {#name, offsetof(struct fc_mhd, member)},
static const struct symbol of_mhd[] = {FC_MHD_FUNCTIONS(SYMBOL){NULL, 0}};
static const struct symbol of_gnutls[] = {FC_GNUTLS_FUNCTIONS(SYMBOL){NULL, 0}};

static bool load_from(const char *file, const struct symbol *symbols)
{
    void *library = dlopen(file, RTLD_NOW | RTLD_LOCAL), *symbol = library;

    for (; symbol && symbols->name; symbols++) {
        symbol = dlsym(library, symbols->name);
        memcpy((char *)&functions + symbols->place, &symbol, sizeof symbol);
    }
    if (!symbol) {
        const char *cause = dlerror();
        snprintf(why, sizeof why, "%s", cause ? cause : "a function is missing");
    }
    return symbol != NULL;
}

static void load(void)
{
    loaded = load_from(FC_LIBMICROHTTPD, of_mhd) && load_from(FC_LIBGNUTLS, of_gnutls);
}

const struct fc_mhd *fc_mhd(struct fc_error *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, load);
    if (loaded)
        return &functions;
    fc_error_set(err, FC_E_IO, NULL, FC_NO_OFFSET, "what speaks HTTP cannot be loaded: %s", why);
    return NULL;
}
