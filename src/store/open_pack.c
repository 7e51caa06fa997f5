/* SPDX-License-Identifier: MIT */
#include "store/open_pack.h"
#include "base/bytes.h"
#include "base/varint.h"

#include <string.h>

enum { VERSION = 3, DIR = 1, SYNACK = 2, HAS_FIRST = 4, HAS_LAST = 8, HAS_TCP = 16 };

static uint64_t zigzag(int64_t v)
{
    return (uint64_t)v << 1 ^ (uint64_t)(v >> 63);
}

static int64_t unzigzag(uint64_t v)
{
    return (int64_t)(v >> 1 ^ -(v & 1));
}

/* a - b, wrapping. */
static int64_t distance(int64_t a, int64_t b)
{
    return (int64_t)((uint64_t)a - (uint64_t)b);
}

static uint8_t *put_le32(uint8_t *p, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        *p++ = (uint8_t)(v >> 8 * i);
    return p;
}

static uint8_t *put_tcp(uint8_t *p, const struct fc_session_sum *s)
{
    *p++ = s->base_set & 3;
    *p++ = s->tcp_flags[0];
    *p++ = s->tcp_flags[1];
    for (int d = 0; d < 2; d++)
        if (s->base_set >> d & 1)
            p = put_le32(p, s->base[d]);
    return p;
}

bool fc_open_pack_add(struct fc_open_pack *pack, int64_t id, const struct fc_session_sum *s)
{
    bool tcp = s->tcp_flags[0] || s->tcp_flags[1] || s->base_set;
    int64_t first = distance(s->first_ns, s->min_ns), last = distance(s->last_ns, s->max_ns);
    uint8_t *p;

    if (pack->len + FC_OPEN_ENTRY_MAX > sizeof pack->data)
        return false;
    if (!pack->len) {
        pack->data[pack->len++] = VERSION;
        pack->first_id = pack->last_id = id;
    }
    p = fc_varint_put(pack->data + pack->len, zigzag(distance(id, pack->last_id)));
    *p++ = (uint8_t)((s->first_dir ? DIR : 0) | (s->first_synack ? SYNACK : 0) | (first ? HAS_FIRST : 0) |
                     (last ? HAS_LAST : 0) | (tcp ? HAS_TCP : 0));
    if (first)
        p = fc_varint_put(p, zigzag(first));
    if (last)
        p = fc_varint_put(p, zigzag(last));
    if (tcp)
        p = put_tcp(p, s);
    pack->last_id = id;
    pack->len = (size_t)(p - pack->data);
    return true;
}

int fc_open_reader_init(struct fc_open_reader *reader, int64_t row_id, const void *blob, size_t len)
{
    const uint8_t *data = blob;

    if (len < 1 || data[0] != VERSION)
        return FC_E_DAMAGED;
    *reader = (struct fc_open_reader){data + 1, data + len, row_id};
    return 0;
}

static const uint8_t *get_le32(const uint8_t *p, const uint8_t *end, uint32_t *v)
{
    if (!p || end - p < 4)
        return NULL;
    *v = fc_load32(p, false);
    return p + 4;
}

static const uint8_t *get_tcp(const uint8_t *p, const uint8_t *end, struct fc_session_sum *s)
{
    if (end - p < 3)
        return NULL;
    s->base_set = *p++ & 3;
    s->tcp_flags[0] = *p++;
    s->tcp_flags[1] = *p++;
    for (int d = 0; d < 2; d++)
        if (s->base_set >> d & 1)
            p = get_le32(p, end, &s->base[d]);
    return p;
}

static const uint8_t *get_distance(const uint8_t *p, const uint8_t *end, bool there, int64_t *ns)
{
    uint64_t v = 0;

    if (p && there)
        p = fc_varint_get(p, end, &v);
    *ns = unzigzag(v);
    return p;
}

int fc_open_reader_next(struct fc_open_reader *reader, int64_t *id, struct fc_session_sum *s)
{
    const uint8_t *p = reader->data, *end = reader->end;
    uint64_t v;
    uint8_t bits;

    if (p == end)
        return 0;
    memset(s, 0, sizeof *s);
    if (!(p = fc_varint_get(p, end, &v)) || p == end)
        return FC_E_DAMAGED;
    *id = reader->id = (int64_t)((uint64_t)reader->id + (uint64_t)unzigzag(v));
    bits = *p++;
    s->first_dir = (bits & DIR) != 0;
    s->first_synack = (bits & SYNACK) != 0;
    p = get_distance(p, end, bits & HAS_FIRST, &s->first_ns);
    p = get_distance(p, end, bits & HAS_LAST, &s->last_ns);
    if (p && (bits & HAS_TCP))
        p = get_tcp(p, end, s);
    if (!p)
        return FC_E_DAMAGED;
    reader->data = p;
    return 1;
}
