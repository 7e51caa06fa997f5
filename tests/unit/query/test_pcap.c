/* SPDX-License-Identifier: MIT */
/*
 * libpcap as the judge of the language: a session becomes a packet from its client to its server, and a filter that
 * libpcap compiles must be accepted here and take the same sessions. It judges the parser and its reading of words;
 * test_sql.c then holds the SQL against the same tree.
 */
#include "query_test.h"

#include <arpa/inet.h>
#include <pcap/pcap.h>

struct packet {
    uint8_t bytes[128];
    uint32_t len;
};

static void put(struct packet *p, const void *bytes, size_t len)
{
    memcpy(p->bytes + p->len, bytes, len);
    p->len += (uint32_t)len;
}

static void put16(struct packet *p, unsigned value)
{
    put(p, (uint8_t[]){(uint8_t)(value >> 8), (uint8_t)value}, 2);
}

static void make_packet(const struct fc_session *s, struct packet *p)
{
    static const uint8_t zeros[64];
    unsigned type = s->kind == 6 ? 0x86dd : s->proto < 256 ? 0x0800 : s->proto - FC_PROTO_ETHERTYPE;

    memset(p, 0, sizeof *p);
    put(p, zeros, 12);
    put16(p, type);
    if (s->proto >= 256) {
        put(p, (uint8_t[]){0, 1, 8, 0, 6, 4, 0, 1}, 8);
        put(p, zeros, 6);
        put(p, s->client_addr, 4);
        put(p, zeros, 6);
        put(p, s->server_addr, 4);
    } else if (s->kind == 4) {
        put(p, (uint8_t[]){0x45, 0, 0, 60, 0, 0, 0, 0, 64, (uint8_t)s->proto, 0, 0}, 12);
        put(p, s->client_addr, 4);
        put(p, s->server_addr, 4);
    } else {
        put(p, (uint8_t[]){0x60, 0, 0, 0, 0, 40, (uint8_t)s->proto, 64}, 8);
        put(p, s->client_addr, 16);
        put(p, s->server_addr, 16);
    }
    if (s->proto < 256) {
        put16(p, s->client_port < 0 ? 0 : (unsigned)s->client_port);
        put16(p, s->server_port < 0 ? 0 : (unsigned)s->server_port);
        put(p, zeros, 36);
    }
}

static bool is_packet(const struct fc_session *s)
{
    return s->kind == 6 || (s->kind == 4 && (s->proto < 256 || s->proto == FC_PROTO_ARP || s->proto == FC_RARP));
}

/* Returns the id of the first session that the two see differently, 0 when there is none. */
static int64_t compare(struct bpf_program *program, const struct fc_filter *filter, const struct test_index *index)
{
    for (unsigned i = 0; i < index->count; i++) {
        const struct fc_session *s = &index->rows[i].s;
        struct packet packet;
        struct pcap_pkthdr header = {0};

        if (!is_packet(s))
            continue;
        make_packet(s, &packet);
        header.caplen = header.len = packet.len;
        if ((pcap_offline_filter(program, &header, packet.bytes) != 0) != test_matches(filter->root, s))
            return s->id;
    }
    return 0;
}

/* What libpcap reads in ways that the manual does not tell, and that is refused here. */
static bool is_oddity(const char *cause)
{
    return strstr(cause, "only a part of an address") || strstr(cause, "a number where an address is expected") ||
           strstr(cause, "is no protocol") || strstr(cause, "is no IP protocol");
}

/* 1: both accept and agree, 0: libpcap refuses, -1: they differ. */
static int judge(pcap_t *pcap, const struct test_index *index, const char *text)
{
    struct bpf_program program;
    struct fc_filter_error where;
    struct fc_filter *filter;
    int64_t id;

    if (pcap_compile(pcap, &program, text, 0, PCAP_NETMASK_UNKNOWN) != 0)
        return 0;
    if (fc_filter_parse(text, NOW, &filter, &where) != 0) {
        pcap_freecode(&program);
        cr_expect(is_oddity(where.cause), "libpcap accepts: %s\nhere: %s at %zu", text, where.cause, where.off);
        return is_oddity(where.cause) ? 0 : -1;
    }
    id = filter->root ? compare(&program, filter, index) : 0;
    if (id && !test_planted) {
        char *tree = test_tree(filter);
        const struct fc_session *s = &index->rows[id - 1].s;
        /* the manual gives a single number the mask 255.0.0.0, libpcap makes an exception of 0 */
        bool exception = strstr(tree, "net 0.0.0.0/8") != NULL;
        if (exception)
            id = 0;
        else
            cr_expect_fail("session %lld (kind %d proto %u ports %d %d) differs: %s\nread as %s", (long long)id,
                           s->kind, s->proto, s->client_port, s->server_port, text, tree);
        free(tree);
    }
    fc_filter_free(filter);
    pcap_freecode(&program);
    return id ? -1 : 1;
}

