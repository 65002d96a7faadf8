#include "engine/run.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/checked.h"
#include "engine/cleanup.h"
#include "engine/describe.h"
#include "engine/migration.h"
#include "engine/settle.h"
#include "engine/source.h"

/* The journey, in its order. */
static const struct stage *const stages[] = {
    &stage_init,       &stage_base_copy, &stage_delta, &stage_final_sync,
    &stage_converting, &stage_import,    &stage_done,
};

static int run_stages(struct migration *m, struct err *err);
static int pause_instead(struct migration *m, struct err *err);
static int give_up(struct migration *m, struct err *err);
static json_t *failure_of(const struct migration *m);
static int describe(const struct job *job, const struct engine_watch *watch, json_t **ret_detail,
                    struct err *err);
static json_t *result_of(const struct migration *m);

int
engine_run(const struct job *job, mode_t file_mode, const struct engine_watch *watch,
           json_t **ret_detail, struct err *err)
{
    if (job->describe)
        return describe(job, watch, ret_detail, err);
    auto_migration struct migration m = {
        .job = job,
        .watch = watch,
        .file_mode = file_mode,
        .work = WORKDIR_INIT,
    };
    m.vm = vm_new(err);
    if (!m.vm || source_new(job, watch, m.vm, &m.source, err) < 0)
        return -1;
    m.source->deaf = migration_wishes(&m)->cancel;
    int r = run_stages(&m, err);
    if (r < 0 && migration_wishes(&m)->cancel)
        r = give_up(&m, err);
    if (r < 0) {
        if (job->journal)
            *ret_detail = failure_of(&m);
        return -1;
    }
    json_t *detail = result_of(&m);
    if (!detail)
        return err_set(err, ERR_BUG, "the result could not be written as JSON");
    *ret_detail = detail;
    return 0;
}

static int
note_stage(struct migration *m, struct err *err)
{
    const char *name = stages[m->stage]->name;
    if (!m->job->journal || !m->state.json)
        return 0;
    return state_apply(&m->state, ENGINE_NOTE, NULL,
                       json_pack("[{s:s, s:s}]", "op", "stage", "stage", name), err);
}

/* Until the last one, or one that waits. */
static int
run_stages(struct migration *m, struct err *err)
{
    for (m->stage = 0; m->stage < ARRAY_LEN(stages); m->stage++) {
        m->copying = stages[m->stage] == &stage_base_copy;
        int r = job_checkpoint(m, err);
        if (r == 0)
            r = note_stage(m, err);
        if (r == 0)
            r = stages[m->stage]->run(m, err);
        if (r == STAGE_WAITS)
            r = source_close(m->source, &m->state, false, err) < 0 ? -1 : STAGE_WAITS;
        if (r == STAGE_WAITS)
            return 0;
        if (r < 0) {
            settle(m, err);
            return pause_instead(m, err);
        }
    }
    return 0;
}

/* Who was asked to pause and stopped has done what it should. */
static int
pause_instead(struct migration *m, struct err *err)
{
    const struct engine_wishes *wishes = migration_wishes(m);
    if (err->kind != ERR_CANCELLED || wishes->cancel || !wishes->pause)
        return -1;
    m->outcome = (struct outcome){ .kind = OUTCOME_PAUSED };
    *err = ERR_INIT;
    return 0;
}

static int
give_up(struct migration *m, struct err *err)
{
    struct err failed = ERR_INIT;
    /* Without knowing what there is nothing can be cleared away: the next run does it. */
    if (!m->state.json && err->kind == ERR_CANCELLED)
        err_set(err, ERR_UNAVAILABLE, "stopped before it was known what to clear away");
    if (m->state.json && cleanup_run(m, &failed) < 0)
        *err = failed;
    if (!m->state.json || failed.kind != ERR_NONE) {
        m->retry = settle_is_worth_a_retry(err->kind, m->job->attempt);
        return -1;
    }
    m->outcome = (struct outcome){ .kind = OUTCOME_CANCELLED };
    *err = ERR_INIT;
    return 0;
}

static void
source_cleanup(struct source **src)
{
    source_free(*src);
}

static int
describe(const struct job *job, const struct engine_watch *watch, json_t **ret_detail,
         struct err *err)
{
    auto_vm struct vm *vm = vm_new(err);
    AUTO(source_cleanup) struct source *src = NULL;
    if (!vm || source_new(job, watch, vm, &src, err) < 0 || source_describe(src, err) < 0)
        return -1;
    json_t *detail = json_pack("{s:o}", "source", describe_vm(vm));
    if (!detail)
        return err_set(err, ERR_BUG, "the source's description could not be written as JSON");
    *ret_detail = detail;
    return 0;
}

static const char *const outcome_names[] = {
    [OUTCOME_DONE] = "done",     [OUTCOME_WAIT] = "wait",           [OUTCOME_ASK] = "ask",
    [OUTCOME_PAUSED] = "paused", [OUTCOME_CANCELLED] = "cancelled",
};

static json_t *
result_of(const struct migration *m)
{
    const struct outcome *outcome = &m->outcome;
    if (outcome->kind != OUTCOME_DONE)
        return json_pack("{s:s, s:I, s:s?, s:s}", "outcome", outcome_names[outcome->kind],
                         "after_s", (json_int_t)outcome->after_s, "question", outcome->question,
                         "text", outcome->text);
    bool kept = m->job->platform->keeps, defined = m->job->platform->define;
    auto_json json_t *disks = json_array();
    for (size_t i = 0; kept && i < m->vm->n_disks; i++)
        json_array_append_new(disks, json_string(m->paths.final_disks[i]));
    json_t *detail = json_pack("{s:s, s:s?, s:s?, s:O, s:I}", "name", m->vm->name, "xml",
                               kept && !defined ? m->paths.final_xml : NULL, "domain",
                               defined ? m->vm->name : NULL, "disks", disks, "data_bytes",
                               (json_int_t)m->data_bytes);
    if (detail && m->job->journal)
        json_object_set_new(detail, "outcome", json_string(outcome_names[OUTCOME_DONE]));
    return detail;
}

/* What is to become of one that failed; the error is apart. NULL without memory. */
static json_t *
failure_of(const struct migration *m)
{
    return json_pack("{s:s, s:I}", "then", m->retry ? "retry" : "fail", "after_s",
                     (json_int_t)(m->retry ? settle_pause_s(m->job->attempt) : 0));
}

/* ---- what depends on the stage that runs ---- */

void
migration_say(const struct migration *m, const char *fmt, ...)
{
    char text[1024];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    m->watch->stage(stages[m->stage]->name, text, m->watch->arg);
}

/* Of the whole journey, when part_pct of that stage is done. */
static int
overall_pct(size_t stage, int part_pct)
{
    unsigned all = 0, before = 0;
    for (size_t i = 0; i < ARRAY_LEN(stages); i++) {
        all += stages[i]->weight;
        if (i < stage)
            before += stages[i]->weight;
    }
    int part = MAX(0, MIN(part_pct, 100));
    return (int)((before * 100 + stages[stage]->weight * (unsigned)part) / all);
}

void
migration_progress(const struct migration *m, struct engine_progress *progress)
{
    progress->stage = stages[m->stage]->name;
    progress->overall_pct = overall_pct(m->stage, progress->pct);
    m->watch->progress(progress, m->watch->arg);
}
