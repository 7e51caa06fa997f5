/* SPDX-License-Identifier: MIT */
/*
 * Keeps limits of captures at any time of a wall clock that test_retain.py makes up:
 *   retain_step DB BYTES NS MIN_FREE_BYTES MIN_FREE_PART SESSIONS_NS FILE_BYTES FILE_NS GONE_NS FOLDER...
 * Then for each line "NOW_NS SETTLED BUDGET_NS DIE" of standard input a step, which ends with a line "result ...". DIE:
 * the process ends when the first capture is deleted, and not forgotten yet.
 */
#include <flowcarve/retain.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void deleted(void *ctx, const struct fc_retain_deleted *d)
{
    static const char *const whys[] = {"bytes", "age", "free"};

    const int *dies = ctx;

    printf("deleted %s %" PRIu64 " ", whys[d->why], d->bytes);
    for (const char *p = d->path; *p; p++)
        printf("%02x", (unsigned char)*p);
    putchar('\n');
    fflush(stdout);
    if (*dies)
        _exit(9);
}

static void word(void *ctx, const struct fc_error *what)
{
    char text[FC_ERROR_TEXT_MAX];

    (void)ctx;
    printf("word %s\n", fc_error_text(what, text, sizeof text));
}

int main(int argc, char **argv)
{
    int dies = 0;
    struct fc_retain_options o = {.deleted = deleted, .word = word, .ctx = &dies};
    struct fc_retain_result r;
    struct fc_retain *retain;
    struct fc_error err;
    char line[256], text[FC_ERROR_TEXT_MAX];

    if (argc < 11)
        return 3;
    o.limits.keep_bytes = strtoull(argv[2], NULL, 10);
    o.limits.keep_ns = strtoll(argv[3], NULL, 10);
    o.limits.min_free_bytes = strtoull(argv[4], NULL, 10);
    o.limits.min_free_part = strtod(argv[5], NULL);
    o.limits.keep_sessions_ns = strtoll(argv[6], NULL, 10);
    o.limits.file_bytes = strtoull(argv[7], NULL, 10);
    o.limits.file_ns = strtoll(argv[8], NULL, 10);
    o.limits.gone_ns = strtoll(argv[9], NULL, 10);
    if (fc_retain_open(argv[1], (const char *const *)argv + 10, (size_t)argc - 10, &o, &retain, &err)) {
        printf("word %s\n", fc_error_text(&err, text, sizeof text));
        return 2;
    }
    while (fgets(line, sizeof line, stdin)) {
        int64_t now_ns, budget_ns;
        int settled;
        if (sscanf(line, "%" SCNd64 " %d %" SCNd64 " %d", &now_ns, &settled, &budget_ns, &dies) != 4)
            return 3;
        int rc = fc_retain_step(retain, now_ns, settled != 0, budget_ns, &r, &err);
        if (rc)
            printf("word %s\n", fc_error_text(&err, text, sizeof text));
        printf("result %d %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %d %" PRIu64 " %" PRIu64
               " %" PRIu64 " %" PRId64 "\n",
               rc, r.deleted, r.deleted_bytes, r.forgotten, r.forgotten_packets, r.sessions, r.more, r.captures,
               r.capture_bytes, r.index_bytes, r.oldest_ns);
        fflush(stdout);
    }
    fc_retain_close(retain);
    return 0;
}
