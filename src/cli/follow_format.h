/* SPDX-License-Identifier: MIT */
/*
 * Pieces of a session's payload as text for people, as hex, as JSON lines, or as they are. Threads: one. What cannot be
 * written is remembered by the fc_out.
 */
#ifndef FC_CLI_FOLLOW_FORMAT_H
#define FC_CLI_FOLLOW_FORMAT_H

#include "cli/format.h"

#include <flowcarve/stream.h>

enum fc_follow_format { FC_FOLLOW_ASCII, FC_FOLLOW_HEX, FC_FOLLOW_RAW, FC_FOLLOW_JSON };

/* The format of that name, -1 when there is none. */
int fc_follow_format_by_name(const char *name);

struct fc_follow_text {
    struct fc_out *out;
    enum fc_follow_format format;
    bool color;
    bool local;                    /* times of text are in the zone of the process, else UTC */
    bool marks;                    /* tell who sent what follows */
    bool datagrams;                /* each piece is a datagram of its own */
    char ends[2][FC_TEXT_MAX + 8]; /* addresses of client and server */
    int last;                      /* enum fc_from of the last piece; -1 at first */
    bool in_line;                  /* text of ascii: the line has something, */
    bool had_cr;                   /* or a carriage return came, of which nobody knows yet whether it ends the line */
};

void fc_follow_write(struct fc_follow_text *text, const struct fc_piece *piece);
/* Behind the last piece; does not flush. */
void fc_follow_finish(struct fc_follow_text *text);

/* "123 bytes missing", for people. Returns buf. */
const char *fc_follow_gap(const struct fc_piece *piece, char *buf, size_t size);

/* "client", "server", "unknown". */
const char *fc_follow_from(enum fc_from from);

#endif
