/* SPDX-License-Identifier: MIT */
/* `flowcarve top` and `flowcarve stats`: sums over sessions. Their options are in top_options.c. */
#include "cli/cmd_top.h"
#include "cli/cli.h"
#include "cli/cmd_query.h"
#include "cli/grid.h"
#include "cli/table_cell.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum { SCREEN_ROWS = 20, BAR_MAX = 60, BAR_MIN = 10, TEXT = FC_CELL_MAX };

/* All columns that there are; those of the group come first. */
enum column {
    CLIENT,
    SERVER,
    HOST,
    PORT,
    PROTO,
    STATE,
    FILE_ID,
    PATH,
    VLAN,
    TUNNEL,
    SENSOR,
    TIME,
    SESSIONS,
    PEERS,
    HOSTS,
    PORTS,
    PACKETS,
    BYTES,
    SENT,
    RECEIVED,
    CLIENT_BYTES,
    SERVER_BYTES,
    FIRST,
    LAST,
    INTERVAL,
    DEVIATION,
    BAR,
    COLUMNS
};

#define BIT(column) (1u << (column))

static const struct fc_grid_column all_columns[COLUMNS] = {
    [CLIENT] = {"client", "CLIENT", false, true, 0},
    [SERVER] = {"server", "SERVER", false, true, 0},
    [HOST] = {"host", "HOST", false, true, 0},
    [PORT] = {"port", "PORT", true, false, 0},
    [PROTO] = {"proto", "PROTO", false, true, 0},
    [STATE] = {"state", "STATE", false, true, 0},
    [FILE_ID] = {"file", "FILE", true, false, 0},
    [PATH] = {"path", "PATH", false, true, 0},
    [VLAN] = {"vlan", "VLAN", false, true, 0},
    [TUNNEL] = {"tunnel", "TUNNEL", false, true, 0},
    [SENSOR] = {"sensor", "SENSOR", false, true, 0},
    [TIME] = {"time", "TIME", false, true, 0},
    [SESSIONS] = {"sessions", "SESSIONS", true, false, 1},
    [PEERS] = {"peers", "PEERS", true, false, 4},
    [HOSTS] = {"hosts", "HOSTS", true, false, 4},
    [PORTS] = {"ports", "PORTS", true, false, 5},
    [PACKETS] = {"packets", "PACKETS", true, false, 3},
    [BYTES] = {"bytes", "BYTES", true, false, 1},
    [SENT] = {"sent_bytes", "SENT", true, false, 2},
    [RECEIVED] = {"received_bytes", "RECEIVED", true, false, 2},
    [CLIENT_BYTES] = {"client_bytes", "BY-CLIENT", true, false, 6},
    [SERVER_BYTES] = {"server_bytes", "BY-SERVER", true, false, 6},
    [FIRST] = {"first", "FIRST", false, true, 8},
    [LAST] = {"last", "LAST", false, true, 7},
    [INTERVAL] = {"interval_mean", "INTERVAL", true, false, 1},
    [DEVIATION] = {"interval_deviation", "DEVIATION", true, false, 1},
    [BAR] = {"", "", false, false, 1},
};

#define TRAFFIC BIT(PACKETS) | BIT(BYTES)
#define SPAN BIT(FIRST) | BIT(LAST)
#define ADDRESS BIT(SESSIONS) | BIT(PEERS) | BIT(PORTS) | TRAFFIC | BIT(SENT) | BIT(RECEIVED) | SPAN

