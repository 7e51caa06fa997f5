/* SPDX-License-Identifier: MIT */
#include "base/error.h"
#include "base/export.h"
#include "live/changes.h"
#include "live/tap_source.h"

#include <flowcarve/tap.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct fc_tap {
    struct fc_tap_shared shared;
    struct fc_tap_source *sources;
    size_t count;
    char *filter;
};

static int no_memory(struct fc_error *err)
{
    return fc_error_set(err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");
}

static int check(const char *const *names, size_t count, const struct fc_tap_options *o, struct fc_error *err)
{
    if (o->threads > FC_TAP_THREADS_MAX || o->snaplen > FC_TAP_SNAPLEN_MAX ||
        (o->buffer && (o->buffer < FC_TAP_BUFFER_MIN || o->buffer > FC_TAP_BUFFER_MAX)))
        return fc_error_set(err, FC_E_USAGE, NULL, FC_NO_OFFSET, "an option of the capture is out of its range");
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < i; j++)
            if (strcmp(names[i], names[j]) == 0)
                return fc_error_set(err, FC_E_USAGE, names[i], FC_NO_OFFSET, "this interface was named twice");
    return 0;
}

FC_EXPORT int fc_tap_open(const char *const *interfaces, size_t count, const struct fc_tap_options *options,
                          struct fc_tap **out, struct fc_error *err)
{
    static const struct fc_tap_options none = {0};
    const struct fc_tap_options *o = options ? options : &none;
    struct fc_tap *tap;
    int rc = check(interfaces, count, o, err);

    *out = NULL;
    if (rc)
        return rc;
    if (!(tap = calloc(1, sizeof *tap)))
        return no_memory(err);
    tap->shared.options = *o;
    pthread_mutex_init(&tap->shared.words, NULL);
    tap->sources = calloc(count ? count : 1, sizeof *tap->sources);
    tap->shared.options.filter = tap->filter = strdup(o->filter ? o->filter : "");
    rc = tap->sources && tap->filter ? 0 : no_memory(err);
    for (size_t i = 0; rc == 0 && i < count; i++) {
        rc = fc_tap_source_init(&tap->sources[i], &tap->shared, interfaces[i], err);
        tap->count++;
        rc = rc ? rc : fc_tap_source_open(&tap->sources[i], err);
    }
    if (rc)
        fc_tap_close(tap);
    else
        *out = tap;
    return rc;
}

FC_EXPORT int fc_tap_start(struct fc_tap *tap, struct fc_recorder *recorder, struct fc_error *err)
{
    int rc = 0;

    tap->shared.recorder = recorder;
    for (size_t i = 0; i < tap->count; i++)
        tap->shared.left += tap->sources[i].count;
    for (size_t i = 0; rc == 0 && i < tap->count; i++)
        rc = fc_tap_source_start(&tap->sources[i], err);
    return rc;
}

FC_EXPORT void fc_tap_close(struct fc_tap *tap)
{
    if (!tap)
        return;
    __atomic_store_n(&tap->shared.closing, true, __ATOMIC_RELAXED);
    for (size_t i = 0; i < tap->count; i++)
        fc_tap_source_fini(&tap->sources[i]);
    pthread_mutex_destroy(&tap->shared.words);
    free(tap->sources);
    free(tap->filter);
    free(tap);
}
