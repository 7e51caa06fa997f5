/* SPDX-License-Identifier: MIT */
#include "fcgen.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum option_id {
    OPT_PACKETS = 256,
    OPT_BYTES,
    OPT_SESSIONS,
    OPT_PER_SESSION,
    OPT_CONCURRENT,
    OPT_BURST,
    OPT_SIZES,
    OPT_RATE,
    OPT_START,
    OPT_IPV6,
    OPT_VLAN,
    OPT_PROTO,
    OPT_FRAGMENTS,
    OPT_DISORDER,
    OPT_PAYLOAD,
    OPT_CLIENTS,
    OPT_SERVERS,
    OPT_FORMAT,
    OPT_NS,
    OPT_US,
    OPT_BIG,
    OPT_SNAPLEN,
    OPT_INTERFACES,
    OPT_FILES,
    OPT_FILE_SIZE,
    OPT_OVERLAP,
    OPT_BACKWARD,
    OPT_REUSE,
    OPT_SEED,
    OPT_PRESET,
    OPT_SCALE,
    OPT_TRUTH,
    OPT_TRUTH_PACKETS,
};

/* One table makes the parser and --help. Lines without a long name are headings. */
struct option_line {
    const char *name;
    int id;
    const char *arg; /* NULL: takes none */
    const char *help;
};

static const struct option_line lines[] = {
    {NULL, 0, NULL, "How much:"},
    {"packets", OPT_PACKETS, "N", "stop after N packets (0: no limit)"},
    {"bytes", OPT_BYTES, "N", "stop after N bytes of capture; k, M, G are powers of 1000 (0: no limit)"},
    {"sessions", OPT_SESSIONS, "N", "number of sessions aimed at (0: by --packets-per-session)"},
    {"packets-per-session", OPT_PER_SESSION, "N", "mean; lengths are heavy-tailed (bounded Pareto)"},
    {"preset", OPT_PRESET, "NAME", "mix | small | elephant | demo | many; options after it change it"},
    {"scale", OPT_SCALE, "F", "multiply the packets, bytes and sessions of the preset by F"},
    {"seed", OPT_SEED, "N", "same options, same seed: same bytes"},
    {NULL, 0, NULL, "Traffic:"},
    {"concurrent", OPT_CONCURRENT, "N",
     "sessions active at once; memory follows it; at most a tenth of --sessions unless given"},
    {"burst", OPT_BURST, "N", "longest mean burst of one session, packets (1-255)"},
    {"rate", OPT_RATE, "N", "packets per second of capture time"},
    {"start", OPT_START, "EPOCH", "time of the first packet, seconds"},
    {"sizes", OPT_SIZES, "S", "frame lengths: mix | imix | small (60-90) | full | MIN-MAX"},
    {"proto", OPT_PROTO, "MIX", "percent of sessions, e.g. tcp=70,udp=25,icmp=3,arp=1,sctp=1; sums to 100"},
    {"ipv6", OPT_IPV6, "PERCENT", "sessions over IPv6"},
    {"vlan", OPT_VLAN, "PERCENT", "sessions in a VLAN, an eighth of them with two tags"},
    {"fragments", OPT_FRAGMENTS, "PERCENT", "UDP datagrams sent in 2-4 IP fragments"},
    {"fragment-disorder", OPT_DISORDER, NULL, "fragments shuffled, some delayed behind other packets"},
    {"port-reuse", OPT_REUSE, "PERCENT", "new TCP/UDP sessions on the 5-tuple of an ended one"},
    {"backward", OPT_BACKWARD, "PERCENT", "packets whose time jumps back, by up to 0.1 s"},
    {"payload", OPT_PAYLOAD, "KIND", "random | zero | capture (looks like pcap records)"},
    {"clients", OPT_CLIENTS, "N", "client addresses"},
    {"servers", OPT_SERVERS, "N", "server addresses"},
    {NULL, 0, NULL, "Files:"},
    {"write", 'w', "NAME", "capture to write; - is standard output; with several files, a prefix or DIR/"},
    {"format", OPT_FORMAT, "F", "pcap | pcapng"},
    {"us", OPT_US, NULL, "times in microseconds (default)"},
    {"ns", OPT_NS, NULL, "times in nanoseconds"},
    {"big-endian", OPT_BIG, NULL, "file headers in big-endian order"},
    {"snaplen", OPT_SNAPLEN, "N", "bytes captured of each packet"},
    {"interfaces", OPT_INTERFACES, "N", "interfaces of a pcapng (1-255)"},
    {"files", OPT_FILES, "N", "split into N files, NAME-0001.pcap...; sessions cross them"},
    {"file-size", OPT_FILE_SIZE, "BYTES", "split when a file has this many bytes"},
    {"overlap", OPT_OVERLAP, NULL, "--files are taps of the same time: each packet goes to one of them at random"},
    {"truth", OPT_TRUTH, "FILE", "one TSV line a session, in order of first packet"},
    {"truth-packets", OPT_TRUTH_PACKETS, "FILE", "one TSV line a packet, in order of writing"},
    {"quiet", 'q', NULL, "no summary on standard error"},
    {"help", 'h', NULL, "this text"},
};

