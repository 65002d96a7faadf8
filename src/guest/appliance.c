#include "guest/appliance.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/log.h"
#include "guest/convert.h"
#include "wire/child.h"
#include "wire/ipc.h"

/* An appliance takes 3 to 5 s to start with KVM and 10 to 20 emulated, and as much again when it
 * must be built first; a loaded host takes several times that. */
#define LAUNCH_LIMIT_KVM_NS (90 * NS_PER_S)
#define LAUNCH_LIMIT_TCG_NS (300 * NS_PER_S)
/* One step after that: inspection of a large and fragmented guest over a slow network. */
#define STEP_LIMIT_NS (600 * NS_PER_S)

struct run {
    const struct inspect_options *options;
    struct guest_report *report;
    size_t n_before; /* findings that others made */
    enum accel accel;
    int64_t deadline_ns;
    bool launched;
    bool timed_out, cancelled;
    char step[64];
};

static int run_once(struct run *run, const json_t *start, int log_fd, json_t **ret_result,
                    struct err *err);
static void take_facts(const json_t *facts, struct guest_facts *ret);

/* ---- disks ---- */

int
disk_servers_start(struct disk_servers *ret, const struct vm_image *images, size_t n_images,
                   bool writable, struct err *err)
{
    auto_disk_servers struct disk_servers made = { 0 };
    made.servers = calloc(n_images + 1, sizeof *made.servers);
    if (!made.servers)
        return err_errno(err, ENOMEM, "disks");
    for (size_t i = 0; i < n_images; i++) {
        const struct vm_image *image = &images[i];
        made.servers[i] = QEMU_NBD_INIT;
        made.n = i + 1;
        if (!image->path)
            continue;
        if (image->gzip)
            return err_set(err, ERR_INVALID,
                           "%s: a disk that is compressed as a whole cannot be looked into before "
                           "it is copied",
                           image->path);
        if (!image->format)
            return err_set(err, ERR_INVALID, "%s: the format of the image is not known",
                           image->path);
        struct qemu_nbd_image served = { .path = image->path,
                                         .format = image->format,
                                         .window_offset = image->window_offset,
                                         .window_bytes = image->window_bytes,
                                         .writable = writable };
        if (qemu_nbd_start(&made.servers[i], &served, err) < 0)
            return -1;
    }
    *ret = made;
    made = (struct disk_servers){ 0 };
    return 0;
}

void
disk_servers_stop(struct disk_servers *disks)
{
    for (size_t i = 0; i < disks->n; i++)
        qemu_nbd_stop(&disks->servers[i]);
    free(disks->servers);
    *disks = (struct disk_servers){ 0 };
}

/* ---- the task ---- */

static int
open_log(const char *path, struct err *err)
{
    int fd = path ? open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600)
                  : open("/dev/null", O_WRONLY | O_CLOEXEC);
    return fd < 0 ? err_errno(err, errno, "%s: open", path ? path : "/dev/null") : fd;
}

static int
complete_start(json_t *start, const struct disk_servers *disks,
               const struct inspect_options *options, struct err *err)
{
    json_t *list = json_array();
    for (size_t i = 0; i < disks->n; i++)
        json_array_append_new(list, disks->servers[i].socket
                                        ? json_pack("{s:s}", "socket", disks->servers[i].socket)
                                        : json_object());
    json_t *keys = json_array();
    for (const char *const *key = options->keys; key && *key; key++)
        json_array_append_new(keys, json_string(*key));
    json_object_set_new(start, "disks", list);
    json_object_set_new(start, "keys", keys);
    json_object_set_new(start, "root", json_string(options->root ? options->root : "first"));
    json_object_set_new(start, "verbose", json_boolean(options->log_path != NULL));
    if (options->memsize_mib)
        json_object_set_new(start, "memsize_mib", json_integer(options->memsize_mib));
    return start ? 0 : err_set(err, ERR_BUG, "the task of the inspection could not be built");
}

int
appliance_run(const struct disk_servers *disks, const struct inspect_options *options,
              json_t *start, struct guest_report *report, struct err *err)
{
    auto_json json_t *owned = start;
    auto_json json_t *result = NULL;
    if (complete_start(start, disks, options, err) < 0)
        return -1;
    auto_close int log_fd = open_log(options->log_path, err);
    if (log_fd < 0)
        return -1;
    struct run run = { .options = options,
                       .report = report,
                       .n_before = report->n_findings,
                       .accel = options->accel };
    int r = run_once(&run, start, log_fd, &result, err);
    if (r < 0 && !run.cancelled && !run.launched && run.accel == ACCEL_KVM) {
        char why[ACCEL_WHY_MAX];
        snprintf(why, sizeof why, "an appliance with KVM %s",
                 run.timed_out ? "hung" : "died at its start");
        accel_forget_kvm(why);
        log_debug("%s: %s; trying again without", why, err->text);
        run.accel = ACCEL_TCG;
        r = run_once(&run, start, log_fd, &result, err);
    }
    if (r < 0)
        return -1;
    take_facts(json_object_get(result, "facts"), &report->facts);
    return 0;
}

static void on_event(const json_t *msg, void *arg);
static int explain(struct err *err);
static enum child_wish on_tick(void *arg);

