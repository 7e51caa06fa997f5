/* SPDX-License-Identifier: MIT */
/*
 * twin_dump PROFILE TIMEOUTS NAMES WAITING CAPTURE...
 *
 * Prints the sessions that the naive twin of the property tests makes of captures, for comparison with that of the
 * system tests (test_twins.py). TIMEOUTS as --timeout takes them, may be empty; NAMES and WAITING are the limits of
 * fragments; captures get their numbers in the order given.
 *
 * Out, per line, tab-separated: id, protocol, addrA:portA, addrB:portB, client (endpoint), state, open, first and last
 * (counted), start and end, packets, bytes, TCP flags and bases by endpoint, positions in the order of the session.
 * Times in ns; "-" where there is none.
 */
#include "twin.h"

#include <flowcarve/capture.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static int read_capture(struct traffic *t, const char *path, uint32_t number)
{
    struct fc_error err;
    struct fc_capture *capture;
    struct fc_record rec;
    int rc = fc_capture_open(path, &capture, &err);

    if (rc)
        return rc;
    while ((rc = fc_capture_next(capture, &rec, &err)) == 1) {
        t->packets = realloc(t->packets, (t->count + 1) * sizeof *t->packets);
        if (!t->packets)
            abort();
        struct traffic_packet *p = &t->packets[t->count++];
        memset(p, 0, sizeof *p);
        fc_decode(rec.link_type, rec.data, rec.caplen, rec.origlen, FC_WANT_SESSION, &p->packet);
        p->rec = rec;
        p->rec.data = NULL;
        p->file = number;
        if (p->packet.malformed)
            p->packet.key.port[1] = (uint16_t)number; /* a session a file */
    }
    fc_capture_close(capture);
    return rc;
}

static void print_time(int64_t ns)
{
    if (ns == FC_TIME_NONE)
        printf("\t-");
    else
        printf("\t%" PRId64, ns);
}

static void print_end(const struct fc_flow_key *key, unsigned d)
{
    printf("\t");
    for (unsigned i = 0; i < (key->addr_kind == FC_ADDR_IPV6 ? 16 : 4); i++)
        printf("%02x", key->addr[d][i]);
    printf(":%u", key->port[d]);
}

static void print_session(const struct twin_session *s)
{
    static const char *const states[] = {"new", "established", "closed", "reset", "midstream"};

    printf("%" PRId64 "\t%u", s->id, s->key.proto);
    print_end(&s->key, 0);
    print_end(&s->key, 1);
    printf("\t%u\t%s\t%d", s->client, states[s->state], s->open);
    print_time(s->first_ns);
    print_time(s->last_ns);
    print_time(s->min_ns);
    print_time(s->max_ns);
    for (unsigned d = 0; d < 2; d++) {
        printf("\t%" PRIu64 "\t%" PRIu64 "\t%u\t", s->packets[d], s->bytes[d], s->tcp_flags[d]);
        if (s->base_set[d])
            printf("%" PRIu32, s->base[d]);
        else
            printf("-");
    }
    for (size_t i = 0; i < s->count; i++)
        printf("%c%" PRIu32 ":%" PRIu64, i ? ' ' : '\t', s->list[i]->file, s->list[i]->rec.off);
    printf("\n");
}

int main(int argc, char **argv)
{
    struct fc_rules rules;
    struct traffic t = {0};
    struct twin twin;

    if (argc < 6 || fc_rules_profile(&rules, argv[1]) || fc_rules_timeout(&rules, argv[2], NULL)) {
        fprintf(stderr, "usage: twin_dump PROFILE TIMEOUTS NAMES WAITING CAPTURE...\n");
        return 2;
    }
    for (int i = 5; i < argc; i++) {
        if (read_capture(&t, argv[i], (uint32_t)(i - 4))) {
            fprintf(stderr, "twin_dump: %s cannot be read\n", argv[i]);
            return 1;
        }
    }
    twin_make_limited(&twin, &t, &rules, strtoul(argv[3], NULL, 10), strtoul(argv[4], NULL, 10));
    for (size_t i = 0; i < twin.count; i++)
        print_session(&twin.sessions[i]);
    twin_free(&twin);
    free(t.packets);
    return 0;
}
