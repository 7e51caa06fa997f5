/* SPDX-License-Identifier: MIT */
#include "query/top_groups.h"

#include <flowcarve/decode.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { GROUPS_MIN = 1024, PART_BITS_MAX = 48 };

static void split(struct fc_part *part)
{
    part->bits++;
    part->number <<= 1;
}

/* The part behind this one, as large as it can be; false: this was the last one. */
static bool go_on(struct fc_part *part)
{
    part->number++;
    while (part->bits && !(part->number & 1)) {
        part->number >>= 1;
        part->bits--;
    }
    return part->bits > 0;
}

static void values_init(struct fc_values *values)
{
    fc_sorter_init(&values->narrow, 1, 0);
    fc_sorter_init(&values->wide, 3, 0);
}

static void values_fini(struct fc_values *values)
{
    fc_sorter_fini(&values->narrow);
    fc_sorter_fini(&values->wide);
}

void fc_groups_init(struct fc_groups *g, uint32_t figures, size_t groups_max, size_t values_max)
{
    *g = (struct fc_groups){.figures = figures, .groups_max = groups_max, .values_max = values_max};
    g->seed = fc_hash_secret();
    values_init(&g->peers);
    values_init(&g->ports);
}

static void forget_texts(struct fc_groups *g)
{
    for (size_t i = 0; i < g->count; i++)
        free((char *)g->key[i].text);
}

void fc_groups_fini(struct fc_groups *g)
{
    forget_texts(g);
    values_fini(&g->peers);
    values_fini(&g->ports);
    free(g->group);
    free(g->key);
    free(g->gaps);
    free(g->slot);
}

static bool is_same(const struct fc_group_key *a, const struct fc_group_key *b)
{
    return memcmp(a->word, b->word, sizeof a->word) == 0 &&
           (a->text && b->text ? strcmp(a->text, b->text) == 0 : a->text == b->text);
}

/* Where a key is, or would be. */
static struct fc_group_slot *find_slot(const struct fc_groups *g, const struct fc_group_key *key, uint64_t hash)
{
    uint64_t id = fc_groups_id(key, hash);
    size_t i = hash & (g->slots - 1);

    while (g->slot[i].at && !(g->slot[i].id == id && (!(id >> 63) || is_same(&g->key[g->slot[i].at - 1], key))))
        i = (i + 1) & (g->slots - 1);
    return &g->slot[i];
}

static bool grow_array(void **array, size_t room, size_t size)
{
    void *bigger = realloc(*array, room * size);

    *array = bigger ? bigger : *array;
    return bigger != NULL;
}

/* Groups begin at lines of the cache, which realloc() does not know of. */
static bool grow_groups(struct fc_groups *g, size_t room)
{
    struct fc_group *bigger = aligned_alloc(64, room * sizeof *bigger);

    if (!bigger)
        return false;
    if (g->count)
        memcpy(bigger, g->group, g->count * sizeof *bigger);
    free(g->group);
    g->group = bigger;
    return true;
}

static void fill_slots(struct fc_groups *g)
{
    for (size_t i = 0; i < g->count; i++) {
        uint64_t hash = fc_groups_hash(g, &g->key[i]);
        *find_slot(g, &g->key[i], hash) = (struct fc_group_slot){fc_groups_id(&g->key[i], hash), (uint32_t)i + 1};
    }
}

/* Twice the room, and two slots a group. */
static int grow(struct fc_groups *g)
{
    size_t room = g->room ? g->room * 2 : GROUPS_MIN;
    struct fc_group_slot *slot = calloc(room * 2, sizeof *slot);

    if (!slot || !grow_groups(g, room) || !grow_array((void **)&g->key, room, sizeof *g->key) ||
        ((g->figures & FC_TOP_INTERVAL) && !grow_array((void **)&g->gaps, room, sizeof *g->gaps))) {
        free(slot);
        return FC_E_NOMEM;
    }
    free(g->slot);
    g->slot = slot;
    g->slots = room * 2;
    g->room = room;
    fill_slots(g);
    return 0;
}

