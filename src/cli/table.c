#include "cli/table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#include "base/checked.h"
#include "base/cleanup.h"

#define GAP 2
#define PAGE_MAX_CELLS 65536
#define ELLIPSIS "\xe2\x80\xa6" /* U+2026 */

static void settle_widths(struct table *table);
static void print_row(const struct table *table, char *const *cells);
static void forget_rows(struct table *table);

void
table_init(struct table *table, const struct table_column *columns, size_t n_columns, FILE *to,
           unsigned screen)
{
    *table =
        (struct table){ .columns = columns, .n_columns = n_columns, .to = to, .screen = screen };
}

int
table_add(struct table *table, const char *const *cells, struct err *err)
{
    if (table->n_cells + table->n_columns > table->cap_cells) {
        size_t cap = MAX(table->cap_cells * 2, table->n_columns * 64);
        char **grown = cap > PAGE_MAX_CELLS ? NULL : reallocarray(table->cells, cap, sizeof *grown);
        if (!grown)
            return err_errno(err, ENOMEM, "a page of the table");
        table->cells = grown;
        table->cap_cells = cap;
    }
    for (size_t i = 0; i < table->n_columns; i++) {
        char *copy = strdup(cells[i]);
        if (!copy) {
            while (i-- > 0)
                free(table->cells[--table->n_cells]);
            return err_errno(err, ENOMEM, "a row of the table");
        }
        table->cells[table->n_cells++] = copy;
    }
    return 0;
}

void
table_flush(struct table *table)
{
    if (table->n_cells == 0)
        return;
    if (!table->begun) {
        char *titles[TABLE_MAX_COLUMNS];
        settle_widths(table);
        for (size_t i = 0; i < table->n_columns; i++)
            titles[i] = (char *)table->columns[i].title;
        print_row(table, titles);
        table->begun = true;
    }
    for (size_t i = 0; i < table->n_cells; i += table->n_columns)
        print_row(table, table->cells + i);
    fflush(table->to);
    forget_rows(table);
}

void
table_free(struct table *table)
{
    forget_rows(table);
    free(table->cells);
    table->cells = NULL;
    table->cap_cells = 0;
}

static void
forget_rows(struct table *table)
{
    while (table->n_cells)
        free(table->cells[--table->n_cells]);
}

/* ---- widths ---- */

/* The next character of UTF-8 text and the columns it takes; what is none counts one byte. */
static size_t
next_character(const char *text, unsigned *ret_columns)
{
    const unsigned char *c = (const unsigned char *)text;
    size_t len = *c < 0x80 ? 1 : *c >= 0xf0 ? 4 : *c >= 0xe0 ? 3 : *c >= 0xc0 ? 2 : 1;
    wchar_t code = len == 1 ? *c : *c & (0xff >> (len + 1));
    for (size_t i = 1; i < len; i++) {
        if ((c[i] & 0xc0) != 0x80) {
            *ret_columns = 1;
            return 1;
        }
        code = (wchar_t)((code << 6) | (c[i] & 0x3f));
    }
    int columns = wcwidth(code);
    /* Without a locale that knows better, the wide ones are those of East Asia. */
    bool wide = (code >= 0x1100 && code < 0x1160) || (code >= 0x2e80 && code < 0xa4d0) ||
                (code >= 0xac00 && code < 0xd7a4) || (code >= 0xf900 && code < 0xfb00) ||
                (code >= 0xff00 && code < 0xff61) || (code >= 0x1f300 && code < 0x1fa00);
    *ret_columns = columns >= 0 ? (unsigned)columns : wide ? 2 : 1;
    return len;
}

unsigned
text_width(const char *text)
{
    unsigned width = 0, columns;
    while (*text) {
        text += next_character(text, &columns);
        width += columns;
    }
    return width;
}

size_t
text_fit(const char *text, unsigned columns)
{
    unsigned done = 0, more;
    size_t at = 0;
    while (text[at]) {
        size_t len = next_character(text + at, &more);
        if (done + more > columns)
            break;
        done += more;
        at += len;
    }
    return at;
}

static void
settle_widths(struct table *table)
{
    for (size_t i = 0; i < table->n_columns; i++) {
        const struct table_column *column = &table->columns[i];
        unsigned width = MAX(column->min, text_width(column->title));
        for (size_t cell = i; cell < table->n_cells; cell += table->n_columns)
            width = MAX(width, text_width(table->cells[cell]));
        table->widths[i] = MIN(width, column->max);
    }
    if (!table->screen)
        return;
    unsigned used = 0;
    size_t last = table->n_columns - 1;
    for (size_t i = 0; i < last; i++)
        used += table->widths[i] + GAP;
    table->widths[last] = table->screen > used + table->columns[last].min
                              ? table->screen - used
                              : table->columns[last].min;
}

/* ---- rows ---- */

static void
print_cut(const struct table *table, const char *text, unsigned width)
{
    auto_free char *kept = strndup(text, text_fit(text, width - 1));
    fprintf(table->to, "%s" ELLIPSIS, kept ? kept : "");
    for (unsigned done = text_width(kept ? kept : "") + 1; done < width; done++)
        fputc(' ', table->to);
}

static void
print_row(const struct table *table, char *const *cells)
{
    size_t last = table->n_columns - 1;
    for (size_t i = 0; i < table->n_columns; i++) {
        unsigned width = text_width(cells[i]), room = table->widths[i];
        unsigned pad = width < room ? room - width : 0;
        if (table->columns[i].right)
            fprintf(table->to, "%*s", (int)pad, "");
        if (table->screen && width > room)
            print_cut(table, cells[i], room);
        else
            fputs(cells[i], table->to);
        if (i == last)
            break;
        if (!table->columns[i].right)
            fprintf(table->to, "%*s", (int)pad, "");
        fprintf(table->to, "%*s", GAP, "");
    }
    fputc('\n', table->to);
}
