/* SPDX-License-Identifier: MIT */
#include "twin.h"
#include "twin_places.h"

enum { FIRSTS = 262144, WAITING = 262144 };

/* ---------------------------------------------------------------- 4. sessions of a flow */

static bool has_tcp(const struct twin_member *m)
{
    return m->p->packet.got & FC_WANT_TCP;
}

static bool is_syn(const struct twin_member *m, bool ack)
{
    unsigned want = ack ? FC_TCP_SYN | FC_TCP_ACK : FC_TCP_SYN;

    return has_tcp(m) && (m->p->packet.tcp_flags & (FC_TCP_SYN | FC_TCP_ACK)) == want;
}

static bool answered(const struct twin_session *s)
{
    bool ack = s->key.proto == 6 && ((s->tcp_flags[0] | s->tcp_flags[1]) & FC_TCP_ACK);

    return ack || (s->packets[0] && s->packets[1]);
}

static enum fc_state state_of(const struct twin_session *s)
{
    const uint8_t *f = s->tcp_flags;

    if (s->key.proto == 6 && ((f[0] | f[1]) & FC_TCP_RST))
        return FC_STATE_RESET;
    if (s->key.proto == 6 && (f[0] & FC_TCP_FIN) && (f[1] & FC_TCP_FIN))
        return FC_STATE_CLOSED;
    if (s->key.proto == 6 && !((f[0] | f[1]) & FC_TCP_SYN))
        return FC_STATE_MIDSTREAM;
    return answered(s) ? FC_STATE_ESTABLISHED : FC_STATE_NEW;
}

static int64_t timeout_of(const struct twin_session *s, const struct fc_rules *rules)
{
    const int64_t *t = rules->timeout_ns;
    enum fc_state state = state_of(s);

    switch (s->key.proto) {
    case 6:
        if (state == FC_STATE_RESET || state == FC_STATE_CLOSED)
            return t[FC_TIMEOUT_TCP_CLOSED];
        return t[answered(s) ? FC_TIMEOUT_TCP_ESTABLISHED : FC_TIMEOUT_TCP_NEW];
    case 17:
    case 136:
        return t[answered(s) ? FC_TIMEOUT_UDP : FC_TIMEOUT_UDP_NEW];
    case 1:
    case 58:
        return t[FC_TIMEOUT_ICMP];
    case 132:
        return t[FC_TIMEOUT_SCTP];
    case FC_PROTO_MALFORMED:
        return FC_NEVER;
    default:
        return t[FC_TIMEOUT_OTHER];
    }
}

static bool ends(const struct twin_session *s, const struct twin_member *m, const struct fc_rules *rules)
{
    if (is_syn(m, false) && m->p->packet.frag == FC_FRAG_NONE && s->base_set[m->dir] &&
        s->base[m->dir] != m->p->packet.tcp_seq)
        return true;
    return twin_past(s->last_ns, m->place, timeout_of(s, rules)) ||
           twin_past(s->first_ns, m->place, rules->timeout_ns[FC_TIMEOUT_ACTIVE]);
}

static void set_base(struct twin_session *s, unsigned d, uint32_t base)
{
    s->base[d] = base;
    s->base_set[d] = true;
}

static void add_tcp(struct twin_session *s, const struct twin_member *m)
{
    const struct fc_packet *p = &m->p->packet;
    unsigned d = m->dir;

    s->tcp_flags[d] |= p->tcp_flags;
    if (p->frag != FC_FRAG_NONE)
        return;
    if (is_syn(m, true))
        set_base(s, d, p->tcp_seq);
    else if (!s->base_set[d])
        set_base(s, d, p->tcp_flags & FC_TCP_SYN ? p->tcp_seq : p->tcp_seq - 1);
    if ((p->tcp_flags & FC_TCP_ACK) && !s->base_set[!d])
        set_base(s, !d, p->tcp_ack - 1);
}

static void add_stacks(struct twin_fields *x, const struct fc_packet *p)
{
    if ((p->got & FC_WANT_VLAN) && !x->vlan_count) {
        x->vlan_count = p->vlan_count;
        memcpy(x->vlan, p->vlan, p->vlan_count * sizeof p->vlan[0]);
    }
    if ((p->got & FC_WANT_MPLS) && !x->mpls_count) {
        x->mpls_count = p->mpls_count;
        memcpy(x->mpls, p->mpls, p->mpls_count * sizeof p->mpls[0]);
    }
    if ((p->got & FC_WANT_TUNNEL) && !x->tunnel_count) {
        x->tunnel_count = p->tunnel_count;
        memcpy(x->tunnel, p->tunnel, p->tunnel_count * sizeof p->tunnel[0]);
    }
}

static void add_fields(struct twin_fields *x, const struct fc_packet *p, unsigned d)
{
    add_stacks(x, p);
    if ((p->got & FC_WANT_MAC) && !x->has_mac) {
        x->has_mac = true;
        memcpy(x->mac[d], p->mac[0], 6);
        memcpy(x->mac[!d], p->mac[1], 6);
    }
    if ((p->got & FC_WANT_TTL) && !x->has_ttl[d]) {
        x->has_ttl[d] = true;
        x->ttl[d] = p->ttl;
    }
    if ((p->got & FC_WANT_DSCP) && !x->has_dscp[d]) {
        x->has_dscp[d] = true;
        x->dscp[d] = p->dscp;
    }
    if (p->got & FC_WANT_TCP) {
        x->has_flags[d] = true;
        x->tcp_flags[d] |= p->tcp_flags;
    }
    if ((p->got & FC_WANT_TCP) && (p->tcp_flags & FC_TCP_SYN) && !x->has_isn[d]) {
        x->has_isn[d] = true;
        x->isn[d] = p->tcp_seq;
    }
    if (p->got & FC_WANT_PAYLOAD) {
        x->has_payload[d] = true;
        x->payload_bytes[d] += p->payload_bytes;
    }
}

