/* SPDX-License-Identifier: MIT */
#include "cli/index_options.h"

#include <stdlib.h>
#include <string.h>

const struct fc_values fc_index_values[] = {
#define WORD(FIELD, bit, name, want) name " "
    {"fields", FC_FIELDS(WORD) "all"},
    {"profile", "flowcarve wireshark zeek suricata arkime yaf"},
    {"key", "vlan tunnel"},
    {"timeout", "tcp-new= tcp= tcp-closed= udp-new= udp= icmp= sctp= other= active="},
    {0},
};

int fc_take_jobs(const char *command, void *jobs, const char *value)
{
    int64_t n;

    if (fc_number_option(value, 1, 256, &n)) {
        *(unsigned *)jobs = (unsigned)n;
        return 0;
    }
    fc_complain("%s: --jobs takes a number from 1 to 256, not '%s'", command, value);
    return -1;
}

int fc_take_index_filter(const char *command, void *filter, const char *value)
{
    const char **place = filter;

    if (*place) {
        fc_complain("%s: --filter may be given once; join filters by 'and' or 'or'", command);
        return -1;
    }
    *place = value;
    return 0;
}

int fc_take_chunk(const char *command, void *bytes, const char *value)
{
    uint64_t *chunk = bytes;

    if (fc_size_option(value, chunk) && *chunk >= 65536 && *chunk <= (1 << 30))
        return 0;
    fc_complain("%s: --chunk-size takes 64k to 1G, not '%s'", command, value);
    return -1;
}

int fc_take_memory(const char *command, void *bytes, const char *value)
{
    uint64_t *memory = bytes;

    if (fc_size_option(value, memory) && *memory >= (16 << 20))
        return 0;
    fc_complain("%s: --memory takes 16M or more, not '%s'", command, value);
    return -1;
}

int fc_take_list(const char *command, void *place, const char *value)
{
    char **list = place;
    size_t have = *list ? strlen(*list) + 1 : 0, more = strlen(value) + 1;
    char *both = realloc(*list, have + more);

    if (!both) {
        fc_complain("%s: out of memory", command);
        return -1;
    }
    if (have)
        both[have - 1] = ',';
    memcpy(both + have, value, more);
    *list = both;
    return 0;
}

int fc_index_words_end(struct fc_index_words *w)
{
    if (w->outer && fc_take_list("index", &w->key, "outer"))
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
