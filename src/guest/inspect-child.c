/* The role "inspect" of the worker: one task, one appliance, one result. */
#include <string.h>

#include "guest/inspect.h"
#include "guest/look.h"
#include "guest/netid-guest.h"
#include "wire/ipc.h"

static int inspect(struct look *look, struct err *err);
static int netid(struct look *look, struct err *err);
static void send_findings(struct look *look);
static json_t *facts_to_json(const struct guest_facts *facts);

int
inspect_child_main(void)
{
    struct err err = ERR_INIT, ignored = ERR_INIT;
    auto_json json_t *start = NULL;
    if (ipc_child_begin(IPC_CHILD_FD, "inspect", &start, &err) < 0)
        return 1;
    AUTO(look_free) struct look look = { .ipc_fd = IPC_CHILD_FD, .start = start };
    const char *task = json_get_str(start, "task", "");
    int r;
    if (strcmp(task, "inspect") == 0) {
        r = inspect(&look, &err);
    } else if (strcmp(task, "netid") == 0) {
        r = netid(&look, &err);
    } else {
        r = err_set(&err, ERR_BUG, "'%s' is no task of the inspection", task);
    }
    if (r < 0)
        return ipc_send_result(IPC_CHILD_FD, &err, NULL, &ignored) < 0;
    send_findings(&look);
    json_t *detail = json_pack("{s:o}", "facts", facts_to_json(&look.report.facts));
    return ipc_send_result(IPC_CHILD_FD, NULL, detail, &ignored) < 0;
}

static int
inspect(struct look *look, struct err *err)
{
    if (look_open(look, err) < 0 || look_find(look, err) < 0)
        return -1;
    inspect_volumes(look);
    if (look->root && look_mount(look, err) < 0)
        return -1;
    if (look->root) {
        look_step(look, "check", "checking what a conversion needs");
        if (look->report.facts.type == GUEST_LINUX)
            inspect_linux(look);
        else if (look->report.facts.type == GUEST_WINDOWS)
            inspect_windows(look);
    }
    /* Read-only: nothing is lost if the end of it fails. */
    struct err ignored = ERR_INIT;
    look_shut(look, &ignored);
    return 0;
}

/* With a root device given nothing is searched for, which saves half the time; and it is enough: no
 * Linux starts with /etc on another file system. */
static int
netid(struct look *look, struct err *err)
{
    look->writable = true;
    const char *root = json_get_str(look->start, "root", "first");
    if (look_open(look, err) < 0)
        return -1;
    if (*root == '/' || strncmp(root, "btrfsvol:", 9) == 0) {
        if (guestfs_mount(look->g, root, "/") < 0)
            return look_error(look, err, "mount the guest's root");
        if (look_exists(look, "/etc/fstab") || look_exists(look, "/etc/os-release"))
            look->report.facts.type = GUEST_LINUX;
    } else {
        if (look_find(look, err) < 0 || (look->root && look_mount(look, err) < 0))
            return -1;
        if (!look->root)
            return look_shut(look, err);
    }
    return netid_in_guest(look, err) < 0 ? -1 : look_shut(look, err);
}

static void
send_findings(struct look *look)
{
    static const char *const levels[] = { "info", "warning", "error" };
    for (size_t i = 0; i < look->report.n_findings; i++) {
        const struct finding *finding = &look->report.findings[i];
        struct err ignored = ERR_INIT;
        /* What is in the text came from a guest and may be no UTF-8; then its code must do. */
        json_t *text = json_string(finding->text);
        ipc_send(look->ipc_fd,
                 json_pack("{s:s, s:s, s:s, s:o}", "type", "finding", "level",
                           levels[finding->level], "code", finding->code, "text",
                           text ? text : json_string(finding->code)),
                 &ignored);
    }
}

#define FACT_TEXT_MAX 256

static void
put_text(json_t *obj, const char *key, const char *text)
{
    if (text)
        json_object_set_new(obj, key, json_stringn(text, strnlen(text, FACT_TEXT_MAX)));
}

static json_t *
facts_to_json(const struct guest_facts *facts)
{
    json_t *obj = json_pack("{s:i, s:i, s:i, s:b, s:b, s:b, s:b}", "os_type", (int)facts->type,
                            "major", facts->major, "minor", facts->minor, "uefi_fallback",
                            facts->uefi_fallback, "rtc_localtime", facts->rtc_localtime,
                            "virtio_block", facts->virtio_block, "virtio_net", facts->virtio_net);
    if (!obj)
        return NULL;
    put_text(obj, "distro", facts->distro);
    put_text(obj, "product_name", facts->product_name);
    put_text(obj, "arch", facts->arch);
    put_text(obj, "hostname", facts->hostname);
    put_text(obj, "osinfo", facts->osinfo);
    put_text(obj, "root", facts->root);
    return obj;
}
