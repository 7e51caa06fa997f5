/* SPDX-License-Identifier: MIT */
#include "cli/cmd_follow.h"
#include "cli/archive.h"
#include "cli/cmd_query.h"
#include "cli/filter_words.h"
#include "cli/follow_files.h"
#include "cli/look.h"
#include "cli/sandbox.h"
#include "cli/target.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* What was written, and what was not there. */
struct sums {
    uint64_t bytes[FC_FROM_UNKNOWN + 1];
    uint64_t gaps, gap_bytes;
};

enum { GAPS_TOLD = 10 };

/* A gap is seen where it is in text; of raw bytes it is told. */
static void count_gap(const struct fc_follow_args *a, struct sums *sums, const struct fc_piece *piece)
{
    char gap[96];

    sums->gaps++;
    sums->gap_bytes += piece->len;
    if (a->format == FC_FOLLOW_RAW && !a->quiet && sums->gaps <= GAPS_TOLD)
        fc_complain("warning: %s: %s behind %llu bytes; left out", fc_follow_from(piece->from),
                    fc_follow_gap(piece, gap, sizeof gap), (unsigned long long)piece->at);
}

static void report(const struct fc_follow_args *a, const struct sums *sums, const struct fc_packets_result *r)
{
    char b[2][48], text[FC_ERROR_TEXT_MAX];
    uint64_t all = sums->bytes[0] + sums->bytes[1] + sums->bytes[2];

    for (size_t i = 0; i < r->why_count; i++)
        fc_complain("warning: %s; left out", fc_error_text(&r->why[i], text, sizeof text));
    if (a->quiet)
        return;
    if (a->format == FC_FOLLOW_RAW && sums->gaps > GAPS_TOLD)
        fc_complain("warning: and %s more", fc_human_things(sums->gaps - GAPS_TOLD, "gap", b[0], sizeof b[0]));
    if (r->forgotten)
        fc_complain("warning: %s of the session forgotten%s",
                    fc_human_things(r->forgotten, "packet", b[0], sizeof b[0]),
                    fc_gone_since(r->forgotten_ns, text, sizeof text));
    if (!all && !sums->gaps)
        fc_complain(a->direction == FC_FOLLOW_BOTH ? "no payload" : "no payload in this direction");
    if (a->verbose && a->direction != FC_FROM_SERVER)
        fprintf(stderr, "%s from the client\n",
                fc_human_things(sums->bytes[FC_FROM_CLIENT], "byte", b[0], sizeof b[0]));
    if (a->verbose && a->direction != FC_FROM_CLIENT)
        fprintf(stderr, "%s from the server\n",
                fc_human_things(sums->bytes[FC_FROM_SERVER], "byte", b[0], sizeof b[0]));
    if (a->verbose && sums->bytes[FC_FROM_UNKNOWN])
        fprintf(stderr, "%s from one of two ends that are the same\n",
                fc_human_things(sums->bytes[FC_FROM_UNKNOWN], "byte", b[0], sizeof b[0]));
    if (a->verbose && sums->gaps)
        fprintf(stderr, "%s, %s\n", fc_human_things(sums->gaps, "gap", b[0], sizeof b[0]),
                fc_human_things(sums->gap_bytes, "byte", b[1], sizeof b[1]));
}

static int flush(struct fc_out *out, struct fc_error *err)
{
    if (fc_out_flush(out) == 0)
        return 0;
    memset(err, 0, sizeof *err);
    err->code = out->failed == EPIPE ? FC_E_PIPE : FC_E_IO;
    err->off = FC_NO_OFFSET;
    snprintf(err->cause, sizeof err->cause, "cannot write: %s", strerror(out->failed));
    return err->code;
}

struct pieces {
    struct fc_follow *follow;
    struct fc_follow_text *text;
};

