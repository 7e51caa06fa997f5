/* SPDX-License-Identifier: MIT */
#include "cli/id_list.h"
#include "cli/cli.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TOLD = 10, SHORT = 64 };

static bool add(struct fc_id_list *list, int64_t first, int64_t last)
{
    if (list->count == list->room) {
        size_t room = list->room ? list->room * 2 : 64;
        struct fc_id_range *bigger = realloc(list->items, room * sizeof *bigger);
        if (!bigger) {
            fc_complain("out of memory");
            return false;
        }
        list->items = bigger;
        list->room = room;
    }
    list->items[list->count++] = (struct fc_id_range){first, last};
    return true;
}

/* Digits, which end where anything else begins. */
static bool take_number(const char **text, const char *end, int64_t *number)
{
    const char *p = *text;

    for (*number = 0; p < end && *p >= '0' && *p <= '9'; p++)
        if (__builtin_mul_overflow(*number, 10, number) || __builtin_add_overflow(*number, *p - '0', number))
            return false;
    bool any = p > *text;
    *text = p;
    return any;
}

/* "5", "5-30", or "-1", a provisional session. */
static bool parse(const char *p, const char *end, struct fc_id_range *range)
{
    bool negative = p < end && *p == '-';

    p += negative;
    if (!take_number(&p, end, &range->first))
        return false;
    range->first = range->last = negative ? -range->first : range->first;
    if (p < end && *p == '-' && !negative) {
        p++;
        if (!take_number(&p, end, &range->last))
            return false;
    }
    if (range->last < range->first)
        *range = (struct fc_id_range){range->last, range->first};
    return p == end;
}

/* The words of a text, between which are any of `between`; *word, of *len bytes, is the one that is no good. */
static bool add_words(struct fc_id_list *list, const char *text, const char *between, const char **word, size_t *len)
{
    struct fc_id_range range;

    for (*len = 0;; text = *word + *len) {
        *word = text + strspn(text, between);
        *len = strcspn(*word, between);
        if (!*len)
            return true;
        if (!parse(*word, *word + *len, &range))
            return false;
        if (!add(list, range.first, range.last)) {
            *len = 0;
            return false;
        }
    }
}

static bool read_lines(struct fc_id_list *list, const char *command, FILE *f, const char *name)
{
    char *line = NULL;
    const char *word;
    size_t room = 0, len;
    unsigned long long number = 0;
    ssize_t n;
    bool good = true;

    while (good && (n = getline(&line, &room, f)) >= 0) {
        number++;
        good = strlen(line) == (size_t)n; /* a NUL ends a line for nobody */
        word = line;
        len = good ? 0 : (size_t)n;
        line[strcspn(line, "#")] = '\0';
        if (!good || !(good = add_words(list, line, " \t\r\n\v\f,", &word, &len)))
            if (len)
                fc_complain("%s: %s, line %llu: '%.*s' is no ID of a session", command, name, number,
                            (int)(len < 100 ? len : 100), word);
    }
    if (good && ferror(f)) {
        fc_complain("%s: cannot read %s: %s", command, name, strerror(errno));
        good = false;
    }
    free(line);
    return good;
}

static bool add_file(struct fc_id_list *list, const char *command, const char *name)
{
    FILE *f = fopen(name, "rbe");
    bool good = f && read_lines(list, command, f, name);

    if (!f)
        fc_complain("%s: cannot open %s: %s", command, name, strerror(errno));
    else
        fclose(f);
    return good;
}

int fc_take_ids(const char *command, void *place, const char *value)
{
    struct fc_id_list *list = place;
    const char *word;
    size_t len;

    list->given = true;
    if (value[0] == '@')
        return add_file(list, command, value + 1) ? 0 : -1;
    if (strcmp(value, "-") == 0) {
        list->standard = true;
        return read_lines(list, command, stdin, "standard input") ? 0 : -1;
    }
    if (*value && *value != ',' && add_words(list, value, ",", &word, &len))
        return 0;
    fc_complain("%s: --id takes numbers and ranges with commas between them, @FILE or -, not '%s'", command, value);
    return -1;
}

static int compare(const void *a, const void *b)
{
    const struct fc_id_range *x = a, *y = b;

    if (x->first != y->first)
        return x->first < y->first ? -1 : 1;
    return x->last < y->last ? -1 : x->last > y->last;
}

