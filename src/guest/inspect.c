/* The whole look at a machine's disks: labels first, the appliance only when they leave hope. */
#include "guest/inspect.h"

#include <errno.h>
#include <libnbd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "guest/appliance.h"
#include "guest/convert.h"
#include "guest/disklabel.h"

static int check_options(const struct inspect_options *options, struct err *err);
static int look_at_labels(const struct disk_servers *disks, struct disklabel *labels,
                          struct err *err);
static void judge_firmware(const struct inspect_options *options, struct guest_report *report);
static int look_inside(const struct disk_servers *disks, const struct disklabel *labels,
                       const struct inspect_options *options, struct guest_report *report,
                       struct err *err);
static void judge_host(const struct inspect_options *options, struct guest_report *report);

int
inspect_images(const struct vm_image *images, size_t n_images,
               const struct inspect_options *options, struct guest_report *ret_report,
               struct err *err)
{
    *ret_report = (struct guest_report){ 0 };
    if (check_options(options, err) < 0)
        return -1;
    auto_disk_servers struct disk_servers disks = { 0 };
    auto_free struct disklabel *labels = calloc(n_images + 1, sizeof *labels);
    if (!labels)
        return err_errno(err, ENOMEM, "disks");
    if (options->step)
        options->step("reading partition tables", options->arg);
    if (disk_servers_start(&disks, images, n_images, false, err) < 0 ||
        look_at_labels(&disks, labels, err) < 0)
        return -1;
    disklabel_judge(labels, n_images, options->keys && options->keys[0], ret_report);
    judge_firmware(options, ret_report);
    if (!options->labels_only && !inspect_blocker(ret_report)) {
        if (look_inside(&disks, labels, options, ret_report, err) < 0) {
            guest_facts_free(&ret_report->facts);
            return -1;
        }
        judge_host(options, ret_report);
    }
    for (size_t i = 0; options->no_convert && i < ret_report->n_findings; i++)
        if (ret_report->findings[i].level == FINDING_ERROR)
            ret_report->findings[i].level = FINDING_WARNING;
    return 0;
}

const struct finding *
inspect_blocker(const struct guest_report *report)
{
    for (size_t i = 0; i < report->n_findings; i++)
        if (report->findings[i].level == FINDING_ERROR)
            return &report->findings[i];
    return NULL;
}

static int
check_options(const struct inspect_options *options, struct err *err)
{
    const char *root = options->root;
    if (!root || strcmp(root, "first") == 0 || strcmp(root, "single") == 0 || *root == '/')
        return 0;
    if (strcmp(root, "ask") == 0)
        return err_set(err, ERR_INVALID,
                       "--root ask needs somebody to ask: use first, single or a device");
    return err_set(err, ERR_INVALID, "--root %s: must be first, single or a device", root);
}

/* ---- labels ---- */

static void
nbd_cleanup(struct nbd_handle **nbd)
{
    if (*nbd)
        nbd_close(*nbd);
}

static int
nbd_read(void *arg, uint64_t offset, void *data, size_t len, struct err *err)
{
    if (nbd_pread(arg, data, len, offset, 0) < 0)
        return err_set(err, ERR_IO, "read: %s", nbd_get_error());
    return 0;
}

static int
look_at_label(const char *socket, struct disklabel *label, struct err *err)
{
    AUTO(nbd_cleanup) struct nbd_handle *nbd = nbd_create();
    if (!nbd || nbd_connect_unix(nbd, socket) < 0)
        return err_set(err, ERR_UNAVAILABLE, "connect to qemu-nbd: %s", nbd_get_error());
    int64_t size = nbd_get_size(nbd);
    if (size < 0)
        return err_set(err, ERR_UNAVAILABLE, "ask qemu-nbd for the size: %s", nbd_get_error());
    return disklabel_look((uint64_t)size, nbd_read, nbd, label, err);
}

static int
look_at_labels(const struct disk_servers *disks, struct disklabel *labels, struct err *err)
{
    for (size_t i = 0; i < disks->n; i++)
        if (!disks->servers[i].socket)
            labels[i] = (struct disklabel){ .sector_bytes = 512, .blank = true };
        else if (look_at_label(disks->servers[i].socket, &labels[i], err) < 0)
            return err_prefix(err, "disk %zu", i + 1);
    return 0;
}

static void
judge_firmware(const struct inspect_options *options, struct guest_report *report)
{
    const struct guest_facts *facts = &report->facts;
    if (!options->firmware_known || inspect_blocker(report))
        return;
    if (options->firmware == VM_FIRMWARE_UEFI && !facts->has_esp)
        guest_report_add(report, FINDING_WARNING, "firmware",
                         "the machine starts by UEFI, but no disk has an EFI system partition: is "
                         "its description right, is a disk missing?");
    if (options->firmware == VM_FIRMWARE_BIOS && facts->has_esp && facts->gpt &&
        !facts->has_bios_boot)
        guest_report_add(
            report, FINDING_WARNING, "firmware",
            "the machine starts by BIOS, but its disks are laid out for UEFI (GPT with "
            "an EFI system partition): is its description right?");
}

