/* Labels made by the tools that make them everywhere: sfdisk, sgdisk, mkfs. */
#include "guest/disklabel.h"

#include <errno.h>

#include "base/checked.h"
#include "scratch.h"

#define DISK_BYTES (64 * MIB)
#define READ_MAX MIB /* what one look may read */

struct reader {
    int fd;
    uint64_t size, total;
};

static int
read_disk(void *arg, uint64_t offset, void *data, size_t len, struct err *err)
{
    struct reader *reader = arg;
    assert_true(offset <= reader->size && len <= reader->size - offset);
    reader->total += len;
    return fd_pread_exact(reader->fd, data, len, offset, "disk", err);
}

static struct disklabel
look(const char *name)
{
    struct err err = ERR_INIT;
    struct disklabel label;
    struct stat st;
    struct reader reader = { .fd = open(scratch_path(name), O_RDONLY) };
    assert_true(reader.fd >= 0);
    assert_int_equal(fstat(reader.fd, &st), 0);
    reader.size = (uint64_t)st.st_size;
    if (disklabel_look(reader.size, read_disk, &reader, &label, &err) < 0)
        fail_msg("%s", err.text);
    assert_true(reader.total <= READ_MAX);
    close(reader.fd);
    return label;
}

static struct disklabel
look_after(const char *commands)
{
    char script[4096];
    snprintf(script, sizeof script, "PATH=$PATH:/sbin:/usr/sbin; set -e; %s", commands);
    scratch_disk("disk", DISK_BYTES);
    scratch_sh(script);
    return look("disk");
}

static const struct disklabel_part *
part(const struct disklabel *label, unsigned number)
{
    for (size_t i = 0; i < label->n_parts; i++)
        if (label->parts[i].number == number)
            return &label->parts[i];
    fail_msg("no partition %u", number);
    return NULL;
}

static void
assert_content(const char *program, const char *commands, enum disklabel_content content)
{
    require_program(program);
    struct disklabel label = look_after(commands);
    assert_int_equal(label.table, DISKLABEL_NONE);
    assert_int_equal(label.n_parts, 1);
    assert_int_equal(label.parts[0].number, 0);
    if (label.parts[0].content != content)
        fail_msg("%s is %s", program, disklabel_content_name(label.parts[0].content));
    assert_int_equal(label.parts[0].size_bytes, DISK_BYTES);
}

/* ---- contents ---- */

static void
test_blank(void **state)
{
    (void)state;
    struct disklabel label = look_after("true");
    assert_true(label.blank);
    assert_false(label.mbr_boot_code);
    scratch_disk("disk", 0);
    label = look("disk");
    assert_true(label.blank);
    scratch_disk("disk", 300);
    label = look("disk");
    assert_true(label.blank);
}

static void
test_ext(void **state)
{
    (void)state;
    assert_content("mkfs.ext4", "mkfs.ext4 -q -m 0 -b 1024 disk", CONTENT_EXT);
    struct disklabel label = look("disk");
    assert_true(label.parts[0].space_known);
    assert_int_equal(label.parts[0].total_bytes, DISK_BYTES);
    assert_true(label.parts[0].free_bytes > 48 * MIB && label.parts[0].free_bytes < DISK_BYTES);
    assert_true(label.parts[0].free_inodes > 1000);
    assert_false(label.parts[0].unclean);
    assert_content("mkfs.ext4", "mkfs.ext4 -q -O 64bit,^has_journal -b 4096 disk", CONTENT_EXT);
    assert_content("mkfs.ext2", "mkfs.ext2 -q disk", CONTENT_EXT);
}

static void
test_ntfs(void **state)
{
    (void)state;
    assert_content("mkntfs", "mkntfs -q -F -Q disk", CONTENT_NTFS);
}

static void
test_fat(void **state)
{
    (void)state;
    assert_content("mkfs.vfat", "mkfs.vfat -F 16 disk >/dev/null", CONTENT_FAT);
    assert_content("mkfs.vfat", "mkfs.vfat -F 32 disk >/dev/null", CONTENT_FAT);
}

