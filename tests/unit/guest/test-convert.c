/* A run of virt-v2v, played by a shell script. */
#include "guest/convert.h"

#include <errno.h>

#include "scratch.h"

#define ANSWERS                                                                                    \
    "#!/bin/sh\n"                                                                                  \
    "case \"$1\" in\n"                                                                             \
    "--machine-readable) printf 'virt-v2v-in-place\\nmac-ip-option\\n'; exit 0;;\n"                \
    "--help) echo '  --key <SELECTOR>'; exit 0;;\n"                                                \
    "--version) echo 'virt-v2v-in-place 2.2.0'; exit 0;;\n"                                        \
    "esac\n"

struct heard {
    unsigned stages, warnings, infos;
    int last_pct;
    bool cancel;
};

static void
hear(const struct convert_event *event, void *arg)
{
    struct heard *heard = arg;
    heard->stages += event->line == CONVERT_STAGE;
    heard->warnings += event->line == CONVERT_WARNING;
    heard->infos += event->line == CONVERT_INFO;
    if (event->pct >= 0)
        heard->last_pct = event->pct;
}

static bool
is_cancelled(void *arg)
{
    struct heard *heard = arg;
    return heard->cancel;
}

static struct convert_spec
spec_for(const char *script)
{
    static char text[8192], log[4096], temp[4096], xml[4096], program[4096];
    snprintf(text, sizeof text, ANSWERS "%s", script);
    snprintf(program, sizeof program, "%s", scratch_write("v2v", text, 0700));
    snprintf(xml, sizeof xml, "%s", scratch_write("g.xml", "<domain/>", 0600));
    snprintf(log, sizeof log, "%s", scratch_path("log"));
    snprintf(temp, sizeof temp, "%s", scratch_path("temp"));
    mkdir(temp, 0700);
    return (struct convert_spec){
        .xml_path = xml, .log_path = log, .temp_dir = temp, .accel = ACCEL_TCG, .program = program
    };
}

static int
run(const struct convert_spec *spec, struct heard *heard, struct err *err)
{
    *err = ERR_INIT;
    return convert_run(spec, hear, is_cancelled, heard, err);
}

static void
test_success(void **state)
{
    (void)state;
    struct err err;
    struct heard heard = { 0 };
    struct convert_spec spec =
        spec_for("echo '[   0.0] Setting up the source: -i libvirtxml x'\n"
                 "echo 'debug' >&2\n"
                 "echo 'virt-v2v-in-place: warning: careful'\n"
                 "echo 'virt-v2v-in-place: This guest has virtio drivers installed.'\n"
                 "echo \"$LIBGUESTFS_BACKEND_SETTINGS $TMPDIR $LIBGUESTFS_CACHEDIR\" >&2\n"
                 "echo '[   9.0] Finishing off'\n");
    setenv("LIBGUESTFS_CACHEDIR", "/var/tmp/the-cache", 1);
    if (run(&spec, &heard, &err) < 0)
        fail_msg("%s", err.text);
    unsetenv("LIBGUESTFS_CACHEDIR");
    assert_int_equal(heard.stages, 2);
    assert_int_equal(heard.warnings, 1);
    assert_int_equal(heard.infos, 1);
    assert_int_equal(heard.last_pct, 100);
    scratch_sh("grep -q '^debug$' log && grep -q 'Finishing off' log");
    scratch_sh("grep -q \"^force_tcg $PWD/temp /var/tmp/the-cache$\" log");
    scratch_sh("grep -q -- '--root first -i libvirtxml .*/g.xml' log");
    scratch_sh("test \"$(stat -c %a log)\" = 600");
}

static void
test_drivers_that_were_named(void **state)
{
    (void)state;
    struct err err;
    struct heard heard = { 0 };
    struct convert_spec spec = spec_for("echo \"drivers: $VIRTIO_WIN\" >&2\n");
    setenv("VIRTIO_WIN", "/of/the/host.iso", 1);
    assert_int_equal(run(&spec, &heard, &err), 0);
    scratch_sh("grep -q '^drivers: /of/the/host.iso$' log");
    spec.virtio_win = "/of/the/spec.iso";
    assert_int_equal(run(&spec, &heard, &err), 0);
    scratch_sh("grep -q '^drivers: /of/the/spec.iso$' log");
    unsetenv("VIRTIO_WIN");
}

static void
test_secrets_are_in_files_only(void **state)
{
    (void)state;
    struct err err;
    struct heard heard = { 0 };
    struct convert_spec spec =
        spec_for("echo \"$*\" > ../argv; cat key-* > ../keys; ls -l > ../ls\n");
    const char *file = scratch_write("pass:word", "from a file\nsecond line", 0600);
    char by_file[4200];
    snprintf(by_file, sizeof by_file, "ab-12:file:%s", file);
    const char *keys[] = { "/dev/sda2:key:s3:cret", by_file, "/dev/sdb:clevis", NULL };
    spec.keys = keys;
    if (run(&spec, &heard, &err) < 0)
        fail_msg("%s", err.text);
    scratch_sh("grep -q -- '--key /dev/sda2:file:key-0 --key ab-12:file:key-2 "
               "--key /dev/sdb:clevis' argv");
    scratch_sh("! grep -q 's3:cret' argv && ! grep -q 's3:cret' log");
    scratch_sh("grep -q '^s3:cretfrom a file' keys");
    scratch_sh("grep -q '^-rw------- .* key-0$' ls");
    scratch_sh("test -z \"$(ls temp)\"");
    const char *bad[] = { "/dev/sda2:s3cret", NULL };
    spec.keys = bad;
    assert_int_equal(run(&spec, &heard, &err), -1);
    assert_int_equal(err.kind, ERR_INVALID);
    assert_null(strstr(err.text, "s3cret"));
}

