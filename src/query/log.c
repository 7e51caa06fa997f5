/* SPDX-License-Identifier: MIT */
#include "query/log.h"
#include "base/error.h"
#include "base/export.h"
#include "base/vector.h"
#include "capture/unpacked.h"

#include <arpa/inet.h>
#include <errno.h>
#include <flowcarve/decode.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum { FIELDS_MAX = 256, ICMP = 1, ICMP6 = 58 };

/* What a line says, as text; NULL: it does not. */
struct said {
    const char *name, *proto, *src, *sport, *dst, *dport, *start, *end, *duration;
};

struct reader {
    struct fc_log *log;
    const char *file;       /* for messages */
    uint64_t line, without; /* the first line that was passed over as it has no addresses; 0: none */
    struct fc_error *err;
    int columns[9]; /* of a TSV, in the order of struct said; -1: there is none */
    bool tsv;
    sqlite3 *sql;
    sqlite3_stmt *json;
};

static int fail(struct reader *r, const char *what)
{
    return fc_error_set(r->err, FC_E_FORMAT, r->file, FC_NO_OFFSET, "line %llu: %s", (unsigned long long)r->line, what);
}

static int no_memory(struct reader *r)
{
    return fc_error_set(r->err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");
}

void fc_log_key(uint8_t key[FC_LOG_KEY], uint32_t proto, int kind, const uint8_t *a, int a_port, const uint8_t *b,
                int b_port)
{
    size_t len = kind == FC_ADDR_IPV4 ? 4 : 16;
    int order = memcmp(a, b, len);
    uint16_t ports[2] = {(uint16_t)a_port, (uint16_t)b_port};

    if (proto != FC_LOG_ANY && !fc_proto_has_ports(proto)) /* what logs have there is type and code */
        ports[0] = ports[1] = 0;
    bool swap = order > 0 || (order == 0 && ports[0] > ports[1]);
    memset(key, 0, FC_LOG_KEY);
    key[0] = (uint8_t)(proto == FC_LOG_ANY ? kind | 0x80 : kind);
    key[1] = (uint8_t)(proto == ICMP6 ? ICMP : proto); /* to Zeek they are one */
    memcpy(key + 2, &ports[swap], sizeof *ports);
    memcpy(key + 4, &ports[!swap], sizeof *ports);
    memcpy(key + 6, swap ? b : a, len);
    memcpy(key + 22, swap ? a : b, len);
}

static bool read_proto(const char *text, uint32_t *proto)
{
    char lower[32], *end;
    size_t len = strlen(text);
    unsigned long number = strtoul(text, &end, 10);
    int64_t known;

    if (len && !*end && number < 256) {
        *proto = (uint32_t)number;
        return true;
    }
    if (strcmp(text, "unknown_transport") == 0) {
        *proto = FC_LOG_OTHER;
        return true;
    }
    if (len >= sizeof lower)
        return false;
    for (size_t i = 0; i <= len; i++)
        lower[i] = (char)(text[i] >= 'A' && text[i] <= 'Z' ? text[i] + 32 : text[i]);
    known = strcmp(lower, "ipv6-icmp") == 0 ? ICMP6 : fc_proto_number(lower);
    *proto = (uint32_t)known;
    return known >= 0 && known < 256;
}

static int read_addr(const char *text, uint8_t addr[16])
{
    memset(addr, 0, 16);
    return inet_pton(AF_INET, text, addr) == 1 ? FC_ADDR_IPV4 : inet_pton(AF_INET6, text, addr) == 1 ? FC_ADDR_IPV6 : 0;
}

static bool read_port(const char *text, int *port)
{
    char *end;
    long value = text ? strtol(text, &end, 10) : 0;

    *port = (int)value;
    return !text || (end != text && !*end && value >= 0 && value <= 65535);
}

/* As the filter takes it; Suricata leaves the colon out of +00:00. */
static bool read_time(const char *text, int64_t *ns)
{
    static const struct fc_time_options utc = {.now_ns = 1};
    size_t len = strlen(text);
    char colon[64];

    if (len > 5 && len + 2 < sizeof colon && (text[len - 5] == '+' || text[len - 5] == '-') && strchr(text, 'T')) {
        snprintf(colon, sizeof colon, "%.*s:%s", (int)(len - 2), text, text + len - 2);
        text = colon;
    }
    return fc_time_read(text, &utc, ns, NULL);
}

static int read_times(struct reader *r, const struct said *said, struct fc_log_entry *entry)
{
    double seconds = said->duration ? strtod(said->duration, NULL) : 0;

    entry->has_time = said->start != NULL;
    if (!said->start)
        return 0;
    if (!read_time(said->start, &entry->from_ns))
        return fail(r, "the time cannot be read");
    entry->to_ns = entry->from_ns;
    if (said->end && !read_time(said->end, &entry->to_ns))
        return fail(r, "the second time cannot be read");
    if (seconds > 0 && seconds < 1e9)
        entry->to_ns += (int64_t)(seconds * 1e9);
    if (entry->to_ns < entry->from_ns)
        entry->to_ns = entry->from_ns;
    return 0;
}

/* A row of the same flow makes the time of it longer. */
static bool joins_last(struct fc_log *log, const struct fc_log_entry *entry, const char *name)
{
    struct fc_log_entry *last = log->count ? &log->items[log->count - 1] : NULL;

    if (!last || !*name || strcmp(last->name, name) != 0 || memcmp(last->key, entry->key, FC_LOG_KEY) != 0 ||
        !last->has_time || !entry->has_time)
        return false;
    last->from_ns = entry->from_ns < last->from_ns ? entry->from_ns : last->from_ns;
    last->to_ns = entry->to_ns > last->to_ns ? entry->to_ns : last->to_ns;
    return true;
}

static int add(struct reader *r, struct fc_log_entry *entry, const char *name)
{
    struct fc_log *log = r->log;

    if (joins_last(log, entry, name))
        return 0;
    if (fc_vector_reserve(&log->items, &log->room, log->count + 1, sizeof *log->items) || !(entry->name = strdup(name)))
        return no_memory(r);
    entry->row.line = r->line;
    log->items[log->count++] = *entry;
    return 0;
}

static int add_said(struct reader *r, const struct said *said)
{
    struct fc_log_entry entry = {.row = {0}};
    uint8_t other[16];
    uint32_t proto = FC_LOG_ANY;
    int ports[2], rc;

    if (!said->src || !said->dst) {
        r->without = r->without ? r->without : r->line;
        return 0;
    }
    if (!said->proto && (!said->sport || !said->dport))
        return fail(r, "neither a protocol nor ports");
    entry.kind = (uint8_t)read_addr(said->src, entry.addr);
    if (!entry.kind || read_addr(said->dst, other) != entry.kind)
        return fail(r, "the addresses cannot be read");
    if (!read_port(said->sport, &ports[0]) || !read_port(said->dport, &ports[1]))
        return fail(r, "the ports cannot be read");
    if (said->proto && !read_proto(said->proto, &proto))
        return fail(r, "the protocol is not known");
    fc_log_key(entry.key, proto, entry.kind, entry.addr, ports[0], other, ports[1]);
    if ((rc = read_times(r, said, &entry)))
        return rc;
    return add(r, &entry, said->name ? said->name : "");
}

/* Fields of a line, which is cut to pieces. Returns how many. */
static size_t cut(char *line, char by, char *fields[FIELDS_MAX])
{
    size_t count = 0;

    for (char *p = line; p && count < FIELDS_MAX; count++) {
        char *end = strchr(p, by);
        fields[count] = p;
        if (end)
            *end++ = '\0';
        p = end;
    }
    return count;
}

static void read_head(struct reader *r, char *line)
{
    static const char *const names[] = {"uid",       "proto", "id.orig_h", "id.orig_p", "id.resp_h",
                                        "id.resp_p", "ts",    "",          "duration"};
    char *fields[FIELDS_MAX];
    size_t count = cut(line, '\t', fields);

    r->tsv = true;
    for (int k = 0; k < 9; k++) {
        r->columns[k] = -1;
        for (size_t i = 1; i < count; i++) /* the first is #fields */
            if (strcmp(fields[i], names[k]) == 0)
                r->columns[k] = (int)i - 1;
    }
}

static int read_tsv(struct reader *r, char *line)
{
    char *fields[FIELDS_MAX];
    size_t count = cut(line, '\t', fields);
    const char *values[9];

    if (r->columns[2] < 0 || r->columns[4] < 0)
        return fail(r, "no columns id.orig_h and id.resp_h");
    for (int k = 0; k < 9; k++) {
        const char *value = r->columns[k] >= 0 && (size_t)r->columns[k] < count ? fields[r->columns[k]] : NULL;
        values[k] = value && strcmp(value, "-") != 0 && strcmp(value, "(empty)") != 0 ? value : NULL;
    }
    return add_said(r, &(struct said){values[0], values[1], values[2], values[3], values[4], values[5], values[6],
                                      values[7], values[8]});
}

static int read_csv(struct reader *r, char *line)
{
    char *fields[FIELDS_MAX];
    size_t count = cut(line, ',', fields);
    struct said said = {0};
    uint8_t addr[16];

    for (size_t i = 0; i < count; i++) {
        fields[i] += strspn(fields[i], " ");
        for (size_t len = strlen(fields[i]); len && fields[i][len - 1] == ' ';)
            fields[i][--len] = '\0';
    }
    if (count < 5 || count > 7)
        return fail(r, "no row of a log that is known: neither JSON, nor TSV behind #fields, nor a Community ID, nor "
                       "proto,src,sport,dst,dport[,start[,end]]");
    if (r->line == 1 && !read_addr(fields[1], addr) && !read_addr(fields[3], addr)) /* the head */
        return 0;
    said = (struct said){.proto = fields[0], .src = fields[1], .dst = fields[3]};
    said.sport = *fields[2] ? fields[2] : NULL;
    said.dport = *fields[4] ? fields[4] : NULL;
    said.start = count > 5 && *fields[5] ? fields[5] : NULL;
    said.end = count > 6 && *fields[6] ? fields[6] : NULL;
    return add_said(r, &said);
}

/* Zeek's and Suricata's names of what a row says; numbers as text with all of their digits. */
static const char select_json[] =
    "SELECT coalesce(j->>'$.uid', j->>'$.flow_id'), j->>'$.proto',"
    " coalesce(j->>'$.\"id.orig_h\"', j->>'$.src_ip'), coalesce(j->>'$.\"id.orig_p\"', j->>'$.src_port'),"
    " coalesce(j->>'$.\"id.resp_h\"', j->>'$.dest_ip'), coalesce(j->>'$.\"id.resp_p\"', j->>'$.dest_port'),"
    " CASE WHEN json_type(j, '$.ts') IN ('real', 'integer') THEN printf('%.6f', j->>'$.ts')"
    " ELSE coalesce(j->>'$.ts', j->>'$.flow.start', j->>'$.timestamp') END,"
    " j->>'$.flow.end', j->>'$.duration' FROM (SELECT ? AS j)";

static int read_json(struct reader *r, const char *line)
{
    const char *values[9];
    int rc;

    if (!r->json && (sqlite3_open(":memory:", &r->sql) != SQLITE_OK ||
                     sqlite3_prepare_v2(r->sql, select_json, -1, &r->json, NULL) != SQLITE_OK))
        return no_memory(r);
    sqlite3_bind_text(r->json, 1, line, -1, SQLITE_STATIC);
    if (sqlite3_step(r->json) != SQLITE_ROW) {
        sqlite3_reset(r->json);
        return fail(r, "no JSON object");
    }
    for (int k = 0; k < 9; k++)
        values[k] = (const char *)sqlite3_column_text(r->json, k);
    rc = add_said(r, &(struct said){values[0], values[1], values[2], values[3], values[4], values[5], values[6],
                                    values[7], values[8]});
    sqlite3_reset(r->json);
    return rc;
}

static int read_line(struct reader *r, char *line)
{
    struct fc_log_entry entry = {.row = {0}};

    if (r->line == 1 && strncmp(line, "\xef\xbb\xbf", 3) == 0) /* a mark of UTF-8 that other systems put in front */
        line += 3;
    line[strcspn(line, "\r\n")] = '\0';
    if (strncmp(line, "#fields\t", 8) == 0)
        read_head(r, line);
    else if (*line == '{')
        return read_json(r, line);
    else if (*line == '#' || !line[strspn(line, " \t")])
        return 0;
    else if (r->tsv)
        return read_tsv(r, line);
    else if (strncmp(line, "1:", 2) == 0 && !strchr(line, ','))
        return add(r, &entry, line);
    else
        return read_csv(r, line);
    return 0;
}

/* A NUL; or what comes through a pipe, which cannot be looked at before, begins as what is compressed does. */
static int check_text(struct reader *r, const char *line, size_t n)
{
    static const char *const magic[] = {"\x1f\x8b", "\x28\xb5\x2f\xfd", "\xfd\x37zXZ", "\x04\x22\x4d\x18"};

    for (size_t i = 0; r->line == 1 && i < sizeof magic / sizeof *magic; i++)
        if (strncmp(line, magic[i], strlen(magic[i])) == 0)
            return fail(r, "it is compressed, which is read from files alone");
    return strlen(line) == n ? 0 : fail(r, "no text");
}

/* A log in which no line has addresses is not one that is known. */
static int check_rows(struct reader *r)
{
    if (r->log->count || !r->without)
        return 0;
    r->line = r->without;
    return fail(r,
                "no addresses, here as in all lines; they are called id.orig_h and id.resp_h, or src_ip and dest_ip");
}

FC_EXPORT int fc_log_read(int fd, const char *name, struct fc_log **out, struct fc_error *err)
{
    struct fc_error local;
    struct reader r = {.log = calloc(1, sizeof *r.log), .file = name, .err = err ? err : &local};
    struct fc_unpacked *packed;
    FILE *f = fc_unpacked_open(fd, name, &packed, r.err);
    int rc = !f ? r.err->code : r.log ? 0 : no_memory(&r);
    char *line = NULL;
    size_t room = 0;
    ssize_t n;

    while (rc == 0 && (n = getline(&line, &room, f)) >= 0) {
        r.line++;
        rc = check_text(&r, line, (size_t)n);
        rc = rc ? rc : read_line(&r, line);
    }
    if (rc == 0 && ferror(f) && !(rc = fc_unpacked_failed(packed)))
        rc = fc_error_errno(r.err, FC_E_IO, name, FC_NO_OFFSET, "cannot read the log");
    rc = rc ? rc : check_rows(&r);
    if (f)
        fclose(f);
    free(line);
    sqlite3_finalize(r.json);
    sqlite3_close(r.sql);
    if (rc)
        fc_log_close(r.log);
    else
        *out = r.log;
    return rc;
}

FC_EXPORT const char *fc_log_row_file_name(const struct fc_log_row *row, char *buf, size_t size)
{
    enum { LONGEST = 100 };

    if (!*row->name)
        snprintf(buf, size, "row-%llu", (unsigned long long)row->line);
    else
        snprintf(buf, size, "%.*s", LONGEST, row->name);
    for (char *p = buf; *p; p++) {
        if (*p == ':') /* of Community IDs, which stay different */
            *p = '.';
        else if (*p == '+')
            *p = '-';
        else if (!((*p >= '0' && *p <= '9') || (*p >= 'A' && *p <= 'Z') || (*p >= 'a' && *p <= 'z') || *p == '-' ||
                   (*p == '.' && p != buf)))
            *p = '_';
    }
    return buf;
}

FC_EXPORT void fc_log_close(struct fc_log *log)
{
    if (!log)
        return;
    for (size_t i = 0; i < log->count; i++) {
        free(log->items[i].name);
        free(log->items[i].ids);
    }
    free(log->items);
    free(log->rows);
    free(log);
}
