/* SPDX-License-Identifier: MIT */
#include "cli/cmd_query.h"
#include "cli/cli.h"
#include "cli/columns.h"

#include <errno.h>
#include <flowcarve/text.h>
#include <flowcarve/top.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FOUND = 0, NOTHING = 1, FAILED = 2 };

static int fail(const struct fc_error *err)
{
    fc_complain_error(err);
    return FAILED;
}

/* Of a long filter the part around the place is shown, at most this many bytes, and to the end of characters. */
enum { SHOWN = 76, CHARACTER = 4 };

static bool starts_character(char c)
{
    return ((unsigned char)c & 0xc0) != 0x80;
}

/* Prints len bytes of text and returns the columns that they take. */
static unsigned show(const char *text, size_t len)
{
    char raw[SHOWN + CHARACTER], shown[FC_TEXT_CHARACTER_MAX * sizeof raw];
    unsigned columns = 0;

    snprintf(raw, sizeof raw, "%.*s", (int)len, text);
    fc_text_show(raw, shown, sizeof shown);
    fputs(shown, stderr);
    for (const char *p = shown; *p; p++)
        columns += starts_character(*p);
    return columns;
}

/* The place at or behind `at` where no character is cut; what is no text is cut anywhere. */
static size_t character_end(const char *text, size_t at, size_t len)
{
    for (int i = 1; i < CHARACTER && at < len && !starts_character(text[at]); i++)
        at++;
    return at;
}

/* A capture where a filter belongs: the word, up to the next blank, is the name of something that is there. */
static void tell_of_file(const char *word)
{
    char name[4096];
    size_t len = strcspn(word, " \t\r\n");
    struct stat st;

    if (!len || len >= sizeof name)
        return;
    memcpy(name, word, len);
    name[len] = '\0';
    if (strpbrk(name, "./") && stat(name, &st) == 0 && (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode)))
        fc_complain("%s is a %s, and no part of a filter; -r in front of it looks into its captures", name,
                    S_ISDIR(st.st_mode) ? "folder" : "file");
}

void fc_print_filter_error(const char *filter, const struct fc_filter_error *place)
{
    struct fc_filter_error there = *place, *where = &there;
    const char *start = filter;
    unsigned line = 1;

    /* of a filter of several lines the one with the place; a line's end may be the place where something is missing */
    for (const char *p = filter; p < filter + place->off && *p; p++) {
        if (*p == '\n' && p[1 + strspn(p + 1, " \t\r\n")]) {
            start = p + 1;
            line++;
        }
    }
    there.off = place->off - (size_t)(start - filter);
    bool several = line > 1 || start[strcspn(start, "\n")];
    filter = start;
    size_t len = strcspn(filter, "\n"), off = where->off < len ? where->off : len;
    size_t first = off > SHOWN / 2 && len > SHOWN ? character_end(filter, off - SHOWN / 2, off) : 0;
    size_t last = len - first > SHOWN ? character_end(filter, first + SHOWN, len) : len;
    size_t end = off + where->len < last ? character_end(filter, off + where->len, last) : last;

    if (several)
        fc_complain("filter, line %u: %s", line, where->cause);
    else
        fc_complain("filter: %s", where->cause);
    fprintf(stderr, "  %s", first ? "..." : "");
    unsigned before = show(filter + first, off - first), marked = show(filter + off, end - off);
    show(filter + end, last - end);
    fprintf(stderr, "%s\n  %*s^", last < len ? "..." : "", (int)before + (first ? 3 : 0), "");
    for (unsigned i = 1; i < marked; i++)
        fputc('~', stderr);
    fputc('\n', stderr);
    tell_of_file(filter + off);
}

