/* SPDX-License-Identifier: MIT */
#include "fcgen.h"

#include <stdlib.h>

/* Linux's default range for clients; no well-known tunnel port lies in it, so no payload is taken for a tunnel. */
#define PORT_FIRST 32768u
#define PORT_COUNT 28232u
#define PORT_STRIDE 7919u /* prime to PORT_COUNT: a client's ports look random and do not repeat */

#define CLIENT_NET 0x0a000000u /* 10.0.0.0 up to 10.239.255.255 */
#define ARP_NET 0x0af00000u    /* 10.240.0.0/12: hosts that only ARP asks for */
#define SERVER_NET 0xc6120000u /* 198.18.0.0/15, RFC 2544's benchmark network */
#define SERVER_SPAN 131072u

#define GRAVES 65536u
/* Longer than any timeout of design.md, so that silence alone makes a new session. */
#define GAP_UDP_NS (200 * FCGEN_NS)
#define GAP_ANY_NS (3700 * FCGEN_NS)

int fcgen_endpoints_init(struct fcgen_endpoints *e, const struct fcgen_options *opt)
{
    e->clients = opt->clients;
    e->servers = opt->servers;
    e->used = calloc(e->clients, sizeof *e->used);
    e->graves = opt->reuse_bp ? calloc(GRAVES, sizeof *e->graves) : NULL;
    return e->used == NULL || (opt->reuse_bp && e->graves == NULL) ? -1 : 0;
}

void fcgen_endpoints_fini(struct fcgen_endpoints *e)
{
    free(e->used);
    free(e->graves);
}

/* A few hosts take part in many sessions, many in few: each halving of the range is half as likely. */
static uint32_t skewed(struct fcgen_rng *rng, uint32_t n)
{
    uint32_t r = (uint32_t)(fcgen_rand(rng) >> 32);
    uint32_t halvings = (uint32_t)__builtin_ctz(r | 256);
    uint32_t range = n >> halvings;
    return fcgen_below(rng, range ? range : 1);
}

/* Ports whose dissectors take the random payload without calling it malformed. */
static uint16_t server_port(struct fcgen_rng *rng, uint8_t proto)
{
    static const uint16_t tcp[16] = {443, 443, 443,  443,  443,  443,  443,  993,
                                     993, 993, 5223, 5223, 5432, 8443, 8443, 9000};
    static const uint16_t udp[8] = {53, 53, 53, 443, 443, 10000, 27015, 51820};
    static const uint16_t sctp[2] = {7001, 7002};
    uint32_t r = fcgen_below(rng, 16);
    return proto == FCGEN_TCP ? tcp[r] : proto == FCGEN_UDP ? udp[r / 2] : sctp[r / 8];
}

/* ICMP and ARP have no ports: the i-th such session gets the i-th pair of a client and a partner. */
static void take_pair(struct fcgen_endpoints *e, struct fcgen_session *s)
{
    uint64_t i = e->pairs++;
    uint32_t client = (uint32_t)(i % e->clients), round = (uint32_t)(i / e->clients);
    s->addr[0] = CLIENT_NET + 1 + client;
    if (s->proto == FCGEN_ARP) {
        s->addr[1] = ARP_NET + 1 + round;
        return;
    }
    /* Partners of one client differ as long as there are fewer than SERVER_SPAN rounds: 131072 * --clients sessions. */
    s->addr[1] = SERVER_NET + (round + client * 17) % SERVER_SPAN;
    bool v6 = s->flags & FCGEN_F_IPV6;
    s->port[0] = v6 ? 128 : 8;
    s->port[1] = v6 ? 129 : 0;
}

/* The end points of an old session, if one was drawn that may be used again by this protocol. */
static bool take_grave(struct fcgen_gen *g, struct fcgen_session *s, bool *syn_only)
{
    struct fcgen_endpoints *e = &g->ends;
    if (e->grave_count == 0 || !fcgen_chance(&g->rng, g->opt->reuse_bp))
        return false;
    uint32_t i = fcgen_below(&g->rng, e->grave_count);
    struct fcgen_grave *old = &e->graves[i];
    uint64_t silence = g->clock_ns - old->end_ns;
    if (old->proto != FCGEN_TCP && silence < GAP_UDP_NS)
        return false;
    s->proto = old->proto;
    s->flags = old->flags;
    s->vlan = old->vlan;
    for (int d = 0; d < 2; d++) {
        s->addr[d] = old->addr[d];
        s->port[d] = old->port[d];
    }
    *syn_only = old->proto == FCGEN_TCP && silence < GAP_ANY_NS;
    *old = e->graves[--e->grave_count];
    return true;
}

bool fcgen_endpoints_take(struct fcgen_gen *g, struct fcgen_session *s)
{
    struct fcgen_endpoints *e = &g->ends;
    bool syn_only = false;
    if (s->proto == FCGEN_ICMP || s->proto == FCGEN_ARP) {
        take_pair(e, s);
        return false;
    }
    if (take_grave(g, s, &syn_only))
        return syn_only;
    uint32_t client = skewed(&g->rng, e->clients);
    uint32_t k = e->used[client]++;
    /* A client whose ports are used up moves to a new address, so that no 5-tuple comes back. */
    s->addr[0] = CLIENT_NET + 1 + client + k / PORT_COUNT * e->clients;
    s->addr[1] = SERVER_NET + skewed(&g->rng, e->servers);
    s->port[0] = (uint16_t)(PORT_FIRST + (client * 613 + k % PORT_COUNT * PORT_STRIDE) % PORT_COUNT);
    s->port[1] = server_port(&g->rng, s->proto);
    return false;
}

void fcgen_endpoints_bury(struct fcgen_gen *g, const struct fcgen_session *s)
{
    struct fcgen_endpoints *e = &g->ends;
    if (e->graves == NULL || (s->proto != FCGEN_TCP && s->proto != FCGEN_UDP))
        return;
    uint32_t i = e->grave_count < GRAVES ? e->grave_count++ : fcgen_below(&g->rng, GRAVES);
    e->graves[i] = (struct fcgen_grave){
        .end_ns = g->clock_ns,
        .addr = {s->addr[0], s->addr[1]},
        .port = {s->port[0], s->port[1]},
        .vlan = s->vlan,
        .proto = s->proto,
        .flags = s->flags,
    };
}
