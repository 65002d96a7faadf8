/* What virt-v2v says: its features, its lines, its failures. Recorded from 2.2.0 of Debian 12 and
 * 2.10.0. */
#include "guest/convert.h"

#include "scratch.h"

/* ---- features ---- */

static const char machine_2_2[] = "virt-v2v-in-place\nvirt-v2v-in-place-2.0\nlibguestfs-rewrite\n"
                                  "colours-option\nin-place\nio\nmac-option\nmac-ip-option\n"
                                  "input:disk\ninput:libvirt\ninput:libvirtxml\ninput:ova\n"
                                  "input:vmx\nconvert:linux\nconvert:windows\novf:ovirt\n"
                                  "ovf:rhvexp\n";
static const char help_2_2[] =
    "  --key <SELECTOR>                    Specify a LUKS key\n"
    "  --keys-from-stdin                   Read passphrases from stdin\n"
    "  --mac <mac:network|bridge|ip:out>   Map NIC to network or bridge or assign static IP\n";
static const char machine_2_12[] = "virt-v2v-in-place\nmac-option\nmac-ip-option\ncustomize-ops\n"
                                   "block-driver-option\noutput-xml-option\n";
static const char help_2_12[] = "  --block-driver <driver>  Prefer ...\n"
                                "  --memsize <mb>           Set memory size\n"
                                "  --no-fstrim              Disable fstrim\n";

static void
test_features(void **state)
{
    (void)state;
    struct convert_features f;
    convert_features_read(machine_2_2, help_2_2, "virt-v2v-in-place 2.2.0\n", &f);
    assert_string_equal(f.version, "2.2.0");
    assert_true(f.mac_ip);
    assert_false(f.key_all || f.block_driver || f.memsize || f.no_fstrim);
    convert_features_read(machine_2_12, help_2_12, "virt-v2v-in-place 2.12.1rhel=9,release=3\n",
                          &f);
    assert_string_equal(f.version, "2.12.1");
    assert_true(f.mac_ip && f.key_all && f.block_driver && f.memsize && f.no_fstrim);
    convert_features_read("", "", "", &f);
    assert_string_equal(f.version, "");
    assert_false(f.mac_ip || f.key_all || f.block_driver || f.memsize || f.no_fstrim);
    /* A word within another is not that word. */
    convert_features_read("no-mac-ip-option\nmac-ip-options\n", "", "x 2.4", &f);
    assert_false(f.mac_ip);
    assert_true(f.key_all);
}

/* ---- lines ---- */

static void
assert_stage(const char *line, const char *text, int64_t at_ms, int pct)
{
    struct convert_event e;
    if (!convert_line_read(line, &e))
        fail_msg("not read: %s", line);
    assert_int_equal(e.line, CONVERT_STAGE);
    assert_string_equal(e.text, text);
    assert_int_equal(e.at_ms, at_ms);
    assert_int_equal(e.pct, pct);
}

static void
test_stages(void **state)
{
    (void)state;
    assert_stage("[   0.0] Setting up the source: -i libvirtxml /tmp/g.xml",
                 "Setting up the source: -i libvirtxml /tmp/g.xml", 0, 0);
    assert_stage("[   2.0] Opening the source", "Opening the source", 2000, 1);
    assert_stage("[  20.5] Inspecting the source", "Inspecting the source", 20500, 12);
    assert_stage("[  38.4] Converting 12.15 to run on KVM", "Converting 12.15 to run on KVM", 38400,
                 20);
    assert_stage("[ 142.3] Mapping filesystem data to avoid copying unused and blank areas",
                 "Mapping filesystem data to avoid copying unused and blank areas", 142300, 93);
    assert_stage("[ 153.2] Finishing off", "Finishing off", 153200, 100);
    assert_stage("[12345.6] Finishing off", "Finishing off", 12345600, 100);
    /* 2.10 and later */
    assert_stage("[   8.1] Checking filesystem integrity before conversion",
                 "Checking filesystem integrity before conversion", 8100, 10);
    assert_stage("[  14.0] Detecting the boot device", "Detecting the boot device", 14000, 18);
    assert_stage("[  20.0] Converting 12.15 (debian12) to run on KVM",
                 "Converting 12.15 (debian12) to run on KVM", 20000, 20);
    assert_stage("[  50.0] SELinux relabelling", "SELinux relabelling", 50000, 89);
    /* what no version says yet */
    assert_stage("[  51.0] Polishing the guest", "Polishing the guest", 51000, -1);
}

