/* SPDX-License-Identifier: MIT */
#include "cli/archive.h"
#include "cli/cli.h"
#include "cli/cmd_query.h"
#include "cli/filter_words.h"
#include "cli/id_list.h"
#include "cli/log_option.h"
#include "cli/look.h"
#include "cli/packets_format.h"
#include "cli/reading.h"
#include "cli/sandbox.h"
#include "cli/zone.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BOTH = -1 };

struct args {
    const char *db, *fields, *filter_file, *format_name;
    const char *iface; /* NULL: packets of an index */
    struct fc_id_list ids;
    int64_t limit; /* -1: all */
    int direction; /* enum fc_from, or BOTH */
    bool hex, tree, partial, quiet, verbose;
    struct fc_zone zone;
    struct fc_reading reading;
    struct fc_log_option log;
};

static int take_id(const char *command, void *args, const char *value)
{
    struct args *a = args;

    if (!fc_is_iface(value))
        return fc_take_ids(command, &a->ids, value);
    if (a->iface) {
        fc_complain("packets: one interface at a time; 'any' is all of them");
        return -1;
    }
    a->iface = value;
    return 0;
}

static const struct fc_option options[] = {
    FC_OPTION_DB(struct args),
    FC_OPTION_READ(struct args),
    FC_OPTION_NO_KEEP(struct args),
    {"id", 'i', "LIST",
     "sessions by their IDs: numbers and ranges as 1,5-30, @FILE, or - for standard input; or an interface: its "
     "packets as they come, and FILTER is one of pcap-filter",
     FC_TAKE_ALL(take_id)},
    {"fields", 0, "LIST",
     "the columns, and all that is decoded: time, delta, session, direction, src, dst, proto, tcp-flags, "
     "seq (or isn), payload, ttl, vlan, caplen, origlen, file, offset, seq-raw, dscp, mac, mpls, tunnel, "
     "community-id, path, number, or all",
     FC_WORD(struct args, fields)},
    {"format", 'f', "NAME", "table, json (an object a line), csv or tsv (default: table on a terminal, else tsv)",
     FC_WORD(struct args, format_name)},
    {"hex", 'x', NULL, "the bytes, too: under each line of a table, in base64 as \"data\" of json",
     FC_FLAG(struct args, hex)},
    {"tree", 0, NULL, "under each line of a table its layers, with the fields of their headers",
     FC_FLAG(struct args, tree)},
    {"limit", 'n', "N", "at most N packets", FC_TAKE(struct args, limit, fc_take_limit)},
    {"direction", 0, "NAME", "what client or server has sent, or both (default)",
     FC_TAKE(struct args, direction, fc_take_direction)},
    {"partial", 0, NULL, "go on when captures are missing or have changed", FC_FLAG(struct args, partial)},
    FC_OPTION_TZ(struct args),
    FC_OPTION_FILTER_FILE(struct args),
    FC_OPTION_FROM(struct args),
    FC_OPTION_SLACK(struct args),
    {"quiet", 'q', NULL, "errors only", FC_FLAG(struct args, quiet)},
    {"verbose", 'v', NULL, "also tell how many packets there were, and how many bytes were read for them",
     FC_FLAG(struct args, verbose)},
    {0},
};

static const struct fc_values values[] = {
    {"fields",
     "time delta session direction src dst proto tcp-flags seq isn payload ttl vlan caplen origlen file offset "
     "seq-raw dscp mac mpls tunnel community-id path number all"},
    {"format", "table json csv tsv"},
    {"direction", "client server both"},
    {0},
};

