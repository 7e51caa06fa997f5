/* SPDX-License-Identifier: MIT */
#include "base/curl.h"

#ifdef FC_LIBCURL
/* options are checked by macros that call the functions by their names */
#define CURL_DISABLE_TYPECHECK
#include "base/error.h"
#include "base/library.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

static struct fc_curl functions;
static bool loaded;
static char why[200];

#define SYMBOL(member, name) {#name, offsetof(struct fc_curl, member)},
static const struct fc_symbol of_curl[] = {FC_CURL_FUNCTIONS(SYMBOL){NULL, 0}};
static const struct fc_symbol of_gnutls[] = {FC_HASH_FUNCTIONS(SYMBOL){NULL, 0}};

static void load(void)
{
    loaded = fc_library_load(FC_LIBCURL, of_curl, &functions, why, sizeof why) &&
             fc_library_load(FC_LIBGNUTLS, of_gnutls, &functions, why, sizeof why);
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
