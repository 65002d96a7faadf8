/* The look at disks, with this program itself in the place of the child that would start an
 * appliance: FAKE says what it does. */
#include "guest/inspect.h"

#include <errno.h>
#include <poll.h>

#include "wire/ipc.h"
#include "scratch.h"

#define DISK_BYTES (32 << 20)

/* ---- the child ---- */

static void
say(json_t *msg)
{
    struct err err = ERR_INIT;
    if (ipc_send(IPC_CHILD_FD, msg, &err) < 0)
        exit(1);
}

static void
say_step(const char *step)
{
    say(json_pack("{s:s, s:s, s:s}", "type", "step", "step", step, "text", step));
}

static void
say_finding(const char *level, const char *code)
{
    say(json_pack("{s:s, s:s, s:s, s:s}", "type", "finding", "level", level, "code", code, "text",
                  "of the child"));
}

static int
hang(void)
{
    poll(NULL, 0, -1);
    return 1;
}

static int
fake_child(void)
{
    struct err err = ERR_INIT;
    auto_json json_t *start = NULL;
    const char *fake = getenv("FAKE");
    if (ipc_child_begin(IPC_CHILD_FD, "inspect", &start, &err) < 0)
        return 1;
    bool kvm = strcmp(json_get_str(start, "accel", ""), "kvm") == 0;
    say_step("launch");
    if (strcmp(fake, "hang") == 0 || (kvm && strcmp(fake, "hang-with-kvm") == 0))
        return hang();
    if (kvm && strcmp(fake, "die-with-kvm") == 0)
        abort();
    say_step("inspect");
    if (strcmp(fake, "fail") == 0) {
        err_set(&err, ERR_IO, "the disk is bad");
        return ipc_send_result(IPC_CHILD_FD, &err, NULL, &err) < 0;
    }
    if (strcmp(fake, "start") == 0) {
        json_t *echo = json_deep_copy(start);
        json_object_set_new(echo, "type", json_string("finding"));
        json_object_set_new(echo, "code", json_string("start"));
        auto_free char *text = json_dumps(start, JSON_COMPACT | JSON_SORT_KEYS);
        json_object_set_new(echo, "text", json_string(text));
        say(echo);
    }
    say_finding("warning", "luks-no-key");
    say_finding("error", "no-grub");
    say_finding("info", "network-names");
    enum guest_type type = strcmp(fake, "windows") == 0 ? GUEST_WINDOWS : GUEST_LINUX;
    json_t *facts = json_pack("{s:i, s:s, s:s, s:s, s:i, s:b}", "os_type", type, "distro", "debian",
                              "root", "/dev/sda1", "accel", json_get_str(start, "accel", ""),
                              "major", 12, "virtio_block", 1);
    return ipc_send_result(IPC_CHILD_FD, NULL, json_pack("{s:o}", "facts", facts), &err) < 0;
}

/* ---- the parent ---- */

static struct guest_report report;
static struct vm_image image;
static char image_path[4096];

static int
set_up(void **state)
{
    if (scratch_make(state) < 0)
        return -1;
    setenv("XDG_CACHE_HOME", scratch, 1);
    setenv("FAKE", "well", 1);
    unsetenv("VMFERRY_ACCEL");
    scratch_disk("disk", DISK_BYTES);
    snprintf(image_path, sizeof image_path, "%s", scratch_path("disk"));
    static char raw[] = "raw";
    image = (struct vm_image){ .path = image_path, .format = raw };
    return 0;
}

static int
tear_down(void **state)
{
    guest_facts_free(&report.facts);
    return scratch_remove(state);
}

static const struct finding *
finding(const char *code)
{
    for (size_t i = 0; i < report.n_findings; i++)
        if (strcmp(report.findings[i].code, code) == 0)
            return &report.findings[i];
    return NULL;
}

static void
make_ext(void)
{
    require_program("mkfs.ext4");
    scratch_sh("PATH=$PATH:/sbin:/usr/sbin mkfs.ext4 -q disk");
}

static void
inspect(const struct inspect_options *options)
{
    struct err err = ERR_INIT;
    guest_facts_free(&report.facts); /* of the time before */
    if (inspect_images(&image, 1, options, &report, &err) < 0)
        fail_msg("%s", err.text);
}