/* ---- the appliance ---- */

/* As the appliance will call it. */
static void
esp_device(const struct disklabel *labels, size_t n, char text[32])
{
    for (size_t i = 0; i < n; i++)
        for (size_t p = 0; p < labels[i].n_parts; p++)
            if (labels[i].parts[p].use == USE_ESP && i < VM_MAX_DISKS) {
                char letters[4];
                snprintf(text, 32, "/dev/sd%s%u", vm_drive_letters(i, letters),
                         labels[i].parts[p].number);
                return;
            }
    text[0] = '\0';
}

static int
look_inside(const struct disk_servers *disks, const struct disklabel *labels,
            const struct inspect_options *options, struct guest_report *report, struct err *err)
{
    char esp[32];
    esp_device(labels, disks->n, esp);
    json_t *start = json_pack("{s:s, s:b}", "task", "inspect", "uefi",
                              options->firmware_known ? options->firmware == VM_FIRMWARE_UEFI
                                                      : !report->facts.has_bios_boot);
    if (esp[0])
        json_object_set_new(start, "esp", json_string(esp));
    return appliance_run(disks, options, start, report, err);
}

/* ---- what this host lacks for this guest ---- */

static bool
has_file(const char *dir, const char *name)
{
    char path[4096];
    int n = snprintf(path, sizeof path, "%s/%s", dir, name);
    return n > 0 && (size_t)n < sizeof path && access(path, R_OK) == 0;
}

static void
judge_windows_tools(const struct inspect_options *options, struct guest_report *report)
{
    const char *dir = getenv("VIRT_TOOLS_DATA_DIR");
    const char *drivers = options->virtio_win ? options->virtio_win : getenv("VIRTIO_WIN");
    if (!dir || !*dir)
        dir = "/usr/share/virt-tools";
    if (!has_file(dir, "rhsrvany.exe") && !has_file(dir, "pvvxsvc.exe"))
        guest_report_add(
            report, FINDING_ERROR, "no-rhsrvany",
            "virt-v2v converts no Windows without rhsrvany.exe, which is not in %.100s "
            "on this host: put it there, or set VIRT_TOOLS_DATA_DIR",
            dir);
    if (drivers && *drivers) {
        if (access(drivers, R_OK) < 0)
            guest_report_add(
                report, FINDING_WARNING, "no-virtio-win",
                "the virtio drivers for Windows are not at %.300s (%s): the guest would "
                "run with slow emulated devices; name virtio-win.iso there",
                drivers, strerror(errno));
    } else if (!has_file(dir, "virtio-win/virtio-win.iso") && !has_file(dir, "virtio-win") &&
               !has_file("/usr/share/virtio-win", "virtio-win.iso")) {
        guest_report_add(
            report, FINDING_WARNING, "no-virtio-win",
            "there are no virtio drivers for Windows on this host: the guest would run "
            "with slow emulated devices; set VIRTIO_WIN, or a spec's conversion.virtio_win, to "
            "virtio-win.iso");
    }
}

/* virt-v2v before 2.3.4 does not know the package that holds the kernel of RHEL 9 and its kin. */
static void
judge_virt_v2v(struct guest_report *report)
{
    static const char *const family[] = { "rhel",  "centos",      "redhat-based",
                                          "rocky", "oraclelinux", "circle" };
    struct convert_features features;
    struct err ignored = ERR_INIT;
    unsigned major, minor, patch;
    if (report->facts.major < 9 || !report->facts.distro ||
        convert_features_ask(NULL, &features, &ignored) < 0 ||
        sscanf(features.version, "%4u.%4u.%4u", &major, &minor, &patch) != 3 ||
        major * 1000000 + minor * 1000 + patch >= 2003004)
        return;
    for (size_t i = 0; i < ARRAY_LEN(family); i++)
        if (strcmp(report->facts.distro, family[i]) == 0)
            guest_report_add(report, FINDING_ERROR, "virt-v2v-too-old",
                             "virt-v2v %s finds no kernel in %s: install 2.4 or newer, or copy the "
                             "guest with --no-convert",
                             features.version,
                             report->facts.product_name ? report->facts.product_name : family[i]);
}

static void
judge_host(const struct inspect_options *options, struct guest_report *report)
{
    if (report->facts.type == GUEST_WINDOWS)
        judge_windows_tools(options, report);
    if (report->facts.type == GUEST_LINUX)
        judge_virt_v2v(report);
}
