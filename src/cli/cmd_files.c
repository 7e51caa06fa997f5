/* SPDX-License-Identifier: MIT */
#include "cli/cli.h"
#include "cli/format.h"

#include <flowcarve/files.h>
#include <flowcarve/text.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

struct args {
    const char *db, *format;
    bool quiet, verbose;
};

static const struct fc_option options[] = {
    FC_OPTION_DB(struct args),
    {"format", 'f', "NAME", "table, json (an object a line), csv or tsv (default: table on a terminal, else tsv)",
     FC_WORD(struct args, format)},
    {"quiet", 'q', NULL, "no sums; of `check` the exit status alone", FC_FLAG(struct args, quiet)},
    {"verbose", 'v', NULL, "compare the fingerprint of every capture, as `check` does", FC_FLAG(struct args, verbose)},
    {0},
};

static const struct fc_values values[] = {
    {"format", "table json csv tsv"},
    {0},
};

/* Its packets cannot be carved. */
static bool is_lost(const struct fc_listed_file *f)
{
    return f->presence == FC_FILE_CHANGED || f->presence == FC_FILE_MISSING || f->presence == FC_FILE_UNREADABLE ||
           f->presence == FC_FILE_GONE;
}

/* ---- a column a key */

enum { KEYS = 17 };

static const char *const keys[KEYS] = {"id",          "path",    "state",   "format",     "compression",  "size",
                                       "stream_size", "records", "ignored", "forgotten",  "first",        "last",
                                       "first_ns",    "last_ns", "damaged", "lost_bytes", "pending_bytes"};

static void put_text(enum fc_row_format format, const char *text)
{
    enum fc_text_form form = format == FC_ROWS_JSON ? FC_TEXT_JSON : format == FC_ROWS_CSV ? FC_TEXT_CSV : FC_TEXT_TSV;
    bool quoted = form == FC_TEXT_JSON || (form == FC_TEXT_CSV && strpbrk(text, ",\""));
    char buf[512];

    if (quoted)
        putchar('"');
    while (*text)
        fwrite(buf, 1, fc_text_escape(form, &text, buf, sizeof buf), stdout);
    if (quoted)
        putchar('"');
}

static void put_key(enum fc_row_format format, int i)
{
    if (format == FC_ROWS_JSON)
        printf("%s\"%s\":", i ? "," : "{", keys[i]);
    else if (i)
        putchar(format == FC_ROWS_CSV ? ',' : '\t');
}

static void put_time(enum fc_row_format format, const struct fc_listed_file *f, int64_t ns, bool text)
{
    char buf[FC_TEXT_MAX];

    if (!f->has_time && format == FC_ROWS_JSON)
        fputs("null", stdout);
    else if (f->has_time && !text)
        printf("%" PRId64, ns);
    else if (f->has_time) {
        *fc_text_time(buf, ns) = '\0';
        put_text(format, buf);
    }
}

static void put_row(enum fc_row_format format, const struct fc_listed_file *f)
{
    const char *texts[KEYS] = {
        [1] = f->path, [2] = fc_presence_name(f->presence), [3] = f->format, [4] = f->compression};
    const uint64_t numbers[KEYS] = {
        [0] = f->id,        [5] = f->size,     [6] = f->stream_size, [7] = f->records,       [8] = f->ignored,
        [9] = f->forgotten, [14] = f->damaged, [15] = f->lost_bytes, [16] = f->pending_bytes};

    for (int i = 0; i < KEYS; i++) {
        put_key(format, i);
        if (texts[i])
            put_text(format, texts[i]);
        else if (i >= 10 && i < 14)
            put_time(format, f, i % 2 ? f->last_ns : f->first_ns, i < 12);
        else
            printf("%" PRIu64, numbers[i]);
    }
    fputs(format == FC_ROWS_JSON ? "}\n" : format == FC_ROWS_CSV ? "\r\n" : "\n", stdout);
}

/* ---- the table for people: names last, which are never cut */

enum { STATE, KIND, RECORDS, SIZE, FIRST, LAST, DAMAGE, COLUMNS };

static const char *const titles[COLUMNS] = {"STATE", "FORMAT", "RECORDS", "SIZE", "FIRST", "LAST", "DAMAGE"};

static void cell_time(char *buf, const struct fc_listed_file *f, int64_t ns)
{
    char text[FC_TEXT_MAX];

    strcpy(buf, "-");
    if (!f->has_time)
        return;
    *fc_text_time(text, ns) = '\0';
    text[10] = ' ';
    snprintf(buf, FC_TEXT_MAX, "%.19s", text);
}

