/* SPDX-License-Identifier: MIT */
#include "query_test.h"

#include <arpa/inet.h>
#include <unistd.h>

bool test_planted;

uint64_t test_random(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * UINT64_C(0x2545f4914f6cdd1d);
}

unsigned test_below(uint64_t *state, unsigned n)
{
    return (unsigned)((test_random(state) >> 33) % n);
}

uint64_t test_seed(void)
{
    const char *given = getenv("FLOWCARVE_TEST_SEED");
    uint64_t seed = given ? strtoull(given, NULL, 0) : 0x5eed;

    fprintf(stderr, "seed %llu (FLOWCARVE_TEST_SEED)\n", (unsigned long long)seed);
    return seed * 2 + 1;
}

unsigned test_rounds(unsigned normal)
{
    const char *given = getenv("FLOWCARVE_TEST_ROUNDS"), *many = getenv("FLOWCARVE_TEST_LONG");

    if (many && *many && strcmp(many, "0") != 0)
        normal *= 10;
#ifdef __SANITIZE_ADDRESS__
    normal = normal / 4 + 1;
#endif
    return given ? (unsigned)strtoul(given, NULL, 0) : normal;
}

/* Addresses are few, so that filters find something; one IPv6 network starts like one of the link addresses. */
static void random_address(uint64_t *state, int kind, uint8_t addr[16])
{
    memset(addr, 0, 16);
    if (kind == FC_ADDR_IPV4) {
        static const uint8_t nets[][3] = {{10, 0, 0},    {10, 1, 0}, {192, 168, 1},
                                          {203, 0, 113}, {0, 0, 0},  {255, 255, 255}};
        memcpy(addr, nets[test_below(state, 6)], 3);
        addr[3] = (uint8_t)test_below(state, 6);
    } else if (kind == FC_ADDR_IPV6) {
        if (test_below(state, 3) == 0) {
            memcpy(addr, (uint8_t[]){0x20, 0x01, 0x0d, 0xb8, 0, 1}, 6);
        } else {
            addr[0] = 0xfe;
            addr[1] = 0x80;
        }
        addr[9] = (uint8_t)(test_below(state, 2) * 7);
        addr[15] = (uint8_t)test_below(state, 4);
    } else if (kind == FC_ADDR_MAC) {
        memcpy(addr, (uint8_t[]){0x20, 0x01, 0x0d, 0xb8, 0, 0}, 5);
        addr[5] = (uint8_t)test_below(state, 4);
    }
}

static int random_port(uint64_t *state)
{
    static const int ports[] = {0, 20, 21, 22, 23, 53, 80, 123, 443, 513, 514, 1000, 5060, 65535};
    return ports[test_below(state, sizeof ports / sizeof ports[0])];
}

static void random_key(uint64_t *state, struct fc_session *s)
{
    static const struct {
        int kind;
        uint32_t proto;
        bool ports;
    } kinds[] = {
        {4, 6, true},        {4, 6, true},        {4, 17, true},       {4, 132, true},      {4, 1, true},
        {4, 47, false},      {4, 33, true},       {6, 6, true},        {6, 17, true},       {6, 132, true},
        {6, 58, true},       {6, 50, false},      {4, 0x10806, false}, {4, 0x18035, false}, {1, 0x188cc, false},
        {1, 0x24242, false}, {0, 0x50000, false}, {0, 0x30093, false},
    };
    unsigned k = test_below(state, sizeof kinds / sizeof kinds[0]);

    s->kind = kinds[k].kind;
    s->proto = kinds[k].proto;
    s->client_port = kinds[k].ports ? random_port(state) : -1;
    s->server_port = kinds[k].ports ? random_port(state) : -1;
    random_address(state, s->kind, s->client_addr);
    random_address(state, s->kind, s->server_addr);
}

static void random_stack(uint64_t *state, char *buf, unsigned first)
{
    unsigned n = test_below(state, 3);

    buf[0] = '\0';
    for (unsigned i = 0; i < n; i++)
        sprintf(buf + strlen(buf), "%s%u", i ? "," : "", first + test_below(state, 3) * 9);
}

static void random_tunnel(uint64_t *state, char *buf)
{
    static const char *const layers[] = {"vxlan:42", "vxlan:4", "gre", "gre:42", "ipip", "l2tp:5.17", "vxlan-gpe:42"};
    unsigned n = test_below(state, 3);

    buf[0] = '\0';
    for (unsigned i = 0; i < n; i++)
        sprintf(buf + strlen(buf), "%s%s", i ? "/" : "", layers[test_below(state, 7)]);
}

