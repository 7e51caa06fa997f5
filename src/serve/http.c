/* SPDX-License-Identifier: MIT */
#include "base/error.h"
#include "serve/door.h"
#include "serve/packed.h"
#include "serve/request.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/resource.h>

enum {
    TARGET_MAX = 16384,
    BODY_MAX = 4096,
    LIST_MAX = 8 << 20, /* of a body that names sessions */
    MEMORY = 65536,     /* of a connection: its request line and headers */
    CONNECTIONS = 10000,
    QUIET_S = 30,     /* a client that takes nothing for so long has gone, */
    PATIENT_S = 3600, /* but for one that waits for others to come to the same time */
    PIECE = 65536
};

/* ---- answers */

static const char policy[] = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
                             "img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
                             "require-trusted-types-for 'script'";

static void put_header(struct fc_request *r, struct MHD_Response *response, const char *name, const char *value)
{
    r->serve->mhd->add_response_header(response, name, value);
}

static enum MHD_Result queue(struct fc_request *r, int status, struct MHD_Response *response)
{
    if (!response)
        return MHD_NO;
    put_header(r, response, "Content-Security-Policy", policy);
    put_header(r, response, "X-Content-Type-Options", "nosniff");
    put_header(r, response, "Referrer-Policy", "no-referrer");
    put_header(r, response, "Cross-Origin-Opener-Policy", "same-origin");
    put_header(r, response, "Cross-Origin-Resource-Policy", "same-origin");
    r->status = status;
    r->sending = true;
    fc_line_busy(r->serve, r->line, true);
    enum MHD_Result rc = r->serve->mhd->queue_response(r->connection, (unsigned)status, response);
    r->serve->mhd->destroy_response(response);
    return rc;
}

static struct MHD_Response *json_response(struct fc_request *r)
{
    struct fc_json *j = &r->ask.out;
    struct MHD_Response *response;

    r->sent = j->len;
    response = r->serve->mhd->create_response_from_buffer(j->len, j->text, MHD_RESPMEM_MUST_FREE);
    if (response) {
        *j = (struct fc_json){0};
        put_header(r, response, "Content-Type", r->ask.type ? r->ask.type : "application/json; charset=utf-8");
        put_header(r, response, "Cache-Control", "no-store");
    }
    return response;
}

/* Sends what the request's `ask` has. */
static enum MHD_Result send_answer(struct fc_request *r)
{
    int status = r->ask.status ? r->ask.status : 200;
    struct MHD_Response *response = r->ask.out.failed ? NULL : json_response(r);

    if (response && status == 401)
        put_header(r, response, "WWW-Authenticate", "Bearer");
    if (response && status == 503)
        put_header(r, response, "Retry-After", "1");
    return queue(r, status, response);
}

static enum MHD_Result refuse(struct fc_request *r, int status, const char *code, const char *message)
{
    fc_ask_fail(&r->ask, status, code, "%s", message);
    r->failed = true;
    return send_answer(r);
}

static enum MHD_Result refuse_method(struct fc_request *r, const char *allow)
{
    fc_ask_fail(&r->ask, 405, "method", "this takes %s", allow);
    r->failed = true;
    struct MHD_Response *response = r->ask.out.failed ? NULL : json_response(r);
    if (response)
        put_header(r, response, "Allow", allow);
    return queue(r, 405, response);
}

/* ---- files of the page */

/* One that takes it less gladly than others gets the bytes as they are. */
static bool takes_gzip(const struct fc_headers *h)
{
    const char *gzip = h->accept_encoding ? strcasestr(h->accept_encoding, "gzip") : NULL;

    return gzip && gzip[4] != ';';
}

static enum MHD_Result send_asset(struct fc_request *r, const struct fc_headers *h)
{
    const char *path = strcmp(r->ask.params.path, "/") == 0 ? "/index.html" : r->ask.params.path;
    const struct fc_asset *a = NULL;
    size_t at = 0;
    char tag[80];

