/* SPDX-License-Identifier: MIT */
#include "cli/index_options.h"

#include <stdlib.h>

const struct fc_values fc_index_values[] = {
#define WORD(FIELD, bit, name, want) name " "
    {"fields", FC_FIELDS(WORD) "all"},
    {"profile", "flowcarve wireshark zeek suricata arkime yaf"},
    {"key", "vlan tunnel"},
    {"timeout", "tcp-new= tcp= tcp-closed= udp-new= udp= icmp= sctp= other= active="},
    {0},
};

int fc_index_option(struct fc_index_words *w, const char *command, int option, const char *value)
{
    int64_t n;

    switch (option) {
    case FC_INDEX_JOBS:
        if (!fc_number_option(value, 1, 256, &n)) {
            fc_complain("%s: --jobs takes a number from 1 to 256, not '%s'", command, value);
            return -1;
        }
        w->o.jobs = (unsigned)n;
        return 0;
    case FC_INDEX_FIELDS:
        return fc_list_option(&w->fields, value);
    case FC_INDEX_FILTER:
        if (w->o.filter) {
            fc_complain("%s: --filter may be given once; join filters by 'and' or 'or'", command);
            return -1;
        }
        w->o.filter = value;
        return 0;
    case FC_INDEX_EXCLUDE:
        return fc_list_option(&w->exclude_net, value);
    case FC_INDEX_PROFILE:
        w->o.profile = value;
        return 0;
    case FC_INDEX_TIMEOUT:
        return fc_list_option(&w->timeouts, value);
    case FC_INDEX_KEY:
        return fc_list_option(&w->key, value);
    case FC_INDEX_OUTER:
        w->outer = true;
        return 0;
    case FC_INDEX_CHUNK:
        if (!fc_size_option(value, &w->o.chunk_bytes) || w->o.chunk_bytes < 65536 || w->o.chunk_bytes > (1 << 30)) {
            fc_complain("%s: --chunk-size takes 64k to 1G, not '%s'", command, value);
            return -1;
        }
        return 0;
    default:
        if (!fc_size_option(value, &w->o.memory_bytes) || w->o.memory_bytes < (16 << 20)) {
            fc_complain("%s: --memory takes 16M or more, not '%s'", command, value);
            return -1;
        }
        return 0;
    }
}

int fc_index_words_end(struct fc_index_words *w)
{
    if (w->outer && fc_list_option(&w->key, "outer"))
        return -1;
    w->o.fields = w->fields;
    w->o.exclude_net = w->exclude_net;
    w->o.timeouts = w->timeouts;
    w->o.key = w->key;
    return 0;
}

void fc_index_words_fini(struct fc_index_words *w)
{
    free(w->fields);
    free(w->exclude_net);
    free(w->timeouts);
    free(w->key);
}
