/* SPDX-License-Identifier: MIT */
#include "cli/cli.h"
#include "cli/filter_words.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

static const struct fc_command *const commands[] = {
    &fc_command_index,  &fc_command_watch,   &fc_command_capture, &fc_command_query, &fc_command_top,
    &fc_command_stats,  &fc_command_packets, &fc_command_follow,  &fc_command_carve, &fc_command_verify,
    &fc_command_files,  &fc_command_forget,  &fc_command_status,  &fc_command_cache,
#if defined FC_HAS_SERVE
    &fc_command_serve,
#endif
#if defined FC_HAS_CLUSTER
    &fc_command_export, &fc_command_cluster,
#endif
};
enum { COMMANDS = sizeof commands / sizeof commands[0] };

static void help(FILE *out)
{
    fputs("flowcarve indexes packet captures by session and carves sessions out of them.\n\n"
          "Usage: flowcarve COMMAND [OPTION...] [WORD...]\n\nCommands:\n",
          out);
    for (int i = 0; i < COMMANDS; i++)
        fprintf(out, "  %-8s %s\n", commands[i]->name, commands[i]->summary);
    fputs("\n  flowcarve index day/*.pcap\n"
          "  flowcarve query host 10.0.0.5 and port 443\n"
          "  flowcarve carve --id 42 -w one.pcap\n\n"
          "'flowcarve help COMMAND' tells of a command's options, 'flowcarve help filter'\n"
          "how filters are written, 'flowcarve completion' how a shell completes words.\n"
          "Exit status:\n"
          "0 done or found, 1 nothing matched, 2 usage or other error.\n",
          out);
}

static int unknown(const char *word)
{
    char list[256] = "";

    for (int i = 0; i < COMMANDS; i++)
        snprintf(list + strlen(list), sizeof list - strlen(list), "%s%s", i ? ", " : "", commands[i]->name);
    if (word[0] == '-')
        fc_complain("'%s' in front of the command: options stand behind it (see 'flowcarve --help')", word);
    else
        fc_complain("unknown command '%s' (%s; see 'flowcarve --help')", word, list);
    return FC_EXIT_ERROR;
}

/*
 * A file that is opened later must not get the number of a standard stream that is closed; to use that stays an error.
 */
static void reserve_streams(void)
{
    for (int fd = 0; fd < 3; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY) != fd)
            return;
}

int main(int argc, char **argv)
{
    reserve_streams();
    signal(SIGPIPE, SIG_IGN); /* a closed pipe is seen where it is written to */
    if (argc < 2) {
        help(stderr);
        return FC_EXIT_ERROR;
    }
    if (argc > 2 && strcmp(argv[1], "help") == 0) { /* "help CMD" is "CMD --help" */
        static char word[] = "--help";
        char *of[] = {argv[2], word, NULL};
        if (strcmp(argv[2], "filter") == 0)
            return fc_help_filter();
        if (strcmp(argv[2], "completion") == 0)
            return fc_completion(commands, COMMANDS, 2, of);
        for (int i = 0; i < COMMANDS; i++)
            if (strcmp(argv[2], commands[i]->name) == 0)
                return commands[i]->run(2, of);
        return unknown(argv[2]);
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
        help(stdout);
        return fc_output_done();
    }
    if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0) {
        puts("flowcarve " FC_VERSION);
        return fc_output_done();
    }
    if (strcmp(argv[1], "completion") == 0)
        return fc_completion(commands, COMMANDS, argc - 1, argv + 1);
    for (int i = 0; i < COMMANDS; i++) {
        if (strcmp(argv[1], commands[i]->name) == 0) {
            int status = commands[i]->run(argc - 1, argv + 1);
            if (status == FC_EXIT_ERROR)
                fc_die_of_signal();
            return status;
        }
    }
    return unknown(argv[1]);
}
