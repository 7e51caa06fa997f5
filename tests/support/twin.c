/* SPDX-License-Identifier: MIT */
#include "twin.h"
#include "flow/fragment.h"

#include <string.h>

/* A packet with the key and direction of its session, and its place in time. */
struct member {
    const struct traffic_packet *p;
    struct fc_flow_key key;
    unsigned dir;
    int64_t place;
    bool done;
};

static uint64_t distance(int64_t a, int64_t b)
{
    return a > b ? (uint64_t)a - (uint64_t)b : (uint64_t)b - (uint64_t)a;
}

/* True when b is the better first fragment of another capture. */
static bool nearer(const struct traffic_packet *later, const struct traffic_packet *a, const struct traffic_packet *b)
{
    uint64_t x = distance(a->rec.ts_ns, later->rec.ts_ns), y = distance(b->rec.ts_ns, later->rec.ts_ns);

    if (x != y)
        return y < x;
    if (a->rec.ts_ns != b->rec.ts_ns)
        return b->rec.ts_ns < a->rec.ts_ns;
    return b->file < a->file || (b->file == a->file && b->rec.off < a->rec.off);
}

/* The first fragment of a later one's datagram, by the rule of flow/fragment.h; NULL: there is none. */
static const struct traffic_packet *first_of(const struct traffic *t, const struct traffic_packet *later)
{
    const struct traffic_packet *before = NULL, *behind = NULL, *elsewhere = NULL;
    const struct fc_flow_key *want = &later->packet.datagram[later->packet.datagram_count - 1];

    for (size_t i = 0; i < t->count; i++) {
        const struct traffic_packet *p = &t->packets[i];
        if (p->packet.frag != FC_FRAG_FIRST || !fc_fragment_near(p->rec.ts_ns, later->rec.ts_ns))
            continue;
        if (memcmp(&p->packet.datagram[p->packet.datagram_count - 1], want, sizeof *want) != 0)
            continue;
        if (p->file != later->file)
            elsewhere = !elsewhere || nearer(later, elsewhere, p) ? p : elsewhere;
        else if (p->rec.off < later->rec.off)
            before = p;
        else if (!behind)
            behind = p;
    }
    return before ? before : behind ? behind : elsewhere;
}

static struct member *find_members(const struct traffic *t)
{
    struct member *m = calloc(t->count + 1, sizeof *m);

    if (!m)
        abort();
    for (size_t i = 0; i < t->count; i++) {
        const struct traffic_packet *p = &t->packets[i], *first;
        m[i].p = p;
        m[i].key = p->packet.key;
        m[i].dir = p->packet.dir;
        if (p->packet.frag == FC_FRAG_LATER && (first = first_of(t, p))) {
            m[i].key = first->packet.key;
            m[i].dir = first->packet.dir;
        }
    }
    return m;
}

/* A packet counts as no earlier than the one before it in its capture; without any time it is behind those in front. */
static void place(struct member **flow, size_t n)
{
    int64_t last = FC_TIME_NONE, captures = FC_TIME_NONE;

    for (size_t i = 0; i < n; i++) {
        if (i == 0 || flow[i]->p->file != flow[i - 1]->p->file) {
            captures = last > captures ? last : captures;
            last = FC_TIME_NONE;
        }
        int64_t ts = flow[i]->p->rec.ts_ns;
        flow[i]->place = ts > last ? ts : last;
        if (flow[i]->place == FC_TIME_NONE)
            flow[i]->place = captures;
        last = flow[i]->place;
    }
}

static int compare(const void *a, const void *b)
{
    const struct member *x = *(struct member *const *)a, *y = *(struct member *const *)b;

    if (x->place != y->place)
        return x->place < y->place ? -1 : 1;
    if (x->p->file != y->p->file)
        return x->p->file < y->p->file ? -1 : 1;
    return x->p->rec.off < y->p->rec.off ? -1 : x->p->rec.off > y->p->rec.off;
}

