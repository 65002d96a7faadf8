#include "engine/source.h"

#include <stdarg.h>
#include <stdio.h>

#include "engine/identity.h"

int
source_new(const struct job *job, const struct engine_watch *watch, struct vm *vm,
           struct source **ret, struct err *err)
{
    int r;
    switch (job->input) {
    case JOB_INPUT_XEN_SSH:
        r = source_xen_new(ret, err);
        break;
    case JOB_INPUT_VSPHERE:
        r = source_vsphere_new(ret, err);
        break;
    default:
        r = source_file_new(ret, err);
        break;
    }
    if (r < 0)
        return -1;
    (*ret)->job = job;
    (*ret)->watch = watch;
    (*ret)->vm = vm;
    return 0;
}

void
source_free(struct source *src)
{
    if (src)
        src->ops->free(src);
}

int
source_describe(struct source *src, struct err *err)
{
    return src->ops->describe(src, err);
}

int
source_recall(struct source *src, struct state *state, bool drop, struct err *err)
{
    return src->ops->recall ? src->ops->recall(src, state, drop, err) : 0;
}

int
source_check(struct source *src, struct err *err)
{
    return src->ops->check ? src->ops->check(src, err) : 0;
}

json_t *
source_disk_identity(const struct source *src, size_t disk)
{
    return src->ops->disk_identity ? src->ops->disk_identity(src, disk)
                                   : identity_of_file(&src->vm->disks[disk]);
}

bool
source_has_content(const struct source *src)
{
    return src->ops->content != NULL;
}

int
source_content(struct source *src, struct buf *ret, struct err *err)
{
    return src->ops->content(src, ret, err);
}

int
source_open(struct source *src, struct state *state, struct err *err)
{
    return src->ops->open ? src->ops->open(src, state, err) : 0;
}

bool
source_is_random_access(const struct source *src)
{
    if (src->ops->is_random_access)
        return src->ops->is_random_access(src);
    for (size_t i = 0; i < src->vm->n_disks; i++)
        if (src->vm->disks[i].image.path && src->vm->disks[i].image.gzip)
            return false;
    return true;
}

void
source_image(const struct source *src, size_t disk, struct vm_image *ret)
{
    if (src->ops->image)
        src->ops->image(src, disk, ret);
    else
        *ret = src->vm->disks[disk].image;
}

int
source_begin_disk(struct source *src, size_t disk, struct copy_request *request, struct err *err)
{
    const struct vm_image *image = &src->vm->disks[disk].image;
    if (src->ops->begin_disk)
        return src->ops->begin_disk(src, disk, request, err);
    request->source_uri = image->path;
    request->source_format = image->format;
    request->window_offset = image->window_offset;
    request->window_bytes = image->window_bytes;
    request->gzip = image->gzip;
    return 0;
}

void
source_tick(struct source *src, size_t disk, unsigned pct)
{
    if (src->ops->tick)
        src->ops->tick(src, disk, pct);
}

int
source_need(struct source *src, size_t disk, const char *what, char **ret_value, struct err *err)
{
    return src->ops->need ? src->ops->need(src, disk, what, ret_value, err)
                          : err_set(err, ERR_DENIED, "no new %s can be had of this source", what);
}

int
source_end_disk(struct source *src, size_t disk, const struct copy_result *result, struct err *err)
{
    return src->ops->end_disk ? src->ops->end_disk(src, disk, result, err) : 0;
}

bool
source_fall_back(struct source *src, size_t disk, const struct err *why)
{
    return src->ops->fall_back && src->ops->fall_back(src, disk, why);
}

int
source_finish(struct source *src, size_t *ret_bad, struct err *err)
{
    return src->ops->finish ? src->ops->finish(src, ret_bad, err) : 0;
}

int
source_close(struct source *src, struct state *state, bool complete, struct err *err)
{
    return src && src->ops->close ? src->ops->close(src, state, complete, err) : 0;
}

bool
source_left_behind(const struct state *state)
{
    return json_is_object(json_object_get(state->json, STATE_SOURCE)) ||
           json_is_object(json_object_get(state->json, SOURCE_HOLD));
}

bool
source_cancelled(void *arg)
{
    const struct source *src = arg;
    return !src->deaf && src->watch->cancelled(src->watch->arg);
}

void
source_log(const struct source *src, enum log_level level, const char *code, const char *fmt, ...)
{
    char text[2048];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    src->watch->log(level, code, text, src->watch->arg);
}
