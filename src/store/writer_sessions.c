/* SPDX-License-Identifier: MIT */
/* Sessions by INSERT and UPDATE. */
#include "base/error.h"
#include "base/varint.h"
#include "store/piece.h"
#include "store/session_row.h"
#include "store/writer_internal.h"

#include <flowcarve/decode.h>

int fc_writer_next_id(struct fc_writer *w, int64_t *id, struct fc_error *err)
{
    int rc = fc_conn_number(&w->conn, FC_SELECT_LAST_SESSION, id, err);

    ++*id;
    return rc < 0 ? rc : 0;
}

static int next_id(struct fc_writer *w, int64_t *id, struct fc_error *err)
{
    int rc = w->next_id ? 0 : fc_writer_next_id(w, &w->next_id, err);

    *id = w->next_id++;
    return rc;
}

/* Columns 2 to 16 of a session row; 17 is the blob. more: of flags. */
static void bind_session(struct fc_stmt *stmt, const struct fc_session_record *r, bool more)
{
    const struct fc_session_sum *s = &r->session;
    int client = fc_session_client(s);
    bool ports = fc_proto_has_ports(r->key.proto);

    if (s->min_ns == FC_TIME_NONE) {
        fc_stmt_null(stmt, 2);
        fc_stmt_null(stmt, 3);
    } else {
        fc_stmt_int(stmt, 2, s->min_ns);
        fc_stmt_int(stmt, 3, fc_session_duration_ns(s));
    }
    fc_stmt_int(stmt, 4, r->key.proto);
    fc_stmt_int(stmt, 5, r->key.addr_kind);
    for (int i = 0; i < 2; i++) {
        fc_bind_addr(stmt, 6 + 2 * i, &r->key, client ^ i);
        if (ports)
            fc_stmt_int(stmt, 7 + 2 * i, r->key.port[client ^ i]);
        else
            fc_stmt_null(stmt, 7 + 2 * i);
        fc_stmt_int(stmt, 10 + i, (int64_t)s->packets[client ^ i]);
        fc_stmt_int(stmt, 12 + i, (int64_t)s->bytes[client ^ i]);
    }
    fc_stmt_int(stmt, 14, (int)fc_session_state(s, r->key.proto));
    fc_stmt_int(stmt, 15, fc_record_flags(r) | (more ? FC_ROW_MORE : 0u));
    fc_stmt_int(stmt, 16, (int64_t)r->key.domain);
}

/* What a run adds to a session's positions, file by file. */
struct adding {
    struct fc_writer *w;
    int64_t session;
    struct fc_error *err;
};

/* The end of what the index has of this session in a capture that grows: longer by the new ones, while it is short. */
static int lengthen(struct adding *a, uint32_t file, const uint8_t *blob, size_t len)
{
    enum { SHORT = 2000 };
    struct fc_writer *w = a->w;
    struct fc_stmt *last = fc_writer_stmt(w, FC_STMT_LAST_PIECE,
                                          "SELECT id, positions FROM session_positions WHERE session = ?1 AND file = ?2"
                                          " ORDER BY id DESC LIMIT 1");
    const uint8_t *plain;
    size_t plain_len;
    int rc, step;

    fc_stmt_int(last, 1, a->session);
    fc_stmt_int(last, 2, file);
    if ((step = fc_stmt_step(last, a->err)) < 0)
        return step;
    int64_t id = step ? sqlite3_column_int64(last->raw, 0) : 0;
    size_t stored = step ? (size_t)sqlite3_column_bytes(last->raw, 1) : 0;
    if (!step || stored >= SHORT) {
        fc_stmt_reset(last);
        return 0;
    }
    fc_positions_clear(&w->positions);
    if ((rc = fc_blob_decode(sqlite3_column_blob(last->raw, 1), stored, &w->plain, &plain, &plain_len)) == 0)
        rc = fc_positions_add(&w->positions, plain, plain_len);
    fc_stmt_reset(last);
    if (rc == 0 && (rc = fc_blob_decode(blob, len, &w->plain, &plain, &plain_len)) == 0)
        rc = fc_positions_add(&w->positions, plain, plain_len);
    if (rc == 0 && (rc = fc_buffer_reserve(&w->plain, fc_positions_size(&w->positions))) == 0)
        rc = fc_blob_encode(w->plain.data, fc_positions_write(&w->positions, w->plain.data), &w->blob);
    if (rc)
        return rc;
    struct fc_stmt *update =
        fc_writer_stmt(w, FC_STMT_LENGTHEN, "UPDATE session_positions SET positions = ?2 WHERE id = ?1");
    fc_stmt_int(update, 1, id);
    fc_stmt_blob(update, 2, w->blob.data, w->blob.len);
    rc = fc_stmt_run(update, a->err);
    return rc ? rc : 1;
}

