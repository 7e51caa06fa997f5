/* SPDX-License-Identifier: MIT */
/*
 * A file for stdio that may be compressed: text of others, read line by line.
 *
 * Threads: one at a time. Memory: as capture/stream.h.
 */
#ifndef FC_CAPTURE_UNPACKED_H
#define FC_CAPTURE_UNPACKED_H

#include <flowcarve/error.h>
#include <stdio.h>

struct fc_unpacked;

/*
 * What fd holds, unpacked, for fclose(); fd stays the caller's. A file that is compressed is read from its beginning,
 * and *packed is valid until fclose(), which path and err must outlive; of all else, a pipe too, *packed is NULL, and
 * bytes come as they are. NULL: FC_E_IO, FC_E_NOMEM in err.
 */
FILE *fc_unpacked_open(int fd, const char *path, struct fc_unpacked **packed, struct fc_error *err);

/* Why reading has failed, behind ferror(): the code of the err above. 0: the file is not compressed, errno has it. */
int fc_unpacked_failed(const struct fc_unpacked *packed);

#endif
