#include "descriptor/image.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/checked.h"
#include "base/proc.h"
#include "package-maker.h"
#include "../tar-maker.h"

static struct package
directory(const char *dir)
{
    struct err err = ERR_INIT;
    struct package package;
    put_text(dir, "m.ovf", "<Envelope/>");
    if (package_open(dir, &package, &err) < 0)
        fail_msg("%s", err.text);
    return package;
}

static struct image
look(const char *dir, const char *name)
{
    struct err err = ERR_INIT;
    struct image image = { 0 };
    auto_package struct package package = directory(dir);
    if (image_look(&package, name, &image, &err) < 0)
        fail_msg("%s", err.text);
    return image;
}

static void
assert_refused(const char *dir, const char *name, const char *part)
{
    struct err err = ERR_INIT;
    struct image image;
    auto_package struct package package = directory(dir);
    if (image_look(&package, name, &image, &err) == 0)
        fail_msg("was taken, should say '%s'", part);
    if (!strstr(err.text, part))
        fail_msg("'%s' does not say '%s'", err.text, part);
}

/* The images that qemu-img makes, and what it says they are. */
static void
images_of_qemu_are_recognised(void **state)
{
    (void)state;
    static const struct {
        const char *format, *options;
        bool capacity;
    } formats[] = {
        { "raw", NULL, true },
        { "qcow2", NULL, true },
        { "vmdk", "subformat=streamOptimized", true },
        { "vmdk", "subformat=monolithicSparse", true },
        { "vmdk", "subformat=monolithicFlat", true },
        { "vmdk", "subformat=twoGbMaxExtentSparse", true },
        { "vdi", NULL, true },
        { "vhdx", NULL, false },
        { "vpc", "force_size=on", false },
        { "vpc", "subformat=fixed,force_size=on", false },
    };
    auto_scratch char *dir = scratch_make();
    for (size_t i = 0; i < ARRAY_LEN(formats); i++) {
        struct err err = ERR_INIT;
        const char *path = path_in(dir, "image.vhd");
        const char *options = formats[i].options;
        const char *const argv[] = { "qemu-img",        "create", "-q", "-f",
                                     formats[i].format, path,     "3M", options ? "-o" : NULL,
                                     options,           NULL };
        struct proc_spec spec = PROC_SPEC_INIT;
        spec.argv = argv;
        int r = proc_run(&spec, -1, NULL, NULL, NULL, &err);
        if (r < 0 && err.kind == ERR_NOT_FOUND) {
            print_message("SKIPPED: qemu-img is not installed\n");
            skip();
        }
        if (r < 0)
            fail_msg("%s", err.text);
        struct image image = look(dir, "image.vhd");
        assert_false(image.gzip);
        assert_string_equal(image.format, formats[i].format);
        assert_int_equal(image.capacity_bytes, formats[i].capacity ? 3145728 : 0);
    }
}

static void
behind_gzip_only_a_vmdk_is_taken(void **state)
{
    (void)state;
    char data[VMDK_BYTES];
    unsigned char packed[VMDK_BYTES];
    auto_scratch char *dir = scratch_make();
    make_vmdk(data, GIB, VMDK_TEXT);
    put_file(dir, "a.gz", packed, make_gzip(packed, data, sizeof data));
    struct image image = look(dir, "a.gz");
    assert_true(image.gzip);
    assert_string_equal(image.format, "vmdk");
    assert_int_equal(image.capacity_bytes, GIB);

    make_vmdk(data, 0, VMDK_TEXT);
    put_file(dir, "a.gz", packed, make_gzip(packed, data, sizeof data));
    assert_refused(dir, "a.gz", "capacity of 0 sectors");
    memset(data, 'x', sizeof data);
    put_file(dir, "a.gz", packed, make_gzip(packed, data, sizeof data));
    assert_refused(dir, "a.gz", "(gunzip)");
    put_file(dir, "a.gz", packed, make_gzip(packed, "KDMV", 4));
    assert_refused(dir, "a.gz", "unknown version");
    put_file(dir, "a.gz", packed, make_gzip(packed, "", 0));
    assert_refused(dir, "a.gz", "(gunzip)");
    memset(packed + 10, 0xff, 20);
    put_file(dir, "a.gz", packed, 100);
    assert_refused(dir, "a.gz", "damaged gzip");
}

