/* SPDX-License-Identifier: MIT */
/* Whatever the bytes are: no read past caplen, no undefined behaviour, the same answer twice, invariants kept. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "packets.h"

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

enum { KEY_BITS = FC_KEY_VLAN | FC_KEY_TUNNEL | FC_KEY_OUTER };

/* The byte behind the last one that may be read: the page from there on cannot be. */
static uint8_t *guarded_end(void)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    uint8_t *two = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    cr_assert_neq(two, MAP_FAILED);
    cr_assert_eq(mprotect(two + page, page, PROT_NONE), 0);
    return two + page;
}

static void check_invariants(const struct fc_packet *p, uint32_t caplen, uint32_t mask)
{
    const struct fc_flow_key *k = &p->key;
    static const uint8_t zeros[32];

    cr_assert_eq(p->got & ~mask, 0);
    cr_assert_leq(p->layer_count, FC_LAYERS_MAX);
    for (unsigned i = 0; i < p->layer_count; i++) {
        cr_assert_lt(p->layer[i].off, caplen);
        cr_assert(i == 0 || p->layer[i].off > p->layer[i - 1].off);
    }
    if (!(mask & FC_WANT_KEY))
        return;
    cr_assert(p->got & FC_WANT_KEY);
    cr_assert_leq(p->dir, 1);
    cr_assert_leq(p->frag, FC_FRAG_LATER);
    cr_assert_eq(p->malformed, k->proto == FC_PROTO_MALFORMED);
    cr_assert_leq(p->datagram_count, FC_DATAGRAM_MAX);
    cr_assert_eq(p->frag != FC_FRAG_NONE, p->datagram_count > 0);
    cr_assert(!(p->got & FC_WANT_TUNNEL) || (p->tunnel_count > 0 && p->tunnel_count <= FC_TUNNEL_MAX));
    cr_assert(mask & (FC_KEY_VLAN | FC_KEY_TUNNEL) || k->domain == 0 || k->proto == 50);
    unsigned used = k->addr_kind == FC_ADDR_IPV6 ? 16 : k->addr_kind == FC_ADDR_IPV4 ? 4 : k->addr_kind ? 6 : 0;
    cr_assert_arr_eq(k->addr[0] + used, zeros, 16 - used);
    cr_assert_arr_eq(k->addr[1] + used, zeros, 16 - used);
    int order = memcmp(k->addr[0], k->addr[1], 16);
    cr_assert(k->one_way || order < 0 || (order == 0 && k->port[0] <= k->port[1]));
    cr_assert(p->frag != FC_FRAG_LATER || (k->port[0] == 0 && k->port[1] == 0));
    cr_assert((k->proto < 256 && fc_proto_has_ports(k->proto)) || (k->port[0] == 0 && k->port[1] == 0));
}

Test(hostile, nothing_is_read_past_caplen_at_any_length_with_any_mask)
{
    uint8_t *end = guarded_end();
    struct sample s;
    for (unsigned i = 0; sample_at(i, &s); i++)
        for (uint32_t caplen = 0; caplen <= s.bytes.n; caplen++) {
            memcpy(end - caplen, s.bytes.at, caplen);
            for (uint32_t mask = caplen % 29; mask < 4096; mask += 29) {
                struct fc_packet p;
                uint32_t want = (mask & FC_WANT_ALL) | (mask >> 9 << 16);
                fc_decode(s.link_type, end - caplen, caplen, s.bytes.n, want, &p);
                check_invariants(&p, caplen, want);
            }
        }
}

Test(hostile, every_sample_is_a_good_packet)
{
    struct sample s;
    for (unsigned i = 0; sample_at(i, &s); i++)
        cr_assert_eq(decode(s.link_type, &s.bytes).malformed, 0, "sample %u, link type %u", i, s.link_type);
}

Test(hostile, a_cut_packet_is_malformed_or_keeps_what_it_has)
{
    struct sample s;
    for (unsigned i = 0; sample_at(i, &s); i++) {
        struct fc_packet whole = decode(s.link_type, &s.bytes), p;
        for (uint32_t caplen = 0; caplen < s.bytes.n; caplen++) {
            fc_decode(s.link_type, s.bytes.at, caplen, s.bytes.n, FC_WANT_ALL, &p);
            if (!p.malformed && p.key.proto == whole.key.proto && p.key.port[0] + p.key.port[1] > 0)
                cr_assert_arr_eq(&p.key, &whole.key, sizeof(p.key), "sample %u cut at %u", i, caplen);
        }
    }
}

