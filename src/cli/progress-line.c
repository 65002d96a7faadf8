#include "cli/progress-line.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "base/size.h"

#define LABEL_MAX 20
#define BAR_MIN 10
#define BAR_MAX 40

static unsigned
percent(const struct progress *p)
{
    if (p->total_bytes == 0)
        return p->pct < 0 ? 0 : (unsigned)MIN(p->pct, 100);
    /* 99 until all is done; done * 100 would overflow on absurd sizes. */
    if (p->done_bytes >= p->total_bytes)
        return 100;
    return (unsigned)MIN((double)p->done_bytes / (double)p->total_bytes * 100.0, 99.0);
}

void
progress_read(const json_t *json, struct progress *ret)
{
    const json_t *pct = json_object_get(json, "pct");
    *ret = (struct progress){
        .label = json_get_str(json, "disk", ""),
        .stage = json_get_str(json, "stage", ""),
        .done_bytes = json_get_u64(json, "done_bytes", 0),
        .total_bytes = json_get_u64(json, "total_bytes", 0),
        .data_bytes = json_get_u64(json, "data_bytes", 0),
        .rate_bytes_s = json_get_u64(json, "rate_bytes_s", 0),
        .eta_s = json_get_int(json, "eta_s", -1),
        .pct = json_is_number(pct) ? (int)json_number_value(pct) : -1,
    };
}

const char *
duration_text(int64_t seconds, char text[DURATION_TEXT_MAX])
{
    if (seconds < 0)
        text[0] = '\0';
    else if (seconds < 60)
        snprintf(text, DURATION_TEXT_MAX, "%" PRId64 " s", seconds);
    else if (seconds < 3600)
        snprintf(text, DURATION_TEXT_MAX, "%" PRId64 ":%02" PRId64, seconds / 60, seconds % 60);
    else
        snprintf(text, DURATION_TEXT_MAX, "%" PRId64 ":%02" PRId64 ":%02" PRId64, seconds / 3600,
                 seconds / 60 % 60, seconds % 60);
    return text;
}

void
progress_line_live(const struct progress *p, unsigned columns, char text[PROGRESS_LINE_MAX])
{
    char done[SIZE_TEXT_MAX], total[SIZE_TEXT_MAX], rate[SIZE_TEXT_MAX], left[DURATION_TEXT_MAX];
    char label[LABEL_MAX + 1], sizes[2 * SIZE_TEXT_MAX + 4] = "", speed[SIZE_TEXT_MAX + 4] = "",
                                                         eta[DURATION_TEXT_MAX + 8] = "";
    unsigned pct = percent(p);
    bool verify = strcmp(p->stage, "verify") == 0;
    snprintf(label, sizeof label, "%s%s", verify ? "verify " : "", p->label);
    if (p->total_bytes)
        snprintf(sizes, sizeof sizes, "  %s/%s", size_format(p->done_bytes, done),
                 size_format(p->total_bytes, total));
    if (p->rate_bytes_s)
        snprintf(speed, sizeof speed, "  %s/s", size_format(p->rate_bytes_s, rate));
    if (p->eta_s >= 0 && pct < 100)
        snprintf(eta, sizeof eta, "  %s left", duration_text(p->eta_s, left));

    /* Padded to their widest, so that the bar does not jump; the padding at the end is not
     * printed. */
    char rest[PROGRESS_LINE_MAX];
    snprintf(rest, sizeof rest, " %3u%%%-21s%-13s%-14s", pct, sizes, speed, eta);
    size_t rest_len = strlen(rest);

    size_t width = MIN(columns > 0 ? columns - 1 : 0, (size_t)PROGRESS_LINE_MAX - 1);
    size_t fixed = strlen(label) + 3 + rest_len; /* "label [bar]" */
    char bar[BAR_MAX + 4] = "";
    if (width >= fixed + BAR_MIN) {
        size_t bar_len = MIN(width - fixed, (size_t)BAR_MAX);
        size_t full = bar_len * pct / 100;
        bar[0] = ' ';
        bar[1] = '[';
        memset(bar + 2, '#', full);
        memset(bar + 2 + full, '-', bar_len - full);
        bar[2 + bar_len] = ']';
        bar[3 + bar_len] = '\0';
    }
    char line[PROGRESS_LINE_MAX * 2];
    snprintf(line, sizeof line, "%s%s%s", label, bar, rest);
    size_t len = MIN(strlen(line), width);
    while (len > 0 && line[len - 1] == ' ')
        len--;
    snprintf(text, PROGRESS_LINE_MAX, "%.*s", (int)len, line);
}

void
progress_line_log(const struct progress *p, char text[PROGRESS_LINE_MAX])
{
    char eta[DURATION_TEXT_MAX] = "?";
    if (p->eta_s >= 0)
        snprintf(eta, sizeof eta, "%" PRId64, p->eta_s);
    if (p->total_bytes == 0) {
        snprintf(text, PROGRESS_LINE_MAX, "[%s] %s progress=%u%%", p->label, p->stage, percent(p));
        return;
    }
    snprintf(text, PROGRESS_LINE_MAX,
             "[%s] %s progress=%u%% read=%" PRIu64 " written=%" PRIu64 " zero_skipped=%" PRIu64
             " speed=%.1fMB/s eta=%ss",
             p->label, p->stage, percent(p), p->done_bytes, p->data_bytes,
             p->done_bytes - MIN(p->data_bytes, p->done_bytes), (double)p->rate_bytes_s / 1e6, eta);
}