static void
short_and_empty_files_are_raw(void **state)
{
    (void)state;
    auto_scratch char *dir = scratch_make();
    put_file(dir, "a", "KDM", 3);
    assert_string_equal(look(dir, "a").format, "raw");
    put_file(dir, "a", "", 0);
    assert_string_equal(look(dir, "a").format, "raw");
}

/* A hint anywhere in the text, also where the header does not count it in, is what QEMU follows. */
static void
a_vmdk_that_refers_to_another_is_refused(void **state)
{
    (void)state;
    char data[VMDK_BYTES];
    uint64_t none = 0;
    auto_scratch char *dir = scratch_make();
    make_vmdk(data, GIB, VMDK_TEXT);
    put_file(dir, "a.vmdk", data, sizeof data);
    assert_int_equal(look(dir, "a.vmdk").capacity_bytes, GIB);

    static const char *const deltas[] = {
        VMDK_TEXT "parentFileNameHint=\"/etc/passwd\"\n",
        "# Disk DescriptorFile\nparentCID=12345678\n",
        VMDK_TEXT "# x parentFileNameHint=\"json:{}\"\n",
    };
    for (size_t i = 0; i < ARRAY_LEN(deltas); i++) {
        make_vmdk(data, GIB, deltas[i]);
        put_file(dir, "a.vmdk", data, sizeof data);
        assert_refused(dir, "a.vmdk", "snapshot delta");
        memcpy(data + 36, &none, 8);
        put_file(dir, "a.vmdk", data, sizeof data);
        assert_refused(dir, "a.vmdk", "snapshot delta");
    }
}

static void
damaged_headers_are_refused(void **state)
{
    (void)state;
    char data[VMDK_BYTES];
    auto_scratch char *dir = scratch_make();
    make_vmdk(data, 0, VMDK_TEXT); /* QEMU would then look for extents */
    put_file(dir, "a.vmdk", data, sizeof data);
    assert_refused(dir, "a.vmdk", "capacity of 0 sectors");
    make_vmdk(data, GIB, VMDK_TEXT);
    memset(data + 12, 0xff, 8);
    put_file(dir, "a.vmdk", data, sizeof data);
    assert_refused(dir, "a.vmdk", "damaged VMDK: a capacity");
    make_vmdk(data, GIB, VMDK_TEXT);
    data[4] = 9;
    put_file(dir, "a.vmdk", data, sizeof data);
    assert_refused(dir, "a.vmdk", "unknown version 9");
    make_vmdk(data, GIB, VMDK_TEXT);
    memset(data + 36, 0x7f, 8);
    put_file(dir, "a.vmdk", data, sizeof data);
    assert_refused(dir, "a.vmdk", "descriptor of");
    make_vmdk(data, GIB, VMDK_TEXT);
    memset(data + 28, 0x7f, 8);
    put_file(dir, "a.vmdk", data, sizeof data);
    assert_refused(dir, "a.vmdk", "descriptor of");
    make_vmdk(data, GIB, VMDK_TEXT);
    data[28] = 100;
    put_file(dir, "a.vmdk", data, sizeof data);
    assert_refused(dir, "a.vmdk", "truncated");
    put_file(dir, "a.vmdk", "COWD\1\0\0\0", 8);
    assert_refused(dir, "a.vmdk", "without its descriptor");
}

static void
references_of_other_formats_are_refused(void **state)
{
    (void)state;
    char head[512] = "QFI\xfb\0\0\0\3";
    auto_scratch char *dir = scratch_make();
    head[15] = 104; /* backing_file_offset */
    put_file(dir, "a", head, sizeof head);
    assert_refused(dir, "a", "backing file");
    head[15] = 0;
    head[79] = 4; /* incompatible feature: external data file */
    put_file(dir, "a", head, sizeof head);
    assert_refused(dir, "a", "data lies in another file");

    char vhd[512] = "conectix";
    vhd[63] = 4;
    put_file(dir, "a", vhd, sizeof vhd);
    assert_refused(dir, "a", "differencing");

    char vdi[512] = { 0 };
    memcpy(vdi + 64, "\x7f\x10\xda\xbe", 4);
    vdi[76] = 4;
    put_file(dir, "a", vdi, sizeof vdi);
    assert_refused(dir, "a", "differencing");
}

