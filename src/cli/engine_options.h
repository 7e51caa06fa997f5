/* SPDX-License-Identifier: MIT */
/* Options of commands that ask an engine: by a file of a cluster, or by its address. Threads: the main one. */
#ifndef FC_CLI_ENGINE_OPTIONS_H
#define FC_CLI_ENGINE_OPTIONS_H

#include <flowcarve/cluster.h>

/* Where these options begin in a command's table: FC_OPTIONS_ENGINE, in this order. */
enum fc_engine_option {
    FC_ENGINE_CLUSTER,
    FC_ENGINE_TO,
    FC_ENGINE_USER,
    FC_ENGINE_PASSWORD_FILE,
    FC_ENGINE_CA,
    FC_ENGINE_CERT,
    FC_ENGINE_KEY,
    FC_ENGINE_OPTIONS
};
#define FC_OPTIONS_ENGINE(first)                                                                                       \
    [(first) +                                                                                                         \
        FC_ENGINE_CLUSTER] = {"cluster", 0, "FILE",                                                                    \
                              "the file of the cluster, whose [engine] says the same as the options below"},           \
        [(first) + FC_ENGINE_TO] = {"to", 0, "URL", "the engine: http://HOST:8123/DATABASE, or https"},                \
        [(first) + FC_ENGINE_USER] = {"user", 0, "NAME", "as whom it is asked"},                                       \
        [(first) + FC_ENGINE_PASSWORD_FILE] = {"password-file", 0, "FILE", "with the password on one line; mode 600"}, \
        [(first) + FC_ENGINE_CA] = {"ca", 0, "FILE",                                                                   \
                                    "who may have signed its certificate (PEM; default: whom the system trusts)"},     \
        [(first) + FC_ENGINE_CERT] = {"cert", 0, "FILE", "a certificate to show (PEM)"},                               \
        [(first) + FC_ENGINE_KEY] = {"key", 0, "FILE", "its key (PEM; default: in the same file)"}

struct fc_engine_args {
    const char *file;
    struct fc_engine_options o;
};

void fc_engine_option_set(struct fc_engine_args *args, enum fc_engine_option option, const char *value);

/* The cluster that they say, to be freed; NULL: none, which is said. */
struct fc_cluster *fc_engine_args_open(const char *command, const struct fc_engine_args *args);

#endif
