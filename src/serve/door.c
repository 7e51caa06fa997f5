/* SPDX-License-Identifier: MIT */
#include "serve/door.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>

static enum MHD_Result take_header(void *ctx, enum MHD_ValueKind kind, const char *key, const char *value)
{
    struct fc_headers *h = ctx;
    const struct {
        const char *name;
        const char **to;
    } wanted[] = {{"Host", &h->host},
                  {"Origin", &h->origin},
                  {"Sec-Fetch-Site", &h->fetch_site},
                  {"Sec-Fetch-Dest", &h->fetch_dest},
                  {"Authorization", &h->authorization},
                  {"Cookie", &h->cookie},
                  {"Content-Type", &h->content_type},
                  {"Content-Length", &h->content_length},
                  {"Transfer-Encoding", &h->transfer_encoding},
                  {"If-None-Match", &h->if_none_match},
                  {"Accept-Encoding", &h->accept_encoding}};

    (void)kind;
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++)
        if (strcasecmp(wanted[i].name, key) == 0) {
            h->twice |= *wanted[i].to != NULL;
            *wanted[i].to = value ? value : "";
        }
    return MHD_YES;
}

struct fc_headers fc_door_headers(struct fc_request *r)
{
    struct fc_headers h = {0};

    r->serve->mhd->get_connection_values(r->connection, MHD_HEADER_KIND, take_header, &h);
    return h;
}

/* ---- where from */

static bool is_host(const struct fc_serve *serve, const char *host, const char *name, bool v6)
{
    char with_port[512];
    int usual = serve->tls ? 443 : 80;

    snprintf(with_port, sizeof with_port, v6 ? "[%s]:%d" : "%s:%d", name, serve->port);
    if (strcasecmp(host, with_port) == 0)
        return true;
    *strrchr(with_port, ':') = '\0';
    return serve->port == usual && strcasecmp(host, with_port) == 0;
}

/* An address as a number is what no name can be made to lead to: that at which the client has come is ours. */
static bool is_here(const struct fc_request *r, const char *host)
{
    struct sockaddr_storage here = {0};
    socklen_t size = sizeof here;
    char name[64];

    if (getsockname(r->line->fd, (struct sockaddr *)&here, &size) != 0 ||
        getnameinfo((struct sockaddr *)&here, size, name, sizeof name, NULL, 0, NI_NUMERICHOST) != 0)
        return false;
    return is_host(r->serve, host, name, here.ss_family == AF_INET6);
}

bool fc_door_is_ours(const struct fc_request *r, const char *host)
{
    static const char *const loopback[] = {"127.0.0.1", "localhost"};
    const struct fc_serve *serve = r->serve;

    for (int i = 0; i < 2; i++)
        if (is_host(serve, host, loopback[i], false))
            return true;
    if (is_host(serve, host, "::1", true) || is_host(serve, host, serve->address, serve->v6) || is_here(r, host))
        return true;
    for (size_t i = 0; i < serve->hosts; i++)
        if (is_host(serve, host, serve->host[i], strchr(serve->host[i], ':')))
            return true;
    return false;
}

bool fc_door_is_foreign(const struct fc_request *r, const struct fc_headers *h)
{
    char own[600];
    bool document = strcmp(r->ask.params.path, "/") == 0 && h->fetch_dest && strcmp(h->fetch_dest, "document") == 0;

    snprintf(own, sizeof own, "%s://%s", r->serve->tls ? "https" : "http", h->host);
    if (h->origin && strcasecmp(h->origin, own) != 0)
        return true;
    return h->fetch_site && strcmp(h->fetch_site, "same-origin") != 0 && strcmp(h->fetch_site, "none") != 0 &&
           !document;
}

bool fc_door_cookie(const struct fc_serve *serve, const char *cookies, char value[FC_SECRET_SIZE])
{
    size_t name = strlen(serve->cookie);

    for (const char *p = cookies; p && *p; p += strcspn(p, ";"), p += *p == ';') {
        p += strspn(p, " ");
        if (strncmp(p, serve->cookie, name) == 0 && p[name] == '=' &&
            strcspn(p + name + 1, "; ") == FC_SECRET_SIZE - 1) {
            memcpy(value, p + name + 1, FC_SECRET_SIZE - 1);
            value[FC_SECRET_SIZE - 1] = '\0';
            return true;
        }
    }
    return false;
}

/* A client whose certificate is signed by the CA given. */
static bool has_certificate(struct fc_request *r)
{
    const struct fc_mhd *mhd = r->serve->mhd;
    const union MHD_ConnectionInfo *info =
        r->serve->client_ca ? mhd->get_connection_info(r->connection, MHD_CONNECTION_INFO_GNUTLS_SESSION) : NULL;
    gnutls_x509_crt_t cert;
    unsigned status = 1, count = 0;
    char name[FC_WHO_MAX - 16];
    size_t size = sizeof name;

    /* a certificate that is for servers alone, as that of another sensor, lets nobody in */
    gnutls_typed_vdata_st purpose = {GNUTLS_DT_KEY_PURPOSE_OID, (unsigned char *)(uintptr_t)GNUTLS_KP_TLS_WWW_CLIENT,
                                     0};
    if (!info || mhd->certificate_verify_peers(info->tls_session, &purpose, 1, &status) < 0 || status)
        return false;
    const gnutls_datum_t *list = mhd->certificate_get_peers(info->tls_session, &count);
    if (!list || !count || mhd->x509_crt_init(&cert) < 0)
        return false;
    bool known = mhd->x509_crt_import(cert, &list[0], GNUTLS_X509_FMT_DER) >= 0;
    if (known && mhd->x509_crt_get_dn(cert, name, &size) < 0)
        strcpy(name, "?");
    mhd->x509_crt_deinit(cert);
    if (known) {
        snprintf(r->who.name, sizeof r->who.name, "certificate %s", name);
        r->who.scopes = FC_SCOPE_ALL;
    }
    return known;
}

/* A token that is shown must be good, whatever else there is. */
bool fc_door_is_known(struct fc_request *r, const struct fc_headers *h)
{
    char cookie[FC_SECRET_SIZE];

    if (h->authorization)
        return strncasecmp(h->authorization, "Bearer ", 7) == 0 &&
               fc_auth_token(&r->serve->auth, h->authorization + 7, &r->who);
    if (h->cookie && fc_door_cookie(r->serve, h->cookie, cookie) && fc_auth_cookie(&r->serve->auth, cookie, &r->who))
        return true;
    return has_certificate(r);
}

void fc_door_note_address(struct fc_request *r)
{
    const union MHD_ConnectionInfo *info =
        r->serve->mhd->get_connection_info(r->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    char host[64] = "?", port[16] = "?";

    if (info && info->client_addr)
        getnameinfo(info->client_addr,
                    info->client_addr->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in),
                    host, sizeof host, port, sizeof port, NI_NUMERICHOST | NI_NUMERICSERV);
    snprintf(r->from, sizeof r->from, strchr(host, ':') ? "[%s]:%s" : "%s:%s", host, port);
}
