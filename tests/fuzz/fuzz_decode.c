/* SPDX-License-Identifier: MIT */
/* A record of any link type: two bytes link type, two bytes of what the original length is more, then the packet. */
#include "fuzz.h"

#include <flowcarve/decode.h>

#include <string.h>

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
    fc_decode(link_type, packet, (uint32_t)size, (uint32_t)size + more, FC_WANT_ALL | (more & 1 ? FC_KEY_VLAN : 0),
              &all);
    fc_decode(link_type, packet, (uint32_t)size, (uint32_t)size + more, FC_WANT_KEY | (more & 1 ? FC_KEY_VLAN : 0),
              &key);
    fc_decode(link_type, packet, (uint32_t)size, (uint32_t)size + more, FC_WANT_KEY | (more & 1 ? FC_KEY_VLAN : 0),
              &again);
    /* the key hangs on the packet alone: not on what else is asked, nor on what was in the result */
    HOLDS(memcmp(&all.key, &key.key, sizeof key.key) == 0 && memcmp(&again.key, &key.key, sizeof key.key) == 0);
    HOLDS(all.dir == key.dir && all.frag == key.frag && all.malformed == key.malformed && key.dir < 2);
    free(packet);
    return 0;
}
