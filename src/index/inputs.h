/* SPDX-License-Identifier: MIT */
/* Files named by the user, folders walked. Threads: one. */
#ifndef FC_INDEX_INPUTS_H
#define FC_INDEX_INPUTS_H

#include <flowcarve/index.h>

struct fc_tail;

struct fc_input {
    char *path;
    bool named; /* by the user himself, not found in a folder */
    int held;   /* see struct fc_offered; so are these: */
    uint64_t bytes;
    struct fc_tail *tail;
    uint64_t tail_base;
    uint64_t dev, ino; /* 0: it is not there */
    uint64_t size;
    int64_t mtime_ns, ctime_ns;
};
struct fc_input_folders {
    struct fc_input_folder {
        char *path; /* of a link; NULL */
        uint64_t dev, ino;
    } * items;
    size_t count, room;
};
struct fc_inputs {
    struct fc_input *items;
    size_t count, room;
    struct fc_input_folders folders, links; /* that were walked; symbolic links to folders */
    unsigned streams;
    const int *stop; /* ends the walk */
};

/* Where a stream goes, that is read once and cannot be carved from; and what ends looking at files. */
struct fc_save {
    const char *path; /* NULL: streams are refused */
    const struct fc_rights *rights;
    const char *index; /* whose name the file must not have */
    const int *stop;
};

/* A file that somebody has found in a folder. */
struct fc_offered {
    const char *path;
    int held;             /* a descriptor by which it is read, also when it has lost its name since; -1: none */
    uint64_t bytes;       /* so many of it, as if it had no more; 0: all that there are */
    struct fc_tail *tail; /* as in struct fc_file */
    uint64_t tail_base;
};

/*
 * Collects the files of `paths`; folders are walked to the bottom in the order of names, without following symbolic
 * links to folders. What cannot be read, or is left out, is noted in the result. A stream ("-" or a FIFO) is written to
 * save->path, which takes its place: one at most, and the file must be a new one. It is on the disk then. FC_E_NOMEM,
 * FC_E_IO, FC_E_USAGE, FC_E_INTERRUPTED. fc_inputs_fini() frees.
 */
int fc_inputs_collect(struct fc_inputs *inputs, const char *const *paths, size_t count, const struct fc_save *save,
                      struct fc_index_result *result, struct fc_error *err);
/* Adds files that were found; what has gone since, or is no file, is passed over. FC_E_NOMEM. */
int fc_inputs_offer(struct fc_inputs *inputs, const struct fc_offered *offered, size_t count,
                    struct fc_index_result *result, struct fc_error *err);
void fc_inputs_fini(struct fc_inputs *inputs);

#endif
