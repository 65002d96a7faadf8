/* How far something has come, as one line of text. No I/O here. */
#ifndef CLI_PROGRESS_LINE_H
#define CLI_PROGRESS_LINE_H

#include <stddef.h>
#include <stdint.h>

#include "wire/json.h"

struct progress {
    const char *label; /* which disk: "sda" */
    const char *stage; /* "copy", "verify", "base_copy" ... */
    uint64_t done_bytes, total_bytes;
    uint64_t data_bytes; /* of done, not zero */
    uint64_t rate_bytes_s;
    int64_t eta_s; /* -1: not known */
    int pct;       /* where nothing is counted in bytes: total_bytes is 0; -1: not known */
};

/* Of a message or an event about one disk (docs/protocol.md, docs/events.md); its texts are
 * borrowed. */
void progress_read(const json_t *json, struct progress *ret);

#define PROGRESS_LINE_MAX 512

/* For a terminal of `columns`: label, bar, percent, done/total, rate, time left; what does not fit
 * is left out from the right, the bar first. Never longer than columns - 1 characters. */
void progress_line_live(const struct progress *progress, unsigned columns,
                        char text[PROGRESS_LINE_MAX]);

/* For a log: "[sda] copy progress=50% read=... written=... zero_skipped=... speed=...MB/s
 * eta=...s". */
void progress_line_log(const struct progress *progress, char text[PROGRESS_LINE_MAX]);

/* "59 s", "12:05", "3:04:05"; negative: "". */
#define DURATION_TEXT_MAX 24
const char *duration_text(int64_t seconds, char text[DURATION_TEXT_MAX]);

#endif