static void
test_failure_names_cause_cure_and_log(void **state)
{
    (void)state;
    struct err err;
    struct heard heard = { 0 };
    struct convert_spec spec =
        spec_for("echo '[   1.0] Opening the source'\n"
                 "echo 'libguestfs: No space left on device, harmless here' >&2\n"
                 "echo 'virt-v2v-in-place: error: unable to convert this guest type "
                 "(linux/alpinelinux)' >&2\n"
                 "exit 1\n");
    assert_int_equal(run(&spec, &heard, &err), -1);
    assert_int_equal(err.kind, ERR_INVALID);
    assert_non_null(strstr(err.text, "cannot convert this operating system"));
    assert_non_null(strstr(err.text, "--no-convert"));
    assert_non_null(strstr(err.text, "linux/alpinelinux"));
    assert_non_null(strstr(err.text, spec.log_path));
}

/* What is said without "error:" counts too. */
static void
test_failure_by_the_tail(void **state)
{
    (void)state;
    struct err err;
    struct heard heard = { 0 };
    struct convert_spec spec = spec_for(
        "echo 'could not find key to open LUKS encrypted /dev/sda1.' >&2\n"
        "i=0; while [ $i -lt 200 ]; do echo \"line $i\" >&2; i=$((i + 1)); done; exit 1\n");
    assert_int_equal(run(&spec, &heard, &err), -1);
    assert_int_equal(err.kind, ERR_DENIED);
}

static void
test_unknown_failure_gives_its_words(void **state)
{
    (void)state;
    struct err err;
    struct heard heard = { 0 };
    struct convert_spec spec =
        spec_for("echo 'virt-v2v-in-place: error: the moon is full' >&2; exit 1\n");
    assert_int_equal(run(&spec, &heard, &err), -1);
    assert_non_null(strstr(err.text, "the moon is full"));
    assert_non_null(strstr(err.text, spec.log_path));
    spec = spec_for("kill -9 $$\n");
    assert_int_equal(run(&spec, &heard, &err), -1);
    assert_non_null(strstr(err.text, "killed by signal 9"));
}

static void
test_options_it_has_not_are_refused_before_the_start(void **state)
{
    (void)state;
    struct err err;
    struct heard heard = { 0 };
    struct convert_spec spec = spec_for("touch ../started\n");
    spec.no_fstrim = true;
    assert_int_equal(run(&spec, &heard, &err), -1);
    assert_int_equal(err.kind, ERR_INVALID);
    assert_string_equal(err.text, "virt-v2v 2.2.0 here has no --no-fstrim: it came with 2.12");
    spec.no_fstrim = false;
    spec.block_driver = "virtio-scsi";
    assert_int_equal(run(&spec, &heard, &err), -1);
    spec.block_driver = NULL;
    const char *keys[] = { "all:key:x", NULL };
    spec.keys = keys;
    assert_int_equal(run(&spec, &heard, &err), -1);
    spec.keys = NULL;
    spec.root = "ask";
    assert_int_equal(run(&spec, &heard, &err), -1);
    scratch_sh("! test -e started");
    /* An older one takes the appliance's memory from the environment. */
    spec = spec_for("test \"$LIBGUESTFS_MEMSIZE\" = 1000\n");
    spec.memsize_mib = 2000;
    if (run(&spec, &heard, &err) < 0)
        fail_msg("%s", err.text);
}

static void
test_silence_ends_it(void **state)
{
    (void)state;
    struct err err;
    struct heard heard = { 0 };
    struct convert_spec spec =
        spec_for("echo '[   1.0] Opening the source'; exec tail -f /dev/null\n");
    spec.silence_limit_ns = NS_PER_S / 2;
    int64_t before_ns = clock_now_ns();
    assert_int_equal(run(&spec, &heard, &err), -1);
    assert_true(clock_now_ns() - before_ns < 10 * NS_PER_S);
    assert_int_equal(err.kind, ERR_UNAVAILABLE);
    assert_non_null(strstr(err.text, "said nothing"));
    assert_int_equal(heard.stages, 1);
}

static void
test_cancel(void **state)
{
    (void)state;
    struct err err;
    struct heard heard = { .cancel = true };
    struct convert_spec spec = spec_for("exec tail -f /dev/null\n");
    assert_int_equal(run(&spec, &heard, &err), -1);
    assert_int_equal(err.kind, ERR_CANCELLED);
}

static void
test_no_virt_v2v(void **state)
{
    (void)state;
    struct err err;
    struct heard heard = { 0 };
    struct convert_spec spec = spec_for("");
    spec.program = scratch_path("absent");
    assert_int_equal(run(&spec, &heard, &err), -1);
    assert_int_equal(err.kind, ERR_NOT_FOUND);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, scratch_make, scratch_remove)
    const struct CMUnitTest tests[] = {
        TEST(test_success),
        TEST(test_drivers_that_were_named),
        TEST(test_secrets_are_in_files_only),
        TEST(test_failure_names_cause_cure_and_log),
        TEST(test_failure_by_the_tail),
        TEST(test_unknown_failure_gives_its_words),
        TEST(test_options_it_has_not_are_refused_before_the_start),
        TEST(test_silence_ends_it),
        TEST(test_cancel),
        TEST(test_no_virt_v2v),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
