/* SPDX-License-Identifier: MIT */
#include "store/open_pack.h"
#include "base/bytes.h"
#include "base/varint.h"

enum { VERSION = 2, HAS_TIME = 1 << 5, HAS_TCP = 1 << 6, OWN_SEQ = 1 << 4 };

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

static uint8_t *put_tcp(uint8_t *p, const struct fc_run *r)
{
    uint32_t base = r->syn_dir != FC_NO_DIR && (r->base_set >> r->syn_dir & 1) ? r->base[r->syn_dir] : 0;
    bool own = r->syn_seq != base && r->syn_dir != FC_NO_DIR;

    *p++ = (uint8_t)((r->base_set & 3) | (r->base_synack & 3) << 2 | (own ? OWN_SEQ : 0));
    *p++ = r->tcp_flags[0];
    *p++ = r->tcp_flags[1];
    for (int d = 0; d < 2; d++)
        if (r->base_set >> d & 1)
            p = put_le32(p, r->base[d]);
    return own ? put_le32(p, r->syn_seq) : p;
}

bool fc_open_pack_add(struct fc_open_pack *pack, int64_t id, const struct fc_run *r)
{
    bool tcp = r->tcp_flags[0] || r->tcp_flags[1] || r->base_set || r->syn_dir != FC_NO_DIR;
    int64_t first = distance(r->first_ns, r->min_ns);
    uint8_t *p;

    if (pack->len + FC_OPEN_ENTRY_MAX > sizeof pack->data)
        return false;
    if (!pack->len) {
        pack->data[pack->len++] = VERSION;
        pack->first_id = pack->last_id = id;
    }
    p = fc_varint_put(pack->data + pack->len, zigzag(distance(id, pack->last_id)));
    *p++ = (uint8_t)((r->first_dir & 3) | (r->first_synack & 1) << 2 | (r->syn_dir & 3) << 3 | (first ? HAS_TIME : 0) |
                     (tcp ? HAS_TCP : 0));
    if (first)
        p = fc_varint_put(p, zigzag(first));
    if (tcp)
        p = put_tcp(p, r);
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

static const uint8_t *get_tcp(const uint8_t *p, const uint8_t *end, struct fc_run *r)
{
    uint8_t bits;

    if (end - p < 3)
        return NULL;
    bits = *p++;
    r->base_set = bits & 3;
    r->base_synack = bits >> 2 & 3;
    r->tcp_flags[0] = *p++;
    r->tcp_flags[1] = *p++;
    for (int d = 0; d < 2; d++)
        if (r->base_set >> d & 1)
            p = get_le32(p, end, &r->base[d]);
    if (bits & OWN_SEQ)
        p = get_le32(p, end, &r->syn_seq);
    else if (r->syn_dir != FC_NO_DIR)
        r->syn_seq = r->base[r->syn_dir];
    return p;
}

int fc_open_reader_next(struct fc_open_reader *reader, int64_t *id, struct fc_run *r)
{
    const uint8_t *p = reader->data, *end = reader->end;
    uint64_t v;
    uint8_t bits;

    if (p == end)
        return 0;
    fc_run_init(r);
    if (!(p = fc_varint_get(p, end, &v)) || p == end)
        return FC_E_DAMAGED;
    *id = reader->id = (int64_t)((uint64_t)reader->id + (uint64_t)unzigzag(v));
    bits = *p++;
    r->first_dir = bits & 3;
    r->first_synack = bits >> 2 & 1;
    r->syn_dir = bits >> 3 & 3;
    r->first_ns = 0;
    if (r->first_dir > FC_NO_DIR || r->syn_dir > FC_NO_DIR)
        return FC_E_DAMAGED;
    if (bits & HAS_TIME) {
        if (!(p = fc_varint_get(p, end, &v)))
            return FC_E_DAMAGED;
        r->first_ns = unzigzag(v);
    }
    if ((bits & HAS_TCP) && !(p = get_tcp(p, end, r)))
        return FC_E_DAMAGED;
    reader->data = p;
    return 1;
}
