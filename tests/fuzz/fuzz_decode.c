/* SPDX-License-Identifier: MIT */
/*
 * A record of any link type: two bytes link type, two bytes of what the original length is more, whose lowest bits say
 * how the key is made, then the packet.
 */
#include "fuzz.h"

#include <flowcarve/decode.h>

#include <string.h>

static void check_lists(const struct fc_packet *p, size_t size)
{
    char text[FC_TUNNEL_TEXT];

    HOLDS(p->layer_count <= FC_LAYERS_MAX && p->datagram_count <= FC_DATAGRAM_MAX);
    HOLDS((p->frag != FC_FRAG_NONE) == (p->datagram_count != 0) || p->malformed);
    for (unsigned i = 0; i < p->layer_count; i++)
        HOLDS(p->layer[i].off < size && (i == 0 || p->layer[i].off >= p->layer[i - 1].off));
    if (p->got & FC_WANT_TUNNEL) {
        HOLDS(p->tunnel_count && p->tunnel_count <= FC_TUNNEL_MAX);
        HOLDS(fc_tunnel_text(p->tunnel, p->tunnel_count, text, sizeof text) == strlen(text));
        HOLDS(!strchr(text, '?'));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fc_packet all, key, again;

    if (size < 4)
        return 0;
    uint32_t link_type = (uint32_t)data[0] << 8 | data[1], more = (uint32_t)data[2] << 8 | data[3];
    size -= 4;
    uint8_t *packet = malloc(size ? size : 1); /* ends where the packet does */
    HOLDS(packet);
    memcpy(packet, data + 4, size);
    memset(&all, 0, sizeof all);
    memset(&key, 0, sizeof key);
    memset(&again, 0xff, sizeof again);
    uint32_t parts = (more & 1 ? FC_KEY_VLAN : 0) | (more & 2 ? FC_KEY_TUNNEL : 0) | (more & 4 ? FC_KEY_OUTER : 0);
    fc_decode(link_type, packet, (uint32_t)size, (uint32_t)size + more, FC_WANT_ALL | parts, &all);
    fc_decode(link_type, packet, (uint32_t)size, (uint32_t)size + more, FC_WANT_KEY | parts, &key);
    fc_decode(link_type, packet, (uint32_t)size, (uint32_t)size + more, FC_WANT_KEY | parts, &again);
    /* the key hangs on the packet alone: not on what else is asked, nor on what was in the result */
    HOLDS(memcmp(&all.key, &key.key, sizeof key.key) == 0 && memcmp(&again.key, &key.key, sizeof key.key) == 0);
    HOLDS(all.dir == key.dir && all.frag == key.frag && all.malformed == key.malformed && key.dir < 2);
    HOLDS(all.datagram_count == key.datagram_count && again.datagram_count == key.datagram_count);
    for (unsigned i = 0; i < key.datagram_count; i++)
        HOLDS(memcmp(&all.datagram[i], &key.datagram[i], sizeof key.datagram[i]) == 0 &&
              memcmp(&again.datagram[i], &key.datagram[i], sizeof key.datagram[i]) == 0);
    check_lists(&all, size);
    free(packet);
    return 0;
}
