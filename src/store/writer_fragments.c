/* SPDX-License-Identifier: MIT */
/*
 * Fragments of the last minute: names of datagrams, and provisional sessions of those whose first fragment has not
 * come.
 */
#include "base/error.h"
#include "base/varint.h"
#include "store/writer_internal.h"

#include <stdlib.h>
#include <string.h>

/*
 * open_fragment.state: byte 0 the version, byte 1 enum kind, then varints (of times zigzag) and bytes, in the order of
 * put_first() and put_waiting().
 */
enum { VERSION = 6, STATE_MAX = 512 };
enum kind { FIRST = 1, WAITING = 2 };

/* A state being written; one being read, which is `bad` from the first byte on that cannot be. */
struct pen {
    uint8_t *p, state[STATE_MAX];
};
struct eye {
    const uint8_t *p, *end;
    bool bad;
};

static void put(struct pen *pen, uint64_t v)
{
    pen->p = fc_varint_put(pen->p, v);
}

static void put_ns(struct pen *pen, int64_t ns)
{
    put(pen, (uint64_t)ns << 1 ^ (uint64_t)(ns >> 63));
}

static void put_bytes(struct pen *pen, const void *data, size_t n)
{
    memcpy(pen->p, data, n);
    pen->p += n;
}

static uint64_t get(struct eye *eye, uint64_t max)
{
    uint64_t v = 0;

    if (!eye->bad && !(eye->p = fc_varint_get(eye->p, eye->end, &v)))
        eye->bad = true;
    if (v > max)
        eye->bad = true;
    return eye->bad ? 0 : v;
}

static int64_t get_ns(struct eye *eye)
{
    uint64_t v = get(eye, UINT64_MAX);

    return (int64_t)(v >> 1 ^ (0 - (v & 1)));
}

static void get_bytes(struct eye *eye, void *data, size_t n)
{
    if (eye->bad || (size_t)(eye->end - eye->p) < n) {
        eye->bad = true;
        return;
    }
    memcpy(data, eye->p, n);
    eye->p += n;
}

enum { ADDRESS = 16, SAME = ADDRESS + 1 };

/* other: a key in front of it, nearly always of the same addresses; NULL: none. Of IPv4 an address has 4 bytes. */
static void put_key(struct pen *pen, const struct fc_flow_key *key, const struct fc_flow_key *other)
{
    for (int i = 0; i < 2; i++) {
        const uint8_t *address = (const uint8_t *)key->addr[i];
        size_t len = ADDRESS;
        if (other && memcmp(address, other->addr[i], ADDRESS) == 0) {
            put(pen, SAME);
            continue;
        }
        while (len && !address[len - 1])
            len--;
        put(pen, len);
        put_bytes(pen, address, len);
    }
    put(pen, key->port[0]);
    put(pen, key->port[1]);
    put(pen, key->proto);
    put(pen, key->addr_kind);
    put(pen, key->one_way);
    put(pen, key->domain);
}

static void get_key(struct eye *eye, struct fc_flow_key *key, const struct fc_flow_key *other)
{
    for (int i = 0; i < 2; i++) {
        uint64_t len = get(eye, other ? SAME : ADDRESS);
        if (len == SAME)
            memcpy(key->addr[i], other->addr[i], ADDRESS);
        else
            get_bytes(eye, key->addr[i], len);
    }
    key->port[0] = (uint16_t)get(eye, UINT16_MAX);
    key->port[1] = (uint16_t)get(eye, UINT16_MAX);
    key->proto = get(eye, 0xffffff) & 0xffffff;
    key->addr_kind = get(eye, 0x7f) & 0x7f;
    key->one_way = get(eye, 1) & 1;
    key->domain = get(eye, UINT64_MAX);
}

static void put_extra(struct pen *pen, const struct fc_extra *x)
{
    const uint8_t bits[] = {x->has_mac, x->has_ttl, x->has_dscp, x->has_isn, x->has_tcp_flags, x->has_payload};

    put_bytes(pen, bits, sizeof bits);
    put_bytes(pen, x->mac, sizeof x->mac);
    put_bytes(pen, x->ttl, sizeof x->ttl);
    put_bytes(pen, x->dscp, sizeof x->dscp);
    put_bytes(pen, x->tcp_flags, sizeof x->tcp_flags);
    for (int i = 0; i < 2; i++) {
        put(pen, x->isn[i]);
        put(pen, x->payload[i]);
    }
    put(pen, x->vlan_count);
    for (unsigned i = 0; i < x->vlan_count; i++)
        put(pen, x->vlan[i]);
    put(pen, x->mpls_count);
    for (unsigned i = 0; i < x->mpls_count; i++)
        put(pen, x->mpls[i]);
    put(pen, x->tunnel_count);
    for (unsigned i = 0; i < x->tunnel_count; i++) {
        put(pen, x->tunnel[i].kind);
        put(pen, x->tunnel[i].id);
    }
}