/* What --by can be, what names a group then, and the columns without --columns; `extra`: others that there can be. */
static const struct grouping {
    const char *name, *thing;
    enum fc_top_by by;
    uint32_t group, figures, extra;
} groupings[] = {
    {"client", "client", FC_TOP_CLIENT, BIT(CLIENT), ADDRESS, 0},
    {"server", "server", FC_TOP_SERVER, BIT(SERVER), ADDRESS, 0},
    {"host", "host", FC_TOP_HOST, BIT(HOST), ADDRESS, 0},
    {"pair", "pair", FC_TOP_PAIR, BIT(CLIENT) | BIT(SERVER),
     BIT(SESSIONS) | BIT(PORTS) | TRAFFIC | BIT(CLIENT_BYTES) | BIT(SERVER_BYTES) | SPAN, 0},
    {"port", "port", FC_TOP_PORT, BIT(PORT) | BIT(PROTO), BIT(SESSIONS) | BIT(HOSTS) | TRAFFIC | SPAN,
     BIT(CLIENT_BYTES) | BIT(SERVER_BYTES)},
    {"protocol", "protocol", FC_TOP_PROTOCOL, BIT(PROTO), BIT(SESSIONS) | BIT(HOSTS) | BIT(PORTS) | TRAFFIC | SPAN,
     BIT(CLIENT_BYTES) | BIT(SERVER_BYTES)},
    {"state", "state", FC_TOP_STATE, BIT(STATE), BIT(SESSIONS) | BIT(HOSTS) | BIT(PORTS) | TRAFFIC | SPAN,
     BIT(CLIENT_BYTES) | BIT(SERVER_BYTES)},
    {"file", "file", FC_TOP_FILE, BIT(FILE_ID) | BIT(PATH),
     BIT(SESSIONS) | BIT(HOSTS) | BIT(PORTS) | BIT(PACKETS) | SPAN, 0},
    {"vlan", "VLAN", FC_TOP_VLAN, BIT(VLAN), BIT(SESSIONS) | BIT(HOSTS) | BIT(PORTS) | TRAFFIC | SPAN,
     BIT(CLIENT_BYTES) | BIT(SERVER_BYTES)},
    {"tunnel", "tunnel", FC_TOP_TUNNEL, BIT(TUNNEL), BIT(SESSIONS) | BIT(HOSTS) | BIT(PORTS) | TRAFFIC | SPAN,
     BIT(CLIENT_BYTES) | BIT(SERVER_BYTES)},
    {"sensor", "sensor", FC_TOP_SENSOR, BIT(SENSOR), BIT(SESSIONS) | BIT(HOSTS) | BIT(PORTS) | TRAFFIC | SPAN,
     BIT(CLIENT_BYTES) | BIT(SERVER_BYTES)},
    {"time", "bucket", FC_TOP_TIME, BIT(TIME), BIT(SESSIONS) | TRAFFIC,
     BIT(HOSTS) | BIT(PORTS) | BIT(CLIENT_BYTES) | BIT(SERVER_BYTES) | SPAN},
    {NULL, "total", FC_TOP_TOTAL, 0,
     BIT(SESSIONS) | BIT(HOSTS) | BIT(PORTS) | TRAFFIC | BIT(CLIENT_BYTES) | BIT(SERVER_BYTES) | SPAN, 0},
};

enum { GROUPINGS = sizeof groupings / sizeof groupings[0] };

struct view {
    const struct fc_top_args *args;
    const struct grouping *grouping;
    enum fc_row_format format;
    enum column column[FC_GRID_COLUMNS];
    unsigned columns;
    char sort[32];
    enum column sorted;   /* by which; COLUMNS: none that was asked for */
    enum column measured; /* what the bars show */
    uint64_t most;        /* of it in a bucket */
    unsigned bar;         /* columns of the longest */
    bool unicode;
    bool fraction; /* buckets are parts of a second */
};

/* ---------------------------------------------------------------- what is asked for */

static const struct grouping *find_grouping(const char *name)
{
    if (name && strcmp(name, "proto") == 0)
        name = "protocol";
    for (int i = 0; i < GROUPINGS; i++)
        if (name == groupings[i].name || (name && groupings[i].name && strcmp(name, groupings[i].name) == 0))
            return &groupings[i];
    fc_complain(
        "top: cannot group by '%s'; --by is client, server, host, pair, port, protocol, state, file, vlan, tunnel, "
        "sensor (with --cluster) or time",
        name);
    return NULL;
}

/* Any of the groupings' figures by its key, '-' as good as '_'. COLUMNS: there is none. */
static enum column find_column(const char *name, size_t len)
{
    for (int c = SESSIONS; c < BAR; c++) {
        const char *key = all_columns[c].key;
        size_t i = 0;

        while (i < len && key[i] && (key[i] == name[i] || (key[i] == '_' && name[i] == '-')))
            i++;
        if (i == len && !key[i])
            return (enum column)c;
    }
    return COLUMNS;
}

static uint32_t columns_possible(const struct grouping *g)
{
    return g->figures | g->extra | (g->by == FC_TOP_TIME || g->by == FC_TOP_TOTAL ? 0 : BIT(INTERVAL) | BIT(DEVIATION));
}

