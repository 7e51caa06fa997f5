/* SPDX-License-Identifier: MIT */
#include "cli/cmd_query.h"
#include "cli/cli.h"
#include "cli/format.h"

#include <errno.h>
#include <flowcarve/text.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
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

void fc_print_filter_error(const char *filter, const struct fc_filter_error *where)
{
    size_t len = strlen(filter), off = where->off < len ? where->off : len;
    size_t first = off > SHOWN / 2 && len > SHOWN ? character_end(filter, off - SHOWN / 2, off) : 0;
    size_t last = len - first > SHOWN ? character_end(filter, first + SHOWN, len) : len;
    size_t end = off + where->len < last ? character_end(filter, off + where->len, last) : last;

    fc_complain("filter: %s", where->cause);
    fprintf(stderr, "  %s", first ? "..." : "");
    unsigned before = show(filter + first, off - first), marked = show(filter + off, end - off);
    show(filter + end, last - end);
    fprintf(stderr, "%s\n  %*s^", last < len ? "..." : "", (int)before + (first ? 3 : 0), "");
    for (unsigned i = 1; i < marked; i++)
        fputc('~', stderr);
    fputc('\n', stderr);
}

static unsigned terminal_width(const struct fc_query_args *args)
{
    struct winsize size;

    if (!args->tty || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0)
        return 0;
    return size.ws_col;
}

/* What to return when output has ended: a reader that has enough (EPIPE) is none of our troubles. */
static int end_output(struct fc_out *out, int64_t rows)
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

/* limit 0: none, which the library has no word for. files: NULL: not asked for */
static int print_sessions(struct fc_query *query, const struct fc_query_args *args, struct fc_session_files *files,
                          struct fc_rows *writer)
{
    char b[48];
    struct fc_session row;
    struct fc_error err;
    int64_t rows = 0;
    int rc = args->limit != 0;

    writer->fields = fc_query_fields(query);
    writer->has_files = files != NULL;
    if (!args->quiet)
        fc_rows_start(writer);
    while (rc > 0 && !writer->out->failed && (rc = fc_query_next(query, &row, &err)) > 0) {
        rows++;
        if (args->quiet)
            break;
        int failed = files ? fc_session_files(files, row.id, &writer->files, &writer->file_count, &err) : 0;
        if (failed) {
            rc = failed;
            break;
        }
        if (fc_rows_write(writer, &row) != 0) {
            fc_complain("out of memory");
            fc_rows_finish(writer);
            return FAILED;
        }
    }
    fc_rows_finish(writer);
    if (rc < 0) {
        fc_out_flush(writer->out);
        return fail(&err);
    }
    rc = end_output(writer->out, rows);
    if (args->verbose && !args->quiet && !writer->out->failed)
        fprintf(stderr, "%s\n", fc_human_things((uint64_t)rows, "session", b, sizeof b));
    return rc;
}

static int print_count(struct fc_db *db, const struct fc_filter *filter, const struct fc_query_args *args,
                       struct fc_out *out)
{
    struct fc_error err;
    int64_t count = fc_query_count(db, filter, &err);

    if (count < 0)
        return fail(&err);
    if (args->limit >= 0 && count > args->limit)
        count = args->limit;
    if (args->quiet)
        return count > 0 ? FOUND : NOTHING;
    out->len = (size_t)(fc_text_number(fc_out_room(out, FC_TEXT_MAX), (uint64_t)count) - out->buf);
    fc_out_text(out, "\n");
    return end_output(out, count);
}

static int run(struct fc_db *db, const struct fc_filter *filter, const struct fc_query_args *args, int format)
{
    bool state_asked = false;
    uint32_t asked = fc_filter_fields(filter, &state_asked) | (args->community_id ? FC_FIELD_COMMUNITY_ID : 0);
    struct fc_query_options options = {.sort = args->sort,
                                       .limit = args->limit,
                                       .community_id = args->community_id ||
                                                       (format == FC_ROWS_TABLE && (asked & FC_FIELD_COMMUNITY_ID))};
    struct fc_out *out = calloc(1, sizeof *out);
    struct fc_rows writer = {.out = out,
                             .format = (enum fc_row_format)format,
                             .color = args->color,
                             .asked = asked,
                             .state_asked = state_asked,
                             .sort = args->sort};
    struct fc_session_files *files = NULL;
    struct fc_query *query = NULL;
    struct fc_error err;
    int status;

    if (!out) {
        fc_complain("out of memory");
        return FAILED;
    }
    out->fd = STDOUT_FILENO;
    writer.width = terminal_width(args);
    /* a key that there is not is a mistake, also where nothing is sorted */
    if ((!args->count || args->sort) && fc_query_open(db, filter, &options, &query, &err) != 0)
        status = fail(&err);
    else if (args->files && !args->count && fc_session_files_open(db, &files, &err) != 0)
        status = fail(&err);
    else if (args->count)
        status = print_count(db, filter, args, out);
    else
        status = print_sessions(query, args, files, &writer);
    fc_session_files_close(files);
    fc_query_close(query);
    free(out);
    return status;
}

int fc_cmd_query_run(const struct fc_query_args *args)
{
    int format = args->format ? fc_row_format_by_name(args->format) : args->tty ? FC_ROWS_TABLE : FC_ROWS_TSV;
    struct fc_filter_error where;
    struct fc_filter *filter = NULL;
    struct fc_db *db = NULL;
    struct timespec now;
    struct fc_error err;
    int status = FAILED, rc;

    if (format < 0) {
        fc_complain("unknown format '%s'; formats are table, json, csv, tsv", args->format);
        return FAILED;
    }
    if (args->files && format != FC_ROWS_JSON) {
        fc_complain("query: --files is for --format json; SQL has it in view session_files");
        return FAILED;
    }
    clock_gettime(CLOCK_REALTIME, &now);
    rc = fc_filter_parse(args->filter, (int64_t)now.tv_sec * 1000000000 + now.tv_nsec, &filter, &where);
    if (rc == FC_E_FILTER)
        fc_print_filter_error(args->filter, &where);
    else if (rc != 0)
        fc_complain("%s", fc_strerror(rc));
    else if (fc_db_open(args->db, &db, &err) != 0)
        fail(&err);
    else
        status = run(db, filter, args, format);
    fc_db_close(db);
    fc_filter_free(filter);
    return status;
}
