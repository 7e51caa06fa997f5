/* SPDX-License-Identifier: MIT */
#include "cluster/http.h"
#include "base/curl.h"
#include "base/error.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    CONNECT_MS = 10000,
    SILENCE_MS = 30000,
    POLL_MS = 100,
    LINES_MOST = 1 << 20 /* bytes of headers and trailers, which libcurl keeps */
};

struct fc_http {
    const struct fc_curl *curl;
    CURL *easy;
    CURLM *multi;
    struct fc_peer peer;
};

/* What is under way. */
struct asking {
    struct fc_http *http;
    const struct fc_http_request *request;
    struct fc_http_answer *answer;
    struct fc_error *err;
    size_t text_len, headers_len, lines_len;
    uint64_t moved; /* bytes that have come or gone, and pieces of header */
    int rc;         /* of `take`, or of headers that are too long */
    char message[CURL_ERROR_SIZE];
};

static char *copy(const char *text, bool *failed)
{
    char *own = text ? strdup(text) : NULL;

    *failed |= text && !own;
    return own;
}

void fc_peer_fini(struct fc_peer *peer)
{
    free(peer->url);
    free(peer->ca);
    free(peer->cert);
    free(peer->key);
    free(peer->user);
    free(peer->password);
    free(peer->token);
    memset(peer, 0, sizeof *peer);
}

int fc_peer_copy(struct fc_peer *to, const struct fc_peer *peer)
{
    bool failed = false;

    *to = (struct fc_peer){copy(peer->url, &failed),  copy(peer->ca, &failed),   copy(peer->cert, &failed),
                           copy(peer->key, &failed),  copy(peer->user, &failed), copy(peer->password, &failed),
                           copy(peer->token, &failed)};
    return failed ? FC_E_NOMEM : 0;
}

