/* SPDX-License-Identifier: MIT */
#include "stream/fragment.h"
#include "base/bytes.h"

#include <flowcarve/error.h>
#include <stdlib.h>
#include <string.h>

enum { HOPOPTS = 0, ROUTING = 43, FRAGMENT = 44, AUTHENTICATION = 51, DSTOPTS = 60 };

/* What is known of a byte of a datagram. */
enum fc_byte { BYTE_UNSEEN = 0, BYTE_CUT, BYTE_THERE };

/* What was captured of the fragment's data, which end on the wire at `wire_end` of the record. */
static void set_data(struct fc_fragment *f, const uint8_t *data, uint32_t off, uint64_t wire_end, uint32_t caplen)
{
    f->data = data + off;
    f->len = wire_end > off ? (uint32_t)(wire_end - off) : 0;
    f->captured = caplen - off < f->len ? caplen - off : f->len;
}

static bool find_ipv4(const uint8_t *data, uint32_t off, uint32_t caplen, uint32_t wire_len, struct fc_fragment *f)
{
    const uint8_t *ip = data + off;

    if (caplen - off < 20)
        return false;
    uint32_t size = (ip[0] & 15) * 4u, total = fc_load16(ip + 2, true), word = fc_load16(ip + 6, true);
    uint64_t end = total < size ? wire_len : (uint64_t)off + total;
    if (!(word & 0x3fff) || size < 20 || caplen - off < size)
        return false;
    *f = (struct fc_fragment){.header = ip, .header_len = size, .at = (word & 0x1fff) * 8, .more = word & 0x2000};
    set_data(f, data, off + size, end < wire_len ? end : wire_len, caplen);
    return true;
}

static bool find_ipv6(const uint8_t *data, uint32_t off, uint32_t caplen, uint32_t wire_len, struct fc_fragment *f)
{
    uint32_t at = off + 40, next_at = off + 6;

    if (caplen - off < 40)
        return false;
    uint64_t end = (uint64_t)at + fc_load16(data + off + 4, true);
    while (caplen - at >= 8) {
        const uint8_t *p = data + at;
        uint8_t kind = data[next_at];
        uint32_t size = kind == AUTHENTICATION ? (p[1] + 2u) * 4 : (p[1] + 1u) * 8;
        if (kind == FRAGMENT) {
            uint32_t word = fc_load16(p + 2, true);
            if (!(word & 0xfff9)) /* atomic: whole */
                return false;
            *f = (struct fc_fragment){.header = data + off,
                                      .header_len = at - off,
                                      .at = word & 0xfff8,
                                      .more = word & 1,
                                      .next_at = next_at - off,
                                      .next = p[0]};
            set_data(f, data, at + 8, end < wire_len ? end : wire_len, caplen);
            return true;
        }
        if ((kind != HOPOPTS && kind != ROUTING && kind != DSTOPTS && kind != AUTHENTICATION) || size > caplen - at)
            return false;
        next_at = at;
        at += size;
    }
    return false;
}

bool fc_fragment_find(const struct fc_packet *packet, const uint8_t *data, uint32_t caplen, uint32_t wire_len,
                      struct fc_fragment *f)
{
    if (wire_len < caplen) /* as fc_decode() takes it */
        wire_len = caplen;
    for (unsigned i = 0; i < packet->layer_count; i++) {
        const struct fc_layer *layer = &packet->layer[i];
        if ((layer->type == FC_LAYER_IPV4 && find_ipv4(data, layer->off, caplen, wire_len, f)) ||
            (layer->type == FC_LAYER_IPV6 && find_ipv6(data, layer->off, caplen, wire_len, f)))
            return f->header_len <= FC_FRAGMENT_HEADERS;
    }
    return false;
}

static int make_room(struct fc_datagram *d, uint32_t end)
{
    uint32_t room = d->room ? d->room : 4096;

    while (room < end)
        room *= 2;
    if (room == d->room)
        return 0;
    uint8_t *state = realloc(d->state, room);
    if (state)
        d->state = state;
    uint8_t *data = realloc(d->data, room);
    if (data)
        d->data = data;
    if (!state || !data)
        return FC_E_NOMEM;
    memset(d->state + d->room, BYTE_UNSEEN, room - d->room);
    d->room = room;
    return 0;
}

/* The first bytes that came stay. */
static void fill(struct fc_datagram *d, const struct fc_fragment *f, uint32_t end)
{
    for (uint32_t i = f->at; i < end; i++) {
        if (d->state[i] != BYTE_UNSEEN)
            continue;
        d->seen++;
        d->state[i] = i - f->at < f->captured ? BYTE_THERE : BYTE_CUT;
        d->data[i] = i - f->at < f->captured ? f->data[i - f->at] : 0;
    }
    if (end > d->end)
        d->end = end;
}

