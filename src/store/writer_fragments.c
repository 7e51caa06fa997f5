/* SPDX-License-Identifier: MIT */
/*
 * Fragments of the last minute: names of datagrams, and provisional sessions of those whose first fragment has not
 * come.
 */
#include "base/error.h"
#include "store/writer_internal.h"

#include <stdlib.h>
#include <string.h>

/*
 * open_fragment.state, in the byte order of who wrote it: this, and a struct fc_extra when has_extra. kind: FC_SAVED_*,
 * with the layout's version.
 */
struct saved {
    uint32_t kind;
    uint32_t file;
    struct fc_flow_key name, other; /* of a first fragment what it leads to, of one that waits its own */
    int64_t ns, ts_ns;              /* counted time, and that captured */
    uint64_t off;
    uint32_t origlen;
    uint8_t dir, alias, has_extra, zero;
};
enum { FC_SAVED_FIRST = 0x201, FC_SAVED_WAITING = 0x202 };

static bool good_extra(const struct fc_extra *x)
{
    return x->vlan_count <= FC_VLAN_MAX && x->mpls_count <= FC_MPLS_MAX && x->tunnel_count <= FC_TUNNEL_MAX;
}

/* What is damaged, or of another layout, is passed over. FC_E_NOMEM, or what the callback says. */
static int read_state(const void *state, size_t len, bool want_extra, const struct fc_fragment_reader *reader)
{
    struct saved s;

    if (len < sizeof s)
        return 0;
    memcpy(&s, state, sizeof s);
    if (s.dir > 1 || s.alias > 1 || s.has_extra > 1 || len != sizeof s + (s.has_extra ? sizeof(struct fc_extra) : 0))
        return 0;
    if (s.kind == FC_SAVED_FIRST) {
        struct fc_first first = {s.name, s.other, s.ns, s.dir, s.alias};
        return reader->first(reader->ctx, &first);
    }
    if (s.kind != FC_SAVED_WAITING || !s.file)
        return 0;
    struct fc_waiting w = {.name = s.name,
                           .key = s.other,
                           .ns = s.ns,
                           .ts_ns = s.ts_ns,
                           .off = s.off,
                           .file = s.file,
                           .origlen = s.origlen,
                           .dir = s.dir,
                           .old = 1};
    if (want_extra && s.has_extra) {
        if (!(w.extra = malloc(sizeof *w.extra)))
            return FC_E_NOMEM;
        memcpy(w.extra, (const uint8_t *)state + sizeof s, sizeof *w.extra);
        if (!good_extra(w.extra))
            memset(w.extra, 0, sizeof *w.extra);
    }
    return reader->waiting(reader->ctx, &w);
}

int fc_writer_fragments(struct fc_writer *w, bool want_extra, const struct fc_fragment_reader *reader,
                        struct fc_error *err)
{
    struct fc_stmt *stmt = fc_writer_stmt(w, FC_STMT_FRAGMENTS, FC_SELECT_FRAGMENTS);
    int rc = 0;

    while (rc == 0 && (rc = fc_stmt_step(stmt, err)) == 1)
        rc = read_state(sqlite3_column_blob(stmt->raw, 0), (size_t)sqlite3_column_bytes(stmt->raw, 0), want_extra,
                        reader);
    fc_stmt_reset(stmt);
    return rc == FC_E_NOMEM ? fc_writer_no_memory(w, err) : rc;
}

int fc_writer_forget_fragments(struct fc_writer *w, struct fc_error *err)
{
    if (w->fresh)
        return 0;
    return fc_writer_exec(
        w,
        "DELETE FROM open_fragment; DELETE FROM session_fields WHERE id < 0; DELETE FROM session WHERE id < 0;"
        "DELETE FROM session_positions WHERE session < 0;"
        "DELETE FROM session_port WHERE block < 0; DELETE FROM session_span WHERE first_id < 0",
        err);
}

static int add(struct fc_writer *w, const struct saved *s, const struct fc_extra *extra, struct fc_error *err)
{
    struct fc_stmt *stmt = fc_writer_stmt(w, FC_STMT_FRAGMENT, FC_INSERT_FRAGMENT);
    uint8_t state[sizeof *s + sizeof *extra];

    memcpy(state, s, sizeof *s);
    if (extra)
        memcpy(state + sizeof *s, extra, sizeof *extra);
    fc_stmt_blob(stmt, 1, state, sizeof *s + (extra ? sizeof *extra : 0));
    return fc_stmt_run(stmt, err);
}

int fc_writer_add_first(struct fc_writer *w, const struct fc_first *first, struct fc_error *err)
{
    struct saved s;
    int rc = fc_writer_sql(w, err);

    memset(&s, 0, sizeof s);
    s.kind = FC_SAVED_FIRST;
    s.name = first->name;
    s.other = first->leads_to;
    s.ns = first->ns;
    s.dir = first->dir;
    s.alias = first->alias;
    return rc ? rc : add(w, &s, NULL, err);
}

int fc_writer_add_waiting(struct fc_writer *w, const struct fc_waiting *waiting, struct fc_error *err)
{
    struct saved s;
    int rc = fc_writer_sql(w, err);

    memset(&s, 0, sizeof s);
    s.kind = FC_SAVED_WAITING;
    s.file = waiting->file;
    s.name = waiting->name;
    s.other = waiting->key;
    s.ns = waiting->ns;
    s.ts_ns = waiting->ts_ns;
    s.off = waiting->off;
    s.origlen = waiting->origlen;
    s.dir = waiting->dir;
    s.has_extra = waiting->extra != NULL;
    return rc ? rc : add(w, &s, waiting->extra, err);
}