    for (; at < fc_asset_count && !a; at++)
        if (strcmp(fc_assets[at].path, path) == 0)
            a = &fc_assets[at];
    if (!a)
        return refuse(r, 404, "not_found", "there is nothing of that name");
    bool same = h->if_none_match && strstr(h->if_none_match, a->etag);
    const struct fc_packed *packed = &r->serve->packed[at - 1];
    bool gzip = packed->bytes && takes_gzip(h);
    size_t size = same ? 0 : gzip ? packed->size : a->size;
    struct MHD_Response *response = r->serve->mhd->create_response_from_buffer(
        size, gzip ? packed->bytes : (void *)(uintptr_t)a->bytes, MHD_RESPMEM_PERSISTENT);
    if (response) {
        snprintf(tag, sizeof tag, "%s%s", gzip ? "W/" : "", a->etag); /* the same content, other bytes */
        put_header(r, response, "Content-Type", a->type);
        put_header(r, response, "ETag", tag);
        put_header(r, response, "Cache-Control", "no-cache");
        put_header(r, response, "Vary", "Accept-Encoding");
        if (gzip)
            put_header(r, response, "Content-Encoding", "gzip");
    }
    r->sent = size;
    return queue(r, same ? 304 : 200, response);
}

/* ---- questions */

/* False: not this one, and the error is there. route NULL: there is none of that name. */
static bool may_ask(struct fc_request *r, const struct fc_headers *h, const struct fc_route *route, const char *version)
{
    int rc = 0;

    if (!fc_door_is_known(r, h))
        rc = fc_ask_fail(&r->ask, 401, "unauthorized", "a token or a cookie is needed, and none that is known came");
    else if (!route)
        rc = fc_ask_fail(&r->ask, 404, "not_found", "there is nothing of that name");
    else if (!(r->who.scopes & route->scope))
        rc = fc_ask_fail(&r->ask, 403, "forbidden", "the scopes of this token do not reach so far");
    /* before, the end of the connection was the end of what is sent, whatever the reason */
    else if (route->flags & FC_ROUTE_STREAM && strcmp(version, "HTTP/1.1") != 0)
        rc = fc_ask_fail(&r->ask, 505, "request", "a stream needs HTTP/1.1");
    r->failed |= rc != 0;
    return rc == 0;
}

/* "begin" in the audit log. */
static bool note_begin(struct fc_request *r)
{
    struct fc_audit_line line = {.number = r->number, .who = r->who.name, .from = r->from, .target = r->target};

    return r->audited = fc_audit_write(&r->serve->audit, &line);
}

static enum MHD_Result ask_pool(struct fc_request *r, const struct fc_route *route)
{
    if (route->scope == FC_SCOPE_PACKETS && !(route->flags & FC_ROUTE_NO_PACKETS) && !note_begin(r))
        return refuse(r, 503, "busy", "the audit log cannot be written");
    r->route = route;
    r->ask.who = r->who.name;
    r->ask.scopes = r->who.scopes;
    if (!fc_pool_reserve(r)) {
        r->route = NULL;
        return refuse(r, 503, "busy", "there is too much to do at the moment");
    }
    fc_line_busy(r->serve, r->line, true);
    r->serve->mhd->suspend_connection(r->connection);
    fc_pool_begin(r);
    return MHD_YES;
}

static enum MHD_Result begin_question(struct fc_request *r, const struct fc_headers *h, const char *method,
                                      const char *version)
{
    const struct fc_route *route = fc_route_find(r->ask.params.path + 4, r->serve->cluster, &r->ask.id);

    if (!may_ask(r, h, route, version))
        return send_answer(r);
    if (route->flags & FC_ROUTE_STREAM && strcmp(method, "HEAD") == 0)
        return refuse_method(r, fc_route_post(r->ask.params.path + 4, r->serve->cluster) ? "GET, POST" : "GET");
    return ask_pool(r, route);
}

