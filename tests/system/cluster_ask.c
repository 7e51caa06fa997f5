/* SPDX-License-Identifier: MIT */
/*
 * For test_cluster_query.py: asks an engine and an index the same, many times, in one process.
 *
 *     cluster_ask C.INI DB [over-time] < FILTERS
 *
 * A filter a line; for each two lines of numbers: IDs of the index, and "sensor:ID" of the cluster, or histograms of
 * both; "E" and a text in place of what has failed.
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
    ++*(int64_t *)ctx;
    (void)err;
    printf("%s:%" PRId64 " ", row->sensor, row->id);
    return 0;
}

static void ask_cluster(struct fc_inquiry *inquiry, const struct fc_filter *filter, bool with_count)
{
    struct fc_error err;
    int64_t rows = 0, count;

    if (fc_inquiry_rows(inquiry, filter, NULL, give, &rows, &err) < 0)
        say(&err);
    /* adding up reads in another way than rows are read */
    else if (with_count && (count = fc_inquiry_count(inquiry, filter, &err)) != rows)
        printf("E %" PRId64 " are counted", count);
    putchar('\n');
}

static void print_sum(const struct fc_histogram_sum *sum)
{
    printf(" %" PRIu64 "/%" PRIu64 "/%" PRIu64, sum->sessions, sum->packets, sum->bytes);
}

static void print_histogram(const struct fc_histogram *h)
{
    printf("%" PRId64 "+%zu*%" PRId64, h->start_ns, h->count, h->bucket_ns);
    print_sum(&h->earlier);
    print_sum(&h->timeless);
    for (size_t g = 0; g < h->groups; g++) {
        printf(" %" PRId64 ":", h->group[g].key);
        for (size_t i = 0; i < h->count; i++)
            print_sum(&h->group[g].bucket[i]);
        print_sum(&h->group[g].total);
    }
}

/* Of few and many buckets, stacked and not, from the beginning and from somewhere. */
static void ask_over_time(struct fc_db *db, struct fc_inquiry *inquiry, const struct fc_filter *filter)
{
    static const struct fc_histogram_options options[] = {
        {.by = FC_HISTOGRAM_ALL},
        {.by = FC_HISTOGRAM_PROTOCOL, .buckets = 7},
        {.by = FC_HISTOGRAM_STATE, .buckets = 1000, .has_from = true, .from_ns = INT64_C(1700000000200000000)}};

    for (int many = 0; many < 2; many++) {
        for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
            struct fc_histogram h;
            struct fc_error err;
            int rc = many ? fc_inquiry_histogram(inquiry, filter, &options[i], &h, &err)
                          : fc_histogram_make(db, filter, &options[i], &h, &err);
            if (rc)
                say(&err);
            else
                print_histogram(&h);
            fc_histogram_fini(&h);
        }
        putchar('\n');
    }
}

int main(int argc, char **argv)
{
    struct fc_cluster *cluster = NULL;
    struct fc_inquiry *inquiry = NULL;
    struct fc_db *db = NULL;
    struct fc_error err = {0};
    char *line = NULL;
    size_t room = 0, number = 0;

    if (argc < 3 || argc > 4 || fc_cluster_read(argv[1], &cluster, &err) ||
        fc_inquiry_open(cluster, NULL, &inquiry, &err) || fc_db_open(argv[2], &db, &err)) {
        say(&err);
        return 2;
    }
    for (ssize_t len; (len = getline(&line, &room, stdin)) > 0;) {
        struct fc_filter_error where;
        struct fc_filter *filter = NULL;
        line[len - (line[len - 1] == '\n')] = '\0';
        if (fc_filter_parse(line, 0, &filter, &where)) {
            printf("E %s\n\n", where.cause);
        } else if (argc == 4) {
            ask_over_time(db, inquiry, filter);
        } else {
            ask_index(db, filter);
            ask_cluster(inquiry, filter, number++ % 3 == 0);
        }
        fc_filter_free(filter);
    }
    free(line);
    fc_db_close(db);
    fc_inquiry_close(inquiry);
    fc_cluster_free(cluster);
    return 0;
}
