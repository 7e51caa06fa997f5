/* SPDX-License-Identifier: MIT */
#include "store/open_pack.h"
#include "base/bytes.h"
#include "base/hash.h"
#include "base/varint.h"

#include <string.h>

enum { VERSION = 4, DIR = 1, SYNACK = 2, HAS_FIRST = 4, HAS_LAST = 8, BASE_SHIFT = 5, HAS_UNTIL = 0x80 };

_Static_assert(FC_OPEN_ENTRY_MAX >= 4 * FC_VARINT_MAX + 1 + 2 + 8, "an entry fits");

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

uint32_t fc_open_tag(const struct fc_flow_key *key)
{
    const uint64_t seed = 0x9fb21c651e98df25ull;
    const uint8_t *p = key->addr[0];
    uint64_t ends = key->port[0] | (uint64_t)key->port[1] << 16 | (uint64_t)key->proto << 32 |
                    (uint64_t)key->addr_kind << 56 | (uint64_t)key->one_way << 63;
    uint64_t h = fc_hash_mix(seed, fc_load64(p, false), fc_load64(p + 8, false));

    p = key->addr[1];
    h = fc_hash_mix(h ^ seed, fc_load64(p, false), fc_load64(p + 8, false));
    h = fc_hash_mix(h ^ seed, ends, key->domain);
    return (uint32_t)(fc_hash_fold(h ^ seed, 0xeb44accab455d165ull) >> (64 - 8 * FC_OPEN_TAG_BYTES));
}

void fc_open_entry_make(struct fc_open_entry *e, int64_t id, const struct fc_flow_key *key,
                        const struct fc_session_sum *s, int64_t expiry_ns, bool ended)
{
    *e = (struct fc_open_entry){.id = id, .until = fc_open_until(expiry_ns), .tag = fc_open_tag(key)};
    if (ended) {
        e->bits = FC_OPEN_ENDED;
        return;
    }
    e->first_ns = distance(s->first_ns, s->min_ns);
    e->last_ns = distance(s->last_ns, s->max_ns);
    e->bits = (uint8_t)((s->first_dir ? DIR : 0) | (s->first_synack ? SYNACK : 0));
    if (!s->tcp_flags[0] && !s->tcp_flags[1] && !s->base_set)
        return;
    e->bits |= (uint8_t)(FC_OPEN_TCP | (s->base_set & 3) << BASE_SHIFT);
    for (int d = 0; d < 2; d++) {
        e->tcp_flags[d] = s->tcp_flags[d];
        e->base[d] = s->base_set >> d & 1 ? s->base[d] : 0;
    }
}

void fc_open_entry_session(const struct fc_open_entry *e, struct fc_session_sum *s)
{
    memset(s, 0, sizeof *s);
    s->first_ns = e->first_ns;
    s->last_ns = e->last_ns;
    s->first_dir = (e->bits & DIR) != 0;
    s->first_synack = (e->bits & SYNACK) != 0;
    if (!(e->bits & FC_OPEN_TCP))
        return;
    s->base_set = e->bits >> BASE_SHIFT & 3;
    memcpy(s->base, e->base, sizeof s->base);
    memcpy(s->tcp_flags, e->tcp_flags, sizeof s->tcp_flags);
}

static uint8_t *put_le32(uint8_t *p, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        *p++ = (uint8_t)(v >> 8 * i);
    return p;
}

bool fc_open_pack_add(struct fc_open_pack *pack, const struct fc_open_entry *e)
{
    uint8_t *p, bits = (uint8_t)(e->bits | (e->first_ns ? HAS_FIRST : 0) | (e->last_ns ? HAS_LAST : 0));

    if (pack->len + FC_OPEN_ENTRY_MAX > sizeof pack->data)
        return false;
    if (!pack->len) {
        pack->data[pack->len++] = VERSION;
        pack->last_id = 0;
        pack->last_until = 0;
        pack->count = 0;
    }
    p = fc_varint_put(pack->data + pack->len, (uint64_t)distance(e->id, pack->last_id));
    *p++ = (uint8_t)(bits | (e->until != pack->last_until ? HAS_UNTIL : 0));
    if (e->until != pack->last_until)
        p = fc_varint_put(p, zigzag((int64_t)e->until - pack->last_until));
    if (e->first_ns)
        p = fc_varint_put(p, zigzag(e->first_ns));
    if (e->last_ns)
        p = fc_varint_put(p, zigzag(e->last_ns));
    if (bits & FC_OPEN_TCP) {
        *p++ = e->tcp_flags[0];
        *p++ = e->tcp_flags[1];
        for (int d = 0; d < 2; d++)
            if (bits >> (BASE_SHIFT + d) & 1)
                p = put_le32(p, e->base[d]);
    }
    pack->last_id = e->id;
    pack->last_until = e->until;
    pack->count++;
    pack->len = (size_t)(p - pack->data);
    return true;
}

