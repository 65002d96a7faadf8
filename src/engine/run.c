#include "engine/run.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/checked.h"
#include "engine/describe.h"
#include "engine/migration.h"
#include "engine/settle.h"
#include "engine/source.h"

/* The journey, in its order. */
static const struct stage *const stages[] = {
    &stage_init, &stage_base_copy, &stage_converting, &stage_import, &stage_done,
};

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
    for (m.stage = 0; m.stage < ARRAY_LEN(stages); m.stage++) {
        m.copying = stages[m.stage] == &stage_base_copy;
        if (job_checkpoint(&m, err) < 0 || stages[m.stage]->run(&m, err) < 0) {
            settle(&m, err);
            return -1;
        }
    }
    json_t *detail = result_of(&m);
    if (!detail)
        return err_set(err, ERR_BUG, "the result could not be written as JSON");
    *ret_detail = detail;
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

static json_t *
result_of(const struct migration *m)
{
    bool kept = m->job->platform->keeps;
    auto_json json_t *disks = json_array();
    for (size_t i = 0; kept && i < m->vm->n_disks; i++)
        json_array_append_new(disks, json_string(m->paths.final_disks[i]));
    return json_pack("{s:s, s:s?, s:O, s:I}", "name", m->vm->name, "xml",
                     kept ? m->paths.final_xml : NULL, "disks", disks, "data_bytes",
                     (json_int_t)m->data_bytes);
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

int
migration_overall_pct(size_t stage, int part_pct)
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
    progress->overall_pct = migration_overall_pct(m->stage, progress->pct);
    m->watch->progress(progress, m->watch->arg);
}
