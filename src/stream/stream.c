/* SPDX-License-Identifier: MIT */
#include "base/error.h"
#include "base/export.h"
#include "packets/packets.h"
#include "stream/fragment.h"
#include "stream/tcp.h"

#include <stdlib.h>
#include <string.h>

enum { TCP = 6, UDP = 17, LINKTYPE_RAW = 101 };

/* What is kept of a session; one that has no packet yet is all 0. */
struct session {
    struct fc_tcp_side *sides;        /* of TCP: one for each enum fc_from, else NULL */
    struct fc_datagrams *datagrams;   /* NULL: there was no fragment */
    uint64_t at[FC_FROM_UNKNOWN + 1]; /* of others than TCP: bytes told */
    struct fc_piece last;             /* of its last packet */
};

struct fc_follow {
    struct fc_packets *packets;
    struct session *sessions; /* as packets->places has them */
    struct fc_piece_queue queue;
    size_t ended; /* sessions whose rest is told, once there are no more packets */
    bool at_end;
    int failed;
    struct fc_error why;
};

/* A packet as it came, or as it was put together from fragments. */
struct unit {
    struct fc_packet packet;
    const uint8_t *data;
    uint32_t caplen, wire_len;
    bool incomplete; /* fragments are missing, perhaps also behind wire_len */
    struct fc_piece where;
};

