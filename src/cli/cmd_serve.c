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

enum { HOSTS_MAX = 64 };

struct args {
    struct fc_serve_options o;
    const char *hosts[HOSTS_MAX];
    char *address;
    struct fc_cluster_option cluster;
    const char *db;
    bool quiet, verbose;
};

/* "127.0.0.1:8484", "[::1]:8484", ":8484", "8484". */
static int take_listen(const char *command, void *args, const char *value)
{
    struct args *a = args;
    const char *colon = strrchr(value, ':'), *port = colon ? colon + 1 : value;
    size_t len = colon ? (size_t)(colon - value) : 0;
    bool brackets = len > 1 && *value == '[' && value[len - 1] == ']';
    int64_t number;

    if (!fc_number_option(port, 0, 65535, &number) || (!brackets && memchr(value, ':', len))) {
        fc_complain("%s: --listen takes an address and a port, such as 127.0.0.1:8484 or [::1]:8484, not '%s'", command,
                    value);
        return -1;
    }
    free(a->address);
    a->address = len ? strndup(value + brackets, len - 2 * brackets) : NULL;
    a->o.address = a->address;
    a->o.port = number ? (int)number : -1;
    return !len || a->address ? 0 : -1;
}

static int take_host(const char *command, void *args, const char *value)
{
    struct args *a = args;

    if (a->o.host_count == HOSTS_MAX) {
        fc_complain("%s: too many names of hosts", command);
        return -1;
    }
    a->hosts[a->o.host_count++] = value;
    a->o.hosts = a->hosts;
    return 0;
}

static int take_time(const char *command, void *ns, const char *value)
{
    if (fc_duration_option(value, ns))
        return 0;
    fc_complain("%s: --deadline takes a time, such as 500ms or 30s, not '%s'", command, value);
    return -1;
}

static int take_threads(const char *command, void *threads, const char *value)
{
    int64_t number;

    if (fc_number_option(value, 1, 256, &number)) {
        *(unsigned *)threads = (unsigned)number;
        return 0;
    }
    fc_complain("%s: --threads takes a number from 1 to 256, not '%s'", command, value);
    return -1;
}

static int take_carve_limit(const char *command, void *bytes, const char *value)
{
    if (fc_size_option(value, bytes) && *(uint64_t *)bytes)
        return 0;
    fc_complain("%s: --carve-limit takes a size, such as 500m or 10g, not '%s'", command, value);
    return -1;
}

static const struct fc_option options[] = {
    FC_OPTION_DB(struct args),
    {"cluster", 0, "FILE",
     "in place of an index: the sensors that FILE names (see docs/cluster.md), by the engine that they send "
     "their sessions to; packets come from the sensors",
     FC_WORD(struct args, cluster.path)},
    FC_OPTION_MAX_ROWS(struct args),
    {"listen", 'l', "ADDR:PORT",
     "address and port to answer at (default: 127.0.0.1:8484; port 0: any that is free); others than this machine must "
     "show a token or a certificate, and are served by TLS alone",
     FC_TAKE_ALL(take_listen)},
    {"host", 0, "HOST", "a name of this machine by which it may be asked, beside its address; may be repeated",
     FC_TAKE_ALL(take_host)},
    {"tls-cert", 0, "FILE", "serve by TLS, with this certificate and what it is signed by (PEM)",
     FC_WORD(struct args, o.tls_cert)},
    {"tls-key", 0, "FILE", "its key (PEM)", FC_WORD(struct args, o.tls_key)},
    {"client-ca", 0, "FILE", "let in who shows a certificate that is signed by one of these (PEM)",
     FC_WORD(struct args, o.client_ca)},
    {"tokens", 0, "FILE",
     "let in who knows one of these: lines NAME SCOPE[,SCOPE] TOKEN, scopes metadata and packets; the file's "
     "mode must be 600",
     FC_WORD(struct args, o.tokens)},
    {"audit", 0, "FILE", "append a line for each time that somebody asks for packets", FC_WORD(struct args, o.audit)},
    {"sensor", 0, "NAME", "its name in a cluster (see docs/cluster.md)", FC_WORD(struct args, o.sensor)},
    {"carve-limit", 0, "SIZE", "give nobody more packets at once than come to SIZE, as 10g (default: any number)",
     FC_TAKE(struct args, o.carve_limit, take_carve_limit)},
    {"threads", 0, "N", "so many threads answer (default: two a processor, 4 at least)",
     FC_TAKE(struct args, o.threads, take_threads)},
    {"deadline", 0, "TIME", "give up a question that takes longer (default: 30s)",
     FC_TAKE(struct args, o.deadline_ns, take_time)},
    {"quiet", 'q', NULL, "errors only, and not where to go", FC_FLAG(struct args, quiet)},
    {"verbose", 'v', NULL, "a line for each answer", FC_FLAG(struct args, verbose)},
    {0},
};

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

static void log_line(void *ctx, const char *line)
{
    (void)ctx;
    fc_complain("%s", line);
}

static int run(int argc, char **argv)
{
    struct args a = {0};
    int first, rc = fc_options_parse(&fc_command_serve, argc, argv, &a, &first);

    if (rc < 0 && first < argc) {
        fc_complain("serve: takes no words (see 'flowcarve serve --help')");
        rc = FC_EXIT_ERROR;
    }
    a.o.db = a.db;
    a.o.cluster = a.cluster.path;
    a.o.log = a.verbose ? log_line : NULL;
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
