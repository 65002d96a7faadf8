#include "engine/survey.h"

#include <stdio.h>
#include <string.h>

#include "engine/facts.h"
#include "guest/inspect.h"

static int look(struct migration *m, const struct vm_image *images, struct guest_report *ret,
                struct err *err);
static int judge(struct migration *m, const struct guest_report *report, struct err *err);
static void keep_log(struct migration *m, struct err *err);

int
survey_make(struct migration *m, const struct vm_image *images, struct err *err)
{
    if (m->facts_known || (!m->job->convert && state_is(&m->state, STATE_UNSEEN)))
        return 0;
    struct guest_report report = { .n_findings = 0 };
    if (look(m, images, &report, err) < 0) {
        if (m->job->convert || err->kind == ERR_CANCELLED) {
            keep_log(m, err);
            return -1;
        }
        migration_log(m, LOG_LEVEL_WARNING, "not-inspected",
                      "the guest could not be looked at, so its description may lack details: %s",
                      err->text);
        return state_mark(&m->state, STATE_UNSEEN, err);
    }
    int r = judge(m, &report, err);
    if (r == 0)
        r = state_put(&m->state, "facts", facts_to_json(&report.facts), err);
    if (r < 0) {
        guest_facts_free(&report.facts);
        return -1;
    }
    m->facts = report.facts;
    m->facts_known = true;
    return 0;
}

static void
say_step(const char *text, void *arg)
{
    migration_log(arg, LOG_LEVEL_DEBUG, NULL, "inspection: %s", text);
}

static int
look(struct migration *m, const struct vm_image *images, struct guest_report *ret, struct err *err)
{
    migration_say(m, "Inspecting the source");
    if (migration_accel(m, err) < 0)
        return -1;
    struct inspect_options options = {
        .root = m->job->root,
        .keys = m->job->keys,
        .accel = m->accel,
        .firmware_known = m->vm->firmware_known,
        .firmware = m->vm->firmware,
        .virtio_win = m->job->virtio_win,
        .no_convert = !m->job->convert,
        .log_path = m->paths.inspect_log,
        .cancelled = migration_is_cancelled,
        .step = say_step,
        .arg = m,
    };
    return inspect_images(images, m->vm->n_disks, &options, ret, err);
}

static int
judge(struct migration *m, const struct guest_report *report, struct err *err)
{
    static const enum log_level levels[] = {
        [FINDING_INFO] = LOG_LEVEL_INFO,
        [FINDING_WARNING] = LOG_LEVEL_WARNING,
        [FINDING_ERROR] = LOG_LEVEL_ERROR,
    };
    const struct finding *blocker = m->job->convert ? inspect_blocker(report) : NULL;
    for (size_t i = 0; i < report->n_findings; i++) {
        const struct finding *finding = &report->findings[i];
        if (finding != blocker)
            migration_log(m, levels[finding->level], finding->code, "%s", finding->text);
    }
    if (blocker)
        return err_set(err, ERR_INVALID, "%s [%s]", blocker->text, blocker->code);
    if (report->facts.product_name)
        migration_log(m, LOG_LEVEL_INFO, "guest", "the guest is %s", report->facts.product_name);
    return 0;
}

/* The working folder may go away with this error; what the appliance said must not. */
static void
keep_log(struct migration *m, struct err *err)
{
    char *kept = NULL;
    if (err->kind == ERR_CANCELLED ||
        asprintf(&kept, "%s/%s-inspect.log", m->paths.dir, m->vm->name) < 0)
        return;
    if (rename(m->paths.inspect_log, kept) == 0) {
        struct err why = *err;
        err_set(err, why.kind, "%s (all that was said is in %s)", why.text, kept);
    }
    free(kept);
}
