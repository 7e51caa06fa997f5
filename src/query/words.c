/* SPDX-License-Identifier: MIT */
#include "query/words.h"
#include "query/ast.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <string.h>
#include <strings.h>

struct word {
    const char *name;
    enum fc_word_kind kind;
    int value;
};

static const struct word words[] = {
    {"src", FC_WORD_ENDS, FC_ENDS_SRC},
    {"dst", FC_WORD_ENDS, FC_ENDS_DST},
    {"client", FC_WORD_ENDS, FC_ENDS_SRC},
    {"server", FC_WORD_ENDS, FC_ENDS_DST},
    {"host", FC_WORD_TYPE, FC_QUAL_HOST},
    {"net", FC_WORD_TYPE, FC_QUAL_NET},
    {"port", FC_WORD_TYPE, FC_QUAL_PORT},
    {"portrange", FC_WORD_TYPE, FC_QUAL_PORTRANGE},
    {"proto", FC_WORD_TYPE, FC_QUAL_PROTO},
    {"vlan", FC_WORD_TYPE, FC_QUAL_VLAN},
    {"mpls", FC_WORD_TYPE, FC_QUAL_MPLS},
    {"tunnel", FC_WORD_TYPE, FC_QUAL_TUNNEL},
    {"id", FC_WORD_TYPE, FC_QUAL_ID},
    {"state", FC_WORD_TYPE, FC_QUAL_STATE},
    {"community-id", FC_WORD_TYPE, FC_QUAL_COMMUNITY_ID},
    {"sensor", FC_WORD_TYPE, FC_QUAL_SENSOR},
    {"file", FC_WORD_TYPE, FC_QUAL_FILE},
    {"flags", FC_WORD_TYPE, FC_QUAL_FLAGS},
    {"reset", FC_WORD_TYPE, FC_QUAL_RESET},
    {"after", FC_WORD_TYPE, FC_QUAL_AFTER},
    {"before", FC_WORD_TYPE, FC_QUAL_BEFORE},
    {"between", FC_WORD_TYPE, FC_QUAL_BETWEEN},
    {"at", FC_WORD_TYPE, FC_QUAL_AT},
    {"on", FC_WORD_TYPE, FC_QUAL_ON},
    {"during", FC_WORD_TYPE, FC_QUAL_DURING},
    {"packets", FC_WORD_TYPE, FC_QUAL_PACKETS},
    {"bytes", FC_WORD_TYPE, FC_QUAL_BYTES},
    {"duration", FC_WORD_TYPE, FC_QUAL_DURATION},
    {"payload", FC_WORD_TYPE, FC_QUAL_PAYLOAD},
    {"ttl", FC_WORD_TYPE, FC_QUAL_TTL},
    {"ip", FC_WORD_PROTO, FC_QUAL_IP},
    {"ip6", FC_WORD_PROTO, FC_QUAL_IP6},
    {"arp", FC_WORD_PROTO, FC_QUAL_ARP},
    {"rarp", FC_WORD_PROTO, FC_QUAL_RARP},
    {"tcp", FC_WORD_PROTO, FC_QUAL_TCP},
    {"udp", FC_WORD_PROTO, FC_QUAL_UDP},
    {"sctp", FC_WORD_PROTO, FC_QUAL_SCTP},
    {"icmp", FC_WORD_PROTO, FC_QUAL_ICMP},
    {"icmp6", FC_WORD_PROTO, FC_QUAL_ICMP6},
    {"icmpv6", FC_WORD_PROTO, FC_QUAL_ICMP6},
    /* the parser of pcap-filter treats these alike */
    {"ether", FC_WORD_PROTO, FC_QUAL_LINK},
    {"fddi", FC_WORD_PROTO, FC_QUAL_LINK},
    {"tr", FC_WORD_PROTO, FC_QUAL_LINK},
    {"wlan", FC_WORD_PROTO, FC_QUAL_LINK},
    {"link", FC_WORD_PROTO, FC_QUAL_LINK},
    {"mask", FC_WORD_OTHER, 0},
    {"ago", FC_WORD_OTHER, 0},
    {"by", FC_WORD_OTHER, 0},
    {"over", FC_WORD_OTHER, 0},
    {"under", FC_WORD_OTHER, 0},
    {"least", FC_WORD_OTHER, 0},
    {"most", FC_WORD_OTHER, 0},
};

static const char *const named_words[] = {
    "aarp", "ah",  "atalk", "carp",  "clnp",  "decnet",  "esis", "esp", "igmp", "igrp", "ipx",
    "isis", "iso", "lat",   "mopdl", "moprc", "netbeui", "pim",  "sca", "stp",  "vrrp",
};

