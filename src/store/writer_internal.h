/* SPDX-License-Identifier: MIT */
/*
 * Shared by the files of the writer.
 *
 * A fresh index passes through three stages: SQL until the first session; bulk while sessions come (the database is
 * closed in SQLite, `conn` too); SQL again from the next call of another kind on, opened anew. fc_writer_sql() leads
 * back from bulk; fc_writer_stmt() and fc_writer_exec() call it. Sessions that come after that, and those of a writer
 * with `insert_only`, are INSERTed.
 *
 * So are those that are added to an index, unless they are many: then the bulk is a database of its own on the building
 * site, while `conn` stays in its transaction, and is added when the last one has come (writer_add.c).
 *
 * A failure that may have left half of something written breaks `conn`, in any stage; from then on all calls give it
 * back.
 */
#ifndef FC_STORE_WRITER_INTERNAL_H
#define FC_STORE_WRITER_INTERNAL_H

#include "flow/positions.h"
#include "store/bulk.h"
#include "store/open_pack.h"
#include "store/span.h"
#include "store/stmt.h"
#include "store/writer.h"

#define FC_SELECT_RUN "SELECT coalesce(max(id), 0) FROM run"
/* An ID does not come again, also when its session is forgotten. */
#define FC_SELECT_LAST_SESSION                                                                                         \
    "SELECT max(coalesce((SELECT max(id) FROM session), 0),"                                                           \
    " coalesce((SELECT last_session FROM run ORDER BY id DESC LIMIT 1), 0), 0)"
#define FC_SELECT_FRAGMENTS "SELECT state FROM open_fragment ORDER BY seq" /* FC_STMT_FRAGMENTS */
#define FC_INSERT_FRAGMENT "INSERT INTO open_fragment (state) VALUES (?)"  /* FC_STMT_FRAGMENT */

enum fc_writer_stmt_id {
    FC_STMT_META,
    FC_STMT_GET_META,
    FC_STMT_BY_NAME,
    FC_STMT_BY_INODE,
    FC_STMT_BY_STORED,
    FC_STMT_BY_STREAM,
    FC_STMT_BY_BEGIN,
    FC_STMT_COPY,
    FC_STMT_COPIED,
    FC_STMT_PLACE,
    FC_STMT_GONE,
    FC_STMT_STATE,
    FC_STMT_STATE_IFACES,
    FC_STMT_STATE_POINT,
    FC_STMT_FORGET_IFACES,
    FC_STMT_FORGET_DAMAGE,
    FC_STMT_FORGET_POINTS,
    FC_STMT_TAKE_POINTS,
    FC_STMT_LAST_FILE,
    FC_STMT_MOVE,
    FC_STMT_FILE,
    FC_STMT_IFACE,
    FC_STMT_DAMAGE,
    FC_STMT_POINT,
    FC_STMT_INSERT,
    FC_STMT_UPDATE,
    FC_STMT_UPDATE_TURNED,
    FC_STMT_SUMS,
    FC_STMT_PIECE,
    FC_STMT_LAST_PIECE,
    FC_STMT_LENGTHEN,
    FC_STMT_FORGET_FILE,
    FC_STMT_FORGET_SPAN,
    FC_STMT_FORGET_FIELDS,
    FC_STMT_FORGET_COUNT,
    FC_STMT_FORGET_SESSION,
    FC_STMT_FORGET_INLINE,
    FC_STMT_FORGET_LEFT,
    FC_STMT_FORGET_MORE,
    FC_STMT_FORGET_ADD,
    FC_STMT_FORGET_PIECES,
    FC_STMT_FORGET_ROWS,
    FC_STMT_FORGET_WAITING,
    FC_STMT_FIELDS,
    FC_STMT_TURN_FIELDS,
    FC_STMT_PORT,
    FC_STMT_OPEN,
    FC_STMT_FRAGMENT,
    FC_STMT_FRAGMENTS,
    FC_STMT_OPEN_ROWS,
    FC_STMT_OPEN_ROW,
    FC_STMT_OPEN_ALL,
    FC_STMT_BATCH,
    FC_STMT_BATCHES,
    FC_STMT_BATCHES_TAGS,
    FC_STMT_TAGS,
    FC_STMT_DROP_ROWS,
    FC_STMT_DROP_BATCH,
    FC_STMT_HAS_SESSION,
    FC_STMT_SESSION,
    FC_STMT_SESSIONS_UNTIL,
    FC_STMT_GET_MARK,
    FC_STMT_MARK,
    FC_STMT_DROP_COPIES,
    FC_STMT_DROP_FILE,
    FC_STMT_KEPT,
    FC_STMT_OLD_SPAN,
    FC_STMT_RUNS_END,
    FC_STMT_DROP_RUNS,
    FC_STMT_MOVED,
    FC_STMT_DROP_MOVED,
    FC_WRITER_STMTS
};

