#include "guest/accel.h"

#include <errno.h>

#include "scratch.h"

static int
clean_environment(void **state)
{
    unsetenv("VMFERRY_ACCEL");
    unsetenv("LIBGUESTFS_HV");
    if (scratch_make(state) < 0)
        return -1;
    setenv("XDG_CACHE_HOME", scratch, 1);
    return 0;
}

static void
test_environment_decides(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    enum accel accel = ACCEL_TCG;
    char why[ACCEL_WHY_MAX];
    setenv("VMFERRY_ACCEL", "kvm", 1);
    assert_int_equal(accel_probe(&accel, why, &err), 0);
    assert_int_equal(accel, ACCEL_KVM);
    assert_string_equal(why, "VMFERRY_ACCEL says so");
    setenv("VMFERRY_ACCEL", "tcg", 1);
    assert_int_equal(accel_probe(&accel, why, &err), 0);
    assert_int_equal(accel, ACCEL_TCG);
    setenv("VMFERRY_ACCEL", "hvf", 1);
    assert_int_equal(accel_probe(&accel, why, &err), -1);
    assert_int_equal(err.kind, ERR_INVALID);
    assert_string_equal(err.text, "VMFERRY_ACCEL: 'hvf' is neither kvm nor tcg");
}

static void
require_kvm_device(void)
{
    if (access("/dev/kvm", R_OK | W_OK) < 0) {
        print_message("skipped: no /dev/kvm\n");
        skip();
    }
}

static void
test_hanging_qemu_is_stopped_in_time(void **state)
{
    (void)state;
    require_kvm_device();
    const char *qemu = scratch_write("qemu", "#!/bin/sh\nexec tail -f /dev/null\n", 0700);
    char why[ACCEL_WHY_MAX];
    int64_t before_ns = clock_now_ns();
    assert_false(accel_try_kvm(qemu, NS_PER_S, why));
    int64_t took_ns = clock_now_ns() - before_ns;
    assert_true(took_ns >= NS_PER_S && took_ns < 5 * NS_PER_S);
    assert_string_equal(why, "a guest started with KVM hung for 1 s");
}

static void
test_what_qemu_says_is_the_reason(void **state)
{
    (void)state;
    require_kvm_device();
    const char *qemu = scratch_write("qemu",
                                     "#!/bin/sh\n"
                                     "echo 'qemu-system-x86_64: warning: of no interest' >&2\n"
                                     "echo 'qemu-system-x86_64: error: failed to set MSR' >&2\n"
                                     "echo 'and its fall' >&2\n"
                                     "kill -ABRT $$\n",
                                     0700);
    char why[ACCEL_WHY_MAX];
    assert_false(accel_try_kvm(qemu, 10 * NS_PER_S, why));
    assert_string_equal(why, "QEMU with KVM: failed to set MSR");
    qemu = scratch_write("qemu", "#!/bin/sh\nexit 0\n", 0700);
    assert_false(accel_try_kvm(qemu, 10 * NS_PER_S, why));
    assert_string_equal(why, "a guest started with KVM stopped before it could speak");
    qemu = scratch_write("qemu", "#!/bin/sh\necho vmferry-accel-works\n", 0700);
    assert_true(accel_try_kvm(qemu, 10 * NS_PER_S, why));
}

/* The boot sector itself, in the emulator: it must speak and end there, or its silence with KVM
 * would say nothing. */
static void
test_boot_sector_runs_in_the_emulator(void **state)
{
    (void)state;
    require_kvm_device();
    require_program("qemu-system-x86_64");
    const char *qemu = scratch_write("qemu",
                                     "#!/bin/sh\n"
                                     "for arg; do\n"
                                     "    shift\n"
                                     "    [ \"$arg\" = kvm ] && arg=tcg\n"
                                     "    set -- \"$@\" \"$arg\"\n"
                                     "done\n"
                                     "exec qemu-system-x86_64 \"$@\"\n",
                                     0700);
    char why[ACCEL_WHY_MAX];
    if (!accel_try_kvm(qemu, 60 * NS_PER_S, why))
        fail_msg("%s", why);
}

static void
test_answer_is_remembered_until_qemu_changes(void **state)
{
    (void)state;
    require_kvm_device();
    struct err err = ERR_INIT;
    enum accel accel = ACCEL_TCG;
    char why[ACCEL_WHY_MAX];
    setenv("LIBGUESTFS_HV",
           scratch_write("qemu", "#!/bin/sh\necho asked >> \"$0.log\"\necho vmferry-accel-works\n",
                         0700),
           1);
    for (int i = 0; i < 3; i++) {
        accel = ACCEL_TCG;
        assert_int_equal(accel_probe(&accel, why, &err), 0);
        assert_int_equal(accel, ACCEL_KVM);
    }
    scratch_sh("test $(wc -l < qemu.log) = 1");
    accel_forget_kvm("the appliance hung");
    assert_int_equal(accel_probe(&accel, why, &err), 0);
    assert_int_equal(accel, ACCEL_TCG);
    assert_string_equal(why, "the appliance hung");
    scratch_write("qemu", "#!/bin/sh\necho asked >> \"$0.log\"\necho vmferry-accel-works # new\n",
                  0700);
    assert_int_equal(accel_probe(&accel, why, &err), 0);
    assert_int_equal(accel, ACCEL_KVM);
    scratch_sh("test $(wc -l < qemu.log) = 2");
    /* Rubbish in the cache is as good as none. */
    scratch_write("vmferry/accel", "half a li", 0600);
    assert_int_equal(accel_probe(&accel, why, &err), 0);
    scratch_sh("test $(wc -l < qemu.log) = 3");
}

static void
test_environment_for_children(void **state)
{
    (void)state;
    assert_string_equal(accel_env(ACCEL_KVM)[0], "LIBGUESTFS_BACKEND=direct");
    assert_null(accel_env(ACCEL_KVM)[1]);
    assert_string_equal(accel_env(ACCEL_TCG)[1], "LIBGUESTFS_BACKEND_SETTINGS=force_tcg");
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, clean_environment, scratch_remove)
    const struct CMUnitTest tests[] = {
        TEST(test_environment_decides),
        TEST(test_hanging_qemu_is_stopped_in_time),
        TEST(test_what_qemu_says_is_the_reason),
        TEST(test_boot_sector_runs_in_the_emulator),
        TEST(test_answer_is_remembered_until_qemu_changes),
        TEST(test_environment_for_children),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
