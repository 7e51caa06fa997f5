/* SPDX-License-Identifier: MIT */
#include "cli/packets_format.h"
#include "cli/cli.h"
#include "cli/dump.h"
#include "cli/packets_tree.h"
#include "cli/table_cell.h"

#include <flowcarve/text.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum column {
    NO_COLUMN,
    TIME,
    TIME_NS,
    DELTA,
    SESSION,
    DIRECTION,
    SRC,
    SRC_ADDR,
    SRC_PORT,
    DST,
    DST_ADDR,
    DST_PORT,
    PROTO,
    TCP_FLAGS,
    SEQ,
    ACK,
    PAYLOAD,
    TTL,
    VLAN,
    CAPLEN,
    ORIGLEN,
    FILE_ID,
    OFFSET,
    SEQ_RAW,
    ACK_RAW,
    DSCP,
    SRC_MAC,
    DST_MAC,
    MPLS,
    TUNNEL,
    COMMUNITY_ID,
    PATH,
    NUMBER,
    DATA,
    COLUMNS
};

static const struct fc_grid_column all_columns[COLUMNS] = {
    [TIME] = {"time", "TIME", false, true, 0},
    [TIME_NS] = {"time_ns", "TIME-NS", true, false, 0},
    [DELTA] = {"delta", "DELTA", true, false, 4},
    [SESSION] = {"session", "SESSION", true, false, 1},
    [DIRECTION] = {"direction", "FROM", false, true, 2},
    [SRC] = {"src", "SOURCE", false, true, 0},
    [SRC_ADDR] = {"src_addr", "SOURCE", false, true, 0},
    [SRC_PORT] = {"src_port", "PORT", true, false, 0},
    [DST] = {"dst", "DESTINATION", false, true, 0},
    [DST_ADDR] = {"dst_addr", "DESTINATION", false, true, 0},
    [DST_PORT] = {"dst_port", "PORT", true, false, 0},
    [PROTO] = {"proto", "PROTO", false, true, 6},
    [TCP_FLAGS] = {"tcp_flags", "FLAGS", false, true, 1},
    [SEQ] = {"seq", "SEQ", true, false, 3},
    [ACK] = {"ack", "ACK", true, false, 5},
    [PAYLOAD] = {"payload", "LEN", true, false, 1},
    [TTL] = {"ttl", "TTL", true, false, 7},
    [VLAN] = {"vlan", "VLAN", false, true, 9},
    [CAPLEN] = {"caplen", "CAPLEN", true, false, 0},
    [ORIGLEN] = {"origlen", "ORIGLEN", true, false, 0},
    [FILE_ID] = {"file", "FILE", true, false, 0},
    [OFFSET] = {"offset", "OFFSET", true, false, 0},
    [SEQ_RAW] = {"seq_raw", "SEQ-RAW", true, false, 0},
    [ACK_RAW] = {"ack_raw", "ACK-RAW", true, false, 0},
    [DSCP] = {"dscp", "DSCP", true, false, 0},
    [SRC_MAC] = {"src_mac", "SOURCE-MAC", false, true, 0},
    [DST_MAC] = {"dst_mac", "DESTINATION-MAC", false, true, 0},
    [MPLS] = {"mpls", "MPLS", false, true, 0},
    [TUNNEL] = {"tunnel", "TUNNEL", false, true, 0},
    [COMMUNITY_ID] = {"community_id", "COMMUNITY-ID", false, true, 0},
    [PATH] = {"path", "PATH", false, true, 0},
    [NUMBER] = {"number", "NUMBER", true, false, 0},
    [DATA] = {"data", "DATA", false, true, 0},
};

/*
 * Words of --fields in the order of "all" (also: as `index` calls it), the columns of each, and what is decoded for it
 * beside the key.
 */
