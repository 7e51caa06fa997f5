/* SPDX-License-Identifier: MIT */
#include "serve/mhd.h"
#include "base/error.h"
#include "base/library.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

static struct fc_mhd functions;
static bool loaded;
static char why[200];

#define SYMBOL(member, name) {#name, offsetof(struct fc_mhd, member)},
static const struct fc_symbol of_mhd[] = {FC_MHD_FUNCTIONS(SYMBOL){NULL, 0}};
static const struct fc_symbol of_gnutls[] = {FC_GNUTLS_FUNCTIONS(SYMBOL){NULL, 0}};

static void load(void)
{
    loaded = fc_library_load(FC_LIBMICROHTTPD, of_mhd, &functions, why, sizeof why) &&
             fc_library_load(FC_LIBGNUTLS, of_gnutls, &functions, why, sizeof why);
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