static bool fail_column(const struct view *v, const char *name, size_t len)
{
    char list[256];
    size_t used = 0;

    for (int c = SESSIONS; c < BAR; c++)
        if (c != DEVIATION && (columns_possible(v->grouping) & BIT(c)))
            used += (size_t)snprintf(list + used, sizeof list - used, "%s%s", used ? ", " : "",
                                     c == INTERVAL ? "interval" : all_columns[c].key);
    fc_complain("%s: no column '%.*s' here; --columns are of %s", v->args->command, (int)len, name, list);
    return false;
}

static void add_column(struct view *v, enum column column)
{
    for (unsigned i = 0; i < v->columns; i++)
        if (v->column[i] == column)
            return;
    v->column[v->columns++] = column;
}

static bool read_columns(struct view *v, const char *list)
{
    uint32_t possible = columns_possible(v->grouping);

    while (*list) {
        size_t len = strcspn(list, ",");
        bool interval = len == 8 && memcmp(list, "interval", 8) == 0;
        enum column c = interval ? INTERVAL : find_column(list, len);

        if (c == COLUMNS || !(possible & BIT(c)))
            return fail_column(v, list, len);
        add_column(v, c);
        if (interval)
            add_column(v, DEVIATION);
        list += len + (list[len] == ',');
    }
    return true;
}

/* What a key of --sort is to the library, whose figures have one name whatever the group. */
static bool read_sort(struct view *v, const char *sort)
{
    static const struct {
        enum column column;
        const char *key;
    } keys[] = {{SESSIONS, "sessions"},
                {PEERS, "peers"},
                {HOSTS, "peers"},
                {PORTS, "ports"},
                {PACKETS, "packets"},
                {BYTES, "bytes"},
                {SENT, "sent_bytes"},
                {RECEIVED, "received_bytes"},
                {CLIENT_BYTES, "sent_bytes"},
                {SERVER_BYTES, "received_bytes"},
                {FIRST, "first"},
                {LAST, "last"},
                {INTERVAL, "interval"}};
    size_t len = strcspn(sort, ":");
    enum column c = len == 8 && memcmp(sort, "interval", 8) == 0 ? INTERVAL : find_column(sort, len);
    bool by_name = v->grouping->name && strlen(v->grouping->name) == len && memcmp(v->grouping->name, sort, len) == 0;
    const char *key = by_name ? "key" : NULL;

    for (size_t i = 0; !by_name && i < sizeof keys / sizeof keys[0]; i++)
        if (keys[i].column == c && (columns_possible(v->grouping) & BIT(c)))
            key = keys[i].key;
    if (!key || (sort[len] && strcmp(sort + len, ":asc") != 0 && strcmp(sort + len, ":desc") != 0)) {
        fc_complain("%s: cannot sort by '%s'; KEY[:asc|:desc] with KEY a column, or '%s'", v->args->command, sort,
                    v->grouping->name ? v->grouping->name : "bytes");
        return false;
    }
    snprintf(v->sort, sizeof v->sort, "%s%s", key, sort + len);
    if (!by_name)
        add_column(v, c);
    v->sorted = by_name ? COLUMNS : c;
    if (!by_name && c < FIRST)
        v->measured = c;
    return true;
}

/* Whether the locale has more than ASCII to draw with. */
static bool has_unicode(void)
{
    const char *names[] = {"LC_ALL", "LC_CTYPE", "LANG"};

    for (int i = 0; i < 3; i++) {
        const char *value = getenv(names[i]);
        if (value && *value)
            return strcasestr(value, "utf-8") || strcasestr(value, "utf8");
    }
    return false;
}

static bool prepare(struct view *v)
{
    const struct fc_top_args *a = v->args;

    if (!(v->grouping = find_grouping(a->by)))
        return false;
    if (a->bucket_ns && v->grouping->by != FC_TOP_TIME && !a->by_time) {
        fc_complain("top: --bucket goes with --by time");
        return false;
    }
    for (int c = 0; c < SESSIONS; c++)
        if ((v->grouping->group & BIT(c)) || (c == TIME && a->by_time))
            add_column(v, (enum column)c);
    for (int c = SESSIONS; !a->columns && c < BAR; c++)
        if (v->grouping->figures & BIT(c))
            add_column(v, (enum column)c);
    v->measured = BYTES;
    v->sorted = COLUMNS;
    if ((a->columns && !read_columns(v, a->columns)) || (a->sort && !read_sort(v, a->sort)))
        return false;
    if (v->grouping->by == FC_TOP_TIME && v->format == FC_ROWS_TABLE) {
        v->unicode = has_unicode();
        add_column(v, BAR);
    }
    return true;
}