/* ---- login */

/* {"token": "..."}, in which a token needs no escaping. */
static bool read_login(char *body, char **token)
{
    static const char blanks[] = " \t\r\n";
    char *p = body + strspn(body, blanks);

    if (*p++ != '{')
        return false;
    p += strspn(p, blanks);
    if (strncmp(p, "\"token\"", 7) != 0)
        return false;
    p += 7 + strspn(p + 7, blanks);
    if (*p++ != ':')
        return false;
    p += strspn(p, blanks);
    if (*p++ != '"')
        return false;
    *token = p;
    p += strcspn(p, "\"\\");
    if (*p != '"')
        return false;
    *p++ = '\0';
    p += strspn(p, blanks);
    return *p == '}' && !p[1 + strspn(p + 1, blanks)];
}

static enum MHD_Result send_login(struct fc_request *r)
{
    char cookie[FC_SECRET_SIZE], header[256], *token;
    struct fc_json *j = &r->ask.out;

    if (strlen(r->body) != r->body_len || !read_login(r->body, &token))
        return refuse(r, 400, "request", "the body is {\"token\": \"...\"}");
    if (!fc_auth_login(&r->serve->auth, token, cookie, &r->who))
        return refuse(r, 401, "unauthorized", "this token is not known, or was used");
    fc_json_mark(j, '{');
    fc_json_put_text(j, "who", r->who.name);
    fc_json_key(j, "scopes");
    fc_put_scopes(j, r->who.scopes);
    fc_json_mark(j, '}');
    struct MHD_Response *response = j->failed ? NULL : json_response(r);
    snprintf(header, sizeof header, "%s=%s; HttpOnly; SameSite=Strict; Path=/%s", r->serve->cookie, cookie,
             r->serve->tls ? "; Secure" : "");
    if (response)
        put_header(r, response, "Set-Cookie", header);
    explicit_bzero(cookie, sizeof cookie);
    return queue(r, 200, response);
}

static enum MHD_Result send_logout(struct fc_request *r)
{
    struct fc_headers h = fc_door_headers(r);
    char cookie[FC_SECRET_SIZE], header[256];

    if (h.cookie && fc_door_cookie(r->serve, h.cookie, cookie))
        fc_auth_logout(&r->serve->auth, cookie);
    fc_json_mark(&r->ask.out, '{');
    fc_json_mark(&r->ask.out, '}');
    struct MHD_Response *response = r->ask.out.failed ? NULL : json_response(r);
    snprintf(header, sizeof header, "%s=; HttpOnly; SameSite=Strict; Path=/; Max-Age=0", r->serve->cookie);
    if (response)
        put_header(r, response, "Set-Cookie", header);
    return queue(r, 200, response);
}

/* ---- bodies */

static const struct fc_route *post_route(const struct fc_request *r)
{
    const char *path = r->ask.params.path;

    return strncmp(path, "/v1/", 4) == 0 ? fc_route_post(path + 4, r->serve->cluster) : NULL;
}

/* Whoever may not ask is told before a body is taken from him. */
static enum MHD_Result begin_post(struct fc_request *r, const struct fc_headers *h, const char *version)
{
    static const char json[] = "application/json";
    const char *path = r->ask.params.path;
    bool login = strcmp(path, "/v1/login") == 0;
    const struct fc_route *route = post_route(r);

