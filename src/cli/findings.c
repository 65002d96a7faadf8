#include "cli/findings.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/terminal.h"

#define INDENT 11 /* the width of "  warning  " */
#define NARROWEST 40

static unsigned
columns(void)
{
    unsigned n = terminal_columns(STDOUT_FILENO);
    return n < NARROWEST ? 0 : n;
}

/* Print text from this column on, broken at words; 0 columns: not broken. */
static void
put(const char *text, unsigned at, unsigned indent, unsigned width)
{
    while (*text) {
        unsigned word = (unsigned)strcspn(text, " ");
        if (width && at > indent && at + word >= width) {
            printf("\n%*s", (int)indent, "");
            at = indent;
        }
        unsigned space = text[word] == ' ';
        printf("%.*s", (int)(word + space), text);
        at += word + space;
        text += word + space;
    }
    putchar('\n');
}

void
findings_init(struct output *out)
{
    const char *term = getenv("TERM");
    out->color = !out->options.no_color && !out->options.json && !getenv("NO_COLOR") &&
                 isatty(STDOUT_FILENO) && (!term || strcmp(term, "dumb") != 0);
}

static const char *
color_of(const char *level)
{
    return strcmp(level, "error") == 0     ? "\x1b[1;31m"
           : strcmp(level, "warning") == 0 ? "\x1b[33m"
           : strcmp(level, "ok") == 0      ? "\x1b[32m"
                                           : "";
}

void
finding_print(const struct output *out, const struct finding_text *text)
{
    unsigned width = columns();
    auto_free char *noted = NULL;
    const char *what = text->what;
    if (text->note && asprintf(&noted, "%s (%s)", what, text->note) >= 0)
        what = noted;
    const char *color = out->color ? color_of(text->level) : "";
    printf("  %s%-7s%s  ", color, text->level, *color ? "\x1b[0m" : "");
    put(what, INDENT, INDENT, width);
    if (text->cause) {
        printf("%*swhy:  ", INDENT, "");
        put(text->cause, INDENT + 6, INDENT + 6, width);
    }
    if (text->cure) {
        printf("%*scure: ", INDENT, "");
        put(text->cure, INDENT + 6, INDENT + 6, width);
    }
}

const char *
findings_sum(int64_t errors, int64_t warnings, char text[FINDINGS_SUM_MAX])
{
    int n = 0;
    snprintf(text, FINDINGS_SUM_MAX, "nothing");
    if (errors)
        n = snprintf(text, FINDINGS_SUM_MAX, "%" PRId64 " error%s", errors, errors == 1 ? "" : "s");
    if (warnings)
        snprintf(text + n, FINDINGS_SUM_MAX - (size_t)n, "%s%" PRId64 " warning%s", n ? ", " : "",
                 warnings, warnings == 1 ? "" : "s");
    return text;
}