Test(hostile, the_same_packet_gives_the_same_answer)
{
    struct sample s;
    for (unsigned i = 0; sample_at(i, &s); i++) {
        struct fc_packet p = decode(s.link_type, &s.bytes), q;
        memset(&q, 0x5a, sizeof(q)); /* whatever stood there before */
        fc_decode(s.link_type, s.bytes.at, s.bytes.n, s.bytes.n, FC_WANT_ALL, &q);
        cr_assert_arr_eq(&p.key, &q.key, sizeof(p.key));
        cr_assert_eq(p.got, q.got);
        cr_assert_eq(p.dir, q.dir);
        cr_assert_eq(p.layer_count, q.layer_count);
    }
}

Test(hostile, alignment_does_not_matter)
{
    struct sample s;
    for (unsigned i = 0; sample_at(i, &s); i++) {
        struct fc_packet want = decode(s.link_type, &s.bytes), p;
        for (unsigned shift = 1; shift < 8; shift++) {
            uint8_t moved[2048];
            memcpy(moved + shift, s.bytes.at, s.bytes.n);
            fc_decode(s.link_type, moved + shift, s.bytes.n, s.bytes.n, FC_WANT_ALL, &p);
            cr_assert_arr_eq(&p.key, &want.key, sizeof(p.key));
        }
    }
}

Test(hostile, random_bytes_keep_the_invariants_for_every_link_type)
{
    uint8_t *end = guarded_end();
    uint64_t seed = 1;
    for (uint32_t type = 0; type < 300; type++)
        for (unsigned i = 0; i < (fc_link_type_known(type) ? 5000u : 20u); i++) {
            uint32_t caplen = (uint32_t)(next_random(&seed) % 200);
            struct fc_packet p;
            for (uint8_t *at = end - caplen; at < end; at++)
                *at = (uint8_t)next_random(&seed);
            uint32_t mask = (uint32_t)next_random(&seed) & (FC_WANT_ALL | KEY_BITS);
            fc_decode(type, end - caplen, caplen, (uint32_t)next_random(&seed), mask, &p);
            check_invariants(&p, caplen, mask);
        }
}

/* Number of mutated packets: FC_FUZZ_PACKETS, or what takes about a second. */
static uint64_t fuzz_packets(void)
{
    const char *text = getenv("FC_FUZZ_PACKETS");
    return text ? strtoull(text, NULL, 10) : 300000;
}

Test(hostile, mutated_packets_keep_the_invariants, .timeout = 3600)
{
    /* bytes that lead somewhere: EtherTypes' halves, IP protocols, first nibbles, small lengths */
    static const uint8_t leads[] = {0x00, 0x08, 0x81, 0x86, 0xdd, 0x88, 0x47, 0x64, 0xa8, 0x45, 0x4f, 0x60, 0x06, 0x11,
                                    0x2b, 0x2c, 0x33, 0x3c, 0x3a, 0x01, 0xff, 0x03, 0x21, 0x57, 0xaa, 0x0f, 0x8f, 0x35};
    uint8_t *end = guarded_end();
    uint64_t seed = 99, packets = fuzz_packets();
    static struct sample samples[256];
    unsigned count = 0;
    while (count < 256 && sample_at(count, &samples[count]))
        count++;
    cr_assert_lt(count, 256);
    for (uint64_t i = 0; i < packets; i++) {
        const struct sample *s = &samples[next_random(&seed) % count];
        uint64_t r = next_random(&seed);
        uint32_t caplen = r & 3 ? s->bytes.n : (uint32_t)(next_random(&seed) % (s->bytes.n + 1));
        uint32_t mask = r & 4 ? (uint32_t)FC_WANT_ALL | (r & 16 ? KEY_BITS : FC_KEY_VLAN)
                              : (uint32_t)(r >> 8) & (FC_WANT_ALL | KEY_BITS);
        uint32_t origlen = r & 8 ? caplen : (uint32_t)next_random(&seed);
        struct fc_packet p;
        memcpy(end - caplen, s->bytes.at, caplen);
        for (uint64_t flips = r >> 40 & 7; caplen && flips > 0; flips--) {
            uint64_t f = next_random(&seed);
            (end - caplen)[f % caplen] = f >> 63 ? (uint8_t)(f >> 32) : leads[(f >> 32) % sizeof(leads)];
        }
        fc_decode(s->link_type, end - caplen, caplen, origlen, mask, &p);
        check_invariants(&p, caplen, mask);
    }
}
