/* SPDX-License-Identifier: MIT */
#include "capture/fetch.h"
#include "base/curl.h"
#include "base/error.h"
#include "capture/s3.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#if !defined FC_LIBCURL

int fc_fetch_prepare(struct fc_error *err)
{
    return fc_error_set(err, FC_E_IO, NULL, FC_NO_OFFSET,
                        "this flowcarve was built without libcurl, and reads no captures by their URL");
}

int fc_fetch(struct fc_fetch *f, struct fc_error *err)
{
    return fc_error_set(err, FC_E_IO, f->url, FC_NO_OFFSET,
                        "this flowcarve was built without libcurl, and reads no captures by their URL");
}

#else

enum {
    TRIES = 4,
    FIRST_PAUSE_MS = 100, /* three times as long each time */
    REDIRECTS = 5,
    CONNECT_SECONDS = 15,
    SILENT_SECONDS = 30,
    SLOWEST = 1000,      /* bytes a second */
    SAID_MAX = 1 << 10,  /* of what a server says with a failure */
    LINES_MAX = 1 << 20, /* bytes of headers and trailers, which libcurl keeps */
    CHANNELS = 16,       /* connections kept */
};

/* ---- connections */

static struct {
    pthread_mutex_t lock;
    CURL *idle[CHANNELS];
    int count;
} channels = {.lock = PTHREAD_MUTEX_INITIALIZER};

static CURL *take_channel(const struct fc_curl *curl)
{
    CURL *channel = NULL;

    pthread_mutex_lock(&channels.lock);
    if (channels.count)
        channel = channels.idle[--channels.count];
    pthread_mutex_unlock(&channels.lock);
    return channel ? channel : curl->easy_init();
}

static void give_channel(const struct fc_curl *curl, CURL *channel)
{
    curl->easy_reset(channel); /* its connections stay open */
    pthread_mutex_lock(&channels.lock);
    if (channels.count < CHANNELS) {
        channels.idle[channels.count++] = channel;
        channel = NULL;
    }
    pthread_mutex_unlock(&channels.lock);
    if (channel)
        curl->easy_cleanup(channel);
}

/* What still waits when the program ends. */
__attribute__((destructor)) static void close_channels(void)
{
    const struct fc_curl *curl = channels.count ? fc_curl(NULL) : NULL;

    while (curl && channels.count)
        curl->easy_cleanup(channels.idle[--channels.count]);
}

/* ---- one answer */

struct answer {
    struct fc_fetch *f;
    long status;
    bool has_range;
    uint64_t first, last; /* bytes of the object that it says it has */
    bool too_much;
    size_t lines_len;        /* of headers and trailers, of all answers */
    char said[SAID_MAX + 1]; /* the beginning of a body that is none of a capture */
    size_t said_len;
};

static bool is_stopped(const struct fc_fetch *f)
{
    return f->stop && __atomic_load_n(f->stop, __ATOMIC_RELAXED);
}

/* The value of a header of that name, without what is around it; false: it is another one, or too long. */
static bool take_header(const char *line, size_t len, const char *name, char *value, size_t room)
{
    size_t n = strlen(name);

    if (len <= n || line[n] != ':' || strncasecmp(line, name, n) != 0)
        return false;
    for (n++; n < len && (line[n] == ' ' || line[n] == '\t');)
        n++;
    while (len > n && (line[len - 1] == ' ' || line[len - 1] == '\t' || line[len - 1] == '\r' || line[len - 1] == '\n'))
        len--;
    if (len - n >= room || memchr(line + n, '\0', len - n))
        return false;
    memcpy(value, line + n, len - n);
    value[len - n] = '\0';
    return true;
}

/* "bytes 0-9/100", and "bytes *" "/100" of a range that is behind the end. */
static void take_range(struct answer *a, const char *value)
{
    uint64_t size;
    int end = 0;

    if (sscanf(value, "bytes %" SCNu64 "-%" SCNu64 "/%" SCNu64 "%n", &a->first, &a->last, &size, &end) == 3 &&
        !value[end] && a->first <= a->last && a->last < size && size <= INT64_MAX)
        a->has_range = true;
    else if (sscanf(value, "bytes */%" SCNu64 "%n", &size, &end) != 1 || value[end])
        return;
    a->f->version.size = size;
}

