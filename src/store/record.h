/* SPDX-License-Identifier: MIT */
/* A session on its way to the database, and the way back from a row to what the flow room needs. */
#ifndef FC_STORE_RECORD_H
#define FC_STORE_RECORD_H

#include "flow/extra.h"
#include "flow/session.h"
#include "store/blob.h"

#include <sqlite3.h>

struct fc_stmt;

struct fc_session_record {
    struct fc_flow_key key;
    struct fc_session_sum session;
    int64_t db_id;          /* > 0: a session that the index already holds */
    uint64_t prior_packets; /* of the session: those that the index already holds */
    uint64_t first_off;     /* of the first packet in the flow's order */
    uint32_t first_file;
    uint8_t late; /* the first packet is a fragment that was given up: behind others of its time */
    uint8_t has_extra;
    uint8_t open;      /* a later capture may continue it */
    uint8_t unchanged; /* db_id, and nothing was added: another one of its flow has begun */
    uint32_t blob_len;
    const uint8_t *blob; /* positions, not owned; of a db_id session: the added ones */
    int64_t until_ns;    /* set by who writes it: no later packet continues it; db_id: nor what the index held of it */
    struct fc_extra extra; /* when has_extra */
};

/* Order of the sessions' IDs: those of the index, then new ones by place time, `late`, file and offset of the
 * first packet. <0, 0, >0. */
int fc_session_record_compare(const struct fc_session_record *a, const struct fc_session_record *b);

/* Bits of the column `flags`. */
enum {
    FC_ROW_ONE_WAY = 1,
    FC_ROW_RST_CLIENT = 2,
    FC_ROW_RST_SERVER = 4,
    FC_ROW_MORE = 8,
    FC_ROW_REJECTED = 16 /* the client's SYN was answered by RST: the server never sent a SYN, the client no ACK */
};

/* What a record's row has of these, but for FC_ROW_MORE. */
static inline unsigned fc_record_flags(const struct fc_session_record *r)
{
    int client = fc_session_client(&r->session);
    const uint8_t *flags = r->session.tcp_flags;

    bool rejected = (flags[client] & (FC_TCP_SYN | FC_TCP_ACK)) == FC_TCP_SYN &&
                    (flags[!client] & (FC_TCP_SYN | FC_TCP_RST)) == FC_TCP_RST;

    return (rejected ? FC_ROW_REJECTED : 0u) | (r->key.one_way ? FC_ROW_ONE_WAY : 0u) |
           (flags[client] & FC_TCP_RST ? FC_ROW_RST_CLIENT : 0u) |
           (flags[!client] & FC_TCP_RST ? FC_ROW_RST_SERVER : 0u);
}

/* A blob of positions of this size or more lies in session_positions, also in the run that makes the row. */
enum { FC_INLINE_POSITIONS = 3900 };

/* Columns that make a key: SELECT them in this order for fc_key_from_row(). */
#define FC_KEY_COLUMNS "proto, kind, client_addr, client_port, server_addr, server_port, flags, domain"

/*
 * The flow key of a row, from column `col` on. *client: endpoint that is the client. FC_E_DAMAGED: the row is none that
 * flowcarve has written.
 */
int fc_key_from_row(sqlite3_stmt *stmt, int col, struct fc_flow_key *key, int *client);

/* Binds an address of a key as the schema has it. The key must outlive the statement's step. */
void fc_bind_addr(struct fc_stmt *stmt, int index, const struct fc_flow_key *key, int endpoint);

#endif
