/* SPDX-License-Identifier: MIT */
/*
 * A packet layer by layer, as the decoder goes through it, with the fields of its headers and the bytes that these are
 * made of. Goes down to the innermost layer, whatever the session's key is. Headers up to layer 4 alone.
 *
 * Threads: any. Memory: a layer and what it points to are valid during the call that gets them.
 */
#ifndef FLOWCARVE_LAYERS_H
#define FLOWCARVE_LAYERS_H

#include <flowcarve/capture.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct fc_layer_field {
    const char *name;  /* "src", "ttl"; "cut", the last one: more of the header was not captured */
    char value[64];    /* as text; "": it has none */
    uint32_t off, len; /* bytes of the packet that it is made of; len 0: none of its own */
};

struct fc_layer_told {
    const char *name; /* "ethernet", "vlan", "ipv4", "tcp", "payload"... */
    uint32_t off, len;
    unsigned depth; /* encapsulations around it */
    const struct fc_layer_field *field;
    size_t fields;
};

/* A code other than 0 ends it and is given back. */
typedef int fc_layer_take(void *ctx, const struct fc_layer_told *layer);

/*
 * Tells the layers of a record from the outside in; 0, or what `take` gave. *malformed (may be NULL): a header is
 * broken or cut.
 */
int fc_layers_tell(const struct fc_record *record, fc_layer_take *take, void *ctx, bool *malformed);

#ifdef __cplusplus
}
#endif
#endif
