#include "engine/job.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/checked.h"
#include "model/spec-fields.h"
#include "model/spec.h"

#define GOOD                                                                                       \
    "{\"action\":\"migrate\",\"input\":{\"kind\":\"disk\",\"paths\":[\"a\",\"b\"]},"               \
    "\"output\":{\"kind\":\"local\",\"dir\":\"/"                                                   \
    "o\",\"disk_format\":\"raw\",\"preallocated\":true},"                                          \
    "\"convert\":{\"wanted\":false,\"memsize_mib\":512,\"virtio_win\":\"/"                         \
    "w.iso\"},\"keys\":[\"all:key:x\"],"                                                           \
    "\"limit_bytes_s\":7}"

static void
what_is_asked_is_read(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    auto_json json_t *start = json_parse_object(GOOD, strlen(GOOD), &err);
    auto_job struct job job = { 0 };
    assert_int_equal(job_parse(start, &job, &err), 0);
    assert_int_equal(job.input, JOB_INPUT_DISK);
    assert_int_equal(job.n_paths, 2);
    assert_string_equal(job.paths[1], "b");
    assert_null(job.paths[2]);
    assert_ptr_equal(job.platform, &platform_local);
    assert_true(job.preallocated);
    assert_false(job.convert);
    assert_int_equal(job.memsize_mib, 512);
    assert_string_equal(job.virtio_win, "/w.iso");
    assert_string_equal(job.keys[0], "all:key:x");
    assert_null(job.macs[0]);
    assert_true(job.limit_bytes_s == 7);
}

static void
a_machine_elsewhere_is_read(void **state)
{
    (void)state;
    static const char text[] =
        "{\"action\":\"describe\",\"input\":{\"kind\":\"vsphere\",\"vm\":\"web\","
        "\"endpoint\":{\"server\":\"vc\"},\"transport\":\"export\",\"snapshot\":true,"
        "\"vddk\":{\"libdir\":\"/l\"},\"ssh\":{\"user\":\"ann\",\"port\":2222}},"
        "\"output\":{\"kind\":\"null\",\"disk_format\":\"raw\"},\"convert\":{}}";
    struct err err = ERR_INIT;
    auto_json json_t *start = json_parse_object(text, strlen(text), &err);
    auto_job struct job job = { 0 };
    assert_int_equal(job_parse(start, &job, &err), 0);
    assert_int_equal(job.input, JOB_INPUT_VSPHERE);
    assert_string_equal(job_source_text(&job), "web");
    assert_int_equal(job.vsphere.transport, JOB_TRANSPORT_EXPORT);
    assert_true(job.vsphere.snapshot);
    assert_int_equal(job.vsphere.nfc_port, 902);
    assert_string_equal(job.vsphere.libdir, "/l");
    assert_string_equal(job.ssh.user, "ann");
    assert_int_equal(job.ssh.port, 2222);
    assert_null(job.ssh.host);
}

#define VSPHERE                                                                                    \
    "{\"action\":\"migrate\",\"input\":{\"kind\":\"vsphere\",\"vm\":\"web\","                      \
    "\"endpoint\":{\"server\":\"vc\"}},\"output\":{\"kind\":\"null\",\"disk_format\":\"raw\","     \
    "\"start\":true},"                                                                             \
    "\"convert\":{},"

static void
a_warm_one_is_read(void **state)
{
    (void)state;
    static const char text[] = VSPHERE
        "\"id\":\"4f1c\",\"journal\":true,\"state\":{\"version\":1},\"attempt\":2,\"history\":{"
        "\"converting\":{\"seconds\":61,\"n\":3}},"
        "\"warm\":{\"interval_s\":60,\"finalize_at\":1764468000,\"settle_s\":null,"
        "\"shutdown\":\"manual\",\"quiesce\":\"true\"},"
        "\"verify\":\"sample\",\"parallel_disks\":3}";
    struct err err = ERR_INIT;
    auto_json json_t *start = json_parse_object(text, strlen(text), &err);
    auto_job struct job job = { 0 };
    assert_int_equal(job_parse(start, &job, &err), 0);
    assert_true(job.warm.wanted && job.journal && job.start);
    assert_string_equal(job.id, "4f1c");
    assert_int_equal(job.attempt, 2);
    assert_int_equal(job.parallel_disks, 3);
    assert_int_equal(job.convert_seconds, 61);
    assert_int_equal(job.warm.interval_s, 60);
    assert_int_equal(job.warm.finalize_at, 1764468000);
    assert_int_equal(job.warm.finalize_interval_s, 30);
    assert_int_equal(job.warm.finalize_window_s, 600);
    assert_int_equal(job.warm.settle_s, -1);
    assert_int_equal(job.warm.shutdown, JOB_SHUTDOWN_MANUAL);
    assert_int_equal(job.warm.quiesce, JOB_QUIESCE_MUST);
    assert_int_equal(job.verify, JOB_VERIFY_SAMPLE);
    assert_true(job.warm.power_on_after_failure);
}

