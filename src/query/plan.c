/* SPDX-License-Identifier: MIT */
#include "query/plan.h"
#include "query/addr.h"

#include <stdlib.h>
#include <string.h>

bool fc_plan_is_range(const struct fc_ast *net)
{
    return fc_addr_prefix(net->mask, net->family == FC_ADDR_IPV6 ? 16 : 4) >= 0;
}

static struct fc_plan *new_node(struct fc_arena *arena, enum fc_plan_type type, size_t children)
{
    struct fc_plan *node = fc_arena_alloc(arena, sizeof *node);

    if (!node)
        return NULL;
    node->type = type;
    node->height = 1;
    node->leaves = 1;
    node->cost = FC_PLAN_SCAN;
    if (children) {
        node->child = fc_arena_alloc(arena, children * sizeof(struct fc_plan *));
        if (!node->child)
            return NULL;
    }
    return node;
}

static struct fc_plan *new_leaf(struct fc_arena *arena, const struct fc_ast *value)
{
    struct fc_plan *leaf = new_node(arena, FC_PLAN_LEAF, 0);

    if (!leaf)
        return NULL;
    leaf->value = fc_arena_alloc(arena, sizeof(struct fc_ast *));
    if (!leaf->value)
        return NULL;
    leaf->value[0] = value;
    leaf->value_count = 1;
    return leaf;
}

/* Height and number of leaves from the children. */
static struct fc_plan *measure(struct fc_plan *node)
{
    node->leaves = 0;
    for (size_t i = 0; i < node->child_count; i++) {
        node->leaves += node->child[i]->leaves;
        if (node->height <= node->child[i]->height)
            node->height = node->child[i]->height + 1;
    }
    return node;
}

static struct fc_plan *new_not(struct fc_arena *arena, struct fc_plan *child)
{
    struct fc_plan *node;

    if (child->type == FC_PLAN_NOT)
        return child->child[0];
    node = new_node(arena, FC_PLAN_NOT, 1);
    if (!node)
        return NULL;
    node->child[node->child_count++] = child;
    return measure(node);
}

/* Equal exactly for leaves whose values may stand in one list; 0 for a leaf that stands alone. */
static uint64_t list_key(const struct fc_plan *plan)
{
    const struct fc_ast *v;

    if (plan->type != FC_PLAN_LEAF)
        return 0;
    v = plan->value[0];
    switch (v->type) {
    case FC_AST_HOST:
    case FC_AST_MAC:
        if (v->ends == FC_ENDS_BOTH)
            return 0;
        break;
    case FC_AST_NET:
        if (v->ends == FC_ENDS_BOTH || !fc_plan_is_range(v))
            return 0;
        break;
    case FC_AST_PORT:
        if (v->ends == FC_ENDS_BOTH || v->lo != v->hi)
            return 0;
        break;
    case FC_AST_ID:
    case FC_AST_STATE:
    case FC_AST_COMMUNITY_ID:
    case FC_AST_SENSOR:
    case FC_AST_PROTO:
        break;
    default:
        return 0;
    }
    return 1 + (uint64_t)v->type + ((uint64_t)v->ends << 8) + ((uint64_t)v->scope << 16) + ((uint64_t)v->family << 24) +
           ((uint64_t)v->transports << 32);
}

struct keyed {
    uint64_t key;
    size_t place;
    struct fc_plan *plan;
};

static int compare_keyed(const void *a, const void *b)
{
    const struct keyed *x = a, *y = b;

    if (x->key != y->key)
        return x->key < y->key ? -1 : 1;
    return x->place < y->place ? -1 : x->place > y->place;
}

/* Makes the leaves [first, last) of one key the first of them. */
static bool gather(struct fc_arena *arena, struct keyed *first, struct keyed *last)
{
    struct fc_plan *leaf = first->plan;
    const struct fc_ast **value;
    size_t count = 0;

    for (struct keyed *k = first; k < last; k++)
        count += k->plan->value_count;
    value = fc_arena_alloc(arena, count * sizeof(struct fc_ast *));
    if (!value)
        return false;
    count = 0;
    for (struct keyed *k = first; k < last; k++) {
        memcpy(value + count, k->plan->value, k->plan->value_count * sizeof(struct fc_ast *));
        count += k->plan->value_count;
    }
    leaf->value = value;
    leaf->value_count = count;
    return true;
}

