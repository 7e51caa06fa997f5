/* SPDX-License-Identifier: MIT */
/*
 * What a process that parses captures gives up, for itself and all threads that it starts from then on, so that a fault
 * in parsing is of little use: it can start no program, connect to nothing, look into no other process, make no memory
 * executable, and write files in a few folders alone. What it may read stays as it is.
 *
 * By seccomp for calls and landlock for files, each where the kernel has it; nothing in builds with sanitizers, which
 * need more calls, nor where $FLOWCARVE_SANDBOX is "off", for tools that work inside of the process (valgrind). There
 * is no way back. Threads: the main one, before there are others.
 */
#ifndef FC_CLI_SANDBOX_H
#define FC_CLI_SANDBOX_H

#include <stdbool.h>

/* What is in force. */
enum { FC_SANDBOX_FILES = 1, FC_SANDBOX_CALLS = 2 };

/* What is still to be done, and so is not given up. */
enum {
    FC_NEED_NAMES = 1,   /* hosts are looked up, for which a process loads libraries and asks the network */
    FC_NEED_CLIENTS = 4, /* who connects is answered */
    FC_NEED_ARCHIVE = 8, /* captures are read by their URLs, with all that is needed for names */
    FC_NEED_PACKETS = 2  /* interfaces are opened to capture from them: sockets of packets, and no others */
};

/*
 * folders: those in which files may be made, changed and removed, beside the one for SQLite's temporary files; NULLs
 * are passed over. needs: FC_NEED_*. Returns FC_SANDBOX_*, 0 where nothing can be had.
 */
unsigned fc_sandbox_enter(const char *const *folders, unsigned count, unsigned needs);

/*
 * The same for a command: files may be made beside the index and beside `output` (either may be NULL). Who reads an
 * index makes files beside it, too, while another run adds to it.
 */
void fc_sandbox_enter_beside(const char *index, const char *output, unsigned needs);

/* The same for one that captures: files may be made beside the index, beside `output` (or NULL) and in the folder. */
void fc_sandbox_enter_capture(const char *index, const char *folder, const char *output, bool names);

/*
 * The same for a command that deletes captures: files may be made beside the index and beside `output` (or NULL), and
 * removed in these folders.
 */
void fc_sandbox_enter_deleting(const char *index, const char *output, const char *const *folders, unsigned count,
                               bool names);

/*
 * The same for a server that has its socket and all files that it needs but captures and the index: it may talk to
 * those who connect, and connect to nobody, but for what `needs` has. Returns as that.
 */
unsigned fc_sandbox_enter_server(const char *index, unsigned needs);

/* The folder that a file lies in, through a link as the last part; a new string. NULL: there is none, or no memory. */
char *fc_sandbox_folder(const char *path);

#endif
