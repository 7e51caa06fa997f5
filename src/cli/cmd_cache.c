/* SPDX-License-Identifier: MIT */
#include "cli/cli.h"
#include "cli/cmd_query.h"
#include "cli/grid.h"
#include "cli/reading.h"

#include <dirent.h>
#include <errno.h>
#include <flowcarve/files.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct args {
    const char *format;
    bool quiet, verbose;
};

static const struct fc_option options[] = {
    {"format", 'f', "NAME", "table, json (an object a line), csv or tsv (default: table on a terminal, else tsv)",
     FC_WORD(struct args, format)},
    {"quiet", 'q', NULL, "errors only", FC_FLAG(struct args, quiet)},
    {"verbose", 'v', NULL, "of clear: name what is removed", FC_FLAG(struct args, verbose)},
    {0},
};

static const struct fc_values values[] = {{"format", "table json csv tsv"}, {0}};

static const struct fc_grid_column columns[] = {
    {"used", "USED", false, true, 2},           {"size", "SIZE", true, false, 0},
    {"captures", "CAPTURES", true, false, 0},   {"records", "RECORDS", true, false, 1},
    {"first_capture", "FIRST", false, true, 0}, {"index", "INDEX", false, true, 3},
};

enum { COLUMNS = sizeof columns / sizeof columns[0] };

/* A row of the list. *read becomes false where an index could not be read, which is told; another version's is none. */
static int write_index(struct fc_grid *grid, const char *path, const struct stat *st, bool *read)
{
    char used[FC_TEXT_MAX], size[48], captures[48] = "", records[48] = "";
    const bool people = grid->format == FC_ROWS_TABLE;
    struct fc_file_list list = {0};
    struct fc_db *db = NULL;
    struct fc_error err;
    uint64_t sum = 0;
    int rc = fc_db_open(path, &db, &err);

    if (rc == 0)
        rc = fc_files_list(db, false, NULL, &list, &err);
    if (rc && rc != FC_E_SCHEMA && rc != FC_E_FORMAT) {
        fc_complain_error(&err);
        *read = false;
    }
    for (size_t i = 0; i < list.count; i++)
        sum += list.items[i].records;
    *fc_text_time(used, (int64_t)st->st_mtim.tv_sec * 1000000000) = '\0';
    if (people && strlen(used) > 19) {
        used[19] = '\0';
        used[10] = ' ';
    }
    if (people) {
        fc_human_bytes((uint64_t)st->st_size, size, sizeof size);
        fc_human_count(list.count, captures, sizeof captures);
        fc_human_count(sum, records, sizeof records);
    } else {
        snprintf(size, sizeof size, "%lld", (long long)st->st_size);
        snprintf(captures, sizeof captures, "%zu", list.count);
        snprintf(records, sizeof records, "%" PRIu64, sum);
    }
    const char *texts[COLUMNS] = {
        used, size, rc ? NULL : captures, rc ? NULL : records, list.count ? list.items[0].path : NULL, path};
    rc = fc_grid_row(grid, texts);
    fc_file_list_fini(&list);
    fc_db_close(db);
    return rc;
}

/* Lists or removes all that is kept. */
static int walk(const struct args *a, const char *folder, enum fc_row_format format, bool clear)
{
    DIR *dir = opendir(folder);
    struct fc_out *out = calloc(1, sizeof *out);
    struct fc_grid grid = {.out = out, .format = format, .column = columns, .columns = COLUMNS};
    uint64_t count = 0, bytes = 0;
    int status = FC_EXIT_OK;
    bool read = true;
    char b[2][48];

    if (!out || (!dir && errno != ENOENT)) {
        fc_complain("%s: %s", folder, out ? strerror(errno) : "out of memory");
        if (dir)
            closedir(dir);
        free(out);
        return FC_EXIT_ERROR;
    }
    out->fd = STDOUT_FILENO;
    grid.width = fc_terminal_width();
    if (!clear)
        fc_grid_start(&grid);
    for (struct dirent *e; dir && (e = readdir(dir));) {
        struct stat st;
        char *path;
        if (!fc_cache_is_index(e->d_name))
            continue;
        if (asprintf(&path, "%s/%s", folder, e->d_name) < 0) {
            fc_complain("out of memory");
            status = FC_EXIT_ERROR;
            break;
        }
        if (lstat(path, &st) == 0 && S_ISREG(st.st_mode)) {
            if (clear && fc_cache_remove(path) != 0) {
                fc_complain("%s: %s", path, strerror(errno));
                status = FC_EXIT_ERROR;
            } else if (clear && a->verbose) {
                fc_complain("removed %s", path);
            } else if (!clear && write_index(&grid, path, &st, &read) != 0) {
                fc_complain("out of memory");
                status = FC_EXIT_ERROR;
            }
            count++;
            bytes += (uint64_t)st.st_size;
        }
        free(path);
    }
    if (dir)
        closedir(dir);
    if (!clear)
        fc_grid_finish(&grid);
    int written = fc_rows_end(out, 1);
    free(out);
    status = read ? status : FC_EXIT_ERROR;
    if (!a->quiet && status == FC_EXIT_OK)
        fprintf(stderr, "%s %s%s, %s%s\n", fc_human_count(count, b[0], sizeof b[0]), count == 1 ? "index" : "indexes",
                clear ? " removed" : "", fc_human_bytes(bytes, b[1], sizeof b[1]),
                clear ? "" : "; 'flowcarve cache clear' removes them");
    return status == FC_EXIT_OK ? written : status;
}

static int run(int argc, char **argv)
{
    struct args a = {0};
    int first, rc = fc_options_parse(&fc_command_cache, argc, argv, &a, &first);

    if (rc >= 0)
        return rc;
    bool clear = argc - first == 1 && strcmp(argv[first], "clear") == 0;
    int format = a.format ? fc_row_format_by_name(a.format) : isatty(STDOUT_FILENO) ? FC_ROWS_TABLE : FC_ROWS_TSV;
    if (argc - first > 1 || (argc - first == 1 && !clear)) {
        fc_complain("cache: takes no words, or 'clear' (see 'flowcarve cache --help')");
        return FC_EXIT_ERROR;
    }
    if (format < 0 || format == FC_ROWS_ZEEK) {
        fc_complain("cache: no format '%s'; formats are table, json, csv, tsv", a.format);
        return FC_EXIT_ERROR;
    }
    char *folder = fc_cache_folder();
    if (!folder) {
        fc_complain("cache: $HOME is not set");
        return FC_EXIT_ERROR;
    }
    rc = walk(&a, folder, (enum fc_row_format)format, clear);
    free(folder);
    return rc;
}

const struct fc_command fc_command_cache = {
    .name = "cache",
    .usage = "[OPTION...] [clear]",
    .summary = "list or remove the indexes that -r has made",
    .details =
        "query, top, stats, packets, follow and carve take captures by -r in place of an index. What they index on the "
        "way is "
        "kept in $XDG_CACHE_HOME/flowcarve, or ~/.cache/flowcarve: an index for each set of captures and folders that "
        "was named, which is brought up to date when it is used again. All of it can be removed at any time.\n",
    .options = options,
    .values = values,
    .run = run,
};