static bool gather_lists(struct fc_arena *arena, struct fc_plan *node)
{
    struct keyed *keyed = calloc(node->child_count, sizeof *keyed);
    size_t count = 0;
    bool ok = keyed != NULL;

    for (size_t i = 0; ok && i < node->child_count; i++)
        keyed[i] = (struct keyed){list_key(node->child[i]), i, node->child[i]};
    if (ok)
        qsort(keyed, node->child_count, sizeof *keyed, compare_keyed);
    for (size_t i = 0, end; ok && i < node->child_count; i = end) {
        for (end = i + 1; end < node->child_count && keyed[i].key && keyed[end].key == keyed[i].key; end++)
            ;
        if (end - i > 1)
            ok = gather(arena, keyed + i, keyed + end);
        node->child[count++] = keyed[i].plan;
    }
    node->child_count = ok ? count : node->child_count;
    free(keyed);
    return ok;
}

static struct fc_plan *finish(struct fc_arena *arena, struct fc_plan *node);

/* `not a and not b` is `not (a or b)`, and that `or` may be a list. */
static bool gather_negations(struct fc_arena *arena, struct fc_plan *node)
{
    struct fc_plan *either = new_node(arena, FC_PLAN_OR, node->child_count);
    size_t count = 0;

    if (!either)
        return false;
    for (size_t i = 0; i < node->child_count; i++) {
        struct fc_plan *child = node->child[i];
        struct fc_plan *inner = child->type == FC_PLAN_NOT ? child->child[0] : NULL;

        if (!inner || inner->type == FC_PLAN_OR || inner->type == FC_PLAN_AND)
            node->child[count++] = child;
        else
            either->child[either->child_count++] = inner;
    }
    node->child_count = count;
    if (either->child_count == 0)
        return true;
    either = finish(arena, either);
    if (!either || !(either = new_not(arena, either)))
        return false;
    node->child[node->child_count++] = either;
    return true;
}

static bool is_time(const struct fc_plan *plan)
{
    return plan->type == FC_PLAN_LEAF &&
           (plan->value[0]->type == FC_AST_AFTER || plan->value[0]->type == FC_AST_BEFORE);
}

/* `after` and `before` that hold together become one leaf: a window. */
static bool gather_times(struct fc_arena *arena, struct fc_plan *node)
{
    const struct fc_ast **value;
    struct fc_plan *window = NULL;
    size_t count = 0, values = 0;

    for (size_t i = 0; i < node->child_count; i++)
        values += is_time(node->child[i]) ? node->child[i]->value_count : 0;
    value = fc_arena_alloc(arena, values * sizeof(struct fc_ast *));
    if (!value)
        return false;
    values = 0;
    for (size_t i = 0; i < node->child_count; i++) {
        struct fc_plan *child = node->child[i];

        for (size_t k = 0; is_time(child) && k < child->value_count; k++)
            value[values++] = child->value[k];
        if (!is_time(child) || !window)
            node->child[count++] = child;
        if (is_time(child) && !window)
            window = child;
    }
    node->child_count = count;
    if (window) {
        window->value = value;
        window->value_count = values;
    }
    return true;
}

static struct fc_plan *finish(struct fc_arena *arena, struct fc_plan *node)
{
    bool ok = node->type == FC_PLAN_OR ? gather_lists(arena, node)
                                       : gather_times(arena, node) && gather_negations(arena, node);

    if (!ok)
        return NULL;
    return node->child_count == 1 ? node->child[0] : measure(node);
}

/* Children of `ast` as plans, those of the same operator replaced by their own children. */
static struct fc_plan *new_chain(struct fc_arena *arena, const struct fc_ast *ast, enum fc_plan_type type)
{
    struct fc_plan **part = calloc(ast->child_count, sizeof(struct fc_plan *)), *node = NULL;
    size_t total = 0, n = 0;

    if (!part)
        return NULL;
    for (const struct fc_ast *child = ast->first; child; child = child->next, n++) {
        part[n] = fc_plan_build(arena, child);
        if (!part[n])
            goto out;
        total += part[n]->type == type ? part[n]->child_count : 1;
    }
    node = new_node(arena, type, total);
    if (!node)
        goto out;
    for (size_t i = 0; i < n; i++) {
        bool same = part[i]->type == type;
        size_t count = same ? part[i]->child_count : 1;

        memcpy(node->child + node->child_count, same ? part[i]->child : &part[i], count * sizeof(struct fc_plan *));
        node->child_count += count;
    }
    node = finish(arena, node);
out:
    free(part);
    return node;
}

struct fc_plan *fc_plan_build(struct fc_arena *arena, const struct fc_ast *ast)
{
    struct fc_plan *child;

    switch (ast->type) {
    case FC_AST_AND:
        return new_chain(arena, ast, FC_PLAN_AND);
    case FC_AST_OR:
        return new_chain(arena, ast, FC_PLAN_OR);
    case FC_AST_NOT:
        child = fc_plan_build(arena, ast->first);
        return child ? new_not(arena, child) : NULL;
    default:
        return new_leaf(arena, ast);
    }
}