static size_t take_line(char *line, size_t size, size_t count, void *ctx)
{
    struct answer *a = ctx;
    char value[FC_FETCH_TAG_MAX];
    size_t len = size * count;

    a->lines_len += len;
    if (a->lines_len > LINES_MAX)
        return 0;
    if (len > 5 && strncmp(line, "HTTP/", 5) == 0) { /* one more answer: what came before was not the last */
        const char *space = memchr(line, ' ', len);
        a->status = space ? strtol(space, NULL, 10) : 0;
        a->has_range = false;
        a->said_len = a->f->got = 0;
        a->f->version = (struct fc_version){.size = UINT64_MAX};
    } else if (take_header(line, len, "ETag", value, sizeof value)) {
        strcpy(a->f->version.etag, value);
    } else if (take_header(line, len, "Last-Modified", value, sizeof value)) {
        strcpy(a->f->version.modified, value);
    } else if (take_header(line, len, "Content-Range", value, sizeof value)) {
        take_range(a, value);
    }
    return len;
}

/* Nothing is taken but what was asked for: other answers end here. */
static size_t take_body(char *data, size_t size, size_t count, void *ctx)
{
    struct answer *a = ctx;
    struct fc_fetch *f = a->f;
    size_t len = size * count;

    if (a->status != 206) {
        size_t room = SAID_MAX - a->said_len, take = len < room ? len : room;
        memcpy(a->said + a->said_len, data, take);
        a->said_len += take;
        a->said[a->said_len] = '\0';
        return a->status >= 400 && take == len ? len : 0;
    }
    if (!a->has_range || a->first != f->off || len > f->n - f->got) {
        a->too_much = true;
        return 0;
    }
    memcpy(f->buf + f->got, data, len);
    f->got += len;
    return len;
}

static int look_at_stop(void *ctx, curl_off_t dltotal, curl_off_t dlnow, curl_off_t ultotal, curl_off_t ulnow)
{
    const struct answer *a = ctx;

    (void)dltotal;
    (void)dlnow;
    (void)ultotal;
    (void)ulnow;
    return is_stopped(a->f);
}

/* ---- one request */

static bool add_header(const struct fc_curl *curl, struct curl_slist **list, const char *text)
{
    struct curl_slist *more = curl->slist_append(*list, text);

    *list = more ? more : *list;
    return more != NULL;
}

/* The version that the answer must be of. A weak tag is none that a server would compare. */
static bool add_pin(const struct fc_curl *curl, struct curl_slist **list, const struct fc_version *pinned)
{
    char line[FC_FETCH_TAG_MAX + 32];

    if (pinned->etag[0] == '"')
        snprintf(line, sizeof line, "If-Match: %s", pinned->etag);
    else if (!pinned->etag[0] && pinned->modified[0])
        snprintf(line, sizeof line, "If-Unmodified-Since: %s", pinned->modified);
    else
        return true;
    return add_header(curl, list, line);
}

/* FC_E_NOMEM. */
static int make_headers(const struct fc_curl *curl, const struct fc_fetch *f, const struct fc_s3_place *s3,
                        struct curl_slist **list)
{
    char line[FC_URL_MAX + 16], range[64], (*signature)[FC_S3_HEADER_MAX] = NULL;
    bool done;
    int n = 0;

    snprintf(range, sizeof range, "bytes=%" PRIu64 "-%" PRIu64, f->off, f->off + f->n - 1);
    snprintf(line, sizeof line, "Range: %s", range);
    done = add_header(curl, list, line) && (!f->pinned || add_pin(curl, list, f->pinned));
    if (s3) {
        snprintf(line, sizeof line, "Host: %s", s3->host);
        done = done && add_header(curl, list, line);
    }
    if (s3 && s3->keys.id) {
        signature = malloc(FC_S3_HEADERS * sizeof *signature);
        n = signature ? fc_s3_sign(curl, s3, range, time(NULL), signature) : 0;
        done = done && n;
    }
    for (int i = 0; i < n; i++)
        done = done && add_header(curl, list, signature[i]);
    free(signature);
    return done ? 0 : FC_E_NOMEM;
}

static long silent_seconds(void)
{
    const char *text = getenv("FLOWCARVE_ARCHIVE_TIMEOUT");
    long seconds = text ? strtol(text, NULL, 10) : 0;

    return seconds > 0 && seconds <= 3600 ? seconds : SILENT_SECONDS;
}