static void
assert_refused(const struct inspect_options *options, enum err_kind kind, const char *words)
{
    struct err err = ERR_INIT;
    assert_int_equal(inspect_images(&image, 1, options, &report, &err), -1);
    if (err.kind != kind || !strstr(err.text, words))
        fail_msg("%s: %s", err_kind_name(err.kind), err.text);
}

static void
test_blank_disk_starts_no_appliance(void **state)
{
    (void)state;
    setenv("FAKE", "hang", 1);
    struct inspect_options options = { .accel = ACCEL_TCG };
    inspect(&options);
    assert_non_null(inspect_blocker(&report));
    assert_string_equal(inspect_blocker(&report)->code, "disks-blank");
    options.no_convert = true;
    inspect(&options);
    assert_null(inspect_blocker(&report));
    assert_int_equal(finding("disks-blank")->level, FINDING_WARNING);
}

static void
test_labels_only(void **state)
{
    (void)state;
    make_ext();
    setenv("FAKE", "hang", 1);
    const struct inspect_options options = { .accel = ACCEL_TCG,
                                             .labels_only = true,
                                             .firmware_known = true,
                                             .firmware = VM_FIRMWARE_UEFI };
    inspect(&options);
    assert_null(inspect_blocker(&report));
    assert_non_null(finding("firmware"));
}

static void
test_appliance_gives_facts_and_findings(void **state)
{
    (void)state;
    make_ext();
    const struct inspect_options options = { .accel = ACCEL_TCG };
    inspect(&options);
    assert_int_equal(report.facts.type, GUEST_LINUX);
    assert_string_equal(report.facts.distro, "debian");
    assert_string_equal(report.facts.root, "/dev/sda1");
    assert_int_equal(report.facts.major, 12);
    assert_true(report.facts.virtio_block && !report.facts.virtio_net);
    assert_string_equal(inspect_blocker(&report)->code, "no-grub");
    assert_non_null(finding("network-names"));
}

/* What the labels let us guess gives way to what the appliance saw. */
static void
test_a_guess_gives_way(void **state)
{
    (void)state;
    require_program("mkfs.ext4");
    require_program("sfdisk");
    scratch_sh(
        "PATH=$PATH:/sbin:/usr/sbin;"
        "printf 'label: dos\\nstart=2048,size=20480,type=83\\nstart=40960,size=2048\\n' |"
        " sfdisk -q disk; truncate -s 10M fs; mkfs.ext4 -q fs;"
        "dd if=fs of=disk bs=1M seek=1 conv=notrunc 2>/dev/null;"
        "printf 'LUKS\\272\\276\\000\\002' | dd of=disk bs=1M seek=20 conv=notrunc 2>/dev/null");
    struct inspect_options options = { .accel = ACCEL_TCG, .labels_only = true };
    inspect(&options);
    assert_non_null(strstr(finding("luks-no-key")->text, "LUKS volumes"));
    options.labels_only = false;
    inspect(&options);
    assert_string_equal(finding("luks-no-key")->text, "of the child");
    size_t n = 0;
    for (size_t i = 0; i < report.n_findings; i++)
        n += strcmp(report.findings[i].code, "luks-no-key") == 0;
    assert_int_equal(n, 1);
}

static void
test_what_the_child_is_told(void **state)
{
    (void)state;
    make_ext();
    setenv("FAKE", "start", 1);
    const char *keys[] = { "/dev/sda2:key:s3cret", NULL };
    const struct inspect_options options = {
        .accel = ACCEL_TCG,
        .keys = keys,
        .root = "/dev/sda1",
        .memsize_mib = 999,
    };
    inspect(&options);
    const char *start = finding("start")->text;
    assert_non_null(strstr(start, "\"task\":\"inspect\""));
    assert_non_null(strstr(start, "\"root\":\"/dev/sda1\""));
    assert_non_null(strstr(start, "\"keys\":[\"/dev/sda2:key:s3cret\"]"));
    assert_non_null(strstr(start, "\"memsize_mib\":999"));
    assert_non_null(strstr(start, "\"accel\":\"tcg\""));
    assert_non_null(strstr(start, "\"disks\":[{\"socket\":\"/"));
}