int fc_open_reader_init(struct fc_open_reader *reader, const void *blob, size_t len)
{
    const uint8_t *data = blob;

    if (len < 1 || data[0] != VERSION)
        return FC_E_DAMAGED;
    *reader = (struct fc_open_reader){data + 1, data + len, 0, 0};
    return 0;
}

static const uint8_t *get_tcp(const uint8_t *p, const uint8_t *end, struct fc_open_entry *e)
{
    if (end - p < 2)
        return NULL;
    e->tcp_flags[0] = *p++;
    e->tcp_flags[1] = *p++;
    for (int d = 0; d < 2; d++) {
        if (!(e->bits >> (BASE_SHIFT + d) & 1))
            continue;
        if (end - p < 4)
            return NULL;
        e->base[d] = fc_load32(p, false);
        p += 4;
    }
    return p;
}

static const uint8_t *get_distance(const uint8_t *p, const uint8_t *end, bool there, int64_t *v)
{
    uint64_t raw = 0;

    if (p && there)
        p = fc_varint_get(p, end, &raw);
    *v = unzigzag(raw);
    return p;
}

static const uint8_t *skip_varint(const uint8_t *p, const uint8_t *end)
{
    while (p && p < end)
        if (!(*p++ & 0x80))
            return p;
    return NULL;
}

int fc_open_reader_skip(struct fc_open_reader *reader)
{
    const uint8_t *p = reader->data, *end = reader->end;
    int64_t until = 0;
    uint64_t v;
    uint8_t bits;

    if (p == end)
        return 0;
    if (!(p = fc_varint_get(p, end, &v)) || p == end)
        return FC_E_DAMAGED;
    reader->id = (int64_t)((uint64_t)reader->id + v);
    bits = *p++;
    p = get_distance(p, end, bits & HAS_UNTIL, &until);
    if (__builtin_add_overflow(until, reader->until, &until) || until < -FC_OPEN_NEVER || until > FC_OPEN_NEVER)
        return FC_E_DAMAGED;
    reader->until = (int32_t)until;
    if (bits & HAS_FIRST)
        p = skip_varint(p, end);
    if (bits & HAS_LAST)
        p = skip_varint(p, end);
    size_t tcp = bits & FC_OPEN_TCP ? 2 + 4u * (bits >> BASE_SHIFT & 1) + 4u * (bits >> (BASE_SHIFT + 1) & 1) : 0;
    if (!p || (size_t)(end - p) < tcp)
        return FC_E_DAMAGED;
    reader->data = p + tcp;
    return 1;
}

int fc_open_reader_next(struct fc_open_reader *reader, struct fc_open_entry *e)
{
    const uint8_t *p = reader->data, *end = reader->end;
    int64_t until;
    uint64_t v;
    uint8_t bits;

    if (p == end)
        return 0;
    memset(e, 0, sizeof *e);
    if (!(p = fc_varint_get(p, end, &v)) || p == end)
        return FC_E_DAMAGED;
    e->id = reader->id = (int64_t)((uint64_t)reader->id + v);
    bits = *p++;
    e->bits = bits & (uint8_t) ~(HAS_FIRST | HAS_LAST | HAS_UNTIL);
    p = get_distance(p, end, bits & HAS_UNTIL, &until);
    if (__builtin_add_overflow(until, reader->until, &until) || until < -FC_OPEN_NEVER || until > FC_OPEN_NEVER)
        return FC_E_DAMAGED;
    e->until = reader->until = (int32_t)until;
    p = get_distance(p, end, bits & HAS_FIRST, &e->first_ns);
    p = get_distance(p, end, bits & HAS_LAST, &e->last_ns);
    if (p && (bits & FC_OPEN_TCP))
        p = get_tcp(p, end, e);
    if (!p)
        return FC_E_DAMAGED;
    reader->data = p;
    return 1;
}
