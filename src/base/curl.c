/* SPDX-License-Identifier: MIT */
#include "base/curl.h"

#ifdef FC_LIBCURL
/* options are checked by macros that call the functions by their names */
#define CURL_DISABLE_TYPECHECK
#include "base/error.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

static struct fc_curl functions;
static bool loaded;
static char why[200];

struct symbol {
    const char *name;
    size_t place;
};

#define SYMBOL(member, name) {#name, offsetof(struct fc_curl, member)},
static const struct symbol of_curl[] = {FC_CURL_FUNCTIONS(SYMBOL){NULL, 0}};
static const struct symbol of_gnutls[] = {FC_HASH_FUNCTIONS(SYMBOL){NULL, 0}};

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
    loaded = load_from(FC_LIBCURL, of_curl) && load_from(FC_LIBGNUTLS, of_gnutls);
    if (loaded && functions.global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
        snprintf(why, sizeof why, "%s does not start", FC_LIBCURL);
        loaded = false;
    }
}

const struct fc_curl *fc_curl(struct fc_error *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, load);
    if (loaded)
        return &functions;
    fc_error_set(err, FC_E_IO, NULL, FC_NO_OFFSET, "what asks over networks cannot be loaded: %s", why);
    return NULL;
}
#endif