static void
test_drivers_that_were_named(void **state)
{
    (void)state;
    make_ext();
    setenv("FAKE", "windows", 1);
    setenv("VIRTIO_WIN", scratch_write("host.iso", "", 0600), 1);
    struct inspect_options options = { .accel = ACCEL_TCG };
    inspect(&options);
    assert_null(finding("no-virtio-win"));
    options.virtio_win = "/nonexistent/spec.iso";
    inspect(&options);
    assert_int_equal(finding("no-virtio-win")->level, FINDING_WARNING);
    assert_non_null(strstr(finding("no-virtio-win")->text, "/nonexistent/spec.iso"));
    setenv("VIRTIO_WIN", "/nonexistent/host.iso", 1);
    options.virtio_win = scratch_write("spec.iso", "", 0600);
    inspect(&options);
    assert_null(finding("no-virtio-win"));
    unsetenv("VIRTIO_WIN");
}

static void
assert_goes_on_without_kvm(const char *fake)
{
    char why[ACCEL_WHY_MAX];
    struct err err = ERR_INIT;
    enum accel accel;
    make_ext();
    setenv("FAKE", fake, 1);
    setenv("LIBGUESTFS_HV", scratch_write("qemu", "#!/bin/sh\nexit 1\n", 0700), 1);
    const struct inspect_options options = { .accel = ACCEL_KVM, .launch_limit_ns = NS_PER_S };
    int64_t before_ns = clock_now_ns();
    inspect(&options);
    assert_true(clock_now_ns() - before_ns < 15 * NS_PER_S);
    assert_string_equal(report.facts.distro, "debian");
    assert_int_equal(accel_probe(&accel, why, &err), 0);
    assert_int_equal(accel, ACCEL_TCG);
    assert_non_null(strstr(why, "an appliance with KVM"));
    unsetenv("LIBGUESTFS_HV");
}

static void
test_kvm_that_hangs_is_forgotten(void **state)
{
    (void)state;
    assert_goes_on_without_kvm("hang-with-kvm");
}

static void
test_kvm_that_kills_is_forgotten(void **state)
{
    (void)state;
    assert_goes_on_without_kvm("die-with-kvm");
}

static void
test_appliance_that_hangs_is_killed(void **state)
{
    (void)state;
    make_ext();
    setenv("FAKE", "hang", 1);
    const struct inspect_options options = { .accel = ACCEL_TCG, .launch_limit_ns = NS_PER_S };
    assert_refused(&options, ERR_UNAVAILABLE, "hung while launch");
}

static void
test_failure_of_the_child(void **state)
{
    (void)state;
    make_ext();
    setenv("FAKE", "fail", 1);
    const struct inspect_options options = { .accel = ACCEL_KVM };
    assert_refused(&options, ERR_IO, "the disk is bad");
}

static bool
yes(void *arg)
{
    (void)arg;
    return true;
}

static void
test_cancel(void **state)
{
    (void)state;
    make_ext();
    setenv("FAKE", "hang", 1);
    const struct inspect_options options = { .accel = ACCEL_KVM, .cancelled = yes };
    assert_refused(&options, ERR_CANCELLED, "");
}

static void
test_what_cannot_be_looked_at(void **state)
{
    (void)state;
    struct inspect_options options = { .accel = ACCEL_TCG, .root = "ask" };
    assert_refused(&options, ERR_INVALID, "--root ask");
    options.root = "second";
    assert_refused(&options, ERR_INVALID, "--root second");
    options.root = NULL;
    image.gzip = true;
    assert_refused(&options, ERR_INVALID, "compressed as a whole");
    image.gzip = false;
    image.format = NULL;
    assert_refused(&options, ERR_INVALID, "format");
}

int
main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "inspect") == 0)
        return fake_child();
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_blank_disk_starts_no_appliance),
        TEST(test_labels_only),
        TEST(test_appliance_gives_facts_and_findings),
        TEST(test_a_guess_gives_way),
        TEST(test_what_the_child_is_told),
        TEST(test_drivers_that_were_named),
        TEST(test_kvm_that_hangs_is_forgotten),
        TEST(test_kvm_that_kills_is_forgotten),
        TEST(test_appliance_that_hangs_is_killed),
        TEST(test_failure_of_the_child),
        TEST(test_cancel),
        TEST(test_what_cannot_be_looked_at),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