static void add(struct twin_session *s, const struct twin_member *m)
{
    int64_t ts = m->p->rec.ts_ns;

    if (!s->count) {
        s->first_ns = s->counted_ns = m->place;
        s->late = m->late;
        s->file = m->p->file;
        s->off = m->p->rec.off;
        s->client = is_syn(m, true) ? !m->dir : m->dir;
    }
    s->last_ns = m->place;
    if (ts != FC_TIME_NONE) {
        s->min_ns = s->min_ns == FC_TIME_NONE || ts < s->min_ns ? ts : s->min_ns;
        s->max_ns = s->max_ns == FC_TIME_NONE || ts > s->max_ns ? ts : s->max_ns;
    }
    s->packets[m->dir]++;
    s->bytes[m->dir] += m->p->rec.origlen;
    if (has_tcp(m))
        add_tcp(s, m);
    add_fields(&s->fields, &m->p->packet, m->dir);
    s->list[s->count++] = m->p;
    s->state = state_of(s);
}

static struct twin_session *begin(struct twin *twin, const struct twin_member *m, size_t most)
{
    twin->sessions = twin_need(realloc(twin->sessions, (twin->count + 1) * sizeof *twin->sessions));
    struct twin_session *s = &twin->sessions[twin->count++];

    memset(s, 0, sizeof *s);
    s->key = m->key;
    s->min_ns = s->max_ns = FC_TIME_NONE;
    s->list = twin_need(malloc(most * sizeof *s->list));
    return s;
}

/* The packets of one flow, in their places. */
static void one_flow(struct twin *twin, const struct twin_list *flow, const struct fc_rules *rules)
{
    struct twin_session *s = NULL;

    for (size_t i = 0; i < flow->n; i++) {
        if (!s || ends(s, flow->at[i], rules))
            s = begin(twin, flow->at[i], flow->n);
        add(s, flow->at[i]);
    }
    s->open = !twin_past(s->last_ns, twin->clock_ns, timeout_of(s, rules));
}

/* The fragments that still wait under one name. */
static void one_name(struct twin *twin, const struct twin_list *fragments)
{
    struct twin_session *s = begin(twin, fragments->at[0], fragments->n);

    s->provisional = true;
    for (size_t i = 0; i < fragments->n; i++)
        add(s, fragments->at[i]);
}

/* One group after the other, by the key, or the name where they wait. */
static void by_group(struct twin *twin, const struct twin_list *all, const struct fc_rules *rules, bool provisional)
{
    struct twin_list group = twin_list_new(all->n);

    for (size_t i = 0; i < all->n; i++) {
        group.n = 0;
        for (size_t k = i; k < all->n; k++) {
            const struct twin_member *a = all->at[i], *b = all->at[k];
            if (!b->done && twin_same(provisional ? a->waits : &a->key, provisional ? b->waits : &b->key))
                twin_list_put(&group, all->at[k]);
        }
        if (all->at[i]->done)
            continue;
        for (size_t k = 0; k < group.n; k++)
            group.at[k]->done = true;
        if (provisional)
            one_name(twin, &group);
        else
            one_flow(twin, &group, rules);
    }
    free(group.at);
}

/* ---------------------------------------------------------------- 5. IDs, clock */

static int compare_sessions(const void *a, const void *b)
{
    const struct twin_session *x = a, *y = b;

    if (x->provisional != y->provisional)
        return x->provisional - y->provisional;
    if (x->counted_ns != y->counted_ns)
        return x->counted_ns < y->counted_ns ? -1 : 1;
    if (x->late != y->late)
        return x->late ? 1 : -1;
    if (x->file != y->file)
        return x->file < y->file ? -1 : 1;
    return x->off < y->off ? -1 : x->off > y->off;
}

static void number(struct twin *twin)
{
    int64_t id = 0, provisional = 0;

    if (twin->count)
        qsort(twin->sessions, twin->count, sizeof *twin->sessions, compare_sessions);
    for (size_t i = 0; i < twin->count; i++)
        twin->sessions[i].id = twin->sessions[i].provisional ? --provisional : ++id;
}

void twin_make_limited(struct twin *twin, const struct traffic *t, const struct fc_rules *rules, size_t names,
                       size_t waiting)
{
    struct twin_places places;

    twin_places_make(&places, t, names, waiting);
    memset(twin, 0, sizeof *twin);
    twin->clock_ns = places.clock_ns;
    by_group(twin, &places.placed, rules, false);
    by_group(twin, &places.waiting, rules, true);
    number(twin);
    twin_places_free(&places);
}

void twin_make(struct twin *twin, const struct traffic *t, const struct fc_rules *rules)
{
    twin_make_limited(twin, t, rules, FIRSTS, WAITING);
}

void twin_free(struct twin *twin)
{
    for (size_t i = 0; i < twin->count; i++)
        free(twin->sessions[i].list);
    free(twin->sessions);
}

const struct twin_session *twin_find(const struct twin *twin, uint32_t file, uint64_t off)
{
    for (size_t i = 0; i < twin->count; i++)
        for (size_t k = 0; k < twin->sessions[i].count; k++)
            if (twin->sessions[i].list[k]->file == file && twin->sessions[i].list[k]->rec.off == off)
                return &twin->sessions[i];
    return NULL;
}
