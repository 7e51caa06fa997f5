/* SPDX-License-Identifier: MIT */
#include "fcgen.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void fcgen_options_defaults(struct fcgen_options *opt)
{
    *opt = (struct fcgen_options){
        .packets = 100000,
        .per_session = 22,
        .concurrent = 500,
        .burst = 32,
        .rate = 5000,
        .start_sec = 1700000000,
        .sizes = FCGEN_SIZES_MIX,
        .proto = {70, 25, 3, 1, 1},
        .ipv6_bp = 1000,
        .vlan_bp = 500,
        .snaplen = 262144,
        .files = 1,
        .interfaces = 1,
        .clients = 8192,
        .servers = 16384,
        .seed = 1,
    };
}

static void preset_small(struct fcgen_options *opt)
{
    opt->packets = 20000000;
    opt->sessions = 4500000;
    opt->concurrent = 50000;
    opt->rate = 100000;
    opt->sizes = FCGEN_SIZES_RANGE;
    opt->size_min = 60;
    opt->size_max = 90;
    opt->ipv6_bp = 0;
    opt->vlan_bp = 0;
    opt->clients = 65536;
    opt->servers = 65536;
}

static void preset_elephant(struct fcgen_options *opt)
{
    opt->packets = 0;
    opt->bytes = 4000000000;
    opt->sessions = 10;
    opt->concurrent = 10;
    opt->rate = 80000;
    opt->sizes = FCGEN_SIZES_FULL;
    opt->ipv6_bp = 0;
    opt->vlan_bp = 0;
    memcpy(opt->proto, (uint32_t[FCGEN_PROTO_COUNT]){100, 0, 0, 0, 0}, sizeof opt->proto);
}

static void preset_demo(struct fcgen_options *opt)
{
    opt->packets = 20000;
    opt->sessions = 400;
    opt->concurrent = 40;
    opt->rate = 200;
    opt->sizes = FCGEN_SIZES_IMIX;
    opt->ipv6_bp = 2000;
    opt->vlan_bp = 1500;
    opt->fragments_bp = 400;
    opt->files = 2;
    opt->clients = 24;
    opt->servers = 40;
    memcpy(opt->proto, (uint32_t[FCGEN_PROTO_COUNT]){58, 27, 7, 6, 2}, sizeof opt->proto);
}

static void preset_mix(struct fcgen_options *opt)
{
    opt->packets = 5000000;
    opt->sessions = 230000;
    opt->concurrent = 4000;
    opt->rate = 10000;
    opt->fragments_bp = 50;
}

static void preset_many(struct fcgen_options *opt)
{
    preset_mix(opt);
    opt->packets = 0;
    opt->bytes = 4000000000;
    opt->files = 20000;
}

int fcgen_options_preset(struct fcgen_options *opt, const char *name)
{
    static const struct {
        const char *name;
        void (*set)(struct fcgen_options *);
    } presets[] = {
        {"mix", preset_mix},   {"small", preset_small}, {"elephant", preset_elephant},
        {"demo", preset_demo}, {"many", preset_many},
    };
    for (size_t i = 0; i < sizeof presets / sizeof presets[0]; i++) {
        if (strcmp(name, presets[i].name) == 0) {
            presets[i].set(opt);
            return 0;
        }
    }
    return -1;
}

static uint64_t scaled(uint64_t v, double factor)
{
    uint64_t out = (uint64_t)((double)v * factor);
    return v != 0 && out == 0 ? 1 : out;
}

void fcgen_options_scale(struct fcgen_options *opt, double factor)
{
    opt->packets = scaled(opt->packets, factor);
    opt->bytes = scaled(opt->bytes, factor);
    /* Many captures stay as small as they are. */
    if (opt->files > 100)
        opt->files = (uint32_t)scaled(opt->files, factor);
    /* Elephants stay ten: there the scale is their length. */
    if (opt->sessions > opt->concurrent)
        opt->sessions = scaled(opt->sessions, factor);
}

int fcgen_parse_count(const char *text, uint64_t max, uint64_t *out)
{
    char *end;
    errno = 0;
    if (*text < '0' || *text > '9')
        return -1;
    unsigned long long v = strtoull(text, &end, 10);
    const char *units = "kMG", *unit = *end != '\0' ? strchr(units, *end) : NULL;
    uint64_t times = 1;
    if (unit != NULL) {
        for (const char *u = units; u <= unit; u++)
            times *= 1000;
        end++;
    }
    if (errno != 0 || *end != '\0' || v > max / times)
        return -1;
    *out = v * times;
    return 0;
}

int fcgen_parse_percent(const char *text, uint32_t *out_bp)
{
    char *end;
    double v = strtod(text, &end);
    if (end == text || *end != '\0' || !(v >= 0 && v <= 100))
        return -1;
    *out_bp = (uint32_t)(v * 100 + 0.5);
    return 0;
}

int fcgen_parse_scale(const char *text, double *out)
{
    char *end;
    *out = strtod(text, &end);
    return end == text || *end != '\0' || !(*out > 0 && *out <= 1000) ? -1 : 0;
}

int fcgen_parse_sizes(const char *text, struct fcgen_options *opt)
{
    char *end;
    if (strcmp(text, "mix") == 0) {
        opt->sizes = FCGEN_SIZES_MIX;
        return 0;
    }
    if (strcmp(text, "imix") == 0) {
        opt->sizes = FCGEN_SIZES_IMIX;
        return 0;
    }
    if (strcmp(text, "full") == 0) {
        opt->sizes = FCGEN_SIZES_FULL;
        return 0;
    }
    if (strcmp(text, "small") == 0)
        text = "60-90";
    unsigned long min = strtoul(text, &end, 10), max = 0;
    if (*end == '-')
        max = strtoul(end + 1, &end, 10);
    if (*end != '\0' || min < FCGEN_MIN_FRAME || max < min || max > 65549)
        return -1;
    opt->sizes = FCGEN_SIZES_RANGE;
    opt->size_min = (uint32_t)min;
    opt->size_max = (uint32_t)max;
    return 0;
}

int fcgen_parse_proto(const char *text, struct fcgen_options *opt)
{
    static const char *const names[FCGEN_PROTO_COUNT] = {"tcp", "udp", "icmp", "arp", "sctp"};
    uint32_t mix[FCGEN_PROTO_COUNT] = {0}, sum = 0;
    while (*text != '\0') {
        size_t len = strcspn(text, "="), i = 0;
        while (i < FCGEN_PROTO_COUNT && (strlen(names[i]) != len || memcmp(text, names[i], len) != 0))
            i++;
        if (i == FCGEN_PROTO_COUNT || text[len] != '=')
            return -1;
        char *end;
        unsigned long v = strtoul(text + len + 1, &end, 10);
        if (v > 100 || (*end != ',' && *end != '\0'))
            return -1;
        sum += (uint32_t)v - mix[i];
        mix[i] = (uint32_t)v;
        text = *end == ',' ? end + 1 : end;
    }
    if (sum != 100)
        return -1;
    memcpy(opt->proto, mix, sizeof mix);
    return 0;
}