static void set_limits(const struct fc_curl *curl, CURL *h)
{
    long silent = silent_seconds();

    curl->easy_setopt(h, CURLOPT_NOSIGNAL, 1L);
    curl->easy_setopt(h, CURLOPT_CONNECTTIMEOUT, silent < CONNECT_SECONDS ? silent : CONNECT_SECONDS);
    curl->easy_setopt(h, CURLOPT_LOW_SPEED_LIMIT, (long)SLOWEST);
    curl->easy_setopt(h, CURLOPT_LOW_SPEED_TIME, silent);
    curl->easy_setopt(h, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
    curl->easy_setopt(h, CURLOPT_USERAGENT, "flowcarve");
}

static void set_authorities(const struct fc_curl *curl, CURL *h)
{
    const char *names[] = {"CURL_CA_BUNDLE", "SSL_CERT_FILE"}, *file = NULL;

    for (int i = 0; i < 2 && !(file && *file); i++)
        file = getenv(names[i]);
    if (file && *file)
        curl->easy_setopt(h, CURLOPT_CAINFO, file);
}

static void set_protocols(const struct fc_curl *curl, CURL *h, const char *url, bool follow)
{
    bool tls = strncmp(url, "https:", 6) == 0;

#if LIBCURL_VERSION_NUM >= 0x075500
    curl->easy_setopt(h, CURLOPT_PROTOCOLS_STR, tls ? "https" : "http");
    curl->easy_setopt(h, CURLOPT_REDIR_PROTOCOLS_STR, tls ? "https" : "http,https");
#else
    curl->easy_setopt(h, CURLOPT_PROTOCOLS, tls ? CURLPROTO_HTTPS : CURLPROTO_HTTP);
    curl->easy_setopt(h, CURLOPT_REDIR_PROTOCOLS, tls ? CURLPROTO_HTTPS : CURLPROTO_HTTP | CURLPROTO_HTTPS);
#endif
    curl->easy_setopt(h, CURLOPT_FOLLOWLOCATION, follow ? 1L : 0L);
    curl->easy_setopt(h, CURLOPT_MAXREDIRS, (long)REDIRECTS);
}

static CURLcode ask(const struct fc_curl *curl, CURL *h, struct answer *a, const char *url, bool follow,
                    struct curl_slist *headers, char *why)
{
    set_limits(curl, h);
    set_authorities(curl, h);
    set_protocols(curl, h, url, follow);
    curl->easy_setopt(h, CURLOPT_URL, url);
    curl->easy_setopt(h, CURLOPT_PATH_AS_IS, 1L);
    curl->easy_setopt(h, CURLOPT_HTTPHEADER, headers);
    curl->easy_setopt(h, CURLOPT_ERRORBUFFER, why);
    curl->easy_setopt(h, CURLOPT_HEADERFUNCTION, take_line);
    curl->easy_setopt(h, CURLOPT_HEADERDATA, a);
    curl->easy_setopt(h, CURLOPT_WRITEFUNCTION, take_body);
    curl->easy_setopt(h, CURLOPT_WRITEDATA, a);
    curl->easy_setopt(h, CURLOPT_NOPROGRESS, 0L);
    curl->easy_setopt(h, CURLOPT_XFERINFOFUNCTION, look_at_stop);
    curl->easy_setopt(h, CURLOPT_XFERINFODATA, a);
    return curl->easy_perform(h);
}

/* ---- what comes of it */

static bool is_passing(CURLcode code)
{
    switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_CONNECT:
    case CURLE_OPERATION_TIMEDOUT:
    case CURLE_PARTIAL_FILE:
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_SSL_CONNECT_ERROR:
        return true;
    default:
        return false;
    }
}

static bool is_passing_status(long status)
{
    return status == 408 || status == 429 || status == 500 || (status >= 502 && status <= 504);
}

/* "(AccessDenied)" of an answer of S3, or "". */
static void take_code(const struct answer *a, char *out, size_t size)
{
    const char *code = a->said_len ? strstr(a->said, "<Code>") : NULL, *end = code ? strstr(code, "</Code>") : NULL;

    *out = '\0';
    if (end && end - code < 100)
        snprintf(out, size, " (%.*s)", (int)(end - code - 6), code + 6);
}

static int judge_status(struct answer *a, struct fc_error *err)
{
    struct fc_fetch *f = a->f;
    char code[128];

    take_code(a, code, sizeof code);
    switch (a->status) {
    case 200:
        return fc_error_set(err, FC_E_IO, f->url, f->off,
                            "the server does not give parts of it, but all of it or nothing: it is not read");
    case 404:
    case 410:
        return fc_error_set(err, FC_E_MISSING, f->url, FC_NO_OFFSET, "the capture is missing: the server answers %ld%s",
                            a->status, code);
    case 412:
        return fc_error_set(err, FC_E_CHANGED, f->url, f->off, "the capture has changed while it was read");
    case 416:
        if (f->version.size == 0 && f->off == 0) { /* there is nothing to have a part of */
            f->got = 0;
            return 0;
        }
        return fc_error_set(err, FC_E_CHANGED, f->url, f->off, "the capture has become shorter");
    default:
        return fc_error_set(err, FC_E_IO, f->url, f->off, "the server answers %ld%s%s", a->status, code,
                            a->status >= 301 && a->status <= 308 && a->status != 304
                                ? ": it is elsewhere, perhaps in another region"
                                : "");
    }
}

