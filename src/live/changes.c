/* SPDX-License-Identifier: MIT */
#include "live/changes.h"
#include "base/hash.h"
#include "base/vector.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { HELD_MOST = 4096, SLOTS_LEAST = 64 };

int64_t fc_live_now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

int fc_changes_init(struct fc_changes *c)
{
    struct rlimit limit;
    pthread_condattr_t attr;

    memset(c, 0, sizeof *c);
    if (!(c->slots = calloc(SLOTS_LEAST, sizeof *c->slots)))
        return FC_E_NOMEM;
    c->slot_count = SLOTS_LEAST;
    c->seed = fc_hash_secret();
    c->held_most =
        getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur / 4 < HELD_MOST ? limit.rlim_cur / 4 : HELD_MOST;
    pthread_mutex_init(&c->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&c->came, &attr);
    pthread_condattr_destroy(&attr);
    return 0;
}

/* Under the lock, or when there is one thread. */
static void fini_change(struct fc_changes *c, struct fc_change *change)
{
    if (change->held >= 0) {
        close(change->held);
        c->held--;
    }
    free(change->path);
}

static void fini_list(struct fc_changes *c, struct fc_change_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        fini_change(c, &list->items[i]);
    free(list->items);
    memset(list, 0, sizeof *list);
}

void fc_changes_fini(struct fc_changes *c)
{
    if (!c->slots)
        return;
    fini_list(c, &c->list);
    free(c->slots);
    free(c->words);
    pthread_cond_destroy(&c->came);
    pthread_mutex_destroy(&c->lock);
    memset(c, 0, sizeof *c);
}

void fc_change_list_fini(struct fc_changes *c, struct fc_change_list *list)
{
    pthread_mutex_lock(&c->lock);
    fini_list(c, list);
    pthread_mutex_unlock(&c->lock);
}

/* The slot of a path: the one that has it, or the free one where it belongs. */
static uint32_t *find_slot(struct fc_changes *c, const char *path)
{
    size_t i = fc_hash_bytes(path, strlen(path), c->seed) & (c->slot_count - 1);

    while (c->slots[i] && strcmp(c->list.items[c->slots[i] - 1].path, path) != 0)
        i = (i + 1) & (c->slot_count - 1);
    return &c->slots[i];
}

/* So that half of the slots are free when one more has come. FC_E_NOMEM. */
static int make_room(struct fc_changes *c)
{
    size_t want = c->slot_count;

    if (fc_vector_reserve(&c->list.items, &c->list.room, c->list.count + 1, sizeof *c->list.items))
        return FC_E_NOMEM;
    while (want < (c->list.count + 1) * 2)
        want *= 2;
    if (want == c->slot_count)
        return 0;
    uint32_t *slots = calloc(want, sizeof *slots);
    if (!slots)
        return FC_E_NOMEM;
    free(c->slots);
    c->slots = slots;
    c->slot_count = want;
    for (size_t i = 0; i < c->list.count; i++)
        if (!c->list.items[i].replaced)
            *find_slot(c, c->list.items[i].path) = (uint32_t)i + 1;
    return 0;
}

/* Takes over the path and the descriptor, also on failure. */
static int add(struct fc_changes *c, const struct fc_change *change)
{
    int rc = make_room(c);

    if (rc) {
        struct fc_change lost = *change;
        fini_change(c, &lost);
        return rc;
    }
    if (!change->replaced)
        *find_slot(c, change->path) = (uint32_t)c->list.count + 1;
    c->list.items[c->list.count++] = *change;
    return 0;
}

/* Not a FIFO, whose writer would take us for the one who reads it. */
static int hold(const char *path)
{
    struct stat st;

    return lstat(path, &st) == 0 && S_ISREG(st.st_mode)
               ? open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | O_NOFOLLOW)
               : -1;
}

