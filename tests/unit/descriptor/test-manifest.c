#include "descriptor/manifest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/checked.h"
#include "package-maker.h"
#include "../tar-maker.h"

/* Of "hello\n", by coreutils. */
#define HELLO_SHA1 "f572d396fae9206628714fb2ce00f72e94f2258f"
#define HELLO_SHA256 "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03"
#define HELLO_SHA512                                                                               \
    "e7c22b994c59d9cf2b48e549b1e24666636045930d3da7c1acb299d1c3b7f931f94aae41edda2c2b207a36e1"     \
    "0f8bcb8d45223e54878f5b316e7ce3b6bc019629"
/* Of 3 MiB and 5 bytes of zeros. */
#define ZEROS_BYTES (3 * MIB + 5)
#define ZEROS_SHA256 "be58603025b9752289c4917b47da4d9290bbdd9c11d0d1a5213388cd7101432e"

static struct manifest_result
verify(const char *path)
{
    struct err err = ERR_INIT;
    struct manifest_result result;
    if (manifest_verify(path, NULL, &result, &err) < 0)
        fail_msg("%s", err.text);
    return result;
}

static void
assert_refused(const char *path, enum err_kind kind, const char *part)
{
    struct err err = ERR_INIT;
    struct manifest_result result;
    if (manifest_verify(path, NULL, &result, &err) == 0)
        fail_msg("was taken, should say '%s'", part);
    if (!strstr(err.text, part))
        fail_msg("'%s' does not say '%s'", err.text, part);
    assert_string_equal(err_kind_name(err.kind), err_kind_name(kind));
}

static char *
package(const char *manifest)
{
    char *dir = scratch_make();
    put_text(dir, "m.ovf", "hello\n");
    put_text(dir, "disk (1).vmdk", "hello\n");
    if (manifest)
        put_text(dir, "m.mf", manifest);
    return dir;
}

static void
each_algorithm_is_verified(void **state)
{
    (void)state;
    static const char *const good[] = {
        "SHA1(m.ovf)= " HELLO_SHA1 "\nSHA1(disk (1).vmdk)= " HELLO_SHA1 "\n",
        "SHA256(m.ovf)= " HELLO_SHA256 "\r\nSHA256(disk (1).vmdk)= " HELLO_SHA256 "\r\n",
        "SHA512(m.ovf)= " HELLO_SHA512 "\n\nSHA512(disk (1).vmdk)= " HELLO_SHA512,
        "SHA256 (m.ovf) = " HELLO_SHA256 "\nsha1(disk (1).vmdk)=" HELLO_SHA1 "  \n",
    };
    static const char *const bad[] = {
        "SHA1(m.ovf)= " HELLO_SHA1
        "\nSHA1(disk (1).vmdk)= 0572d396fae9206628714fb2ce00f72e94f2258f",
        "SHA256(m.ovf)= " HELLO_SHA256 "\nSHA256(disk (1).vmdk)= "
        "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be04",
        "SHA1(disk (1).vmdk)= 0000000000000000000000000000000000000000",
    };
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        auto_scratch char *dir = package(good[i]);
        struct manifest_result result = verify(dir);
        assert_true(result.present);
        assert_false(result.certificate);
        assert_int_equal(result.n_files, 2);
        assert_int_equal(result.bytes, 12);
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        auto_scratch char *dir = package(bad[i]);
        assert_refused(dir, ERR_INVALID, "disk (1).vmdk is damaged");
    }
    auto_scratch char *dir = package(bad[1]);
    assert_refused(dir, ERR_INVALID,
                   "its SHA256 is 5891b5b522d5..., the manifest says 5891b5b522d5...");
}

static void
no_manifest_is_no_error(void **state)
{
    (void)state;
    auto_scratch char *dir = package(NULL);
    struct manifest_result result = verify(dir);
    assert_false(result.present);
    assert_int_equal(result.n_files, 0);
    put_text(dir, "m.cert", "-----BEGIN CERTIFICATE-----");
    assert_true(verify(dir).certificate);
}