#define LINE_COUNT (sizeof lines / sizeof lines[0])

/* The default of a number, or -1 where there is none to show. */
static int64_t default_number(const struct fcgen_options *d, int id)
{
    switch (id) {
    case OPT_PACKETS:
        return (int64_t)d->packets;
    case OPT_BYTES:
        return (int64_t)d->bytes;
    case OPT_SESSIONS:
        return (int64_t)d->sessions;
    case OPT_PER_SESSION:
        return (int64_t)d->per_session;
    case OPT_CONCURRENT:
        return d->concurrent;
    case OPT_BURST:
        return d->burst;
    case OPT_RATE:
        return d->rate;
    case OPT_START:
        return (int64_t)d->start_sec;
    case OPT_IPV6:
        return d->ipv6_bp / 100;
    case OPT_VLAN:
        return d->vlan_bp / 100;
    case OPT_FRAGMENTS:
    case OPT_REUSE:
    case OPT_BACKWARD:
        return 0;
    case OPT_CLIENTS:
        return d->clients;
    case OPT_SERVERS:
        return d->servers;
    case OPT_SNAPLEN:
        return d->snaplen;
    case OPT_INTERFACES:
        return d->interfaces;
    case OPT_FILES:
        return d->files;
    case OPT_SEED:
        return (int64_t)d->seed;
    default:
        return -1;
    }
}

static const char *default_word(int id)
{
    switch (id) {
    case OPT_SIZES:
        return "mix";
    case OPT_FORMAT:
        return "pcap";
    case OPT_PAYLOAD:
        return "random";
    case OPT_PROTO:
        return "tcp=70,udp=25,icmp=3,arp=1,sctp=1";
    default:
        return NULL;
    }
}

void fcgen_options_help(const struct fcgen_options *defaults)
{
    printf("usage: fcgen [options] -w NAME\n"
           "Writes deterministic, realistic captures, and the truth about the sessions in them.\n");
    for (size_t i = 0; i < LINE_COUNT; i++) {
        const struct option_line *l = &lines[i];
        char left[64];
        if (l->name == NULL) {
            printf("\n%s\n", l->help);
            continue;
        }
        snprintf(left, sizeof left, "--%s%s%s", l->name, l->arg ? " " : "", l->arg ? l->arg : "");
        if (l->id < 256)
            printf("  -%c, %-24s %s", l->id, left, l->help);
        else
            printf("  %-28s %s", left, l->help);
        int64_t number = default_number(defaults, l->id);
        if (number >= 0)
            printf(" [%" PRId64 "]", number);
        else if (default_word(l->id) != NULL)
            printf(" [%s]", default_word(l->id));
        putchar('\n');
    }
}

static int set_number(const char *text, uint64_t min, uint64_t max, uint64_t *out64, uint32_t *out32)
{
    uint64_t v = 0;
    if (fcgen_parse_count(text, max, &v) != 0 || v < min)
        return -1;
    if (out64 != NULL)
        *out64 = v;
    else
        *out32 = (uint32_t)v;
    return 0;
}

