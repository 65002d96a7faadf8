/* base_copy: every disk into the working folder, one vmferry-copy after the other. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/size.h"
#include "engine/migration.h"
#include "wire/copy-client.h"

struct copy_view {
    struct migration *m;
    size_t disk;
    unsigned pct;
};

static int copy_disk(struct migration *m, size_t i, struct err *err);
static int finish(struct migration *m, struct err *err);

static int
run(struct migration *m, struct err *err)
{
    if (migration_is_copied(m))
        return source_close(m->source, &m->state, true, err);
    for (size_t i = 0; i < m->vm->n_disks; i++)
        if (job_checkpoint(m, err) < 0 || copy_disk(m, i, err) < 0)
            return -1;
    if (finish(m, err) < 0)
        return -1;
    /* The mark first: a run that ends in between finds whole copies, and a journal to clear. */
    if (state_mark(&m->state, STATE_COPIED, err) < 0)
        return -1;
    return source_close(m->source, &m->state, true, err);
}

static int
finish(struct migration *m, struct err *err)
{
    size_t bad = SOURCE_BAD_NONE;
    if (source_finish(m->source, &bad, err) == 0)
        return 0;
    for (size_t i = 0; i < m->vm->n_disks; i++)
        if (bad == i || bad == SOURCE_BAD_ALL)
            unlink(m->paths.disks[i]);
    return -1;
}

static void
show_progress(const struct copy_progress *copied, void *arg)
{
    struct copy_view *view = arg;
    char letters[4], name[16];
    snprintf(name, sizeof name, "sd%s", vm_drive_letters(view->disk, letters));
    double part =
        copied->total_bytes ? (double)copied->done_bytes / (double)copied->total_bytes : 0;
    if (strcmp(copied->stage, "copy") == 0)
        view->pct = (unsigned)(part * 100.0);
    struct engine_progress progress = {
        .disk = name,
        .done_bytes = copied->done_bytes,
        .total_bytes = copied->total_bytes,
        .data_bytes = copied->data_bytes,
        .rate_bytes_s = copied->rate_bytes_s,
        .eta_s = copied->eta_s,
        .pct = (int)(((double)view->disk + part) / (double)view->m->vm->n_disks * 100.0),
    };
    migration_progress(view->m, &progress);
}

static void
show_log(enum log_level level, const char *text, void *arg)
{
    const struct copy_view *view = arg;
    migration_log(view->m, level, NULL, "%s", text);
}

static enum child_wish
ask_wish(void *arg)
{
    const struct copy_view *view = arg;
    source_tick(view->m->source, view->disk, view->pct);
    return migration_is_cancelled(view->m) ? CHILD_CANCEL : CHILD_GO_ON;
}

static int
answer_need(const char *what, char **ret_value, void *arg, struct err *err)
{
    const struct copy_view *view = arg;
    return source_need(view->m->source, what, ret_value, err);
}

static int
copy_disk(struct migration *m, size_t i, struct err *err)
{
    const struct vm_disk *disk = &m->vm->disks[i];
    /* It has its name only when it is complete; one that is being placed has left. */
    if (access(m->paths.disks[i], F_OK) == 0 || state_is(&m->state, STATE_PLACING))
        return 0;
    migration_say(m, "Copying disk %zu/%zu", i + 1, m->vm->n_disks);
    struct copy_request request = {
        .stdin_fd = -1,
        .target_uri = m->paths.disks[i],
        .target_format = m->job->disk_format,
        .preallocate = m->job->preallocated,
        .capacity_bytes = disk->capacity_bytes,
        .limit_bytes_s = m->job->limit_bytes_s,
        .verify = m->job->verify,
    };
    struct copy_view view = { m, i, 0 };
    struct copy_watch watch = {
        .progress = show_progress,
        .log = show_log,
        .wish = ask_wish,
        .need = answer_need,
        .arg = &view,
    };
    struct copy_result result;
    if (source_begin_disk(m->source, i, &request, err) < 0)
        return -1;
    if (copy_run(&request, &watch, &result, err) < 0) {
        source_end_disk(m->source, i, NULL, err);
        return -1;
    }
    if (source_end_disk(m->source, i, &result, err) < 0)
        return -1;
    struct copy_progress all;
    copy_result_progress(&result, &all);
    show_progress(&all, &view);
    char data[SIZE_TEXT_MAX];
    migration_log(m, LOG_LEVEL_INFO, NULL, "disk %zu: %s of data in %.1f s", i + 1,
                  size_format(result.data_bytes, data), (double)result.elapsed_ns / 1e9);
    m->data_bytes += result.data_bytes;
    return 0;
}

const struct stage stage_base_copy = { .name = "base_copy", .weight = 55, .run = run };