enum { FC_WRITER_OWN = 6 };

/* A batch of open sessions that is being written. */
struct fc_open_batch {
    struct fc_open_pack pack;
    int64_t number; /* 0: not known yet */
    uint32_t count; /* entries, also those in `pack` */
    int32_t latest; /* `until` of those that expire; INT32_MIN: none does */
    uint8_t *tags;
    size_t tag_room;
    bool written; /* by this run, some */
};

/* What sessions that were dropped have had, of one span; to be taken from its row. */
struct fc_dropped {
    int64_t span, packets, bytes;
};

struct fc_writer {
    struct fc_conn conn;
    char *path;   /* as given */
    char *place;  /* the same, or what a symbolic link leads to */
    char *folder; /* of place */
    struct {
        uint64_t dev, ino;
    } own[FC_WRITER_OWN]; /* the index, its site, the lock of who watches, what SQLite keeps beside */
    unsigned own_count;
    char *site;  /* where a fresh index is made, or many sessions that are added */
    int lock_fd; /* the site, locked; -1: there is none */
    bool fresh, committed;
    bool site_is_index; /* it has got its name */
    bool wal_left;      /* somebody who reads has kept the index in WAL mode */
    bool insert_only;   /* set by tests before the first session: no bulk, the twin that is right by construction */
    bool indexed;       /* schema_indexes has been executed */
    bool bulk_done;
    bool began;        /* a new session has come */
    uint64_t expected; /* sessions still to come, as was said */
    const int *stop;
    int64_t late_ns; /* by CLOCK_MONOTONIC; 0: never */
    bool alone;
    bool unsynced;
    bool stays; /* in WAL mode */
    struct fc_bulk *bulk;
    struct fc_spans spans;
    struct fc_open_batch open;
    int64_t clock_ns; /* of the index, once it is set */
    bool clock_set;
    int64_t next_id;       /* 0: not known yet */
    int64_t first_in_bulk; /* ID of the first session that is added in bulk; the same */
    struct fc_stmt stmts[FC_WRITER_STMTS];
    struct fc_buffer plain, blob, scratch[2];
    /* of the index when it was opened: its latest run, file and session */
    int64_t run, last_session;
    int changes; /* sqlite3_total_changes() then */
    uint32_t last_file;
    struct fc_buffer changed; /* IDs of its sessions that this run has changed, as the journal has them */
    int64_t last_changed;
    bool has_moved; /* the index has table `moved` */
    struct fc_positions positions;
    struct fc_dropped dropped;
};

/* Notes the latest run, file and session that there are: what comes behind is the run's. */
int fc_writer_read_ends(struct fc_writer *w, struct fc_error *err);
/* All break the writer. damaged: the row of a session, or a batch of open ones, is none that flowcarve has written. */
int fc_writer_damaged(struct fc_writer *writer, int64_t id, struct fc_error *err);
int fc_writer_damaged_batch(struct fc_writer *writer, int64_t batch, struct fc_error *err);
int fc_writer_no_memory(struct fc_writer *writer, struct fc_error *err);
int fc_writer_exec(struct fc_writer *writer, const char *sql, struct fc_error *err);
/* The prepared statement of this id, reset. Owned by the writer. */
struct fc_stmt *fc_writer_stmt(struct fc_writer *writer, enum fc_writer_stmt_id id, const char *sql);

