/* SPDX-License-Identifier: MIT */
#include "query/ast.h"

#include <stdlib.h>

enum { BLOCK_BYTES = 32768 };

struct fc_arena_block {
    struct fc_arena_block *next;
    _Alignas(max_align_t) unsigned char bytes[];
};

void *fc_arena_alloc(struct fc_arena *arena, size_t size)
{
    size_t align = _Alignof(max_align_t);

    size = (size + align - 1) / align * align;
    if (size > BLOCK_BYTES / 4) {
        /* a block of its own, behind the current one so that the rest of that stays in use */
        struct fc_arena_block *own = calloc(1, sizeof *own + size);
        if (!own)
            return NULL;
        if (!arena->blocks) {
            arena->blocks = own;
            arena->used = BLOCK_BYTES;
        } else {
            own->next = arena->blocks->next;
            arena->blocks->next = own;
        }
        return own->bytes;
    }
    if (!arena->blocks || arena->used + size > BLOCK_BYTES) {
        struct fc_arena_block *block = calloc(1, sizeof *block + BLOCK_BYTES);
        if (!block)
            return NULL;
        block->next = arena->blocks;
        arena->blocks = block;
        arena->used = 0;
    }
    arena->used += size;
    return arena->blocks->bytes + arena->used - size;
}

void fc_arena_fini(struct fc_arena *arena)
{
    while (arena->blocks) {
        struct fc_arena_block *block = arena->blocks;
        arena->blocks = block->next;
        free(block);
    }
}

struct fc_ast *fc_ast_leaf(struct fc_arena *arena, enum fc_ast_type type)
{
    struct fc_ast *leaf = fc_arena_alloc(arena, sizeof *leaf);

    if (leaf) {
        leaf->type = type;
        leaf->height = 1;
    }
    return leaf;
}

static void add_child(struct fc_ast *node, struct fc_ast *child)
{
    if (node->last)
        node->last->next = child;
    else
        node->first = child;
    node->last = child;
    node->child_count++;
    if (node->height <= child->height)
        node->height = child->height + 1;
}

struct fc_ast *fc_ast_not(struct fc_arena *arena, struct fc_ast *child)
{
    struct fc_ast *node = fc_ast_leaf(arena, FC_AST_NOT);

    if (node)
        add_child(node, child);
    return node;
}

struct fc_ast *fc_ast_join(struct fc_arena *arena, enum fc_ast_type type, struct fc_ast *left, struct fc_ast *right)
{
    struct fc_ast *node = left;

    if (left->type != type) {
        node = fc_ast_leaf(arena, type);
        if (!node)
            return NULL;
        add_child(node, left);
    }
    add_child(node, right);
    return node;
}
