/* Columns of text that come a page at a time: for `vmferry inventory`.
 *
 * On a terminal the widths are those of the first page and a cell that is longer is cut, so that a
 * row stays a line; elsewhere nothing is cut and a long cell pushes the rest of its row. The last
 * column takes what is left.
 */
#ifndef CLI_TABLE_H
#define CLI_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "base/err.h"

#define TABLE_MAX_COLUMNS 12

struct table_column {
    const char *title;
    unsigned min, max; /* columns of the screen; max of the last one is not used */
    bool right;        /* numbers */
};

struct table {
    const struct table_column *columns;
    size_t n_columns;
    FILE *to;
    unsigned screen; /* columns of the terminal; 0: none */
    unsigned widths[TABLE_MAX_COLUMNS];
    bool begun; /* widths are settled, the titles printed */
    size_t n_cells, cap_cells;
    char **cells; /* of the rows of this page, one after the other */
};

/* columns must outlive it. screen 0: not a terminal. */
void table_init(struct table *table, const struct table_column *columns, size_t n_columns, FILE *to,
                unsigned screen);

/* Keep a row of n_columns cells until table_flush. */
int table_add(struct table *table, const char *const *cells, struct err *err);

/* Print the rows that were added, with the titles first if there was no page before. */
void table_flush(struct table *table);

void table_free(struct table *table);

/* How many columns a terminal needs for UTF-8 text. */
unsigned text_width(const char *text);

/* How many bytes of it fit into that many columns, whole characters only. */
size_t text_fit(const char *text, unsigned columns);

#endif
