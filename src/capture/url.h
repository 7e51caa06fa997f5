/* SPDX-License-Identifier: MIT */
/*
 * Names of captures in an archive: http://, https:// and s3://BUCKET/KEY. Those of HTTP are written as they are asked
 * for, with what is no letter, digit or -._~/ as %XX; keys of S3 as they are. Threads: any.
 */
#ifndef FC_CAPTURE_URL_H
#define FC_CAPTURE_URL_H

#include <flowcarve/error.h>

#include <stdbool.h>

enum { FC_URL_MAX = 4096 }; /* bytes of a URL, with its NUL */

/* Is it a URL, and no path of a file? */
bool fc_is_url(const char *path);

/*
 * Can captures be there? FC_E_USAGE: not one of these schemes, no host or bucket, a user, a query or a fragment: what
 * may be secret must not stand in an index, nor does an error show it.
 */
int fc_url_check(const char *url, struct fc_error *err);

/*
 * A place below `folder`, which is a URL or a folder: rest is "" or "/...", as it stands behind `from`, which is of
 * either kind, too. A new string; NULL without memory.
 */
char *fc_url_join(const char *folder, const char *rest, const char *from);

/* Appends text to the string `to` (room bytes) as %XX but for letters, digits, -._~ and /. False: no room. */
bool fc_url_encode(char *to, size_t room, const char *text);

#endif