static void
test_btrfs(void **state)
{
    (void)state;
    require_program("mkfs.btrfs");
    scratch_disk("disk", 256 * MIB);
    scratch_sh("PATH=$PATH:/sbin:/usr/sbin mkfs.btrfs -q disk");
    struct disklabel label = look("disk");
    assert_int_equal(label.parts[0].content, CONTENT_BTRFS);
}

static void
test_xfs(void **state)
{
    (void)state;
    require_program("mkfs.xfs");
    scratch_disk("disk", 512 * MIB);
    scratch_sh("PATH=$PATH:/sbin:/usr/sbin mkfs.xfs -q disk");
    struct disklabel label = look("disk");
    assert_int_equal(label.parts[0].content, CONTENT_XFS);
}

static void
test_swap(void **state)
{
    (void)state;
    assert_content("mkswap", "mkswap disk >/dev/null 2>&1", CONTENT_SWAP);
}

static void
test_luks(void **state)
{
    (void)state;
    static const char fast[] = "echo x | cryptsetup -q luksFormat --type luks%d --pbkdf pbkdf2 "
                               "--pbkdf-force-iterations 1000 disk -";
    for (int version = 1; version <= 2; version++) {
        char command[256];
        snprintf(command, sizeof command, fast, version);
        assert_content("cryptsetup", command, CONTENT_LUKS);
        struct disklabel label = look("disk");
        assert_int_equal(label.parts[0].luks_version, version);
    }
}