static void
what_a_spec_may_say_can_be_carried_out(void **state)
{
    (void)state;
    char text[512];
    snprintf(text, sizeof text,
             VSPHERE "\"warm\":{\"interval_s\":%" PRId64 ",\"finalize_window_s\":%" PRId64
                     ",\"settle_s\":%" PRId64 "},\"parallel_disks\":%d}",
             SPEC_MAX_SECONDS, SPEC_MAX_SECONDS, SPEC_MAX_SECONDS, SPEC_MAX_PARALLEL_DISKS);
    struct err err = ERR_INIT;
    auto_json json_t *start = json_parse_object(text, strlen(text), &err);
    auto_job struct job job = { 0 };
    if (job_parse(start, &job, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(job.warm.interval_s, SPEC_MAX_SECONDS);
    assert_int_equal(job.parallel_disks, SPEC_MAX_PARALLEL_DISKS);
}

static void
complains(const char *text, const char *complaint)
{
    struct err err = ERR_INIT;
    auto_json json_t *start = json_parse_object(text, strlen(text), &err);
    auto_job struct job job = { 0 };
    assert_non_null(start);
    assert_int_equal(job_parse(start, &job, &err), -1);
    assert_int_equal(err.kind, ERR_INVALID);
    if (!strstr(err.text, complaint))
        fail_msg("'%s' is not in '%s'", complaint, err.text);
}

static void
what_is_wrong_with_a_warm_one_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *text, *complaint;
    } cases[] = {
        { VSPHERE "\"warm\":{\"shutdown\":\"soon\"}}", "'warm.shutdown': no such word: soon" },
        { VSPHERE "\"warm\":{\"quiesce\":\"maybe\"}}", "'warm.quiesce'" },
        { VSPHERE "\"verify\":\"all\"}", "'verify'" },
        { VSPHERE "\"warm\":{\"interval_s\":-1}}", "'warm.interval_s'" },
        { VSPHERE "\"warm\":{\"settle_s\":99999999}}", "'warm.settle_s'" },
        { VSPHERE "\"parallel_disks\":0}", "'parallel_disks'" },
        { VSPHERE "\"parallel_disks\":65}", "'parallel_disks'" },
        { "{\"action\":\"migrate\",\"input\":{\"kind\":\"disk\",\"paths\":[\"a\"]},\"output\":"
          "{\"kind\":\"null\",\"disk_format\":\"raw\"},\"convert\":{},\"warm\":{}}",
          "only machines of a vCenter" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        complains(cases[i].text, cases[i].complaint);
}

static void
a_libvirt_as_destination_is_read(void **state)
{
    (void)state;
    static const char text[] =
        "{\"action\":\"migrate\",\"id\":\"4f1c0a9be2d7\","
        "\"input\":{\"kind\":\"ova\",\"paths\":[\"a\"]},\"output\":{\"kind\":\"libvirt\","
        "\"uri\":\"qemu:///system\",\"pool\":\"big\",\"dir\":null,"
        "\"networks\":{\"VM Network\":\"default\"},\"disk_format\":\"raw\"},\"convert\":{}}";
    struct err err = ERR_INIT;
    auto_json json_t *start = json_parse_object(text, strlen(text), &err);
    auto_job struct job job = { 0 };
    assert_int_equal(job_parse(start, &job, &err), 0);
    assert_ptr_equal(job.platform, &platform_libvirt);
    assert_string_equal(job.id, "4f1c0a9be2d7");
    assert_string_equal(job.uri, "qemu:///system");
    assert_string_equal(job.pool, "big");
    assert_null(job.dir);
    assert_string_equal(json_get_str(job.network_map, "VM Network", ""), "default");
}

static void
what_is_wrong_is_named(void **state)
{
    (void)state;
#define IN "\"input\":{\"kind\":\"ova\",\"paths\":[\"a\"]},"
#define TO(output)                                                                                 \
    "{\"action\":\"migrate\"," IN "\"output\":{" output ",\"disk_format\":\"raw\"},\"convert\":{}" \
    "}"
#define OUT "\"output\":{\"kind\":\"null\",\"disk_format\":\"raw\"},"
    static const struct {
        const char *text, *complaint;
    } cases[] = {
        { "{}", "'action'" },
        { "{\"action\":\"fly\"}", "no such action: fly" },
        { "{\"action\":\"migrate\"}", "'kind'" },
        { "{\"action\":\"migrate\",\"input\":{\"kind\":\"x\",\"paths\":[\"a\"]}}", "input: x" },
        { "{\"action\":\"migrate\",\"input\":{\"kind\":\"ova\",\"paths\":[]}}", "'input.paths'" },
        { "{\"action\":\"migrate\",\"input\":{\"kind\":\"ova\",\"paths\":[\"a\",\"b\"]}}",
          "'input.paths'" },
        { "{\"action\":\"migrate\",\"input\":{\"kind\":\"ova\",\"paths\":[1]}}", "not a string" },
        { "{\"action\":\"migrate\",\"input\":{\"kind\":\"ova\",\"paths\":\"a\"}}", "not a list" },
        { "{\"action\":\"migrate\",\"input\":{\"kind\":\"xen-ssh\",\"vm\":\"a\"}}", "'host'" },
        { "{\"action\":\"migrate\",\"input\":{\"kind\":\"xen-ssh\",\"host\":\"a\"}}", "'vm'" },
        { "{\"action\":\"migrate\",\"input\":{\"kind\":\"vsphere\",\"vm\":\"a\"}}",
          "'input.endpoint'" },
        { "{\"action\":\"migrate\",\"input\":{\"kind\":\"vsphere\",\"vm\":\"a\",\"endpoint\":{},"
          "\"transport\":\"nfs\"}}",
          "no such transport: nfs" },
        { "{\"action\":\"migrate\",\"input\":{\"kind\":\"vsphere\",\"vm\":\"a\",\"endpoint\":{},"
          "\"nfc_port\":65536}}",
          "'input.nfc_port'" },
        { "{\"action\":\"migrate\"," IN "\"output\":{\"kind\":\"x\",\"disk_format\":\"raw\"}}",
          "no such destination" },
        { "{\"action\":\"migrate\"," IN "\"output\":{\"kind\":\"null\",\"disk_format\":\"vmdk\"}}",
          "vmdk" },
        { "{\"action\":\"migrate\"," IN "\"output\":{\"kind\":\"local\",\"disk_format\":\"raw\"}}",
          "'output.dir'" },
        { "{\"action\":\"migrate\"," IN "\"output\":{\"kind\":\"null\",\"disk_format\":\"qcow2\","
          "\"preallocated\":true}}",
          "raw disks" },
        { "{\"action\":\"migrate\"," IN OUT "\"x\":1}", "'convert'" },
        { TO("\"kind\":\"null\",\"pool\":\"p\""), "'output.pool' is not for 'null'" },
        { TO("\"kind\":\"local\",\"dir\":\"/d\",\"uri\":\"u\""), "'output.uri' is not for" },
        { TO("\"kind\":\"libvirt\""), "'output.dir' or 'output.pool' is missing" },
        { TO("\"kind\":\"libvirt\",\"pool\":\"p\",\"dir\":\"/d\""), "both" },
        { TO("\"kind\":\"libvirt\",\"pool\":\"p\",\"networks\":{\"VM Network\":1}"),
          "'VM Network' is mapped to no name" },
        { TO("\"kind\":\"libvirt\",\"pool\":\"p\",\"networks\":[\"a\"]"), "is no object" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        complains(cases[i].text, cases[i].complaint);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_asked_is_read),
        cmocka_unit_test(a_machine_elsewhere_is_read),
        cmocka_unit_test(a_warm_one_is_read),
        cmocka_unit_test(what_a_spec_may_say_can_be_carried_out),
        cmocka_unit_test(what_is_wrong_with_a_warm_one_is_named),
        cmocka_unit_test(a_libvirt_as_destination_is_read),
        cmocka_unit_test(what_is_wrong_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