static int add_piece(void *ctx, uint32_t file, const uint8_t *blob, size_t len)
{
    struct adding *a = ctx;
    int rc = file <= a->w->last_file ? lengthen(a, file, blob, len) : 0;

    if (rc)
        return rc < 0 ? rc : 0;
    struct fc_stmt *stmt = fc_writer_stmt(a->w, FC_STMT_PIECE, "INSERT INTO session_positions VALUES (NULL, ?, ?, ?)");
    fc_stmt_int(stmt, 1, a->session);
    fc_stmt_int(stmt, 2, file);
    fc_stmt_blob(stmt, 3, blob, len);
    return fc_stmt_run(stmt, a->err);
}

/* Positions that do not go into the session's row. */
static int add_positions(struct fc_writer *w, const struct fc_session_record *r, int64_t id, struct fc_error *err)
{
    struct adding adding = {w, id, err};
    int rc = r->blob_len ? fc_pieces_split(r->blob, r->blob_len, w->scratch, add_piece, &adding) : 0;

    if (rc == FC_E_DAMAGED)
        rc = fc_error_set(err, FC_E_DB, w->path, FC_NO_OFFSET, "positions of session %lld are damaged", (long long)id);
    return rc == FC_E_NOMEM ? fc_writer_no_memory(w, err) : fc_conn_break(&w->conn, rc, err);
}

static void bind_client(struct fc_stmt *stmt, const struct fc_session_record *r)
{
    int client = fc_session_client(&r->session);

    fc_bind_addr(stmt, 2, &r->key, client);
    if (fc_proto_has_ports(r->key.proto))
        fc_stmt_int(stmt, 3, r->key.port[client]);
    else
        fc_stmt_null(stmt, 3);
}

/*
 * What the index has of a session so far, before its row is changed; *turned: its client was the other end. Where it
 * starts at another time now, or that, it is noted.
 */
static int read_sums(struct fc_writer *w, int64_t id, const struct fc_session_record *r, struct fc_span_sum *had,
                     bool *turned, struct fc_error *err)
{
    struct fc_stmt *stmt =
        fc_writer_stmt(w, FC_STMT_SUMS,
                       "SELECT client_packets + server_packets, client_bytes + server_bytes, client_addr IS NOT ?2 OR"
                       " client_port IS NOT ?3, start_ns FROM session WHERE id = ?1");
    int64_t start_ns;
    int step;

    fc_stmt_int(stmt, 1, id);
    bind_client(stmt, r);
    if ((step = fc_stmt_step(stmt, err)) < 0)
        return step;
    if (step == 0)
        return fc_conn_break(
            &w->conn, fc_error_set(err, FC_E_DB, w->path, FC_NO_OFFSET, "session %lld is gone", (long long)id), err);
    *had = (struct fc_span_sum){sqlite3_column_int64(stmt->raw, 0), sqlite3_column_int64(stmt->raw, 1)};
    *turned = sqlite3_column_int(stmt->raw, 2) != 0;
    bool timed = sqlite3_column_type(stmt->raw, 3) != SQLITE_NULL, times = r->session.min_ns != FC_TIME_NONE;
    start_ns = sqlite3_column_int64(stmt->raw, 3);
    fc_stmt_reset(stmt);
    if (!*turned && timed == times && (!timed || start_ns == r->session.min_ns))
        return 0;
    return fc_writer_note_moved(w, id, timed ? &start_ns : NULL, *turned, err);
}

static void bind_if(struct fc_stmt *stmt, int index, bool has, uint64_t v)
{
    if (has)
        fc_stmt_int(stmt, index, (int64_t)v);
    else
        fc_stmt_null(stmt, index);
}

static void bind_mac(struct fc_stmt *stmt, int index, bool has, const uint8_t mac[6])
{
    if (has)
        fc_stmt_blob(stmt, index, mac, 6);
    else
        fc_stmt_null(stmt, index);
}

