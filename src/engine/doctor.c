#include "engine/doctor.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/checked.h"
#include "engine/doctor-probe.h"

#define LIST_MAX 256 /* directories, servers */

static int check_list(const json_t *start, const char *key, struct err *err);
static void read_agent_properties(struct doctor *d);

int
doctor_run(const json_t *start, const struct talk *talk, json_t **ret_detail, struct err *err)
{
    static void (*const parts[])(struct doctor *) = {
        doctor_tools,       doctor_windows, doctor_vddk,    doctor_host,
        doctor_directories, doctor_libvirt, doctor_servers, doctor_settings,
    };
    struct doctor d = { .start = start, .talk = talk };
    if (check_list(start, "dirs", err) < 0 || check_list(start, "hosts", err) < 0)
        return -1;
    read_agent_properties(&d);
    int r = 0;
    for (size_t i = 0; r == 0 && i < ARRAY_LEN(parts); i++) {
        if (talk->cancelled(talk->arg))
            r = err_set(err, ERR_CANCELLED, "stopped on request");
        else
            parts[i](&d);
    }
    agent_properties_free(&d.agent);
    if (r < 0)
        return -1;
    *ret_detail = json_pack("{s:i, s:i}", "errors", (int)d.counts[DOCTOR_ERROR], "warnings",
                            (int)d.counts[DOCTOR_WARNING]);
    return *ret_detail ? 0 : err_errno(err, ENOMEM, "the result");
}

static int
check_list(const json_t *start, const char *key, struct err *err)
{
    const json_t *list = json_object_get(start, key);
    size_t n = json_array_size(list);
    bool good = !list || (json_is_array(list) && n <= LIST_MAX);
    for (size_t i = 0; good && i < n; i++)
        good = json_is_string(json_array_get(list, i));
    if (!good)
        return err_set(err, ERR_INVALID, "'%s' is not a list of at most %d strings", key, LIST_MAX);
    return 0;
}

/* Why it cannot be read is said among the settings. */
static void
read_agent_properties(struct doctor *d)
{
    const char *path = json_get_str(d->start, "agent_properties", NULL);
    d->agent_path = path ? path : AGENT_PROPERTIES_PATH;
    if (agent_properties_read(d->agent_path, &d->agent, &d->agent_error) == 0 && path &&
        !d->agent.present)
        err_set(&d->agent_error, ERR_NOT_FOUND, "%s: there is no such file", path);
}

const char *
doctor_given(const struct doctor *d, const char *key)
{
    return json_get_str(json_object_get(d->start, "vddk"), key, NULL);
}

static void
put(json_t *message, const char *key, const char *text)
{
    json_object_set_new(message, key, text ? json_text(text) : json_null());
}

void
doctor_say(struct doctor *d, const struct doctor_word *word, const char *what, ...)
{
    static const char *const levels[] = { "ok", "warning", "error" };
    char text[2048];
    va_list args;
    va_start(args, what);
    vsnprintf(text, sizeof text, what, args);
    va_end(args);
    d->counts[word->level]++;
    json_t *message = json_pack("{s:s, s:s, s:s, s:s}", "type", "finding", "level",
                                levels[word->level], "group", word->group, "code", word->code);
    if (message) {
        put(message, "what", text);
        put(message, "value", word->value);
        put(message, "origin", word->origin);
        put(message, "cause", word->cause);
        put(message, "cure", word->cure);
    }
    d->talk->say(message, d->talk->arg);
}
