/* SPDX-License-Identifier: MIT */
#include "base/error.h"
#include "base/export.h"
#include "serve/packed.h"
#include "serve/request.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <flowcarve/serve.h>
#include <flowcarve/text.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#if defined FC_HAS_CLUSTER
#include <flowcarve/cluster.h>
#endif

enum { THREADS_MIN = 4, THREADS_MAX = 256, BACKLOG = 1024, PEM_MAX = 1 << 20 };

int64_t fc_serve_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

void fc_serve_log(struct fc_request *r, const char *how)
{
    char raw[2048], line[4 * sizeof raw];

    if (!r->serve->log)
        return;
    snprintf(raw, sizeof raw, "%s %s %.1500s %d %llu bytes %.1f ms %s", r->from, *r->who.name ? r->who.name : "-",
             r->target, r->status, (unsigned long long)r->sent, (double)(fc_serve_now() - r->begun_ns) / 1e6, how);
    pthread_mutex_lock(&r->serve->log_lock);
    r->serve->log(r->serve->log_ctx, fc_text_show(raw, line, sizeof line));
    pthread_mutex_unlock(&r->serve->log_lock);
}

/* ---- what is asked for must be safe */

static int fail_usage(struct fc_error *err, const char *what)
{
    return fc_error_set(err, FC_E_USAGE, NULL, FC_NO_OFFSET, "%s", what);
}

/* As fc_is_sensor_name(), which libraries without libcurl do not have. */
static bool is_sensor_name(const char *name)
{
    size_t len = strlen(name);

    return len && len < 64 && isalnum((unsigned char)*name) &&
           strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") == len;
}

static int check(const struct fc_serve_options *o, bool loopback, struct fc_error *err)
{
    if (o->sensor && !is_sensor_name(o->sensor))
        return fail_usage(err, "a sensor's name has letters, digits, '.', '_' and '-', 63 of them at the most");
    if (!o->tls_cert != !o->tls_key)
        return fail_usage(err, "a certificate and its key go together");
    if (o->client_ca && !o->tls_cert)
        return fail_usage(err, "certificates of clients are shown by TLS alone: a certificate and a key are needed");
    if (!loopback && !o->tls_cert)
        return fail_usage(err, "others than this machine are served by TLS alone: a certificate and a key are needed");
    if (!loopback && !o->tokens && !o->client_ca)
        return fail_usage(err, "others than this machine must show who they are: a file of tokens, or the CA of their "
                               "certificates, is needed");
    return 0;
}

/* A PEM file, a new string. */
static int read_pem(const char *path, char **text, struct fc_error *err)
{
    FILE *f = path ? fopen(path, "re") : NULL;
    size_t len;

    if (!path)
        return 0;
    if (!f)
        return fc_error_errno(err, FC_E_IO, path, FC_NO_OFFSET, "cannot be read");
    if (!(*text = calloc(1, PEM_MAX + 1))) {
        fclose(f);
        return fc_error_set(err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");
    }
    len = fread(*text, 1, PEM_MAX, f);
    fclose(f);
    if (!len || strlen(*text) != len || !strstr(*text, "-----BEGIN "))
        return fc_error_set(err, FC_E_USAGE, path, FC_NO_OFFSET, "is no PEM file");
    return 0;
}

/* ---- the address */

struct address {
    struct sockaddr_storage any;
    socklen_t len;
    bool loopback, v6;
};

static int read_address(const char *text, int port, struct address *a, struct fc_error *err)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)&a->any;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&a->any;

    memset(a, 0, sizeof *a);
    if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons((uint16_t)port);
        a->len = sizeof *v4;
        a->loopback = ntohl(v4->sin_addr.s_addr) >> 24 == 127;
        return 0;
    }
    if (inet_pton(AF_INET6, text, &v6->sin6_addr) != 1)
        return fc_error_set(err, FC_E_USAGE, NULL, FC_NO_OFFSET, "'%.100s' is no address to listen at", text);
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons((uint16_t)port);
    a->len = sizeof *v6;
    a->v6 = true;
    a->loopback = IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
    return 0;
}

