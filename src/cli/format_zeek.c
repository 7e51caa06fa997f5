/* SPDX-License-Identifier: MIT */
/*
 * Sessions as a conn.log of Zeek's, for zeek-cut and what else reads one. docs/zeek.md says where each field comes
 * from; what has no source is unset ("-"). Sessions that are not of IP have no place in it.
 */
#include "cli/format.h"

#include <flowcarve/decode.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { FIN = 1, SYN = 2, RST = 4, TCP = 6, UDP = 17, ICMP = 1, ICMP6 = 58 };

static void write_now(struct fc_out *out, const char *name)
{
    char line[64];
    time_t now = time(NULL);
    struct tm tm;

    gmtime_r(&now, &tm);
    strftime(line, sizeof line, "\t%Y-%m-%d-%H-%M-%S\n", &tm);
    fc_out_text(out, name);
    fc_out_text(out, line);
}

void fc_zeek_start(struct fc_rows *w)
{
    bool community = w->fields & FC_FIELD_COMMUNITY_ID, sensor = w->fields & FC_FIELD_SENSOR;

    fc_out_text(w->out, "#separator \\x09\n#set_separator\t,\n#empty_field\t(empty)\n#unset_field\t-\n#path\tconn\n");
    write_now(w->out, "#open");
    fc_out_text(w->out, sensor ? "#fields\tsensor\tts" : "#fields\tts");
    fc_out_text(w->out, "\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tproto\tservice\tduration"
                        "\torig_bytes\tresp_bytes\tconn_state\tlocal_orig\tlocal_resp\tmissed_bytes\thistory\torig_pkts"
                        "\torig_ip_bytes\tresp_pkts\tresp_ip_bytes\ttunnel_parents");
    fc_out_text(w->out, community ? "\tcommunity_id\n" : "\n");
    fc_out_text(w->out, sensor ? "#types\tstring\ttime" : "#types\ttime");
    fc_out_text(w->out, "\tstring\taddr\tport\taddr\tport\tenum\tstring\tinterval\tcount\tcount\tstring"
                        "\tbool\tbool\tcount\tstring\tcount\tcount\tcount\tcount\tset[string]");
    fc_out_text(w->out, community ? "\tstring\n" : "\n");
}

void fc_zeek_finish(struct fc_rows *w)
{
    write_now(w->out, "#close");
}

/* By the flags that each side has sent in the whole session. */
static const char *state_by_flags(const struct fc_session *r, int64_t client, int64_t server)
{
    if (!(client & SYN))
        return !(server & SYN) ? "OTH" : server & RST ? "RSTRH" : server & FIN ? "SHR" : "OTH";
    if (!(server & SYN))
        return server & RST             ? "REJ"
               : client & RST           ? "RSTOS0"
               : client & FIN           ? "SH"
               : r->server_packets == 0 ? "S0"
                                        : "OTH";
    if (client & server & FIN)
        return "SF";
    if ((client | server) & RST)
        return client & RST ? "RSTO" : "RSTR";
    return client & FIN ? "S2" : server & FIN ? "S3" : "S1";
}

/* A field of a side; of one that has sent nothing the index has none. */
static int64_t of_side(int64_t value, uint64_t packets)
{
    return value < 0 && packets == 0 ? 0 : value;
}

/* Without flags a session that was reset does not tell by whom. */
static const char *state_of(const struct fc_rows *w, const struct fc_session *r)
{
    int64_t client = of_side(r->client_tcp_flags, r->client_packets);
    int64_t server = of_side(r->server_tcp_flags, r->server_packets);
    static const char *const states[] = {"S0", "S1", "SF", "-", "OTH"};

    if (r->proto == UDP)
        return r->server_packets == 0 ? "S0" : r->client_packets == 0 ? "SHR" : "SF";
    if (r->proto != TCP)
        return "OTH";
    if ((w->fields & FC_FIELD_TCP_FLAGS) && client >= 0 && server >= 0)
        return state_by_flags(r, client, server);
    return r->state < 0 ? "-" : states[r->state];
}

static char *write_seconds(char *p, int64_t ns)
{
    int64_t us = ns / 1000 - (ns % 1000 < 0), second = us / 1000000 - (us % 1000000 < 0);

    return p + sprintf(p, "%lld.%06d", (long long)second, (int)(us - second * 1000000));
}

static char *write_maybe(char *p, int64_t number)
{
    return number < 0 ? stpcpy(p, "-") : fc_text_number(p, (uint64_t)number);
}

static char *write_end(char *p, const struct fc_session *r, bool server)
{
    int port = server ? r->server_port : r->client_port;

    *p++ = '\t';
    p = fc_text_addr(p, r->kind, server ? r->server_addr : r->client_addr);
    *p++ = '\t';
    return fc_text_number(p, port < 0 ? 0 : (uint64_t)port);
}

void fc_zeek_write(struct fc_rows *w, const struct fc_session *r)
{
    char line[512], *p = line;
    uint64_t packets = r->client_packets + r->server_packets;
    bool payload = w->fields & FC_FIELD_PAYLOAD;

    if (r->kind != FC_ADDR_IPV4 && r->kind != FC_ADDR_IPV6)
        return;
    if (r->proto > 255) /* ARP has addresses, too */
        return;
    p = r->has_time ? write_seconds(p, r->start_ns) : stpcpy(p, "-");
    p += sprintf(p, "\t%lld", (long long)r->id);
    p = write_end(p, r, false);
    p = write_end(p, r, true);
    p = stpcpy(p, r->proto == TCP                         ? "\ttcp\t-\t"
                  : r->proto == UDP                       ? "\tudp\t-\t"
                  : r->proto == ICMP || r->proto == ICMP6 ? "\ticmp\t-\t"
                                                          : "\tunknown_transport\t-\t");
    p = r->has_time && packets > 1 ? write_seconds(p, r->end_ns - r->start_ns) : stpcpy(p, "-");
    *p++ = '\t';
    p = write_maybe(p, payload ? of_side(r->client_payload, r->client_packets) : -1);
    *p++ = '\t';
    p = write_maybe(p, payload ? of_side(r->server_payload, r->server_packets) : -1);
    p += sprintf(p, "\t%s\t-\t-\t-\t-\t", state_of(w, r));
    p = fc_text_number(p, r->client_packets);
    p = stpcpy(p, "\t-\t");
    p = fc_text_number(p, r->server_packets);
    p = stpcpy(p, "\t-\t-");
    if (w->fields & FC_FIELD_SENSOR) {
        fc_out_escaped(w->out, FC_ROWS_TSV, r->sensor);
        fc_out_text(w->out, "\t");
    }
    fc_out_bytes(w->out, line, (size_t)(p - line));
    if (w->fields & FC_FIELD_COMMUNITY_ID) {
        fc_out_text(w->out, "\t");
        fc_out_escaped(w->out, FC_ROWS_TSV, r->community_id ? r->community_id : "-");
    }
    fc_out_text(w->out, "\n");
}