/* All pieces to text->out. 0, or a code. */
static int write_pieces(const struct fc_follow_args *a, void *ctx, struct fc_error *err)
{
    struct fc_follow *follow = ((struct pieces *)ctx)->follow;
    struct fc_follow_text *text = ((struct pieces *)ctx)->text;
    const struct fc_piece *piece;
    struct fc_packets_result result;
    struct sums sums = {0};
    int rc = 0;

    while (!text->out->failed && (rc = fc_follow_next(follow, &piece, err)) > 0) {
        if (a->direction != FC_FOLLOW_BOTH && piece->from != FC_FROM_UNKNOWN && (int)piece->from != a->direction)
            continue;
        if (piece->kind == FC_PIECE_DATA)
            sums.bytes[piece->from] += piece->len;
        else
            count_gap(a, &sums, piece);
        fc_follow_write(text, piece);
    }
    fc_follow_finish(text);
    if (rc < 0 || (rc = flush(text->out, err)))
        return rc;
    fc_follow_result(follow, &result);
    report(a, &sums, &result);
    return 0;
}

/*
 * Does `write(ctx, out, err)`, which gives 0 or a code, into where the output goes. needs: FC_NEED_*. 0 or
 * FC_EXIT_ERROR.
 */
static int write_to(const struct fc_follow_args *a, struct fc_out *out, unsigned needs, void *ctx,
                    int (*write)(const struct fc_follow_args *a, void *ctx, struct fc_error *err))
{
    struct fc_target target;
    struct fc_error err;
    int rc = fc_target_open(&target, a->path ? a->path : "-", &a->rights, &err);

    if (rc == 0) {
        fc_sandbox_enter_beside(a->db, target.file.place, needs);
        out->fd = target.fd;
        rc = write(a, ctx, &err);
    }
    if (rc == 0 && (rc = flush(out, &err)) == 0 && (rc = fc_target_finish(&target, &err)) == 0)
        return FC_EXIT_OK;
    fc_target_abandon(&target);
    if (rc == FC_E_PIPE) /* whoever reads has seen enough */
        return FC_EXIT_OK;
    if (rc == FC_E_IO && !err.file[0]) /* every other file is named */
        snprintf(err.file, sizeof err.file, "%s", !a->path || strcmp(a->path, "-") == 0 ? "standard output" : a->path);
    fc_complain_error(&err);
    if (rc == FC_E_MISSING || rc == FC_E_CHANGED)
        fc_complain("--partial goes on with what the other captures hold");
    return FC_EXIT_ERROR;
}

static bool to_terminal(const struct fc_follow_args *a)
{
    return (!a->path || strcmp(a->path, "-") == 0) && isatty(STDOUT_FILENO);
}

/* "10.0.0.6:44150" */
static void write_end(char *buf, size_t size, const struct fc_session *s, bool server)
{
    char addr[FC_TEXT_MAX];
    int port = server ? s->server_port : s->client_port;

    *fc_text_addr(addr, s->kind, server ? s->server_addr : s->client_addr) = '\0';
    if (port < 0)
        snprintf(buf, size, "%s", addr);
    else
        snprintf(buf, size, s->kind == FC_ADDR_IPV6 ? "[%s]:%d" : "%s:%d", addr, port);
}

/* Writes the one session, whose row is at hand until then. */
static int follow_session(const struct fc_follow_args *a, struct fc_db *db, const struct fc_filter *filter,
                          const struct fc_session *session)
{
    struct fc_follow_options o = a->o;
    struct fc_follow_text text = {.format = (enum fc_follow_format)a->format,
                                  .local = a->zone.local,
                                  .marks = a->direction == FC_FOLLOW_BOTH,
                                  .datagrams = session->proto != 6,
                                  .last = -1};
    struct fc_follow *follow;
    struct fc_error err;
    int status = FC_EXIT_ERROR;

    text.color = to_terminal(a) && !getenv("NO_COLOR");
    for (int end = 0; end < 2; end++)
        write_end(text.ends[end], sizeof text.ends[end], session, end);
    o.avoid = a->path && strcmp(a->path, "-") != 0 ? a->path : NULL;
    o.stop = &fc_stop;
    if (fc_follow_open(db, filter, &o, &follow, &err)) {
        fc_complain_error(&err);
        if (err.code == FC_E_MISSING || err.code == FC_E_CHANGED)
            fc_complain("--partial goes on with what the other captures hold");
        return FC_EXIT_ERROR;
    }
    if ((text.out = calloc(1, sizeof *text.out)))
        status = write_to(a, text.out, fc_archive_needs(db), &(struct pieces){follow, &text}, write_pieces);
    else
        fc_complain("out of memory");
    free(text.out);
    fc_follow_close(follow);
    return status;
}