/* -1: there is no such format, or it is not one of packets, which is said. */
static int choose_format(const struct args *a)
{
    bool table = isatty(STDOUT_FILENO) || a->hex || a->tree;
    int format = a->format_name ? fc_row_format_by_name(a->format_name) : table ? FC_ROWS_TABLE : FC_ROWS_TSV;

    if (format == FC_ROWS_ZEEK)
        fc_complain("packets: a conn.log has a line a session, as 'flowcarve query -f zeek' writes it; formats are "
                    "table, json, csv, tsv");
    else if (format < 0)
        fc_complain("unknown format '%s'; formats are table, json, csv, tsv", a->format_name);
    else if (a->hex && format != FC_ROWS_TABLE && format != FC_ROWS_JSON)
        fc_complain("packets: --hex is for table and json");
    else if (a->tree && format != FC_ROWS_TABLE)
        fc_complain("packets: --tree is for table");
    else
        return format;
    return -1;
}

/* ---------------------------------------------------------------- output */

struct show {
    const struct args *a;
    struct fc_packet_columns *columns;
    struct fc_grid grid;
    struct fc_track *tracks; /* one a session */
    int64_t shown;
};

static int write_packet(struct show *s, const struct fc_session_packet *packet)
{
    struct fc_track *track = &s->tracks[packet->nth];
    struct fc_packet_line line = {.packet = packet};

    fc_track_packet(track, packet, &line.relative);
    if (s->a->direction != BOTH && packet->from != FC_FROM_UNKNOWN && (int)packet->from != s->a->direction)
        return 0;
    line.has_delta = fc_track_shown(track, packet->record.ts_ns, &line.delta_ns);
    s->shown++;
    return fc_packet_columns_write(s->columns, &s->grid, &line);
}

/* 0, or a code, after saying why. */
static int write_packets(struct show *s, struct fc_packets *packets)
{
    const struct fc_session_packet *packet;
    struct fc_error err;
    int rc = 0, written = 0;

    fc_grid_start(&s->grid);
    while ((s->a->limit < 0 || s->shown < s->a->limit) && !s->grid.out->failed && written == 0 &&
           (rc = fc_packets_next(packets, &packet, &err)) > 0)
        written = write_packet(s, packet);
    fc_grid_finish(&s->grid);
    if (written)
        fc_complain("out of memory");
    if (rc < 0) {
        fc_complain_error(&err);
        if (rc == FC_E_MISSING || rc == FC_E_CHANGED)
            fc_complain("--partial goes on with what the other captures hold");
    }
    return rc < 0 ? rc : written;
}

/* What is not there; and with -v what was. */
static void report(const struct args *a, struct fc_db *db, const struct fc_packets_result *r, int64_t shown)
{
    char b[3][48], text[FC_ERROR_TEXT_MAX];

    for (size_t i = 0; i < r->why_count; i++)
        fc_complain("warning: %s; left out", fc_error_text(&r->why[i], text, sizeof text));
    if (a->quiet)
        return;
    if (r->forgotten)
        fc_complain("warning: %s of what matches forgotten%s",
                    fc_human_things(r->forgotten, "packet", b[0], sizeof b[0]),
                    fc_gone_since(r->forgotten_ns, text, sizeof text));
    if (!r->sessions && !(a->ids.given && fc_id_list_tell_missing(&a->ids, db, "no session matches; ")))
        fc_complain("no session matches");
    if (r->sessions && a->ids.given && r->sessions < fc_id_list_ids(&a->ids))
        fc_id_list_tell_missing(&a->ids, db, "warning: ");
    if (r->sessions && !shown && a->limit != 0)
        fc_complain(a->direction == BOTH ? "no packets" : "no packets in this direction");
    if (!a->verbose)
        return;
    fprintf(
        stderr, "%s; %s matched; %s read from captures", fc_human_things((uint64_t)shown, "packet", b[0], sizeof b[0]),
        fc_human_things(r->sessions, "session", b[1], sizeof b[1]), fc_human_bytes(r->bytes_read, b[2], sizeof b[2]));
    if (r->bytes_decoded)
        fprintf(stderr, ", %s decompressed", fc_human_bytes(r->bytes_decoded, b[2], sizeof b[2]));
    fputc('\n', stderr);
}