static uint32_t figures_of(const struct view *v)
{
    uint32_t figures = 0;

    for (unsigned i = 0; i < v->columns; i++)
        figures |= v->column[i] == PEERS || v->column[i] == HOSTS          ? FC_TOP_PEERS
                   : v->column[i] == PORTS                                 ? FC_TOP_PORTS
                   : v->column[i] == INTERVAL || v->column[i] == DEVIATION ? FC_TOP_INTERVAL
                                                                           : 0;
    return figures;
}

/* ---------------------------------------------------------------- texts */

static uint64_t figure(const struct fc_top_row *r, enum column c)
{
    switch (c) {
    case SESSIONS:
        return r->sessions;
    case PEERS:
    case HOSTS:
        return r->peers;
    case PORTS:
        return r->ports;
    case PACKETS:
        return r->packets;
    case SENT:
    case CLIENT_BYTES:
        return r->sent_bytes;
    case RECEIVED:
    case SERVER_BYTES:
        return r->received_bytes;
    default:
        return r->bytes;
    }
}

static const char *write_bar(const struct view *v, char *buf, uint64_t value)
{
    static const char *const eighths[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
    double share = v->most ? (double)value / (double)v->most : 0;
    unsigned units = (unsigned)(share * v->bar * 8 + 0.5);
    char *p = buf;

    units += value && !units; /* what is not nothing is seen */
    for (unsigned i = 0; i < units / 8; i++)
        p = stpcpy(p, v->unicode ? "█" : "#");
    strcpy(p, v->unicode ? eighths[units % 8] : units % 8 >= 4 || (units && units < 8) ? "#" : "");
    return buf;
}

static const char *write_time(const struct view *v, char *buf, int64_t ns)
{
    if (v->format == FC_ROWS_TABLE)
        fc_cell_time(buf, ns, v->fraction ? 3 : 0, v->args->zone.local);
    else
        *(v->args->zone.local ? fc_text_local(buf, ns) : fc_text_time(buf, ns)) = '\0';
    return buf;
}

static const char *write_seconds(const struct view *v, char *buf, double seconds)
{
    if (v->format == FC_ROWS_TABLE)
        fc_cell_duration(buf, (uint64_t)(seconds * 1e9));
    else
        snprintf(buf, TEXT, "%.9f", seconds);
    return buf;
}

static const char *write_figure(const struct view *v, char *buf, uint64_t value, bool rounded)
{
    if (v->format != FC_ROWS_TABLE)
        *fc_text_number(buf, value) = '\0';
    else if (rounded)
        fc_cell_number(buf, value);
    else
        fc_human_count(value, buf, TEXT);
    return buf;
}

static const char *write_addr(char *buf, int kind, const uint8_t *addr)
{
    char *end = fc_text_addr(buf, kind, addr);

    *end = '\0';
    return end == buf ? NULL : buf;
}

/* The text of a column, NULL for none; in `buf` or the row's own. */
static const char *text_of(const struct view *v, char buf[TEXT], enum column c, const struct fc_top_row *r)
{
    switch (c) {
    case CLIENT:
    case HOST:
        return write_addr(buf, r->kind, r->addr);
    case SERVER:
        return write_addr(buf, r->kind, v->grouping->by == FC_TOP_PAIR ? r->server : r->addr);
    case PORT:
        snprintf(buf, TEXT, "%d", r->port);
        return r->port < 0 ? NULL : buf;
    case PROTO:
        *fc_text_proto(buf, r->proto) = '\0';
        return buf;
    case STATE:
        return fc_state_name(r->state);
    case FILE_ID:
        *fc_text_number(buf, r->file) = '\0';
        return buf;
    case PATH:
    case VLAN:
    case TUNNEL:
    case SENSOR:
        return r->text;
    case TIME:
        return r->has_bucket ? write_time(v, buf, r->bucket_ns) : NULL;
    case FIRST:
    case LAST:
        return r->has_time ? write_time(v, buf, c == FIRST ? r->first_ns : r->last_ns) : NULL;
    case INTERVAL:
    case DEVIATION:
        return r->intervals ? write_seconds(v, buf, c == INTERVAL ? r->interval_mean : r->interval_deviation) : NULL;
    case BAR:
        return write_bar(v, buf, figure(r, v->measured));
    default:
        return write_figure(v, buf, figure(r, c), c >= PACKETS);
    }
}

/* ---------------------------------------------------------------- output */

/* A line each, with the words that are the keys of the other formats. */
static void print_totals(const struct view *v, struct fc_out *out, const struct fc_top_row *row)
{
    for (unsigned i = 0; i < v->columns; i++) {
        enum column c = v->column[i];
        char buf[TEXT], line[2 * TEXT], human[32], *at = line;
        const char *text =
            c >= PACKETS && c < FIRST ? fc_human_count(figure(row, c), buf, sizeof buf) : text_of(v, buf, c, row);

        at += sprintf(at, "%-12s  %s", all_columns[c].key, text ? text : "-");
        if (c >= BYTES && c < FIRST && figure(row, c) >= 1000)
            at += sprintf(at, " (%s)", fc_human_bytes(figure(row, c), human, sizeof human));
        if ((c == FIRST || c == LAST) && text)
            at += sprintf(at, " %s", fc_zone_name(&v->args->zone));
        strcpy(at, "\n");
        fc_out_text(out, line);
    }
}

static const char *thing_of(const struct view *v)
{
    return v->args->by_time ? "row" : v->grouping->thing;
}

/* "20 of 8,192 hosts", for people who see only the first ones. */
static void print_rest(const struct view *v, struct fc_out *out, uint64_t rows, uint64_t groups)
{
    char a[32], line[128];

    if (rows >= groups)
        return;
    snprintf(line, sizeof line, "%" PRIu64 " of %s\n", rows, fc_human_things(groups, thing_of(v), a, sizeof a));
    fc_out_text(out, line);
}

/* How long the longest bar is: what the terminal leaves. */
static void measure_bars(struct view *v, const struct fc_top_row *rows, size_t count, unsigned width)
{
    unsigned used = 0;
    char buf[TEXT];

    for (unsigned i = 0; i < v->columns; i++) {
        unsigned widest = fc_grid_width(all_columns[v->column[i]].title);

        for (size_t k = 0; k < count; k++) {
            const char *text = v->column[i] == BAR ? NULL : text_of(v, buf, v->column[i], &rows[k]);
            widest = text && fc_grid_width(text) > widest ? fc_grid_width(text) : widest;
        }
        used += widest + 2;
    }
    for (size_t k = 0; k < count; k++)
        v->most = figure(&rows[k], v->measured) > v->most ? figure(&rows[k], v->measured) : v->most;
    v->bar = !width || width > used + BAR_MAX ? BAR_MAX : width < used + BAR_MIN ? BAR_MIN : width - used;
}

static int print_rows(struct view *v, struct fc_out *out, struct fc_top *top)
{
    struct fc_grid_column columns[FC_GRID_COLUMNS];
    struct fc_grid grid = {.out = out,
                           .format = v->format,
                           .color = v->args->color,
                           .column = columns,
                           .columns = v->columns,
                           .width = v->args->tty ? fc_terminal_width() : 0};
    char titles[FC_GRID_COLUMNS][sizeof v->args->zone.name + 8];
    struct fc_top_row row, *rows = NULL;
    size_t count = 0, room = 0;
    uint64_t given = 0;
    int rc = 0;

    for (unsigned i = 0; i < v->columns; i++) {
        columns[i] = all_columns[v->column[i]];
        if (v->args->columns || v->column[i] == v->sorted)
            columns[i].spare = 0;
        if (v->column[i] == TIME || v->column[i] == FIRST || v->column[i] == LAST) {
            snprintf(titles[i], sizeof titles[i], "%s (%s)", columns[i].title, fc_zone_name(&v->args->zone));
            columns[i].title = titles[i];
        }
    }
    /* the longest bar is known when all rows are */
    while (v->grouping->by == FC_TOP_TIME && v->format == FC_ROWS_TABLE && fc_top_next(top, &row)) {
        if (count == room) {
            room = room ? room * 2 : 64;
            struct fc_top_row *bigger = realloc(rows, room * sizeof *rows);
            if (!bigger) {
                free(rows);
                return -1;
            }
            rows = bigger;
        }
        rows[count++] = row;
    }
    if (rows)
        measure_bars(v, rows, count, grid.width);
    fc_grid_start(&grid);
    for (size_t k = 0; rc == 0 && !out->failed && (k < count || (!rows && fc_top_next(top, &row))); k++) {
        char buf[FC_GRID_COLUMNS][TEXT];
        const char *texts[FC_GRID_COLUMNS];

        for (unsigned i = 0; i < v->columns; i++)
            texts[i] = text_of(v, buf[i], v->column[i], rows ? &rows[k] : &row);
        rc = fc_grid_row(&grid, texts);
        given += (rows ? &rows[k] : &row)->sessions > 0;
    }
    fc_grid_finish(&grid);
    if (rc == 0 && v->args->tty && v->format == FC_ROWS_TABLE)
        print_rest(v, out, given, fc_top_groups(top));
    free(rows);
    return rc;
}

static int print(struct view *v, struct fc_top *top)
{
    struct fc_out *out = calloc(1, sizeof *out);
    struct fc_top_row row;
    char b[48];
    int rc = out ? 0 : -1;
    int64_t groups = (int64_t)fc_top_groups(top);

    v->fraction = fc_top_bucket(top) % 1000000000 != 0;
    if (out) {
        out->fd = STDOUT_FILENO;
        if (v->args->quiet)
            rc = 0;
        else if (v->grouping->by == FC_TOP_TOTAL && v->format == FC_ROWS_TABLE && fc_top_next(top, &row))
            print_totals(v, out, &row);
        else if (groups || v->format != FC_ROWS_TABLE)
            rc = print_rows(v, out, top);
    }
    if (rc)
        fc_complain("out of memory");
    rc = rc ? FC_EXIT_ERROR : fc_rows_end(out, groups);
    if (v->args->verbose && !v->args->quiet && rc != FC_EXIT_ERROR)
        fprintf(stderr, "%s\n", fc_human_things((uint64_t)groups, thing_of(v), b, sizeof b));
    free(out);
    return rc;
}

int fc_cmd_top_run(struct fc_top_args *args)
{
    int format = args->format ? fc_row_format_by_name(args->format) : args->tty ? FC_ROWS_TABLE : FC_ROWS_TSV;
    struct view view = {.args = args, .format = (enum fc_row_format)format};
    struct fc_filter *filter = NULL;
    struct fc_db *db = NULL;
    struct fc_top *top = NULL;
    struct fc_error err;
    int status = FC_EXIT_ERROR;

    if (format < 0 || format == FC_ROWS_ZEEK) {
        fc_complain("unknown format '%s'; formats are table, json, csv, tsv", args->format);
        return FC_EXIT_ERROR;
    }
    if (!prepare(&view))
        return FC_EXIT_ERROR;
    struct fc_top_options options = {.by = view.grouping->by,
                                     .figures = args->quiet ? 0 : figures_of(&view),
                                     .sort = *view.sort ? view.sort : NULL,
                                     .limit = args->limit,
                                     .rough_groups = !args->verbose && !(args->tty && view.format == FC_ROWS_TABLE),
                                     .bucket_ns = args->bucket_ns,
                                     .by_time = args->by_time};
    if (args->limit < 0)
        options.limit = view.format == FC_ROWS_TABLE && args->tty && options.by != FC_TOP_TIME ? SCREEN_ROWS : 0;
    bool begun = args->cluster.path ? fc_query_parse(args->filter, &args->zone, &filter) &&
                                          fc_cluster_option_open(&args->cluster, args->command, args->quiet)
                                    : fc_query_begin(args->filter, &args->zone, args->db, &filter, &db);
    if (begun) {
        if ((args->cluster.path ? fc_inquiry_top(args->cluster.inquiry, filter, &options, &top, &err)
                                : fc_top_open(db, filter, &options, &top, &err)) != 0)
            fc_complain_error(&err);
        else
            status = print(&view, top);
    }
    fc_top_close(top);
    fc_cluster_option_close(&args->cluster);
    fc_db_close(db);
    fc_filter_free(filter);
    return status;
}
