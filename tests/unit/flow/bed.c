/* SPDX-License-Identifier: MIT */
#include "bed.h"
#include "flow/positions.h"

#include <criterion/criterion.h>
#include <string.h>

static void keep_positions(struct bed_session *s, const struct fc_ended *e)
{
    uint8_t *plain = NULL;
    size_t room = 0, len;
    struct fc_segment segment;

    if (e->id && !e->pos_len)
        return;
    cr_assert_eq(fc_positions_canonical(e->id ? 0 : e->first_file, e->first_off, e->pos, e->pos_len, e->pos_plain,
                                        &plain, &room, &len),
                 0);
    for (const uint8_t *p = plain, *end = plain + len; p < end;) {
        cr_assert_not_null(p = fc_segment_head(p, end, &segment));
        uint64_t off = segment.first_off;
        for (uint64_t i = 0; i < segment.count; i++) {
            if (i)
                cr_assert_not_null(p = fc_segment_next(p, end, &off));
            if (s->positions < BED_POSITIONS) {
                s->file[s->positions] = segment.file;
                s->off[s->positions++] = off;
            }
        }
    }
    free(plain);
}

static int emit(void *ctx, const struct fc_ended *e)
{
    struct bed *b = ctx;

    if (b->count < BED_SESSIONS) {
        struct bed_session *s = &b->s[b->count];
        memset(s, 0, sizeof *s);
        s->e = *e;
        keep_positions(s, e);
    }
    b->count++;
    b->packets += e->session.packets[0] + e->session.packets[1] - e->prior_packets;
    if (b->again) {
        struct fc_place end = FC_PLACE_END;
        b->again_rc = 1;
        for (unsigned i = 0; i < FC_PARTITIONS; i++) /* the one at hand is refused, others have nothing */
            b->again_rc = fc_table_advance(b->table, i, &end, &b->a) == 1 ? 0 : b->again_rc;
    }
    return b->rc;
}

void bed_make(struct bed *b, const char *profile, const char *timeouts)
{
    memset(b, 0, sizeof *b);
    rcu_register_thread();
    cr_assert_eq(fc_rules_profile(&b->rules, profile), 0);
    cr_assert_eq(fc_rules_timeout(&b->rules, timeouts, NULL), 0);
    cr_assert_not_null(b->table = fc_table_new(&b->rules, false, "/tmp"));
    cr_assert_not_null(b->fragments = fc_fragments_new(b->table));
    fc_shelf_init(&b->a.shelf, fc_table_stock(b->table));
    b->a.sink = (struct fc_sink){emit, b};
    b->file = 1;
    b->counted_ns = FC_TIME_NONE;
}

void bed_free(struct bed *b)
{
    fc_unit_free(b->unit, &b->a.shelf);
    fc_shelf_fini(&b->a.shelf);
    fc_fragments_free(b->fragments);
    fc_table_free(b->table);
    rcu_unregister_thread();
}

void bed_file(struct bed *b, uint32_t file)
{
    bed_hand_over(b);
    b->file = file;
    b->off = 0;
    b->counted_ns = FC_TIME_NONE;
}

static void begin(struct bed *b, uint32_t file, uint64_t off)
{
    if (b->unit)
        return;
    cr_assert_not_null(b->unit = fc_unit_new(fc_table_stock(b->table)));
    cr_assert_eq(fc_unit_begin(b->unit, file, off), 0);
    b->odd_room = 0;
}

uint64_t bed_add(struct bed *b, const struct fc_packet *p, int64_t ts_ns)
{
    b->off += 10;
    begin(b, b->file, b->off);
    cr_assert_eq(fc_unit_add(b->unit, &b->a.shelf, p, b->off, ts_ns, 60, fc_table_seed(b->table), false), 0);
    b->counted_ns = ts_ns > b->counted_ns ? ts_ns : b->counted_ns;
    if (b->counted_ns != ts_ns || ts_ns == FC_TIME_NONE) {
        struct fc_stretch *st = &b->unit->stretches[0];
        cr_assert_eq(fc_vector_reserve(&st->odd, &b->odd_room, st->odd_count + 1, sizeof *st->odd), 0);
        st->odd[st->odd_count++] = (struct fc_odd_time){st->end - 1, b->counted_ns};
    }
    return b->off;
}

void bed_prior(struct bed *b, const struct fc_flow_key *key, int64_t id, const struct fc_session_sum *sum)
{
    struct fc_prior prior = {*sum, id};
    struct fc_placed placed = {.place = {sum->first_ns, (uint64_t)id, 0, 0}};
    struct fc_side side = {.placed = &placed, .prior = &prior};
    struct fc_note note = {.ts_ns = FC_TIME_NONE};

    bed_hand_over(b);
    begin(b, 0, 0);
    cr_assert_eq(fc_unit_put(b->unit, &b->a.shelf, &note, key, FC_NOTE_PLACED | FC_NOTE_PRIOR, 0, &side,
                             fc_table_seed(b->table)),
                 0);
    bed_hand_over(b);
}

void bed_hand_over(struct bed *b)
{
    if (b->unit)
        fc_table_hand_over(b->table, b->unit, &b->a.shelf);
    b->unit = NULL;
}

int bed_advance(struct bed *b, int64_t to_ns)
{
    struct fc_place to = {to_ns, 0, 0, 0};
    int rc;

    bed_hand_over(b);
    rc = fc_fragments_advance(b->fragments, &to, &b->a.shelf);
    for (unsigned i = 0; i < FC_PARTITIONS && rc == 0; i++)
        rc = fc_table_advance(b->table, i, &to, &b->a);
    return rc;
}

int bed_finish(struct bed *b)
{
    bed_hand_over(b);
    int rc = fc_fragments_finish(b->fragments, b->counted_ns, &b->a.shelf);

    for (unsigned i = 0; i < FC_PARTITIONS && rc == 0; i++)
        rc = fc_table_finish(b->table, i, true, &b->a);
    return rc;
}

int bed_suspend(struct bed *b)
{
    int rc = 0;

    for (unsigned i = 0; i < FC_PARTITIONS && rc == 0; i++)
        rc = fc_table_suspend(b->table, i, &b->a);
    return rc;
}

struct fc_flow_key bed_key(unsigned flow, uint32_t proto)
{
    struct fc_flow_key key;

    memset(&key, 0, sizeof key);
    key.addr_kind = FC_ADDR_IPV4;
    key.addr[0][0] = key.addr[1][0] = 10;
    key.addr[0][3] = 1;
    key.addr[1][3] = 2;
    key.port[0] = (uint16_t)flow;
    key.port[1] = (uint16_t)(flow >> 16);
    key.proto = proto;
    return key;
}

struct fc_packet bed_packet(unsigned flow, uint32_t proto, unsigned dir)
{
    struct fc_packet p;

    memset(&p, 0, sizeof p);
    p.got = FC_WANT_KEY;
    p.key = bed_key(flow, proto);
    p.dir = (uint8_t)dir;
    return p;
}

struct fc_packet bed_tcp(unsigned dir, unsigned flags, uint32_t seq, uint32_t ack)
{
    struct fc_packet p = bed_packet(1, 6, dir);

    p.got = FC_WANT_SESSION;
    p.tcp_flags = (uint8_t)flags;
    p.tcp_seq = seq;
    p.tcp_ack = ack;
    return p;
}