static int state_of(const struct twin_session *s)
{
    const uint8_t *f = s->run.tcp_flags;

    if (s->key.proto == 6 && ((f[0] | f[1]) & FC_TCP_RST))
        return FC_STATE_RESET;
    if (s->key.proto == 6 && (f[0] & FC_TCP_FIN) && (f[1] & FC_TCP_FIN))
        return FC_STATE_CLOSED;
    if (s->key.proto == 6 && !((f[0] | f[1]) & FC_TCP_SYN))
        return FC_STATE_MIDSTREAM;
    return s->run.packets[0] && s->run.packets[1] ? FC_STATE_ESTABLISHED : FC_STATE_NEW;
}

static int64_t timeout_of(const struct twin_session *s, const struct fc_rules *rules)
{
    const int64_t *t = rules->timeout_ns;
    bool both = s->run.packets[0] && s->run.packets[1];
    int state = state_of(s);

    switch (s->key.proto) {
    case 6:
        return state == FC_STATE_RESET || state == FC_STATE_CLOSED ? t[FC_TIMEOUT_TCP_CLOSED]
               : both                                              ? t[FC_TIMEOUT_TCP_ESTABLISHED]
                                                                   : t[FC_TIMEOUT_TCP_NEW];
    case 17:
        return both ? t[FC_TIMEOUT_UDP] : t[FC_TIMEOUT_UDP_NEW];
    case 1:
        return t[FC_TIMEOUT_ICMP];
    case 132:
        return t[FC_TIMEOUT_SCTP];
    case FC_PROTO_MALFORMED:
        return FC_NEVER;
    default:
        return t[FC_TIMEOUT_OTHER];
    }
}

static bool has_tcp(const struct member *m)
{
    return m->p->packet.got & FC_WANT_TCP;
}

static bool is_syn(const struct member *m, bool ack)
{
    unsigned want = ack ? FC_TCP_SYN | FC_TCP_ACK : FC_TCP_SYN;

    return has_tcp(m) && (m->p->packet.tcp_flags & (FC_TCP_SYN | FC_TCP_ACK)) == want;
}

static bool ends(const struct twin_session *s, const struct member *m, const struct fc_rules *rules)
{
    int64_t ts = m->p->rec.ts_ns, active = rules->timeout_ns[FC_TIMEOUT_ACTIVE], timeout = timeout_of(s, rules);

    if (is_syn(m, false) && m->p->packet.frag == FC_FRAG_NONE && (s->run.base_set >> m->dir & 1) &&
        s->run.base[m->dir] != m->p->packet.tcp_seq)
        return true;
    if (ts == FC_TIME_NONE || s->run.max_ns == FC_TIME_NONE)
        return false;
    return (timeout != FC_NEVER && ts > s->run.max_ns && ts - s->run.max_ns > timeout) ||
           (active != FC_NEVER && ts > s->run.min_ns && ts - s->run.min_ns > active);
}

/* The base sequence numbers as Wireshark keeps them. */
static void add_tcp(struct fc_run *run, const struct member *m)
{
    const struct fc_packet *p = &m->p->packet;
    unsigned d = m->dir;

    run->tcp_flags[d] |= p->tcp_flags;
    if (p->frag != FC_FRAG_NONE)
        return;
    if (!(run->base_set >> d & 1) || is_syn(m, true))
        run->base[d] = p->tcp_flags & FC_TCP_SYN ? p->tcp_seq : p->tcp_seq - 1;
    if (is_syn(m, true))
        run->base_synack |= (uint8_t)(1u << d);
    if ((p->tcp_flags & FC_TCP_ACK) && !(run->base_set >> !d & 1)) {
        run->base[!d] = p->tcp_ack - 1;
        run->base_set |= (uint8_t)(1u << !d);
    }
    run->base_set |= (uint8_t)(1u << d);
}

static void add_extra(struct fc_extra *x, const struct member *m)
{
    struct fc_packet p = m->p->packet;

    p.dir = (uint8_t)m->dir; /* adding one packet is tested on its own */
    fc_extra_add(x, &p);
}

