/* SPDX-License-Identifier: MIT */
/* Whether what a packet shows fits the key of a session. */
#include "flow/key.h"

#include <flowcarve/error.h>
#include <string.h>

/* Could its first fragment hold a tunnel, whose inner addresses are the session's? */
static bool may_carry(uint32_t proto)
{
    switch (proto) {
    case 1:   /* ICMP */
    case 6:   /* TCP */
    case 58:  /* ICMPv6 */
    case 132: /* SCTP */
        return false;
    default:
        return true;
    }
}

bool fc_key_fits(const struct fc_flow_key *key, const struct fc_packet *packet, uint32_t mask)
{
    const struct fc_flow_key *p = &packet->key;

    if (key->proto == FC_PROTO_MALFORMED || p->proto == FC_PROTO_MALFORMED)
        return key->proto == p->proto;
    if (packet->frag == FC_FRAG_LATER) {
        /* the domain may be that of a tunnel in it, or of the SPI in its first fragment */
        if (fc_key_same_ends(key, packet))
            return key->domain == p->domain || may_carry(p->proto);
        return !(mask & FC_KEY_OUTER) && may_carry(p->proto);
    }
    return memcmp(key, p, sizeof *key) == 0;
}

enum { SHOWN_KEY = 1, SHOWN_TUNNEL = 2, SHOWN_OTHER_ENDS = 4 };

uint8_t fc_key_shown(const struct fc_flow_key *key, const struct fc_packet *packet)
{
    if (packet->frag == FC_FRAG_LATER)
        return fc_key_same_ends(key, packet) ? 0 : SHOWN_OTHER_ENDS;
    return SHOWN_KEY | (packet->got & FC_WANT_TUNNEL ? SHOWN_TUNNEL : 0);
}

bool fc_shown_fits(uint8_t shown)
{
    return (shown & (SHOWN_OTHER_ENDS | SHOWN_KEY | SHOWN_TUNNEL)) != (SHOWN_OTHER_ENDS | SHOWN_KEY);
}

int fc_key_parts(const char *list, uint32_t *mask, char *normal)
{
    static const struct {
        const char *name;
        uint32_t bit;
    } parts[] = {{"vlan", FC_KEY_VLAN}, {"tunnel", FC_KEY_TUNNEL}, {"outer", FC_KEY_OUTER}};
    enum { COUNT = sizeof parts / sizeof parts[0] };
    uint32_t bits = 0;
    int i;

    for (const char *p = list; *p;) {
        size_t len = strcspn(p, ",");
        for (i = 0; i < COUNT && (strlen(parts[i].name) != len || memcmp(parts[i].name, p, len) != 0); i++)
            ;
        if (i == COUNT)
            return FC_E_USAGE;
        bits |= parts[i].bit;
        p += len + (p[len] == ',');
    }
    *mask |= bits;
    if (normal)
        *normal = '\0';
    for (i = 0; normal && i < COUNT; i++)
        if (bits & parts[i].bit) {
            strcat(normal, *normal ? "," : "");
            strcat(normal, parts[i].name);
        }
    return 0;
}
