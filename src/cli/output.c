#include "cli/output.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/terminal.h"

#define REDRAW_NS (NS_PER_S / 5)
#define LOG_EVERY_NS (10 * NS_PER_S)
#define DEFAULT_COLUMNS 80
#define WRAP_COLUMNS 76
#define WRAP_INDENT 9 /* the width of "[   0.0] " */

static void clear_line(struct output *out);

void
output_init(struct output *out, const char *name, const struct output_options *options)
{
    const char *term = getenv("TERM");
    *out = (struct output){
        .name = name,
        .failure = "",
        .start_ns = clock_now_ns(),
        .options = *options,
    };
    out->live = !options->json && !options->quiet && isatty(STDERR_FILENO) &&
                (!term || strcmp(term, "dumb") != 0);
    out->color = options->color || (out->live && !options->no_color && !getenv("NO_COLOR"));
    setvbuf(stdout, NULL, _IOLBF, 0);
}

/* ---- lines ---- */

/* Print text with line breaks instead of the spaces nearest before each 76th column. */
static void
put_wrapped(const char *text, size_t column)
{
    while (*text) {
        size_t word = strcspn(text, " ");
        if (column > WRAP_INDENT && column + word > WRAP_COLUMNS) {
            printf("\n%*s", WRAP_INDENT, "");
            column = WRAP_INDENT;
        }
        size_t space = text[word] == ' ';
        fwrite(text, 1, word + space, stdout);
        column += word + space;
        text += word + space;
    }
}

void
output_stage(struct output *out, const char *text)
{
    if (out->options.quiet || out->options.json)
        return;
    clear_line(out);
    double seconds = (double)(clock_now_ns() - out->start_ns) / 1e9;
    int column = printf("[%6.1f] ", seconds);
    if (out->color)
        fputs("\x1b[32m", stdout);
    if (out->options.wrap)
        put_wrapped(text, (size_t)column);
    else
        fputs(text, stdout);
    puts(out->color ? "\x1b[0m" : "");
    fflush(stdout);
}

void
output_text(struct output *out, const char *fmt, ...)
{
    if (out->options.quiet || out->options.json)
        return;
    clear_line(out);
    va_list args;
    va_start(args, fmt);
    vprintf(fmt, args);
    va_end(args);
    putchar('\n');
    fflush(stdout);
}

bool
output_shows(const struct output *out, enum log_level level)
{
    return level < LOG_LEVEL_INFO || out->options.verbose;
}

void
output_log(struct output *out, enum log_level level, const char *text)
{
    static const char *const words[] = { "error: ", "warning: ", "", "" };
    static const char *const colors[] = { "\x1b[1;31m", "\x1b[33m", "", "" };
    if (!output_shows(out, level))
        return;
    if (out->options.json) {
        output_event(out, json_pack("{s:s, s:s, s:s}", "type", "log", "level",
                                    child_log_level_name(level), "text", text));
        return;
    }
    clear_line(out);
    bool color = out->color && *words[level];
    fprintf(stderr, "%s: %s%s%s%s\n", out->name, color ? colors[level] : "", words[level],
            color ? "\x1b[0m" : "", text);
}

void
output_failure(struct output *out, const struct err *err)
{
    output_event(out, json_pack("{s:s, s:b, s:o}", "type", "result", "ok", false, "error",
                                json_from_err(err)));
    clear_line(out);
    fprintf(stderr, "%s: %s%s\n", out->name, out->failure, err->text);
}

/* ---- progress ---- */

static void
emit_progress_event(struct output *out, const struct progress *p)
{
    json_t *event =
        json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:I}", "type", "progress", "stage", p->stage,
                  "disk", p->label, "done_bytes", (json_int_t)p->done_bytes, "total_bytes",
                  (json_int_t)p->total_bytes, "data_bytes", (json_int_t)p->data_bytes,
                  "rate_bytes_s", (json_int_t)p->rate_bytes_s);
    if (event && p->eta_s >= 0)
        json_object_set_new(event, "eta_s", json_integer(p->eta_s));
    output_event(out, event);
}

void
output_progress(struct output *out, const struct progress *p)
{
    if (out->options.json) {
        emit_progress_event(out, p);
        return;
    }
    if (out->options.quiet)
        return;
    /* On a terminal the first and the last state of a disk are always shown. */
    int64_t now_ns = clock_now_ns();
    bool other = out->drawn_ns == 0 || strcmp(out->label, p->label) != 0;
    bool last = p->total_bytes && p->done_bytes >= p->total_bytes;
    if (other)
        output_progress_end(out);
    if (!other && !(last && out->live) &&
        now_ns - out->drawn_ns < (out->live ? REDRAW_NS : LOG_EVERY_NS))
        return;
    snprintf(out->label, sizeof out->label, "%s", p->label);
    out->drawn_ns = now_ns;

    char text[PROGRESS_LINE_MAX];
    if (out->live) {
        unsigned columns = terminal_columns(STDERR_FILENO);
        progress_line_live(p, columns ? columns : DEFAULT_COLUMNS, text);
        fprintf(stderr, "\r%s\x1b[K", text);
        fflush(stderr);
        out->line_open = true;
    } else if (!other) {
        progress_line_log(p, text);
        fprintf(stderr, "%s\n", text);
    }
}

void
output_progress_end(struct output *out)
{
    if (out->line_open)
        fputc('\n', stderr);
    out->line_open = false;
    out->drawn_ns = 0;
}

static void
clear_line(struct output *out)
{
    if (out->line_open)
        fputs("\r\x1b[K", stderr);
    out->line_open = false;
}

/* ---- JSON ---- */

const char *
output_timestamp(char text[EVENT_TIME_MAX])
{
    struct timespec now;
    struct tm tm;
    timespec_get(&now, TIME_UTC);
    gmtime_r(&now.tv_sec, &tm);
    size_t n = strftime(text, EVENT_TIME_MAX, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(text + n, EVENT_TIME_MAX - n, ".%09ld+00:00", now.tv_nsec);
    return text;
}

void
output_event(struct output *out, json_t *event)
{
    auto_json json_t *owned = event;
    if (!out->options.json || !event)
        return;
    char at[EVENT_TIME_MAX];
    json_object_set_new(event, "at", json_string(output_timestamp(at)));
    auto_free char *text = json_dumps(event, JSON_COMPACT);
    if (text)
        puts(text);
}
