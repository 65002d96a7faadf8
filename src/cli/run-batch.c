#include "cli/run-batch.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/run-view.h"
#include "cli/targets.h"

#define SPEC_TEXT_MAX ((size_t)1 << 20)
#define EVENTS_AT_ONCE 200

static int post_one(struct batch *batch, struct batch_vm *vm, struct err *err);
static int poll_one(struct batch *batch, struct batch_vm *vm, struct err *err);
static int poll_events(struct batch *batch, struct batch_vm *vm, bool show, struct err *err);

int
batch_init(struct batch *batch, const struct spec_set *files, json_t *options,
           struct daemon *daemon, struct run_view *view, struct err *err)
{
    *batch = (struct batch){ .options = options, .daemon = daemon, .view = view };
    batch->vms = calloc(files->n + 1, sizeof *batch->vms);
    if (!batch->vms || !options)
        return err_errno(err, ENOMEM, "the list of machines");
    for (size_t i = 0; i < files->n; i++)
        batch->vms[batch->n++] = (struct batch_vm){
            .entry = &files->entries[i],
            .name = spec_entry_name(&files->entries[i]),
        };
    return 0;
}

void
batch_free(struct batch *batch)
{
    for (size_t i = 0; i < batch->n; i++) {
        free(batch->vms[i].id);
        free(batch->vms[i].disks);
        json_decref(batch->vms[i].json);
    }
    free(batch->vms);
    json_decref(batch->options);
}

/* ---- hand over ---- */

int
batch_post(struct batch *batch, struct err *err)
{
    for (size_t i = 0; i < batch->n; i++)
        if (!batch->vms[i].over && post_one(batch, &batch->vms[i], err) < 0)
            return -1;
    return 0;
}

static json_t *
body_of(const struct batch *batch, const struct batch_vm *vm, struct err *err)
{
    auto_buf struct buf text = BUF_INIT(SPEC_TEXT_MAX);
    if (spec_write_json(vm->entry->spec, &text, err) < 0)
        return NULL;
    json_t *spec = json_parse_object(text.data, text.len, err);
    if (!spec)
        return NULL;
    json_t *body = json_pack("{s:o, s:O}", "spec", spec, "options", batch->options);
    if (!body)
        err_set(err, ERR_BUG, "%s: a request could not be built", vm->name);
    return body;
}

/* The daemon has answered, and not well: that is the end of this one, not of the others. */
static int
refuse(struct batch *batch, struct batch_vm *vm, const struct err *why)
{
    vm->refused = vm->over = true;
    vm->why = *why;
    run_view_refused(batch->view, vm);
    return 0;
}

static int
take_vm(struct batch_vm *vm, json_t *json, struct err *err)
{
    char *id = strdup(json_get_str(json, "id", ""));
    if (!id)
        return err_errno(err, ENOMEM, "%s", vm->name);
    free(vm->id);
    vm->id = id;
    json_decref(vm->json);
    vm->json = json_incref(json);
    return 0;
}

static int
retry(struct batch *batch, struct batch_vm *vm, struct err *err)
{
    auto_free char *path = NULL;
    auto_json json_t *answer = NULL;
    int status = 0;
    if (targets_path(vm->id, "/retry", &path, err) < 0)
        return -1;
    int r = daemon_call(batch->daemon, "POST", path, NULL, &status, &answer, err);
    if (r < 0)
        return status == 0 ? -1 : refuse(batch, vm, err);
    json_t *now = json_object_get(answer, "migration");
    return json_is_object(now) ? take_vm(vm, now, err) : 0;
}

static int
post_one(struct batch *batch, struct batch_vm *vm, struct err *err)
{
    auto_json json_t *body = body_of(batch, vm, err), *answer = NULL;
    struct migration m;
    int status = 0;
    if (!body)
        return -1;
    if (daemon_call(batch->daemon, "POST", "/migrations", body, &status, &answer, err) < 0)
        return status == 0 ? -1 : refuse(batch, vm, err);
    bool again = vm->begun && strcmp(vm->id, json_get_str(answer, "id", "")) == 0;
    if (!again)
        vm->seen = 0;
    if (take_vm(vm, answer, err) < 0)
        return -1;
    migration_read(answer, &m);
    /* What an earlier run has told is not told again. */
    if (!again && status == 200 && poll_events(batch, vm, false, err) < 0)
        return -1;
    if (m.status == JOB_FAILED && retry(batch, vm, err) < 0)
        return -1;
    if (!again && !vm->over)
        run_view_started(batch->view, vm, status == 200);
    vm->begun = true;
    return 0;
}

