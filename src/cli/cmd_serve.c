/* SPDX-License-Identifier: MIT */
#include "cli/archive.h"
#include "cli/cli.h"
#include "cli/cluster_option.h"

#if defined FC_HAS_SERVE

#include "cli/sandbox.h"

#include <flowcarve/serve.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    DB,
    CLUSTER,
    MAX_ROWS,
    LISTEN,
    HOST,
    TLS_CERT,
    TLS_KEY,
    CLIENT_CA,
    TOKENS,
    AUDIT,
    SENSOR,
    CARVE_LIMIT,
    THREADS,
    DEADLINE,
    QUIET,
    VERBOSE
};

static const struct fc_option options[] = {
    [DB] = FC_OPTION_DB,
    [CLUSTER] =
        {"cluster", 0, "FILE",
         "in place of an index: the sensors that FILE names (see docs/cluster.md), by the engine that they send "
         "their sessions to; packets come from the sensors"},
    [MAX_ROWS] = FC_OPTION_MAX_ROWS,
    [LISTEN] =
        {"listen", 'l', "ADDR:PORT",
         "where to answer (default: 127.0.0.1:8484; port 0: any that is free); others than this machine must show "
         "a token or a certificate, and are served by TLS alone"},
    [HOST] = {"host", 0, "HOST",
              "a name of this machine by which it may be asked, beside its address; may be repeated"},
    [TLS_CERT] = {"tls-cert", 0, "FILE", "serve by TLS, with this certificate and what it is signed by (PEM)"},
    [TLS_KEY] = {"tls-key", 0, "FILE", "its key (PEM)"},
    [CLIENT_CA] = {"client-ca", 0, "FILE", "let in who shows a certificate that is signed by one of these (PEM)"},
    [TOKENS] =
        {"tokens", 0, "FILE",
         "let in who knows one of these: lines NAME SCOPE[,SCOPE] TOKEN, scopes metadata and packets; the file's "
         "mode must be 600"},
    [AUDIT] = {"audit", 0, "FILE", "append a line for each time that somebody asks for packets"},
    [SENSOR] = {"sensor", 0, "NAME", "its name in a cluster (see docs/cluster.md)"},
    [CARVE_LIMIT] = {"carve-limit", 0, "SIZE",
                     "give nobody more packets at once than come to SIZE, as 10g (default: any number)"},
    [THREADS] = {"threads", 0, "N", "so many threads answer (default: two a processor, 4 at least)"},
    [DEADLINE] = {"deadline", 0, "TIME", "give up a question that takes longer (default: 30s)"},
    [QUIET] = {"quiet", 'q', NULL, "errors only, and not where to go"},
    [VERBOSE] = {"verbose", 'v', NULL, "a line for each answer"},
    {0},
};

enum { HOSTS_MAX = 64 };

struct args {
    struct fc_serve_options o;
    const char *hosts[HOSTS_MAX];
    char *address;
    struct fc_cluster_option cluster;
    bool quiet;
};

/* "127.0.0.1:8484", "[::1]:8484", ":8484", "8484". False: it is none of these. */
static bool read_listen(struct args *a, const char *value)
{
    const char *colon = strrchr(value, ':'), *port = colon ? colon + 1 : value;
    size_t len = colon ? (size_t)(colon - value) : 0;
    bool brackets = len > 1 && *value == '[' && value[len - 1] == ']';
    int64_t number;

    if (!fc_number_option(port, 0, 65535, &number) || (!brackets && memchr(value, ':', len)))
        return false;
    free(a->address);
    a->address = len ? strndup(value + brackets, len - 2 * brackets) : NULL;
    a->o.address = a->address;
    a->o.port = number ? (int)number : -1;
    return !len || a->address;
}

static int set_host(struct args *a, const char *value)
{
    if (a->o.host_count == HOSTS_MAX) {
        fc_complain("serve: too many names of hosts");
        return -1;
    }
    a->hosts[a->o.host_count++] = value;
    a->o.hosts = a->hosts;
    return 0;
}

static void log_line(void *ctx, const char *line)
{
    (void)ctx;
    fc_complain("%s", line);
}

static int set_time_or_number(struct args *a, int option, const char *value)
{
    int64_t number;

    if (option == DEADLINE) {
        if (fc_duration_option(value, &a->o.deadline_ns))
            return 0;
        fc_complain("serve: --deadline takes a time, such as 500ms or 30s, not '%s'", value);
        return -1;
    }
    if (!fc_number_option(value, 1, 256, &number)) {
        fc_complain("serve: --threads takes a number from 1 to 256, not '%s'", value);
        return -1;
    }
    a->o.threads = (unsigned)number;
    return 0;
}

