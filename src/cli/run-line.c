#include "cli/run-line.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "cli/table.h"

#define NAME_COLUMNS 20
#define STAGE_COLUMNS 16
#define ELLIPSIS "\xe2\x80\xa6" /* U+2026 */

/* Cut a cell to its columns, or fill it up with blanks. */
static int
put_cell(char *to, size_t room, const char *text, unsigned columns)
{
    unsigned width = text_width(text);
    if (width <= columns)
        return snprintf(to, room, "%s%*s ", text, (int)(columns - width), "");
    size_t fits = text_fit(text, columns - 1);
    return snprintf(to, room, "%.*s" ELLIPSIS " ", (int)fits, text);
}

static void
cut(char text[RUN_LINE_MAX], unsigned columns)
{
    unsigned room = columns > 0 ? columns - 1 : 0;
    if (text_width(text) <= room)
        return;
    size_t fits = text_fit(text, room > 0 ? room - 1 : 0);
    snprintf(text + fits, RUN_LINE_MAX - fits, "%s", room > 0 ? ELLIPSIS : "");
}

static void
drop_controls(char *text)
{
    for (; *text; text++)
        if (iscntrl((unsigned char)*text))
            *text = ' ';
}

const char *
run_line_machine(const char *name, const struct migration *m, int64_t now, unsigned columns,
                 char text[RUN_LINE_MAX])
{
    char clean[RUN_LINE_MAX / 4], what[MIGRATION_TEXT_MAX];
    snprintf(clean, sizeof clean, "%s", name);
    drop_controls(clean);
    int n = put_cell(text, RUN_LINE_MAX, clean, NAME_COLUMNS);
    n += put_cell(text + n, RUN_LINE_MAX - (size_t)n, m->stage, STAGE_COLUMNS);
    snprintf(text + n, RUN_LINE_MAX - (size_t)n, "%3.0f%%  %s", m->pct,
             migration_text(m, now, what));
    drop_controls(text);
    cut(text, columns);
    return text;
}

const char *
run_line_disk(const struct progress *progress, unsigned columns, char text[RUN_LINE_MAX])
{
    char line[PROGRESS_LINE_MAX];
    progress_line_live(progress, columns > 2 ? columns - 2 : 0, line);
    snprintf(text, RUN_LINE_MAX, "  %s", line);
    drop_controls(text);
    cut(text, columns);
    return text;
}