static void add(struct twin_session *s, const struct member *m)
{
    const struct traffic_packet *p = m->p;
    struct fc_run *run = &s->run;
    int64_t ts = p->rec.ts_ns;

    if (ts != FC_TIME_NONE) {
        run->min_ns = run->first_ns == FC_TIME_NONE || ts < run->min_ns ? ts : run->min_ns;
        run->max_ns = run->first_ns == FC_TIME_NONE || ts > run->max_ns ? ts : run->max_ns;
        run->first_ns = run->first_ns == FC_TIME_NONE ? ts : run->first_ns;
    }
    if (!s->count) {
        run->first_dir = (uint8_t)m->dir;
        run->first_synack = is_syn(m, true);
        s->client = is_syn(m, true) ? !m->dir : (int)m->dir;
        if (is_syn(m, false) && p->packet.frag == FC_FRAG_NONE) {
            run->syn_dir = (uint8_t)m->dir;
            run->syn_seq = p->packet.tcp_seq;
        }
    }
    run->packets[m->dir]++;
    run->bytes[m->dir] += p->rec.origlen;
    if (has_tcp(m))
        add_tcp(run, m);
    add_extra(&s->extra, m);
    s->packets[s->count++] = p;
}

static struct twin_session *begin(struct twin *twin, const struct member *m, size_t most)
{
    twin->sessions = realloc(twin->sessions, (twin->count + 1) * sizeof *twin->sessions);
    if (!twin->sessions)
        abort();
    struct twin_session *s = &twin->sessions[twin->count++];
    memset(s, 0, sizeof *s);
    s->key = m->key;
    s->run.first_ns = s->run.min_ns = s->run.max_ns = FC_TIME_NONE;
    s->run.syn_dir = s->run.first_dir = FC_NO_DIR;
    s->packets = malloc(most * sizeof *s->packets);
    if (!s->packets)
        abort();
    return s;
}

static void one_flow(struct twin *twin, struct member **flow, size_t n, const struct fc_rules *rules, int64_t clock_ns)
{
    struct twin_session *s = NULL;

    place(flow, n);
    qsort(flow, n, sizeof(struct member *), compare);
    for (size_t i = 0; i < n; i++) {
        if (!s || ends(s, flow[i], rules))
            s = begin(twin, flow[i], n);
        add(s, flow[i]);
        s->state = state_of(s);
    }
    int64_t timeout = timeout_of(s, rules);
    s->open = s->run.max_ns == FC_TIME_NONE || timeout == FC_NEVER || s->run.max_ns + timeout >= clock_ns;
}

void twin_make(struct twin *twin, const struct traffic *t, const struct fc_rules *rules)
{
    struct member *m = find_members(t), **flow = malloc((t->count + 1) * sizeof(struct member *));

    memset(twin, 0, sizeof *twin);
    for (size_t i = 0; i < t->count; i++) {
        size_t n = 0;
        for (size_t k = i; k < t->count && !m[i].done; k++)
            if (memcmp(&m[k].key, &m[i].key, sizeof m[i].key) == 0)
                flow[n++] = &m[k];
        for (size_t k = 0; k < n; k++)
            flow[k]->done = true;
        if (n)
            one_flow(twin, flow, n, rules, t->clock_ns);
    }
    free(flow);
    free(m);
}

void twin_free(struct twin *twin)
{
    for (size_t i = 0; i < twin->count; i++)
        free(twin->sessions[i].packets);
    free(twin->sessions);
}

const struct twin_session *twin_find(const struct twin *twin, uint32_t file, uint64_t off)
{
    for (size_t i = 0; i < twin->count; i++)
        for (size_t k = 0; k < twin->sessions[i].count; k++)
            if (twin->sessions[i].packets[k]->file == file && twin->sessions[i].packets[k]->rec.off == off)
                return &twin->sessions[i];
    return NULL;
}
