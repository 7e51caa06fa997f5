/* SPDX-License-Identifier: MIT */
/*
 * fcgen: a seeded generator of packet captures, with the truth about every session in them.
 *
 * It shares no code with libflowcarve on purpose: a mistake made twice is a mistake nobody sees. The same options and
 * seed give the same bytes on every machine: integers only, an own PRNG, nothing taken from the clock or the C library.
 *
 * One thread. Memory follows --concurrent and --clients; --truth adds one row per session, kept until the end.
 * Rooms: options (what is asked) -> traffic (who speaks when) -> session (what is said next) -> packet (bytes)
 * -> write (capture files), with truth beside it.
 */
#ifndef FCGEN_H
#define FCGEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FCGEN_MAX_FRAME 65560u   /* largest IP packet, Ethernet header, two VLAN tags, with a little room */
#define FCGEN_MIN_FRAME 60u      /* Ethernet minimum without FCS: shorter frames are padded with zeros */
#define FCGEN_POOL_SPAN 65536u   /* payloads start somewhere in the first span of the pool... */
#define FCGEN_POOL_BYTES 131072u /* ...and are at most the second span long */
#define FCGEN_DNS_OFF 0u         /* a DNS question in the pool, and FCGEN_DNS_SPAN after it the answer */
#define FCGEN_DNS_SPAN 64u
#define FCGEN_DNS_BYTES 26u /* no DNS message is shorter */
#define FCGEN_NS 1000000000ull

/* ---- random numbers: xoshiro256**, seeded by splitmix64 ---- */

struct fcgen_rng {
    uint64_t s[4];
};

void fcgen_rng_init(struct fcgen_rng *rng, uint64_t seed);

static inline uint64_t fcgen_rotl(uint64_t x, int k)
{
    return (x << k) | (x >> (64 - k));
}