    if (route && !may_ask(r, h, route, version))
        return send_answer(r);
    if (!login && !route && strcmp(path, "/v1/logout") != 0)
        return strncmp(path, "/v1/", 4) == 0 ? refuse_method(r, "GET, HEAD")
                                             : refuse(r, 404, "not_found", "there is nothing of that name");
    if (r->ask.params.count)
        return refuse(r, 400, "parameter", "there are no parameters here");
    if ((login || route || h->content_type) &&
        (!h->content_type || strncasecmp(h->content_type, json, sizeof json - 1) != 0 ||
         (h->content_type[sizeof json - 1] && h->content_type[sizeof json - 1] != ';')))
        return refuse(r, 415, "request", "the body is application/json");
    size_t digits = h->content_length ? strspn(h->content_length, "0123456789") : 0;
    if (h->transfer_encoding || (h->content_length && (h->content_length[digits] || digits > 8)) ||
        (h->content_length && atoi(h->content_length) > (route ? LIST_MAX : BODY_MAX)))
        return refuse(r, 413, "too_large",
                      route ? "the body has 8388608 bytes at the most, and tells how many"
                            : "the body has 4096 bytes at the most, and tells how many");
    r->body_room = h->content_length ? (size_t)atoi(h->content_length) : 0;
    if (!(r->body = calloc(1, r->body_room + 1)))
        return MHD_NO;
    if (route) /* a long list takes its time, and it is known who sends it */
        fc_line_busy(r->serve, r->line, true);
    return MHD_YES;
}

static enum MHD_Result go_on_post(struct fc_request *r, const char *data, size_t *size)
{
    if (r->sending) { /* refused already */
        *size = 0;
        return MHD_YES;
    }
    if (*size) {
        if (*size > r->body_room - r->body_len) /* more than was said, which cannot be */
            return MHD_NO;
        memcpy(r->body + r->body_len, data, *size);
        r->body_len += *size;
        *size = 0;
        return MHD_YES;
    }
    const struct fc_route *route = post_route(r);
    if (!route)
        return strcmp(r->ask.params.path, "/v1/login") == 0 ? send_login(r) : send_logout(r);
    r->ask.body = r->body;
    r->ask.body_len = r->body_len;
    return ask_pool(r, route);
}

/* ---- streams */

static bool is_too_much(const struct fc_request *r, size_t more)
{
    uint64_t limit = r->serve->carve_limit;

    return limit && r->route->flags & FC_ROUTE_CARVE && r->sent + more > limit;
}

/* What a carve has become is told behind it, so that who lacks that knows that he lacks more. */
static void put_trailer(struct fc_request *r)
{
    const struct {
        const char *name;
        uint64_t number;
    } told[] = {{"Flowcarve-Packets", r->ask.packets},
                {"Flowcarve-Sessions", r->ask.sessions},
                {"Flowcarve-Missing", r->ask.missing},
                {"Flowcarve-Forgotten", r->ask.forgotten}};
    char text[32];

    for (size_t i = 0; i < sizeof told / sizeof told[0]; i++) {
        snprintf(text, sizeof text, "%llu", (unsigned long long)told[i].number);
        r->serve->mhd->add_response_footer(r->response, told[i].name, text);
    }
    if (r->ask.unknown)
        r->serve->mhd->add_response_footer(r->response, "Flowcarve-Unknown", r->ask.unknown);
}

static ssize_t read_stream(void *ctx, uint64_t pos, char *buf, size_t max)
{
    struct fc_request *r = ctx;
    ssize_t n;

    (void)pos;
    if (r->head_at < r->head_len) {
        size_t part = r->head_len - r->head_at < max ? r->head_len - r->head_at : max;
        memcpy(buf, r->head + r->head_at, part);
        r->head_at += part;
        n = (ssize_t)part;
    } else {
        n = fc_pool_read(r, buf, max);
    }
    if (n > 0 && is_too_much(r, (size_t)n))
        r->over = true;
    if (r->over || (n == 0 && fc_pool_failed(r)))
        return MHD_CONTENT_READER_END_WITH_ERROR;
    if (n == 0) {
        if (r->ask.told)
            put_trailer(r);
        return MHD_CONTENT_READER_END_OF_STREAM;
    }
    if (n > 0)
        r->sent += (uint64_t)n;
    return n < 0 ? 0 : n;
}

