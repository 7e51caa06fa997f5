/* SPDX-License-Identifier: MIT */
/*
 * The options that an index remembers, and what follows from them: session rules, decode mask, and which records are
 * left out at the door. Immutable after fc_settings_init(), but for the compiled filters, which are made on first use.
 */
#ifndef FC_INDEX_SETTINGS_H
#define FC_INDEX_SETTINGS_H

#include "flow/rules.h"

#include <flowcarve/capture.h>
#include <flowcarve/decode.h>
#include <flowcarve/index.h>

struct fc_bpf;
struct fc_libpcap;

struct fc_settings {
    struct fc_rules rules;
    uint32_t mask;                                                      /* FC_WANT_* and FC_KEY_* for fc_decode() */
    uint32_t fields;                                                    /* FC_FIELD_* for the writer; 0: none */
    char *profile, *timeouts, *field_list, *filter, *exclude_net, *key; /* as stored in meta */
    struct fc_net *nets;                                                /* excluded, ascending, disjoint */
    size_t net_count;
};

/* An excluded range of addresses, both ends included; IPv4 as the last 4 bytes of 16, kind FC_ADDR_*. */
struct fc_net {
    uint8_t low[16], high[16];
    uint8_t kind;
};

/* Settings from texts (NULL: default). FC_E_USAGE with the cause. On success fc_settings_fini() frees. */
int fc_settings_init(struct fc_settings *settings, const struct fc_index_options *options, struct fc_error *err);
void fc_settings_fini(struct fc_settings *settings);

/* True when one of the key's addresses is excluded. Any thread. */
bool fc_settings_excludes(const struct fc_settings *settings, const struct fc_flow_key *key);

/*
 * One thread's compiled forms of settings->filter, one a link type. NULL filter: everything matches.
 */
struct fc_door {
    const struct fc_settings *settings;
    const struct fc_libpcap *libpcap; /* NULL: not asked for yet */
    struct fc_bpf *programs;
    size_t count;
};
void fc_door_init(struct fc_door *door, const struct fc_settings *settings);
void fc_door_fini(struct fc_door *door);
/* 1: the record matches; 0: not, or the filter does not work on its link type; FC_E_NOMEM; FC_E_IO: no libpcap. */
int fc_door_match(struct fc_door *door, const struct fc_record *rec, struct fc_error *err);
/* 1: the filter works on records of this link type; 0: not, and libpcap's words why in err; or as above. */
int fc_door_fits(struct fc_door *door, uint32_t link_type, struct fc_error *err);

/* 0: the filter works on some link type; FC_E_USAGE: on none (libpcap's words in err); FC_E_NOMEM; FC_E_IO. */
int fc_door_check(const struct fc_settings *settings, struct fc_error *err);

#endif
