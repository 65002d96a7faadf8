#include "engine/check-run.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/checked.h"
#include "vsphere-double.h"

static struct vmware_machine *
add_machine(const char *name, const char *host)
{
    struct err err = ERR_INIT;
    struct vmware_machine *m = calloc(1, sizeof *m);
    assert_non_null(m);
    m->vm = vm_new(&err);
    assert_non_null(m->vm);
    assert_non_null(vm_add_disk(m->vm, &err));
    m->vm->disks[0].capacity_bytes = 16 * GIB;
    snprintf(m->moref, sizeof m->moref, "vm-%zu", vsphere.n_machines);
    m->name = name;
    m->path = name;
    m->host_moref = host;
    m->host_name = host;
    m->config_present = true;
    m->hw_version = 19;
    m->cbt_supported = m->cbt_enabled = m->tools_running = true;
    m->committed_bytes = GIB;
    m->n_disks = 1;
    m->disks[0] = (struct vmware_disk){
        .file = "[ds] a/a.vmdk",
        .capacity_bytes = 16 * GIB,
        .datastore = "datastore-1",
        .datastore_name = "ds",
        .datastore_known = true,
        .datastore_free_bytes = TIB,
    };
    vsphere.machines[vsphere.n_machines++] = m;
    return m;
}

static struct vmware_host *
add_host(const char *name)
{
    struct vmware_host *host = &vsphere.hosts[vsphere.n_hosts++];
    *host = (struct vmware_host){
        .moref = name, .name = name, .version = "8.0.3", .build = "24022510", .connected = true
    };
    return host;
}

/* machines, and further keys of the start message. */
static json_t *
check(const char *machines, const char *more)
{
    char text[1024];
    struct err err = ERR_INIT;
    json_t *detail = NULL;
    snprintf(text, sizeof text, "{\"endpoint\": {\"server\": \"vc\"}, \"machines\": [%s]%s%s}",
             machines, *more ? ", " : "", more);
    auto_json json_t *start = json_loads(text, 0, NULL);
    assert_non_null(start);
    if (check_run(start, &double_talk, &detail, &err) < 0)
        fail_msg("%s", err.text);
    return detail;
}

static void
assert_sums(const json_t *detail, int machines, int blocked)
{
    assert_int_equal(json_get_int(detail, "machines", -1), machines);
    assert_int_equal(json_get_int(detail, "blocked", -1), blocked);
}

static size_t
count_said(const char *code)
{
    size_t n = 0;
    json_t *finding;
    for (size_t i = 0; (finding = double_said("finding", i)); i++)
        n += strcmp(json_get_str(finding, "code", ""), code) == 0;
    return n;
}

static const json_t *
said(const char *code)
{
    json_t *finding;
    for (size_t i = 0; (finding = double_said("finding", i)); i++)
        if (strcmp(json_get_str(finding, "code", ""), code) == 0)
            return finding;
    fail_msg("%s was not said", code);
    return NULL;
}

/* ---- verdicts ---- */

static void
plain_machines_can_go_both_ways(void **state)
{
    (void)state;
    add_host("esx1");
    add_machine("web01", "esx1");
    add_machine("web02", "esx1");
    auto_json json_t *detail = check("", "");
    assert_sums(detail, 2, 0);
    assert_null(double_said("finding", 0));
    const json_t *machine = double_said("machine", 1);
    assert_string_equal(json_get_str(machine, "machine", ""), "vm-1");
    assert_string_equal(json_get_str(machine, "name", ""), "web02");
    assert_true(json_get_bool(machine, "cold", false) && json_get_bool(machine, "warm", false));
    assert_true(json_is_null(json_object_get(machine, "failure")));
}

static void
what_stops_one_way_blocks_only_who_wants_it(void **state)
{
    static const struct {
        const char *more, *level;
        int blocked;
    } cases[] = {
        { "", "warning", 0 },
        { "\"mode\": \"any\"", "warning", 0 },
        { "\"mode\": \"cold\"", "warning", 0 }, /* of its own: VDDK does not open it */
        { "\"mode\": \"warm\"", "error", 1 },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        double_setup(state);
        add_host("esx1");
        add_machine("web01", "esx1")->disks[0].mode = VMWARE_MODE_INDEPENDENT_PERSISTENT;
        auto_json json_t *detail = check("", cases[i].more);
        assert_sums(detail, 1, cases[i].blocked);
        const json_t *finding = said("independent-disk");
        assert_string_equal(json_get_str(finding, "level", ""), cases[i].level);
        assert_string_equal(json_get_str(finding, "cold", ""), "warning");
        assert_string_equal(json_get_str(finding, "warm", ""), "error");
        assert_string_equal(json_get_str(finding, "subject", ""), "scsi0:0");
        assert_string_equal(json_get_str(finding, "machine", ""), "vm-0");
        assert_true(json_get_bool(double_said("machine", 0), "cold", false));
        assert_false(json_get_bool(double_said("machine", 0), "warm", true));
        double_teardown(state);
    }
    double_setup(state);
}