/* Is there exactly one? 1 and *session; 0: none, -1: several or an error; both are told. */
static int find_session(const struct fc_follow_args *a, struct fc_db *db, const struct fc_filter *filter,
                        struct fc_session *session)
{
    struct fc_query_options o = {.limit = 2};
    struct fc_query *query;
    struct fc_session second;
    struct fc_error err;
    char b[48];
    int rc = fc_query_open(db, filter, &o, &query, &err), more = 0;

    if (rc == 0) {
        rc = fc_query_next(query, session, &err);
        if (rc > 0)
            more = fc_query_next(query, &second, &err);
        fc_query_close(query);
    }
    if (rc < 0 || more < 0) {
        fc_complain_error(&err);
        return -1;
    }
    if (rc == 0 && !a->quiet)
        fc_complain("no session matches");
    if (!more)
        return rc;
    int64_t count = fc_query_count(db, filter, &err);
    fc_complain("follow: %s match, one can be followed; 'flowcarve query' lists them, --id takes one",
                fc_human_things(count > 2 ? (uint64_t)count : 2, "session", b, sizeof b));
    return -1;
}

/* ---- what matches */

struct matches {
    struct fc_db *db;
    const struct fc_filter *filter;
    struct fc_out *out;
    struct fc_follow_grep_result result;
};

static int write_matches(const struct fc_follow_args *a, void *ctx, struct fc_error *err)
{
    struct matches *m = ctx;
    struct fc_follow_grep o = {.direction = a->direction,
                               .json = a->format == FC_FOLLOW_JSON,
                               .color = to_terminal(a) && !getenv("NO_COLOR"),
                               .local = a->zone.local,
                               .follow = a->o};

    o.follow.avoid = a->path && strcmp(a->path, "-") != 0 ? a->path : NULL;
    o.follow.stop = &fc_stop;
    return fc_follow_grep(a->grep, m->db, m->filter, &o, m->out, &m->result, err);
}

static void report_matches(const struct fc_follow_args *a, const struct fc_follow_grep_result *r)
{
    char since[80];
    char b[3][48];

    if (r->given_up)
        fc_complain("%s not searched to the end: the expression takes too many steps on them",
                    fc_human_things(r->given_up, "line", b[0], sizeof b[0]));
    if (a->quiet)
        return;
    if (r->gaps)
        fc_complain("warning: %s, %s, not searched", fc_human_things(r->gaps, "gap", b[0], sizeof b[0]),
                    fc_human_things(r->gap_bytes, "byte", b[1], sizeof b[1]));
    if (r->forgotten)
        fc_complain("warning: %s forgotten, not searched%s", fc_human_things(r->forgotten, "packet", b[0], sizeof b[0]),
                    fc_gone_since(r->forgotten_ns, since, sizeof since));
    if (!r->sessions)
        fc_complain("no session matches");
    else if (!r->lines || a->verbose)
        fprintf(stderr, "%s in %s match\n",
                r->lines ? fc_human_things(r->lines, "line", b[0], sizeof b[0]) : "no lines",
                fc_human_things(r->sessions, "session", b[1], sizeof b[1]));
}

static int grep_sessions(const struct fc_follow_args *a, struct fc_db *db, const struct fc_filter *filter)
{
    struct matches m = {.db = db, .filter = filter, .out = calloc(1, sizeof *m.out)};
    int status = FC_EXIT_ERROR;

    if (m.out)
        status = write_to(a, m.out, fc_archive_needs(db), &m, write_matches);
    else
        fc_complain("out of memory");
    if (status == FC_EXIT_OK) {
        report_matches(a, &m.result);
        status = m.result.given_up ? FC_EXIT_ERROR : m.result.lines ? FC_EXIT_OK : FC_EXIT_NONE;
    }
    free(m.out);
    return status;
}