static int listen_at(struct fc_serve *s, struct address *a, struct fc_error *err)
{
    int on = 1;
    char what[160];

    s->listen = socket(a->any.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (s->listen >= 0) {
        setsockopt(s->listen, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        if (a->v6)
            setsockopt(s->listen, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    }
    if (s->listen < 0 || bind(s->listen, (struct sockaddr *)&a->any, a->len) != 0 || listen(s->listen, BACKLOG) != 0 ||
        getsockname(s->listen, (struct sockaddr *)&a->any, &a->len) != 0) {
        snprintf(what, sizeof what, "cannot listen at %s, port %d", s->address, s->port);
        return fc_error_errno(err, FC_E_IO, NULL, FC_NO_OFFSET, what);
    }
    s->port = ntohs(a->v6 ? ((struct sockaddr_in6 *)&a->any)->sin6_port : ((struct sockaddr_in *)&a->any)->sin_port);
    return 0;
}

/* ---- opening */

/* What the C library loads when it looks for the name of a service, it must have loaded before that is forbidden. */
static void load_names(void)
{
    struct fc_filter *filter = NULL;

    fc_filter_parse("port http or proto icmp", 1, &filter, NULL);
    fc_filter_free(filter);
}

/* The index is one; or the cluster's file is, and is read. */
static int check_source(struct fc_serve *s, const struct fc_serve_options *o, struct fc_error *err)
{
    struct fc_db *db;
    int rc;

    if (o->cluster)
#if defined FC_HAS_CLUSTER
        return fc_cluster_read(o->cluster, &s->cluster, err);
#else
        return fail_usage(err, "this flowcarve was built without what asks other machines (FLOWCARVE_REMOTE)");
#endif
    (void)s;
    if ((rc = fc_db_open(o->db, &db, err)) == 0)
        fc_db_close(db);
    return rc;
}

static int copy_hosts(struct fc_serve *s, const struct fc_serve_options *o, struct fc_error *err)
{
    s->host = calloc(o->host_count + 1, sizeof *s->host);
    for (size_t i = 0; s->host && i < o->host_count; i++) {
        if (!*o->hosts[i] || strlen(o->hosts[i]) > 255 || strpbrk(o->hosts[i], "/ []@"))
            return fc_error_set(err, FC_E_USAGE, NULL, FC_NO_OFFSET, "'%.100s' is no name of a host", o->hosts[i]);
        if (!(s->host[s->hosts] = strdup(o->hosts[i])))
            break;
        s->hosts++;
    }
    return s->host && s->hosts == o->host_count ? 0
                                                : fc_error_set(err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");
}

static int make_url(struct fc_serve *s, struct fc_error *err)
{
    const char *name = s->hosts ? s->host[0] : s->address;
    bool v6 = strchr(name, ':');

    snprintf(s->cookie, sizeof s->cookie, "flowcarve_%d", s->port);
    if (asprintf(&s->url, "%s://%s%s%s:%d/#token=%s", s->tls ? "https" : "http", v6 ? "[" : "", name, v6 ? "]" : "",
                 s->port, s->auth.one_time) >= 0)
        return 0;
    s->url = NULL;
    return fc_error_set(err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");
}

static unsigned choose_threads(unsigned wanted)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    unsigned threads = wanted ? wanted : processors > 0 ? 2 * (unsigned)processors : THREADS_MIN;

    threads = !wanted && threads < THREADS_MIN ? THREADS_MIN : threads;
    return threads > THREADS_MAX ? THREADS_MAX : threads;
}

static int open_all(struct fc_serve *s, const struct fc_serve_options *o, struct fc_error *err)
{
    struct address a;
    int rc;

    s->address = strdup(o->address ? o->address : "127.0.0.1");
    s->db = strdup(o->cluster ? o->cluster : o->db);
    s->sensor = o->sensor ? strdup(o->sensor) : NULL;
    if (!s->address || !s->db || (o->sensor && !s->sensor))
        return fc_error_set(err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");
    s->port = o->port < 0 ? 0 : o->port ? o->port : FC_SERVE_PORT;
    s->threads = choose_threads(o->threads);
    s->deadline_ns = o->deadline_ns > 0 ? o->deadline_ns : INT64_C(30000000000);
    s->carve_limit = o->carve_limit;
    s->rows_max = o->rows_max;
    s->log = o->log;
    s->log_ctx = o->log_ctx;
    s->tls = o->tls_cert != NULL;
    if ((rc = read_address(s->address, s->port, &a, err)) || (rc = check(o, a.loopback, err)) ||
        (rc = check_source(s, o, err)) || (rc = copy_hosts(s, o, err)) || (rc = fc_auth_init(&s->auth, o->tokens, err)))
        return rc;
    s->v6 = a.v6;
    if (!(s->mhd = fc_mhd(err)))
        return FC_E_IO;
    if (s->tls && s->mhd->is_feature_supported(MHD_FEATURE_TLS) != MHD_YES)
        return fail_usage(err, "the libmicrohttpd of this system has no TLS");
    if ((rc = read_pem(o->tls_cert, &s->cert, err)) || (rc = read_pem(o->tls_key, &s->key, err)) ||
        (rc = read_pem(o->client_ca, &s->client_ca, err)) || (rc = fc_audit_open(&s->audit, o->audit, err)) ||
        (rc = listen_at(s, &a, err)))
        return rc;
    load_names();
    return make_url(s, err);
}

FC_EXPORT int fc_serve_open(const struct fc_serve_options *options, struct fc_serve **out, struct fc_error *err)
{
    struct fc_serve *s = calloc(1, sizeof *s);

    *out = NULL;
    if (!s)
        return fc_error_set(err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");
    s->listen = s->audit.fd = -1;
    s->packed = fc_packed_make();
    pthread_mutex_init(&s->log_lock, NULL);
    int rc = s->packed ? open_all(s, options, err) : fc_error_set(err, FC_E_NOMEM, NULL, FC_NO_OFFSET, "out of memory");
    if (rc)
        fc_serve_close(s);
    else
        *out = s;
    return rc;
}

FC_EXPORT const char *fc_serve_url(const struct fc_serve *serve)
{
    return serve->url;
}

FC_EXPORT int fc_serve_run(struct fc_serve *s, const int *stop, struct fc_error *err)
{
    enum { LOOK_MS = 100 };
    int rc = fc_pool_start(s, s->threads, fc_http_connections(), err);

    if (rc == 0)
        rc = fc_http_start(s, err);
    while (rc == 0 && !__atomic_load_n(stop, __ATOMIC_RELAXED))
        poll(NULL, 0, LOOK_MS); /* a signal ends it, too */
    if (s->daemon)
        s->mhd->quiesce_daemon(s->daemon);
    fc_pool_stop(s);
    if (s->daemon)
        s->mhd->stop_daemon(s->daemon);
    s->daemon = NULL;
    fc_pool_fini(s);
    return rc;
}

static void free_secret(char *text)
{
    if (text)
        explicit_bzero(text, strlen(text));
    free(text);
}

FC_EXPORT void fc_serve_close(struct fc_serve *s)
{
    if (!s)
        return;
    if (s->listen >= 0)
        close(s->listen);
    fc_audit_close(&s->audit);
    fc_auth_fini(&s->auth);
    for (size_t i = 0; i < s->hosts; i++)
        free(s->host[i]);
    free(s->host);
#if defined FC_HAS_CLUSTER
    fc_cluster_free(s->cluster);
#endif
    free(s->db);
    free(s->address);
    free(s->sensor);
    free_secret(s->url);
    free_secret(s->key);
    free(s->cert);
    free(s->client_ca);
    fc_packed_free(s->packed);
    pthread_mutex_destroy(&s->log_lock);
    free(s);
}