static void
what_is_of_no_matter_for_the_way_is_not_said(void **state)
{
    (void)state;
    add_host("esx1");
    add_machine("web01", "esx1")->cbt_enabled = false;
    auto_json json_t *detail = check("", "\"mode\": \"cold\"");
    assert_int_equal(count_said("cbt-off"), 0);
    auto_json json_t *again = check("", "\"mode\": \"warm\"");
    assert_int_equal(count_said("cbt-off"), 1);
}

static void
some_of_several(void **state)
{
    (void)state;
    add_host("esx1");
    add_machine("good", "esx1");
    add_machine("bad", "esx1")->power = VMWARE_SUSPENDED;
    auto_json json_t *detail = check("", "");
    assert_sums(detail, 2, 1);
    assert_int_equal(json_get_int(detail, "errors", 0), 1);
    assert_true(json_get_bool(double_said("machine", 1), "blocked", false));
    assert_int_equal(json_get_int(double_said("machine", 1), "errors", 0), 1);
}

/* ---- which machines ---- */

static void
names_are_looked_for(void **state)
{
    (void)state;
    add_host("esx1");
    add_machine("web01", "esx1");
    add_machine("twin", "esx1");
    add_machine("twin", "esx1");
    auto_json json_t *detail = check("\"none\", \"web01\", \"twin\"", "");
    assert_sums(detail, 3, 2);
    assert_non_null(strstr(json_get_str(double_said("machine", 0), "failure", ""), "no such"));
    assert_true(json_is_null(json_object_get(double_said("machine", 1), "failure")));
    assert_non_null(strstr(json_get_str(double_said("machine", 2), "failure", ""), "several"));
}

static void
a_filter_chooses(void **state)
{
    (void)state;
    add_host("esx1");
    add_machine("web01", "esx1");
    add_machine("db01", "esx1");
    auto_json json_t *detail = check("", "\"filter\": [\"db*\"]");
    assert_sums(detail, 1, 0);
    assert_string_equal(json_get_str(double_said("machine", 0), "name", ""), "db01");
}

static void
service_machines_are_left_out_unless_named(void **state)
{
    (void)state;
    add_host("esx1");
    add_machine("web01", "esx1");
    add_machine("vCLS-1", "esx1")->managed_by = "com.vmware.vim.eam";
    auto_json json_t *all = check("", "");
    assert_sums(all, 1, 0);
    auto_json json_t *named = check("\"vCLS-1\"", "");
    assert_sums(named, 1, 1);
}

static void
who_vanishes_meanwhile_is_no_failure(void **state)
{
    (void)state;
    add_host("esx1");
    add_machine("web01", "esx1");
    add_machine("web02", "esx1");
    vsphere.vanish = 0;
    auto_json json_t *detail = check("", "");
    assert_sums(detail, 1, 0);
}

static void
it_stops_when_it_is_told_to(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    json_t *detail = NULL;
    add_host("esx1");
    for (int i = 0; i < 5; i++)
        add_machine("web", "esx1");
    vsphere.cancel_after = 2;
    auto_json json_t *start = json_loads("{\"endpoint\": {}}", 0, NULL);
    assert_int_equal(check_run(start, &double_talk, &detail, &err), -1);
    assert_int_equal(err.kind, ERR_CANCELLED);
    assert_non_null(double_said("machine", 0));
    assert_null(double_said("machine", 3));
}

static void
a_wrong_start_is_refused(void **state)
{
    (void)state;
    static const char *const starts[] = {
        "{}",
        "{\"endpoint\": {}, \"mode\": \"hot\"}",
        "{\"endpoint\": {}, \"transport\": \"pigeon\"}",
        "{\"endpoint\": {}, \"nfc_port\": 0}",
        "{\"endpoint\": {}, \"machines\": {}}",
        "{\"endpoint\": {}, \"machines\": [1]}",
        "{\"endpoint\": {}, \"filter\": [1]}",
    };
    for (size_t i = 0; i < ARRAY_LEN(starts); i++) {
        struct err err = ERR_INIT;
        json_t *detail = NULL;
        auto_json json_t *start = json_loads(starts[i], 0, NULL);
        assert_int_equal(check_run(start, &double_talk, &detail, &err), -1);
        assert_int_equal(err.kind, ERR_INVALID);
    }
}

