/* SPDX-License-Identifier: MIT */
#include "fcgen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct truth_row {
    uint64_t start_ns;
    uint64_t end_ns;
    uint64_t first_offset;
    uint64_t bytes[2];
    uint32_t number;
    uint32_t packets[2];
    uint32_t addr[2];
    uint32_t first_file;
    uint16_t port[2];
    uint8_t proto;
    uint8_t flags;
    uint8_t client; /* 0 or 1: which end is the client by what the capture shows */
};

struct fcgen_truth {
    FILE *sessions;
    FILE *packets;
    struct truth_row *rows; /* rows[number - 1] */
    size_t count;
    size_t room;
};

static int open_output(FILE **out, const char *path)
{
    if (path == NULL)
        return 0;
    *out = fopen(path, "w");
    if (*out == NULL) {
        fprintf(stderr, "fcgen: %s: %s\n", path, strerror(errno));
        return -1;
    }
    setvbuf(*out, NULL, _IOFBF, 1 << 18);
    return 0;
}

int fcgen_truth_open(struct fcgen_truth **out, const struct fcgen_options *opt)
{
    if (opt->truth == NULL && opt->truth_packets == NULL)
        return 0;
    struct fcgen_truth *t = calloc(1, sizeof *t);
    if (t == NULL)
        return -1;
    *out = t;
    if (open_output(&t->sessions, opt->truth) != 0 || open_output(&t->packets, opt->truth_packets) != 0)
        return -1;
    if (t->packets != NULL)
        fputs("#file\toffset\tcaplen\toriglen\tts_ns\tsession\n", t->packets);
    return 0;
}

int fcgen_truth_session(struct fcgen_truth *t, const struct fcgen_session *s)
{
    if (t->sessions == NULL)
        return 0;
    if (t->count == t->room) {
        size_t room = t->room ? t->room * 2 : 1024;
        struct truth_row *rows = realloc(t->rows, room * sizeof *rows);
        if (rows == NULL) {
            fprintf(stderr, "fcgen: out of memory for --truth\n");
            return -1;
        }
        t->rows = rows;
        t->room = room;
    }
    t->rows[t->count++] = (struct truth_row){
        .number = s->number,
        .start_ns = UINT64_MAX,
        .addr = {s->addr[0], s->addr[1]},
        .port = {s->port[0], s->port[1]},
        .proto = s->proto,
        .flags = s->flags,
    };
    return 0;
}

/* Writes v and `end` at p; printf would take longer than making the packet. */
static char *put_number(char *p, uint64_t v, char end)
{
    char digits[20];
    int n = 0;
    do {
        digits[n++] = (char)('0' + v % 10);
        v /= 10;
    } while (v);
    while (n > 0)
        *p++ = digits[--n];
    *p++ = end;
    return p;
}

/* The order of packets: time, then file, then offset. */
static bool comes_first(const struct truth_row *r, const struct fcgen_position *pos)
{
    if (pos->ts_ns != r->start_ns)
        return pos->ts_ns < r->start_ns;
    return pos->file != r->first_file ? pos->file < r->first_file : pos->offset < r->first_offset;
}

void fcgen_truth_packet(struct fcgen_truth *t, uint32_t number, int dir, bool flip, uint32_t len,
                        const struct fcgen_position *pos)
{
    if (t->packets != NULL) {
        char line[128], *p = line;
        p = put_number(p, pos->file, '\t');
        p = put_number(p, pos->offset, '\t');
        p = put_number(p, pos->caplen, '\t');
        p = put_number(p, len, '\t');
        p = put_number(p, pos->ts_ns, '\t');
        p = put_number(p, number, '\n');
        fwrite(line, 1, (size_t)(p - line), t->packets);
    }
    if (t->sessions == NULL)
        return;
    struct truth_row *r = &t->rows[number - 1];
    if (comes_first(r, pos)) {
        r->start_ns = pos->ts_ns;
        r->first_file = pos->file;
        r->first_offset = pos->offset;
        r->client = (uint8_t)(flip ? 1 - dir : dir);
    }
    if (pos->ts_ns > r->end_ns)
        r->end_ns = pos->ts_ns;
    r->packets[dir]++;
    r->bytes[dir] += len;
}

static int compare_rows(const void *a, const void *b)
{
    const struct truth_row *x = a, *y = b;
    if (x->start_ns != y->start_ns)
        return x->start_ns < y->start_ns ? -1 : 1;
    if (x->first_file != y->first_file)
        return x->first_file < y->first_file ? -1 : 1;
    return (x->first_offset > y->first_offset) - (x->first_offset < y->first_offset);
}

static void print_address(FILE *f, const struct truth_row *r, int who)
{
    char text[INET6_ADDRSTRLEN];
    uint8_t bytes[16];
    if (r->flags & FCGEN_F_IPV6) {
        fcgen_address6(bytes, r->addr[who], who);
        inet_ntop(AF_INET6, bytes, text, sizeof text);
    } else {
        uint32_t net = htonl(r->addr[who]);
        inet_ntop(AF_INET, &net, text, sizeof text);
    }
    fprintf(f, "\t%s\t%u", text, (unsigned)r->port[who]);
}

static void print_rows(struct fcgen_truth *t)
{
    static const char *const names[FCGEN_PROTO_COUNT] = {"tcp", "udp", "icmp", "arp", "sctp"};
    bool sorted = true;
    for (size_t i = 1; i < t->count && sorted; i++)
        sorted = compare_rows(&t->rows[i - 1], &t->rows[i]) <= 0;
    if (!sorted)
        qsort(t->rows, t->count, sizeof *t->rows, compare_rows);
    fputs("#proto\tclient_addr\tclient_port\tserver_addr\tserver_port\tclient_packets\tserver_packets\t"
          "client_bytes\tserver_bytes\tstart_ns\tend_ns\tsession\n",
          t->sessions);
    for (size_t i = 0; i < t->count; i++) {
        const struct truth_row *r = &t->rows[i];
        int c = r->client, v = 1 - c;
        if (r->packets[0] + r->packets[1] == 0)
            continue;
        fputs(r->proto == FCGEN_ICMP && r->flags & FCGEN_F_IPV6 ? "icmp6" : names[r->proto], t->sessions);
        print_address(t->sessions, r, c);
        print_address(t->sessions, r, v);
        fprintf(t->sessions, "\t%u\t%u\t%llu\t%llu\t%llu\t%llu\t%u\n", (unsigned)r->packets[c], (unsigned)r->packets[v],
                (unsigned long long)r->bytes[c], (unsigned long long)r->bytes[v], (unsigned long long)r->start_ns,
                (unsigned long long)r->end_ns, (unsigned)r->number);
    }
}

static int close_output(FILE *f)
{
    if (f == NULL)
        return 0;
    int bad = ferror(f);
    if (fclose(f) == 0 && !bad)
        return 0;
    fprintf(stderr, "fcgen: cannot write the truth: %s\n", strerror(errno));
    return -1;
}

int fcgen_truth_close(struct fcgen_truth *t)
{
    if (t->sessions != NULL)
        print_rows(t);
    int rc = close_output(t->sessions);
    if (close_output(t->packets) != 0)
        rc = -1;
    free(t->rows);
    free(t);
    return rc;
}