/* Their makers are not at hand, or want root: the bytes that they are known by. */
static void
test_signatures(void **state)
{
    (void)state;
    static const struct {
        enum disklabel_content content;
        unsigned offset;
        const char *bytes; /* printf of the shell */
    } cases[] = {
        { CONTENT_BITLOCKER, 3, "-FVE-FS-" },
        { CONTENT_BITLOCKER, 424,
          "\\073\\326\\147\\111\\051\\056\\330\\112\\203\\231\\366\\243\\071"
          "\\343\\320\\001" },
        { CONTENT_REFS, 3, "ReFS\\000\\000\\000\\000" },
        { CONTENT_EXFAT, 3, "EXFAT   " },
        { CONTENT_XFS, 0, "XFSB" },
        { CONTENT_LVM, 512, "LABELONE" },
        { CONTENT_RAID, 4096, "\\374\\116\\053\\251" },
        { CONTENT_UNKNOWN, 0, "Hello" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char command[256];
        snprintf(command, sizeof command,
                 "printf -- '%s' | dd of=disk bs=1 seek=%u conv=notrunc 2>/dev/null",
                 cases[i].bytes, cases[i].offset);
        struct disklabel label = look_after(command);
        assert_false(label.blank);
        if (label.parts[0].content != cases[i].content)
            fail_msg("%s is %s", disklabel_content_name(cases[i].content),
                     disklabel_content_name(label.parts[0].content));
    }
}

/* ---- MBR ---- */

static void
test_mbr(void **state)
{
    (void)state;
    require_program("sfdisk");
    require_program("mkfs.ext4");
    struct disklabel label = look_after(
        "printf 'label: dos\\nstart=2048,size=40960,type=83,bootable\\nsize=8192,type=82\\n"
        "type=5\\nstart=53248,size=8192,type=83\\nstart=63488,size=8192,type=83\\n'"
        " | sfdisk -q disk;"
        "truncate -s 20M fs; mkfs.ext4 -q fs; dd if=fs of=disk bs=1M seek=1 conv=notrunc "
        "2>/dev/null");
    assert_int_equal(label.table, DISKLABEL_MBR);
    assert_false(label.blank || label.ldm || label.past_end || label.mbr_boot_code);
    assert_int_equal(label.n_parts, 5);
    assert_true(part(&label, 1)->active);
    assert_int_equal(part(&label, 1)->offset_bytes, MIB);
    assert_int_equal(part(&label, 1)->size_bytes, 20 * MIB);
    assert_int_equal(part(&label, 1)->content, CONTENT_EXT);
    assert_int_equal(part(&label, 2)->content, CONTENT_ZERO);
    assert_int_equal(part(&label, 3)->use, USE_EXTENDED);
    assert_int_equal(part(&label, 5)->offset_bytes, 53248 * 512);
    assert_int_equal(part(&label, 6)->offset_bytes, 63488 * 512);
    assert_int_equal(part(&label, 6)->size_bytes, 8192 * 512);
}

static void
put_entry(uint8_t *sector, unsigned i, uint8_t type, uint32_t first, uint32_t sectors)
{
    uint8_t *p = sector + 446 + i * 16;
    p[4] = type;
    memcpy(p + 8, &first, 4);
    memcpy(p + 12, &sectors, 4);
    sector[510] = 0x55;
    sector[511] = 0xaa;
}

static void
write_sector(uint64_t lba, const uint8_t *sector)
{
    struct err err = ERR_INIT;
    int fd = open(scratch_path("disk"), O_WRONLY);
    assert_true(fd >= 0);
    assert_int_equal(fd_pwrite(fd, sector, 512, lba * 512, "disk", &err), 0);
    close(fd);
}

/* A chain of logical partitions that bites its tail, and one that leads away. */
static void
test_logical_ring(void **state)
{
    (void)state;
    uint8_t mbr[512] = { 0 }, ebr[512] = { 0 };
    scratch_disk("disk", DISK_BYTES);
    put_entry(mbr, 0, 0x05, 100, 1000);
    put_entry(ebr, 0, 0x83, 1, 10);
    put_entry(ebr, 1, 0x05, 0, 10);
    ebr[446 + 16 + 8] = 0; /* the next is at 0: the end */
    write_sector(0, mbr);
    write_sector(100, ebr);
    struct disklabel label = look("disk");
    assert_int_equal(label.n_parts, 2);
    /* two records that point at each other */
    put_entry(ebr, 1, 0x05, 50, 10);
    write_sector(100, ebr);
    uint8_t second[512] = { 0 };
    put_entry(second, 0, 0x83, 1, 10);
    put_entry(second, 1, 0x05, 50, 10);
    write_sector(150, second);
    label = look("disk");
    assert_int_equal(label.n_parts, 3);
    put_entry(second, 1, 0x05, 0xffffffff, 10);
    write_sector(150, second);
    label = look("disk");
    assert_int_equal(label.n_parts, 3);
}

static void
test_ldm(void **state)
{
    (void)state;
    uint8_t mbr[512] = { 0xeb };
    scratch_disk("disk", DISK_BYTES);
    put_entry(mbr, 0, 0x42, 63, 100000);
    write_sector(0, mbr);
    struct disklabel label = look("disk");
    assert_true(label.ldm && label.mbr_boot_code);
    assert_int_equal(part(&label, 1)->use, USE_LDM);
}

static void
test_partition_past_the_end(void **state)
{
    (void)state;
    uint8_t mbr[512] = { 0 };
    scratch_disk("disk", DISK_BYTES);
    put_entry(mbr, 0, 0x83, 2048, 0x7fffffff);
    write_sector(0, mbr);
    struct disklabel label = look("disk");
    assert_true(label.past_end);
}

/* ---- GPT ---- */

#define SGDISK                                                                                     \
    "sgdisk -n 1:2048:+8M -t 1:ef00 -n 2:0:+1M -t 2:ef02 -n 3:0:0 -t 3:8300 disk >/dev/null"

static void
assert_gpt(const struct disklabel *label)
{
    assert_int_equal(label->table, DISKLABEL_GPT);
    assert_int_equal(label->n_parts, 3);
    assert_int_equal(part(label, 1)->use, USE_ESP);
    assert_int_equal(part(label, 1)->offset_bytes, MIB);
    assert_int_equal(part(label, 1)->size_bytes, 8 * MIB);
    assert_int_equal(part(label, 2)->use, USE_BIOS_BOOT);
    assert_int_equal(part(label, 3)->use, USE_OTHER);
    assert_false(label->past_end || label->gpt_damaged);
}

static void
test_gpt(void **state)
{
    (void)state;
    require_program("sgdisk");
    struct disklabel label = look_after(SGDISK);
    assert_gpt(&label);
    assert_int_equal(label.sector_bytes, 512);
    assert_false(label.gpt_backup_used || label.gpt_backup_bad);
}

static void
test_gpt_backup(void **state)
{
    (void)state;
    require_program("sgdisk");
    struct disklabel label = look_after(
        SGDISK "; dd if=/dev/zero of=disk bs=512 seek=1 count=1 conv=notrunc 2>/dev/null");
    assert_gpt(&label);
    assert_true(label.gpt_backup_used);
    /* one wrong byte in an entry: its sum is not right */
    label = look_after(SGDISK "; printf X | dd of=disk bs=1 seek=1064 conv=notrunc 2>/dev/null");
    assert_gpt(&label);
    assert_true(label.gpt_backup_used);
    label = look_after(SGDISK "; truncate -s +1M disk");
    assert_gpt(&label);
    assert_true(label.gpt_backup_bad);
    label = look_after(SGDISK "; dd if=/dev/zero of=disk bs=512 seek=1 count=1 conv=notrunc "
                              "2>/dev/null; truncate -s +1M disk");
    assert_true(label.gpt_damaged);
    assert_int_equal(label.table, DISKLABEL_NONE);
    assert_false(label.blank);
}

/* The same table moved to where one in sectors of 4096 bytes lies: header at 4096, entries at 8192.
 * The numbers in it, and so its sums, stay. */
static void
test_gpt_in_large_sectors(void **state)
{
    (void)state;
    require_program("sgdisk");
    struct disklabel label =
        look_after(SGDISK "; dd if=disk of=table bs=512 skip=1 count=33 2>/dev/null;"
                          "dd if=/dev/zero of=disk bs=512 seek=1 count=40 conv=notrunc 2>/dev/null;"
                          "dd if=table of=disk bs=512 seek=8 count=1 conv=notrunc 2>/dev/null;"
                          "dd if=table of=disk bs=512 seek=16 skip=1 conv=notrunc 2>/dev/null");
    assert_int_equal(label.table, DISKLABEL_GPT);
    assert_int_equal(label.sector_bytes, 4096);
    assert_int_equal(label.n_parts, 3);
    assert_int_equal(label.parts[0].use, USE_ESP);
    assert_int_equal(label.parts[0].offset_bytes, 8 * MIB);
    assert_int_equal(label.parts[0].size_bytes, 64 * MIB);
    assert_true(label.gpt_backup_bad && label.past_end);
}

static void
test_read_error_is_an_error(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct disklabel label;
    scratch_disk("disk", 100);
    struct reader reader = { .fd = open(scratch_path("disk"), O_RDONLY), .size = DISK_BYTES };
    assert_int_equal(disklabel_look(DISK_BYTES, read_disk, &reader, &label, &err), -1);
    close(reader.fd);
}

/* ---- conclusions ---- */

static struct disklabel
one_part(enum disklabel_content content, uint64_t size_bytes)
{
    struct disklabel label = { .table = DISKLABEL_MBR, .sector_bytes = 512, .n_parts = 1 };
    label.parts[0] = (struct disklabel_part){
        .number = 1, .offset_bytes = MIB, .size_bytes = size_bytes, .content = content
    };
    return label;
}

static void
add(struct disklabel *label, enum disklabel_content content, uint64_t size_bytes)
{
    label->parts[label->n_parts] = (struct disklabel_part){ .number = (unsigned)label->n_parts + 1,
                                                            .size_bytes = size_bytes,
                                                            .content = content };
    label->n_parts++;
}

/* "error:code" of each finding. */
static void
assert_judgement(const struct disklabel *labels, size_t n, bool has_keys, const char *expected)
{
    static const char *const levels[] = { "info", "warning", "error" };
    auto_free struct guest_report *report = calloc(1, sizeof *report);
    char got[1024] = "";
    size_t used = 0;
    disklabel_judge(labels, n, has_keys, report);
    for (size_t i = 0; i < report->n_findings; i++)
        used += (size_t)snprintf(got + used, sizeof got - used, "%s%s:%s", i ? " " : "",
                                 levels[report->findings[i].level], report->findings[i].code);
    assert_string_equal(got, expected);
}

static void
test_judgement(void **state)
{
    (void)state;
    struct disklabel blank = { .sector_bytes = 512, .blank = true };
    struct disklabel linux_disk = one_part(CONTENT_EXT, 20 * GIB);
    assert_judgement(&linux_disk, 1, false, "");
    assert_judgement((struct disklabel[]){ linux_disk, blank }, 2, false, "info:blank-disk");
    assert_judgement(&blank, 1, false, "info:blank-disk error:disks-blank");

    struct disklabel swap = one_part(CONTENT_SWAP, GIB);
    assert_judgement(&swap, 1, false, "error:no-system");

    struct disklabel luks = one_part(CONTENT_LUKS, 20 * GIB);
    assert_judgement(&luks, 1, false, "error:luks-no-key");
    assert_judgement(&luks, 1, true, "");
    add(&luks, CONTENT_EXT, GIB); /* /boot, or perhaps a small root */
    assert_judgement(&luks, 1, false, "warning:luks-no-key");

    /* Windows with BitLocker: its small NTFS partitions are no system. */
    struct disklabel bitlocker = one_part(CONTENT_NTFS, 500 * MIB);
    add(&bitlocker, CONTENT_BITLOCKER, 60 * GIB);
    add(&bitlocker, CONTENT_NTFS, 600 * MIB);
    assert_judgement(&bitlocker, 1, false, "error:bitlocker-no-key");
    assert_judgement(&bitlocker, 1, true, "");

    struct disklabel ldm = one_part(CONTENT_ZERO, 60 * GIB);
    ldm.ldm = true;
    assert_judgement(&ldm, 1, false, "error:dynamic-disk");
    assert_judgement((struct disklabel[]){ linux_disk, ldm }, 2, false, "warning:dynamic-disk");

    struct disklabel large = linux_disk;
    large.sector_bytes = 4096;
    assert_judgement(&large, 1, false, "error:sectors-4096");

    struct disklabel full = linux_disk;
    full.parts[0].space_known = true;
    full.parts[0].total_bytes = 20 * GIB;
    full.parts[0].free_bytes = MIB;
    assert_judgement(&full, 1, false, "warning:little-free-space");

    struct disklabel unknown = one_part(CONTENT_UNKNOWN, 20 * GIB);
    assert_judgement(&unknown, 1, false, "");
}

static void
test_boot_facts(void **state)
{
    (void)state;
    auto_free struct guest_report *report = calloc(1, sizeof *report);
    struct disklabel label = one_part(CONTENT_EXT, 20 * GIB);
    label.mbr_boot_code = true;
    disklabel_judge(&label, 1, false, report);
    assert_true(report->facts.has_bios_boot && !report->facts.has_esp && !report->facts.gpt);
    label.table = DISKLABEL_GPT;
    label.parts[0].use = USE_ESP;
    add(&label, CONTENT_EXT, GIB);
    *report = (struct guest_report){ 0 };
    disklabel_judge(&label, 1, false, report);
    assert_true(!report->facts.has_bios_boot && report->facts.has_esp && report->facts.gpt);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, scratch_make, scratch_remove)
    const struct CMUnitTest tests[] = {
        TEST(test_blank),
        TEST(test_ext),
        TEST(test_ntfs),
        TEST(test_fat),
        TEST(test_btrfs),
        TEST(test_xfs),
        TEST(test_swap),
        TEST(test_luks),
        TEST(test_signatures),
        TEST(test_mbr),
        TEST(test_logical_ring),
        TEST(test_ldm),
        TEST(test_partition_past_the_end),
        TEST(test_gpt),
        TEST(test_gpt_backup),
        TEST(test_gpt_in_large_sectors),
        TEST(test_read_error_is_an_error),
        TEST(test_judgement),
        TEST(test_boot_facts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