static void
one_that_cannot_be_read_does_not_hide_the_others(void **state)
{
    (void)state;
    add_host("esx1");
    add_machine("web01", "esx1");
    add_machine("odd", "esx1");
    add_machine("hidden", "esx1");
    add_machine("web02", "esx1");
    vsphere.odd = 1;
    vsphere.hidden = 2;
    static const char *const asked[] = { "", "\"web01\", \"odd\", \"hidden\", \"web02\"" };
    for (size_t i = 0; i < ARRAY_LEN(asked); i++) {
        json_array_clear(vsphere.said);
        auto_json json_t *detail = check(asked[i], "");
        assert_sums(detail, 4, 2);
        static const char *const failures[] = { NULL, "0 processors", "may not be seen", NULL };
        for (size_t m = 0; m < ARRAY_LEN(failures); m++) {
            const char *failure = json_get_str(double_said("machine", m), "failure", "none");
            if (!strstr(failure, failures[m] ? failures[m] : "none"))
                fail_msg("%s", failure);
        }
    }
}

/* ---- around them ---- */

static void
a_host_is_tried_and_named_once_and_stops_all_on_it(void **state)
{
    (void)state;
    add_host("esx1");
    add_host("esx2")->in_maintenance = true;
    add_machine("web01", "esx1");
    add_machine("web02", "esx2");
    add_machine("web03", "esx2");
    auto_json json_t *detail = check("", "\"mode\": \"warm\"");
    assert_sums(detail, 3, 2);
    assert_int_equal(count_said("host-maintenance"), 1);
    for (size_t i = 1; i < 3; i++) {
        const json_t *codes = json_object_get(double_said("machine", i), "stopped_by");
        assert_int_equal(json_array_size(codes), 1);
        assert_string_equal(json_string_value(json_array_get(codes, 0)), "host-maintenance");
    }
    assert_string_equal(json_get_str(said("host-maintenance"), "subject", ""), "esx2");
    assert_int_equal(vsphere.n_resolved, 2);
}

static void
a_closed_port_stops_what_goes_through_it(void **state)
{
    static const struct {
        unsigned port;
        const char *more;
        bool cold, warm;
    } cases[] = {
        { 902, "", true, true },
        { 902, "\"transport\": \"vddk\"", false, false },
        { 902, "\"transport\": \"https\"", true, true },
        { 903, "\"transport\": \"vddk\", \"nfc_port\": 903", false, false },
        { 443, "\"transport\": \"export\"", false, false },
        { 22, "\"transport\": \"ssh\"", false, false },
        { 22, "", true, true },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        double_setup(state);
        add_host("esx1");
        add_machine("web01", "esx1");
        vsphere.closed_port = cases[i].port;
        auto_json json_t *detail = check("", cases[i].more);
        const json_t *machine = double_said("machine", 0);
        print_message("case %zu\n", i);
        assert_int_equal(json_get_bool(machine, "cold", false), cases[i].cold);
        /* Without VDDK and HTTPS among the transports there is no warm migration anyway. */
        bool able = !strstr(cases[i].more, "transport") || strstr(cases[i].more, "vddk") ||
                    strstr(cases[i].more, "https");
        assert_int_equal(json_get_bool(machine, "warm", false), cases[i].warm && able);
        double_teardown(state);
    }
    double_setup(state);
}

static void
a_name_that_nobody_knows(void **state)
{
    (void)state;
    add_host("esx1");
    add_machine("web01", "esx1");
    vsphere.unknown_host = "esx1";
    auto_json json_t *detail = check("", "");
    assert_sums(detail, 1, 0);
    assert_string_equal(json_get_str(said("host-name"), "cold", ""), "warning");
    assert_string_equal(json_get_str(said("host-name"), "warm", ""), "warning");
    /* A host that we are logged in to has the name that the user gave. */
    double_teardown(state);
    double_setup(state);
    vsphere.vcenter = false;
    add_host("esx1");
    add_machine("web01", "esx1");
    vsphere.unknown_host = "esx1";
    auto_json json_t *direct = check("", "");
    assert_int_equal(count_said("host-name"), 0);
}