/* Opens the building site in SQLite, in a transaction; closes what SQLite has open (a transaction is rolled back). */
int fc_writer_open_site(struct fc_writer *writer, struct fc_conn *conn, struct fc_error *err);
void fc_writer_close_sql(struct fc_writer *writer);
void fc_writer_forget_statements(struct fc_writer *writer);

/* Makes the building site, empty and locked; gives it up. */
int fc_writer_make_site(struct fc_writer *writer, struct fc_error *err);
void fc_writer_leave_site(struct fc_writer *writer);
/* Begins the bulk on a site whose schema is there, and which SQLite has closed. next_id: of the first session. */
int fc_writer_new_bulk(struct fc_writer *writer, int64_t next_id, const struct fc_bulk_roots *roots,
                       struct fc_error *err);
/* ID of the next new session. */
int fc_writer_next_id(struct fc_writer *writer, int64_t *id, struct fc_error *err);

/*
 * Before a new session is added to an index: begins the bulk beside it, if this is the place, and so many are to come
 * that this is faster: 1; 0: it is not, or cannot be had; or what broke the writer.
 */
int fc_writer_begin_adding_bulk(struct fc_writer *writer, struct fc_error *err);
extern unsigned fc_writer_bulk_from; /* so many sessions pay; tests set it, before anything else */
/* Adds what is on the site to the index. */
int fc_writer_add_bulk(struct fc_writer *writer, struct fc_error *err);
/* Outside of a transaction: what is in the -wal goes to the index, which is then one file again, if nobody reads. */
void fc_writer_end_adding(struct fc_writer *writer);
/* Puts the database into WAL mode, if nobody reads it. */
void fc_writer_be_wal(struct fc_writer *writer);

/* To the bulk stage, if this session can go there: 1, else 0, or a negative code. */
int fc_writer_to_bulk(struct fc_writer *writer, const struct fc_session_record *record, struct fc_error *err);
/* To the SQL stage. */
int fc_writer_sql(struct fc_writer *writer, struct fc_error *err);
/* Writes what is collected besides the rows: the last open sessions, spans, statistics. */
int fc_writer_settle(struct fc_writer *writer, struct fc_error *err);

/*
 * writer_batch.c. Notes a session that is open, or has ended; ends the batch, and merges it with others.
 */
int fc_writer_open_session(struct fc_writer *writer, int64_t id, const struct fc_session_record *record,
                           struct fc_error *err);
int fc_writer_end_open(struct fc_writer *writer, struct fc_error *err);
/*
 * The session of an entry: 1, its key, and all that is known of it; 0: it is forgotten; FC_E_DB when it is no session.
 */
int fc_writer_open_row(struct fc_writer *writer, const struct fc_open_entry *entry, struct fc_flow_key *key,
                       struct fc_session_sum *session, struct fc_error *err);
/* Is it later than was asked for? */
bool fc_writer_is_late(const struct fc_writer *writer);
/*
 * writer_moved.c. Is table `moved` there? What of an old session has changed in this run: its start (NULL: it had
 * none), who is the client. All that is noted of one goes.
 */
int fc_writer_find_moved(struct fc_writer *writer, struct fc_error *err);
int fc_writer_note_moved(struct fc_writer *writer, int64_t id, const int64_t *start_ns, bool turned,
                         struct fc_error *err);
int fc_writer_drop_moved(struct fc_writer *writer, int64_t id, struct fc_error *err);
/*
 * writer_drop.c. A session without positions, of which its span knows when that is flushed; spans of which no session
 * is left, and their ports: a session has packets, so a span without any has none, and where some of a span are left,
 * so are the ports of all, which are looked up in the rows; what is known of a capture beside its row.
 */
int fc_writer_drop_session(struct fc_writer *writer, int64_t id, struct fc_error *err);
int fc_writer_flush_dropped(struct fc_writer *writer, struct fc_error *err); /* in front of a commit */
int fc_writer_sweep_spans(struct fc_writer *writer, struct fc_error *err);
int fc_writer_drop_places(struct fc_writer *writer, uint32_t file, struct fc_error *err);
/* Ports of a session are noted. */
int fc_writer_add_ports(struct fc_writer *writer, int64_t id, const struct fc_flow_key *key, struct fc_error *err);

#endif