static void
bad_lines_are_errors_with_their_number(void **state)
{
    (void)state;
    static const struct {
        const char *manifest, *part;
    } bad[] = {
        { "", "m.mf: no digest in it" },
        { "SHA1(m.ovf)= " HELLO_SHA1 "\nhello\n", "m.mf: line 2: not a digest: 'hello'" },
        { "MD5(m.ovf)= b1946ac92492d2347c6235b4d2611184", "line 1: digest algorithm 'MD5'" },
        { "SHA384(m.ovf)= 00", "digest algorithm 'SHA384'" },
        { "(m.ovf)= 00", "digest algorithm ''" },
        { "SHA1(m.ovf) " HELLO_SHA1, "no '='" },
        { "SHA1(m.ovf)", "no '='" },
        { "SHA1(m.ovf)= ", "has 40 digits, not 0" },
        { "SHA1(m.ovf)= " HELLO_SHA256, "has 40 digits, not 64" },
        { "SHA256(m.ovf)= " HELLO_SHA1, "has 64 digits, not 40" },
        { "SHA1(m.ovf)= g572d396fae9206628714fb2ce00f72e94f2258f", "only hexadecimal" },
        { "SHA1(m.ovf)= " HELLO_SHA1 "\nSHA256(m.ovf)= " HELLO_SHA256,
          "line 2: m.ovf is there twice" },
        { "SHA1()= " HELLO_SHA1, "it is empty" },
        { "SHA1(../m.ovf)= " HELLO_SHA1, "leads out" },
        { "SHA1(/etc/passwd)= " HELLO_SHA1, "absolute path" },
        { ")SHA1(= " HELLO_SHA1, "not a digest" },
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        auto_scratch char *dir = package(bad[i].manifest);
        assert_refused(dir, ERR_INVALID, bad[i].part);
    }
    auto_scratch char *dir = package("SHA1(m.ovf)= " HELLO_SHA1 "\nSHA1(gone)= " HELLO_SHA1);
    assert_refused(dir, ERR_NOT_FOUND, "named in the manifest, line 2");
    assert_int_equal(symlink("/etc/passwd", path_in(dir, "gone")), 0);
    assert_refused(dir, ERR_INVALID, "leads out of the package");
}

static void
in_a_tar_any_name_of_the_manifest_will_do(void **state)
{
    (void)state;
    static const char good[] = "SHA1(a.ovf)= " HELLO_SHA1;
    static const char bad[] = "SHA1(a.ovf)= 0000000000000000000000000000000000000000";
    static const struct {
        const char *name, *text;
        bool present, fine;
    } cases[] = {
        { "vm/a.mf", good, true, true },     { "vm/a.mf", bad, true, false },
        { "vm/other.mf", bad, true, false }, { "vm/._a.mf", bad, false, true },
        { "a.mf", bad, false, true },        { "vm/sub/a.mf", bad, false, true },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        auto_scratch char *dir = scratch_make();
        auto_buf struct buf tar = BUF_INIT(MIB);
        tar_add(&tar, "vm/a.ovf", '0', "hello\n", 6);
        tar_add(&tar, cases[i].name, '0', cases[i].text, strlen(cases[i].text));
        tar_end(&tar);
        put_file(dir, "x.ova", tar.data, tar.len);
        if (cases[i].fine)
            assert_int_equal(verify(path_in(dir, "x.ova")).present, cases[i].present);
        else
            assert_refused(path_in(dir, "x.ova"), ERR_INVALID, "a.ovf is damaged");
    }
}

struct seen {
    unsigned calls, asked;
    uint64_t done, total;
    unsigned cancel_at;
};

static void
on_progress(uint64_t done_bytes, uint64_t total_bytes, void *arg)
{
    struct seen *seen = arg;
    assert_true(done_bytes > seen->done);
    assert_true(done_bytes <= total_bytes);
    seen->done = done_bytes;
    seen->total = total_bytes;
    seen->calls++;
}

static bool
on_cancelled(void *arg)
{
    struct seen *seen = arg;
    return ++seen->asked == seen->cancel_at;
}

static void
progress_is_told_and_cancelling_works(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    struct manifest_result result = { 0 };
    auto_free char *zeros = calloc(1, ZEROS_BYTES);
    auto_scratch char *dir = package("SHA256(zeros)= " ZEROS_SHA256 "\nSHA1(m.ovf)= " HELLO_SHA1);
    put_file(dir, "zeros", zeros, ZEROS_BYTES);
    struct seen seen = { 0 };
    struct manifest_watch watch = { on_progress, on_cancelled, &seen };
    if (manifest_verify(dir, &watch, &result, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(seen.calls, 5);
    assert_int_equal(seen.done, ZEROS_BYTES + 6);
    assert_int_equal(seen.total, ZEROS_BYTES + 6);
    assert_int_equal(result.bytes, ZEROS_BYTES + 6);

    seen = (struct seen){ .cancel_at = 3 };
    assert_int_equal(manifest_verify(dir, &watch, &result, &err), -1);
    assert_int_equal(err.kind, ERR_CANCELLED);
    assert_int_equal(seen.calls, 2);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_algorithm_is_verified),
        cmocka_unit_test(no_manifest_is_no_error),
        cmocka_unit_test(bad_lines_are_errors_with_their_number),
        cmocka_unit_test(in_a_tar_any_name_of_the_manifest_will_do),
        cmocka_unit_test(progress_is_told_and_cancelling_works),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