/* ---- files */

/* A file for each end of each session. */
static int follow_to_files(const struct fc_follow_args *a, struct fc_db *db, const struct fc_filter *filter)
{
    struct fc_follow_files_result r = {0};
    char b[3][48], *index = fc_sandbox_folder(a->db);
    struct fc_error err;
    struct fc_bar bar;
    int rc = fc_new_folder(a->folder, &a->rights, &err);

    if (rc == 0)
        fc_sandbox_enter((const char *const[]){index, a->folder}, 2, fc_archive_needs(db));
    free(index);
    fc_bar_init(&bar, a->quiet, a->verbose);
    struct fc_follow_files o = {.folder = a->folder,
                                .direction = a->direction,
                                .partial = a->o.partial,
                                .quiet = a->quiet,
                                .rights = a->rights,
                                .stop = &fc_stop,
                                .bar = &bar};
    if (rc == 0)
        rc = fc_follow_to_files(db, filter, &o, &r, &err);
    fc_bar_end(&bar, rc == 0);
    if (rc)
        fc_complain_error(&err);
    if (rc == FC_E_MISSING || rc == FC_E_CHANGED)
        fc_complain("--partial goes on with what the other captures hold");
    if (r.gaps > GAPS_TOLD && !a->quiet)
        fc_complain("warning: and %s more", fc_human_things(r.gaps - GAPS_TOLD, "gap", b[0], sizeof b[0]));
    if (rc == 0 && !r.sessions && !a->quiet)
        fc_complain("no session matches");
    if (!a->quiet && r.sessions) {
        fprintf(stderr, "%s of %s written, %s", fc_human_things(r.files, "file", b[0], sizeof b[0]),
                fc_human_things(r.sessions, "session", b[1], sizeof b[1]), fc_human_bytes(r.bytes, b[2], sizeof b[2]));
        if (r.there)
            fprintf(stderr, "; %s there before", fc_human_things(r.there, "file", b[0], sizeof b[0]));
        if (r.gaps)
            fprintf(stderr, "; %s, %s, left out", fc_human_things(r.gaps, "gap", b[0], sizeof b[0]),
                    fc_human_things(r.gap_bytes, "byte", b[1], sizeof b[1]));
        if (r.missing)
            fprintf(stderr, "; %s missing", fc_human_things(r.missing, "packet", b[0], sizeof b[0]));
        fputc('\n', stderr);
    }
    return rc ? FC_EXIT_ERROR : r.files + r.there ? FC_EXIT_OK : FC_EXIT_NONE;
}

static int follow_text(struct fc_follow_args *a, const char *text)
{
    struct fc_filter *filter = NULL;
    struct fc_session session;
    struct fc_db *db = NULL;
    int status = FC_EXIT_ERROR, rc;

    if (!fc_query_begin(text, &a->zone, a->db, &filter, &db)) {
        rc = -1;
    } else if (a->log.path && !fc_log_option_narrow(&a->log, "follow", a->quiet, db, filter)) {
        rc = -1;
    } else if (a->grep) {
        status = grep_sessions(a, db, filter);
        rc = 0;
    } else if (a->folder) {
        fc_catch_signals();
        status = follow_to_files(a, db, filter);
        rc = 0;
    } else if ((rc = find_session(a, db, filter, &session)) == 0) {
        status = FC_EXIT_NONE;
    }
    if (rc > 0) {
        fc_catch_signals();
        status = follow_session(a, db, filter, &session);
    }
    fc_db_close(db);
    fc_filter_free(filter);
    return status;
}

/* ---- of an interface */

struct arriving {
    struct fc_look *look;
    struct fc_follow_text text;
    uint64_t (*at)[2]; /* of each flow's place: bytes seen of both directions */
    int64_t *owner;    /* the flow that has the place */
};