unsigned fc_terminal_width(void)
{
    struct winsize size;

    return isatty(STDOUT_FILENO) && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

int fc_rows_end(struct fc_out *out, int64_t rows)
{
    int failed = fc_out_flush(out);

    if (failed == EPIPE)
        return FOUND;
    if (failed) {
        fc_complain("cannot write the output: %s", strerror(failed));
        return FAILED;
    }
    return rows > 0 ? FOUND : NOTHING;
}

/* What has been written. */
struct written {
    int64_t rows;
    uint64_t bytes;
};

/* Rows by way of format.c, or where columns were chosen of a grid. */
struct writer {
    struct fc_rows rows;
    struct fc_columns columns;
    struct fc_grid grid;
    struct fc_session_files *files; /* NULL: not asked for */
};

static void start(struct writer *w)
{
    if (w->columns.count)
        fc_grid_start(&w->grid);
    else
        fc_rows_start(&w->rows);
}

static int write_row(struct writer *w, const struct fc_session *row)
{
    if (!w->columns.count)
        return fc_rows_write(&w->rows, row);
    return fc_columns_write(&w->columns, &w->grid, row, w->rows.files, w->rows.file_count);
}

static void finish(struct writer *w)
{
    if (w->columns.count)
        fc_grid_finish(&w->grid);
    else
        fc_rows_finish(&w->rows);
}

static int fail_memory(struct fc_error *err)
{
    *err = (struct fc_error){.code = FC_E_NOMEM, .off = FC_NO_OFFSET};
    strcpy(err->cause, "out of memory");
    return FC_E_NOMEM;
}

/* Who is asked: an index, or an engine. */
struct source {
    struct fc_db *db;
    struct fc_query *query;
    struct fc_inquiry *inquiry; /* NULL: the index */
    const struct fc_filter *filter;
    uint32_t fields; /* FC_FIELD_* of the columns */
};

struct giving {
    const struct fc_query_args *args;
    struct writer *w;
    struct written *written;
};

/* One more session. FC_E_PIPE: no more are wanted; FC_E_NOMEM, or as fc_session_files() with *err filled. */
static int give(void *ctx, const struct fc_session *row, struct fc_error *err)
{
    struct giving *g = ctx;
    struct writer *w = g->w;

    g->written->rows++;
    g->written->bytes += row->client_bytes + row->server_bytes;
    if (g->args->quiet)
        return FC_E_PIPE;
    int rc = w->files ? fc_session_files(w->files, row->id, &w->rows.files, &w->rows.file_count, err) : 0;
    if (rc)
        return rc;
    if (write_row(w, row) != 0)
        return fail_memory(err);
    return w->rows.out->failed ? FC_E_PIPE : 0;
}

static int give_all(const struct source *source, struct giving *g, struct fc_error *err)
{
    struct fc_inquiry_rows_options options = {.sort = g->args->sort, .limit = g->args->quiet ? 1 : g->args->limit};
    struct fc_session row;
    int rc = 1;

    if (source->inquiry)
        return fc_inquiry_rows(source->inquiry, source->filter, &options, give, g, err);
    while (rc > 0 && (rc = fc_query_next(source->query, &row, err)) > 0 && (rc = give(g, &row, err)) == 0)
        rc = 1;
    return rc;
}

/* limit 0: none, which the library has no word for. 0, FC_E_NOMEM, or as fc_query_next() with *err filled. */
static int write_rows(const struct source *source, const struct fc_query_args *args, struct writer *w,
                      struct written *written, struct fc_error *err)
{
    struct giving g = {args, w, written};
    int rc = args->limit != 0 && !w->rows.out->failed ? give_all(source, &g, err) : 0;

    return rc == FC_E_PIPE ? 0 : rc;
}

/* "10 of 2,612 sessions, 1.2 GB": what people want to know next; nothing when that cannot be told. */
static void write_totals(const struct source *source, const struct fc_query_args *args, struct fc_out *out,
                         const struct written *written)
{
    char a[32], b[48], c[32], line[128];
    struct fc_top_row all = {.sessions = (uint64_t)written->rows, .bytes = written->bytes};
    struct fc_top *top = NULL;

    fc_out_flush(out); /* adding up may take a moment */
    if (written->rows == args->limit &&
        ((source->inquiry ? fc_inquiry_top(source->inquiry, source->filter, NULL, &top, NULL)
                          : fc_top_open(source->db, source->filter, NULL, &top, NULL)) != 0 ||
         !fc_top_next(top, &all)))
        all.sessions = 0;
    fc_top_close(top);
    if (!all.sessions)
        return;
    bool part = all.sessions > (uint64_t)written->rows;
    snprintf(line, sizeof line, "%s%s%s, %s\n", part ? fc_human_count((uint64_t)written->rows, a, sizeof a) : "",
             part ? " of " : "", fc_human_things(all.sessions, "session", b, sizeof b),
             fc_human_bytes(all.bytes, c, sizeof c));
    fc_out_text(out, line);
}

static int print_sessions(const struct source *source, const struct fc_query_args *args, struct writer *w)
{
    struct fc_out *out = w->rows.out;
    char b[48];
    struct written written = {0};
    struct fc_error err;
    int rc;

    w->rows.fields = source->fields;
    w->rows.has_files = w->files != NULL;
    if (w->columns.count && !fc_columns_check(&w->columns, w->rows.fields))
        return FAILED;
    if (!args->quiet)
        start(w);
    rc = write_rows(source, args, w, &written, &err);
    if (!args->quiet)
        finish(w);
    if (rc < 0) {
        fc_out_flush(out);
        return fail(&err);
    }
    if (args->tty && w->rows.format == FC_ROWS_TABLE && !args->quiet && written.rows && !out->failed)
        write_totals(source, args, out, &written);
    rc = fc_rows_end(out, written.rows);
    if (args->verbose && !args->quiet && !out->failed)
        fprintf(stderr, "%s\n", fc_human_things((uint64_t)written.rows, "session", b, sizeof b));
    return rc;
}

static int print_count(const struct source *source, const struct fc_query_args *args, struct fc_out *out)
{
    struct fc_error err;
    int64_t count = source->inquiry ? fc_inquiry_count(source->inquiry, source->filter, &err)
                                    : fc_query_count(source->db, source->filter, &err);

    if (count < 0)
        return fail(&err);
    if (args->limit >= 0 && count > args->limit)
        count = args->limit;
    if (args->quiet)
        return count > 0 ? FOUND : NOTHING;
    out->len = (size_t)(fc_text_number(fc_out_room(out, FC_TEXT_MAX), (uint64_t)count) - out->buf);
    fc_out_text(out, "\n");
    return fc_rows_end(out, count);
}

/* Lines of text, in which may be what somebody has written into a filter's file. */
static void print_part(const char *title, const char *text)
{
    char shown[512];

    printf("%s\n", title);
    for (size_t len; *text; text += len + (text[len] == '\n')) {
        char *line = strndup(text, len = strcspn(text, "\n"));
        printf("  ");
        for (const char *rest = line; rest && *rest;)
            fwrite(shown, 1, fc_text_escape(FC_TEXT_MESSAGE, &rest, shown, sizeof shown), stdout);
        putchar('\n');
        free(line);
    }
    putchar('\n');
}

static void print_equal(const char *whose, const char *text, const char *lacks)
{
    char shown[4 * 512];

    if (text)
        printf("%-10s %s\n", whose, *text ? text : "(no filter: all packets)");
    else
        printf("%-10s none, as '%s' is not about a packet\n", whose, fc_text_show(lacks, shown, sizeof shown));
}

static int print_explain(const struct source *source)
{
    struct fc_explain e;
    struct fc_error err;

    if ((source->inquiry ? fc_inquiry_explain(source->inquiry, source->filter, &e, &err)
                         : fc_query_explain(source->db, source->filter, &e, &err)) != 0)
        return fail(&err);
    print_part("Filter", *e.tree ? e.tree : "every session");
    print_part("SQL", e.sql);
    print_part(source->inquiry ? "Bounds" : "Plan of SQLite", e.plan);
    print_equal("tcpdump", e.bpf, e.bpf_lacks);
    print_equal("Wireshark", e.wireshark, e.wireshark_lacks);
    fc_explain_fini(&e);
    return fc_output_done();
}

/* Opens what the sessions come from. */
static int open_source(struct source *source, const struct fc_query_args *args, const struct fc_query_options *options,
                       struct writer *w, struct fc_error *err)
{
    int rc = 0;

    if (source->inquiry) {
        source->fields = fc_inquiry_fields(source->inquiry, source->filter) | FC_FIELD_SENSOR |
                         (options->community_id ? (uint32_t)FC_FIELD_COMMUNITY_ID : 0);
        return 0;
    }
    /* a key that there is not is a mistake, also where nothing is sorted */
    if (!args->count || args->sort)
        rc = fc_query_open(source->db, source->filter, options, &source->query, err);
    if (rc == 0 && (args->files || w->columns.files) && !args->count)
        rc = fc_session_files_open(source->db, &w->files, err);
    source->fields = source->query ? fc_query_fields(source->query) : 0;
    return rc;
}

static int run(struct source *source, const struct fc_query_args *args, enum fc_row_format format, struct writer *w)
{
    bool community_id = args->community_id || (w->columns.fields & FC_FIELD_COMMUNITY_ID);
    uint32_t columns, asked = fc_filter_fields(source->filter, &columns) | (community_id ? FC_FIELD_COMMUNITY_ID : 0) |
                              (source->inquiry ? FC_FIELD_SENSOR : 0);
    struct fc_query_options options = {.sort = args->sort,
                                       .limit = args->limit,
                                       .community_id = community_id ||
                                                       (format == FC_ROWS_TABLE && (asked & FC_FIELD_COMMUNITY_ID))};
    struct fc_out *out = calloc(1, sizeof *out);
    struct fc_error err;
    int status;

    if (!out) {
        fc_complain("out of memory");
        return FAILED;
    }
    out->fd = STDOUT_FILENO;
    w->rows = (struct fc_rows){.out = out,
                               .format = format,
                               .zone = args->zone.local ? fc_zone_name(&args->zone) : NULL,
                               .color = args->color,
                               .asked = asked,
                               .columns_asked = columns,
                               .sort = args->sort,
                               .width = args->tty ? fc_terminal_width() : 0};
    fc_columns_zone(&w->columns, fc_zone_name(&args->zone), args->zone.local);
    w->grid = (struct fc_grid){.out = out,
                               .format = format,
                               .color = args->color,
                               .width = w->rows.width,
                               .column = w->columns.titles,
                               .columns = w->columns.count};
    if (open_source(source, args, &options, w, &err) != 0)
        status = fail(&err);
    else if (args->count)
        status = print_count(source, args, out);
    else
        status = print_sessions(source, args, w);
    fc_session_files_close(w->files);
    fc_query_close(source->query);
    free(out);
    return status;
}

bool fc_query_parse(const char *text, const struct fc_zone *zone, struct fc_filter **filter)
{
    struct fc_time_options times = {.local = zone && zone->local};
    struct fc_filter_error where;
    int rc = fc_filter_parse_with(text, &times, filter, &where);

    if (rc == FC_E_FILTER)
        fc_print_filter_error(text, &where);
    else if (rc != 0)
        fc_complain("%s", fc_strerror(rc));
    return rc == 0;
}

bool fc_query_begin(const char *text, const struct fc_zone *zone, const char *path, struct fc_filter **filter,
                    struct fc_db **db)
{
    struct fc_error err;

    if (!fc_query_parse(text, zone, filter))
        return false;
    if (fc_db_open(path, db, &err) == 0)
        return true;
    fail(&err);
    return false;
}

static int query_cluster(struct fc_query_args *args, enum fc_row_format format, struct writer *w)
{
    struct fc_filter *filter = NULL;
    int status = FAILED;

    if (w->columns.files)
        fc_complain("query: column files is about an index, and does not go with --cluster");
    else if (fc_query_parse(args->filter, &args->zone, &filter) &&
             fc_cluster_option_open(&args->cluster, "query", args->quiet)) {
        struct source source = {.inquiry = args->cluster.inquiry, .filter = filter};
        status = args->explain ? print_explain(&source) : run(&source, args, format, w);
    }
    fc_cluster_option_close(&args->cluster);
    fc_filter_free(filter);
    return status;
}

int fc_cmd_query_run(struct fc_query_args *args)
{
    int format = args->format ? fc_row_format_by_name(args->format) : args->tty ? FC_ROWS_TABLE : FC_ROWS_TSV;
    struct writer writer = {0};
    struct fc_filter *filter = NULL;
    struct fc_db *db = NULL;
    int status = FAILED;

    if (format < 0) {
        fc_complain("unknown format '%s'; formats are table, json, csv, tsv, zeek", args->format);
        return FAILED;
    }
    if (args->files && (format != FC_ROWS_JSON || args->columns)) {
        fc_complain("query: --files is for --format json without --columns, one of which is files");
        return FAILED;
    }
    if (args->columns && format == FC_ROWS_ZEEK) {
        fc_complain("query: the columns of a conn.log are Zeek's; --columns goes with other formats");
        return FAILED;
    }
    if (args->columns && !fc_columns_read(&writer.columns, args->columns))
        return FAILED;
    if (args->cluster.path)
        return query_cluster(args, (enum fc_row_format)format, &writer);
    bool begun = fc_query_begin(args->filter, &args->zone, args->db, &filter, &db);
    if (begun && args->log.path && !args->explain)
        begun = fc_log_option_narrow(&args->log, "query", args->quiet, db, filter);
    if (begun) {
        struct source source = {.db = db, .filter = filter};
        status = args->explain ? print_explain(&source) : run(&source, args, (enum fc_row_format)format, &writer);
    }
    if (begun && !args->quiet)
        fc_log_option_report(&args->log);
    fc_db_close(db);
    fc_filter_free(filter);
    return status;
}