static void
what_the_user_may_not_do(void **state)
{
    (void)state;
    add_host("esx1");
    add_machine("web01", "esx1");
    vsphere.lacking = "VirtualMachine.State.CreateSnapshot Datastore.Browse";
    auto_json json_t *detail = check("", "");
    assert_sums(detail, 1, 0);
    assert_int_equal(count_said("privilege"), 2);
    assert_false(json_get_bool(double_said("machine", 0), "warm", true));
    auto_json json_t *https = check("", "\"transport\": \"https\"");
    assert_sums(https, 1, 1);
}

static void
a_server_that_cannot_tell_rights_is_taken_as_it_is(void **state)
{
    (void)state;
    add_host("esx1");
    add_machine("web01", "esx1");
    vsphere.cannot_tell = true;
    auto_json json_t *detail = check("", "");
    assert_sums(detail, 1, 0);
    assert_int_equal(count_said("privilege"), 0);
}

static void
without_vddk_a_warm_migration_reads_over_https(void **state)
{
    (void)state;
    add_host("esx1");
    add_machine("web01", "esx1");
    add_machine("linked", "esx1")->disks[0].has_parent = true;
    vsphere.no_vddk = true;
    auto_json json_t *detail = check("", "");
    assert_sums(detail, 2, 0);
    assert_true(json_is_null(json_object_get(said("vddk"), "machine")));
    assert_string_equal(json_get_str(said("vddk"), "level", ""), "info");
    assert_true(json_get_bool(double_said("machine", 0), "warm", false));
    /* What only VDDK and export can read. */
    assert_true(json_get_bool(double_said("machine", 1), "cold", false));
    assert_false(json_get_bool(double_said("machine", 1), "warm", true));
    auto_json json_t *warm = check("", "\"mode\": \"warm\"");
    assert_sums(warm, 2, 1);
    auto_json json_t *vddk = check("", "\"transport\": \"vddk\"");
    assert_sums(vddk, 2, 2);
    assert_int_equal(count_said("vddk"), 3);
    auto_json json_t *https = check("", "\"transport\": \"https\"");
    assert_int_equal(count_said("vddk"), 3);
}

static void
a_free_licence_only_reads(void **state)
{
    (void)state;
    vsphere.vcenter = false;
    vsphere.read_only = true;
    add_host("esx1");
    add_machine("web01", "esx1");
    auto_json json_t *detail = check("", "\"mode\": \"cold\"");
    assert_sums(detail, 1, 0);
    assert_string_equal(json_get_str(said("free-licence"), "warm", ""), "error");
}

static void
the_target_must_have_room(void **state)
{
    (void)state;
    add_host("esx1");
    add_machine("web01", "esx1");
    auto_json json_t *good = check("", "\"target\": \"/var/tmp\"");
    assert_sums(good, 1, 0);
    vsphere.machines[0]->disks[0].capacity_bytes = 512 * TIB;
    vsphere.machines[0]->committed_bytes = 256 * TIB;
    auto_json json_t *full = check("", "\"target\": \"/var/tmp\"");
    assert_sums(full, 1, 1);
    assert_string_equal(json_get_str(said("target-room"), "level", ""), "error");
    vsphere.machines[0]->disks[0].capacity_bytes = GIB;
    auto_json json_t *none = check("", "\"target\": \"/nowhere\"");
    assert_sums(none, 1, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, double_setup, double_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(plain_machines_can_go_both_ways),
        TEST(what_is_of_no_matter_for_the_way_is_not_said),
        TEST(some_of_several),
        TEST(one_that_cannot_be_read_does_not_hide_the_others),
        TEST(names_are_looked_for),
        TEST(a_filter_chooses),
        TEST(service_machines_are_left_out_unless_named),
        TEST(who_vanishes_meanwhile_is_no_failure),
        TEST(it_stops_when_it_is_told_to),
        TEST(a_wrong_start_is_refused),
        TEST(a_host_is_tried_and_named_once_and_stops_all_on_it),
        TEST(a_name_that_nobody_knows),
        TEST(what_the_user_may_not_do),
        TEST(a_server_that_cannot_tell_rights_is_taken_as_it_is),
        TEST(without_vddk_a_warm_migration_reads_over_https),
        TEST(a_free_licence_only_reads),
        TEST(the_target_must_have_room),
        cmocka_unit_test_teardown(what_stops_one_way_blocks_only_who_wants_it, double_teardown),
        cmocka_unit_test_teardown(a_closed_port_stops_what_goes_through_it, double_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