static bool begins_with(const struct fc_request *r, const char *bytes, size_t len)
{
    return r->head_len >= len && memcmp(r->head, bytes, len) == 0;
}

/* What a capture is by its first bytes. */
static void put_capture(struct fc_request *r, struct MHD_Response *response)
{
    static const struct {
        const char *bytes;
        size_t len;
        const char *type, *suffix;
    } kinds[] = {{"\x0a\x0d\x0d\x0a", 4, "application/x-pcapng", "pcapng"},
                 {"\x1f\x8b", 2, "application/gzip", "pcap.gz"},
                 {"\x28\xb5\x2f\xfd", 4, "application/zstd", "pcap.zst"},
                 {"\x04\x22\x4d\x18", 4, "application/x-lz4", "pcap.lz4"},
                 {"\xfd"
                  "7zXZ",
                  5, "application/x-xz", "pcap.xz"}};
    const char *type = "application/vnd.tcpdump.pcap", *suffix = "pcap";
    char text[192];

    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (begins_with(r, kinds[i].bytes, kinds[i].len)) {
            type = kinds[i].type;
            suffix = kinds[i].suffix;
        }
    snprintf(text, sizeof text, "attachment; filename=\"%s.%s\"", r->ask.name, suffix);
    put_header(r, response, "Content-Type", type);
    put_header(r, response, "Content-Disposition", text);
}

/* The first bytes have come, or there are none and it is known why. */
static enum MHD_Result begin_stream(struct fc_request *r)
{
    if (!r->head && !(r->head = malloc(PIECE)))
        return MHD_NO;
    ssize_t n = fc_pool_read(r, r->head, PIECE);
    if (n < 0)
        return MHD_YES; /* it waits */
    if (n == 0 && fc_pool_failed(r) && r->ask.status)
        return send_answer(r);
    r->head_len = (size_t)n;
    if (r->body)
        r->serve->mhd->set_connection_option(r->connection, MHD_CONNECTION_OPTION_TIMEOUT, (unsigned)PATIENT_S);
    struct MHD_Response *response = r->response =
        r->serve->mhd->create_response_from_callback(MHD_SIZE_UNKNOWN, PIECE, read_stream, r, NULL);
    if (response) {
        put_header(r, response, "Cache-Control", "no-store");
        if (r->route->flags & FC_ROUTE_CARVE)
            put_header(
                r, response, "Trailer",
                "Flowcarve-Packets, Flowcarve-Sessions, Flowcarve-Missing, Flowcarve-Forgotten, Flowcarve-Unknown");
        if (*r->ask.name)
            put_capture(r, response);
        else
            put_header(r, response, "Content-Type", r->ask.type ? r->ask.type : "application/octet-stream");
    }
    return queue(r, 200, response);
}

/* ---- libmicrohttpd's calls */

static enum MHD_Result begin(struct fc_request *r, const char *method, const char *version)
{
    struct fc_headers h = fc_door_headers(r);
    bool post = strcmp(method, "POST") == 0, api = strncmp(r->ask.params.path, "/v1/", 4) == 0;

    fc_door_note_address(r);
    if (strlen(r->target) > TARGET_MAX)
        return refuse(r, 414, "too_large", "the URL has 16384 bytes at the most");
    if (r->wrong || h.twice || !h.host)
        return refuse(r, 400, "request", r->wrong ? r->wrong : h.twice ? "a header comes twice" : "there is no Host");
    if (!fc_door_is_ours(r, h.host))
        return refuse(r, 421, "host", "this is not a name of this server; serve --host NAME makes it one");
    if (fc_door_is_foreign(r, &h))
        return refuse(r, 403, "forbidden", "another page asks");
    if (post)
        return begin_post(r, &h, version);
    if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0)
        return refuse_method(r, "GET, HEAD");
    if (h.transfer_encoding || (h.content_length && strcmp(h.content_length, "0") != 0))
        return refuse(r, 400, "request", "a question has no body");
    if (api && (strcmp(r->ask.params.path, "/v1/login") == 0 || strcmp(r->ask.params.path, "/v1/logout") == 0))
        return refuse_method(r, "POST");
    return api ? begin_question(r, &h, method, version) : send_asset(r, &h);
}