static void cell(char *buf, int column, const struct fc_listed_file *f)
{
    char first[FC_TEXT_MAX];

    switch (column) {
    case STATE:
        strcpy(buf, fc_presence_name(f->presence));
        return;
    case KIND:
        snprintf(buf, FC_TEXT_MAX, "%s%s%s", f->format, strcmp(f->compression, "none") ? " " : "",
                 strcmp(f->compression, "none") ? f->compression : "");
        return;
    case RECORDS:
        fc_human_count(f->records, buf, FC_TEXT_MAX);
        return;
    case SIZE:
        fc_human_bytes(f->size, buf, FC_TEXT_MAX);
        return;
    case FIRST:
        cell_time(buf, f, f->first_ns);
        return;
    case LAST:
        cell_time(first, f, f->first_ns);
        cell_time(buf, f, f->last_ns);
        if (f->has_time && memcmp(first, buf, 11) == 0) /* the same day */
            memmove(buf, buf + 11, strlen(buf + 11) + 1);
        return;
    default:
        strcpy(buf, "-");
        if (f->damaged)
            fc_human_things(f->damaged, "range", buf, FC_TEXT_MAX);
    }
}

static unsigned terminal_width(void)
{
    struct winsize size;

    return isatty(STDOUT_FILENO) && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

static void print_table(const struct fc_file_list *list, bool lost_only)
{
    bool right[COLUMNS] = {[RECORDS] = true, [SIZE] = true}, any = false, damage = false;
    char buf[FC_TEXT_MAX], name[4 * 4096];
    unsigned terminal = terminal_width();
    int width[COLUMNS];

    for (int c = 0; c < COLUMNS; c++)
        width[c] = (int)strlen(titles[c]);
    for (size_t i = 0; i < list->count; i++)
        for (int c = 0; c < COLUMNS && (!lost_only || is_lost(&list->items[i])); c++) {
            cell(buf, c, &list->items[i]);
            width[c] = (int)strlen(buf) > width[c] ? (int)strlen(buf) : width[c];
            damage |= list->items[i].damaged != 0;
            any = true;
        }
    if (!any)
        return;
    width[KIND] = terminal && terminal < 100 ? 0 : width[KIND];
    width[DAMAGE] = damage ? width[DAMAGE] : 0;
    for (size_t i = 0; i <= list->count; i++) {
        const struct fc_listed_file *f = i ? &list->items[i - 1] : NULL;
        if (f && lost_only && !is_lost(f))
            continue;
        for (int c = 0; c < COLUMNS; c++) {
            if (f)
                cell(buf, c, f);
            if (width[c])
                printf("%*s  ", right[c] ? width[c] : -width[c], f ? buf : titles[c]);
        }
        puts(f ? fc_text_show(f->path, name, sizeof name) : "CAPTURE");
    }
}

static void print_sums(const struct fc_file_list *list)
{
    uint64_t counts[FC_FILE_ARCHIVED + 1] = {0}, size = 0, records = 0;
    char b[3][48];

    for (size_t i = 0; i < list->count; i++) {
        counts[list->items[i].presence]++;
        size += list->items[i].size;
        records += list->items[i].records;
    }
    fprintf(stderr, "%s, %s, %s", fc_human_things(list->count, "capture", b[0], sizeof b[0]),
            fc_human_bytes(size, b[1], sizeof b[1]), fc_human_things(records, "record", b[2], sizeof b[2]));
    for (int i = 0; i <= FC_FILE_ARCHIVED; i++)
        if (counts[i])
            fprintf(stderr, "; %s %s", fc_human_count(counts[i], b[0], sizeof b[0]),
                    fc_presence_name((enum fc_presence)i));
    fputc('\n', stderr);
}

static int list_all(const struct args *a, bool check)
{
    int format = a->format ? fc_row_format_by_name(a->format) : isatty(STDOUT_FILENO) ? FC_ROWS_TABLE : FC_ROWS_TSV;
    struct fc_file_list list = {0};
    struct fc_db *db = NULL;
    struct fc_error err;
    bool lost = false;

    if (format < 0) {
        fc_complain("unknown format '%s'; formats are table, json, csv, tsv", a->format);
        return FC_EXIT_ERROR;
    }
    fc_catch_signals();
    int rc = fc_db_open(fc_db_name(a->db), &db, &err);
    if (rc == 0)
        rc = fc_files_list(db, check || a->verbose, &fc_stop, &list, &err);
    for (int i = 0; rc == 0 && i < KEYS && !(check && a->quiet) && (format == FC_ROWS_CSV || format == FC_ROWS_TSV);
         i++) {
        put_key((enum fc_row_format)format, i);
        fputs(keys[i], stdout);
        if (i == KEYS - 1)
            fputs(format == FC_ROWS_CSV ? "\r\n" : "\n", stdout);
    }
    for (size_t i = 0; i < list.count; i++) {
        lost |= is_lost(&list.items[i]);
        if (format != FC_ROWS_TABLE && !(check && (a->quiet || !is_lost(&list.items[i]))))
            put_row((enum fc_row_format)format, &list.items[i]);
        if (list.items[i].why && !(check && a->quiet))
            fc_complain("%s: %s", list.items[i].path, list.items[i].why);
    }
    if (format == FC_ROWS_TABLE && !(check && a->quiet))
        print_table(&list, check);
    if (rc)
        fc_complain_error(&err);
    rc = fc_output_done() || rc ? FC_EXIT_ERROR : check && lost ? FC_EXIT_NONE : FC_EXIT_OK;
    if (rc != FC_EXIT_ERROR && !a->quiet)
        print_sums(&list);
    fc_file_list_fini(&list);
    fc_db_close(db);
    return rc;
}

static int relocate(const struct args *a, const char *from, const char *to)
{
    struct fc_relocate_result r;
    struct fc_error err;
    char b[5][48];

    fc_catch_signals();
    int rc = fc_files_relocate(fc_db_name(a->db), from, to, &fc_stop, &r, &err);
    for (size_t i = 0; i < r.problem_count; i++)
        fc_complain_error(&r.problems[i]);
    if (r.missing + r.changed > r.problem_count)
        fc_complain("and %s more", fc_human_count(r.missing + r.changed - r.problem_count, b[0], sizeof b[0]));
    if (rc)
        fc_complain_error(&err);
    else if (!a->quiet)
        fprintf(stderr, "%s under the old name: %s found under the new one, %s missing, %s changed, %s left as %s\n",
                fc_human_things(r.matched, "capture", b[0], sizeof b[0]), fc_human_count(r.moved, b[1], sizeof b[1]),
                fc_human_count(r.missing, b[2], sizeof b[2]), fc_human_count(r.changed, b[3], sizeof b[3]),
                fc_human_count(r.left_out, b[4], sizeof b[4]), r.left_out == 1 ? "it was" : "they were");
    if (rc == 0 && r.wal_left && !a->quiet)
        fc_complain("warning: %s has a -wal or -journal file beside it, since it is being read, or the disk is full or "
                    "fails; copy both, until the next run that writes has made them one",
                    fc_db_name(a->db));
    rc = rc || r.missing || r.changed ? FC_EXIT_ERROR : r.moved ? FC_EXIT_OK : FC_EXIT_NONE;
    fc_relocate_result_fini(&r);
    return rc;
}

static int run(int argc, char **argv)
{
    struct args a = {0};
    int first, rc = fc_options_parse(&fc_command_files, argc, argv, &a, &first);
    const char *word = rc < 0 && first < argc ? argv[first] : "";

    if (rc >= 0)
        return rc;
    if (first == argc)
        return list_all(&a, false);
    if (strcmp(word, "check") == 0 && argc - first == 1)
        return list_all(&a, true);
    if (strcmp(word, "relocate") == 0 && argc - first == 3 && *argv[first + 1] && *argv[first + 2])
        return relocate(&a, argv[first + 1], argv[first + 2]);
    fc_complain("files: takes no words, 'check', or 'relocate OLD NEW' (see 'flowcarve files --help')");
    return FC_EXIT_ERROR;
}

const struct fc_command fc_command_files = {
    .name = "files",
    .usage = "[OPTION...] [check | relocate OLD NEW]",
    .summary = "list the captures of an index, check them, tell where they are",
    .details =
        "States: present; pending (it ends inside a record); grown (index it again); changed (another content); "
        "missing; "
        "unreadable; gone (another capture has its name); forgotten; archived (it has a URL, and nobody was asked). "
        "Files "
        "whose size and times are as noted are not opened.\n"
        "check compares fingerprints and lists the captures whose packets cannot be carved; exit status 1: there are "
        "some.\n"
        "relocate: captures under OLD, a folder or a capture, are under NEW now. Those that are there, by their "
        "fingerprint, get that name in the index; exit status 2 when others are in neither place or changed, 1 when "
        "there was nothing to do. Either may be a URL of http://, https:// or s3://BUCKET/: what lies there is read by "
        "ranges, a little at a time.\n",
    .options = options,
    .values = values,
    .run = run,
};