static int set_amount(struct fcgen_options *o, int id, const char *v)
{
    const uint64_t big = UINT64_MAX / 1000;
    switch (id) {
    case OPT_PACKETS:
        return set_number(v, 0, UINT32_MAX, &o->packets, NULL);
    case OPT_BYTES:
        return set_number(v, 0, big, &o->bytes, NULL);
    case OPT_SESSIONS:
        return set_number(v, 0, UINT32_MAX, &o->sessions, NULL);
    case OPT_PER_SESSION:
        o->sessions = 0;
        return set_number(v, 1, UINT32_MAX, &o->per_session, NULL);
    case OPT_SEED:
        return set_number(v, 0, UINT64_MAX, &o->seed, NULL);
    case OPT_CONCURRENT:
        o->concurrent_given = true;
        return set_number(v, 1, 1u << 26, NULL, &o->concurrent);
    case OPT_BURST:
        return set_number(v, 1, 255, NULL, &o->burst);
    case OPT_RATE:
        return set_number(v, 1, 100000000, NULL, &o->rate);
    case OPT_START:
        return set_number(v, 1, UINT32_MAX, &o->start_sec, NULL);
    case OPT_CLIENTS:
        return set_number(v, 1, 1u << 20, NULL, &o->clients);
    case OPT_SERVERS:
        return set_number(v, 1, 1u << 17, NULL, &o->servers);
    default:
        return -1;
    }
}

static int set_kind(struct fcgen_options *o, int id, const char *v)
{
    switch (id) {
    case OPT_SIZES:
        return fcgen_parse_sizes(v, o);
    case OPT_PROTO:
        return fcgen_parse_proto(v, o);
    case OPT_IPV6:
        return fcgen_parse_percent(v, &o->ipv6_bp);
    case OPT_VLAN:
        return fcgen_parse_percent(v, &o->vlan_bp);
    case OPT_FRAGMENTS:
        return fcgen_parse_percent(v, &o->fragments_bp);
    case OPT_REUSE:
        return fcgen_parse_percent(v, &o->reuse_bp);
    case OPT_BACKWARD:
        return fcgen_parse_percent(v, &o->backward_bp);
    case OPT_DISORDER:
        o->fragment_disorder = true;
        return 0;
    case OPT_PAYLOAD:
        o->payload = strcmp(v, "zero") == 0      ? FCGEN_PAYLOAD_ZERO
                     : strcmp(v, "capture") == 0 ? FCGEN_PAYLOAD_CAPTURE
                                                 : FCGEN_PAYLOAD_RANDOM;
        return o->payload == FCGEN_PAYLOAD_RANDOM && strcmp(v, "random") != 0 ? -1 : 0;
    default:
        return set_amount(o, id, v);
    }
}

static int set_option(struct fcgen_options *o, int id, const char *v)
{
    switch (id) {
    case 'w':
        o->out = v;
        return 0;
    case 'q':
        o->quiet = true;
        return 0;
    case OPT_TRUTH:
        o->truth = v;
        return 0;
    case OPT_TRUTH_PACKETS:
        o->truth_packets = v;
        return 0;
    case OPT_FORMAT:
        o->pcapng = strcmp(v, "pcapng") == 0;
        return o->pcapng || strcmp(v, "pcap") == 0 ? 0 : -1;
    case OPT_NS:
    case OPT_US:
        o->nanoseconds = id == OPT_NS;
        return 0;
    case OPT_BIG:
        o->big_endian = true;
        return 0;
    case OPT_OVERLAP:
        o->overlap = true;
        return 0;
    case OPT_SNAPLEN:
        return set_number(v, 14, 262144, NULL, &o->snaplen);
    case OPT_INTERFACES:
        return set_number(v, 1, 255, NULL, &o->interfaces);
    case OPT_FILES:
        o->file_size = 0;
        return set_number(v, 1, 1000000, NULL, &o->files);
    case OPT_FILE_SIZE:
        o->files = 1;
        return set_number(v, 1000, UINT64_MAX / 1000, &o->file_size, NULL);
    case OPT_PRESET:
    case OPT_SCALE:
        return 0; /* done before all others */
    default:
        return set_kind(o, id, v);
    }
}