static const char *const packet_words[] = {
    "action",     "addr1",   "addr2",    "addr3",   "addr4",   "broadcast",  "byte",  "csnp",
    "dir",        "gateway", "geneve",   "greater", "ifindex", "ifname",     "iih",   "inbound",
    "l1",         "l2",      "lane",     "len",     "length",  "less",       "llc",   "lsp",
    "multicast",  "oam",     "outbound", "pppoed",  "pppoes",  "protochain", "psnp",  "ra",
    "radio",      "reason",  "rnr",      "rset",    "ruleset", "rulenum",    "snp",   "srnr",
    "subrulenum", "subtype", "ta",       "type",    "vci",     "vpi",        "vxlan",
};

/* For systems without /etc/services, such as small containers. */
static const struct service {
    const char *name;
    uint16_t port;
    uint8_t transports;
} services[] = {
    {"ftp-data", 20, FC_TRANSPORT_TCP},
    {"ftp", 21, FC_TRANSPORT_TCP},
    {"ssh", 22, FC_TRANSPORT_TCP},
    {"telnet", 23, FC_TRANSPORT_TCP},
    {"smtp", 25, FC_TRANSPORT_TCP},
    {"domain", 53, FC_TRANSPORT_TCP | FC_TRANSPORT_UDP},
    {"bootps", 67, FC_TRANSPORT_UDP},
    {"bootpc", 68, FC_TRANSPORT_UDP},
    {"tftp", 69, FC_TRANSPORT_UDP},
    {"http", 80, FC_TRANSPORT_TCP},
    {"kerberos", 88, FC_TRANSPORT_TCP | FC_TRANSPORT_UDP},
    {"pop3", 110, FC_TRANSPORT_TCP},
    {"sunrpc", 111, FC_TRANSPORT_TCP | FC_TRANSPORT_UDP},
    {"ntp", 123, FC_TRANSPORT_UDP},
    {"netbios-ns", 137, FC_TRANSPORT_UDP},
    {"netbios-dgm", 138, FC_TRANSPORT_UDP},
    {"netbios-ssn", 139, FC_TRANSPORT_TCP},
    {"imap2", 143, FC_TRANSPORT_TCP},
    {"snmp", 161, FC_TRANSPORT_TCP | FC_TRANSPORT_UDP},
    {"bgp", 179, FC_TRANSPORT_TCP},
    {"ldap", 389, FC_TRANSPORT_TCP | FC_TRANSPORT_UDP},
    {"https", 443, FC_TRANSPORT_TCP | FC_TRANSPORT_UDP},
    {"microsoft-ds", 445, FC_TRANSPORT_TCP | FC_TRANSPORT_UDP},
    {"syslog", 514, FC_TRANSPORT_UDP},
    {"ldaps", 636, FC_TRANSPORT_TCP | FC_TRANSPORT_UDP},
    {"imaps", 993, FC_TRANSPORT_TCP},
    {"pop3s", 995, FC_TRANSPORT_TCP},
    {"ms-wbt-server", 3389, FC_TRANSPORT_TCP},
    {"sip", 5060, FC_TRANSPORT_TCP | FC_TRANSPORT_UDP},
    {"mdns", 5353, FC_TRANSPORT_UDP},
};

/* Names of protocols that are none of services, or none on every system. */
static const struct application {
    const char *name;
    uint16_t port;
} applications[] = {
    {"dns", 53},     {"dhcp", 67},    {"http2", 443}, {"quic", 443},   {"ssl", 443},   {"tls", 443},
    {"imap", 143},   {"krb5", 88},    {"pop", 110},   {"nbns", 137},   {"smb", 445},   {"smb2", 445},
    {"ftps", 990},   {"rtsp", 554},   {"rdp", 3389},  {"ldap", 389},   {"mqtt", 1883}, {"mysql", 3306},
    {"pgsql", 5432}, {"redis", 6379}, {"ssdp", 1900}, {"modbus", 502},
};

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

enum fc_word_kind fc_word_kind(const struct fc_token *token, int *value)
{
    *value = 0;
    if (token->type != FC_TOKEN_WORD || token->escaped)
        return FC_WORD_NONE;
    for (size_t i = 0; i < COUNT(words); i++) {
        if (fc_token_is(token, words[i].name)) {
            *value = words[i].value;
            return words[i].kind;
        }
    }
    for (size_t i = 0; i < COUNT(named_words); i++)
        if (fc_token_is(token, named_words[i]))
            return FC_WORD_NAMED;
    for (size_t i = 0; i < COUNT(packet_words); i++)
        if (fc_token_is(token, packet_words[i]))
            return FC_WORD_PACKET;
    return FC_WORD_NONE;
}