static void
assert_message(const char *line, enum convert_line kind, const char *text)
{
    struct convert_event e;
    if (!convert_line_read(line, &e))
        fail_msg("not read: %s", line);
    assert_int_equal(e.line, kind);
    assert_string_equal(e.text, text);
    assert_int_equal(e.at_ms, -1);
}

static void
test_messages(void **state)
{
    (void)state;
    struct convert_event e;
    assert_message("virt-v2v-in-place: warning: could not determine a way to update the "
                   "configuration of Grub2",
                   CONVERT_WARNING,
                   "could not determine a way to update the configuration of Grub2");
    assert_message("virt-v2v-in-place: This guest has virtio drivers installed.", CONVERT_INFO,
                   "This guest has virtio drivers installed.");
    assert_message("virt-v2v: warning: x", CONVERT_WARNING, "x");
    assert_false(convert_line_read("", &e));
    assert_false(convert_line_read("[", &e));
    assert_false(convert_line_read("[ 1.0]", &e));
    assert_false(convert_line_read("[ 1.0] ", &e));
    assert_false(convert_line_read("[abc] Opening the source", &e));
    assert_false(convert_line_read("[nan] Opening the source", &e));
    assert_false(convert_line_read("[1e99] Opening the source", &e));
    assert_false(convert_line_read("[ -3.0] Opening the source", &e));
    assert_false(convert_line_read("Processing triggers for initramfs-tools", &e));
    assert_false(convert_line_read("virt-v2v-in-place", &e));
    assert_false(convert_line_read("virt-v2v-in-place: ", &e));
    assert_false(convert_line_read("virt-v2v is a program: yes", &e));
}

/* ---- failures ---- */

static void
test_failures(void **state)
{
    (void)state;
    static const struct {
        const char *said;
        enum err_kind kind;
        const char *cause;
    } cases[] = {
        { "virt-v2v-in-place: error: inspection could not detect the source guest (or physical "
          "machine).\n",
          ERR_INVALID, "does not know this operating system" },
        { "No root device found in this operating system image.", ERR_INVALID,
          "no operating system was found" },
        { "could not find key to open LUKS encrypted /dev/sda1.\n\nTry using --key\n", ERR_DENIED,
          "encrypted disk" },
        { "libguestfs: trace: x\ngetline: Inappropriate ioctl for device\n", ERR_DENIED,
          "needs a passphrase" },
        { "virt-v2v-in-place: error: not enough free space for conversion on filesystem '/'. 3.2 "
          "MB "
          "free < 100 MB needed",
          ERR_INVALID, "too full" },
        { "virt-v2v-in-place: error: libguestfs error: appliance closed the connection "
          "unexpectedly",
          ERR_UNAVAILABLE, "appliance died" },
        { "virt-v2v-in-place: error: filesystem was mounted read-only, even though we asked for it "
          "to be mounted read-write.",
          ERR_CONFLICT, "dirty" },
        { "One of rhsrvany.exe or pvvxsvc.exe is missing in /usr/share/virt-tools.", ERR_NOT_FOUND,
          "rhsrvany.exe" },
        { "supermin exited with error status 1.", ERR_UNAVAILABLE,
          "could not build its appliance" },
        { "error: no installed kernel packages were found", ERR_INVALID, "RHEL 9" },
        { "The NTFS partition is in an unsafe state. Please resume and shutdown Windows fully",
          ERR_CONFLICT, "hibernated" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct convert_failure *f = convert_failure_find(cases[i].said);
        if (!f || !strstr(f->cause, cases[i].cause))
            fail_msg("%s: %s", cases[i].said, f ? f->cause : "not found");
        assert_int_equal(f->kind, cases[i].kind);
        assert_true(strlen(f->cure) > 0);
    }
    assert_null(convert_failure_find(""));
    assert_null(convert_failure_find("virt-v2v-in-place: error: something new"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_features),
        cmocka_unit_test(test_stages),
        cmocka_unit_test(test_messages),
        cmocka_unit_test(test_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
