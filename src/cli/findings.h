/* Findings of check and doctor as lines for people: a level, what was found, and under it why it
 * matters and what to do. */
#ifndef CLI_FINDINGS_H
#define CLI_FINDINGS_H

#include <stdint.h>

#include "cli/output.h"

struct finding_text {
    const char *level; /* "ok", "info", "warning", "error" */
    const char *what;
    const char *note;         /* put behind it in brackets; NULL: nothing */
    const char *cause, *cure; /* NULL: nothing */
};

/* Colours go by stdout, where findings are printed, not by stderr. Call after output_init. */
void findings_init(struct output *out);

/* Long texts are broken at the width of the terminal; elsewhere they stay whole. */
void finding_print(const struct output *out, const struct finding_text *text);

/* "2 errors, 1 warning"; "nothing" for neither. Returns text. */
#define FINDINGS_SUM_MAX 64
const char *findings_sum(int64_t errors, int64_t warnings, char text[FINDINGS_SUM_MAX]);

#endif