static const struct word {
    const char *name, *also;
    uint32_t want;
    uint8_t columns[2]; /* for programs, */
    uint8_t table;      /* and for people, where that is another one */
} words[] = {
    {"time", NULL, 0, {TIME, TIME_NS}, TIME},
    {"delta", NULL, 0, {DELTA}, 0},
    {"session", NULL, 0, {SESSION}, 0},
    {"direction", NULL, 0, {DIRECTION}, 0},
    {"src", NULL, 0, {SRC_ADDR, SRC_PORT}, SRC},
    {"dst", NULL, 0, {DST_ADDR, DST_PORT}, DST},
    {"proto", NULL, 0, {PROTO}, 0},
    {"tcp-flags", NULL, FC_WANT_TCP, {TCP_FLAGS}, 0},
    {"seq", "isn", FC_WANT_TCP, {SEQ, ACK}, 0},
    {"payload", NULL, FC_WANT_PAYLOAD, {PAYLOAD}, 0},
    {"ttl", NULL, FC_WANT_TTL, {TTL}, 0},
    {"vlan", NULL, FC_WANT_VLAN, {VLAN}, 0},
    {"caplen", NULL, 0, {CAPLEN}, 0},
    {"origlen", NULL, 0, {ORIGLEN}, 0},
    {"file", NULL, 0, {FILE_ID}, 0},
    {"offset", NULL, 0, {OFFSET}, 0},
    {"seq-raw", NULL, FC_WANT_TCP, {SEQ_RAW, ACK_RAW}, 0},
    {"dscp", NULL, FC_WANT_DSCP, {DSCP}, 0},
    {"mac", NULL, FC_WANT_MAC, {SRC_MAC, DST_MAC}, 0},
    {"mpls", NULL, FC_WANT_MPLS, {MPLS}, 0},
    {"tunnel", NULL, FC_WANT_TUNNEL, {TUNNEL}, 0},
    {"community-id", NULL, 0, {COMMUNITY_ID}, 0},
    {"path", NULL, 0, {PATH}, 0},
    {"number", NULL, 0, {NUMBER}, 0},
};
enum { WORDS = sizeof words / sizeof words[0], FOR_PEOPLE = 12, FOR_PROGRAMS = 16 };

/* ---------------------------------------------------------------- what is asked for */

static void add_column(struct fc_packet_columns *c, uint8_t column)
{
    c->column[c->count] = column;
    c->titles[c->count] = all_columns[column];
    if (c->chosen)
        c->titles[c->count].spare = 0;
    if (column == TIME)
        c->titles[c->count].title = c->time_title;
    c->count++;
}

static void add_word(struct fc_packet_columns *c, const struct word *word)
{
    bool other = c->format == FC_ROWS_TABLE && word->table;

    c->fields |= word->want;
    c->number |= word->columns[0] == NUMBER;
    add_column(c, other ? word->table : word->columns[0]);
    if (!other && word->columns[1])
        add_column(c, word->columns[1]);
}

static bool fail_word(const char *name, size_t len)
{
    char list[320];
    size_t used = 0;

    for (int i = 0; i < WORDS; i++)
        used += (size_t)snprintf(list + used, sizeof list - used, "%s, ", words[i].name);
    fc_complain("packets: no field '%.*s'; --fields are of %sor all", (int)len, name, list);
    return false;
}

static bool is_word(const char *word, const char *text, size_t len)
{
    return word && strlen(word) == len && memcmp(word, text, len) == 0;
}

static bool read_words(struct fc_packet_columns *c, const char *list)
{
    uint32_t seen = 0;

    do {
        size_t len = strcspn(list, ",");
        int i = 0;

        while (i < WORDS && !is_word(words[i].name, list, len) && !is_word(words[i].also, list, len))
            i++;
        if (i == WORDS)
            return fail_word(list, len);
        if (seen & 1u << i) {
            fc_complain("packets: field '%s' comes twice", words[i].name); /* an object has a key once */
            return false;
        }
        seen |= 1u << i;
        add_word(c, &words[i]);
        list += len;
    } while (*list++ == ',');
    return true;
}

/* "2013-05-02 UTC": where there is little room, Berlin is enough of Europe/Berlin. */
static void title_time(struct fc_packet_columns *c)
{
    const char *zone = fc_zone_name(c->zone), *city = strrchr(zone, '/');

    snprintf(c->time_title, sizeof c->time_title, "%s %s", *c->day ? c->day : "TIME", city ? city + 1 : zone);
}

bool fc_packet_columns_init(struct fc_packet_columns *c, const struct fc_packet_columns_options *o)
{
    const char *list = o->list;
    bool all = list && strcmp(list, "all") == 0;
    int usual = all ? (int)WORDS : o->format == FC_ROWS_TABLE ? FOR_PEOPLE : FOR_PROGRAMS;

    *c = (struct fc_packet_columns){
        .hex = o->hex, .tree = o->tree, .format = o->format, .zone = o->zone, .chosen = list != NULL};
    title_time(c);
    if (list && !all && !read_words(c, list))
        return false;
    for (int i = 0; (!list || all) && i < usual; i++)
        add_word(c, &words[i]);
    if (o->hex && o->format == FC_ROWS_JSON)
        add_column(c, DATA);
    return true;
}