static int no_memory(struct fc_error *err)
{
    return fc_error_set(err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");
}

/* A piece of a direction that is no TCP. */
static void tell(struct fc_follow *s, struct session *session, enum fc_piece_kind kind, const uint8_t *data,
                 uint64_t len, const struct fc_piece *where)
{
    struct fc_piece piece = *where;

    piece.kind = kind;
    piece.at = session->at[where->from];
    piece.len = len;
    piece.data = data;
    session->at[where->from] += len;
    fc_queue_add(&s->queue, &piece);
}

static int take_tcp(struct fc_follow *s, struct session *session, const struct unit *u, struct fc_error *err)
{
    const struct fc_packet *p = &u->packet;
    struct fc_tcp_segment segment = {.seq = p->tcp_seq, .flags = p->tcp_flags, .data = u->data, .where = u->where};

    if (!(p->got & FC_WANT_TCP) || !(p->got & FC_WANT_PAYLOAD)) /* cut: the gap shows in the sequence */
        return 0;
    if (!session->sides && !(session->sides = calloc(FC_FROM_UNKNOWN + 1, sizeof *session->sides)))
        return no_memory(err);
    const uint8_t *payload = fc_packet_payload(p, u->data, u->caplen, &segment.captured);
    if (payload)
        segment.data = payload;
    segment.len = p->payload_bytes;
    if (p->tcp_flags & FC_TCP_ACK && u->where.from != FC_FROM_UNKNOWN)
        fc_tcp_acknowledged(&session->sides[FC_FROM_SERVER - u->where.from], p->tcp_ack, &s->queue);
    fc_tcp_take(&session->sides[u->where.from], &segment, &s->queue);
    return 0;
}

/* The payload's length by the header of UDP, where that is less than IP's, or IP's is not known. */
static uint32_t udp_length(const struct unit *u)
{
    const struct fc_packet *p = &u->packet;

    if (p->key.proto != UDP || p->payload_off < 8 || u->caplen < p->payload_off)
        return p->payload_bytes;
    const uint8_t *udp = u->data + p->payload_off - 8;
    uint32_t len = (uint32_t)(udp[4] << 8 | udp[5]);
    return len >= 8 && (len - 8 < p->payload_bytes || u->incomplete) ? len - 8 : p->payload_bytes;
}

static int take_payload(struct fc_follow *s, struct session *session, const struct unit *u, struct fc_error *err)
{
    uint32_t captured, len;

    if (u->packet.key.proto == TCP)
        return take_tcp(s, session, u, err);
    if (!(u->packet.got & FC_WANT_PAYLOAD))
        return 0;
    len = udp_length(u);
    const uint8_t *payload = fc_packet_payload(&u->packet, u->data, u->caplen, &captured);
    if (captured > len)
        captured = len;
    if (captured || !len)
        tell(s, session, FC_PIECE_DATA, payload, captured, &u->where);
    if (len > captured || u->incomplete)
        tell(s, session, u->incomplete ? FC_PIECE_FRAGMENTS : FC_PIECE_CUT, NULL, len - captured, &u->where);
    return 0;
}

static int take_fragment(struct fc_follow *s, struct session *session, const struct unit *u, struct fc_error *err);

static int take(struct fc_follow *s, struct session *session, const struct unit *u, struct fc_error *err)
{
    if (u->packet.datagram_count)
        return take_fragment(s, session, u, err);
    return take_payload(s, session, u, err);
}

/* Has the packet the ends and the protocol of the session? */
static bool same_ends(const struct fc_flow_key *a, const struct fc_flow_key *b)
{
    return a->proto == b->proto && memcmp(a->addr, b->addr, sizeof a->addr) == 0 &&
           memcmp(a->port, b->port, sizeof a->port) == 0;
}

/*
 * A datagram that was put together, as far as it is there. Decoded as a whole it may show more tunnels than its first
 * fragment, whose session it is in, did alone.
 */
static int take_datagram(struct fc_follow *s, struct session *session, const struct fc_datagram *d,
                         struct fc_error *err)
{
    const struct fc_places *places = &s->packets->places;
    const struct fc_flow_key *key = &places->sessions[session - s->sessions].key;
    struct unit u = {.where = d->where, .incomplete = !fc_datagram_complete(d)};
    uint8_t *data;

    if (!d->has_first) {
        tell(s, session, FC_PIECE_FRAGMENTS, NULL, d->bytes, &d->where);
        return 0;
    }
    if (fc_datagram_join(d, &data, &u.caplen, &u.wire_len))
        return no_memory(err);
    fc_queue_keep(&s->queue, data);
    if (s->queue.failed)
        return no_memory(err);
    u.data = data;
    fc_decode(LINKTYPE_RAW, data, u.caplen, u.wire_len, places->mask, &u.packet);
    if (!u.packet.datagram_count && !same_ends(&u.packet.key, key))
        fc_decode(LINKTYPE_RAW, data, u.caplen, u.wire_len, places->mask | FC_KEY_OUTER, &u.packet);
    return take(s, session, &u, err);
}

static int take_fragment(struct fc_follow *s, struct session *session, const struct unit *u, struct fc_error *err)
{
    struct fc_fragment fragment;
    struct fc_datagram *whole, *gone;
    int rc = 0;

    if (!fc_fragment_find(&u->packet, u->data, u->caplen, u->wire_len, &fragment)) {
        if (u->packet.got & FC_WANT_PAYLOAD)
            tell(s, session, FC_PIECE_FRAGMENTS, NULL, u->packet.payload_bytes, &u->where);
        return 0;
    }
    if (!session->datagrams && !(session->datagrams = calloc(1, sizeof *session->datagrams)))
        return no_memory(err);
    if (fc_datagrams_take(session->datagrams, &u->packet.datagram[0], &fragment, &u->where, &whole, &gone))
        rc = no_memory(err);
    if (rc == 0 && gone)
        rc = take_datagram(s, session, gone, err);
    fc_datagram_free(gone);
    return rc == 0 && whole ? take_datagram(s, session, whole, err) : rc;
}

/* There are no more packets of it. */
static int end_session(struct fc_follow *s, struct session *session, struct fc_error *err)
{
    struct fc_datagrams *d = session->datagrams;
    int rc = 0;

    for (unsigned i = 0; d && i < d->count && rc == 0;) {
        struct fc_datagram *datagram = d->list[i];
        if (datagram->done) {
            i++;
            continue;
        }
        datagram->done = true;
        rc = take_datagram(s, session, datagram, err);
        i = 0; /* it may have carried a fragment of another one, and so have changed the list */
    }
    for (int from = 0; session->sides && from <= FC_FROM_UNKNOWN; from++) {
        session->last.from = (enum fc_from)from;
        fc_tcp_end(&session->sides[from], &session->last, &s->queue);
    }
    return rc;
}

static void free_session(struct session *session)
{
    for (int from = 0; session->sides && from <= FC_FROM_UNKNOWN; from++)
        fc_tcp_fini(&session->sides[from]);
    if (session->datagrams)
        fc_datagrams_fini(session->datagrams);
    free(session->sides);
    free(session->datagrams);
    *session = (struct session){0};
}

/* Takes the next packet, or ends the next session. 1, 0 when all is done, or a code. */
static int step(struct fc_follow *s, struct fc_error *err)
{
    struct fc_packets *p = s->packets;
    const struct fc_session_packet *now;
    int rc = s->at_end ? 0 : fc_packets_next(p, &now, err);

    if (rc < 0)
        return rc;
    if (rc == 0) {
        s->at_end = true;
        if (s->ended == p->places.session_count)
            return 0;
        struct session *ending = &s->sessions[s->ended++];
        rc = end_session(s, ending, err);
        return rc ? rc : 1;
    }
    struct session *session = &s->sessions[p->sources[p->heap[0]].session - p->places.sessions];
    struct unit u = {.packet = now->packet,
                     .data = now->record.data,
                     .caplen = now->record.caplen,
                     .wire_len = now->record.origlen,
                     .where = {.session = now->session,
                               .from = now->from,
                               .ts_ns = now->record.ts_ns,
                               .file = now->file,
                               .off = now->off}};
    session->last = u.where;
    rc = take(s, session, &u, err);
    return rc ? rc : 1;
}

FC_EXPORT int fc_follow_open(struct fc_db *db, const struct fc_filter *filter, const struct fc_follow_options *options,
                             struct fc_follow **out, struct fc_error *err)
{
    struct fc_packets_options o = {.fields = FC_WANT_TCP | FC_WANT_PAYLOAD};
    struct fc_follow *s = calloc(1, sizeof *s);
    int rc;

    if (!s)
        return no_memory(err);
    if (options) {
        o.partial = options->partial;
        o.avoid = options->avoid;
        o.stop = options->stop;
    }
    rc = fc_packets_open(db, filter, &o, &s->packets, err);
    if (rc == 0 && !(s->sessions = calloc(s->packets->places.session_count + 1, sizeof *s->sessions)))
        rc = no_memory(err);
    if (rc)
        fc_follow_close(s);
    else
        *out = s;
    return rc;
}

FC_EXPORT int fc_follow_next(struct fc_follow *s, const struct fc_piece **piece, struct fc_error *err)
{
    int rc = s->failed;

    while (rc == 0 && !(*piece = fc_queue_take(&s->queue))) {
        fc_queue_clear(&s->queue);
        if (s->at_end && s->ended) /* its waiting bytes are told */
            free_session(&s->sessions[s->ended - 1]);
        if ((rc = step(s, &s->why)) == 0)
            return 0;
        rc = rc > 0 && s->queue.failed ? no_memory(&s->why) : rc;
        rc = s->failed = rc < 0 ? rc : 0;
    }
    if (rc < 0 && err)
        *err = s->why;
    return rc < 0 ? rc : 1;
}

FC_EXPORT void fc_follow_result(const struct fc_follow *s, struct fc_packets_result *result)
{
    fc_packets_result(s->packets, result);
}

FC_EXPORT void fc_follow_close(struct fc_follow *s)
{
    if (!s)
        return;
    for (size_t i = 0; s->sessions && i < s->packets->places.session_count; i++)
        free_session(&s->sessions[i]);
    free(s->sessions);
    fc_queue_fini(&s->queue);
    fc_packets_close(s->packets);
    free(s);
}