static void write_payload(const struct fc_follow_args *a, struct arriving *r, const struct fc_session_packet *p)
{
    const struct fc_packet *k = &p->packet;
    const struct fc_flow_key *key = &k->key;
    const int client = p->from == FC_FROM_CLIENT ? k->dir : !k->dir;
    struct fc_session ends = {.kind = (int)key->addr_kind, .client_port = -1, .server_port = -1};
    struct fc_piece piece = {.from = p->from, .session = p->session, .ts_ns = p->record.ts_ns};
    uint32_t captured;

    if (r->owner[p->nth] != p->session)
        r->at[p->nth][0] = r->at[p->nth][1] = 0;
    r->owner[p->nth] = p->session;
    const uint8_t *payload = fc_packet_payload(k, p->record.data, p->record.caplen, &captured);
    if (!k->payload_bytes || (a->direction != FC_FOLLOW_BOTH && (int)p->from != a->direction))
        return;
    memcpy(ends.client_addr, key->addr[client], sizeof ends.client_addr);
    memcpy(ends.server_addr, key->addr[!client], sizeof ends.server_addr);
    if (fc_proto_has_ports(key->proto) && k->frag != FC_FRAG_LATER) {
        ends.client_port = key->port[client];
        ends.server_port = key->port[!client];
    }
    for (int end = 0; end < 2; end++)
        write_end(r->text.ends[end], sizeof r->text.ends[end], &ends, end);
    piece.at = r->at[p->nth][p->from];
    piece.len = captured;
    piece.data = payload;
    r->at[p->nth][p->from] += k->payload_bytes;
    if (captured)
        fc_follow_write(&r->text, &piece);
    if (captured < k->payload_bytes) {
        piece.kind = FC_PIECE_CUT;
        piece.at += captured;
        piece.len = k->payload_bytes - captured;
        piece.data = NULL;
        fc_follow_write(&r->text, &piece);
    }
    fc_follow_finish(&r->text); /* a line at once, though more of it may come */
}

static int write_arriving(const struct fc_follow_args *a, void *ctx, struct fc_error *err)
{
    struct arriving *r = ctx;
    const struct fc_session_packet *packet;
    int rc = 0;

    while (!r->text.out->failed && (rc = fc_look_next(r->look, &packet, err)) > 0) {
        if (rc == FC_LOOK_QUIET)
            fc_out_flush(r->text.out);
        else
            write_payload(a, r, packet);
    }
    return rc;
}

static int follow_iface(struct fc_follow_args *a, const char *filter)
{
    struct arriving r = {.text = {.format = (enum fc_follow_format)a->format,
                                  .local = a->zone.local,
                                  .marks = true,
                                  .datagrams = true,
                                  .last = -1}};
    int status = FC_EXIT_ERROR;

    if (a->db || a->id || a->folder || a->grep || a->log.path || a->reading.count || a->o.partial ||
        a->format == FC_FOLLOW_RAW) {
        fc_complain("follow: --id takes the number of one session; or an interface, whose payload comes without an "
                    "index, as ascii, hex or json: not '%s' with --db, --id, --read, --from, --to, --grep or --partial",
                    a->iface);
        return status;
    }
    if (!(r.look = fc_look_begin("follow", a->iface, filter, FC_WANT_PAYLOAD, a->quiet)))
        return status;
    r.text.color = to_terminal(a) && !getenv("NO_COLOR");
    r.text.out = calloc(1, sizeof *r.text.out);
    r.at = calloc(FC_LOOK_FLOWS, sizeof *r.at);
    r.owner = calloc(FC_LOOK_FLOWS, sizeof *r.owner);
    if (r.text.out && r.at && r.owner) {
        status = write_to(a, r.text.out, 0, &r, write_arriving);
        fc_look_end(r.look, a->quiet);
    } else {
        fc_complain("out of memory");
    }
    free(r.text.out);
    free(r.at);
    free(r.owner);
    fc_look_close(r.look);
    return status;
}

