/* SPDX-License-Identifier: MIT */
/*
 * A session as its packets have made it: docs/sessions.md, section 4. Directions are those of the flow key: 0 from
 * endpoint 0, 1 from endpoint 1.
 *
 * Threads: any, on objects of their own.
 */
#ifndef FC_FLOW_SESSION_H
#define FC_FLOW_SESSION_H

#include "flow/rules.h"

#include <flowcarve/capture.h>
#include <flowcarve/decode.h>
#include <stdbool.h>

struct fc_session_sum {
    int64_t first_ns, last_ns; /* counted times of the places of the first and the latest packet; FC_TIME_NONE: none */
    int64_t min_ns, max_ns;    /* earliest and latest time as captured; FC_TIME_NONE: no packet has one */
    uint64_t packets[2];
    uint64_t bytes[2];    /* on the wire */
    uint32_t base[2];     /* TCP: the sequence number from which each direction counts, */
    uint8_t base_set;     /* where bit d says that it is known */
    uint8_t tcp_flags[2]; /* or-ed */
    uint8_t first_dir;    /* of the first packet */
    uint8_t first_synack; /* which was a SYN-ACK: its sender is the server */
};

/* Endpoint of the key that is the client. */
static inline int fc_session_client(const struct fc_session_sum *s)
{
    return (s->first_dir ^ s->first_synack) & 1;
}

/* What the state of a session depends on, of all that a flow has seen. */
static inline enum fc_state fc_state_of(uint32_t proto, const uint8_t flags[2], bool both)
{
    uint8_t any = flags[0] | flags[1];

    if (proto == 6) {
        if (any & FC_TCP_RST)
            return FC_STATE_RESET;
        if (flags[0] & flags[1] & FC_TCP_FIN)
            return FC_STATE_CLOSED;
        if (!(any & FC_TCP_SYN))
            return FC_STATE_MIDSTREAM;
        return both || any & FC_TCP_ACK ? FC_STATE_ESTABLISHED : FC_STATE_NEW;
    }
    return both ? FC_STATE_ESTABLISHED : FC_STATE_NEW;
}

static inline enum fc_state fc_session_state(const struct fc_session_sum *s, uint32_t proto)
{
    return fc_state_of(proto, s->tcp_flags, s->packets[0] && s->packets[1]);
}

/*
 * Which timeout ends a session. An ACK proves the answer, whoever sent it: of a TCP stream one side alone may be seen.
 */
static inline enum fc_timeout fc_timeout_of(enum fc_timeouts of, const uint8_t flags[2], bool both)
{
    uint8_t any = flags[0] | flags[1];

    if (of == FC_TIMEOUTS_TCP) {
        if (any & FC_TCP_RST || flags[0] & flags[1] & FC_TCP_FIN)
            return FC_TIMEOUT_TCP_CLOSED;
        return both || any & FC_TCP_ACK ? FC_TIMEOUT_TCP_ESTABLISHED : FC_TIMEOUT_TCP_NEW;
    }
    return of == FC_TIMEOUTS_UDP ? (both ? FC_TIMEOUT_UDP : FC_TIMEOUT_UDP_NEW) : (enum fc_timeout)of;
}

/* Latest counted time at which a packet still continues it; FC_NEVER: at any time. */
int64_t fc_session_expiry_ns(const struct fc_rules *rules, uint32_t proto, const struct fc_session_sum *session);

#endif
