#include "guest/fstab.h"

#include "scratch.h"

static void
test_entries(void **state)
{
    (void)state;
    const char *text = "# comment\n\n"
                       "/dev/sda1  /      ext4  errors=remount-ro  0  1\n"
                       "  UUID=\"ab-12\"\t/boot xfs ro,nofail,noatime\n"
                       "LABEL=swap none\n"
                       "lonely\n"
                       "/dev/sdb1 /last ext4 noautoX";
    const char *cursor = text;
    struct fstab_entry e;
    assert_true(fstab_next(&cursor, &e));
    assert_string_equal(e.device, "/dev/sda1");
    assert_string_equal(e.where, "/");
    assert_string_equal(e.type, "ext4");
    assert_string_equal(e.options, "errors=remount-ro");
    assert_true(fstab_next(&cursor, &e));
    assert_string_equal(e.device, "UUID=ab-12");
    assert_true(fstab_has_option(&e, "nofail"));
    assert_true(fstab_has_option(&e, "ro"));
    assert_false(fstab_has_option(&e, "noa"));
    assert_true(fstab_next(&cursor, &e));
    assert_string_equal(e.device, "LABEL=swap");
    assert_string_equal(e.options, "defaults");
    assert_true(fstab_next(&cursor, &e));
    assert_string_equal(e.where, "/last");
    assert_false(fstab_has_option(&e, "noauto"));
    assert_false(fstab_next(&cursor, &e));
}

static void
test_a_word_that_is_too_long_is_passed_over(void **state)
{
    (void)state;
    char text[FSTAB_WORD_MAX + 64];
    memset(text, 'x', FSTAB_WORD_MAX);
    snprintf(text + FSTAB_WORD_MAX, 64, " /a ext4\n/dev/sdc /b ext4\n");
    const char *cursor = text;
    struct fstab_entry e;
    assert_true(fstab_next(&cursor, &e));
    assert_string_equal(e.device, "/dev/sdc");
    assert_false(fstab_next(&cursor, &e));
}

static void
test_places(void **state)
{
    (void)state;
    assert_true(fstab_is_place("/dev/disk/by-path/pci-0000:03:00.0-scsi-0:0:0:0-part1"));
    assert_true(fstab_is_place("/dev/disk/by-id/scsi-36000c29e-part1"));
    assert_true(fstab_is_place("/dev/disk/by-id/wwn-0x6000c29e-part1"));
    assert_false(fstab_is_place("/dev/disk/by-uuid/ab-12"));
    assert_false(fstab_is_place("/dev/disk/by-id/dm-name-vg-root"));
    assert_false(fstab_is_place("/dev/sda1"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_entries),
        cmocka_unit_test(test_a_word_that_is_too_long_is_passed_over),
        cmocka_unit_test(test_places),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