/* The filter: words, and the session's ID. A new string; NULL without memory. */
static char *whole_filter(const char *words, const char *id)
{
    char *text = NULL;

    if (!id && fc_follow_is_id(words)) {
        id = words;
        words = "";
    }
    int n = !id      ? asprintf(&text, "%s", words)
            : *words ? asprintf(&text, "( %s ) and id %s", words, id)
                     : asprintf(&text, "id %s", id);
    return n < 0 ? NULL : text;
}

static int follow_words(struct fc_follow_args *a, int argc, char **argv, int first)
{
    int status = FC_EXIT_ERROR;

    if (a->folder && (a->path || (a->format != FC_FOLLOW_ASCII && a->format != FC_FOLLOW_RAW))) {
        fc_complain("follow: --to writes the bytes alone, to files of its own; not with --write or --format");
        return FC_EXIT_ERROR;
    }
    if (a->grep && (a->folder || (a->format != FC_FOLLOW_ASCII && a->format != FC_FOLLOW_JSON))) {
        fc_complain("follow: --grep prints lines, as text or by --format json; not with --to");
        return FC_EXIT_ERROR;
    }
    if (a->format == FC_FOLLOW_RAW && !a->folder && to_terminal(a)) {
        fc_complain("follow: will not write raw bytes to a terminal; -w FILE, a pipe, or another --format");
        return FC_EXIT_ERROR;
    }
    if (!a->id && !a->iface && first == argc && !a->filter_file && !a->folder && !a->grep && !a->log.path) {
        fc_complain("follow: no session given; its ID, or a filter that it alone matches");
        return FC_EXIT_ERROR;
    }
    if (!fc_log_option_alone(&a->log, "follow", a->filter_file, false))
        return FC_EXIT_ERROR;
    char *words = fc_filter_words("follow", a->filter_file, argc - first, argv + first);
    if (!words)
        return FC_EXIT_ERROR;
    char *text = a->iface ? strdup(words) : whole_filter(words, a->id);
    if (text && a->iface) {
        status = follow_iface(a, text);
    } else if (text) {
        a->db = fc_reading_db(&a->reading, "follow", a->db, text, &a->zone, 0, a->quiet);
        fc_lift_descriptors(); /* captures that overlap in time are open at once */
        if (a->db)
            status = follow_text(a, text);
        status = fc_reading_end(&a->reading, status);
    } else {
        fc_complain("out of memory");
    }
    free(words);
    free(text);
    return status;
}

static int run(int argc, char **argv)
{
    struct fc_follow_args a = {.direction = FC_FOLLOW_BOTH, .format = FC_FOLLOW_ASCII};
    int first, rc = fc_options_parse(&fc_command_follow, argc, argv, &a, &first);

    rc = rc < 0 ? follow_words(&a, argc, argv, first) : rc;
    fc_log_option_close(&a.log);
    fc_grep_free(a.grep);
    return rc;
}

const struct fc_command fc_command_follow = {
    .name = "follow",
    .usage = "[OPTION...] ID|FILTER",
    .summary = "show what the two ends of a session have sent",
    .details =
        "The payload of TCP in the order of its sequence numbers, of other protocols datagram by datagram; IP "
        "fragments "
        "are put together. Of bytes that were sent more than once, those that came first are shown. What was not "
        "captured is told with its size: in brackets where it is missing, and as a warning where the format is raw, "
        "which leaves it out.\n"
        "FILTER is that of 'flowcarve query' and must match one session, but for --to and --grep. Of --to files are "
        "named as by "
        "tcpflow, and by the session's ID: 010.000.000.006.44150-198.018.000.009.00080c13.\n"
        "REGEX is that of Perl, by way of PCRE2, over bytes: (?i) at its start takes letters large or small. What is "
        "no "
        "printable ASCII is printed as a dot. Lines end as in text, at gaps, and with a datagram.\n"
        "With -i INTERFACE payload is printed as it comes, packet by packet and not put in order, until Ctrl-C; FILTER "
        "is "
        "one of pcap-filter(7) then.\n",
    .options = fc_follow_option_table,
    .values = fc_follow_values,
    .run = run,
};
