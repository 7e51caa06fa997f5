/* SPDX-License-Identifier: MIT */
/*
 * The rules by which packets of one flow key become sessions: timeouts by protocol and state, and profiles that give
 * the rules of other tools. Immutable after fc_rules_profile() and fc_rules_timeout().
 */
#ifndef FC_FLOW_RULES_H
#define FC_FLOW_RULES_H

#include <flowcarve/error.h>
#include <flowcarve/state.h>
#include <stdint.h>

#define FC_NEVER INT64_MAX

enum fc_timeout {
    FC_TIMEOUT_TCP_NEW = 0, /* nobody has acknowledged anything */
    FC_TIMEOUT_TCP_ESTABLISHED,
    FC_TIMEOUT_TCP_CLOSED, /* both sides have sent FIN, or one RST */
    FC_TIMEOUT_UDP_NEW,
    FC_TIMEOUT_UDP,
    FC_TIMEOUT_ICMP,
    FC_TIMEOUT_SCTP,
    FC_TIMEOUT_OTHER,
    FC_TIMEOUT_ACTIVE, /* longest life of a session, however busy */
    FC_TIMEOUT_NONE,   /* of malformed records, which have one session a file: never */
    FC_TIMEOUT_COUNT
};

/* What a protocol's timeout depends on: TCP and UDP on the state, others have one. */
enum fc_timeouts {
    FC_TIMEOUTS_TCP = FC_TIMEOUT_COUNT,
    FC_TIMEOUTS_UDP,
    FC_TIMEOUTS_ICMP = FC_TIMEOUT_ICMP,
    FC_TIMEOUTS_SCTP = FC_TIMEOUT_SCTP,
    FC_TIMEOUTS_OTHER = FC_TIMEOUT_OTHER,
    FC_TIMEOUTS_NONE = FC_TIMEOUT_NONE
};
enum fc_timeouts fc_timeouts_of(uint32_t proto);

struct fc_rules {
    int64_t timeout_ns[FC_TIMEOUT_COUNT]; /* a gap longer than this ends the session; FC_NEVER: none does */
};

/* Sets the rules of a profile: flowcarve (the default), wireshark, zeek, suricata, arkime, yaf. FC_E_USAGE: unknown. */
int fc_rules_profile(struct fc_rules *rules, const char *name);

/* The longest timeout of a gap, whatever the state; FC_NEVER: one of them is. */
int64_t fc_rules_longest_ns(const struct fc_rules *rules);

/*
 * Changes timeouts by a list "name=seconds,...". Names: tcp-new, tcp (established), tcp-closed, udp-new, udp (both),
 * icmp, sctp, other, active; seconds may have a fraction, "never" is none. FC_E_USAGE with err->cause.
 */
int fc_rules_timeout(struct fc_rules *rules, const char *list, struct fc_error *err);

#endif
