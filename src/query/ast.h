/* SPDX-License-Identifier: MIT */
/*
 * The tree that a filter is parsed to, before anything is known about an index.
 *
 * `and` and `or` have two or more children, so that a chain of one operator is one node however long it is; the height
 * of a tree is bounded, which makes recursion over it safe.
 *
 * Threads: immutable after parsing. Memory: nodes live in the arena of their filter and are freed with it.
 */
#ifndef FC_QUERY_AST_H
#define FC_QUERY_AST_H

#include <flowcarve/decode.h>
#include <flowcarve/query.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

enum {
    FC_FILTER_TEXT_MAX = 1 << 20, /* bytes of a filter */
    FC_FILTER_NEST_MAX = 200,     /* parentheses and `not` inside one another */
    FC_FILTER_HEIGHT_MAX = 1000   /* levels of the tree: how often `and` and `or` may take turns */
};

enum fc_ast_type {
    FC_AST_AND,
    FC_AST_OR,
    FC_AST_NOT,
    FC_AST_HOST,         /* one address: ends, scope, addr */
    FC_AST_NET,          /* a network: ends, scope, addr, mask */
    FC_AST_MAC,          /* one link address: ends, addr */
    FC_AST_PORT,         /* lo to hi: ends, transports */
    FC_AST_FAMILY,       /* IPv4 or IPv6 packets: family */
    FC_AST_PROTO,        /* protocol lo, within family when that is not 0 */
    FC_AST_VLAN,         /* id lo anywhere in the stack; any tag when lo is -1 */
    FC_AST_MPLS,         /* the same for labels */
    FC_AST_TUNNEL,       /* encapsulation anywhere in the stack: kind lo or any when -1, id hi or any when -1 */
    FC_AST_ID,           /* session ids lo to hi */
    FC_AST_STATE,        /* state lo */
    FC_AST_COMMUNITY_ID, /* text */
    FC_AST_SENSOR,       /* text: the name of a sensor, where many are asked */
    FC_AST_FILE,         /* text: the name of captures, see query/file.h */
    FC_AST_FLAGS,        /* TCP flags lo, all of them seen: ends; EITHER: of both directions together */
    FC_AST_MARK,         /* one of the bits lo of session.flags */
    FC_AST_MEASURE,      /* a number from lo to hi: measure, and ends: SRC, DST, or EITHER for what both come to */
    FC_AST_AFTER,        /* a packet at or after lo, ns since 1970 */
    FC_AST_BEFORE        /* a packet before lo */
};

/* Which ends of a session a condition is about; src is the client, dst the server. */
enum fc_ends { FC_ENDS_EITHER, FC_ENDS_SRC, FC_ENDS_DST, FC_ENDS_BOTH };

/* What is counted or measured of a session. A TTL is not added up: EITHER means that of one of the ends. */
enum fc_measure { FC_MEASURE_PACKETS, FC_MEASURE_BYTES, FC_MEASURE_DURATION, FC_MEASURE_PAYLOAD, FC_MEASURE_TTL };

/* Whose addresses `host` and `net` look at. */
enum fc_scope { FC_SCOPE_ANY, FC_SCOPE_IP, FC_SCOPE_ARP, FC_SCOPE_RARP };

enum { FC_TRANSPORT_TCP = 1, FC_TRANSPORT_UDP = 2, FC_TRANSPORT_SCTP = 4, FC_TRANSPORT_ANY = 7 };

enum { FC_RARP = FC_PROTO_ETHERTYPE | 0x8035 };

struct fc_ast {
    enum fc_ast_type type;
    uint8_t ends;       /* enum fc_ends */
    uint8_t scope;      /* enum fc_scope */
    uint8_t family;     /* FC_ADDR_IPV4, FC_ADDR_IPV6, FC_ADDR_MAC, or 0 */
    uint8_t transports; /* FC_TRANSPORT_* */
    uint8_t measure;    /* enum fc_measure */
    uint32_t height;    /* 1 for a leaf */
    uint32_t child_count;
    struct fc_ast *first, *last; /* children */
    struct fc_ast *next;         /* sibling */
    int64_t lo, hi;
    const char *text;           /* in the arena */
    uint8_t addr[16], mask[16]; /* network order, as many bytes as the family has; addr has no bit outside mask */
};

/* Memory that is freed as a whole. */
struct fc_arena {
    struct fc_arena_block *blocks;
    size_t used;
};

struct fc_filter {
    struct fc_arena arena;
    struct fc_ast *root; /* NULL: every session */
};

/* `size` zeroed bytes, or NULL. */
void *fc_arena_alloc(struct fc_arena *arena, size_t size);
void fc_arena_fini(struct fc_arena *arena);

/* A leaf of `type`; NULL without memory. */
struct fc_ast *fc_ast_leaf(struct fc_arena *arena, enum fc_ast_type type);
struct fc_ast *fc_ast_not(struct fc_arena *arena, struct fc_ast *child);

/* left OP right. Extends `left` when it already is a node of that type. NULL without memory. */
struct fc_ast *fc_ast_join(struct fc_arena *arena, enum fc_ast_type type, struct fc_ast *left, struct fc_ast *right);

#endif
