/* SPDX-License-Identifier: MIT */
/* Options of commands that ask an engine: by a file of a cluster, or by its address. Threads: the main one. */
#ifndef FC_CLI_ENGINE_OPTIONS_H
#define FC_CLI_ENGINE_OPTIONS_H

#include "cli/cli.h"

#include <flowcarve/cluster.h>

/* Their entries in a command's table, whose arguments have `struct fc_engine_args engine`. */
#define FC_OPTIONS_ENGINE(type)                                                                                        \
    {"cluster", 0, "FILE", "the file of the cluster, whose [engine] says the same as the options below",               \
     FC_WORD(type, engine.file)},                                                                                      \
        {"to", 0, "URL", "the engine: http://HOST:8123/DATABASE, or https", FC_WORD(type, engine.o.url)},              \
        {"user", 0, "NAME", "as whom it is asked", FC_WORD(type, engine.o.user)},                                      \
        {"password-file", 0, "FILE", "with the password on one line; mode 600",                                        \
         FC_WORD(type, engine.o.password_file)},                                                                       \
        {"ca", 0, "FILE", "who may have signed its certificate (PEM; default: whom the system trusts)",                \
         FC_WORD(type, engine.o.ca)},                                                                                  \
        {"cert", 0, "FILE", "a certificate to show (PEM)", FC_WORD(type, engine.o.cert)},                              \
    {                                                                                                                  \
        "key", 0, "FILE", "its key (PEM; default: in the same file)", FC_WORD(type, engine.o.key)                      \
    }

struct fc_engine_args {
    const char *file;
    struct fc_engine_options o;
};

/* The cluster that they say, to be freed; NULL: none, which is said. */
struct fc_cluster *fc_engine_args_open(const char *command, const struct fc_engine_args *args);

#endif
