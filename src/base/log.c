#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>

static struct {
    const char *program;
    enum log_level max_level;
    log_sink *sink;
    void *sink_arg;
} setup = { .program = "vmferry", .max_level = LOG_LEVEL_WARNING };

void
log_setup(const char *program, enum log_level max_level, log_sink *sink, void *arg)
{
    setup.program = program;
    setup.max_level = max_level;
    setup.sink = sink;
    setup.sink_arg = arg;
}

void
log_write(enum log_level level, const char *fmt, ...)
{
    if (level > setup.max_level)
        return;
    char text[2048];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    if (setup.sink)
        setup.sink(level, text, setup.sink_arg);
    else
        fprintf(stderr, "%s: %s%s\n", setup.program,
                level == LOG_LEVEL_ERROR     ? "error: "
                : level == LOG_LEVEL_WARNING ? "warning: "
                                             : "",
                text);
}
