/* SPDX-License-Identifier: MIT */
#include "cluster/engine.h"
#include "base/error.h"
#include "base/vector.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum {
    RELEASE_LEAST = 18016,
    RELEASE_OF_LIMITS = 19000, /* from then on an insert may have so many partitions, unless that is set */
    /* exceptions */
    TOO_MANY_ROWS = 158,
    TIMEOUT_EXCEEDED = 159,
    TOO_SLOW = 160
};

struct fc_engine {
    struct fc_http *http;
    char *database, *url;
    const int *stop;
    unsigned release;
    int code;
    bool compress;
    uint8_t *packed; /* rows, as they are sent */
    size_t packed_room;
};

unsigned fc_engine_release(const struct fc_engine *engine)
{
    return engine->release;
}

void fc_engine_set_stop(struct fc_engine *engine, const int *stop)
{
    engine->stop = stop;
}

void fc_engine_set_compress(struct fc_engine *engine, bool compress)
{
    engine->compress = compress;
}

int fc_engine_code(const struct fc_engine *engine)
{
    return engine->code;
}

/* What it says on one line: "Code: 60, e.displayText() = DB::Exception: Table ... doesn't exist., e.what() = ..." */
static int refused(struct fc_engine *engine, const struct fc_http_answer *answer, struct fc_error *err)
{
    const char *text = answer->text, *code = strstr(text, "Code: "), *cause = strstr(text, "DB::Exception: ");
    char line[400], value[32];

    engine->code = fc_http_header(answer, "x-clickhouse-exception-code", value, sizeof value) ? atoi(value)
                   : code                                                                     ? atoi(code + 6)
                                                                                              : 0;
    cause = cause ? cause + 15 : text;
    size_t len = strlen(cause);
    const char *end = strstr(cause, ", e.what()");
    len = end ? (size_t)(end - cause) : len;
    while (len && isspace((unsigned char)cause[len - 1]))
        len--;
    snprintf(line, sizeof line, "%.*s", (int)(len < sizeof line ? len : sizeof line - 1), cause);
    for (char *p = line; *p; p++)
        *p = isspace((unsigned char)*p) ? ' ' : *p;
    bool bound = engine->code == TOO_MANY_ROWS || engine->code == TIMEOUT_EXCEEDED || engine->code == TOO_SLOW;
    return fc_error_set(err, bound ? FC_E_LIMIT : FC_E_DB, engine->url, FC_NO_OFFSET, "the engine answers %ld: %s",
                        answer->status, *line ? line : "nothing");
}

static int ask(struct fc_engine *engine, struct fc_http_request *request, struct fc_error *err)
{
    struct fc_http_answer answer;
    int rc;

    request->stop = engine->stop;
    engine->code = 0;
    if ((rc = fc_http_ask(engine->http, request, &answer, err)))
        return rc;
    return answer.status == 200 ? 0 : refused(engine, &answer, err);
}

/* Of statements that insert: they end when rows are stored, on a shard also, and blocks that are known are stored
 * again. */
#define SYNC "insert_distributed_sync=1&insert_deduplicate=0&" COPY

/*
 * Of servers that keep copies the first one that answers is asked for all, so that sums are added up where rows have
 * just been stored; and none that lacks what has come to another over a second ago.
 */
#define COPY                                                                                                           \
    "load_balancing=in_order&max_replica_delay_for_distributed_queries=1&fallback_to_stale_replicas_for_distributed_"  \
    "queries=0"

static const char *partitions(const struct fc_engine *engine)
{
    return engine->release >= RELEASE_OF_LIMITS ? "&max_partitions_per_insert_block=0" : "";
}

/* Whatever a user's profile says: what is too much, or cannot be asked, is an error and not left out; and long filters
 * are taken. */
#define WHOLE                                                                                                          \
    "&skip_unavailable_shards=0&timeout_overflow_mode=throw&read_overflow_mode=throw&group_by_overflow_mode=throw&"    \
    "sort_overflow_mode=throw"                                                                                         \
    "&result_overflow_mode=throw&distinct_overflow_mode=throw&set_overflow_mode=throw&transfer_overflow_mode=throw&"   \
    "max_query_size=16777216"                                                                                          \
    "&max_ast_elements=1000000&max_expanded_ast_elements=1000000"

int fc_engine_run(struct fc_engine *engine, const char *sql, const struct fc_engine_bounds *bounds, fc_http_take *take,
                  void *ctx, struct fc_error *err)
{
    unsigned deadline_ms = bounds ? bounds->deadline_ms : 0;
    bool long_answer = bounds && bounds->long_answer;
    char path[1400], limits[160] = "";
    size_t len;

    if (bounds && bounds->rows_to_read)
        snprintf(limits, sizeof limits, "&max_rows_to_read=%" PRIu64, bounds->rows_to_read);
    len = strlen(limits);
    if (bounds && bounds->set_rows)
        len += (size_t)snprintf(limits + len, sizeof limits - len, "&max_rows_in_set=%" PRIu64, bounds->set_rows);
    if (deadline_ms)
        snprintf(limits + len, sizeof limits - len, "&max_execution_time=%u", (deadline_ms + 999) / 1000);
    /* shards are asked for tables of theirs inside of a query: all rows of a sensor are on one */
    snprintf(path, sizeof path,
             "/?database=%s&wait_end_of_query=1&buffer_size=1048576&distributed_product_mode=local&output_format_json_"
             "quote_64bit_integers=0&" SYNC "%s%s%s",
             engine->database, partitions(engine), WHOLE, limits);
    return ask(engine,
               &(struct fc_http_request){.path = path,
                                         .type = "text/plain",
                                         .body = sql,
                                         .len = strlen(sql),
                                         .deadline_ms = deadline_ms && !long_answer ? deadline_ms + 2000 : 0,
                                         .silence_ms = deadline_ms ? deadline_ms + 2000 : 600000,
                                         .take = take,
                                         .ctx = ctx},
               err);
}