static void random_session(uint64_t *state, struct test_session *row, int64_t id, uint32_t fields)
{
    struct fc_session *s = &row->s;

    memset(row, 0, sizeof *row);
    s->id = id;
    random_key(state, s);
    s->has_time = test_below(state, 20) != 0;
    if (s->has_time) {
        s->start_ns = NOW - (int64_t)test_below(state, 10000) * 1000000000;
        s->end_ns = s->start_ns + (int64_t)test_below(state, 3000) * 999999999;
    }
    s->client_packets = test_below(state, 1000);
    s->server_packets = test_below(state, 10);
    s->client_bytes = test_random(state) >> (24 + test_below(state, 40));
    s->server_bytes = test_below(state, 100000);
    s->state = (int)test_below(state, 5);
    random_stack(state, row->vlan, 1);
    random_stack(state, row->mpls, 100);
    s->vlan = (fields & FC_FIELD_VLAN) && row->vlan[0] ? row->vlan : NULL;
    random_tunnel(state, row->tunnel);
    s->tunnel = (fields & FC_FIELD_TUNNEL) && row->tunnel[0] ? row->tunnel : NULL;
    s->mpls = (fields & FC_FIELD_MPLS) && row->mpls[0] ? row->mpls : NULL;
    for (int i = 0; i < 2; i++) {
        uint8_t addr[16];
        random_address(state, FC_ADDR_MAC, addr);
        memcpy(row->mac[i], addr, 6);
    }
    if (s->kind == FC_ADDR_MAC) {
        memcpy(row->mac[0], s->client_addr, 6);
        memcpy(row->mac[1], s->server_addr, 6);
    }
    bool mac = (fields & FC_FIELD_MAC) && s->proto < FC_PROTO_LINK;
    s->client_mac = mac ? row->mac[0] : NULL;
    s->server_mac = mac ? row->mac[1] : NULL;
    bool ip = s->kind == FC_ADDR_IPV4 || s->kind == FC_ADDR_IPV6, twoway = test_below(state, 3) != 0;
    s->client_ttl = (fields & FC_FIELD_TTL) && ip ? (int64_t)(1 + test_below(state, 4) * 63) : -1;
    s->server_ttl = (fields & FC_FIELD_TTL) && ip && twoway ? (int64_t)(1 + test_below(state, 4) * 63) : -1;
    s->client_payload = (fields & FC_FIELD_PAYLOAD) && ip ? (int64_t)test_below(state, 20) * 500 : -1;
    s->server_payload = (fields & FC_FIELD_PAYLOAD) && ip && twoway ? (int64_t)test_below(state, 20) * 50000 : -1;
    bool tcp = s->proto == 6;
    s->client_tcp_flags = (fields & FC_FIELD_TCP_FLAGS) && tcp ? (int64_t)test_below(state, 256) : -1;
    s->server_tcp_flags = (fields & FC_FIELD_TCP_FLAGS) && tcp && twoway ? (int64_t)test_below(state, 256) : -1;
    row->flags = (tcp ? test_below(state, 4) * 2 + (test_below(state, 3) == 0) * 16 : 0);
    struct fc_flow_key key = {.addr_kind = (uint8_t)s->kind, .proto = s->proto};
    memcpy(key.addr[0], s->client_addr, 16);
    memcpy(key.addr[1], s->server_addr, 16);
    key.port[0] = (uint16_t)s->client_port;
    key.port[1] = (uint16_t)s->server_port;
    s->community_id = fc_community_id(&key, row->community_id) ? row->community_id : NULL;
}

static sqlite3_stmt *prepare(sqlite3 *sql, const char *text)
{
    sqlite3_stmt *stmt;
    cr_assert_eq(sqlite3_prepare_v2(sql, text, -1, &stmt, NULL), SQLITE_OK, "%s", sqlite3_errmsg(sql));
    return stmt;
}

static void bind_address(sqlite3_stmt *stmt, int place, int kind, const uint8_t *addr)
{
    uint32_t number;

    if (kind == FC_ADDR_IPV4) {
        memcpy(&number, addr, 4);
        sqlite3_bind_int64(stmt, place, ntohl(number));
    } else if (kind != FC_ADDR_NONE) {
        sqlite3_bind_blob(stmt, place, addr, kind == FC_ADDR_IPV6 ? 16 : 6, SQLITE_TRANSIENT);
    }
}