static bool has_body(struct fc_request *r, const char *method)
{
    struct fc_headers h = fc_door_headers(r);

    return strcmp(method, "POST") == 0 || h.transfer_encoding ||
           (h.content_length && strcmp(h.content_length, "0") != 0);
}

static enum MHD_Result handle(void *ctx, struct MHD_Connection *connection, const char *url, const char *method,
                              const char *version, const char *data, size_t *size, void **con_cls)
{
    struct fc_request *r = *con_cls;

    (void)ctx;
    (void)connection;
    (void)url;
    if (!r || !r->line)
        return MHD_NO;
    if (!r->seen) {
        r->seen = true;
        /* what is answered before all of it has come is the last on its connection: that is for what has a body */
        if (!has_body(r, method))
            return MHD_YES;
    }
    if (!r->begun) {
        r->begun = true;
        return begin(r, method, version);
    }
    if (r->route)
        return r->route->flags & FC_ROUTE_STREAM ? begin_stream(r) : send_answer(r);
    if (r->body)
        return go_on_post(r, data, size);
    *size = 0;
    return MHD_YES;
}

/* A request begins: its target is all that is known. */
static void *begin_request(void *ctx, const char *target, struct MHD_Connection *connection)
{
    struct fc_serve *serve = ctx;
    const union MHD_ConnectionInfo *info =
        serve->mhd->get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    struct fc_request *r = calloc(1, sizeof *r);

    if (!r)
        return NULL;
    r->serve = serve;
    r->connection = connection;
    r->line = info ? info->socket_context : NULL;
    r->refs = 1;
    r->in_fd = r->out_fd = -1;
    r->number = atomic_fetch_add(&serve->requests, 1) + 1;
    r->begun_ns = fc_serve_now();
    r->target = strdup(target);
    r->text = strdup(target);
    r->ask.db_path = serve->db;
    r->ask.cluster = serve->cluster;
    r->ask.rows_max = serve->rows_max;
    r->ask.deadline_ns = serve->deadline_ns;
    r->ask.sensor = serve->sensor;
    r->ask.carve_limit = serve->carve_limit;
    if (!r->target || !r->text) {
        fc_request_release(r);
        return NULL;
    }
    r->wrong = strlen(target) > TARGET_MAX ? "the URL is too long" : fc_params_read(r->text, &r->ask.params);
    if (!r->ask.params.path)
        r->ask.params.path = r->text;
    return r;
}

void fc_request_release(struct fc_request *r)
{
    if (atomic_fetch_sub(&r->refs, 1) > 1)
        return;
    fc_json_fini(&r->ask.out);
    free(r->ask.unknown);
    free(r->target);
    free(r->text);
    if (r->body)
        explicit_bzero(r->body, r->body_room);
    free(r->body);
    free(r->head);
    free(r);
}

static void end_request(void *ctx, struct MHD_Connection *connection, void **con_cls,
                        enum MHD_RequestTerminationCode code)
{
    struct fc_request *r = *con_cls;

