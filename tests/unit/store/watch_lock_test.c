/* SPDX-License-Identifier: MIT */
/*
 * The blackboard of the lock: who reads beside a writer at full speed has whole notes alone, and newer and newer ones.
 */
#include "store/watch_lock.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { WORDS = 1500 }; /* some pages */

static char path[64];

static void name_index(void)
{
    snprintf(path, sizeof path, "/tmp/flowcarve-lock-%d.db", (int)getpid());
}

struct writer {
    struct fc_watch_lock lock;
    int stop;
};

static void *write_notes(void *arg)
{
    struct writer *w = arg;
    uint64_t note[WORDS];

    for (uint64_t n = 1; !__atomic_load_n(&w->stop, __ATOMIC_RELAXED); n++) {
        for (int i = 0; i < WORDS; i++)
            note[i] = n;
        fc_watch_lock_tell(&w->lock, FC_WATCH_WATCHES, note, sizeof note);
    }
    return NULL;
}

Test(watch_lock, notes_are_whole_beside_who_writes_them)
{
    struct writer w = {.stop = 0};
    struct fc_watch_note found;
    uint64_t note[WORDS], last = 0, whole = 0;
    pthread_t thread;

    name_index();
    cr_assert_eq(fc_watch_lock_take(path, NULL, &w.lock, NULL), 0);
    cr_assert_eq(pthread_create(&thread, NULL, write_notes, &w), 0);
    for (int i = 0; i < 20000 && whole < 3000; i++) {
        cr_assert_eq(fc_watch_lock_read(path, note, sizeof note, &found, NULL), 0);
        cr_assert(found.held);
        if (!found.kind)
            continue;
        whole++;
        for (int k = 0; k < WORDS; k++)
            cr_assert_eq(note[k], found.number, "word %d is of note %llu, not %llu", k, (unsigned long long)note[k],
                         (unsigned long long)found.number);
        cr_assert_geq(found.number, last);
        last = found.number;
    }
    __atomic_store_n(&w.stop, 1, __ATOMIC_RELAXED);
    pthread_join(thread, NULL);
    cr_assert_gt(whole, 100);
    cr_assert_eq(fc_watch_lock_read(path, note, sizeof note - 8, &found, NULL), 0);
    cr_assert(found.held && !found.kind, "of another size it is of another version");
    fc_watch_lock_release(&w.lock);
    cr_assert_eq(fc_watch_lock_read(path, note, sizeof note, &found, NULL), 0);
    cr_assert(!found.held && !found.kind);
}

Test(watch_lock, rights_are_those_of_who_may_read_the_index)
{
    const struct fc_rights rights = {.mode = 0664};
    struct fc_watch_lock lock;
    char file[80];
    struct stat st;

    name_index();
    snprintf(file, sizeof file, "%s.watch", path);
    cr_assert_eq(fc_watch_lock_take(path, &rights, &lock, NULL), 0);
    cr_assert_eq(stat(file, &st), 0);
    cr_assert_eq(st.st_mode & 0777, 0644); /* nobody else writes it */
    fc_watch_lock_release(&lock);
    cr_assert_neq(stat(file, &st), 0);
    cr_assert_eq(fc_watch_lock_take(path, NULL, &lock, NULL), 0);
    cr_assert_eq(stat(file, &st), 0);
    cr_assert_eq(st.st_mode & 0777, 0600);
    fc_watch_lock_release(&lock);
}