static bool same_file(int a, int b)
{
    struct stat x, y;

    return fstat(a, &x) == 0 && fstat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

static bool leads_to(const char *path, int held)
{
    struct stat x, y;

    return lstat(path, &x) == 0 && fstat(held, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

/* Its name is free for another one. The slot stays, until the next take, for the one that gets it. */
static void replace(struct fc_changes *c, uint32_t *slot)
{
    struct fc_change *old = &c->list.items[*slot - 1];
    struct fc_change moved = *old;
    char *path = strdup(old->path);

    /* the new one takes the old one's place in the list; without memory the old one is lost */
    if (!path || fc_vector_reserve(&c->list.items, &c->list.room, c->list.count + 1, sizeof *c->list.items)) {
        free(path);
        close(old->held);
        c->held--;
        old->held = -1;
        return;
    }
    old = &c->list.items[*slot - 1];
    old->path = path;
    old->held = -1;
    old->closed = false;
    moved.replaced = true;
    c->list.items[c->list.count++] = moved;
}

int fc_changes_note(struct fc_changes *c, const char *path, unsigned how)
{
    int64_t now = fc_live_now();
    int rc = 0;

    pthread_mutex_lock(&c->lock);
    uint32_t *slot = find_slot(c, path);
    if (*slot && (how & FC_CHANGE_REPLACES) && c->list.items[*slot - 1].held >= 0 &&
        !leads_to(path, c->list.items[*slot - 1].held))
        replace(c, slot);
    struct fc_change *known = *slot ? &c->list.items[*slot - 1] : NULL;
    struct fc_change change = {.held = -1, .since_ns = now, .closed = !(how & FC_CHANGE_OPEN)};
    if ((how & FC_CHANGE_HOLD) && (!known || known->held < 0) && c->held < c->held_most &&
        (change.held = hold(path)) >= 0)
        c->held++;
    if (known) {
        known->closed = (known->closed && !(how & FC_CHANGE_OPEN)) || (how & FC_CHANGE_CLOSED);
        known->held = change.held >= 0 ? change.held : known->held;
    } else if ((change.path = strdup(path))) {
        rc = add(c, &change);
    } else {
        fini_change(c, &change);
        rc = FC_E_NOMEM;
    }
    if (!c->news) {
        c->first_ns = now;
        pthread_cond_signal(&c->came);
    }
    c->last_ns = now;
    c->news = true;
    pthread_mutex_unlock(&c->lock);
    return rc;
}

void fc_changes_wait(struct fc_changes *c, int64_t most_ns)
{
    int64_t until = fc_live_now() + most_ns;
    struct timespec ts = {until / 1000000000, until % 1000000000};

    pthread_mutex_lock(&c->lock);
    if (!c->word_count)
        pthread_cond_timedwait(&c->came, &c->lock, &ts);
    pthread_mutex_unlock(&c->lock);
}

bool fc_changes_news(struct fc_changes *c, int64_t *first_ns, int64_t *last_ns)
{
    pthread_mutex_lock(&c->lock);
    bool news = c->news;
    *first_ns = c->first_ns;
    *last_ns = c->last_ns;
    pthread_mutex_unlock(&c->lock);
    return news;
}

size_t fc_changes_waiting(struct fc_changes *c, int64_t *since_ns)
{
    size_t count;

    *since_ns = INT64_MAX;
    pthread_mutex_lock(&c->lock);
    count = c->list.count;
    for (size_t i = 0; i < count; i++)
        if (c->list.items[i].since_ns < *since_ns)
            *since_ns = c->list.items[i].since_ns;
    pthread_mutex_unlock(&c->lock);
    return count;
}

void fc_changes_take(struct fc_changes *c, struct fc_change_list *out)
{
    pthread_mutex_lock(&c->lock);
    *out = c->list;
    memset(&c->list, 0, sizeof c->list);
    memset(c->slots, 0, c->slot_count * sizeof *c->slots);
    c->news = false;
    pthread_mutex_unlock(&c->lock);
}

/* What has come meanwhile of the same file is newer, but for when it was noticed first. */
static int give_back(struct fc_changes *c, struct fc_change *old)
{
    uint32_t *slot = find_slot(c, old->path);

    if (!old->replaced && *slot) {
        struct fc_change *known = &c->list.items[*slot - 1];
        bool same = old->held < 0 || known->held < 0 || same_file(old->held, known->held);
        if (same) {
            known->since_ns = old->since_ns;
            if (known->held < 0) {
                known->held = old->held;
                old->held = -1;
            }
            fini_change(c, old);
            return 0;
        }
        old->replaced = true;
    }
    return add(c, old);
}

int fc_changes_back(struct fc_changes *c, struct fc_change_list *list)
{
    int rc = 0;

    pthread_mutex_lock(&c->lock);
    for (size_t i = 0; i < list->count; i++) {
        int failed = give_back(c, &list->items[i]);
        rc = rc ? rc : failed;
    }
    pthread_mutex_unlock(&c->lock);
    free(list->items);
    memset(list, 0, sizeof *list);
    return rc;
}

void fc_changes_tell(struct fc_changes *c, const struct fc_error *what)
{
    pthread_mutex_lock(&c->lock);
    if (fc_vector_reserve(&c->words, &c->word_room, c->word_count + 1, sizeof *c->words) == 0)
        c->words[c->word_count++] = *what;
    pthread_cond_signal(&c->came);
    pthread_mutex_unlock(&c->lock);
}

int fc_changes_told(struct fc_changes *c, struct fc_error *what)
{
    pthread_mutex_lock(&c->lock);
    int some = c->word_count != 0;
    if (some) {
        *what = c->words[0];
        memmove(c->words, c->words + 1, --c->word_count * sizeof *c->words);
    }
    pthread_mutex_unlock(&c->lock);
    return some;
}