    (void)ctx;
    (void)connection;
    if (!r)
        return;
    *con_cls = NULL;
    bool stream = r->route && r->route->flags & FC_ROUTE_STREAM;
    bool ended = fc_pool_ended(r); /* of a stream whose client has left, perhaps not yet */
    bool left = __atomic_load_n(&r->stop, __ATOMIC_RELAXED) == FC_STOP_LEFT;
    bool whole = code == MHD_REQUEST_TERMINATED_COMPLETED_OK && !left;
    const char *how = whole ? r->status < 400 ? "complete" : "refused" : "abandoned";
    if (stream && !whole && !left && fc_pool_failed(r))
        how = "failed";
    how = r->over ? "limit" : how;
    if (r->audited) {
        struct fc_audit_line line = {.number = r->number,
                                     .who = r->who.name,
                                     .from = r->from,
                                     .target = r->target,
                                     .end = true,
                                     .status = r->status,
                                     .bytes = r->sent,
                                     .ids = ended ? r->ask.ids : 0,
                                     .list = r->ask.list,
                                     .sessions = ended ? r->ask.sessions : 0,
                                     .packets = ended ? r->ask.packets : 0,
                                     .how = how};
        fc_audit_write(&r->serve->audit, &line);
    }
    fc_serve_log(r, how);
    if (r->line)
        fc_line_busy(r->serve, r->line, false);
    fc_pool_leave(r);
}

static void note_connection(void *ctx, struct MHD_Connection *connection, void **socket_context,
                            enum MHD_ConnectionNotificationCode code)
{
    struct fc_serve *serve = ctx;

    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        const union MHD_ConnectionInfo *info =
            serve->mhd->get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
        *socket_context = info ? fc_line_open(serve, info->connect_fd) : NULL;
    } else if (*socket_context) {
        fc_line_close(serve, *socket_context);
        *socket_context = NULL;
    }
}

__attribute__((format(printf, 2, 0))) static void say_nothing(void *ctx, const char *fmt, va_list ap)
{
    (void)ctx;
    (void)fmt;
    (void)ap;
}

/* A stream has two descriptors more, and reads captures. */
unsigned fc_http_connections(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur > 2 * CONNECTIONS)
        return CONNECTIONS;
    return (unsigned)limit.rlim_cur / 2;
}

int fc_http_start(struct fc_serve *serve, struct fc_error *err)
{
    enum { IO_THREADS = 2 };
    unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_ITC | MHD_ALLOW_SUSPEND_RESUME |
                     (serve->v6 ? MHD_USE_IPv6 : 0) | (serve->tls ? MHD_USE_TLS : 0);
    const struct MHD_OptionItem none = {MHD_OPTION_END, 0, NULL};
    struct MHD_OptionItem tls[] = {
        {serve->tls ? MHD_OPTION_HTTPS_MEM_CERT : MHD_OPTION_END, 0, serve->cert},
        {MHD_OPTION_HTTPS_MEM_KEY, 0, serve->key},
        {MHD_OPTION_HTTPS_PRIORITIES, 0,
         (void *)(uintptr_t) "SECURE128:+SECURE192:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:-RSA:%SERVER_PRECEDENCE"},
        {serve->client_ca ? MHD_OPTION_HTTPS_MEM_TRUST : MHD_OPTION_END, 0, serve->client_ca},
        none};

    serve->daemon = serve->mhd->start_daemon(
        flags, 0, NULL, NULL, handle, serve, MHD_OPTION_EXTERNAL_LOGGER, say_nothing, NULL, MHD_OPTION_LISTEN_SOCKET,
        serve->listen, MHD_OPTION_THREAD_POOL_SIZE, (unsigned)IO_THREADS, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        (size_t)MEMORY, MHD_OPTION_CONNECTION_LIMIT, fc_http_connections(), MHD_OPTION_CONNECTION_TIMEOUT,
        (unsigned)QUIET_S, MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_SIGPIPE_HANDLED_BY_APP, 1,
        MHD_OPTION_URI_LOG_CALLBACK, begin_request, serve, MHD_OPTION_NOTIFY_COMPLETED, end_request, serve,
        MHD_OPTION_NOTIFY_CONNECTION, note_connection, serve, MHD_OPTION_ARRAY, tls, MHD_OPTION_END);
    if (serve->daemon)
        return 0;
    return fc_error_set(err, FC_E_IO, NULL, FC_NO_OFFSET, "the server cannot be started%s",
                        serve->tls ? "; perhaps certificate and key do not belong together" : "");
}