static int add_group(struct fc_groups *g, const struct fc_group_key *key)
{
    g->group[g->count] = (struct fc_group){.first_ns = INT64_MAX, .last_ns = INT64_MIN};
    g->key[g->count] = *key;
    if (key->text && !(g->key[g->count].text = strdup(key->text)))
        return FC_E_NOMEM;
    if (g->gaps)
        g->gaps[g->count] = (struct fc_gaps){0};
    g->count++;
    return 0;
}

/* Values of groups that have gone go too, those of the others get their groups' new places. */
static void move_values(struct fc_sorter *s, const uint32_t *place)
{
    size_t kept = 0;

    for (size_t i = 0; i < s->count; i++) {
        uint64_t *entry = s->entry + i * s->words;
        uint32_t to = place[entry[0] >> 32];
        if (to == UINT32_MAX)
            continue;
        entry[0] = (uint64_t)to << 32 | (uint32_t)entry[0];
        memmove(s->entry + kept++ * s->words, entry, s->words * sizeof *entry);
    }
    s->count = kept;
}

/* Goes on with a smaller part of the groups. */
static int narrow_groups(struct fc_groups *g)
{
    size_t before = g->count, kept;
    uint32_t *place = malloc(before * sizeof *place);

    if (!place)
        return FC_E_NOMEM;
    do {
        split(&g->groups_part);
        kept = 0;
        for (size_t i = 0; i < before; i++)
            kept += fc_groups_wants(g, fc_groups_hash(g, &g->key[i]));
    } while (kept == before && g->groups_part.bits < PART_BITS_MAX);
    kept = 0;
    for (size_t i = 0; i < before; i++) {
        place[i] = UINT32_MAX;
        if (!fc_groups_wants(g, fc_groups_hash(g, &g->key[i]))) {
            free((char *)g->key[i].text);
            continue;
        }
        g->group[kept] = g->group[i];
        g->key[kept] = g->key[i];
        if (g->gaps)
            g->gaps[kept] = g->gaps[i];
        place[i] = (uint32_t)kept++;
    }
    move_values(&g->peers.narrow, place);
    move_values(&g->peers.wide, place);
    move_values(&g->ports.narrow, place);
    move_values(&g->ports.wide, place);
    free(place);
    g->count = kept;
    memset(g->slot, 0, g->slots * sizeof *g->slot);
    fill_slots(g);
    return 0;
}

int fc_groups_find(struct fc_groups *g, const struct fc_group_key *key, uint64_t hash, size_t *at)
{
    int rc;

    *at = SIZE_MAX;
    if (!fc_groups_wants(g, hash))
        return 0;
    if (g->count == g->room && (rc = grow(g)))
        return rc;
    struct fc_group_slot *slot = find_slot(g, key, hash);
    if (!slot->at) {
        if (g->summed) /* it has come into the index meanwhile; a transaction keeps that from happening */
            return 0;
        if (g->count >= g->groups_max && g->groups_part.bits < PART_BITS_MAX)
            return (rc = narrow_groups(g)) ? rc : fc_groups_find(g, key, hash, at);
        if ((rc = add_group(g, key)))
            return rc;
        *slot = (struct fc_group_slot){fc_groups_id(key, hash), (uint32_t)g->count};
    }
    *at = slot->at - 1;
    return 0;
}

bool fc_groups_start(struct fc_groups *g, size_t at, int64_t start_ns)
{
    struct fc_gaps *gaps = &g->gaps[at];
    double gap;

    if (gaps->any) {
        if (start_ns < gaps->last_ns)
            return false;
        gap = (double)((uint64_t)start_ns - (uint64_t)gaps->last_ns);
        gaps->count++;
        double off = gap - gaps->mean;
        gaps->mean += off / (double)gaps->count;
        gaps->squares += off * (gap - gaps->mean);
    }
    gaps->any = true;
    gaps->last_ns = start_ns;
    return true;
}

void fc_groups_gaps(const struct fc_groups *g, size_t at, struct fc_top_row *row)
{
    const struct fc_gaps *gaps = &g->gaps[at];

    row->intervals = gaps->count;
    if (gaps->count) {
        row->interval_mean = gaps->mean / 1e9;
        row->interval_deviation = sqrt(gaps->squares / (double)gaps->count) / 1e9;
    }
}