void fc_packet_columns_one_session(struct fc_packet_columns *c)
{
    unsigned kept = 0;

    for (unsigned i = 0; i < c->count; i++) {
        uint8_t column = c->column[i];
        if (!c->chosen && c->format == FC_ROWS_TABLE && (column == SRC || column == DST || column == PROTO))
            continue;
        c->column[kept] = column;
        c->titles[kept] = c->titles[i];
        c->titles[kept++].spare += column == SESSION && !c->chosen ? 7 : 0;
    }
    c->count = kept;
}

void fc_packet_columns_fini(struct fc_packet_columns *c)
{
    free(c->base64);
    c->base64 = NULL;
}

/* ---------------------------------------------------------------- texts */

static char *signed_text(char *p, int64_t number)
{
    if (number < 0)
        *p++ = '-';
    return fc_text_number(p, number < 0 ? -(uint64_t)number : (uint64_t)number);
}

/* "0.019668"; "-0.000001" where a capture's times run backwards. */
static char *delta_text(char *p, int64_t ns, bool table)
{
    uint64_t positive = ns < 0 ? -(uint64_t)ns : (uint64_t)ns;

    if (table)
        positive = (positive + 500) / 1000 * 1000;
    if (ns < 0 && positive)
        *p++ = '-';
    p = fc_text_duration(p, positive > INT64_MAX ? INT64_MAX : (int64_t)positive);
    return table ? p - 3 : p;
}

/* Day and zone are in the title, unless it is another day. */
static char *time_text(struct fc_packet_columns *c, char *p, int64_t ns, bool titled)
{
    enum { DAY = 10 };

    if (c->format != FC_ROWS_TABLE)
        return (c->zone->local ? fc_text_local : fc_text_time)(p, ns);
    fc_cell_time(p, ns, 6, c->zone->local);
    if (!*c->day && !titled) {
        memcpy(c->day, p, DAY);
        c->day[DAY] = '\0';
        title_time(c);
    }
    if (strncmp(p, c->day, DAY) == 0)
        memmove(p, p + DAY + 1, strlen(p + DAY + 1) + 1);
    return p + strlen(p);
}

static char *flags_text(char *p, uint8_t flags)
{
    static const char letters[] = "FSRPAUEC";
    char *start = p;

    for (int i = 0; i < 8; i++)
        if (flags & 1u << i)
            *p++ = letters[i];
    return p == start ? stpcpy(p, "none") : p;
}

/* Of an end: its address, its port, or both as one writes them. ICMP's types are no ports to people. */
static char *end_text(char *p, enum column c, const struct fc_packet *packet)
{
    const struct fc_flow_key *key = &packet->key;
    int end = c >= DST ? !packet->dir : packet->dir;
    bool ports = fc_proto_has_ports(key->proto) && packet->frag != FC_FRAG_LATER;
    bool icmp = key->proto == 1 || key->proto == 58, brackets = key->addr_kind == FC_ADDR_IPV6 && ports && !icmp;

    if (c == SRC_PORT || c == DST_PORT)
        return ports ? fc_text_number(p, key->port[end]) : p;
    if (c == SRC_ADDR || c == DST_ADDR)
        return fc_text_addr(p, (int)key->addr_kind, key->addr[end]);
    if (key->addr_kind == FC_ADDR_NONE)
        return p;
    if (brackets)
        *p++ = '[';
    p = fc_text_addr(p, (int)key->addr_kind, key->addr[end]);
    if (brackets)
        *p++ = ']';
    if (!ports || icmp)
        return p;
    *p++ = ':';
    return fc_text_number(p, key->port[end]);
}

static char *list_text(char *p, unsigned count, const uint16_t *vlan, const uint32_t *mpls)
{
    for (unsigned i = 0; i < count; i++) {
        if (i)
            *p++ = ',';
        p = fc_text_number(p, vlan ? vlan[i] : mpls[i]);
    }
    return p;
}

/* What fields have; the byte behind the text, nothing when the packet has none. */
static char *field_text(char *p, enum column c, const struct fc_packet *k)
{
    switch (c) {
    case TCP_FLAGS:
        return k->got & FC_WANT_TCP ? flags_text(p, k->tcp_flags) : p;
    case SEQ_RAW:
        return k->got & FC_WANT_TCP ? fc_text_number(p, k->tcp_seq) : p;
    case ACK_RAW:
        return k->got & FC_WANT_TCP && k->tcp_flags & FC_TCP_ACK ? fc_text_number(p, k->tcp_ack) : p;
    case PAYLOAD:
        return k->got & FC_WANT_PAYLOAD ? fc_text_number(p, k->payload_bytes) : p;
    case TTL:
        return k->got & FC_WANT_TTL ? fc_text_number(p, k->ttl) : p;
    case DSCP:
        return k->got & FC_WANT_DSCP ? fc_text_number(p, k->dscp) : p;
    case VLAN:
        return k->got & FC_WANT_VLAN ? list_text(p, k->vlan_count, k->vlan, NULL) : p;
    case MPLS:
        return k->got & FC_WANT_MPLS ? list_text(p, k->mpls_count, NULL, k->mpls) : p;
    case TUNNEL:
        return k->got & FC_WANT_TUNNEL ? p + fc_tunnel_text(k->tunnel, k->tunnel_count, p, FC_TUNNEL_TEXT) : p;
    case SRC_MAC:
    case DST_MAC:
        return k->got & FC_WANT_MAC ? fc_text_addr(p, FC_ADDR_MAC, k->mac[c == DST_MAC]) : p;
    case COMMUNITY_ID:
        return fc_community_id(&k->key, p) ? p + strlen(p) : p;
    default:
        return end_text(p, c, k);
    }
}