static void get_extra(struct eye *eye, struct fc_extra *x)
{
    uint8_t bits[6] = {0};

    get_bytes(eye, bits, sizeof bits);
    x->has_mac = bits[0] & 3;
    x->has_ttl = bits[1] & 3;
    x->has_dscp = bits[2] & 3;
    x->has_isn = bits[3] & 3;
    x->has_tcp_flags = bits[4] & 3;
    x->has_payload = bits[5] & 3;
    get_bytes(eye, x->mac, sizeof x->mac);
    get_bytes(eye, x->ttl, sizeof x->ttl);
    get_bytes(eye, x->dscp, sizeof x->dscp);
    get_bytes(eye, x->tcp_flags, sizeof x->tcp_flags);
    for (int i = 0; i < 2; i++) {
        x->isn[i] = (uint32_t)get(eye, UINT32_MAX);
        x->payload[i] = get(eye, UINT64_MAX);
    }
    x->vlan_count = (uint8_t)get(eye, FC_VLAN_MAX);
    for (unsigned i = 0; i < x->vlan_count; i++)
        x->vlan[i] = (uint16_t)get(eye, UINT16_MAX);
    x->mpls_count = (uint8_t)get(eye, FC_MPLS_MAX);
    for (unsigned i = 0; i < x->mpls_count; i++)
        x->mpls[i] = (uint32_t)get(eye, UINT32_MAX);
    x->tunnel_count = (uint8_t)get(eye, FC_TUNNEL_MAX);
    for (unsigned i = 0; i < x->tunnel_count; i++) {
        x->tunnel[i].kind = (uint32_t)get(eye, UINT32_MAX);
        x->tunnel[i].id = (uint32_t)get(eye, UINT32_MAX);
    }
}

static int read_first(struct eye *eye, const struct fc_fragment_reader *reader)
{
    struct fc_first f;

    memset(&f, 0, sizeof f);
    get_key(eye, &f.name, NULL);
    get_key(eye, &f.leads_to, &f.name);
    f.ns = get_ns(eye);
    f.dir = (uint8_t)get(eye, 1);
    f.alias = (uint8_t)get(eye, 1);
    return eye->bad ? 0 : reader->first(reader->ctx, &f);
}

static int read_waiting(struct eye *eye, bool want_extra, const struct fc_fragment_reader *reader)
{
    struct fc_waiting w;

    memset(&w, 0, sizeof w);
    w.old = 1;
    get_key(eye, &w.name, NULL);
    get_key(eye, &w.key, &w.name);
    w.ns = get_ns(eye);
    w.ts_ns = get(eye, 1) ? w.ns : get_ns(eye);
    w.file = (uint32_t)get(eye, UINT32_MAX);
    w.off = get(eye, UINT64_MAX);
    w.origlen = (uint32_t)get(eye, UINT32_MAX);
    w.dir = (uint8_t)get(eye, 1);
    if (get(eye, 1) && want_extra) {
        if (!(w.extra = calloc(1, sizeof *w.extra)))
            return FC_E_NOMEM;
        get_extra(eye, w.extra);
    }
    if (!eye->bad && w.file)
        return reader->waiting(reader->ctx, &w);
    free(w.extra);
    return 0;
}

/* What is damaged is passed over. FC_E_NOMEM, or what the callback says. */
static int read_state(const uint8_t *state, size_t len, bool want_extra, const struct fc_fragment_reader *reader)
{
    struct eye eye = {state + 2, state + len, false};

    if (len < 2 || state[0] != VERSION)
        return 0;
    return state[1] == FIRST     ? read_first(&eye, reader)
           : state[1] == WAITING ? read_waiting(&eye, want_extra, reader)
                                 : 0;
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
        "DELETE FROM session_positions WHERE session < 0; DELETE FROM session_forgotten WHERE id < 0;"
        "DELETE FROM session_port WHERE epoch < 0; DELETE FROM session_span WHERE first_id < 0",
        err);
}

static void begin(struct pen *pen, enum kind kind)
{
    pen->state[0] = VERSION;
    pen->state[1] = (uint8_t)kind;
    pen->p = pen->state + 2;
}

static int add(struct fc_writer *w, const struct pen *pen, struct fc_error *err)
{
    int rc = fc_writer_sql(w, err);

    if (rc)
        return rc;
    struct fc_stmt *stmt = fc_writer_stmt(w, FC_STMT_FRAGMENT, FC_INSERT_FRAGMENT);
    fc_stmt_blob(stmt, 1, pen->state, (size_t)(pen->p - pen->state));
    return fc_stmt_run(stmt, err);
}

int fc_writer_add_first(struct fc_writer *w, const struct fc_first *first, struct fc_error *err)
{
    struct pen pen;

    begin(&pen, FIRST);
    put_key(&pen, &first->name, NULL);
    put_key(&pen, &first->leads_to, &first->name);
    put_ns(&pen, first->ns);
    put(&pen, first->dir);
    put(&pen, first->alias);
    return add(w, &pen, err);
}

int fc_writer_add_waiting(struct fc_writer *w, const struct fc_waiting *waiting, struct fc_error *err)
{
    struct pen pen;

    begin(&pen, WAITING);
    put_key(&pen, &waiting->name, NULL);
    put_key(&pen, &waiting->key, &waiting->name);
    put_ns(&pen, waiting->ns);
    put(&pen, waiting->ts_ns == waiting->ns);
    if (waiting->ts_ns != waiting->ns)
        put_ns(&pen, waiting->ts_ns);
    put(&pen, waiting->file);
    put(&pen, waiting->off);
    put(&pen, waiting->origlen);
    put(&pen, waiting->dir);
    put(&pen, waiting->extra != NULL);
    if (waiting->extra)
        put_extra(&pen, waiting->extra);
    return add(w, &pen, err);
}
