#include "daemon/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/buf.h"
#include "base/checked.h"
#include "base/clock.h"
#include "base/fd.h"
#include "daemon/daemon.h"
#include "daemon/note.h"
#include "daemon/wish.h"

#define LOOK_EVERY_US (UINT64_C(2) * 1000 * 1000)
#define LOG_NAME "migration.log"
#define SPEC_NAME "spec.yaml"
#define SPEC_MAX ((size_t)4 << 20)
#define EARLY_LINES_MAX 1000

/* In the order in which they are looked at: an answer that lies there goes before the question is
 * looked for. */
static const struct {
    const char *name;
    enum job_verb verb;
    const char *choice;
} markers[] = {
    { "SHUTDOWN_FORCE", JOB_SHUTDOWN, "force" },
    { "SHUTDOWN_MANUAL", JOB_SHUTDOWN, "manual" },
    { "FINALIZE_NOW", JOB_FINALIZE_NOW, NULL },
    { "FINALIZE", JOB_FINALIZE, NULL },
};

static int make_folder(struct entry *entry, struct err *err);
static char *path_of(const struct entry *entry, bool with_server);
static bool is_taken(const struct entry *entry, const char *path);
static void write_early_lines(struct entry *entry);
static void write_spec(struct entry *entry);
static int read_spec(struct entry *entry, struct buf *buf, struct err *err);
static bool take_marker(struct entry *entry, size_t i);
static bool remove_marker(struct entry *entry, const char *path, bool *ret_stale);

/* ---- the folder ---- */

void
folder_find(struct entry *entry)
{
    struct err err = ERR_INIT;
    if (entry->folder || entry->folder_failed || !entry->moref || !entry->name)
        return;
    if (make_folder(entry, &err) == 0)
        return;
    entry->folder_failed = true;
    note_migration(entry, LOG_LEVEL_WARNING, "no-folder",
                   "%s: there will be no migration.log, and marker files are not looked for",
                   err.text);
}

static int
make_folder(struct entry *entry, struct err *err)
{
    auto_free char *path = path_of(entry, false);
    if (path && is_taken(entry, path)) {
        free(path);
        path = path_of(entry, true);
    }
    if (!path)
        return err_errno(err, ENOMEM, "%s", entry_text(entry));
    bool is_new = mkdir(path, 0755) == 0;
    if (!is_new && errno != EEXIST)
        return err_errno(err, errno, "%s: make the folder", path);
    struct stat st;
    if (lstat(path, &st) < 0 || !S_ISDIR(st.st_mode))
        return err_set(err, ERR_CONFLICT, "%s: is no folder", path);
    entry->folder = TAKE_PTR(path);
    if (entry->started_at > 0 && is_new)
        write_early_lines(entry);
    write_spec(entry);
    return 0;
}

static char *
path_of(const struct entry *entry, bool with_server)
{
    char name[FOLDER_SAFE_MAX], moref[FOLDER_SAFE_MAX], server[FOLDER_SAFE_MAX];
    char *path = NULL;
    folder_safe_name(entry->name, name);
    folder_safe_name(entry->moref, moref);
    folder_safe_name(entry->server ? entry->server : "", server);
    int n = asprintf(&path, "%s/%s_%.30s%s%.20s", entry->daemon->control_dir, name, moref,
                     with_server ? "_" : "", with_server ? server : "");
    return n < 0 ? NULL : path;
}

/* Two vCenters may each have a vm-16 of the same name. */
static bool
is_taken(const struct entry *entry, const char *path)
{
    const struct roster *roster = &entry->daemon->roster;
    for (size_t i = 0; i < roster->n; i++)
        if (roster->entries[i] != entry && roster->entries[i]->folder &&
            strcmp(roster->entries[i]->folder, path) == 0)
            return true;
    return false;
}

const char *
folder_safe_name(const char *name, char text[FOLDER_SAFE_MAX])
{
    size_t len = 0;
    for (; name[len] && len < FOLDER_SAFE_MAX - 1; len++) {
        char c = name[len];
        bool safe = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                    c == '.' || c == '_' || c == '-';
        text[len] = safe ? c : '_';
    }
    text[len] = '\0';
    return text;
}

/* ---- what is written there ---- */

static int
write_early_line(const struct store_event *event, void *arg, struct err *err)
{
    (void)err;
    folder_log(arg, event->at, event->text);
    return 0;
}

static void
write_early_lines(struct entry *entry)
{
    struct err err = ERR_INIT;
    if (store_events(entry->daemon->store, entry->id, 0, EARLY_LINES_MAX, write_early_line, entry,
                     &err) < 0)
        log_warning("%s: %s", entry->folder, err.text);
}