/* ---- follow ---- */

int
batch_poll(struct batch *batch, struct err *err)
{
    for (size_t i = 0; i < batch->n; i++)
        if (!batch->vms[i].over && batch->vms[i].id && poll_one(batch, &batch->vms[i], err) < 0)
            return -1;
    return 0;
}

static int
poll_events(struct batch *batch, struct batch_vm *vm, bool show, struct err *err)
{
    size_t n;
    do {
        auto_free char *path = NULL;
        auto_json json_t *page = NULL;
        char rest[96];
        const json_t *event;
        size_t i;
        snprintf(rest, sizeof rest, "/events?after=%lld&limit=%d", (long long)vm->seen,
                 EVENTS_AT_ONCE);
        if (targets_path(vm->id, rest, &path, err) < 0 ||
            daemon_call(batch->daemon, "GET", path, NULL, NULL, &page, err) < 0)
            return -1;
        const json_t *events = json_object_get(page, "events");
        n = json_array_size(events);
        json_array_foreach (events, i, event) {
            vm->seen = json_get_int(event, "n", vm->seen);
            if (show)
                run_view_event(batch->view, vm, event);
        }
    } while (n == EVENTS_AT_ONCE);
    return 0;
}

static bool
is_over(const struct migration *m)
{
    return job_status_is_ended(m->status) || m->status == JOB_FAILED;
}

static int
poll_one(struct batch *batch, struct batch_vm *vm, struct err *err)
{
    auto_free char *path = NULL;
    auto_json json_t *before = NULL;
    json_t *now = NULL;
    struct migration m;
    /* First how it is, then its events: what led to an end is heard before the end is shown. */
    if (targets_path(vm->id, "", &path, err) < 0 ||
        daemon_call(batch->daemon, "GET", path, NULL, NULL, &now, err) < 0)
        return -1;
    before = vm->json;
    vm->json = now;
    if (poll_events(batch, vm, true, err) < 0)
        return -1;
    migration_read(now, &m);
    vm->over = is_over(&m);
    if (m.status != JOB_ASKING)
        vm->left_asking = false;
    run_view_change(batch->view, vm, before);
    return 0;
}

int
batch_answer(struct batch *batch, struct batch_vm *vm, const char *choice, struct err *err)
{
    auto_free char *path = NULL;
    auto_json json_t *body = json_pack("{s:s}", "choice", choice);
    if (targets_path(vm->id, "/shutdown", &path, err) < 0)
        return -1;
    return daemon_call(batch->daemon, "POST", path, body, NULL, NULL, err);
}

/* ---- count ---- */

static bool
asks(const struct batch_vm *vm)
{
    struct migration m;
    migration_read(vm->json, &m);
    return vm->json && m.status == JOB_ASKING;
}

struct batch_vm *
batch_asking(struct batch *batch)
{
    for (size_t i = 0; i < batch->n; i++)
        if (!batch->vms[i].left_asking && asks(&batch->vms[i]))
            return &batch->vms[i];
    return NULL;
}

bool
batch_is_over(const struct batch *batch)
{
    for (size_t i = 0; i < batch->n; i++)
        if (!batch->vms[i].over && !batch->vms[i].left_asking)
            return false;
    return true;
}

void
batch_count(const struct batch *batch, struct batch_sum *ret)
{
    *ret = (struct batch_sum){ 0 };
    for (size_t i = 0; i < batch->n; i++) {
        const struct batch_vm *vm = &batch->vms[i];
        struct migration m;
        migration_read(vm->json, &m);
        if (vm->json && m.status == JOB_DONE)
            ret->done++;
        else if (vm->over)
            ret->failed++;
        else if (asks(vm))
            ret->asking++;
        else
            ret->open++;
    }
}