static int set(void *ctx, int option, const char *value)
{
    struct args *a = ctx;

    switch (option) {
    case DB:
        a->o.db = value;
        return 0;
    case LISTEN:
        if (read_listen(a, value))
            return 0;
        fc_complain("serve: --listen takes an address and a port, such as 127.0.0.1:8484 or [::1]:8484, not '%s'",
                    value);
        return -1;
    case HOST:
        return set_host(a, value);
    case TLS_CERT:
        a->o.tls_cert = value;
        return 0;
    case TLS_KEY:
        a->o.tls_key = value;
        return 0;
    case CLIENT_CA:
        a->o.client_ca = value;
        return 0;
    case TOKENS:
        a->o.tokens = value;
        return 0;
    case AUDIT:
        a->o.audit = value;
        return 0;
    case SENSOR:
        a->o.sensor = value;
        return 0;
    case CARVE_LIMIT:
        if (fc_size_option(value, &a->o.carve_limit) && a->o.carve_limit)
            return 0;
        fc_complain("serve: --carve-limit takes a size, such as 500m or 10g, not '%s'", value);
        return -1;
    case QUIET:
        a->quiet = true;
        return 0;
    case VERBOSE:
        a->o.log = log_line;
        return 0;
    case CLUSTER:
        a->o.cluster = a->cluster.path = value;
        return 0;
    case MAX_ROWS:
        return fc_cluster_option_rows(&a->cluster, "serve", value);
    default:
        return set_time_or_number(a, option, value);
    }
}

/* What the index is like now decides: what is moved to an archive later is read by a server started then. */
static unsigned needs_of(const char *index)
{
    struct fc_db *db;
    unsigned needs = 0;

    if (fc_db_open(index, &db, NULL) == 0) {
        needs = fc_archive_needs(db);
        fc_db_close(db);
    }
    return needs;
}

static int serve(struct args *a)
{
    struct fc_serve *server;
    struct fc_error err;
    unsigned needs = FC_NEED_ARCHIVE; /* of a cluster: others are asked, in the same way */

    if (!fc_cluster_option_fits(&a->cluster, "serve", a->o.db ? "--db" : a->o.sensor ? "--sensor" : NULL))
        return FC_EXIT_ERROR;
    a->o.rows_max = a->cluster.o.rows_max;
    if (!a->o.cluster) {
        a->o.db = fc_db_name(a->o.db);
        needs = needs_of(a->o.db);
    }
    fc_lift_descriptors(); /* a connection takes one, a stream three */
    if (fc_serve_open(&a->o, &server, &err) != 0) {
        fc_complain_error(&err);
        return FC_EXIT_ERROR;
    }
    fc_catch_signals();
    if (!a->quiet) {
        printf("%s\n", fc_serve_url(server));
        fflush(stdout);
    }
    fc_sandbox_enter_server(a->o.db, needs);
    int rc = fc_serve_run(server, &fc_stop, &err);
    fc_serve_close(server);
    if (rc) {
        fc_complain_error(&err);
        return FC_EXIT_ERROR;
    }
    return fc_stop_signal() == SIGTERM ? FC_EXIT_OK : FC_EXIT_ERROR;
}

static int run(int argc, char **argv)
{
    struct args a = {0};
    int first, rc = fc_options_parse(&fc_command_serve, argc, argv, set, &a, &first);

    if (rc < 0 && first < argc) {
        fc_complain("serve: takes no words (see 'flowcarve serve --help')");
        rc = FC_EXIT_ERROR;
    }
    rc = rc < 0 ? serve(&a) : rc;
    free(a.address);
    return rc;
}

const struct fc_command fc_command_serve = {
    .name = "serve",
    .usage = "[OPTION...]",
    .summary = "answer questions about an index over HTTP: a page, and an API",
    .details =
        "Prints the URL to open. The token in it works once; the browser gets a cookie for it that lasts as long as "
        "the "
        "server does. Programs show one of --tokens: curl -H 'Authorization: Bearer TOKEN'. The API is described in "
        "docs/http.md.\n"
        "Before anybody is answered the process gives up all that it does not need: it can start no program, connect "
        "to nothing but archives that the index has captures in (with --cluster: what FILE names), and write files "
        "beside "
        "the index alone. An index that grows is served as it is.\n"
        "Goes on until a signal ends it.\n",
    .options = options,
    .run = run,
};

#endif
