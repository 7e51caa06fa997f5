/* SPDX-License-Identifier: MIT */
/*
 * Packets from anywhere into captures and an index of them, as they come.
 *
 * What is given to it is written as pcapng files in a folder, one after the other, and indexed from memory every
 * second: queries, also for sessions that go on, and carves see it then. A file has a hidden name (".NAME.part") while
 * it is written, and its own when it is whole and on the disk; other commands find it by either. What the index has of
 * a file is on the disk: neither a kill nor a power loss takes a packet from it, and the next recorder on this folder
 * goes on where this one has ended. What was dropped, and when, is in table `loss` (loss.h), by the names of
 * interfaces.
 *
 * Threads: each input belongs to one thread, which is never kept waiting unless the option `wait` asks for that: what
 * there is no room for is dropped, and counted by its cause. fc_recorder_run() and fc_recorder_commit() belong to one
 * thread, which all callbacks are called by. The recorder has one thread of its own, that writes. Memory: `memory`, and
 * what a run of fc_index_run() takes.
 */
#ifndef FLOWCARVE_RECORDER_H
#define FLOWCARVE_RECORDER_H

#include <flowcarve/error.h>
#include <flowcarve/index.h>
#include <flowcarve/live.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct fc_recorder;
struct fc_status;
struct fc_recorder_input;

/* Where packets come from, as a pcapng says it. Strings are copied; NULL: nothing is said. */
struct fc_recorder_interface {
    const char *name, *description, *filter;
    uint32_t link_type; /* as of a capture: LINKTYPE_*, not DLT_* */
    uint32_t snaplen;   /* bytes; 0: no limit */
    uint8_t tsresol;    /* 6: µs, 9: ns, as times of the source are known; 0: ns */
};

struct fc_recorder_packet {
    int64_t time_ns; /* since 1970, not before; that is all a pcapng can hold */
    uint32_t interface;
    uint32_t caplen, origlen; /* bytes; caplen at most 262144 */
    const uint8_t *data;
};

/*
 * Packets since the start. received = recorded + waiting + kernel + queue + disk; received is what passed the filter.
 */
struct fc_recorder_counts {
    uint64_t received;
    uint64_t recorded;       /* in a file */
    uint64_t indexed;        /* of these: in the index, or left out by its options */
    uint64_t waiting;        /* in memory, on the way to a file */
    uint64_t dropped_kernel; /* as its buffer was full: told by fc_recorder_tell() */
    uint64_t dropped_iface;  /* by the interface or its driver, of which `received` knows nothing; told as well */
    uint64_t dropped_queue;  /* no room was left in memory, */
    uint64_t dropped_disk;   /* and that as the disk was too slow, or full */
    uint64_t recorded_bytes; /* of packets, as recorded */
    int64_t lag_ns; /* for so long the oldest packet waits that is not in the index, of all interfaces; 0: none does */
};

/* What was written since the last call of `committed`. */
struct fc_recorder_commit {
    const struct fc_index_result *result; /* valid during the call; all 0 when nothing had to be added */
    int64_t lag_ns;                       /* from when the first of these packets was written until it was visible */
    int64_t took_ns;                      /* the commit */
    uint64_t files;                       /* so many have been completed since the last call */
};

struct fc_recorder_options {
    /* How each run is made: as in fc_watch_options. May be NULL. */
    const struct fc_index_options *index;
    int64_t commit_ns;       /* from the start of a commit to that of the next one; 0: a second */
    uint64_t commit_packets; /* sooner when so many wait for it; 0: no number does that */
    uint64_t rotate_bytes;   /* a file ends before it has more, but for some kB; 0: 1 GiB. At least 1 MiB */
    int64_t rotate_ns;       /* a file ends when the wall clock passes a multiple of this since 1970; 0: no time does */
    uint64_t memory_bytes; /* of packets on their way to a file; 0: 64 MiB. At least 4 MiB; 1.5 MiB an input if more */
    bool wait;             /* fc_recorder_add() waits for room, and drops nothing unless the recorder ends */
    const char *prefix;    /* of the files' names, without '/'; NULL: "flowcarve" */
    /* As in fc_watch_options, and `ready` by fc_recorder_open(); may be NULL. */
    void (*notice)(void *ctx, const struct fc_notice *notice);
    void (*word)(void *ctx, const struct fc_error *what);
    void (*committed)(void *ctx, const struct fc_recorder_commit *commit);
    void (*idle)(void *ctx);
    void (*ready)(void *ctx, bool names);
    void *ctx;
    /*
     * The oldest captures in the folder are deleted and forgotten until these limits hold, and rows of table `loss`
     * with the sessions of their time, as in fc_watch_options; file_bytes, file_ns and own are set here. May be NULL.
     * Copied.
     */
    const struct fc_retain_limits *retain;
    void (*deleted)(void *ctx, const struct fc_retain_deleted *deleted);
    void (*retained)(void *ctx, const struct fc_retain_result *result);
};