/* Sorts and leaves one of each. */
static int compact(struct fc_sorter *s)
{
    size_t kept = 0, size = s->words * sizeof *s->entry;
    int rc = fc_sorter_sort(s, NULL);

    for (size_t i = 0; rc == 0 && i < s->count; i++) {
        const uint64_t *entry = s->entry + i * s->words;
        if (kept == 0 || memcmp(s->entry + (kept - 1) * s->words, entry, size) != 0)
            memmove(s->entry + kept++ * s->words, entry, size);
    }
    if (rc == 0)
        s->count = kept;
    return rc;
}

/* A part of the hashes of values, which do not depend on where a group is. */
static bool is_of_part(const struct fc_groups *g, size_t at, uint64_t kind, const uint64_t *word)
{
    const struct fc_part *part = &g->values_part;

    return part->bits == 0 ||
           fc_hash_mix(g->seed, word[0] ^ kind << 56, word[1] + fc_groups_hash(g, &g->key[at])) >> (64 - part->bits) ==
               part->number;
}

static void drop_values(const struct fc_groups *g, struct fc_sorter *s)
{
    size_t kept = 0;

    for (size_t i = 0; i < s->count; i++) {
        const uint64_t *entry = s->entry + i * s->words;
        uint64_t word[2] = {(uint32_t)entry[0], 0}, kind = FC_ADDR_IPV4;
        if (s->words > 1) {
            kind = word[0];
            word[0] = entry[1];
            word[1] = entry[2];
        }
        if (is_of_part(g, entry[0] >> 32, kind, word))
            memmove(s->entry + kept++ * s->words, entry, s->words * sizeof *entry);
    }
    s->count = kept;
}

/* Goes on with a smaller part of the values. */
static void narrow_values(struct fc_groups *g)
{
    split(&g->values_part);
    drop_values(g, &g->peers.narrow);
    drop_values(g, &g->peers.wide);
    drop_values(g, &g->ports.narrow);
    drop_values(g, &g->ports.wide);
}

int fc_groups_value(struct fc_groups *g, struct fc_values *values, size_t at, int kind,
                    const struct fc_sample_addr *value)
{
    const bool narrow = kind == FC_ADDR_IPV4;
    struct fc_sorter *s = narrow ? &values->narrow : &values->wide;
    const uint64_t group = (uint64_t)at << 32, one = group | value->word[0];
    const uint64_t three[] = {group | (uint64_t)kind, value->word[0], value->word[1]};
    size_t most = g->values_max / s->words;
    int rc;

    if (s->count >= most) {
        if ((rc = compact(s)))
            return rc;
        while (s->count > most / 4 * 3 && g->values_part.bits < PART_BITS_MAX)
            narrow_values(g);
    }
    if (!is_of_part(g, at, (uint64_t)kind, value->word))
        return 0;
    return fc_sorter_add(s, narrow ? &one : three, NULL);
}

static void forget_values(struct fc_groups *g)
{
    g->peers.narrow.count = g->peers.wide.count = g->ports.narrow.count = g->ports.wide.count = 0;
}

void fc_groups_restart(struct fc_groups *g)
{
    forget_texts(g);
    forget_values(g);
    g->count = 0;
    g->summed = false;
    if (g->slot)
        memset(g->slot, 0, g->slots * sizeof *g->slot);
}

static int count_values(struct fc_groups *g, struct fc_sorter *s, bool peers)
{
    int rc = compact(s);

    for (size_t i = 0; rc == 0 && i < s->count; i++) {
        struct fc_group *group = &g->group[s->entry[i * s->words] >> 32];
        *(peers ? &group->peers : &group->ports) += 1;
    }
    return rc;
}

int fc_groups_end_part(struct fc_groups *g, bool *done)
{
    int rc = count_values(g, &g->peers.narrow, true);

    rc = rc ? rc : count_values(g, &g->peers.wide, true);
    rc = rc ? rc : count_values(g, &g->ports.narrow, false);
    if (rc)
        return rc;
    forget_values(g);
    g->summed = true;
    *done = !go_on(&g->values_part);
    if (*done)
        g->values_part = (struct fc_part){0};
    return 0;
}

bool fc_groups_next_part(struct fc_groups *g)
{
    fc_groups_restart(g);
    return go_on(&g->groups_part);
}
