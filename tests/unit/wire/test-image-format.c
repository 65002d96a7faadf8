#include "wire/image-format.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/checked.h"

static const struct {
    size_t offset;
    const char *magic;
    size_t len;
    const char *format;
} cases[] = {
    { 0, "KDMV", 4, "vmdk" },
    { 0, "COWD", 4, "vmdk" },
    { 0, "# Disk DescriptorFile", 21, "vmdk" },
    { 0, "QFI\xfb", 4, "qcow2" },
    { 0, "vhdxfile", 8, "vhdx" },
    { 0, "conectix", 8, "vpc" },
    { 64, "\x7f\x10\xda\xbe", 4, "vdi" },
    { 0, "", 0, "raw" },
    { 1, "QFI\xfb", 4, "raw" },
};

static void
magics_tell(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        uint8_t head[IMAGE_FORMAT_HEAD_BYTES] = { 0 };
        memcpy(head + cases[i].offset, cases[i].magic, cases[i].len);
        assert_string_equal(image_format_of(head, sizeof head), cases[i].format);
        /* One byte less than the magic needs is not enough. */
        if (cases[i].len > 0)
            assert_string_equal(image_format_of(head, cases[i].offset + cases[i].len - 1), "raw");
    }
}

static void
headers_tell_the_size(void **state)
{
    (void)state;
    uint8_t qcow2[IMAGE_FORMAT_HEAD_BYTES] = { 'Q', 'F', 'I', 0xfb, [28] = 0x40 };
    uint8_t vmdk[IMAGE_FORMAT_HEAD_BYTES] = { 'K', 'D', 'M', 'V', [14] = 0x40 };
    assert_true(image_format_capacity(qcow2, sizeof qcow2) == GIB);
    assert_true(image_format_capacity(vmdk, sizeof vmdk) == 2 * GIB);
    assert_true(image_format_capacity(qcow2, sizeof qcow2 - 1) == 0);
    memset(vmdk + 12, 0xff, 8);
    assert_true(image_format_capacity(vmdk, sizeof vmdk) == 0);
    memset(qcow2, 0, 4);
    assert_true(image_format_capacity(qcow2, sizeof qcow2) == 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(magics_tell),
        cmocka_unit_test(headers_tell_the_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
