#include "daemon/note.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/err.h"
#include "daemon/daemon.h"
#include "daemon/folder.h"
#include "wire/child.h"

#define TEXT_MAX 4096
#define EVENTS_KEPT 200000

static void add_event(struct daemon *daemon, const char *id, enum log_level level, const char *code,
                      const char *text);

void
note_migration(struct entry *entry, enum log_level level, const char *code, const char *fmt, ...)
{
    char text[TEXT_MAX];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    add_event(entry->daemon, entry->id, level, code, text);
    folder_log(entry, clock_wall_s(), text);
    log_write(level, "%s: %s", entry_text(entry), text);
}

void
note_daemon(struct daemon *daemon, enum log_level level, const char *code, const char *fmt, ...)
{
    char text[TEXT_MAX];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    add_event(daemon, NULL, level, code, text);
    log_write(level, "%s", text);
}

static void
add_event(struct daemon *daemon, const char *id, enum log_level level, const char *code,
          const char *text)
{
    static bool failing;
    struct err err = ERR_INIT;
    struct store_event event = {
        .migration = id,
        .at = clock_wall_s(),
        .level = child_log_level_name(level),
        .code = code,
        .text = text,
    };
    if (store_event_add(daemon->store, &event, NULL, &err) == 0)
        failing = false;
    else if (!failing) {
        failing = true;
        log_error("events are not kept: %s", err.text);
    }
}

void
note_prune(struct daemon *daemon)
{
    struct err err = ERR_INIT;
    if (store_events_prune(daemon->store, EVENTS_KEPT, NULL, &err) < 0)
        log_warning("old events are not removed: %s", err.text);
}
