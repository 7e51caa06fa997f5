/* SPDX-License-Identifier: MIT */
/*
 * The words of the filter language, and names that come from elsewhere: services, IP protocols.
 *
 * Threads: any; the C library's databases are read with the re-entrant calls.
 */
#ifndef FC_QUERY_WORDS_H
#define FC_QUERY_WORDS_H

#include "query/lex.h"

#include <stdint.h>

enum fc_word_kind {
    FC_WORD_NONE,
    FC_WORD_ENDS,   /* src, dst: value is enum fc_ends */
    FC_WORD_TYPE,   /* host, port...: value is enum fc_qual_type */
    FC_WORD_PROTO,  /* ip, tcp...: value is enum fc_qual_proto */
    FC_WORD_NAMED,  /* keyword of pcap-filter for a protocol that is only a name to us */
    FC_WORD_PACKET, /* known to pcap-filter, but about packets rather than sessions */
    FC_WORD_OTHER   /* part of a longer phrase: mask, ago, over, least */
};

/* Type qualifiers: what the word behind them is. */
enum fc_qual_type {
    FC_QUAL_ADDRESS, /* none given: an address or a network */
    FC_QUAL_HOST,
    FC_QUAL_NET,
    FC_QUAL_PORT,
    FC_QUAL_PORTRANGE,
    FC_QUAL_PROTO,
    FC_QUAL_VLAN,
    FC_QUAL_MPLS,
    FC_QUAL_TUNNEL,
    FC_QUAL_ID,
    FC_QUAL_STATE,
    FC_QUAL_COMMUNITY_ID,
    FC_QUAL_SENSOR,
    FC_QUAL_FILE,
    FC_QUAL_FLAGS,
    FC_QUAL_RESET,
    FC_QUAL_AFTER,
    FC_QUAL_BEFORE,
    FC_QUAL_BETWEEN,
    FC_QUAL_AT,
    FC_QUAL_ON,
    FC_QUAL_DURING,
    /* with an end in front the number of one direction */
    FC_QUAL_PACKETS,
    FC_QUAL_BYTES,
    FC_QUAL_DURATION,
    FC_QUAL_PAYLOAD,
    FC_QUAL_TTL
};

/* Protocol qualifiers. */
enum fc_qual_proto {
    FC_QUAL_ANY,
    FC_QUAL_IP,
    FC_QUAL_IP6,
    FC_QUAL_ARP,
    FC_QUAL_RARP,
    FC_QUAL_TCP,
    FC_QUAL_UDP,
    FC_QUAL_SCTP,
    FC_QUAL_ICMP,
    FC_QUAL_ICMP6,
    FC_QUAL_LINK,
    FC_QUAL_NUMBER /* any other protocol with a name */
};

/* What a token is as a keyword, FC_WORD_NONE for an escaped one; *value as described above. */
enum fc_word_kind fc_word_kind(const struct fc_token *token, int *value);

/* True for what may be a sensor's name: 1 to 63 letters, digits, '.', '_' and '-', first a letter or a digit. */
bool fc_word_is_sensor(const char *name);

/* The word for a type qualifier ("port"). */
const char *fc_word_type(enum fc_qual_type type);

/* The keyword or protocol name that is most like `word` (edit distance of at most 2), or NULL. */
const char *fc_word_like(const char *word);

/*
 * Port of a service by name; *known becomes the transports (FC_TRANSPORT_* bits) that it is registered for with that
 * port. The system's table counts before the built-in one. False: no such name.
 */
bool fc_service_port(const char *name, uint16_t *port, unsigned *known);

/* The i-th name of a service that the built-in table has; NULL past the last. */
const char *fc_service_at(unsigned i);

/* The port by which a protocol above layer 4 is found ("dns", "TLS"), 0 when the word is none. */
uint16_t fc_word_application(const char *word);

/* Number of an IP protocol (or, where it has one, another FC_PROTO_* number) by name; -1 when unknown. */
int64_t fc_proto_by_name(const char *name);

#endif
