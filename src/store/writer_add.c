/* SPDX-License-Identifier: MIT */
/*
 * Many sessions that are added to an index. They are written in bulk, as those of a fresh index are, to a database of
 * their own, and from there to the end of each b-tree of the index: SQLite copies rows of a table whose like has the
 * same columns and indexes as they are, and those of an index in their order, which takes a third of the time that an
 * INSERT a session does; see way(). The building site of a fresh index serves for it.
 */
#include "base/error.h"
#include "store/schema.h"
#include "store/writer_internal.h"

#include <stdio.h>
#include <sys/statvfs.h>

enum {
    SESSION_BYTES = 250 /* of a session on the site, about, with its fields */
};

unsigned fc_writer_bulk_from = 4000; /* new sessions: fewer are INSERTed in less time */

/*
 * Where SQLite copies entries of an index as they are, it fills pages as if nothing came behind them: one that falls
 * between others splits a full page, and gets a page for itself. That is what happens in an epoch that has sessions
 * already, and takes 200 bytes a session. So it is only done with new epochs. Else rows are inserted one by one, which
 * ORDER BY makes of it, in twice the time.
 */
static const char *way(const struct fc_writer *w)
{
    return (w->first_in_bulk - 1) % FC_EPOCH_SESSIONS ? " ORDER BY id" : "";
}

/* ID of the first session in the bulk: the next one; or the first of an epoch, when most are of new ones. */
static int64_t find_first(const struct fc_writer *w)
{
    int64_t room = (1 - w->next_id) & (FC_EPOCH_SESSIONS - 1); /* that the last epoch has for them */
    int64_t rest = (int64_t)w->expected - room;

    return w->next_id + (rest >= room && rest >= fc_writer_bulk_from ? room : 0);
}

static bool pays(const struct fc_writer *w)
{
    struct statvfs disk;

    return w->expected >= fc_writer_bulk_from && statvfs(w->folder, &disk) == 0 &&
           disk.f_bavail * disk.f_frsize / 4 > w->expected * SESSION_BYTES;
}

/* An empty index on the site, and its root pages. */
static int make_empty(struct fc_writer *w, struct fc_bulk_roots *roots, struct fc_error *err)
{
    struct fc_conn site = {.name = w->path};
    int rc;

    if ((rc = fc_writer_open_site(w, &site, err)) == 0 && (rc = fc_conn_exec(&site, fc_schema_flowcarve, err)) == 0 &&
        (rc = fc_conn_exec(&site, fc_schema_indexes, err)) == 0 &&
        (rc = fc_bulk_roots_read(site.db, w->site, roots, err)) == 0)
        rc = fc_conn_commit(&site, err);
    fc_conn_close(&site);
    return rc;
}

int fc_writer_begin_adding_bulk(struct fc_writer *w, struct fc_error *err)
{
    struct fc_bulk_roots roots;
    struct fc_error why;
    int rc;

    if (!w->first_in_bulk) {
        if ((rc = fc_writer_next_id(w, &w->next_id, err)))
            return rc;
        w->first_in_bulk = find_first(w);
    }
    if (w->next_id != w->first_in_bulk || !pays(w))
        return 0;
    if ((rc = fc_writer_make_site(w, &why)) == 0 && (rc = make_empty(w, &roots, &why)) == 0 &&
        (rc = fc_writer_new_bulk(w, w->next_id, &roots, &why)) == 0)
        return 1;
    fc_writer_leave_site(w);
    /* nothing is lost but time: they are INSERTed */
    return rc == FC_E_NOMEM ? fc_conn_break(&w->conn, rc, &why) : 0;
}

int fc_writer_add_bulk(struct fc_writer *w, struct fc_error *err)
{
    char *sql = sqlite3_mprintf("ATTACH '%s%q' AS side", *w->site == '/' ? "" : "./", w->site);
    int rc = sql ? fc_conn_exec(&w->conn, sql, err) : fc_writer_no_memory(w, err);

    sqlite3_free(sql);
    if (rc)
        return rc;
    sql = sqlite3_mprintf("INSERT INTO main.session SELECT * FROM side.session%s;"
                          "INSERT INTO main.session_positions"
                          " SELECT NULL, session, file, positions FROM side.session_positions ORDER BY id;"
                          "INSERT INTO main.open_session SELECT * FROM side.open_session;"
                          "INSERT INTO main.open_batch SELECT * FROM side.open_batch;"
                          "INSERT INTO main.session_fields SELECT * FROM side.session_fields%s;"
                          "INSERT OR IGNORE INTO main.session_port SELECT * FROM side.session_port",
                          way(w), way(w));
    rc = sql ? fc_conn_exec(&w->conn, sql, err) : fc_writer_no_memory(w, err);
    sqlite3_free(sql);
    return rc;
}
