/* SPDX-License-Identifier: MIT */
/* Options of `flowcarve carve`; the command itself is in cmd_carve.c. */
#include "cli/cmd_carve.h"
#include "cli/filter_words.h"

#include <stdlib.h>
#include <string.h>

static int take_format(const char *command, void *place, const char *value)
{
    enum fc_carve_format *format = place;

    if (strcmp(value, "pcap") == 0) {
        *format = FC_CARVE_PCAP;
    } else if (strcmp(value, "pcapng") == 0) {
        *format = FC_CARVE_PCAPNG;
    } else {
        fc_complain("%s: --format takes pcap or pcapng, not '%s'", command, value);
        return -1;
    }
    return 0;
}

static int take_compression(const char *command, void *args, const char *value)
{
    static const char *const names[] = {"none", "gzip", "zstd", "lz4", "xz"}; /* enum fc_compression */
    struct fc_carve_args *a = args;

    a->compress = true;
    for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(value, names[i]) == 0) {
            a->o.compression = (enum fc_compression)i;
            return 0;
        }
    fc_complain("%s: --compress takes gzip, zstd, lz4, xz or none, not '%s'", command, value);
    return -1;
}

static int take_direction(const char *command, void *options, const char *value)
{
    struct fc_carve_options *o = options;
    int direction, rc = fc_take_direction(command, &direction, value);

    if (rc == 0) {
        o->one_direction = direction >= 0;
        o->from = direction == FC_FROM_SERVER ? FC_FROM_SERVER : FC_FROM_CLIENT;
    }
    return rc;
}

static int take_first_packets(const char *command, void *packets, const char *value)
{
    int64_t number;

    if (fc_number_option(value, 1, INT64_MAX, &number)) {
        *(uint64_t *)packets = (uint64_t)number;
        return 0;
    }
    fc_complain("%s: --first-packets takes a number from 1 on, not '%s'", command, value);
    return -1;
}

static int take_first_bytes(const char *command, void *bytes, const char *value)
{
    if (fc_size_option(value, bytes) && *(uint64_t *)bytes)
        return 0;
    fc_complain("%s: --first-bytes takes a size as 1500 or 64k, not '%s'", command, value);
    return -1;
}

static bool read_duration(const char *text, int64_t *ns)
{
    *ns = 0;
    return strcmp(text, "0") == 0 || fc_duration_option(text, ns);
}

static int take_peers(const char *command, void *args, const char *value)
{
    struct fc_carve_args *a = args;
    const char *comma = strchr(value, ',');
    char *before = comma ? strndup(value, (size_t)(comma - value)) : NULL;

    a->peers = before && read_duration(before, &a->before_ns) && read_duration(comma + 1, &a->after_ns);
    free(before);
    if (a->peers)
        return 0;
    fc_complain("%s: --with-peers takes two durations as 10s,5m, not '%s'", command, value);
    return -1;
}

static int take_silence(const char *command, void *place, const char *value)
{
    const int64_t day = INT64_C(86400000000000);
    int64_t *ns = place;

    if (fc_duration_option(value, ns) && *ns >= 1000000 && *ns <= day)
        return 0;
    fc_complain("%s: --silence takes a time up to a day, as 30s or 5m, not '%s'", command, value);
    return -1;
}

const struct fc_option fc_carve_option_table[] = {
    FC_OPTION_DB(struct fc_carve_args),
    FC_OPTION_READ(struct fc_carve_args),
    FC_OPTION_NO_KEEP(struct fc_carve_args),
    {"write", 'w', "FILE", "the capture to write; - for standard output", FC_WORD(struct fc_carve_args, path)},
    {"split", 0, "DIR", "write a capture for each session to a folder, in place of -w; those there are kept",
     FC_WORD(struct fc_carve_args, folder)},
    {"id", 'i', "LIST", "sessions by their IDs: numbers and ranges as 1,5-30, @FILE, or - for standard input",
     FC_TAKE(struct fc_carve_args, ids, fc_take_ids)},
    FC_OPTION_FROM(struct fc_carve_args),
    FC_OPTION_SLACK(struct fc_carve_args),
    {"format", 'f', "NAME", "pcap or pcapng (default: what FILE's suffix says, else pcap where it can hold the result)",
     FC_TAKE(struct fc_carve_args, o.format, take_format)},
    {"compress", 0, "NAME", "gzip, zstd, lz4, xz or none (default: what FILE's suffix says)",
     FC_TAKE_ALL(take_compression)},
    {"direction", 0, "NAME", "what client or server has sent, or both (default)",
     FC_TAKE(struct fc_carve_args, o, take_direction)},
    {"first-packets", 0, "N", "the first N packets of each session",
     FC_TAKE(struct fc_carve_args, o.first_packets, take_first_packets)},
    {"first-bytes", 0, "SIZE", "the packets with which each session comes to SIZE bytes, as 64k",
     FC_TAKE(struct fc_carve_args, o.first_bytes, take_first_bytes)},
    {"comments", 0, NULL, "pcapng with a comment on each session's first packet: its ID, capture and record number",
     FC_FLAG(struct fc_carve_args, o.comments)},
    {"list", 0, NULL, "carve nothing, print where the packets are, a JSON object a line",
     FC_FLAG(struct fc_carve_args, list)},
    {"with-peers", 0, "BEFORE,AFTER",
     "also all sessions between the same two hosts that were active around them, as 10s,5m", FC_TAKE_ALL(take_peers)},
    FC_OPTION_CLUSTER(struct fc_carve_args),
    FC_OPTION_MAX_ROWS(struct fc_carve_args),
    FC_OPTION_DEADLINE(struct fc_carve_args),
    {"silence", 0, "TIME", "with --cluster: give a sensor up that sends nothing for so long (default: 30s)",
     FC_TAKE(struct fc_carve_args, silence_ns, take_silence)},
    {"partial", 0, NULL, "carve the rest when captures or sensors are missing or have changed",
     FC_FLAG(struct fc_carve_args, o.partial)},
    {"json", 0, NULL, "print the result as a JSON object, on standard output; with -w - on standard error",
     FC_FLAG(struct fc_carve_args, json)},
    FC_OPTION_MODE(struct fc_carve_args, rights),
    FC_OPTION_GROUP(struct fc_carve_args, rights),
    FC_OPTION_TZ(struct fc_carve_args),
    FC_OPTION_FILTER_FILE(struct fc_carve_args),
    {"quiet", 'q', NULL, "errors only", FC_FLAG(struct fc_carve_args, quiet)},
    {"verbose", 'v', NULL, "also tell how many bytes were read and decompressed, and in lines of progress",
     FC_FLAG(struct fc_carve_args, verbose)},
    {0},
};

const struct fc_values fc_carve_values[] = {
    {"format", "pcap pcapng"},
    {"direction", "client server both"},
    {"compress", "gzip zstd lz4 xz none"},
    {0},
};