int fc_engine_make_database(struct fc_engine *engine, struct fc_error *err)
{
    char path[160];

    snprintf(path, sizeof path, "/?query=CREATE%%20DATABASE%%20IF%%20NOT%%20EXISTS%%20%s", engine->database);
    /* a statement that writes is taken by POST alone */
    return ask(engine, &(struct fc_http_request){.path = path, .type = "text/plain", .deadline_ms = 30000}, err);
}

/* Letters, digits and what a list of columns has; the rest is escaped. */
static void escape(char *to, size_t size, const char *text)
{
    size_t len = 0;

    for (; *text && len + 4 < size; text++)
        len += (size_t)snprintf(to + len, size - len,
                                isalnum((unsigned char)*text) || strchr("_-.", *text) ? "%c" : "%%%02X",
                                (unsigned char)*text);
    to[len] = '\0';
}

/* Rows of a request as gzip, which 18.16 takes, too. The fastest level: the others take twice the time for a tenth. */
static int pack(struct fc_engine *engine, struct fc_http_request *request, struct fc_error *err)
{
    z_stream z = {.next_in = (Bytef *)(uintptr_t)request->body, .avail_in = (uInt)request->len};
    int rc = deflateInit2(&z, Z_BEST_SPEED, Z_DEFLATED, MAX_WBITS + 16, 8, Z_DEFAULT_STRATEGY);
    size_t most = rc == Z_OK ? deflateBound(&z, request->len) : 0;

    if (rc != Z_OK || fc_vector_reserve(&engine->packed, &engine->packed_room, most, 1)) {
        if (rc == Z_OK)
            deflateEnd(&z);
        return fc_error_set(err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");
    }
    z.next_out = engine->packed;
    z.avail_out = (uInt)most;
    deflate(&z, Z_FINISH); /* into as much as it can take: it ends */
    request->body = engine->packed;
    request->len = z.total_out;
    request->header = "Content-Encoding: gzip";
    deflateEnd(&z);
    return 0;
}

int fc_engine_insert(struct fc_engine *engine, const char *into, const void *rows, size_t len, struct fc_error *err)
{
    char sql[1500], query[4000], path[4600];
    struct fc_http_request request = {
        .path = path, .type = "application/octet-stream", .body = rows, .len = len, .silence_ms = 600000};
    int rc = engine->compress && len <= UINT32_MAX / 2 ? pack(engine, &request, err) : 0;

    snprintf(sql, sizeof sql, "INSERT INTO %s FORMAT RowBinary", into);
    escape(query, sizeof query, sql);
    snprintf(path, sizeof path, "/?database=%s&%s%s&query=%s", engine->database, SYNC, partitions(engine), query);
    return rc ? rc : ask(engine, &request, err);
}

static int take_release(void *ctx, const uint8_t *data, size_t len, struct fc_error *err)
{
    char *text = ctx;
    size_t has = strlen(text);

    (void)err;
    snprintf(text + has, 64 - has, "%.*s", (int)(len < 64 ? len : 63), (const char *)data);
    return 0;
}

int fc_engine_open(const struct fc_peer *peer, const char *database, const int *stop, struct fc_engine **out,
                   struct fc_error *err)
{
    struct fc_engine *engine = calloc(1, sizeof *engine);
    char text[64] = "";
    unsigned major = 0, minor = 0;
    int rc;

    *out = NULL;
    if (!engine || !(engine->database = strdup(database)) || !(engine->url = strdup(peer->url))) {
        fc_engine_close(engine);
        return fc_error_set(err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");
    }
    engine->stop = stop;
    /* without a database, which need not be there yet */
    struct fc_http_request request = {
        .path = "/?query=SELECT%20version()", .deadline_ms = 30000, .take = take_release, .ctx = text};
    if ((rc = fc_http_open(peer, &engine->http, err)) || (rc = ask(engine, &request, err))) {
        fc_engine_close(engine);
        return rc;
    }
    if (sscanf(text, "%u.%u", &major, &minor) != 2 || (engine->release = major * 1000 + minor) < RELEASE_LEAST) {
        rc = fc_error_set(err, FC_E_USAGE, peer->url, FC_NO_OFFSET,
                          "no engine of a release from 18.16 on answers there");
        fc_engine_close(engine);
        return rc;
    }
    *out = engine;
    return 0;
}

void fc_engine_close(struct fc_engine *engine)
{
    if (!engine)
        return;
    fc_http_close(engine->http);
    free(engine->packed);
    free(engine->database);
    free(engine->url);
    free(engine);
}