static bool same_version(const struct fc_version *a, const struct fc_version *b)
{
    return a->size == b->size && strcmp(a->etag, b->etag) == 0 && (a->etag[0] || strcmp(a->modified, b->modified) == 0);
}

/* A part of the object: is it the one that was asked for? Sets *again where it may be, the next time. */
static int judge_part(struct answer *a, bool *again, struct fc_error *err)
{
    struct fc_fetch *f = a->f;
    uint64_t left = a->has_range && f->version.size > f->off ? f->version.size - f->off : 0;
    size_t want = left < f->n ? (size_t)left : f->n;

    if (a->has_range && f->pinned && !same_version(f->pinned, &f->version))
        return fc_error_set(err, FC_E_CHANGED, f->url, f->off, "the capture has changed while it was read");
    if (!a->has_range || a->too_much || a->first != f->off || a->last - a->first + 1 != want)
        return fc_error_set(err, FC_E_IO, f->url, f->off, "the server answers with another part than was asked for");
    if (f->got < want) {
        *again = true;
        return fc_error_set(err, FC_E_IO, f->url, f->off + f->got, "the server ends its answer early");
    }
    return 0;
}

static int judge(struct answer *a, CURLcode code, const char *why, bool *again, struct fc_error *err)
{
    const struct fc_curl *curl = fc_curl(NULL);
    struct fc_fetch *f = a->f;

    if (is_stopped(f))
        return fc_error_set(err, FC_E_INTERRUPTED, NULL, FC_NO_OFFSET, "interrupted");
    if (a->lines_len > LINES_MAX)
        return fc_error_set(err, FC_E_IO, f->url, f->off, "cannot be read: the headers of the answer have no end");
    if (code == CURLE_OUT_OF_MEMORY) /* which libcurl says of a header without end, too */
        return fc_error_set(err, FC_E_IO, f->url, f->off, "cannot be read: the answer does not fit in memory");
    if (code == CURLE_OK || code == CURLE_WRITE_ERROR) {
        *again = a->status != 206 && is_passing_status(a->status);
        return a->status == 206 ? judge_part(a, again, err) : judge_status(a, err);
    }
    *again = is_passing(code);
    return fc_error_set(err, FC_E_IO, f->url, f->off, "cannot be read: %.300s", *why ? why : curl->easy_strerror(code));
}

static int try_once(const struct fc_curl *curl, struct fc_fetch *f, const struct fc_s3_place *s3, bool *again,
                    struct fc_error *err)
{
    struct answer a = {.f = f};
    struct curl_slist *headers = NULL;
    char why[CURL_ERROR_SIZE] = "";
    CURL *h = take_channel(curl);
    int rc = h ? make_headers(curl, f, s3, &headers) : FC_E_NOMEM;

    *again = false;
    f->requests++;
    f->got = 0;
    f->version = (struct fc_version){.size = UINT64_MAX};
    if (rc)
        fc_error_set(err, rc, NULL, FC_NO_OFFSET, "out of memory");
    else
        rc = judge(&a, ask(curl, h, &a, s3 ? s3->url : f->url, !s3, headers, why), why, again, err);
    if (h)
        give_channel(curl, h);
    curl->slist_free_all(headers);
    return rc;
}

static void pause_for(const struct fc_fetch *f, int ms)
{
    const struct timespec step = {.tv_nsec = 20000000};

    for (; ms > 0 && !is_stopped(f); ms -= 20)
        nanosleep(&step, NULL);
}

int fc_fetch_prepare(struct fc_error *err)
{
    return fc_curl(err) ? 0 : FC_E_IO;
}

int fc_fetch(struct fc_fetch *f, struct fc_error *err)
{
    const struct fc_curl *curl = fc_curl(err);
    struct fc_s3_place *s3 = NULL;
    struct fc_error local;
    bool again = false;
    int rc;

    f->requests = 0;
    err = err ? err : &local;
    if (!curl || (rc = fc_url_check(f->url, err)))
        return curl ? rc : FC_E_IO;
    if (strncmp(f->url, "s3:", 3) == 0) {
        if (!(s3 = malloc(sizeof *s3)))
            return fc_error_set(err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");
        if ((rc = fc_s3_place(f->url, s3, err))) {
            free(s3);
            return rc;
        }
    }
    for (int i = 0, ms = FIRST_PAUSE_MS; (rc = try_once(curl, f, s3, &again, err)) && again && i < TRIES - 1; i++) {
        pause_for(f, ms);
        ms *= 3;
    }
    if (rc && again)
        fc_error_set(err, rc, f->url, err->off, "%.400s (tried %d times)", strdupa(err->cause), TRIES);
    free(s3);
    return rc;
}

#endif