/* Of two values of a column both, in one of three ways, or the one that is not NULL. */
#define FIRST ", "
#define OR " | "
#define SUM " + "
#define MERGE(column, how) ", " column " = coalesce(" column how "excluded." column ", " column ", excluded." column ")"
#define MERGE_ONE(column, ...) MERGE(#column, FIRST)
#define MERGE_TWO(column, ...) MERGE("client_" #column, FIRST) MERGE("server_" #column, FIRST)
#define MERGE_NUMBER(column, FIELD, title, most, how) MERGE("client_" #column, how) MERGE("server_" #column, how)
#define MERGES FC_FIELD_COLUMNS(MERGE_ONE, MERGE_TWO, MERGE_NUMBER)
#define MARK(...) ",?"
#define TWO_MARKS(...) ",?,?"
#define MARKS FC_FIELD_COLUMNS(MARK, TWO_MARKS, TWO_MARKS)

static int write_fields(struct fc_writer *w, int64_t id, const struct fc_session_record *r, uint32_t fields,
                        const char *community, struct fc_error *err)
{
    /*
     * What a continued session already has stays: the first packet that had a field counts, sums and flags add up.
     * MERGES begins with a comma, and of two values for a column SQLite takes the last.
     */
    struct fc_stmt *stmt = fc_writer_stmt(w, FC_STMT_FIELDS,
                                          "INSERT INTO session_fields VALUES (?" MARKS ")"
                                          " ON CONFLICT (id) DO UPDATE SET vlan = NULL" MERGES);
    const struct fc_extra *x = fc_record_extra(r);
    int client = fc_session_client(&r->session), index = 1;
    struct fc_field_texts texts;

    fc_field_texts(&texts, r, community);
    fc_stmt_int(stmt, index++, id);
#define TEXT(column, ...) fc_stmt_text(stmt, index++, *texts.column ? texts.column : NULL);
#define ADDRESS(column, FIELD, title)                                                                                  \
    for (int i = 0; i < 2; i++)                                                                                        \
        bind_mac(stmt, index++, FC_EXTRA_HAS(x, fields, column, FIELD, client ^ i), x->column[client ^ i]);
#define NUMBER(column, FIELD, ...)                                                                                     \
    for (int i = 0; i < 2; i++)                                                                                        \
        bind_if(stmt, index++, FC_EXTRA_HAS(x, fields, column, FIELD, client ^ i), x->column[client ^ i]);
    FC_FIELD_COLUMNS(TEXT, ADDRESS, NUMBER)
    return fc_stmt_run(stmt, err);
}

static int write_row(struct fc_writer *w, int64_t id, const struct fc_session_record *r, struct fc_span_sum *had,
                     struct fc_error *err)
{
    bool update = r->db_id > 0, outside = update || r->blob_len >= FC_INLINE_POSITIONS, turned = false;
    struct fc_stmt *stmt;
    int rc;

    if ((update && (rc = read_sums(w, id, r, had, &turned, err))) || (outside && (rc = add_positions(w, r, id, err))))
        return rc;
    if (!update)
        stmt = fc_writer_stmt(w, FC_STMT_INSERT, "INSERT INTO session VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)");
    else if (turned)
        stmt = fc_writer_stmt(w, FC_STMT_UPDATE_TURNED,
                              "UPDATE session SET start_ns=?2, duration_ns=?3, proto=?4, kind=?5, client_addr=?6,"
                              " client_port=?7, server_addr=?8, server_port=?9, client_packets=?10, server_packets=?11,"
                              " client_bytes=?12, server_bytes=?13, state=?14, flags=?15 | (flags & 8), domain=?16"
                              " WHERE id=?1");
    else /* an address that is SET, be it to what it is, is taken out of its index and put in again */
        stmt = fc_writer_stmt(w, FC_STMT_UPDATE,
                              "UPDATE session SET start_ns=?2, duration_ns=?3, client_packets=?10, server_packets=?11,"
                              " client_bytes=?12, server_bytes=?13, state=?14, flags=?15 | (flags & 8), domain=?16"
                              " WHERE id=?1");
    fc_stmt_int(stmt, 1, id);
    bind_session(stmt, r, outside && r->blob_len);
    if (!update)
        fc_stmt_blob(stmt, 17, r->blob, outside ? 0 : r->blob_len);
    return fc_stmt_run(stmt, err);
}