static int add(struct fc_datagram *d, const struct fc_fragment *f, const struct fc_piece *where)
{
    uint32_t end = f->len < FC_DATAGRAM_BYTES - f->at ? f->at + f->len : FC_DATAGRAM_BYTES;

    if (make_room(d, end))
        return FC_E_NOMEM;
    fill(d, f, end);
    enum fc_from from = where->from == FC_FROM_UNKNOWN ? d->where.from : where->from;
    d->where = *where;
    d->where.from = from;
    d->bytes += f->len;
    if (!f->more && d->len == UINT32_MAX)
        d->len = end;
    if (f->at == 0 && !d->has_first) {
        d->has_first = true;
        d->header_len = f->header_len;
        d->next_at = f->next_at;
        d->next = f->next;
        memcpy(d->header, f->header, f->header_len);
    }
    return 0;
}

bool fc_datagram_complete(const struct fc_datagram *d)
{
    return d->has_first && d->len <= d->end && d->seen >= d->len &&
           (d->len == 0 || !memchr(d->state, BYTE_UNSEEN, d->len));
}

/* Is this once more what the datagram, which was given, already has? */
static bool is_copy(const struct fc_datagram *d, const struct fc_fragment *f)
{
    return f->at + f->captured <= d->end && memcmp(d->data + f->at, f->data, f->captured) == 0;
}

static void remove_at(struct fc_datagrams *all, unsigned i)
{
    all->count--;
    memmove(all->list + i, all->list + i + 1, (all->count - i) * sizeof(struct fc_datagram *));
}

/* A new datagram at the end of the list; the oldest one goes when it is full. */
static struct fc_datagram *begin(struct fc_datagrams *all, const struct fc_flow_key *name, struct fc_datagram **gone)
{
    struct fc_datagram *d = calloc(1, sizeof *d);

    if (!d)
        return NULL;
    d->name = *name;
    d->len = UINT32_MAX;
    d->where.from = FC_FROM_UNKNOWN;
    if (all->count == FC_DATAGRAMS) {
        *gone = all->list[0];
        remove_at(all, 0);
        if ((*gone)->done) {
            fc_datagram_free(*gone);
            *gone = NULL;
        }
    }
    return all->list[all->count++] = d;
}

int fc_datagrams_take(struct fc_datagrams *all, const struct fc_flow_key *name, const struct fc_fragment *f,
                      const struct fc_piece *where, struct fc_datagram **datagram, struct fc_datagram **gone)
{
    struct fc_datagram *d = NULL;
    unsigned i = 0;

    *datagram = *gone = NULL;
    while (i < all->count && memcmp(&all->list[i]->name, name, sizeof *name) != 0)
        i++;
    if (i < all->count) {
        d = all->list[i];
        if (d->done && is_copy(d, f))
            return 0;
        if (d->done) { /* the identification has come round */
            remove_at(all, i);
            fc_datagram_free(d);
            d = NULL;
        }
    }
    if (!d && !(d = begin(all, name, gone)))
        return FC_E_NOMEM;
    if (add(d, f, where))
        return FC_E_NOMEM;
    d->done = fc_datagram_complete(d);
    *datagram = d->done ? d : NULL;
    return 0;
}

/* Bytes that are there from the beginning on. */
static uint32_t prefix(const struct fc_datagram *d, uint32_t len)
{
    uint32_t n = 0;

    while (n < len && n < d->end && d->state[n] == BYTE_THERE)
        n++;
    return n;
}

int fc_datagram_join(const struct fc_datagram *d, uint8_t **packet, uint32_t *captured, uint32_t *len)
{
    uint32_t data_len = d->len < d->end ? d->len : d->end, n = prefix(d, data_len), total = d->header_len + data_len;
    uint8_t *p = malloc(d->header_len + n);

    if (!p)
        return FC_E_NOMEM;
    memcpy(p, d->header, d->header_len);
    if (n)
        memcpy(p + d->header_len, d->data, n);
    if (p[0] >> 4 == 4) { /* a length of 0: as far as the packet goes */
        p[2] = total > UINT16_MAX ? 0 : (uint8_t)(total >> 8);
        p[3] = total > UINT16_MAX ? 0 : (uint8_t)total;
        p[6] = p[7] = 0;
    } else {
        uint32_t length = total - 40;
        p[4] = length > UINT16_MAX ? 0 : (uint8_t)(length >> 8);
        p[5] = length > UINT16_MAX ? 0 : (uint8_t)length;
        p[d->next_at] = d->next;
    }
    *packet = p;
    *captured = d->header_len + n;
    *len = total;
    return 0;
}

void fc_datagram_free(struct fc_datagram *d)
{
    if (!d)
        return;
    free(d->state);
    free(d->data);
    free(d);
}

void fc_datagrams_fini(struct fc_datagrams *all)
{
    for (unsigned i = 0; i < all->count; i++)
        fc_datagram_free(all->list[i]);
    all->count = 0;
}