bool fc_word_is_sensor(const char *name)
{
    enum { LONGEST = 63 };
    static const char fit[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    size_t len = strlen(name);

    return len && len <= LONGEST && strspn(name, fit) == len && !strchr("._-", name[0]);
}

const char *fc_word_type(enum fc_qual_type type)
{
    for (size_t i = 0; i < COUNT(words); i++)
        if (words[i].kind == FC_WORD_TYPE && words[i].value == (int)type)
            return words[i].name;
    return "host";
}

enum { LIKE_MAX = 24 };

/* Insertions, deletions, replacements and swaps of neighbours between a and b; 99 when they are too long. */
static unsigned edit_distance(const char *a, const char *b)
{
    unsigned cost[LIKE_MAX + 1][LIKE_MAX + 1];
    size_t n = strlen(a), m = strlen(b);

    if (n > LIKE_MAX || m > LIKE_MAX)
        return 99;
    for (size_t i = 0; i <= n; i++)
        cost[i][0] = (unsigned)i;
    for (size_t j = 0; j <= m; j++)
        cost[0][j] = (unsigned)j;
    for (size_t i = 1; i <= n; i++) {
        for (size_t j = 1; j <= m; j++) {
            /* a word in the wrong case is the right word */
            bool same = (a[i - 1] | 0x20) == (b[j - 1] | 0x20);
            unsigned best = cost[i - 1][j - 1] + !same;

            if (best > cost[i - 1][j] + 1)
                best = cost[i - 1][j] + 1;
            if (best > cost[i][j - 1] + 1)
                best = cost[i][j - 1] + 1;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && best > cost[i - 2][j - 2] + 1)
                best = cost[i - 2][j - 2] + 1;
            cost[i][j] = best;
        }
    }
    return cost[n][m];
}

static void consider(const char *word, const char *name, unsigned *best, const char **like)
{
    /* less than half of a word may be wrong: `foo` is not like `pop`, nor `none` like `roce` */
    unsigned distance = edit_distance(word, name), most = (unsigned)(strlen(name) - 1) / 2;

    if (distance <= (most < 2 ? most : 2) && distance < *best) {
        *best = distance;
        *like = name;
    }
}

const char *fc_word_like(const char *word)
{
    const char *like = NULL, *name;
    unsigned best = 99;

    for (size_t i = 0; i < COUNT(words); i++)
        if (words[i].kind != FC_WORD_OTHER)
            consider(word, words[i].name, &best, &like);
    consider(word, "and", &best, &like);
    consider(word, "or", &best, &like);
    consider(word, "not", &best, &like);
    for (unsigned i = 0; fc_proto_at(i, &name) >= 0; i++)
        consider(word, name, &best, &like);
    return like;
}

static bool system_service(const char *name, const char *transport, uint16_t *port)
{
    struct servent entry, *found = NULL;
    char buf[2048];

    if (getservbyname_r(name, transport, &entry, buf, sizeof buf, &found) != 0 || !found)
        return false;
    *port = ntohs((uint16_t)found->s_port);
    return true;
}

static bool built_in_service(const char *name, uint16_t *port, unsigned *known)
{
    for (size_t i = 0; i < COUNT(services); i++) {
        if (strcmp(services[i].name, name) == 0) {
            *port = services[i].port;
            *known = services[i].transports;
            return true;
        }
    }
    return false;
}

bool fc_service_port(const char *name, uint16_t *port, unsigned *known)
{
    static const char *const names[] = {"tcp", "udp", "sctp"};

    *known = 0;
    for (unsigned i = 0; i < COUNT(names); i++) {
        uint16_t number;

        if (!system_service(name, names[i], &number))
            continue;
        /* one name, two numbers: the first transport decides, as in libpcap */
        if (*known && number != *port)
            continue;
        *port = number;
        *known |= 1u << i;
    }
    return *known || built_in_service(name, port, known);
}

const char *fc_service_at(unsigned i)
{
    return i < COUNT(services) ? services[i].name : NULL;
}

uint16_t fc_word_application(const char *word)
{
    for (size_t i = 0; i < COUNT(applications); i++)
        if (strcasecmp(applications[i].name, word) == 0)
            return applications[i].port;
    for (size_t i = 0; i < COUNT(services); i++)
        if (strcasecmp(services[i].name, word) == 0)
            return services[i].port;
    return 0;
}

int64_t fc_proto_by_name(const char *name)
{
    int64_t number = fc_proto_number(name);
    struct protoent entry, *found = NULL;
    char buf[2048];

    if (number >= 0)
        return number;
    if (strcmp(name, "icmpv6") == 0) /* as the word alone */
        return IPPROTO_ICMPV6;
    if (getprotobyname_r(name, &entry, buf, sizeof buf, &found) != 0 || !found || found->p_proto > 255)
        return -1;
    return found->p_proto;
}