static int
run_once(struct run *run, const json_t *start, int log_fd, json_t **ret_result, struct err *err)
{
    const struct inspect_options *options = run->options;
    struct err ignored = ERR_INIT;
    /* What a killed appliance leaves behind goes with this directory. */
    auto_free char *tmp = NULL;
    auto_free char *tmp_env = NULL;
    if (dir_make_private(NULL, &tmp, err) < 0)
        return -1;
    if (asprintf(&tmp_env, "LIBGUESTFS_TMPDIR=%s", tmp) < 0)
        return err_errno(err, ENOMEM, "start the appliance");
    const char *env[8] = { tmp_env };
    size_t n = 1;
    for (const char *const *add = accel_env(run->accel); *add; add++)
        env[n++] = *add;

    run->launched = run->timed_out = false;
    int64_t limit_ns = run->accel == ACCEL_KVM ? LAUNCH_LIMIT_KVM_NS : LAUNCH_LIMIT_TCG_NS;
    run->deadline_ns =
        clock_now_ns() + (options->launch_limit_ns ? options->launch_limit_ns : limit_ns);
    struct child_spec spec = { .program = options->program ? options->program : "/proc/self/exe",
                               .argument = "inspect",
                               .role = "inspect",
                               .env_add = env,
                               .stdin_fd = -1,
                               .stderr_fd = log_fd,
                               .event = on_event,
                               .wish = on_tick,
                               .arg = run };
    json_t *task = json_deep_copy(start);
    json_object_set_new(task, "accel", json_string(accel_name(run->accel)));
    int r = child_run(&spec, task, ret_result, err);
    dir_remove(tmp, &ignored);
    if (r < 0 && run->timed_out)
        return err_set(err, ERR_UNAVAILABLE,
                       "the appliance that looks into the disks hung while %s and was stopped",
                       run->step[0] ? run->step : "it was started");
    return r < 0 && !run->cancelled ? explain(err) : r;
}

/* libguestfs fails in the same words here as below virt-v2v. */
static int
explain(struct err *err)
{
    const struct convert_failure *known = convert_failure_find(err->text);
    struct err said = *err;
    if (known)
        return err_set(err, known->kind, "look into the disks: %s: %s (\"%.500s\")", known->cause,
                       known->cure, said.text);
    return err_prefix(err, "look into the disks");
}

static enum finding_level
level_from_name(const char *name)
{
    return strcmp(name, "error") == 0     ? FINDING_ERROR
           : strcmp(name, "warning") == 0 ? FINDING_WARNING
                                          : FINDING_INFO;
}

/* What the appliance saw is surer than what the labels let us guess: it takes the place of an
 * earlier finding of the same code. */
static void
drop_guess(struct run *run, const char *code)
{
    struct guest_report *report = run->report;
    for (size_t i = 0; i < run->n_before; i++)
        if (strcmp(report->findings[i].code, code) == 0) {
            memmove(&report->findings[i], &report->findings[i + 1],
                    (report->n_findings - i - 1) * sizeof report->findings[0]);
            report->n_findings--;
            run->n_before--;
            i--;
        }
}

static void
on_event(const json_t *msg, void *arg)
{
    struct run *run = arg;
    if (strcmp(ipc_type(msg), "step") == 0) {
        const char *step = json_get_str(msg, "step", "");
        snprintf(run->step, sizeof run->step, "%s", json_get_str(msg, "text", step));
        if (strcmp(step, "launch") != 0) {
            run->launched = true;
            run->deadline_ns = clock_now_ns() + STEP_LIMIT_NS;
        }
        if (run->options->step)
            run->options->step(run->step, run->options->arg);
    } else if (strcmp(ipc_type(msg), "finding") == 0) {
        const char *code = json_get_str(msg, "code", "");
        drop_guess(run, code);
        guest_report_add(run->report, level_from_name(json_get_str(msg, "level", "")), code, "%s",
                         json_get_str(msg, "text", code));
    }
}

static enum child_wish
on_tick(void *arg)
{
    struct run *run = arg;
    run->timed_out = clock_now_ns() >= run->deadline_ns;
    run->cancelled = run->options->cancelled && run->options->cancelled(run->options->arg);
    return run->timed_out || run->cancelled ? CHILD_KILL : CHILD_GO_ON;
}

/* ---- what it saw ---- */

static void
take_text(const json_t *facts, const char *key, char **ret)
{
    const char *text = json_get_str(facts, key, NULL);
    if (!text)
        return;
    free(*ret);
    *ret = strdup(text);
}

static void
take_facts(const json_t *facts, struct guest_facts *ret)
{
    int64_t type = json_get_int(facts, "os_type", GUEST_UNKNOWN);
    ret->type =
        type >= GUEST_UNKNOWN && type <= GUEST_OTHER ? (enum guest_type)type : GUEST_UNKNOWN;
    ret->major = (int)json_get_int(facts, "major", 0);
    ret->minor = (int)json_get_int(facts, "minor", 0);
    ret->uefi_fallback = json_get_bool(facts, "uefi_fallback", false);
    ret->rtc_localtime = json_get_bool(facts, "rtc_localtime", false);
    ret->virtio_block = json_get_bool(facts, "virtio_block", false);
    ret->virtio_net = json_get_bool(facts, "virtio_net", false);
    take_text(facts, "distro", &ret->distro);
    take_text(facts, "product_name", &ret->product_name);
    take_text(facts, "arch", &ret->arch);
    take_text(facts, "hostname", &ret->hostname);
    take_text(facts, "osinfo", &ret->osinfo);
    take_text(facts, "root", &ret->root);
}
