/* SPDX-License-Identifier: MIT */
/*
 * Loose fragments (flow/fragment.h) over runs. They stay out of the flow table; when everything is read they are joined with the
 * pieces of their flows, so that it is known which session has each, and what that session is without them (its rest). The
 * index remembers both.
 *
 * The next run takes such sessions apart again: the rest under the session's ID, and each fragment by itself, which may find
 * its first one now. All is joined as if it had come in that run. Where the ID goes to:
 *
 *   there is a rest, or a fragment that stays   it stays
 *   all fragments move to other sessions        to the first of these that the index did not have: it is the one that would
 *                                               have got the ID, had all been indexed at once
 *   and the index had all of these              the session is gone, and its ID is not given out again
 *
 * Threads: the calling one, before and after the pipeline. Limits: those of flow/fragment.h.
 */
#ifndef FC_INDEX_HELD_H
#define FC_INDEX_HELD_H

#include "index/pipeline.h"
#include "store/writer.h"

/* A session of the index that has loose fragments. */
struct fc_held_session {
    int64_t id;
    struct fc_flow_key key;
    struct fc_node *rest; /* NULL: none */
    bool keeps;           /* it had a rest */
    bool moved;           /* its ID goes to another flow */
    bool gone;
    size_t first, count; /* its fragments in fc_held.members */
};

/* A fragment that a session of the index has. */
struct fc_held_member {
    struct fc_fragment *fragment;
    const struct fc_held_session *session;
    bool loose;  /* still */
    bool moved;  /* fragment->flow is another than its session's */
    bool joined; /* and that flow has a session in the index */
};

/* A node to be joined with the pieces of its flow. */
struct fc_addition {
    struct fc_flow_key key;
    uint64_t hash;
    struct fc_node *node; /* taken by the joining, or freed with the rest */
};

/* A fragment that is loose when everything is read. */
struct fc_held_loose {
    struct fc_fragment *fragment;
    uint32_t first_file; /* where its session starts */
    uint64_t first_off;
    struct fc_node *rest; /* one of a session has it for all; NULL: none */
};

struct fc_held {
    struct fc_writer *writer;         /* NULL: a fresh index */
    struct fc_held_session *sessions; /* by ID, ascending */
    size_t count, room;
    struct fc_fragment *read; /* while loading */
    size_t read_count, read_room;
    struct fc_held_member *members; /* by session, then place */
    size_t member_count;
    struct fc_addition *additions;
    size_t addition_count;
    struct fc_held_loose *loose;
    size_t loose_count;
    int64_t *whole; /* see fc_held_fields(); sorted by fc_held_release() */
    size_t whole_count, whole_room;
};

/* Reads what the index remembers and gives the fragments to `fragments`. Before the first event. */
int fc_held_load(struct fc_held *held, struct fc_writer *writer, struct fc_fragments *fragments, bool want_extra,
                 struct fc_error *err);
/* The one of this ID, or NULL: it does not go into the flow table. */
struct fc_held_session *fc_held_find(const struct fc_held *held, int64_t id);

/* When all is read, before the flows leave the table: those that get an addition are late. */
void fc_held_foresee(const struct fc_held *held, struct fc_pipeline *pipeline);
/* When they have: fills additions and loose. FC_E_NOMEM, FC_E_IO. */
int fc_held_decide(struct fc_held *held, struct fc_pipeline *pipeline, struct fc_error *err);
/*
 * A session of the index, of a flow that gets an addition: puts its optional fields in front of `extra`, since an added packet may
 * come before those that had them.
 */
int fc_held_fields(struct fc_held *held, int64_t id, struct fc_extra *extra, struct fc_error *err);
/* A session that was joined, nodes and mixed: its own (flow/join.h). Notes which loose fragments it has, and its rest. FC_E_NOMEM. */
int fc_held_note(struct fc_held *held, const struct fc_flow_key *key, const struct fc_joined *session,
                 struct fc_node *const *nodes, const bool *mixed);

/* Takes the fragments off the rows of their sessions, before the first session is written. */
int fc_held_release(struct fc_held *held, struct fc_writer *writer, struct fc_error *err);
/* The records of these sessions have all that their rows are to say. */
bool fc_held_whole(const struct fc_held *held, int64_t id);
/* A session was written under this ID. */
int fc_held_written(struct fc_held *held, struct fc_writer *writer, const struct fc_session_record *record, int64_t id,
                    struct fc_error *err);
/* When all are: remembers what is loose now, and tidies up. Behind fc_writer_set_fragments(). */
int fc_held_save(struct fc_held *held, struct fc_writer *writer, struct fc_error *err);

void fc_held_fini(struct fc_held *held);

static inline int fc_held_compare_place(const struct fc_fragment *x, const struct fc_fragment *y)
{
    if (x->file != y->file)
        return x->file < y->file ? -1 : 1;
    return x->off < y->off ? -1 : x->off > y->off;
}

/* By session, then place. */
static inline int fc_held_compare(const struct fc_fragment *x, const struct fc_fragment *y)
{
    if (x->held != y->held)
        return x->held < y->held ? -1 : 1;
    return fc_held_compare_place(x, y);
}

#endif