static void
extents_are_plain_names_beside_the_descriptor(void **state)
{
    (void)state;
    char data[VMDK_BYTES];
    auto_scratch char *dir = scratch_make();
    make_vmdk(data, GIB, VMDK_TEXT);
    put_file(dir, "s.vmdk", data, sizeof data);
    put_text(dir, "flat", "anything");
    make_vmdk(data, 0, VMDK_TEXT);
    put_file(dir, "zero.vmdk", data, sizeof data);
    assert_int_equal(symlink("/etc/passwd", path_in(dir, "link")), 0);

#define TEXT "# Disk DescriptorFile\nparentCID=ffffffff\n"
    put_text(dir, "d.vmdk",
             TEXT "RW 2048 SPARSE \"s.vmdk\"\r\n  RW 1 FLAT \"flat\" 0\nRW 7 ZERO\n");
    assert_int_equal(look(dir, "d.vmdk").capacity_bytes, 2056 * 512);
    assert_string_equal(look(dir, "d.vmdk").format, "vmdk");

    static const struct {
        const char *text, *part;
    } bad[] = {
        { TEXT "RW 1 FLAT \"/etc/passwd\" 0\n", "not a plain name" },
        { TEXT "\t RW\t1  FLAT\t\"/etc/passwd\" 0\n", "not a plain name" },
        { TEXT "\fRW\v1 FLAT \"/etc/passwd\"", "not a plain name" },
        { TEXT "x\rRW 1 FLAT\"/etc/passwd\"", "is not supported" },
        { TEXT "RW 1 FLAT \"../x\" 0\n", "not a plain name" },
        { TEXT "RW 1 FLAT \"sub/x\" 0\n", "not a plain name" },
        { TEXT "RW 1 FLAT \"..\" 0\n", "leads out" },
        { TEXT "RW 1 FLAT \"json:{}\" 0\n", "another place" },
        { TEXT "RW 1 FLAT \"link\" 0\n", "leads out of the package" },
        { TEXT "RW 1 FLAT \"missing\" 0\n", "its extent" },
        { TEXT "RW 1 FLAT\n", "it is empty" },
        { TEXT "RW 1 FLAT 0\n", "it is empty" },
        { TEXT "RW 1 FLAT \"\" 0\n", "bad VMDK extent" },
        { TEXT "RW 1 FLAT \"flat\n", "bad VMDK extent" },
        { TEXT "RW x FLAT \"flat\"\n", "bad VMDK extent" },
        { TEXT "RW 99999999999999999999 FLAT \"flat\"\n", "bad VMDK extent" },
        { TEXT "RW 9999999999999999999 ZERO\n", "too large" },
        { TEXT "RW 1 SPARSE \"flat\"\n", "not a sparse VMDK" },
        { TEXT "RW 1 SPARSE \"zero.vmdk\"\n", "not a sparse VMDK" },
        { TEXT "RW 1 WEIRD \"flat\"\n", "kind WEIRD" },
        { TEXT "NOACCESS 1 FLAT \"flat\"\n", "cannot be read" },
        { TEXT "RW 1 FLAT \"flat\"\nparentFileNameHint=\"b.vmdk\"\n", "snapshot delta" },
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        put_text(dir, "d.vmdk", bad[i].text);
        assert_refused(dir, "d.vmdk", bad[i].part);
    }
}

static void
a_descriptor_in_a_tar_is_refused_with_the_way_out(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct image image;
    static const char text[] = TEXT "RW 1 ZERO\n";
    auto_scratch char *dir = scratch_make();
    auto_buf struct buf tar = BUF_INIT(MIB);
    tar_add(&tar, "m.ovf", '0', "x", 1);
    tar_add(&tar, "d.vmdk", '0', text, sizeof text - 1);
    tar_end(&tar);
    put_file(dir, "m.ova", tar.data, tar.len);
    auto_package struct package package = PACKAGE_INIT;
    assert_int_equal(package_open(path_in(dir, "m.ova"), &package, &err), 0);
    assert_int_equal(image_look(&package, "d.vmdk", &image, &err), -1);
    assert_non_null(strstr(err.text, "unpack the OVA"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(images_of_qemu_are_recognised),
        cmocka_unit_test(behind_gzip_only_a_vmdk_is_taken),
        cmocka_unit_test(short_and_empty_files_are_raw),
        cmocka_unit_test(a_vmdk_that_refers_to_another_is_refused),
        cmocka_unit_test(damaged_headers_are_refused),
        cmocka_unit_test(references_of_other_formats_are_refused),
        cmocka_unit_test(extents_are_plain_names_beside_the_descriptor),
        cmocka_unit_test(a_descriptor_in_a_tar_is_refused_with_the_way_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