/* What no option alone can show. */
static const char *conflict(const struct fcgen_options *o)
{
    if (o->out == NULL)
        return "where to? give -w NAME, or -w - for standard output";
    if (o->packets == 0 && o->bytes == 0)
        return "give --packets or --bytes: a capture must end";
    if ((o->files > 1 || o->file_size) && strcmp(o->out, "-") == 0)
        return "several files do not go to standard output";
    if (o->overlap && (o->files < 2 || o->files > 256))
        return "--overlap needs --files 2 to 256";
    if (o->interfaces > 1 && !o->pcapng)
        return "several --interfaces need --format pcapng";
    if (o->concurrent > 2ull * o->rate)
        return "--concurrent above twice --rate: sessions would be silent for longer than timeouts allow";
    return NULL;
}

static void fill_getopt(struct option *out)
{
    size_t n = 0;
    for (size_t i = 0; i < LINE_COUNT; i++) {
        if (lines[i].name != NULL)
            out[n++] =
                (struct option){lines[i].name, lines[i].arg ? required_argument : no_argument, NULL, lines[i].id};
    }
    out[n] = (struct option){0};
}

/* Preset and scale hold for the whole line, wherever they stand in it. */
static int parse_preset(struct fcgen_options *opt, int argc, char **argv, const struct option *table)
{
    const char *preset = NULL;
    double scale = 1;
    bool packets_given = false, bytes_given = false;
    int id;
    optind = 0;
    while ((id = getopt_long(argc, argv, "w:qh", table, NULL)) != -1) {
        if (id == '?')
            return -1;
        if (id == 'h') {
            fcgen_options_help(opt);
            return 1;
        }
        packets_given |= id == OPT_PACKETS;
        bytes_given |= id == OPT_BYTES;
        if (id == OPT_PRESET)
            preset = optarg;
        if (id == OPT_SCALE && fcgen_parse_scale(optarg, &scale) != 0) {
            fprintf(stderr, "fcgen: --scale: not understood: %s\n", optarg);
            return -1;
        }
    }
    if (preset != NULL && fcgen_options_preset(opt, preset) != 0) {
        fprintf(stderr, "fcgen: unknown preset: %s\n", preset);
        return -1;
    }
    fcgen_options_scale(opt, scale);
    /* A limit asked for replaces the other kind that nobody asked for. */
    if (bytes_given && !packets_given)
        opt->packets = 0;
    if (packets_given && !bytes_given)
        opt->bytes = 0;
    return 0;
}

int fcgen_options_parse(struct fcgen_options *opt, int argc, char **argv)
{
    struct option table[LINE_COUNT + 1];
    int id, index = 0;
    fill_getopt(table);
    fcgen_options_defaults(opt);
    int rc = parse_preset(opt, argc, argv, table);
    if (rc != 0)
        return rc;
    optind = 0;
    while ((id = getopt_long(argc, argv, "w:qh", table, &index)) != -1) {
        if (set_option(opt, id, optarg) != 0) {
            fprintf(stderr, "fcgen: --%s: not understood: %s\n", table[index].name, optarg ? optarg : "");
            return -1;
        }
    }
    /* Few sessions should still come one after another; ten or less are elephants, side by side. */
    if (!opt->concurrent_given && opt->sessions > 10 && opt->concurrent > (opt->sessions + 9) / 10)
        opt->concurrent = (uint32_t)((opt->sessions + 9) / 10);
    const char *why = optind < argc ? "no other arguments are taken" : conflict(opt);
    if (why != NULL) {
        fprintf(stderr, "fcgen: %s (--help explains)\n", why);
        return -1;
    }
    /* A burst lasts at most four seconds even at low rates, so that others are not silent for long. */
    if (opt->burst > opt->rate)
        opt->burst = opt->rate;
    return 0;
}