/* The spec as it is carried out. JSON is YAML. */
static void
write_spec(struct entry *entry)
{
    auto_free char *path = NULL;
    auto_buf struct buf text = BUF_INIT(SPEC_MAX);
    struct err err = ERR_INIT;
    if (asprintf(&path, "%s/%s", entry->folder, SPEC_NAME) < 0 || access(path, F_OK) == 0)
        return;
    if (read_spec(entry, &text, &err) < 0 ||
        file_write_atomic(path, text.data, text.len, 0644, &err) < 0)
        log_warning("%s: %s", entry_text(entry), err.text);
}

static int
read_spec(struct entry *entry, struct buf *buf, struct err *err)
{
    auto_migration struct store_migration m = { .fence = 0 };
    if (store_migration_get(entry->daemon->store, entry->id, &m, err) < 0)
        return -1;
    return buf_printf(buf, err, "%s\n", m.spec);
}

void
folder_log(struct entry *entry, int64_t at, const char *text)
{
    if (!entry->folder)
        return;
    auto_free char *path = NULL;
    auto_free char *line = NULL;
    time_t seconds = at;
    struct tm tm;
    char stamp[32];
    if (!gmtime_r(&seconds, &tm) || strftime(stamp, sizeof stamp, "%F %T", &tm) == 0)
        return;
    int len = asprintf(&line, "[%s] %s\n", stamp, text);
    if (len < 0 || asprintf(&path, "%s/%s", entry->folder, LOG_NAME) < 0)
        return;
    for (char *c = line; *c; c++)
        if ((unsigned char)*c < 0x20 && c + 1 < line + len)
            *c = ' ';
    struct err err = ERR_INIT;
    auto_close int fd =
        open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0644);
    if (fd < 0)
        err_errno(&err, errno, "%s", path);
    if ((fd < 0 || fd_write(fd, line, (size_t)len, path, &err) < 0) && !entry->folder_failed) {
        entry->folder_failed = true;
        log_warning("%s", err.text);
    }
}

/* ---- markers ---- */

static int
on_look(sd_event_source *source, uint64_t usec, void *arg)
{
    struct daemon *daemon = arg;
    /* From the end: one that ends leaves the array. */
    for (size_t i = daemon->roster.n; i > 0; i--)
        folder_look(daemon->roster.entries[i - 1]);
    (void)usec;
    sd_event_source_set_time(source, (uint64_t)(clock_now_ns() / 1000) + LOOK_EVERY_US);
    return sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

int
folder_watch(struct daemon *daemon, struct err *err)
{
    int r = sd_event_add_time(daemon->event, &daemon->look_at_folders, CLOCK_MONOTONIC, 0, 0,
                              on_look, daemon);
    return r < 0 ? err_errno(err, -r, "watch for marker files") : 0;
}

void
folder_look(struct entry *entry)
{
    for (size_t i = 0; i < ARRAY_LEN(markers) && entry->folder; i++)
        if (take_marker(entry, i))
            return;
}

/* True when there was one: what is wished may have changed all, so the others wait for the next
 * look. */
static bool
take_marker(struct entry *entry, size_t i)
{
    auto_free char *path = NULL;
    bool stale = false;
    if (asprintf(&path, "%s/%s", entry->folder, markers[i].name) < 0 || access(path, F_OK) < 0 ||
        !remove_marker(entry, path, &stale))
        return false;
    if (stale) {
        note_migration(entry, LOG_LEVEL_WARNING, "marker-stale",
                       "%s: is older than this migration; removed and not honoured",
                       markers[i].name);
        return true;
    }
    struct wish wish = { .verb = markers[i].verb, .choice = markers[i].choice };
    struct err err = ERR_INIT;
    note_migration(entry, LOG_LEVEL_INFO, "marker", "%s: found and removed", markers[i].name);
    if (wish_ask(entry, &wish, NULL, NULL, &err) < 0)
        note_migration(entry, LOG_LEVEL_WARNING, "marker-refused", "%s: %s", markers[i].name,
                       err.text);
    return true;
}

static bool
remove_marker(struct entry *entry, const char *path, bool *ret_stale)
{
    struct stat st;
    if (lstat(path, &st) < 0)
        return false;
    if (S_ISREG(st.st_mode) && unlink(path) == 0) {
        *ret_stale = st.st_mtim.tv_sec < entry->created_at;
        return true;
    }
    if (!entry->folder_failed) {
        entry->folder_failed = true;
        note_migration(entry, LOG_LEVEL_WARNING, "marker-kept",
                       "%s: cannot be removed (%s), and so is not honoured", path,
                       S_ISREG(st.st_mode) ? strerror(errno) : "no regular file");
    }
    return false;
}

void
folder_leave(struct entry *entry)
{
    for (size_t i = 0; i < ARRAY_LEN(markers) && entry->folder; i++) {
        auto_free char *path = NULL;
        if (asprintf(&path, "%s/%s", entry->folder, markers[i].name) >= 0)
            unlink(path);
    }
}
