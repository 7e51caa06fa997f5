/* SPDX-License-Identifier: MIT */
/*
 * For test_cluster_query.py: asks an engine and an index the same, many times, in one process.
 *
 *     cluster_ask C.INI DB < FILTERS
 *
 * A filter a line; for each two lines of numbers: IDs of the index, and "sensor:ID" of the cluster; "E" and a text in place of what has failed.
 */
#include <flowcarve/cluster_query.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void say(const struct fc_error *err)
{
    char text[FC_ERROR_TEXT_MAX];

    printf("E %s", fc_error_text(err, text, sizeof text));
}

static void ask_index(struct fc_db *db, const struct fc_filter *filter)
{
    struct fc_query *query = NULL;
    struct fc_session row;
    struct fc_error err;
    int rc = fc_query_open(db, filter, NULL, &query, &err);

    while (rc >= 0 && (rc = fc_query_next(query, &row, &err)) > 0)
        printf("%" PRId64 " ", row.id);
    if (rc < 0)
        say(&err);
    putchar('\n');
    fc_query_close(query);
}

static int give(void *ctx, const struct fc_session *row, struct fc_error *err)
{
    (void)ctx;
    (void)err;
    printf("%s:%" PRId64 " ", row->sensor, row->id);
    return 0;
}

static void ask_cluster(struct fc_inquiry *inquiry, const struct fc_filter *filter)
{
    struct fc_error err;

    if (fc_inquiry_rows(inquiry, filter, NULL, give, NULL, &err) < 0)
        say(&err);
    putchar('\n');
}

int main(int argc, char **argv)
{
    struct fc_cluster *cluster = NULL;
    struct fc_inquiry *inquiry = NULL;
    struct fc_db *db = NULL;
    struct fc_error err;
    char *line = NULL;
    size_t room = 0;

    if (argc != 3 || fc_cluster_read(argv[1], &cluster, &err) || fc_inquiry_open(cluster, NULL, &inquiry, &err) ||
        fc_db_open(argv[2], &db, &err)) {
        if (argc == 3)
            say(&err);
        return 2;
    }
    for (ssize_t len; (len = getline(&line, &room, stdin)) > 0;) {
        struct fc_filter_error where;
        struct fc_filter *filter = NULL;
        line[len - (line[len - 1] == '\n')] = '\0';
        if (fc_filter_parse(line, 0, &filter, &where)) {
            printf("E %s\n\n", where.cause);
        } else {
            ask_index(db, filter);
            ask_cluster(inquiry, filter);
        }
        fc_filter_free(filter);
    }
    free(line);
    fc_db_close(db);
    fc_inquiry_close(inquiry);
    fc_cluster_free(cluster);
    return 0;
}
