#include "engine/inventory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "vsphere-double.h"

static int
run(const char *start_text, json_t **ret_detail, struct err *err)
{
    auto_json json_t *start = json_loads(start_text, 0, NULL);
    assert_non_null(start);
    return inventory_run(start, &double_talk, ret_detail, err);
}

#define START(filter) "{\"endpoint\": {}, \"filter\": [" filter "]}"

static void
thousands_come_in_packets_that_fit(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    auto_json json_t *detail = NULL;
    vsphere.n_summaries = 5000;
    assert_int_equal(run(START(""), &detail, &err), 0); /* double_say looks at the sizes */
    assert_int_equal(json_get_int(detail, "machines", 0), 5000);
    assert_int_equal(json_get_int(detail, "shown", 0), 5000);
    assert_string_equal(json_get_str(detail, "about", ""), "VMware vCenter Server 8.0.3");
    size_t n = 0, n_packets = 0;
    for (json_t *packet; (packet = double_said("machines", n_packets)); n_packets++) {
        size_t i;
        json_t *machine;
        json_array_foreach (json_object_get(packet, "machines"), i, machine) {
            char name[64];
            snprintf(name, sizeof name, "web%05zu", ++n);
            assert_string_equal(json_get_str(machine, "name", ""), name);
        }
    }
    assert_int_equal(n, 5000);
    assert_true(n_packets > 10 && n_packets < 200);
}

static void
a_filter_leaves_out(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    auto_json json_t *detail = NULL;
    vsphere.n_summaries = 1000;
    assert_int_equal(run(START("\"web0000*\", \"power=on\""), &detail, &err), 0);
    assert_int_equal(json_get_int(detail, "machines", 0), 1000);
    assert_int_equal(json_get_int(detail, "shown", 0), 5);
    const json_t *first =
        json_array_get(json_object_get(double_said("machines", 0), "machines"), 0);
    assert_string_equal(json_get_str(first, "power", ""), "on");
    assert_int_equal(json_get_u64(first, "capacity_bytes", 0), (uint64_t)16 << 30);
    assert_string_equal(json_get_str(first, "readiness", ""), "ready");
}

static void
nothing_there_is_no_packet(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    auto_json json_t *detail = NULL;
    assert_int_equal(run(START(""), &detail, &err), 0);
    assert_null(double_said("machines", 0));
    assert_int_equal(json_get_int(detail, "machines", -1), 0);
}

static void
a_wrong_start_is_refused(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    json_t *detail = NULL;
    assert_int_equal(run(START("\"power=high\""), &detail, &err), -1);
    assert_int_equal(err.kind, ERR_INVALID);
    assert_int_equal(run("{\"filter\": []}", &detail, &err), -1);
}

static void
readiness_is_told_from_the_list(void **state)
{
    (void)state;
    const struct vmware_summary good = { .config_present = true, .n_disks = 1, .hw_version = 19 };
    struct vmware_summary s = good;
#define READY(word)                                                                                \
    assert_string_equal(inventory_readiness(&s), word);                                            \
    s = good
    READY("ready");
    s.connection = VMWARE_ORPHANED;
    READY("orphaned");
    s.config_present = false;
    READY("no configuration");
    s.power = VMWARE_SUSPENDED;
    READY("suspended");
    s.n_disks = 0;
    READY("no disks");
    s.template = true;
    READY("cold only");
    s.n_snapshots = 1;
    READY("cold only");
    s.hw_version = 4;
    READY("cold only");
    s.hw_version = 0;
    READY("ready");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, double_setup, double_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(thousands_come_in_packets_that_fit), TEST(a_filter_leaves_out),
        TEST(nothing_there_is_no_packet),         TEST(a_wrong_start_is_refused),
        TEST(readiness_is_told_from_the_list),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
