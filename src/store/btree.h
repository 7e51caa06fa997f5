/* SPDX-License-Identifier: MIT */
/*
 * Builds a b-tree of a SQLite database from the bottom up: entries come in ascending order, pages are filled to the
 * brim and appended, and the topmost one becomes the root page that SQLite has made for the empty tree.
 *
 *   page      8 bytes (12 in an interior page), then 2 bytes a cell: its offset; cells from the page's end downwards
 *     0  1  13 table leaf, 5 table interior, 10 index leaf, 2 index interior
 *     1  2  0 (no free block)
 *     3  2  number of cells
 *     5  2  offset of the lowest cell
 *     7  1  0 (no fragments)
 *     8  4  interior: child behind the last cell
 *   cells     table leaf      varint payload bytes, varint rowid, payload
 *             table interior  4 bytes child, varint its largest rowid
 *             index leaf      varint payload bytes, payload
 *             index interior  4 bytes child, then an entry as in a leaf: the one behind those of the child
 *   overflow  of a payload of P bytes, usable page size U: all P are in the cell up to X = U-35 (table) or
 *             (U-12)*64/255-23 (index); else K = M + (P-M)%(U-4) with M = (U-12)*32/255-23, or M if K > X, and then
 *             4 bytes: first page of a chain of 4 bytes next page (0: last), U-4 bytes payload
 *
 * A cell has 4 bytes at least, which every record of a table has, and every one of two columns, the second a rowid.
 * No page is left without a cell, and every interior page has one child more than cells, as SQLite demands. Later
 * INSERTs split pages as always.
 *
 * Threads: one a builder; builders may share their fc_pages. Memory: an extent and a page a level.
 * Source: sqlite.org/fileformat2.html, sections 1.6 and 1.7.
 */
#ifndef FC_STORE_BTREE_H
#define FC_STORE_BTREE_H

#include "store/pages.h"

#include <stddef.h>

struct fc_btree;

enum fc_btree_kind { FC_BTREE_TABLE, FC_BTREE_INDEX };

/* root: number of the empty root page. pages must outlive the builder. NULL without memory. */
struct fc_btree *fc_btree_new(struct fc_pages *pages, enum fc_btree_kind kind, uint32_t root);
void fc_btree_free(struct fc_btree *tree);

/*
 * Appends an entry: a record (store/sqlite_record.h) of at most 1 GB. rowid: above that of the entry before it; an
 * index ignores it, its record sorts behind the one before it. FC_E_DB (file too large), FC_E_IO, FC_E_NOMEM.
 */
int fc_btree_add(struct fc_btree *tree, int64_t rowid, const uint8_t *record, size_t len, struct fc_error *err);

/* Writes what is left. Only fc_btree_free() may follow. FC_E_DB, FC_E_IO. */
int fc_btree_finish(struct fc_btree *tree, struct fc_error *err);

#endif