static inline uint64_t fcgen_rand(struct fcgen_rng *rng)
{
    uint64_t *s = rng->s;
    uint64_t result = fcgen_rotl(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = fcgen_rotl(s[3], 45);
    return result;
}

/* 0 .. n-1; the bias of n / 2^32 does not matter here. n = 0 gives 0. */
static inline uint32_t fcgen_below(struct fcgen_rng *rng, uint32_t n)
{
    return (uint32_t)(((fcgen_rand(rng) >> 32) * n) >> 32);
}

/* True in `bp` of 10000 cases. */
static inline bool fcgen_chance(struct fcgen_rng *rng, uint32_t bp)
{
    return bp != 0 && fcgen_below(rng, 10000) < bp;
}

/* ---- options ---- */

enum fcgen_proto { FCGEN_TCP, FCGEN_UDP, FCGEN_ICMP, FCGEN_ARP, FCGEN_SCTP, FCGEN_PROTO_COUNT };

enum fcgen_sizes {
    FCGEN_SIZES_MIX,   /* bimodal, as on an uplink: small or full, little between */
    FCGEN_SIZES_IMIX,  /* 7:4:1 of 60, 590, 1514 */
    FCGEN_SIZES_FULL,  /* 1514, every sixteenth a small one */
    FCGEN_SIZES_RANGE, /* uniform between size_min and size_max */
};

enum fcgen_payload {
    FCGEN_PAYLOAD_RANDOM,
    FCGEN_PAYLOAD_ZERO,
    FCGEN_PAYLOAD_CAPTURE, /* payloads that look like pcap records, to fool a guess of record boundaries */
};

/* Percentages are kept in basis points (10000 = 100 %); 0 in a limit means none. */
struct fcgen_options {
    uint64_t packets;
    uint64_t bytes; /* of capture, record headers included */
    uint64_t sessions;
    uint64_t per_session; /* mean packets a session; unused when `sessions` is set */
    uint32_t concurrent;
    bool concurrent_given;
    uint32_t burst; /* longest burst, packets */
    uint32_t rate;  /* packets per second of capture time */
    uint64_t start_sec;
    enum fcgen_sizes sizes;
    uint32_t size_min;
    uint32_t size_max;
    uint32_t proto[FCGEN_PROTO_COUNT]; /* percent of sessions, sums to 100 */
    uint32_t ipv6_bp;
    uint32_t vlan_bp;
    uint32_t fragments_bp;
    uint32_t backward_bp;
    uint32_t reuse_bp;
    bool fragment_disorder;
    bool pcapng;
    bool nanoseconds;
    bool big_endian;
    bool overlap;
    bool quiet;
    uint32_t snaplen;
    uint32_t files;
    uint64_t file_size;
    uint32_t interfaces;
    uint32_t clients;
    uint32_t servers;
    enum fcgen_payload payload;
    uint64_t seed;
    const char *out;
    const char *truth;
    const char *truth_packets;
};

/* Reads the command line into *opt. Returns 0, 1 when only help was asked for (printed), -1 on a usage error (said). */
int fcgen_options_parse(struct fcgen_options *opt, int argc, char **argv);
/* Prints all options with their defaults on standard output. */
void fcgen_options_help(const struct fcgen_options *defaults);
/* Sets what holds without a preset, and what the preset `name` changes, scaled. Returns -1 for an unknown name. */
void fcgen_options_defaults(struct fcgen_options *opt);
int fcgen_options_preset(struct fcgen_options *opt, const char *name);
void fcgen_options_scale(struct fcgen_options *opt, double factor);
/* Text to value; each returns 0, or -1 when the text is not one. */
int fcgen_parse_count(const char *text, uint64_t max, uint64_t *out);
int fcgen_parse_percent(const char *text, uint32_t *out_bp);
int fcgen_parse_scale(const char *text, double *out);
int fcgen_parse_sizes(const char *text, struct fcgen_options *opt);
int fcgen_parse_proto(const char *text, struct fcgen_options *opt);

/* ---- capture files ---- */

struct fcgen_writer;

struct fcgen_position {
    uint32_t file; /* from 1 */
    uint32_t caplen;
    uint64_t offset; /* of the record header (pcap) or block (pcapng) */
    uint64_t ts_ns;  /* as recorded, that is, cut to the file's resolution */
};

/* NULL on failure, with the cause on standard error. */
struct fcgen_writer *fcgen_writer_open(const struct fcgen_options *opt, struct fcgen_rng *rng);
/* Room for one frame of FCGEN_MAX_FRAME bytes in the file that gets it; NULL when writing failed (said). */
uint8_t *fcgen_writer_begin(struct fcgen_writer *w);
/* Makes the frame of `len` bytes built at fcgen_writer_begin()'s pointer a record. */
void fcgen_writer_commit(struct fcgen_writer *w, uint32_t len, uint64_t ts_ns, uint32_t iface,
                         struct fcgen_position *out);
uint64_t fcgen_writer_bytes(const struct fcgen_writer *w);
uint32_t fcgen_writer_files(const struct fcgen_writer *w);
/* Flushes, closes, frees. -1 when anything could not be written (said). */
int fcgen_writer_close(struct fcgen_writer *w);

/* ---- sessions ---- */

enum fcgen_kind {
    FCGEN_KIND_FULL,
    FCGEN_KIND_UNANSWERED, /* the same SYN again and again */
    FCGEN_KIND_REFUSED,    /* SYN, RST */
};

enum fcgen_end {
    FCGEN_END_FIN,
    FCGEN_END_RST,
    FCGEN_END_OPEN, /* just stops */
};

enum fcgen_flag {
    FCGEN_F_IPV6 = 1,
    FCGEN_F_QINQ = 2,
    FCGEN_F_TIMESTAMPS = 4,  /* TCP timestamp option in every segment */
    FCGEN_F_BULK_SERVER = 8, /* most data flows from the server */
};

/* One active session, one cache line. dir 0 is client to server, 1 the other way. */
struct fcgen_session {
    uint64_t last_ns;
    uint32_t number; /* from 1, in order of creation; 0: the slot is free */
    uint32_t addr[2];
    uint32_t seq[2]; /* next TCP sequence number, or SCTP TSN, of that direction */
    uint32_t left;   /* packets still to come */
    uint32_t step;   /* place in the script of its protocol */
    uint16_t port[2];
    uint16_t ipid[2];
    uint16_t vlan;
    uint8_t proto;
    uint8_t kind;
    uint8_t end;
    uint8_t flags;
    uint8_t burst;
    uint8_t iface;
    uint8_t unused[12];
};

_Static_assert(sizeof(struct fcgen_session) == 64, "a session should fill one cache line");

/* ---- bytes ---- */

struct fcgen_builder {
    uint8_t *pool;    /* payload bytes */
    uint32_t *sums;   /* sums[i] = sum of the first i big-endian words of the pool, so that a checksum costs O(1) */
    uint32_t *starts; /* even offsets in the first span where a payload may start */
    uint32_t start_count;
};

struct fcgen_segment {
    uint8_t flags; /* TCP flags */
    uint8_t dir;
    uint32_t seq;
    uint32_t ack;
    uint32_t payload_bytes;
    uint32_t payload_off; /* even */
    uint64_t now_ns;
};

struct fcgen_datagram {
    uint8_t dir;
    uint32_t id;
    uint32_t payload_bytes;
    uint32_t payload_off; /* even */
};

enum fcgen_tcp_flags { FCGEN_FIN = 1, FCGEN_SYN = 2, FCGEN_RST = 4, FCGEN_PSH = 8, FCGEN_ACK = 16 };

int fcgen_builder_init(struct fcgen_builder *b, const struct fcgen_options *opt, struct fcgen_rng *rng);
void fcgen_builder_fini(struct fcgen_builder *b);
/* Bytes before the transport header (link, tags, IP). */
uint32_t fcgen_headers_bytes(const struct fcgen_session *s);
/* Each writes one frame at `out` and returns its length, padding included. */
uint32_t fcgen_build_tcp(const struct fcgen_builder *b, uint8_t *out, struct fcgen_session *s,
                         const struct fcgen_segment *seg);
uint32_t fcgen_build_udp(const struct fcgen_builder *b, uint8_t *out, struct fcgen_session *s,
                         const struct fcgen_datagram *d);
/* The part [first, first + len) of a UDP datagram, its header included, as an IP fragment; first is a multiple of 8. */
uint32_t fcgen_build_udp_fragment(const struct fcgen_builder *b, uint8_t *out, const struct fcgen_session *s,
                                  const struct fcgen_datagram *d, uint32_t first, uint32_t len);
uint32_t fcgen_build_icmp_echo(const struct fcgen_builder *b, uint8_t *out, struct fcgen_session *s, bool reply,
                               uint32_t payload_bytes);
uint32_t fcgen_build_arp(uint8_t *out, const struct fcgen_session *s, bool reply);
/* One SCTP packet with one chunk; chunk_bytes of `chunk` already hold the chunk, its own header included. */
uint32_t fcgen_build_sctp(uint8_t *out, struct fcgen_session *s, int dir, uint32_t vtag, const uint8_t *chunk,
                          uint32_t chunk_bytes);
/* The 16 bytes of an IPv6 address of host `id`; who: 0 client, 1 server. */
void fcgen_address6(uint8_t out[16], uint32_t id, int who);

/* ---- ground truth ---- */

struct fcgen_truth;

/* *out stays NULL when no truth is asked for. -1 when a file cannot be made (said). */
int fcgen_truth_open(struct fcgen_truth **out, const struct fcgen_options *opt);
int fcgen_truth_session(struct fcgen_truth *t, const struct fcgen_session *s);
/* flip: the sender is the server all the same (a SYN-ACK seen first). */
void fcgen_truth_packet(struct fcgen_truth *t, uint32_t number, int dir, bool flip, uint32_t len,
                        const struct fcgen_position *pos);
int fcgen_truth_close(struct fcgen_truth *t);

/* ---- the generator ---- */

#define FCGEN_HELD_MAX 32u
#define FCGEN_LOOKAHEAD 8u

/* The end points of a finished session, for --port-reuse. */
struct fcgen_grave {
    uint64_t end_ns;
    uint32_t addr[2];
    uint16_t port[2];
    uint16_t vlan;
    uint8_t proto;
    uint8_t flags;
};

/* Where new sessions get their end points: no two are alike but for --port-reuse. */
struct fcgen_endpoints {
    uint32_t clients;
    uint32_t servers;
    uint32_t *used; /* ports handed out, by client */
    uint64_t pairs; /* host pairs handed out to ICMP and ARP */
    struct fcgen_grave *graves;
    uint32_t grave_count;
};

/* A fragment built but not yet sent (--fragment-disorder). */
struct fcgen_held {
    uint64_t since_ns;
    uint32_t number;
    uint32_t len;
    uint8_t dir;
    uint8_t iface;
    uint8_t *frame;
};

struct fcgen_gen {
    const struct fcgen_options *opt;
    struct fcgen_rng rng;
    struct fcgen_builder build;
    struct fcgen_endpoints ends;
    struct fcgen_writer *out;
    struct fcgen_truth *truth;
    struct fcgen_session *slots;
    uint32_t slot_count;
    uint32_t ahead[FCGEN_LOOKAHEAD]; /* slots chosen and prefetched before they are needed */
    uint32_t ahead_at;
    uint64_t clock_ns;
    uint64_t gap_fp; /* mean gap between packets, ns * 256 */
    uint64_t sweep_due;
    uint32_t sweep_at;
    uint64_t max_gap_ns;
    uint64_t started;
    uint32_t active;
    uint64_t packets;
    uint32_t frag_id;
    struct fcgen_held held[FCGEN_HELD_MAX];
    uint32_t held_first;
    uint32_t held_count;
    bool failed;
};

int fcgen_endpoints_init(struct fcgen_endpoints *e, const struct fcgen_options *opt);
void fcgen_endpoints_fini(struct fcgen_endpoints *e);
/* Gives the new session s (protocol and flags set) its end points. Returns true when they are those of an old one that
 * only a SYN can tell apart. */
bool fcgen_endpoints_take(struct fcgen_gen *g, struct fcgen_session *s);
/* Session s has ended; its end points may be used again. */
void fcgen_endpoints_bury(struct fcgen_gen *g, const struct fcgen_session *s);

/* Fills a free slot with a new session; the caller checked that one may start. */
void fcgen_session_start(struct fcgen_gen *g, struct fcgen_session *s);
/* Builds the session's next packet at out, and moves it one step. dir and flip as in fcgen_truth_packet(). */
uint32_t fcgen_session_next(struct fcgen_gen *g, struct fcgen_session *s, uint8_t *out, int *dir, bool *flip);
/* Gives a session that was to end `more` packets; one that was not answered is now. */
void fcgen_session_extend(struct fcgen_session *s, uint32_t more);
/* A frame length drawn from the wanted distribution. */
uint32_t fcgen_draw_size(struct fcgen_gen *g);
/* The direction of a data packet of that length. */
int fcgen_draw_dir(struct fcgen_gen *g, const struct fcgen_session *s, uint32_t size);
/* Where in the pool a datagram's payload starts. */
uint32_t fcgen_draw_datagram_off(struct fcgen_gen *g, const struct fcgen_session *s, int dir);

/* 0, or -1 when memory or a file failed (said). */
int fcgen_gen_init(struct fcgen_gen *g, const struct fcgen_options *opt);
int fcgen_gen_run(struct fcgen_gen *g);
/* Closes the files; -1 when that failed (said). */
int fcgen_gen_fini(struct fcgen_gen *g);

#endif