static const char *base64_text(struct fc_packet_columns *c, const struct fc_record *rec)
{
    size_t need = ((size_t)rec->caplen + 2) / 3 * 4 + 1;
    char *p;

    if (need > c->base64_room) {
        free(c->base64);
        c->base64_room = (c->base64 = malloc(need)) ? need : 0;
    }
    if (!(p = c->base64))
        return NULL;
    for (uint32_t i = 0; i < rec->caplen; i += 3, p += 4)
        fc_dump_base64(p, rec->data + i, rec->caplen - i);
    *p = '\0';
    return c->base64;
}

static char *line_text(struct fc_packet_columns *c, char *p, enum column column, const struct fc_packet_line *line,
                       bool titled)
{
    const struct fc_session_packet *s = line->packet;
    const struct fc_record *rec = &s->record;

    switch (column) {
    case TIME:
        return rec->ts_ns != FC_TIME_NONE ? time_text(c, p, rec->ts_ns, titled) : p;
    case TIME_NS:
        return rec->ts_ns != FC_TIME_NONE ? signed_text(p, rec->ts_ns) : p;
    case DELTA:
        return line->has_delta ? delta_text(p, line->delta_ns, c->format == FC_ROWS_TABLE) : p;
    case SESSION:
        return signed_text(p, s->session);
    case DIRECTION:
        return s->from == FC_FROM_UNKNOWN ? p : stpcpy(p, s->from == FC_FROM_CLIENT ? "client" : "server");
    case PROTO:
        return fc_text_proto(p, s->packet.key.proto);
    case SEQ:
        return line->relative.has_seq ? fc_text_number(p, line->relative.seq) : p;
    case ACK:
        return line->relative.has_ack ? fc_text_number(p, line->relative.ack) : p;
    case CAPLEN:
        return fc_text_number(p, rec->caplen);
    case ORIGLEN:
        return fc_text_number(p, rec->origlen);
    case FILE_ID:
        return fc_text_number(p, s->file);
    case OFFSET:
        return fc_text_number(p, s->off);
    case NUMBER:
        return s->number ? fc_text_number(p, s->number) : p;
    default:
        return field_text(p, column, &s->packet);
    }
}

/* A row of a table with what stands under it. */
static int write_with_under(const struct fc_packet_columns *c, struct fc_grid *grid, const char *const *texts,
                            const struct fc_session_packet *packet)
{
    const struct fc_record *rec = &packet->record;
    struct fc_grid_under under = {.data = c->hex ? rec->data : NULL, .len = c->hex ? rec->caplen : 0};
    char *tree = c->tree ? fc_packet_tree(rec, grid->width) : NULL;

    under.text = tree;
    int rc = c->tree && !tree ? FC_E_NOMEM : fc_grid_row_under(grid, texts, &under);
    free(tree);
    return rc;
}

int fc_packet_columns_write(struct fc_packet_columns *c, struct fc_grid *grid, const struct fc_packet_line *line)
{
    const struct fc_record *rec = &line->packet->record;
    char buf[FC_GRID_COLUMNS][FC_CELL_MAX];
    const char *texts[FC_GRID_COLUMNS];

    for (unsigned i = 0; i < c->count; i++) {
        enum column column = c->column[i];
        texts[i] = column == PATH ? line->packet->path : column == DATA ? base64_text(c, rec) : buf[i];
        if (column == DATA && !texts[i])
            return FC_E_NOMEM;
        if (texts[i] != buf[i])
            continue;
        char *end = line_text(c, buf[i], column, line, grid->measured);
        *end = '\0';
        if (end == buf[i])
            texts[i] = NULL;
    }
    return c->format == FC_ROWS_TABLE ? write_with_under(c, grid, texts, line->packet) : fc_grid_row(grid, texts);
}