/* One token left out, doubled, or put in the place of another. */
static void mutate(uint64_t *state, const char *text, char *out)
{
    static const char *const extra[] = {"or",  "and", "not",      "(",   ")",  "src", "dst",   "host", "port",
                                        "tcp", "80",  "10.0.0.1", "net", "ip", "10",  "proto", "6"};
    char copy[2000], *words[400], *save = NULL;
    unsigned n = 0;
    char *word;

    strcpy(copy, text);
    for (word = strtok_r(copy, " ", &save); word && n < 400; word = strtok_r(NULL, " ", &save))
        words[n++] = word;
    unsigned at = test_below(state, n), what = test_below(state, 4);
    const char *other = what == 0 ? "" : what == 1 ? extra[test_below(state, 17)] : words[test_below(state, n)];

    *out = '\0';
    for (unsigned i = 0; i < n; i++) {
        if (i == at)
            out += sprintf(out, "%s ", other);
        if (i != at || what == 3)
            out += sprintf(out, "%s ", words[i]);
    }
}

static void judge_many(unsigned rounds, bool mutated, unsigned *agreed, unsigned *differed)
{
    uint64_t state = test_seed();
    struct test_index *index = test_index_new(&state, 600, 0);
    pcap_t *pcap = pcap_open_dead(DLT_EN10MB, 65535);

    *agreed = *differed = 0;
    for (unsigned i = 0; i < rounds; i++) {
        char text[2000], changed[4200];
        int rc;

        test_filter(&state, true, text, 1000);
        if (mutated)
            mutate(&state, text, changed);
        rc = judge(pcap, index, mutated ? changed : text);
        *agreed += rc > 0;
        *differed += rc < 0;
    }
    pcap_close(pcap);
    test_index_free(index);
}

Test(pcap, random_filters_mean_what_libpcap_says)
{
    unsigned agreed, differed;

    judge_many(test_rounds(800), false, &agreed, &differed);
    cr_assert_eq(differed, 0);
    cr_assert_gt(agreed, 100);
}

Test(pcap, mutated_filters_that_libpcap_takes_mean_the_same)
{
    unsigned agreed, differed;

    judge_many(test_rounds(1200), true, &agreed, &differed);
    cr_assert_eq(differed, 0);
    cr_assert_gt(agreed, 30);
}

Test(pcap, libpcap_notices_a_planted_bug)
{
    unsigned agreed, differed;

    test_planted = true;
    judge_many(400, false, &agreed, &differed);
    cr_assert_gt(differed, 10);
}

Test(pcap, examples_of_the_manual_mean_the_same)
{
    static const char *const texts[] = {
        "src 10.0.0.1",
        "dst net 10.1",
        "port 20",
        "portrange 6000-6008",
        "src or dst port ftp-data",
        "arp net 10.1",
        "tcp port 21",
        "udp portrange 7000-7009",
        "host 10.0.0.1 and not port ftp and not port ftp-data",
        "tcp dst port ftp or ftp-data or domain",
        "ip host 10.0.0.1",
        "net 10.0.0.0 mask 255.0.0.0",
        "net 10.0.0.0/8",
        "dst port 513",
        "port domain",
        "ip proto \\tcp",
        "ip6 proto 17",
        "proto \\sctp",
        "not host 10.0.0.1 and 10.0.0.2",
        "not (host 10.0.0.1 or 10.0.0.2)",
        "host 10.0.0.1 and (10.0.0.2 or 192.168.1.1)",
        "ip host 10.0.0.1 and not 10.0.0.2",
        "ip and not net 10.0.0.0/8",
        "tcp or udp and icmp",
        "tcp and udp or icmp",
        "tcp port 80 and (host 10.0.0.1) or 443",
        "src host 10.0.0.1 and src port 80",
        "host not 10.0.0.1",
        "port not (80 or 443)",
        "! tcp && ! udp",
        "host 255.255.255.0",
    };
    uint64_t state = test_seed();
    struct test_index *index = test_index_new(&state, 2000, 0);
    pcap_t *pcap = pcap_open_dead(DLT_EN10MB, 65535);

    for (unsigned i = 0; i < sizeof texts / sizeof texts[0]; i++)
        cr_expect_eq(judge(pcap, index, texts[i]), 1, "%s", texts[i]);
    pcap_close(pcap);
    test_index_free(index);
}