void fc_id_list_sort(struct fc_id_list *list)
{
    size_t count = 0;

    if (list->count)
        qsort(list->items, list->count, sizeof *list->items, compare);
    for (size_t i = 0; i < list->count; i++)
        if (!count || compare(&list->items[count - 1], &list->items[i]) != 0)
            list->items[count++] = list->items[i];
    list->count = count;
}

uint64_t fc_id_list_ids(const struct fc_id_list *list)
{
    uint64_t total = 0;
    int64_t behind = INT64_MIN;

    for (size_t i = 0; i < list->count; i++) {
        const struct fc_id_range *range = &list->items[i];
        int64_t first = range->first < behind ? behind : range->first;
        if (first > range->last)
            continue;
        total += (uint64_t)range->last - (uint64_t)first + 1;
        behind = range->last == INT64_MAX ? INT64_MAX : range->last + 1;
    }
    return total;
}

/* A query for sessions whose IDs are in the ranges; NULL: it cannot be made. */
static struct fc_query *ask(struct fc_db *db, const struct fc_id_range *ranges, size_t count, int64_t limit,
                            struct fc_filter **filter)
{
    struct fc_query_options options = {.limit = limit};
    struct fc_query *query = NULL;

    *filter = NULL;
    if (fc_filter_parse("", 0, filter, NULL) == 0 && fc_filter_narrow(*filter, ranges, count) == 0 &&
        fc_query_open(db, *filter, &options, &query, NULL))
        query = NULL;
    return query;
}

static bool range_is_there(struct fc_db *db, const struct fc_id_range *range)
{
    struct fc_filter *filter;
    struct fc_session row;
    struct fc_query *query = ask(db, range, 1, 1, &filter);
    bool there = !query || fc_query_next(query, &row, NULL) != 0;

    if (query)
        fc_query_close(query);
    fc_filter_free(filter);
    return there;
}

struct told {
    char text[TOLD * 48 + 64];
    size_t len;
    uint64_t count;
};

static void note(struct told *told, const struct fc_id_range *range)
{
    const char *comma = told->len ? ", " : "";
    char *p = told->text + told->len;
    size_t room = sizeof told->text - told->len;

    if (told->count++ >= TOLD)
        return;
    told->len += (size_t)(range->first == range->last
                              ? snprintf(p, room, "%s%" PRId64, comma, range->first)
                              : snprintf(p, room, "%s%" PRId64 "-%" PRId64, comma, range->first, range->last));
}

static bool is_short(const struct fc_id_range *range)
{
    return (uint64_t)range->last - (uint64_t)range->first < SHORT;
}

/* Short ranges in one go, as there may be many: sessions come in the order of their IDs, as the list is. */
static bool note_missing(const struct fc_id_list *list, struct fc_db *db, struct told *told)
{
    struct fc_filter *filter;
    struct fc_session row = {.id = INT64_MIN};
    struct fc_query *query;
    struct fc_id_range *some = malloc((list->count + 1) * sizeof *some);
    size_t count = 0;
    int rc = 1;

    for (size_t i = 0; some && i < list->count; i++)
        if (is_short(&list->items[i]))
            some[count++] = list->items[i];
    query = some ? ask(db, some, count, 0, &filter) : NULL;
    for (size_t i = 0; query && i < list->count && rc >= 0; i++) {
        const struct fc_id_range *range = &list->items[i];
        bool together = is_short(range);
        while (together && rc == 1 && row.id < range->first)
            rc = fc_query_next(query, &row, NULL);
        if (together ? rc == 0 || row.id > range->last : !range_is_there(db, range))
            note(told, range);
    }
    if (query)
        fc_query_close(query);
    if (some)
        fc_filter_free(filter);
    free(some);
    return query && rc >= 0;
}

bool fc_id_list_tell_missing(const struct fc_id_list *list, struct fc_db *db, const char *lead)
{
    struct told told = {.len = 0};

    if (!note_missing(list, db, &told) || !told.count)
        return false;
    if (told.count > TOLD)
        snprintf(told.text + told.len, sizeof told.text - told.len, " and %llu more",
                 (unsigned long long)(told.count - TOLD));
    fc_complain("%snot in the index: %s", lead, told.text);
    return true;
}

void fc_id_list_fini(struct fc_id_list *list)
{
    free(list->items);
    *list = (struct fc_id_list){.items = NULL};
}