int fc_http_open(const struct fc_peer *peer, struct fc_http **out, struct fc_error *err)
{
    const struct fc_curl *curl = fc_curl(err);
    struct fc_http *http;

    *out = NULL;
    if (!curl)
        return FC_E_IO;
    if (!(http = calloc(1, sizeof *http)))
        return fc_error_set(err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");
    http->curl = curl;
    bool failed = fc_peer_copy(&http->peer, peer) != 0;
    http->easy = curl->easy_init();
    http->multi = curl->multi_init();
    if (failed || !http->easy || !http->multi) {
        fc_http_close(http);
        return fc_error_set(err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");
    }
    *out = http;
    return 0;
}

void fc_http_close(struct fc_http *http)
{
    if (!http)
        return;
    if (http->easy)
        http->curl->easy_cleanup(http->easy);
    if (http->multi)
        http->curl->multi_cleanup(http->multi);
    fc_peer_fini(&http->peer);
    free(http);
}

/* ---- what comes */

static size_t take_body(char *data, size_t one, size_t len, void *ctx)
{
    struct asking *a = ctx;
    long status = 0;

    (void)one;
    a->moved += len;
    a->http->curl->easy_getinfo(a->http->easy, CURLINFO_RESPONSE_CODE, &status);
    if (status < 200 || status >= 300) {
        size_t room = FC_HTTP_TEXT_MAX - 1 - a->text_len, fits = len < room ? len : room;
        memcpy(a->answer->text + a->text_len, data, fits);
        a->text_len += fits;
        return len;
    }
    if (a->request->take && (a->rc = a->request->take(a->request->ctx, (const uint8_t *)data, len, a->err)) < 0)
        return CURL_WRITEFUNC_ERROR;
    return len;
}

static size_t note_line(struct fc_http_answer *answer, size_t has, const char *line, size_t len)
{
    while (len && strchr("\r\n", line[len - 1]))
        len--;
    if (len + 2 > FC_HTTP_HEADERS_MAX - has || memchr(line, '\0', len) || len < 13 ||
        (strncasecmp(line, "x-clickhouse-", 13) != 0 && strncasecmp(line, "flowcarve-", 10) != 0))
        return has;
    char *to = answer->headers + has;
    memcpy(to, line, len);
    for (size_t i = 0; i < len && line[i] != ':'; i++)
        to[i] = (char)tolower((unsigned char)line[i]);
    to[len] = '\n';
    return has + len + 1;
}

/* libcurl keeps lines of a trailer for one that is paused, and gives them at once. */
size_t fc_http_note_header(struct fc_http_answer *answer, size_t has, const char *lines, size_t len)
{
    for (size_t line_len; len; lines += line_len, len -= line_len) {
        const char *end = memchr(lines, '\n', len);
        line_len = end ? (size_t)(end - lines) + 1 : len;
        has = note_line(answer, has, lines, line_len);
    }
    return has;
}

static size_t take_header(char *data, size_t one, size_t len, void *ctx)
{
    struct asking *a = ctx;

    (void)one;
    a->moved++;
    a->lines_len += len;
    if (a->lines_len > LINES_MOST) {
        a->rc = fc_error_set(a->err, FC_E_IO, a->http->peer.url, FC_NO_OFFSET, "its headers have no end");
        return CURL_WRITEFUNC_ERROR;
    }
    a->headers_len = fc_http_note_header(a->answer, a->headers_len, data, len);
    return len;
}

static int on_progress(void *ctx, curl_off_t total, curl_off_t now, curl_off_t up_total, curl_off_t up)
{
    struct asking *a = ctx;

    (void)total;
    (void)now;
    (void)up_total;
    a->moved = a->moved > (uint64_t)up ? a->moved : (uint64_t)up;
    return a->request->stop && __atomic_load_n(a->request->stop, __ATOMIC_RELAXED);
}

const char *fc_http_header(const struct fc_http_answer *answer, const char *name, char *buf, size_t size)
{
    size_t len = strlen(name);

    for (const char *line = answer->headers; *line; line = strchr(line, '\n') + 1) {
        if (strncmp(line, name, len) != 0 || line[len] != ':')
            continue;
        const char *value = line + len + 1 + strspn(line + len + 1, " \t");
        snprintf(buf, size, "%.*s", (int)strcspn(value, "\n"), value);
        return buf;
    }
    return NULL;
}

/* ---- asking */

#define SET(option, value) bad |= c->easy_setopt(e, option, value) != CURLE_OK

bool fc_http_set_peer(const struct fc_curl *c, void *e, const struct fc_peer *peer)
{
    bool bad = false;

    SET(CURLOPT_PROTOCOLS_STR, "http,https");
    SET(CURLOPT_PROXY, "");
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    if (peer->ca) {
        SET(CURLOPT_CAINFO, peer->ca);
        SET(CURLOPT_CAPATH, NULL);
    }
    if (peer->cert) {
        SET(CURLOPT_SSLCERT, peer->cert);
        SET(CURLOPT_SSLKEY, peer->key ? peer->key : peer->cert);
    }
    if (peer->user) {
        SET(CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
        SET(CURLOPT_USERNAME, peer->user);
        SET(CURLOPT_PASSWORD, peer->password ? peer->password : "");
    }
    return !bad;
}

static bool set_options(struct asking *a, const char *url, struct curl_slist *headers)
{
    const struct fc_curl *c = a->http->curl;
    const struct fc_http_request *r = a->request;
    CURL *e = a->http->easy;
    bool bad;

    c->easy_reset(e);
    bad = !fc_http_set_peer(c, e, &a->http->peer);
    SET(CURLOPT_URL, url);
    SET(CURLOPT_ERRORBUFFER, a->message);
    SET(CURLOPT_HTTPHEADER, headers);
    SET(CURLOPT_WRITEFUNCTION, take_body);
    SET(CURLOPT_WRITEDATA, a);
    SET(CURLOPT_HEADERFUNCTION, take_header);
    SET(CURLOPT_HEADERDATA, a);
    SET(CURLOPT_XFERINFOFUNCTION, on_progress);
    SET(CURLOPT_XFERINFODATA, a);
    SET(CURLOPT_NOPROGRESS, 0L);
    SET(CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
    SET(CURLOPT_TIMEOUT_MS, (long)r->deadline_ms);
    if (r->type) {
        SET(CURLOPT_POST, 1L);
        SET(CURLOPT_POSTFIELDS, r->body ? r->body : "");
        SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)r->len);
    }
    return !bad;
}
#undef SET

static bool add_header(struct asking *a, struct curl_slist **list, const char *name, const char *value)
{
    struct curl_slist *longer;
    char *line = NULL;

    if (!value)
        return true;
    if (asprintf(&line, "%s%s", name, value) < 0)
        return false;
    longer = a->http->curl->slist_append(*list, line);
    free(line);
    *list = longer ? longer : *list;
    return longer != NULL;
}

/* Until it has ended; *silent: nothing has moved for too long. */
static CURLcode perform(struct asking *a, bool *silent)
{
    const struct fc_curl *c = a->http->curl;
    unsigned silence_ms = a->request->silence_ms ? a->request->silence_ms : SILENCE_MS, quiet_ms = 0;
    uint64_t before = 0;
    CURLcode result = CURLE_FAILED_INIT;
    CURLMcode code = c->multi_add_handle(a->http->multi, a->http->easy);
    int running = 1, left, seen;

    while (code == CURLM_OK && (code = c->multi_perform(a->http->multi, &running)) == CURLM_OK && running) {
        quiet_ms = a->moved != before ? 0 : quiet_ms;
        before = a->moved;
        if ((*silent = quiet_ms >= silence_ms))
            break;
        struct timespec from, to;
        clock_gettime(CLOCK_MONOTONIC, &from);
        code = c->multi_poll(a->http->multi, NULL, 0, POLL_MS, &seen);
        clock_gettime(CLOCK_MONOTONIC, &to);
        quiet_ms += (unsigned)((to.tv_sec - from.tv_sec) * 1000 + (to.tv_nsec - from.tv_nsec) / 1000000);
    }
    if (code != CURLM_OK)
        snprintf(a->message, sizeof a->message, "%s", c->multi_strerror(code));
    for (CURLMsg *m; (m = c->multi_info_read(a->http->multi, &left));)
        if (m->msg == CURLMSG_DONE)
            result = m->data.result;
    c->multi_remove_handle(a->http->multi, a->http->easy);
    return result;
}

/* A name for messages: the URL without its query, in which values of a user may stand. */
static int failed(const struct asking *a, CURLcode result, bool silent)
{
    const char *url = a->http->peer.url;

    if (a->rc < 0)
        return a->rc;
    if (a->request->stop && __atomic_load_n(a->request->stop, __ATOMIC_RELAXED))
        return fc_error_set(a->err, FC_E_INTERRUPTED, url, FC_NO_OFFSET, "interrupted");
    if (silent)
        return fc_error_set(a->err, FC_E_IO, url, FC_NO_OFFSET, "nothing has come for %u s",
                            (a->request->silence_ms ? a->request->silence_ms : SILENCE_MS) / 1000);
    return fc_error_set(a->err, result == CURLE_OUT_OF_MEMORY ? FC_E_NOMEM : FC_E_IO, url, FC_NO_OFFSET, "%s",
                        *a->message ? a->message : a->http->curl->easy_strerror(result));
}

int fc_http_ask(struct fc_http *http, const struct fc_http_request *request, struct fc_http_answer *answer,
                struct fc_error *err)
{
    struct asking a = {.http = http, .request = request, .answer = answer, .err = err};
    struct curl_slist *headers = NULL;
    bool silent = false, ready;
    CURLcode result;
    char *url = NULL;
    int rc;

    memset(answer, 0, sizeof *answer);
    ready = asprintf(&url, "%s%s", http->peer.url, request->path) >= 0 &&
            add_header(&a, &headers, "Content-Type: ", request->type) &&
            add_header(&a, &headers, "Authorization: Bearer ", http->peer.token) &&
            add_header(&a, &headers, "", request->header) &&
            (!request->type || add_header(&a, &headers, "Expect:", "")) && set_options(&a, url, headers);
    if (!ready) {
        rc = fc_error_set(err, FC_E_NOMEM, http->peer.url, FC_NO_OFFSET,
                          "out of memory, or a value that libcurl does not take");
    } else {
        result = perform(&a, &silent);
        rc = result == CURLE_OK ? 0 : failed(&a, result, silent);
        http->curl->easy_getinfo(http->easy, CURLINFO_RESPONSE_CODE, &answer->status);
    }
    http->curl->slist_free_all(headers);
    free(url);
    return rc;
}
