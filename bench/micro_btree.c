/* SPDX-License-Identifier: MIT */
/*
 * Writing a fresh index of N sessions like those of `fcgen --preset small`: by finished b-trees, and by INSERT and
 * CREATE INDEX (with --insert). The result is checked by SQLite inside the run (--check).
 *
 *   micro btree [-n SESSIONS] [-m MEMORY-BYTES] [-6] [--insert] [--check] DATABASE
 */
#include "micro.h"
#include "store/writer_internal.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static void put_addr(uint8_t addr[16], int kind, uint32_t v)
{
    static const uint8_t net[8] = {0x20, 0x01, 0x0d, 0xb8, 0, 1};
    uint8_t *p = kind == FC_ADDR_IPV6 ? addr + 12 : addr;

    memset(addr, 0, 16);
    if (kind == FC_ADDR_IPV6)
        memcpy(addr, net, sizeof net);
    for (int i = 0; i < 4; i++)
        p[i] = (uint8_t)(v >> (24 - 8 * i));
}

/* Clients from one network, servers from the other, a dozen of known ports. */
static void make_session(uint64_t *state, int kind, int64_t i, struct fc_session_record *r, uint8_t *blob)
{
    static const uint16_t ports[] = {443, 443, 443, 443, 993, 53, 8443, 5223, 9000, 5432, 10000};
    uint64_t x = micro_random(state), y = micro_random(state);

    memset(r, 0, sizeof *r);
    put_addr(r->key.addr[0], kind, 0x0a000000 + (uint32_t)(x % 90000));
    put_addr(r->key.addr[1], kind, 0xc6120000 + (uint32_t)((x >> 20) % 140000));
    r->key.port[0] = (uint16_t)(32768 + (x >> 40) % 28000);
    r->key.port[1] = ports[(x >> 56) % 11];
    r->key.addr_kind = (uint8_t)kind;
    r->key.proto = y % 4 ? 6 : 17;
    r->session.first_ns = r->session.min_ns = INT64_C(1700000000000000000) + i * 12345;
    r->session.last_ns = r->session.max_ns = r->session.min_ns + (int64_t)(y >> 8) % 1000000000;
    r->session.packets[0] = 2 + (y >> 40) % 2;
    r->session.packets[1] = 2;
    r->session.bytes[0] = 62 * r->session.packets[0];
    r->session.bytes[1] = 62 * r->session.packets[1];
    if (r->key.proto == 6) {
        r->session.tcp_flags[0] = r->session.tcp_flags[1] = FC_TCP_SYN | FC_TCP_ACK;
        r->session.base_set = 3;
        r->session.base[0] = (uint32_t)micro_random(state);
        r->session.base[1] = (uint32_t)y;
    }
    r->open = y >> 16 & 1;
    memcpy(blob, &x, 8);
    memcpy(blob + 8, &y, 8);
    r->blob = blob;
    r->blob_len = 14;
}

static int check(const char *path, int64_t n)
{
    sqlite3 *sql = NULL;
    sqlite3_stmt *stmt = NULL;
    bool ok = sqlite3_open(path, &sql) == SQLITE_OK &&
              sqlite3_prepare_v2(sql, "PRAGMA integrity_check", -1, &stmt, NULL) == SQLITE_OK &&
              sqlite3_step(stmt) == SQLITE_ROW && strcmp((const char *)sqlite3_column_text(stmt, 0), "ok") == 0;
    sqlite3_finalize(stmt);
    ok = ok && sqlite3_prepare_v2(sql, "SELECT count(*) FROM session NOT INDEXED", -1, &stmt, NULL) == SQLITE_OK &&
         sqlite3_step(stmt) == SQLITE_ROW && sqlite3_column_int64(stmt, 0) == n;
    if (ok)
        sqlite3_finalize(stmt);
    sqlite3_close(sql);
    return ok ? 0 : micro_fail("btree", "SQLite finds fault with the index");
}

static void show(bool insert, int64_t n, double rows, double indexes, const struct stat *st, double sync)
{
    const char *how = insert ? "by INSERT" : "by finished b-trees";
    char what[64], note[128];

    snprintf(what, sizeof what, "rows, %s", how);
    micro_row("btree", what, rows / (double)n * 1e9, "ns a session", "");
    snprintf(what, sizeof what, "indexes, %s", how);
    micro_row("btree", what, indexes / (double)n / FC_SESSION_INDEXES * 1e9, "ns an entry", "");
    snprintf(what, sizeof what, "all, %s", how);
    snprintf(note, sizeof note, "%lld sessions, %.0f MB/s, %.1f bytes a session, fsync %.3f s", (long long)n,
             (double)st->st_size / (rows + indexes) / 1e6, (double)st->st_size / (double)n, sync);
    micro_row("btree", what, (rows + indexes) / (double)n * 1e9, "ns a session", note);
}

static int run(const char *path, int64_t n, size_t memory, int kind, bool insert)
{
    struct fc_error err = {0};
    struct fc_writer *w;
    struct fc_session_record r;
    uint64_t state = 88172645463325252u;
    uint8_t blob[16];
    int64_t sync_ns = 0;
    struct stat st;
    double start, make, rows, all;
    bool fresh;
    int rc;

    unlink(path);
    start = micro_now();
    for (int64_t i = 0; i < n; i++)
        make_session(&state, kind, i, &r, blob);
    make = micro_now() - start;
    state = 88172645463325252u;
    if ((rc = fc_writer_open(path, &w, &fresh, &err)))
        goto out;
    w->insert_only = insert;
    fc_writer_set_memory(w, memory);
    start = micro_now();
    for (int64_t i = 0; i < n && rc == 0; i++) {
        make_session(&state, kind, i, &r, blob);
        rc = fc_writer_session(w, &r, 0, NULL, &err);
    }
    rows = micro_now() - start - make;
    if (rc == 0)
        rc = fc_writer_commit(w, &sync_ns, &err);
    all = micro_now() - start - make - (double)sync_ns / 1e9;
    fc_writer_close(w);
    if (rc == 0 && stat(path, &st) == 0)
        show(insert, n, rows, all - rows, &st, (double)sync_ns / 1e9);
out:
    if (rc)
        fprintf(stderr, "%s: %s\n", err.file[0] ? err.file : path, err.cause);
    return rc != 0;
}

int micro_btree(int argc, char **argv)
{
    static const struct option options[] = {{"insert", no_argument, NULL, 'i'}, {"check", no_argument, NULL, 'c'}, {0}};
    bool insert = false, checked = false;
    int64_t n = 4500000;
    size_t memory = 0;
    int kind = FC_ADDR_IPV4, c;

    while ((c = getopt_long(argc, argv, "n:m:6", options, NULL)) != -1) {
        switch (c) {
        case 'n':
            n = atoll(optarg);
            break;
        case 'm':
            memory = strtoull(optarg, NULL, 0);
            break;
        case '6':
            kind = FC_ADDR_IPV6;
            break;
        case 'i':
            insert = true;
            break;
        case 'c':
            checked = true;
            break;
        default:
            return 2;
        }
    }
    if (optind != argc - 1)
        return 2;
    if (run(argv[optind], n, memory, kind, insert))
        return 1;
    return checked ? check(argv[optind], n) : 0;
}