/* False without memory, which is said; end_show() in any case. */
static bool begin_show(struct show *s, const struct args *a, struct fc_packet_columns *columns, uint64_t sessions)
{
    struct fc_out *out = calloc(1, sizeof *out);

    *s = (struct show){.a = a, .columns = columns, .tracks = calloc(sessions + 1, sizeof *s->tracks)};
    if (sessions < 2)
        fc_packet_columns_one_session(columns);
    s->grid = (struct fc_grid){.out = out,
                               .format = columns->format,
                               .color = isatty(STDOUT_FILENO) && !getenv("NO_COLOR"),
                               .width = fc_terminal_width(),
                               .column = columns->titles,
                               .columns = columns->count};
    if (out)
        out->fd = STDOUT_FILENO;
    if (!out || !s->tracks)
        fc_complain("out of memory");
    return out && s->tracks;
}

static void end_show(struct show *s)
{
    free(s->tracks);
    free(s->grid.out);
}

static int show_packets(const struct args *a, struct fc_db *db, struct fc_packets *packets,
                        struct fc_packet_columns *columns)
{
    struct fc_packets_result result;
    struct show show;
    int status = FC_EXIT_ERROR;

    fc_packets_result(packets, &result);
    if (begin_show(&show, a, columns, result.sessions)) {
        int rc = write_packets(&show, packets);
        status = fc_rows_end(show.grid.out, show.shown);
        fc_packets_result(packets, &result);
        if (rc == 0 && status != FC_EXIT_ERROR)
            report(a, db, &result, show.shown);
        if (rc)
            status = FC_EXIT_ERROR;
    }
    end_show(&show);
    return status;
}

static int open_packets(const struct args *a, struct fc_db *db, const struct fc_filter *filter,
                        struct fc_packet_columns *columns)
{
    struct fc_packets_options o = {
        .partial = a->partial, .numbers = columns->number, .fields = columns->fields, .stop = &fc_stop};
    struct fc_packets *packets;
    struct fc_error err;

    if (fc_packets_open(db, filter, &o, &packets, &err)) {
        fc_complain_error(&err);
        if (err.code == FC_E_MISSING || err.code == FC_E_CHANGED)
            fc_complain("--partial goes on with what the other captures hold");
        return FC_EXIT_ERROR;
    }
    int status = show_packets(a, db, packets, columns);
    fc_packets_close(packets);
    return status;
}

static int packets_text(struct args *a, const char *text, struct fc_packet_columns *columns)
{
    struct fc_filter *filter = NULL;
    struct fc_db *db = NULL;
    int status = FC_EXIT_ERROR;

    bool begun = fc_query_begin(text, &a->zone, a->db, &filter, &db);
    if (begun && a->ids.given && fc_filter_narrow(filter, a->ids.items, a->ids.count) != 0) {
        fc_complain("out of memory");
    } else if (begun && (!a->log.path || fc_log_option_narrow(&a->log, "packets", a->quiet, db, filter))) {
        fc_catch_signals();
        fc_sandbox_enter_beside(a->db, NULL, fc_archive_needs(db));
        status = open_packets(a, db, filter, columns);
        if (!a->quiet)
            fc_log_option_report(&a->log);
    }
    fc_db_close(db);
    fc_filter_free(filter);
    return status;
}

/* ---------------------------------------------------------------- of an interface */

/* Prints packets until there are enough, or the user has. 0, or a code, after saying why. */
static int write_arriving(struct show *s, struct fc_look *look)
{
    int64_t *owner = calloc(FC_LOOK_FLOWS, sizeof *owner); /* of each track */
    const struct fc_session_packet *packet;
    struct fc_error err;
    int rc = 0, written = owner ? 0 : FC_E_NOMEM;

    fc_grid_start(&s->grid);
    while ((s->a->limit < 0 || s->shown < s->a->limit) && !s->grid.out->failed && written == 0 &&
           (rc = fc_look_next(look, &packet, &err)) > 0) {
        if (rc == FC_LOOK_QUIET) {
            fc_grid_release(&s->grid);
            fc_out_flush(s->grid.out);
            continue;
        }
        if (owner[packet->nth] != packet->session)
            s->tracks[packet->nth] = (struct fc_track){0};
        owner[packet->nth] = packet->session;
        written = write_packet(s, packet);
    }
    fc_grid_finish(&s->grid);
    free(owner);
    if (written)
        fc_complain("out of memory");
    if (rc < 0)
        fc_complain_error(&err);
    return rc < 0 ? rc : written;
}