int fc_writer_add_ports(struct fc_writer *w, int64_t id, const struct fc_flow_key *key, struct fc_error *err)
{
    struct fc_stmt *stmt;
    int rc = 0;

    if (!fc_proto_has_ports(key->proto))
        return 0;
    stmt = fc_writer_stmt(w, FC_STMT_PORT, "INSERT OR IGNORE INTO session_port VALUES (?, ?, ?)");
    for (int i = 0; i < 2 && rc == 0; i++) {
        fc_stmt_int(stmt, 1, fc_epoch_of(id));
        fc_stmt_int(stmt, 2, key->port[i]);
        fc_stmt_int(stmt, 3, fc_port_block_of(id));
        rc = fc_stmt_run(stmt, err);
    }
    return rc;
}

/*
 * Before the row of a session is written: where an older packet has made the server the client, what is stored of
 * either end goes with it.
 */
static int turn_fields(struct fc_writer *w, const struct fc_session_record *r, struct fc_error *err)
{
#define TURN(column, ...) ", client_" #column " = server_" #column ", server_" #column " = client_" #column
#define TURNS FC_FIELD_COLUMNS(FC_FIELD_SKIP, TURN, TURN)
    struct fc_stmt *stmt = fc_writer_stmt(
        w, FC_STMT_TURN_FIELDS,
        "UPDATE session_fields SET vlan = vlan" TURNS
        " WHERE id = ?1 AND (SELECT client_addr IS NOT ?2 OR client_port IS NOT ?3 FROM session WHERE id = ?1)");

    fc_stmt_int(stmt, 1, r->db_id);
    bind_client(stmt, r);
    return fc_stmt_run(stmt, err);
}

/* For the journal. */
static int note_changed(struct fc_writer *w, int64_t id, struct fc_error *err)
{
    struct fc_buffer *b = &w->changed;

    if (fc_buffer_reserve(b, b->len + FC_VARINT_MAX))
        return fc_writer_no_memory(w, err);
    b->len = (size_t)(fc_varint_put(b->data + b->len, (uint64_t)(id - w->last_changed)) - b->data);
    w->last_changed = id;
    return 0;
}

/* had: of a session that the index has, what it has of it so far; else {0}. */
static int insert_session(struct fc_writer *w, int64_t *id, const struct fc_session_record *r, uint32_t fields,
                          struct fc_span_sum *had, struct fc_error *err)
{
    char text[FC_COMMUNITY_ID_SIZE];
    const char *community = (fields & FC_FIELD_COMMUNITY_ID) && fc_community_id(&r->key, text) ? text : NULL;
    int rc;

    *had = (struct fc_span_sum){0};
    if (!*id && (rc = next_id(w, id, err)))
        return rc;
    if (r->db_id > 0 && (rc = note_changed(w, *id, err)))
        return rc;
    if (r->db_id && fields && (rc = turn_fields(w, r, err)))
        return rc;
    rc = write_row(w, *id, r, had, err);
    /* fresh and by INSERT: the ports are noted when the schema of the indexes is executed */
    if (rc == 0 && !r->db_id && w->indexed)
        rc = fc_writer_add_ports(w, *id, &r->key, err);
    if (rc == 0 && fields && (r->has_extra || community))
        rc = write_fields(w, *id, r, fields, community, err);
    return rc;
}

int fc_writer_provisional(struct fc_writer *w, const struct fc_session_record *r, uint32_t fields, int64_t id,
                          struct fc_error *err)
{
    struct fc_span_sum had;
    int rc = fc_writer_sql(w, err);

    if (rc || (rc = insert_session(w, &id, r, fields, &had, err)) || !w->indexed)
        return rc;
    /* those of an index that is still to be indexed are counted then */
    return fc_span_write(&w->conn, id, &r->session, err);
}

int fc_writer_session(struct fc_writer *w, const struct fc_session_record *r, uint32_t fields, int64_t *out,
                      struct fc_error *err)
{
    struct fc_span_sum had = {0};
    int64_t id = r->db_id;
    int rc = fc_writer_to_bulk(w, r, err);

    if (rc < 0)
        return rc;
    w->expected -= w->expected != 0;
    if (rc == 1) {
        id = w->next_id++;
        if ((rc = fc_bulk_session(w->bulk, id, r, fields, err)))
            return fc_conn_break(&w->conn, rc, err);
    } else if (!r->unchanged && (rc = insert_session(w, &id, r, fields, &had, err))) {
        return rc;
    }
    if (out)
        *out = id;
    if (!r->unchanged && fc_spans_add(&w->spans, id, &r->session, &had))
        return fc_writer_no_memory(w, err);
    return r->open || r->db_id ? fc_writer_open_session(w, id, r, err) : 0;
}
