/* SPDX-License-Identifier: MIT */
/* Random filters, written from the grammar of pcap-filter(7) and of ours. */
#include "query_test.h"

struct maker {
    uint64_t *state;
    bool pcap;
    char *buf;
    size_t len, size;
};

static void add(struct maker *m, const char *word)
{
    size_t len = strlen(word);

    if (m->len + len + 2 > m->size)
        return;
    if (m->len && word[0] != ')' && m->buf[m->len - 1] != '(')
        m->buf[m->len++] = ' ';
    memcpy(m->buf + m->len, word, len + 1);
    m->len += len;
}

static const char *pick(struct maker *m, const char *const *list)
{
    unsigned n = 0;

    while (list[n])
        n++;
    return list[test_below(m->state, n)];
}

static const char *const hosts4[] = {"10.0.0.1", "10.0.0.2", "10.1.0.3",      "192.168.1.1",   "203.0.113.5",
                                     "0.0.0.0",  "1.2.3.4",  "255.255.255.0", "255.255.255.5", NULL};
static const char *const hosts6[] = {"2001:db8:1::1", "2001:db8:1::2", "fe80::", "fe80::7:0:0:1",
                                     "fe80::3",       "::1",           NULL};
static const char *const nets4[] = {"10.0.0.0/8",
                                    "10.0.0.0/24",
                                    "10.1.0.0/16",
                                    "192.168.1.0/30",
                                    "0.0.0.0/0",
                                    "10.0.0.2/31",
                                    "203.0.113",
                                    "10.1",
                                    "10",
                                    "192.168.1.1",
                                    "10.0.0.0 mask 255.0.0.0",
                                    "0.0.0.1 mask 0.0.0.255",
                                    "255.255.255.0/24",
                                    "128.0.0.0/1",
                                    NULL};
static const char *const nets6[] = {"2001:db8::/32", "fe80::/10", "::/0", "fe80::/127",
                                    "2001:db8:1::1", "2000::/3",  NULL};
static const char *const ports[] = {"80",  "443", "0",   "65535", "0x50", "http", "domain",
                                    "ssh", "ftp", "ntp", "1000",  "513",  NULL};
static const char *const ranges[] = {"0-65535", "20-23", "80-443", "443-80", "ftp-ssh", "53", "1000-2000", NULL};
static const char *const macs[] = {"20:01:0d:b8:00:01", "20:1:d:b8:0:2", "2001.0db8.0003", "20-01-0d-b8-00-00", NULL};
static const char *const ends[] = {"src", "dst", "src or dst", "src and dst", "dst or src", NULL};
static const char *const own_ends[] = {"client", "server", "client or server", "src and server", NULL};

static void add_value(struct maker *m, unsigned kind)
{
    static const char *const protos[] = {"6", "17", "1", "58", "47", "132", NULL};
    static const char *const states[] = {"new", "established", "closed", "reset", "midstream", "rejected", NULL};
    static const char *const ids[] = {"1", "5-9", "100-200", "42", "300-1", "0-9999999", NULL};
    static const char *const vlans[] = {"1", "10", "19", "0x0a", NULL};
    static const char *const labels[] = {"100", "109", "118", NULL};
    static const char *const tunnels[] = {"vxlan", "vxlan:42", "gre", "gre:0x2a", "ipip", "l2tp:5.17", "geneve", NULL};
    static const char *const *const lists[] = {hosts4, hosts6, nets4, nets6,  ports, ranges, protos,
                                               states, ids,    vlans, labels, macs,  tunnels};

    add(m, pick(m, lists[kind]));
}

enum { HOST4, HOST6, NET4, NET6, PORT, RANGE, PROTO, STATE, ID, VLAN, MPLS, MAC, TUNNEL };

/* Values behind qualifiers, sometimes several. */
static void add_values(struct maker *m, unsigned kind)
{
    unsigned more = test_below(m->state, 8);

    if (more == 1 && !m->pcap) {
        add_value(m, kind);
        add(m, ",");
        add_value(m, kind);
        return;
    }
    if (more == 0) {
        add(m, "(");
        add_value(m, kind);
        add(m, "or");
        add_value(m, kind);
        add(m, ")");
        return;
    }
    add_value(m, kind);
    for (; more > 5; more--) {
        add(m, test_below(m->state, 3) ? "or" : "and");
        if (test_below(m->state, 6) == 0)
            add(m, "not");
        add_value(m, kind);
    }
}

static void add_ends(struct maker *m)
{
    if (test_below(m->state, 2))
        add(m, m->pcap || test_below(m->state, 2) ? pick(m, ends) : pick(m, own_ends));
}

static void add_address(struct maker *m)
{
    unsigned kind = test_below(m->state, 4);
    static const char *const v4[] = {"ip", "arp", "rarp", NULL};

    if (test_below(m->state, 4) == 0)
        add(m, kind == HOST4 || kind == NET4 ? pick(m, v4) : "ip6");
    add_ends(m);
    add(m, kind <= HOST6 ? "host" : "net");
    add_values(m, kind);
}

static void add_port(struct maker *m)
{
    static const char *const transports[] = {"tcp", "udp", "sctp", NULL};
    bool range = test_below(m->state, 4) == 0;
    const char *transport = test_below(m->state, 3) == 0 ? pick(m, transports) : NULL;

    if (transport)
        add(m, transport);
    add_ends(m);
    add(m, range ? "portrange" : "port");
    if (transport) /* names are registered for one transport only */
        add(m, range ? "20-443" : test_below(m->state, 2) ? "80" : "53");
    else
        add_values(m, range ? RANGE : PORT);
}

