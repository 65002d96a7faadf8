/* What a command shows while it works: on a terminal a live line per disk, elsewhere a line now and
 * then, or with --json one object per event (docs/events.md).
 *
 * Results and stages go to stdout, progress and complaints to stderr. One per program.
 */
#ifndef CLI_OUTPUT_H
#define CLI_OUTPUT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/log.h"
#include "cli/progress-line.h"
#include "wire/child.h"

/* The fields that options fill. */
struct output_options {
    bool json, quiet, verbose;
    bool color, no_color; /* colours even off a terminal, none even on one */
    bool wrap;            /* stage lines are broken at 76 columns */
};

struct output {
    const char *name;    /* before complaints: "vmferry: copy" */
    const char *failure; /* after the name, before the text of a failure: "" or "error: " */
    int64_t start_ns;
    struct output_options options;
    bool live; /* stderr is a terminal */
    bool color;
    bool line_open;   /* a live line stands there, without its newline */
    int64_t drawn_ns; /* when progress was last shown; 0: never */
    char label[64];   /* of the disk it was for */
};

void output_init(struct output *out, const char *name, const struct output_options *options);

/* "[  12.3] TEXT" on stdout, above the live line, as virt-v2v writes its stages: seconds since
 * output_init. Nothing with --quiet or --json. */
void output_stage(struct output *out, const char *text);

/* A line on stdout, the same otherwise. */
void output_text(struct output *out, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Info and debug only with --verbose. */
bool output_shows(const struct output *out, enum log_level level);

/* "NAME: warning: TEXT" on stderr, if it is shown. With --json an event. */
void output_log(struct output *out, enum log_level level, const char *text);

/* Show it, unless something was shown just now. */
void output_progress(struct output *out, const struct progress *progress);

/* The progress of one disk has come to its end: the live line stays as it is. */
void output_progress_end(struct output *out);

/* An object on stdout, with "at" (UTC) added; only with --json. Takes over the reference. */
void output_event(struct output *out, json_t *event);

/* The last word of a failure: "NAME: TEXT" on stderr, with --json a result too. */
void output_failure(struct output *out, const struct err *err);

/* Now, in UTC: "2026-11-20T09:58:01.123456789+00:00". */
#define EVENT_TIME_MAX 48
const char *output_timestamp(char text[EVENT_TIME_MAX]);

#endif
