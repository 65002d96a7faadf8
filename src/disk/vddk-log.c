#include "disk/vddk-log.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "base/log.h"

#define LINE_MAX_BYTES 4096
#define KEPT_LINES 8   /* in memory */
#define KEPT_BYTES 320 /* of each */
#define SHOWN_LINES 2  /* in the text of an error */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* all that follows */
static char kept[KEPT_LINES][KEPT_BYTES];                /* number n is at n % KEPT_LINES */
static uint64_t n_kept;
static char last_warning[KEPT_BYTES]; /* its text behind the library's own prefix */
static const char *const *hidden;

/* Two that versions 7 and 8 log as errors though nothing is wrong: they call home and nobody
 * answers. */
static bool
is_noise(const char *line)
{
    return strstr(line, "Get CEIP status failed") || strstr(line, "VDDK_PhoneHome:");
}

/* Lines of the ordinary log that say why something will fail. */
static bool
is_telling(const char *line)
{
    static const char *const words[] = {
        "thumbprint", "Failed", "failed", "ERROR", "rror:", "annot"
    };
    for (size_t i = 0; i < ARRAY_LEN(words); i++)
        if (strstr(line, words[i]))
            return true;
    return false;
}

/* With the lock held. */
static void
hide_secrets(char *line)
{
    for (const char *const *secret = hidden; secret && *secret; secret++) {
        size_t len = strlen(*secret);
        if (len < VDDK_SECRET_MIN)
            continue;
        for (char *at = line; (at = strstr(at, *secret)); at += 3) {
            memset(at, '*', 3);
            memmove(at + 3, at + len, strlen(at + len) + 1);
        }
    }
}

/* The same again, from whatever thread: "VixDiskLib[1234]: text". With the lock held. */
static bool
is_repeated(const char *line)
{
    const char *prefix_end = strstr(line, "]: ");
    const char *text = prefix_end ? prefix_end + 3 : line;
    bool repeated = strncmp(text, last_warning, KEPT_BYTES - 1) == 0;
    snprintf(last_warning, sizeof last_warning, "%s", text);
    return repeated;
}

static void
take_line(enum log_level level, bool keep, const char *fmt, va_list ap)
{
    char line[LINE_MAX_BYTES];
    vsnprintf(line, sizeof line, fmt, ap);
    size_t len = strlen(line);
    while (len > 0 && (line[len - 1] == '\n' || line[len - 1] == '\r' || line[len - 1] == ' '))
        line[--len] = '\0';
    if (len == 0)
        return;
    for (char *c = line; *c; c++)
        if ((unsigned char)*c < ' ')
            *c = ' ';
    bool noise = is_noise(line);
    pthread_mutex_lock(&lock);
    hide_secrets(line);
    if (!noise && (keep || is_telling(line)))
        snprintf(kept[n_kept++ % KEPT_LINES], KEPT_BYTES, "%s", line);
    bool quiet = noise || (keep && is_repeated(line));
    pthread_mutex_unlock(&lock);
    log_write(quiet ? LOG_LEVEL_DEBUG : level, "vddk: %s", line);
}

void
vddk_log_info(const char *fmt, va_list ap)
{
    take_line(LOG_LEVEL_DEBUG, false, fmt, ap);
}

void
vddk_log_warn(const char *fmt, va_list ap)
{
    take_line(LOG_LEVEL_INFO, true, fmt, ap);
}

void
vddk_log_panic(const char *fmt, va_list ap)
{
    take_line(LOG_LEVEL_ERROR, true, fmt, ap);
}

uint64_t
vddk_log_mark(void)
{
    pthread_mutex_lock(&lock);
    uint64_t mark = n_kept;
    pthread_mutex_unlock(&lock);
    return mark;
}

void
vddk_log_since(uint64_t mark, char *text, size_t size)
{
    text[0] = '\0';
    pthread_mutex_lock(&lock);
    uint64_t first = n_kept > SHOWN_LINES ? n_kept - SHOWN_LINES : 0;
    size_t len = 0;
    for (uint64_t i = MAX(first, mark); i < n_kept && len < size; i++)
        len +=
            (size_t)snprintf(text + len, size - len, "%s%s", len ? "; " : "", kept[i % KEPT_LINES]);
    pthread_mutex_unlock(&lock);
}

void
vddk_log_hide(const char *const *secrets)
{
    pthread_mutex_lock(&lock);
    hidden = secrets;
    pthread_mutex_unlock(&lock);
}
