/* SPDX-License-Identifier: MIT */
/* Names of encapsulations, and stacks of them as text. */
#include <flowcarve/decode.h>
#include <stdio.h>

#include "base/export.h"

static const struct {
    const char *name;
    const char *id; /* what its id is, NULL: it has none */
} kinds[FC_TUNNEL_KINDS] = {
    [FC_TUNNEL_IPIP] = {"ipip", NULL},
    [FC_TUNNEL_6IN4] = {"6in4", NULL},
    [FC_TUNNEL_4IN6] = {"4in6", NULL},
    [FC_TUNNEL_6IN6] = {"6in6", NULL},
    [FC_TUNNEL_GRE] = {"gre", NULL},
    [FC_TUNNEL_GRE_KEY] = {"gre", "key"},
    [FC_TUNNEL_NVGRE] = {"nvgre", "virtual subnet"},
    [FC_TUNNEL_PPTP] = {"pptp", "call"},
    [FC_TUNNEL_ERSPAN1] = {"erspan1", NULL},
    [FC_TUNNEL_ERSPAN2] = {"erspan2", "session"},
    [FC_TUNNEL_ERSPAN3] = {"erspan3", "session"},
    [FC_TUNNEL_VXLAN] = {"vxlan", "VNI"},
    [FC_TUNNEL_VXLAN_GPE] = {"vxlan-gpe", "VNI"},
    [FC_TUNNEL_GENEVE] = {"geneve", "VNI"},
    [FC_TUNNEL_GTPU] = {"gtpu", "TEID"},
    [FC_TUNNEL_L2TP] = {"l2tp", "tunnel.session"},
    [FC_TUNNEL_L2TPV3] = {"l2tpv3", "session"},
    [FC_TUNNEL_PPPOE] = {"pppoe", "session"},
    [FC_TUNNEL_PW] = {"pw", NULL},
    [FC_TUNNEL_PBB] = {"pbb", "I-SID"},
    [FC_TUNNEL_VNTAG] = {"vntag", NULL},
    [FC_TUNNEL_TEREDO] = {"teredo", NULL},
    [FC_TUNNEL_CAPWAP] = {"capwap", NULL},
    [FC_TUNNEL_TZSP] = {"tzsp", NULL},
    [FC_TUNNEL_ETHERIP] = {"etherip", NULL},
    [FC_TUNNEL_ESP] = {"esp", "SPI"},
    [FC_TUNNEL_NSH] = {"nsh", "service path"},
    [FC_TUNNEL_LISP] = {"lisp", NULL},
    [FC_TUNNEL_MPLS] = {"mpls", NULL},
    [FC_TUNNEL_PIM] = {"pim", NULL},
    [FC_TUNNEL_EOIP] = {"eoip", "tunnel"},
    [FC_TUNNEL_AYIYA] = {"ayiya", NULL},
};

FC_EXPORT const char *fc_tunnel_name(unsigned kind, const char **id)
{
    if (kind == 0 || kind >= FC_TUNNEL_KINDS)
        return NULL;
    *id = kinds[kind].id;
    return kinds[kind].name;
}

FC_EXPORT size_t fc_tunnel_text(const struct fc_tunnel *tunnel, unsigned count, char *text, size_t size)
{
    size_t len = 0;

    if (size)
        text[0] = '\0';
    for (unsigned i = 0; i < count; i++) {
        const char *id = NULL, *name = fc_tunnel_name(tunnel[i].kind, &id);
        size_t room = len < size ? size - len : 0;
        char *end = room ? text + len : NULL;
        int n;
        if (!id)
            n = snprintf(end, room, "%s%s", i ? "/" : "", name ? name : "?");
        else if (tunnel[i].kind == FC_TUNNEL_L2TP)
            n = snprintf(end, room, "%s%s:%u.%u", i ? "/" : "", name, tunnel[i].id >> 16, tunnel[i].id & 0xffff);
        else
            n = snprintf(end, room, "%s%s:%u", i ? "/" : "", name, tunnel[i].id);
        len += (size_t)n;
    }
    return len;
}
