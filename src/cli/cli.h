/* SPDX-License-Identifier: MIT */
/*
 * The command line's own tools: a table of commands, each with a table of options, from which parsing and every help
 * text come. Threads: the main one.
 */
#ifndef FC_CLI_CLI_H
#define FC_CLI_CLI_H

#include <flowcarve/newfile.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { FC_EXIT_OK = 0, FC_EXIT_NONE = 1, FC_EXIT_ERROR = 2 };

/* Its place is in the struct of the command's arguments: FC_FLAG(), FC_WORD() and FC_TAKE() say which. */
struct fc_option {
    const char *name; /* long name without dashes */
    char short_name;  /* or 0 */
    const char *arg;  /* name of its argument, NULL: takes none */
    const char *help; /* a paragraph */
    size_t place;
    /*
     * Puts the value (NULL where it takes none) into its place; -1 when it is no good, which it says in the name of
     * `command`. NULL: the place is a word, or of an option without argument a bool, which becomes true.
     */
    int (*take)(const char *command, void *place, const char *value);
};

#define FC_FLAG(type, member) (offsetof(type, member) + 0 * _Generic(((type *)0)->member, bool : 1)), NULL
#define FC_WORD(type, member) (offsetof(type, member) + 0 * _Generic(((type *)0)->member, const char * : 1)), NULL
#define FC_TAKE(type, member, function) offsetof(type, member), function
#define FC_TAKE_ALL(function) 0, function /* its place is the struct */

/* The fixed words that an option takes; completions offer them. */
struct fc_values {
    const char *option; /* long name */
    const char *words;  /* with blanks between them */
};

struct fc_command {
    const char *name;
    const char *usage;               /* behind the name */
    const char *summary;             /* a line */
    const char *details;             /* paragraphs behind the options in the help, each ended by \n; may be NULL */
    const struct fc_option *options; /* ended by a NULL name */
    const struct fc_values *values;  /* ended by a NULL option; may be NULL */
    int (*run)(int argc, char **argv);
};

extern const struct fc_command fc_command_index, fc_command_watch, fc_command_capture, fc_command_query, fc_command_top,
    fc_command_stats, fc_command_packets, fc_command_follow, fc_command_carve, fc_command_verify, fc_command_files,
    fc_command_forget, fc_command_status, fc_command_cache, fc_command_serve, fc_command_export, fc_command_cluster;

/*
 * Parses argv[1..] of a command into `args`, the struct in which its options have their places. Words are moved to
 * argv[*first..argc). Options may stand anywhere; "--" ends them. Handles --help. Returns -1 to go on, or the exit
 * status to end with.
 */
int fc_options_parse(const struct fc_command *command, int argc, char **argv, void *args, int *first);

/* Options of several commands; `type` is that of their arguments, with a member of the same name for each. */
#define FC_OPTION_DB(type)                                                                                             \
    {                                                                                                                  \
        "db", 'd', "DB", "the index (default: $FLOWCARVE_DB, else ./flowcarve.db)", FC_WORD(type, db)                  \
    }

#define FC_OPTION_MODE(type, member)                                                                                   \
    {                                                                                                                  \
        "mode", 0, "OCTAL",                                                                                            \
            "rights of a file that is made, as for chmod (default: 600; one that is there keeps its own)",             \
            FC_TAKE(type, member, fc_take_mode)                                                                        \
    }
#define FC_OPTION_GROUP(type, member)                                                                                  \
    {                                                                                                                  \
        "group", 0, "NAME", "group of a file that is made (with --mode 640 or 660, for colleagues)",                   \
            FC_TAKE(type, member, fc_take_group)                                                                       \
    }

/*
 * `flowcarve completion SHELL`: prints what bash, zsh or fish need to complete words of these commands. Options, their
 * arguments and help come from the commands' tables, so does what words a command takes: file names where its usage
 * has CAPTURE, FOLDER or FILE, those of filters where it has FILTER, and what stands there in small letters.
 */
int fc_completion(const struct fc_command *const *commands, int count, int argc, char **argv);

/* Takes --direction into an int: 0 client, 1 server, -1 both. */
int fc_take_direction(const char *command, void *direction, const char *value);

/* Take --mode and --group into a struct fc_rights. */
int fc_take_mode(const char *command, void *rights, const char *value);
int fc_take_group(const char *command, void *rights, const char *value);
/* Takes --limit, a number from 0 on, into an int64_t. */
int fc_take_limit(const char *command, void *limit, const char *value);

/* The index to use: the option's value, else $FLOWCARVE_DB, else "flowcarve.db". */
const char *fc_db_name(const char *option);

/* "flowcarve: ..." on standard error, a line that a terminal can take (flowcarve/text.h), whatever is in it. */
void fc_complain(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void fc_complain_error(const struct fc_error *err);

/* The same, of commands that run for long. Where that is the journal, "<LEVEL>" stands in place of the name. */
enum fc_level { FC_LEVEL_ERROR = 3, FC_LEVEL_WARNING = 4, FC_LEVEL_INFO = 6 }; /* those of syslog(3) */
void fc_log(enum fc_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Standard output is complete: FC_EXIT_OK; or it is not, which is said, and FC_EXIT_ERROR. */
int fc_output_done(void);

/* "64k", "16M", "2G", or bytes. False when it is none. */
bool fc_size_option(const char *text, uint64_t *bytes);
/* A whole number from low to high. */
bool fc_number_option(const char *text, int64_t low, int64_t high, int64_t *number);

/* "100us", "500ms", "10s", "1m", "2h", "7d", "2w", "1y" (365 days), above 0. */
bool fc_duration_option(const char *text, int64_t *ns);

/* The words joined by blanks, a new string; NULL without memory. */
char *fc_join_words(int count, char **words);

/* ": packets gone since 2024-05-31 10:00:00 UTC", ns since 1970; "" for 0: not known. Returns buf. */
const char *fc_gone_since(int64_t ns, char *buf, size_t size);

/* "1.5 GB". Returns buf. */
const char *fc_human_bytes(uint64_t bytes, char *buf, size_t size);
/* "12,345,678". Returns buf. */
const char *fc_human_count(uint64_t n, char *buf, size_t size);
/* "1 session", "12,345,678 sessions". Returns buf. */
const char *fc_human_things(uint64_t n, const char *thing, char *buf, size_t size);

/* " + 12 pending", the last term of a balance of bytes, "" for none. Returns buf. */
const char *fc_pending_term(uint64_t bytes, char *buf, size_t size);

/* Set by SIGHUP, SIGINT and SIGTERM once fc_catch_signals() was called. */
extern int fc_stop;
void fc_catch_signals(void);
/* The signal that was the first, 0: none has come. */
int fc_stop_signal(void);

/*
 * Behind a command that failed: when a signal has stopped it, ends the process by that signal, as a program does that
 * does not catch it. A shell then ends its loop, and sees 128 and the number as exit status. Else it returns.
 */
void fc_die_of_signal(void);

/* Of a command that writes a file for Prometheus. */
#define FC_OPTION_METRICS(type)                                                                                        \
    {                                                                                                                  \
        "metrics", 0, "FILE",                                                                                          \
            "write numbers for Prometheus into this file, once a second (rights: 644, or as --mode says)",             \
            FC_WORD(type, metrics)                                                                                     \
    }

/* Lets this process have as many files open as it may: the lower limit is meant for programs that use select(). */
void fc_lift_descriptors(void);

#endif