static void add_measure(struct maker *m)
{
    static const char *const counted[] = {"packets", "bytes", "payload", NULL};
    static const char *const sides[] = {"client", "server", "src", "dst", NULL};
    static const char *const compare[] = {"over", "under", "at least", "at most", ">", "<", ">=", "<=", "=", NULL};
    static const char *const numbers[] = {"0",    "1",   "5",   "12",   "0.5k",  "1k",
                                          "100k", "1Mi", "2 M", "1.5G", "25000", NULL};
    static const char *const durations[] = {"0", "1", "2.5s", "999999999ns", "10 minutes", "1m", "0.5h", "1d", NULL};
    static const char *const ttls[] = {"1", "64", "127", "190", "255", NULL};

    switch (test_below(m->state, 4)) {
    case 0:
        add(m, "duration");
        add(m, pick(m, compare));
        add(m, pick(m, durations));
        break;
    case 1:
        if (test_below(m->state, 2))
            add(m, test_below(m->state, 2) ? pick(m, sides) : pick(m, ends));
        add(m, "ttl");
        if (test_below(m->state, 2))
            add(m, pick(m, compare));
        add(m, pick(m, ttls));
        break;
    default:
        if (test_below(m->state, 2))
            add(m, pick(m, sides));
        add(m, pick(m, counted));
        if (test_below(m->state, 6) == 0) {
            add(m, "between");
            add(m, pick(m, numbers));
            add(m, "and");
        } else {
            add(m, pick(m, compare));
        }
        add(m, pick(m, numbers));
    }
}

static void add_own(struct maker *m)
{
    static const char *const whole[] = {
        "vlan", "mpls", "tunnel", "community-id 1:LQU9qZlK+B5F3KDmev6m5PMibrg=", "lldp", "stp", "malformed",
        "gre",  "sctp", NULL};
    static const char *const flags[] = {"syn", "syn,ack", "fin,psh", "rst , urg", "ece,cwr", "push", NULL};
    static const char *const resets[] = {"client", "server", "dst", "client,server", NULL};
    static const char *const times[] = {"after 2024-05-01",
                                        "before 2024-05-01T09:00Z",
                                        "after 1h ago",
                                        "before 20 minutes ago",
                                        "before 2024-05-01 08:30",
                                        "after 2024-05-01T12:00+03:00",
                                        "after @1714550000.5",
                                        "before now",
                                        "between 2024-05-01 7:30 and 9:00",
                                        "at 1714550000",
                                        "on 20240501",
                                        "during yesterday",
                                        "during 8:30",
                                        "between 2h ago and 1h ago",
                                        NULL};

    switch (test_below(m->state, 12)) {
    case 10:
        if (test_below(m->state, 2))
            add(m, pick(m, ends));
        add(m, "flags");
        add(m, pick(m, flags));
        break;
    case 11:
        add(m, "reset by");
        add(m, pick(m, resets));
        break;
    case 8:
    case 9:
        add_measure(m);
        break;
    case 7:
        add(m, "tunnel");
        add_values(m, TUNNEL);
        break;
    case 0:
        add(m, "state");
        add_values(m, STATE);
        break;
    case 1:
        add(m, "id");
        add_values(m, ID);
        break;
    case 2:
        add(m, "vlan");
        add_values(m, VLAN);
        break;
    case 3:
        add(m, "mpls");
        add_values(m, MPLS);
        break;
    case 4:
        add(m, pick(m, times));
        break;
    case 5:
        add(m, "ether");
        if (test_below(m->state, 2))
            add(m, pick(m, ends));
        else
            add(m, "host");
        add_values(m, MAC);
        break;
    default:
        add(m, pick(m, whole));
    }
}

static void add_primitive(struct maker *m)
{
    static const char *const lone[] = {"tcp", "udp", "sctp", "icmp", "icmp6", "arp", "rarp", "ip", "ip6", NULL};
    static const char *const versions[] = {"ip", "ip6", NULL};

    switch (test_below(m->state, m->pcap ? 6 : 9)) {
    case 0:
    case 1:
        add_address(m);
        break;
    case 2:
    case 3:
        add_port(m);
        break;
    case 4:
        if (test_below(m->state, 2))
            add(m, pick(m, versions));
        add(m, "proto");
        add_values(m, PROTO);
        break;
    case 5:
        add(m, pick(m, lone));
        break;
    default:
        add_own(m);
    }
}

static void add_expr(struct maker *m, unsigned depth)
{
    unsigned terms = 1 + test_below(m->state, depth ? 4 : 1);

    for (unsigned i = 0; i < terms; i++) {
        if (i)
            add(m, test_below(m->state, 2) ? "and" : "or");
        if (test_below(m->state, 5) == 0)
            add(m, test_below(m->state, 2) ? "not" : "!");
        if (depth && test_below(m->state, 2)) {
            add(m, "(");
            add_expr(m, depth - 1);
            add(m, ")");
        } else {
            add_primitive(m);
        }
    }
}

char *test_filter(uint64_t *state, bool pcap, char *buf, size_t size)
{
    struct maker m = {state, pcap, buf, 0, size};

    buf[0] = '\0';
    add_expr(&m, 1 + test_below(state, 3));
    return buf;
}