static void insert(sqlite3_stmt *session, sqlite3_stmt *field, const struct test_session *row, uint32_t fields)
{
    const struct fc_session *s = &row->s;

    sqlite3_bind_int64(session, 1, s->id);
    if (s->has_time) {
        sqlite3_bind_int64(session, 2, s->start_ns);
        sqlite3_bind_int64(session, 3, s->end_ns - s->start_ns);
    }
    sqlite3_bind_int64(session, 4, s->proto);
    sqlite3_bind_int64(session, 5, s->kind);
    bind_address(session, 6, s->kind, s->client_addr);
    bind_address(session, 8, s->kind, s->server_addr);
    if (s->client_port >= 0) {
        sqlite3_bind_int64(session, 7, s->client_port);
        sqlite3_bind_int64(session, 9, s->server_port);
    }
    sqlite3_bind_int64(session, 10, (int64_t)s->client_packets);
    sqlite3_bind_int64(session, 11, (int64_t)s->server_packets);
    sqlite3_bind_int64(session, 12, (int64_t)s->client_bytes);
    sqlite3_bind_int64(session, 13, (int64_t)s->server_bytes);
    sqlite3_bind_int64(session, 14, s->state);
    sqlite3_bind_int64(session, 15, row->flags);
    cr_assert_eq(sqlite3_step(session), SQLITE_DONE);
    sqlite3_reset(session);
    sqlite3_clear_bindings(session);

    sqlite3_bind_int64(field, 1, s->id);
    sqlite3_bind_text(field, 2, s->vlan, -1, SQLITE_TRANSIENT);
    sqlite3_bind_text(field, 3, s->mpls, -1, SQLITE_TRANSIENT);
    sqlite3_bind_blob(field, 4, s->client_mac, 6, SQLITE_TRANSIENT);
    sqlite3_bind_blob(field, 5, s->server_mac, 6, SQLITE_TRANSIENT);
    sqlite3_bind_text(field, 6, fields & FC_FIELD_COMMUNITY_ID ? s->community_id : NULL, -1, SQLITE_TRANSIENT);
    sqlite3_bind_text(field, 7, s->tunnel, -1, SQLITE_TRANSIENT);
    const int64_t numbers[] = {s->client_ttl,     s->server_ttl,       s->client_payload,
                               s->server_payload, s->client_tcp_flags, s->server_tcp_flags};
    for (int i = 0; i < 6; i++)
        if (numbers[i] >= 0)
            sqlite3_bind_int64(field, 8 + i, numbers[i]);
    cr_assert_eq(sqlite3_step(field), SQLITE_DONE);
    sqlite3_reset(field);
    sqlite3_clear_bindings(field);
}

static void fill(sqlite3 *sql, const struct test_index *index)
{
    sqlite3_stmt *session = prepare(sql, "INSERT INTO session VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,0,x'')");
    sqlite3_stmt *field = prepare(
        sql, "INSERT INTO session_fields(id,vlan,mpls,client_mac,server_mac,community_id,tunnel,client_ttl,server_ttl,"
             "client_payload,server_payload,client_tcp_flags,server_tcp_flags) VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?)");
    const char *name;
    int64_t proto;

    for (unsigned i = 0; i < index->count; i++)
        insert(session, field, &index->rows[i], index->fields);
    sqlite3_finalize(session);
    sqlite3_finalize(field);
    session = prepare(sql, "INSERT OR IGNORE INTO protocols VALUES(?,?)");
    for (unsigned i = 0; (proto = fc_proto_at(i, &name)) >= 0; i++) {
        sqlite3_bind_int64(session, 1, proto);
        sqlite3_bind_text(session, 2, fc_proto_name((uint32_t)proto), -1, SQLITE_STATIC);
        sqlite3_step(session);
        sqlite3_reset(session);
    }
    sqlite3_finalize(session);
}

static void exec(sqlite3 *sql, const char *text)
{
    char *message = NULL;
    cr_assert_eq(sqlite3_exec(sql, text, NULL, NULL, &message), SQLITE_OK, "%s", message);
}

static void make(struct test_index *index, const char *fields, const char *text)
{
    const char *folder = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    sqlite3 *sql;
    struct fc_error err;
    char *meta;

    snprintf(index->path, sizeof index->path, "%s/fc-query-XXXXXX", folder);
    close(mkstemp(index->path));
    cr_assert_eq(sqlite3_open(index->path, &sql), SQLITE_OK);
    exec(sql, "PRAGMA synchronous = off; PRAGMA journal_mode = off; BEGIN");
    exec(sql, fc_schema_flowcarve);
    meta = sqlite3_mprintf("INSERT INTO meta VALUES('fields', %Q)", fields);
    exec(sql, meta);
    sqlite3_free(meta);
    fill(sql, index);
    if (text)
        exec(sql, text);
    exec(sql, fc_schema_indexes);
    exec(sql, "COMMIT");
    sqlite3_close(sql);
    cr_assert_eq(fc_db_open(index->path, &index->db, &err), 0, "%s", err.cause);
}

struct test_index *test_index_new(uint64_t *state, unsigned count, uint32_t fields)
{
    static const char *const names[] = {"mac",       "vlan", "mpls",    "ttl",          "dscp",
                                        "tcp-flags", "isn",  "payload", "community-id", "tunnel"};
    struct test_index *index = calloc(1, sizeof *index);
    char list[80] = "";

    for (unsigned i = 0; i < 10; i++)
        if (fields >> i & 1)
            sprintf(list + strlen(list), "%s%s", list[0] ? "," : "", names[i]);
    index->count = count;
    index->fields = fields;
    index->rows = calloc(count, sizeof *index->rows);
    for (unsigned i = 0; i < count; i++)
        random_session(state, &index->rows[i], i + 1, fields);
    make(index, list, NULL);
    return index;
}

struct test_index *test_index_sql(const char *fields, const char *sql)
{
    struct test_index *index = calloc(1, sizeof *index);

    make(index, fields, sql);
    return index;
}

void test_index_free(struct test_index *index)
{
    char beside[sizeof index->path + 8];

    fc_db_close(index->db);
    for (unsigned i = 0; i < 3; i++) { /* who only reads leaves what is beside it in WAL mode */
        snprintf(beside, sizeof beside, "%s%s", index->path, i == 0 ? "" : i == 1 ? "-wal" : "-shm");
        unlink(beside);
    }
    free(index->rows);
    free(index);
}
