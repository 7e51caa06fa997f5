/* SPDX-License-Identifier: MIT */
/* What stands around the IP layer of a key: the stack of encapsulations, the domain made of it, datagrams. */
#include "base/hash.h"
#include "decode/walk.h"

enum { EXACT_VLANS = 2, VLAN_BITS = 13, KIND_BITS = 5 };
#define HASHED (UINT64_C(1) << 63)

bool fc_enter(struct fc_walk *w, enum fc_tunnel_kind kind, uint32_t id)
{
    if (w->tunnel_count == FC_TUNNEL_MAX)
        return false;
    if (w->outer && w->ip && !w->outer_noted) {
        *w->outer = *w;
        w->outer_noted = 1;
    }
    if (w->mask & (FC_WANT_TUNNEL | FC_WANT_KEY))
        w->out->tunnel[w->tunnel_count] = (struct fc_tunnel){.id = id, .kind = kind};
    w->tunnel_count++;
    return true;
}

static uint64_t exact_domain(const struct fc_walk *w, unsigned vlans, const struct fc_tunnel *tunnel)
{
    uint64_t domain = 0;

    for (unsigned i = 0; i < vlans; i++)
        domain |= (w->vlan[i] + UINT64_C(1)) << i * VLAN_BITS;
    if (tunnel)
        domain |= ((uint64_t)tunnel->id << KIND_BITS | tunnel->kind) << EXACT_VLANS * VLAN_BITS;
    return domain;
}

/* By arithmetic alone, so that an index means the same on every machine. */
static uint64_t hashed_domain(const struct fc_walk *w, unsigned vlans, const struct fc_tunnel *tunnel, unsigned tunnels)
{
    uint64_t h = fc_hash_fold(vlans ^ 0xa0761d6478bd642full, tunnels ^ 0xe7037ed1a0b428dbull);

    for (unsigned i = 0; i < vlans; i++)
        h = fc_hash_fold(h ^ w->vlan[i], 0x8ebc6af09c88c6e3ull);
    for (unsigned i = 0; i < tunnels; i++)
        h = fc_hash_fold(h ^ ((uint64_t)tunnel[i].kind << 32 | tunnel[i].id), 0x589965cc75374cc3ull);
    return fc_hash_fold(h, 0x1d8e4e27c47d124full) | HASHED;
}

uint64_t fc_walk_domain(const struct fc_walk *w)
{
    unsigned vlans = w->mask & FC_KEY_VLAN ? w->vlan_count : 0, tunnels = w->mask & FC_KEY_TUNNEL ? w->tunnel_count : 0;
    const struct fc_tunnel *tunnel = w->out->tunnel;

    if (!tunnels && w->tunnel_count && w->ip && w->proto == FC_IPPROTO_ESP) {
        /* nothing else tells two security associations between the same ends apart */
        const struct fc_tunnel *last = &tunnel[w->tunnel_count - 1];
        if (last->kind == FC_TUNNEL_ESP) {
            tunnel = last;
            tunnels = 1;
        }
    }
    if (!(vlans | tunnels))
        return 0;
    if (vlans <= EXACT_VLANS && (tunnels == 0 || (tunnels == 1 && tunnel->kind < 1 << KIND_BITS)))
        return exact_domain(w, vlans, tunnels ? tunnel : NULL);
    return hashed_domain(w, vlans, tunnel, tunnels);
}

void fc_note_fragment(struct fc_walk *w, enum fc_frag frag, uint32_t id)
{
    /* one nested too deep takes the place of the one around it: a later fragment needs the last name */
    unsigned i = w->datagram_count < FC_DATAGRAM_MAX ? w->datagram_count++ : FC_DATAGRAM_MAX - 1;
    struct fc_flow_key *name = &w->out->datagram[i];

    w->frag = (uint8_t)frag;
    if (!(w->mask & FC_WANT_KEY))
        return;
    memset(name, 0, sizeof(*name));
    memcpy(name->addr[0], w->addr[0], w->addr_kind == FC_ADDR_IPV6 ? 16 : 4);
    memcpy(name->addr[1], w->addr[1], w->addr_kind == FC_ADDR_IPV6 ? 16 : 4);
    name->port[0] = (uint16_t)(id >> 16);
    name->port[1] = (uint16_t)id;
    name->addr_kind = w->addr_kind;
    /*
     * RFC 8200 leaves the protocol out: behind the fragment header the first fragment may go on with extension headers
     * that the later ones do not show. RFC 791 has it in.
     */
    name->proto = w->addr_kind == FC_ADDR_IPV6 ? 0 : w->proto;
    name->domain = fc_walk_domain(w);
}
