/* The appliance on guests that are no more than the files by which they are known. One appliance
 * makes their disks, each test is another one: slow, so among the long tests. */
#include "guest/inspect.h"

#include <errno.h>
#include <guestfs.h>

#include "base/checked.h"
#include "guest/netid.h"
#include "scratch.h"
#include "hive-maker.h"

#define DEBIAN "debian.img"
#define CRYPT "crypt.img"
#define WINDOWS "windows.img"
#define SPLIT "split1.img" /* a volume group over two disks, of which one is given */
#define NOTHING "nothing.img"
#define PASSPHRASE "a passphrase: with a colon"
#define MAC "00:50:56:aa:bb:01"
#define LABEL "system_u:object_r:etc_t:s0"

static enum accel accel;

#define MUST(call)                                                                                 \
    do {                                                                                           \
        if ((call) < 0) {                                                                          \
            print_error("%s: %s\n", #call, guestfs_last_error(g));                                 \
            return -1;                                                                             \
        }                                                                                          \
    } while (0)

/* ---- making them ---- */

static int
put(guestfs_h *g, const char *path, const char *text)
{
    char dir[256];
    snprintf(dir, sizeof dir, "%s", path);
    char *slash = strrchr(dir, '/');
    *slash = '\0';
    MUST(dir[0] ? guestfs_mkdir_p(g, dir) : 0);
    MUST(guestfs_write(g, path, text, strlen(text)));
    return 0;
}

/* What any Linux has; arch is told by its programs. */
static int
put_linux(guestfs_h *g)
{
    MUST(guestfs_mkdir_p(g, "/bin"));
    MUST(guestfs_upload(g, "/bin/true", "/bin/ls"));
    MUST(put(g, "/etc/hostname", "phony\n"));
    MUST(put(g, "/lib/modules/6.1.0/modules.dep", ""));
    MUST(put(g, "/lib/modules/6.1.0/modules.builtin", "kernel/drivers/net/virtio_net.ko\n"));
    MUST(put(g, "/lib/modules/6.1.0/kernel/drivers/block/virtio_blk.ko.xz", ""));
    return 0;
}

static int
make_debian(guestfs_h *g)
{
    MUST(guestfs_part_disk(g, "/dev/sda", "mbr"));
    MUST(guestfs_mkfs(g, "ext4", "/dev/sda1"));
    MUST(guestfs_mount(g, "/dev/sda1", "/"));
    MUST(put_linux(g));
    MUST(put(g, "/etc/debian_version", "12.5\n"));
    MUST(put(g, "/etc/fstab",
             "/dev/sda1 / ext4 defaults 0 1\n"
             "/dev/disk/by-path/pci-0000:03:00.0-scsi-0:0:1:0 /data ext4 nofail 0 2\n"
             "UUID=01234567-89ab-cdef-0123-456789abcdef /gone ext4 defaults 0 2\n"));
    MUST(put(g, "/etc/adjtime", "0.0 0 0.0\n0\nLOCAL\n"));
    MUST(put(g, "/etc/resolv.conf", "nameserver 192.0.2.1\n"));
    MUST(guestfs_set_e2attrs(g, "/etc/resolv.conf", "i", -1));
    MUST(put(g, "/boot/grub/grub.cfg", "\n"));
    MUST(put(g, "/usr/sbin/update-initramfs", "#!/bin/sh\n"));
    MUST(put(g, "/var/lib/dpkg/status",
             "Package: open-vm-tools\nStatus: install ok installed\nVersion: 2:12.2.0-1\n"
             "Architecture: amd64\n\n"));
    MUST(put(g, "/lib/udev/rules.d/80-net-setup-link.rules", ""));
    MUST(put(g, "/etc/systemd/system.conf", ""));
    MUST(guestfs_lsetxattr(g, "security.selinux", LABEL, strlen(LABEL), "/etc/systemd"));
    MUST(put(g, "/etc/network/interfaces", "auto ens192\niface ens192 inet dhcp\n"));
    MUST(put(g, "/etc/udev/rules.d/70-persistent-net.rules", "# kept\nKERNEL==\"x\", NAME=\"y\""));
    MUST(guestfs_umount_all(g));
    return 0;
}

/* UEFI without a fallback loader, the system in LVM in LUKS. */
static int
make_crypt(guestfs_h *g)
{
    MUST(guestfs_part_init(g, "/dev/sdb", "gpt"));
    MUST(guestfs_part_add(g, "/dev/sdb", "p", 2048, 67583));
    MUST(guestfs_part_set_gpt_type(g, "/dev/sdb", 1, "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"));
    MUST(guestfs_part_add(g, "/dev/sdb", "p", 67584, -2048));
    MUST(guestfs_mkfs(g, "vfat", "/dev/sdb1"));
    /* LUKS1: the key of a LUKS2 header costs more memory and time than the test is worth. */
    MUST(guestfs_luks_format(g, "/dev/sdb2", PASSPHRASE, 0));
    MUST(guestfs_cryptsetup_open(g, "/dev/sdb2", PASSPHRASE, "crypt", -1));
    MUST(guestfs_pvcreate(g, "/dev/mapper/crypt"));
    char *devices[] = { (char[]){ "/dev/mapper/crypt" }, NULL };
    MUST(guestfs_vgcreate(g, "vg", devices));
    MUST(guestfs_lvcreate_free(g, "root", "vg", 100));
    MUST(guestfs_mkfs(g, "ext4", "/dev/vg/root"));
    MUST(guestfs_mount(g, "/dev/vg/root", "/"));
    MUST(put_linux(g));
    MUST(put(g, "/etc/fstab", "/dev/vg/root / ext4 defaults 0 1\n"));
    MUST(put(g, "/etc/os-release",
             "NAME=\"Alpine Linux\"\nID=alpine\nVERSION_ID=3.19.1\n"
             "PRETTY_NAME=\"Alpine Linux v3.19\"\n"));
    MUST(put(g, "/etc/alpine-release", "3.19.1\n"));
    MUST(guestfs_umount_all(g));
    MUST(guestfs_vg_activate_all(g, 0));
    MUST(guestfs_cryptsetup_close(g, "/dev/mapper/crypt"));
    return 0;
}

static int
put_hives(guestfs_h *g)
{
    static struct hive hive;
    hive_begin(&hive);
    uint32_t key = hive_path(&hive, "Microsoft", "Windows NT", "CurrentVersion", NULL);
    hive_text(&hive, key, "ProductName", "Windows Server 2022 Standard");
    hive_text(&hive, key, "CurrentVersion", "6.3");
    hive_dword(&hive, key, "CurrentMajorVersionNumber", 10);
    hive_dword(&hive, key, "CurrentMinorVersionNumber", 0);
    hive_end(&hive);
    MUST(guestfs_mkdir_p(g, "/Windows/System32/Config"));
    MUST(guestfs_write(g, "/Windows/System32/Config/SOFTWARE", (char *)hive.bytes, HIVE_BYTES));

    hive_begin(&hive);
    hive_dword(&hive, hive_path(&hive, "Select", NULL), "Current", 1);
    key = hive_path(&hive, "ControlSet001", "Control", "TimeZoneInformation", NULL);
    hive_dword(&hive, key, "RealTimeIsUniversal", 1);
    key = hive_path(&hive, "ControlSet001", "Control", "Session Manager", "Power", NULL);
    hive_dword(&hive, key, "HiberbootEnabled", 1);
    hive_end(&hive);
    MUST(guestfs_write(g, "/Windows/System32/Config/SYSTEM", (char *)hive.bytes, HIVE_BYTES));
    return 0;
}

/* Hibernated, in the middle of an update, its clock in UTC. */
static int
make_windows(guestfs_h *g)
{
    MUST(guestfs_part_disk(g, "/dev/sdc", "mbr"));
    MUST(guestfs_part_set_mbr_id(g, "/dev/sdc", 1, 7));
    MUST(guestfs_mkfs(g, "ntfs", "/dev/sdc1"));
    MUST(guestfs_mount(g, "/dev/sdc1", "/"));
    MUST(put_hives(g));
    MUST(put(g, "/Windows/WinSxS/pending.xml", "<x/>"));
    char program[256] = "MZ";
    program[0x18] = program[0x3c] = 0x40; /* where the PE header is */
    memcpy(program + 0x40, "PE\0\0\x64\x86\x01", 7);
    memcpy(program + 0x54, "\xf0\0\x22\0\x0b\x02", 6);
    program[0x9c] = 3; /* console */
    MUST(guestfs_write(g, "/Windows/System32/cmd.exe", program, sizeof program));
    MUST(put(g, "/hiberfil.sys", "hibr and so on"));
    MUST(guestfs_umount_all(g));
    return 0;
}

static int
make_split(guestfs_h *g)
{
    char *devices[] = { (char[]){ "/dev/sdd" }, (char[]){ "/dev/sde" }, NULL };
    MUST(guestfs_pvcreate(g, devices[0]));
    MUST(guestfs_pvcreate(g, devices[1]));
    MUST(guestfs_vgcreate(g, "split", devices));
    MUST(guestfs_lvcreate_free(g, "root", "split", 100));
    MUST(guestfs_mkfs(g, "ext4", "/dev/split/root"));
    MUST(guestfs_part_disk(g, "/dev/sdf", "mbr"));
    MUST(guestfs_mkfs(g, "ext4", "/dev/sdf1"));
    return 0;
}

static int
make_guests(void **state)
{
    static const struct {
        const char *name;
        off_t bytes;
    } disks[] = {
        { DEBIAN, 48 << 20 }, { CRYPT, 256 << 20 },       { WINDOWS, (off_t)2100 << 20 },
        { SPLIT, 64 << 20 },  { "split2.img", 64 << 20 }, { NOTHING, 64 << 20 },
    };
    struct err err = ERR_INIT;
    char why[ACCEL_WHY_MAX];
    if (accel_probe(&accel, why, &err) < 0 || scratch_make(state) < 0)
        return -1;
    guestfs_h *g = guestfs_create();
    if (!g)
        return -1;
    guestfs_set_error_handler(g, NULL, NULL);
    MUST(guestfs_set_backend(g, "direct"));
    if (accel == ACCEL_TCG)
        MUST(guestfs_set_backend_setting(g, "force_tcg", "1"));
    for (size_t i = 0; i < ARRAY_LEN(disks); i++) {
        scratch_disk(disks[i].name, disks[i].bytes);
        MUST(guestfs_add_drive_opts(g, scratch_path(disks[i].name), GUESTFS_ADD_DRIVE_OPTS_FORMAT,
                                    "raw", -1));
    }
    MUST(guestfs_launch(g));
    MUST(make_debian(g));
    MUST(make_crypt(g));
    MUST(make_windows(g));
    MUST(make_split(g));
    MUST(guestfs_shutdown(g));
    guestfs_close(g);
    return 0;
}

/* ---- looking ---- */

static struct guest_report report;

static int
forget(void **state)
{
    (void)state;
    guest_facts_free(&report.facts);
    return 0;
}

static void
look(const char *name, struct inspect_options options)
{
    struct err err = ERR_INIT;
    static char raw[] = "raw";
    struct vm_image image = { .path = (char *)scratch_path(name), .format = raw };
    options.accel = accel;
    if (inspect_images(&image, 1, &options, &report, &err) < 0)
        fail_msg("%s", err.text);
}

static const struct finding *
finding(const char *code)
{
    for (size_t i = 0; i < report.n_findings; i++)
        if (strcmp(report.findings[i].code, code) == 0)
            return &report.findings[i];
    for (size_t i = 0; i < report.n_findings; i++)
        print_message("found %s: %s\n", report.findings[i].code, report.findings[i].text);
    fail_msg("no finding '%s'", code);
    return NULL;
}

static void
test_debian(void **state)
{
    (void)state;
    look(DEBIAN, (struct inspect_options){ .log_path = scratch_path("log") });
    const struct guest_facts *facts = &report.facts;
    assert_int_equal(facts->type, GUEST_LINUX);
    assert_string_equal(facts->distro, "debian");
    assert_string_equal(facts->product_name, "debian 12");
    assert_string_equal(facts->hostname, "phony");
    assert_string_equal(facts->arch, "x86_64");
    assert_string_equal(facts->root, "/dev/sda1");
    assert_int_equal(facts->major, 12);
    assert_true(facts->rtc_localtime && facts->virtio_block && facts->virtio_net);
    assert_int_equal(finding("no-free-space")->level, FINDING_ERROR);
    assert_non_null(strstr(finding("fstab-by-path")->text, "/data"));
    assert_non_null(strstr(finding("fstab-absent")->text, "/gone"));
    assert_non_null(strstr(finding("vmware-tools")->text, "open-vm-tools 12.2.0"));
    assert_non_null(strstr(finding("network-names")->text, "ens192"));
    finding("resolv-conf-immutable");
    scratch_sh("test $(wc -c < log) -gt 10000");
}

static void
test_locked(void **state)
{
    (void)state;
    look(CRYPT, (struct inspect_options){ 0 });
    /* By the label alone: there is nothing else on this disk. */
    assert_int_equal(finding("luks-no-key")->level, FINDING_ERROR);
    const char *wrong[] = { "/dev/sda2:key:wrong", NULL };
    look(CRYPT, (struct inspect_options){ .keys = wrong });
    assert_int_equal(finding("encrypted")->level, FINDING_ERROR);
    assert_null(report.facts.root);
}

static void
test_unlocked(void **state)
{
    (void)state;
    const char *keys[] = { "/dev/sda2:key:" PASSPHRASE, NULL };
    look(CRYPT, (struct inspect_options){
                    .keys = keys, .firmware_known = true, .firmware = VM_FIRMWARE_UEFI });
    assert_string_equal(report.facts.distro, "alpinelinux");
    assert_string_equal(report.facts.root, "/dev/vg/root");
    assert_true(report.facts.has_esp && report.facts.gpt && !report.facts.uefi_fallback);
    assert_int_equal(finding("unsupported-os")->level, FINDING_ERROR);
    assert_int_equal(finding("no-grub")->level, FINDING_ERROR);
    assert_int_equal(finding("no-initrd-builder")->level, FINDING_ERROR);
    assert_int_equal(finding("no-uefi-fallback")->level, FINDING_WARNING);
}

static void
test_windows(void **state)
{
    (void)state;
    setenv("VIRT_TOOLS_DATA_DIR", "/nonexistent", 1);
    look(WINDOWS, (struct inspect_options){ 0 });
    unsetenv("VIRT_TOOLS_DATA_DIR");
    assert_int_equal(report.facts.type, GUEST_WINDOWS);
    assert_string_equal(report.facts.product_name, "Windows Server 2022 Standard");
    assert_string_equal(report.facts.arch, "x86_64");
    assert_int_equal(report.facts.major, 10);
    assert_false(report.facts.rtc_localtime);
    assert_int_equal(finding("hibernated")->level, FINDING_ERROR);
    assert_int_equal(finding("no-rhsrvany")->level, FINDING_ERROR);
    assert_int_equal(finding("no-virtio-win")->level, FINDING_WARNING);
    assert_int_equal(finding("update-pending")->level, FINDING_WARNING);
    assert_int_equal(finding("fast-startup")->level, FINDING_INFO);
}

static void
test_half_a_volume_group(void **state)
{
    (void)state;
    look(SPLIT, (struct inspect_options){ 0 });
    assert_int_equal(finding("lvm-disk-missing")->level, FINDING_ERROR);
}

static void
test_no_system(void **state)
{
    (void)state;
    look(NOTHING, (struct inspect_options){ 0 });
    assert_int_equal(finding("no-system")->level, FINDING_ERROR);
}

static void
test_names_are_kept(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    static char raw[] = "raw";
    struct vm_image image = { .path = (char *)scratch_path(DEBIAN), .format = raw };
    struct vm_nic nic = { .mac = MAC, .pci_slot = 192 };
    const struct inspect_options options = { .accel = accel, .root = "/dev/sda1" };
    for (int again = 0; again < 2; again++) {
        if (netid_apply(&image, 1, &nic, 1, &options, &report, &err) < 0)
            fail_msg("%s", err.text);
        finding(again ? "netid-unneeded" : "netid-rule");
    }
    scratch_sh(
        "PATH=$PATH:/sbin:/usr/sbin; dd if=" DEBIAN " of=part bs=1M skip=0 2>/dev/null;"
        "start=$(od -A n -t u4 -j 454 -N 4 part); dd if=part of=fs bs=512 skip=$((start)) "
        "2>/dev/null;"
        "debugfs -R 'cat /etc/udev/rules.d/70-persistent-net.rules' fs > rules 2>/dev/null;"
        "debugfs -R 'cat /etc/systemd/network/10-vmferry-ens192.link' fs > link 2>/dev/null");
    scratch_sh("PATH=$PATH:/sbin:/usr/sbin; debugfs -R 'ea_get "
               "/etc/systemd/network/10-vmferry-ens192.link security.selinux' fs 2>/dev/null |"
               "grep -q 'system_u:object_r:etc_t:s0'");
    scratch_sh("test $(wc -l < rules) = 4 && grep -q '^# kept$' rules &&"
               "grep -q '^KERNEL==\"x\", NAME=\"y\"$' rules &&"
               "grep -q 'ATTR{address}==\"" MAC "\", NAME=\"ens192\"$' rules");
    scratch_sh("grep -q '^MACAddress=" MAC "$' link && grep -q '^Name=ens192$' link");
}

int
main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "inspect") == 0)
        return inspect_child_main();
#define TEST(name) cmocka_unit_test_teardown(name, forget)
    /* One of them by hand: test-look test_windows */
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    const struct CMUnitTest tests[] = {
        TEST(test_debian),
        TEST(test_locked),
        TEST(test_unlocked),
        TEST(test_windows),
        TEST(test_half_a_volume_group),
        TEST(test_no_system),
        TEST(test_names_are_kept),
    };
    return cmocka_run_group_tests(tests, make_guests, scratch_remove);
}