/*
 * Begins to record into a folder, and takes up what a recorder before it has left there without an end: that is in the
 * index with the first commit. The options are copied, strings too, but for those in `index`, which must stay.
 * FC_E_USAGE: options out of their range, limits that cannot be kept, no folder. FC_E_BUSY: another process watches or
 * records for this index, or into this folder. FC_E_IO, FC_E_NOMEM, FC_E_LIMIT: no thread can be had. On success *out
 * must go to fc_recorder_close().
 */
int fc_recorder_open(const char *db_path, const char *folder, const struct fc_recorder_options *options,
                     struct fc_recorder **out, struct fc_error *err);

/* Names an interface, at any time and from any thread: *out is its number, for fc_recorder_packet. FC_E_NOMEM. */
int fc_recorder_add_interface(struct fc_recorder *recorder, const struct fc_recorder_interface *interface,
                              uint32_t *out, struct fc_error *err);

/*
 * One more input. Packets of several inputs are recorded in the order of their times, as far as fc_recorder_until()
 * lets that be known. FC_E_NOMEM. Any thread. It lasts as long as the recorder.
 */
int fc_recorder_add_input(struct fc_recorder *recorder, struct fc_recorder_input **out, struct fc_error *err);

/*
 * Copies a packet. 0, or FC_E_LIMIT: there was no room, it is dropped and counted. FC_E_USAGE: no such packet can be.
 */
int fc_recorder_add(struct fc_recorder_input *input, const struct fc_recorder_packet *packet);

/*
 * What comes by this input from here on is not older than that (INT64_MAX: nothing comes any more), and what came is to
 * be recorded now. To be called when a source has nothing more to give for the moment, some times a second.
 */
void fc_recorder_until(struct fc_recorder_input *input, int64_t time_ns);

/*
 * Tells what a source knows of its losses: totals since it was opened, by interface. What was dropped is received, too.
 * Any thread.
 */
void fc_recorder_tell(struct fc_recorder *recorder, uint32_t interface, uint64_t dropped_kernel,
                      uint64_t dropped_iface);

/*
 * Commits again and again until *stop is not 0; then all that was added is written and committed, the file is ended,
 * and FC_E_INTERRUPTED returned; FC_E_IO: the disk did not take all, which is counted as dropped. The inputs must have
 * ended by then, or be given nothing any more. What fails for the disk, for memory, or as another process writes the
 * index is told and tried again. Else: FC_E_USAGE, FC_E_SCHEMA, FC_E_FILTER: no run can be made with these options, or
 * of what is at db_path.
 */
int fc_recorder_run(struct fc_recorder *recorder, const int *stop, struct fc_error *err);

/*
 * All that was added before fc_recorder_until() was called last is in the index when it returns, unless packets of
 * another input are waited for. Errors as fc_index_run(), FC_E_IO; it may be called again.
 */
int fc_recorder_commit(struct fc_recorder *recorder, struct fc_error *err);

/* Ends the file before its next packet, if it has any. Any thread, or a signal handler. */
void fc_recorder_rotate(struct fc_recorder *recorder);

/* What was counted so far, of the interfaces of this name or (NULL) all of them. Any thread. */
void fc_recorder_count(struct fc_recorder *recorder, const char *name, struct fc_recorder_counts *counts);

/* Tells it to whoever asks; see <flowcarve/status.h>. One thread at a time. It does not wait for anything. */
void fc_recorder_publish(struct fc_recorder *recorder, const struct fc_status *status);

/*
 * Ends: what was added is written and the file is ended; it is committed by fc_recorder_run() or fc_recorder_commit()
 * alone. NULL is allowed.
 */
void fc_recorder_close(struct fc_recorder *recorder);

#ifdef __cplusplus
}
#endif
#endif
