#include "model/guest.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void
guest_facts_free(struct guest_facts *facts)
{
    free(facts->distro);
    free(facts->product_name);
    free(facts->arch);
    free(facts->hostname);
    free(facts->osinfo);
    free(facts->root);
    *facts = (struct guest_facts){ .type = GUEST_UNKNOWN };
}

void
guest_report_add(struct guest_report *report, enum finding_level level, const char *code,
                 const char *fmt, ...)
{
    if (report->n_findings == GUEST_MAX_FINDINGS) {
        struct finding *last = &report->findings[GUEST_MAX_FINDINGS - 1];
        /* An error must not be lost among warnings. */
        if (last->level < level)
            last->level = level;
        snprintf(last->code, sizeof last->code, "more-findings");
        snprintf(last->text, sizeof last->text, "there are more findings than can be kept (%d)",
                 GUEST_MAX_FINDINGS);
        return;
    }
    struct finding *finding = &report->findings[report->n_findings++];
    finding->level = level;
    snprintf(finding->code, sizeof finding->code, "%s", code);
    va_list args;
    va_start(args, fmt);
    vsnprintf(finding->text, sizeof finding->text, fmt, args);
    va_end(args);
}