static int look_at(const struct args *a, const char *filter, struct fc_packet_columns *columns)
{
    struct fc_look *look = fc_look_begin("packets", a->iface, filter, columns->fields, a->quiet);
    int status = FC_EXIT_ERROR;
    struct show show;

    if (!look)
        return status;
    fc_sandbox_enter(NULL, 0, 0);
    if (begin_show(&show, a, columns, FC_LOOK_FLOWS)) {
        int rc = write_arriving(&show, look);
        status = fc_rows_end(show.grid.out, 1);
        if (rc)
            status = FC_EXIT_ERROR;
        fc_look_end(look, a->quiet);
    }
    end_show(&show);
    fc_look_close(look);
    return status;
}

static int packets_words(struct args *a, int argc, char **argv, int first)
{
    struct fc_packet_columns columns = {0};
    int status = FC_EXIT_ERROR, format = choose_format(a);
    struct fc_packet_columns_options o = {
        .list = a->fields, .format = (enum fc_row_format)format, .hex = a->hex, .tree = a->tree, .zone = &a->zone};

    if (format < 0 || !fc_packet_columns_init(&columns, &o))
        return FC_EXIT_ERROR;
    if (!fc_log_option_alone(&a->log, "packets", a->filter_file, a->ids.standard)) {
        fc_packet_columns_fini(&columns);
        return FC_EXIT_ERROR;
    }
    char *words = fc_filter_words("packets", a->filter_file, argc - first, argv + first);
    if (words && a->iface) {
        bool index = a->db || a->reading.count || a->reading.no_keep || a->log.path || a->partial || a->ids.given;
        if (index)
            fc_complain("packets: --id takes IDs as 1,5-30, @FILE or -; or an interface, whose packets come without an "
                        "index: not '%s' with --db, --read, --from, --partial or IDs",
                        a->iface);
        else
            status = look_at(a, words, &columns);
    } else if (words) {
        fc_id_list_sort(&a->ids);
        a->db = fc_reading_db(&a->reading, "packets", a->db, words, &a->zone, 0, a->quiet);
        fc_lift_descriptors(); /* captures that overlap in time are open at once */
        if (a->db)
            status = packets_text(a, words, &columns);
        status = fc_reading_end(&a->reading, status);
    }
    free(words);
    fc_packet_columns_fini(&columns);
    return status;
}

static int run(int argc, char **argv)
{
    struct args a = {.limit = -1, .direction = BOTH};
    int first, rc = fc_options_parse(&fc_command_packets, argc, argv, &a, &first);

    if (rc < 0)
        rc = packets_words(&a, argc, argv, first);
    fc_id_list_fini(&a.ids);
    fc_log_option_close(&a.log);
    return rc;
}

const struct fc_command fc_command_packets = {
    .name = "packets",
    .usage = "[OPTION...] [FILTER]",
    .summary = "list the packets of chosen sessions",
    .details =
        "All packets of the sessions that match, in the order of time. FILTER is that of 'flowcarve query'; without "
        "one, those of every session.\n"
        "delta is seconds since the first packet shown of its session. Sequence numbers count from that of the SYN, "
        "or of the first segment, as in Wireshark. payload is the bytes above layer 4. number is the record's in its "
        "capture, for which all records in front of it are read.\n"
        "With -i INTERFACE packets are printed as they come, until Ctrl-C or --limit; FILTER is one of pcap-filter(7) "
        "then, a session is a flow since the start, and nothing is kept.\n",
    .options = options,
    .values = values,
    .run = run,
};
