#include "engine/check.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "engine/check-rule.h"

static const struct check_rule *const tables[] = {
    check_state_rules,
    check_disk_rules,
    check_device_rules,
};

void
check_machine(const struct vmware_machine *machine, const struct check_context *context,
              check_fn *found, void *arg)
{
    struct check check = { .m = machine, .context = context, .found = found, .arg = arg };
    for (size_t i = 0; i < ARRAY_LEN(tables); i++) {
        if (i > 0 && !machine->config_present)
            break;
        for (check.rule = tables[i]; check.rule->code; check.rule++)
            check.rule->look(&check);
    }
}

const char *
check_code(size_t i)
{
    for (size_t table = 0; table < ARRAY_LEN(tables); table++)
        for (const struct check_rule *rule = tables[table]; rule->code; rule++)
            if (i-- == 0)
                return rule->code;
    return NULL;
}

/* ---- saying it ---- */

static void
emit(struct check *check, enum check_level cold, enum check_level warm, const char *subject,
     const char *what, va_list args)
{
    struct check_finding finding = {
        .code = check->rule->code,
        .level = { [CHECK_COLD] = cold, [CHECK_WARM] = warm },
        .cause = check->rule->cause,
        .cure = check->rule->cure,
    };
    snprintf(finding.subject, sizeof finding.subject, "%s", subject ? subject : "");
    vsnprintf(finding.what, sizeof finding.what, what, args);
    check->found(&finding, check->arg);
}

void
check_say(struct check *check, const char *subject, const char *what, ...)
{
    va_list args;
    va_start(args, what);
    emit(check, check->rule->cold, check->rule->warm, subject, what, args);
    va_end(args);
}

void
check_say_at(struct check *check, enum check_level cold, enum check_level warm, const char *subject,
             const char *what, ...)
{
    va_list args;
    va_start(args, what);
    emit(check, cold, warm, subject, what, args);
    va_end(args);
}

const char *
check_level_name(enum check_level level)
{
    static const char *const names[] = { "ok", "info", "warning", "error" };
    return names[level];
}

const char *
check_way_name(enum check_way way)
{
    return way == CHECK_COLD ? "cold" : "warm";
}

/* ---- refusing ---- */

struct refusal {
    const char *name;
    enum check_way way;
    check_log_fn *log;
    void *arg;
    struct err first; /* error; kind ERR_NONE: none so far */
};

/* States that somebody can change at the source; all else is what the machine is. */
static bool
is_state(const char *code)
{
    for (const struct check_rule *rule = check_state_rules; rule->code; rule++)
        if (strcmp(rule->code, code) == 0)
            return true;
    return false;
}

static void
judge(const struct check_finding *f, void *arg)
{
    static const enum log_level levels[] = { [CHECK_INFO] = LOG_LEVEL_INFO,
                                             [CHECK_WARNING] = LOG_LEVEL_WARNING,
                                             [CHECK_ERROR] = LOG_LEVEL_ERROR };
    struct refusal *refusal = arg;
    enum check_level level = f->level[refusal->way];
    char text[ERR_TEXT_MAX];
    if (level == CHECK_NONE)
        return;
    snprintf(text, sizeof text, "%s%s%s: %s: %s", f->subject, *f->subject ? ": " : "", f->what,
             f->cause, f->cure);
    if (level == CHECK_ERROR && refusal->first.kind == ERR_NONE)
        err_set(&refusal->first, is_state(f->code) ? ERR_CONFLICT : ERR_INVALID, "%s: %s [%s]",
                refusal->name, text, f->code);
    else if (refusal->log)
        refusal->log(levels[level], f->code, text, refusal->arg);
}

int
check_refuse(const struct vmware_machine *machine, const struct check_context *context,
             enum check_way way, check_log_fn *log, void *arg, struct err *err)
{
    struct refusal refusal = {
        .name = machine->name, .way = way, .log = log, .arg = arg, .first = ERR_INIT
    };
    check_machine(machine, context, judge, &refusal);
    if (refusal.first.kind == ERR_NONE)
        return 0;
    return err_set(err, refusal.first.kind, "%s", refusal.first.text);
}
