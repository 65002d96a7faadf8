#include "engine/check-cloudstack.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/checked.h"

#define FINDINGS_MAX 16

static size_t n_found;
static struct check_finding said[FINDINGS_MAX];

static void
note(const struct check_finding *finding, void *arg)
{
    (void)arg;
    assert_in_range(n_found, 0, FINDINGS_MAX - 1);
    said[n_found++] = *finding;
    assert_true(*finding->what && *finding->cause && *finding->cure);
    assert_int_equal(finding->level[CHECK_COLD], finding->level[CHECK_WARM]);
}

/* code NULL: nothing was found. Begins anew. */
static void
assert_said(const char *code, enum check_level level, const char *text)
{
    for (size_t i = 0; i < n_found; i++)
        if (!code || strcmp(said[i].code, code) != 0 || said[i].level[CHECK_COLD] != level ||
            !strstr(said[i].what, text))
            fail_msg("not '%s' but %s %s: %s", text, check_level_name(said[i].level[CHECK_COLD]),
                     said[i].code, said[i].what);
    assert_int_equal(n_found, code ? 1 : 0);
    n_found = 0;
}

/* A machine that fits, and a cloud that has room for it. */
static struct vmware_machine machine;
static struct cloudstack_about about;
static struct cloudstack_zone zone;
static struct cloudstack_cluster cluster;
static struct cloudstack_hosts hosts;
static struct cloudstack_offering offering;
static struct cloudstack_pool pool;
static struct cloudstack_disk_offering disk_offering;
static struct check_cloud cloud;

static int
setup(void **state)
{
    struct err err = ERR_INIT;
    (void)state;
    n_found = 0;
    machine = (struct vmware_machine){ .name = "web01", .vm = vm_new(&err) };
    assert_non_null(machine.vm);
    machine.vm->vcpus = 2;
    machine.vm->memory_bytes = 2 * GIB;
    for (unsigned i = 0; i < 2; i++) {
        struct vm_disk *disk = vm_add_disk(machine.vm, &err);
        assert_non_null(disk);
        disk->unit = i;
        disk->capacity_bytes = 10 * GIB;
    }
    about = (struct cloudstack_about){ .version = "4.22.1.0",
                                       .imports_shared = true,
                                       .imports_mount_points = true,
                                       .imports_volumes = true,
                                       .disk_min_gib = 1,
                                       .disk_max_gib = 1024 };
    zone = (struct cloudstack_zone){ { "z", "zone1" }, .enabled = true };
    cluster = (struct cloudstack_cluster){ { "c", "cluster1" }, "KVM", true };
    hosts = (struct cloudstack_hosts){ .n = 1, .n_uefi = 1 };
    offering = (struct cloudstack_offering){
        { "o", "big" }, .enabled = true, .cpus = 2, .memory_mib = 2048
    };
    pool =
        (struct cloudstack_pool){ { "p", "nfs1" },       "NetworkFilesystem", "Up",
                                  CLOUDSTACK_SCOPE_ZONE, .sized = true,       .size_bytes = TIB };
    disk_offering = (struct cloudstack_disk_offering){ { "d", "any" }, true, true };
    cloud = (struct check_cloud){ &machine,  &about, &zone, &cluster, &hosts,
                                  &offering, &pool,  false, note,     NULL };
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    vm_free(machine.vm);
    return 0;
}

static void
what_fits_is_passed_over(void **state)
{
    (void)state;
    const struct cloudstack_quota quota = { "the account 'bob'", { 1, 2, 2048, 2, 20 } };
    check_cloud_server("cs", false, CLOUDSTACK_SKEW_MAX_S, &about, note, NULL);
    check_cloud_place(&cloud);
    check_cloud_disk(&cloud, 0, &pool, NULL);
    check_cloud_disk(&cloud, 1, &pool, &disk_offering);
    check_cloud_disk(&cloud, 1, &pool, NULL);
    check_cloud_quota(&cloud, &quota);
    check_cloud_room(&pool, 20 * GIB, GIB, "the disks", note, NULL);
    assert_said(NULL, CHECK_NONE, "");
}

static void
the_place_is_enabled_and_of_kvm(void **state)
{
    (void)state;
    zone.enabled = false;
    check_cloud_place(&cloud);
    assert_said("cloudstack-zone", CHECK_WARNING, "zone1");
    zone.enabled = true;
    cluster.enabled = false;
    check_cloud_place(&cloud);
    assert_said("cloudstack-cluster", CHECK_ERROR, "disabled");
    cluster = (struct cloudstack_cluster){ { "c", "cluster1" }, "", true };
    check_cloud_place(&cloud);
    assert_said("cloudstack-cluster", CHECK_ERROR, "unknown kind");
    cloud.cluster = NULL;
    offering.enabled = false;
    check_cloud_place(&cloud);
    assert_said("cloudstack-offering", CHECK_ERROR, "not active");
    offering.enabled = offering.encrypts = true;
    check_cloud_place(&cloud);
    assert_said("cloudstack-offering", CHECK_ERROR, "encrypted");
}

static void
offerings_bound_what_they_leave_open(void **state)
{
    (void)state;
    offering = (struct cloudstack_offering){ { "o", "any" }, .enabled = true, .custom = true };
    check_cloud_place(&cloud);
    assert_said(NULL, CHECK_NONE, "");
    offering.min_memory_mib = 4096;
    offering.max_memory_mib = 8192;
    check_cloud_place(&cloud);
    assert_said("cloudstack-offering", CHECK_ERROR, "takes 4096 to 8192 MiB of memory");
    offering.min_memory_mib = offering.max_memory_mib = 0;
    offering.min_cpus = 3;
    check_cloud_place(&cloud);
    assert_said("cloudstack-offering", CHECK_ERROR, "CPUs");
    offering = (struct cloudstack_offering){ { "o", "s" }, .enabled = true, .cpus = 1 };
    check_cloud_place(&cloud);
    assert_said("cloudstack-offering", CHECK_WARNING, "has 1 CPUs, the machine 2");
}

static void
pools_are_of_a_type_that_is_taken_over_from(void **state)
{
    (void)state;
    static const struct {
        const char *type;
        size_t disk;
        bool old;
        enum check_level level;
        const char *text;
    } cases[] = {
        { "NetworkFilesystem", 0, true, CHECK_NONE, "" },
        { "SharedMountPoint", 0, false, CHECK_NONE, "" },
        { "SharedMountPoint", 0, true, CHECK_ERROR, "since 4.22.1" },
        { "RBD", 0, false, CHECK_ERROR, "boot disk" },
        { "RBD", 1, false, CHECK_NONE, "" },
        { "Filesystem", 1, false, CHECK_WARNING, "one host" },
        { "Linstor", 1, false, CHECK_ERROR, "Linstor" },
        { "", 0, false, CHECK_ERROR, "(none)" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        snprintf(pool.type, sizeof pool.type, "%s", cases[i].type);
        about.imports_mount_points = !cases[i].old;
        check_cloud_disk(&cloud, cases[i].disk, &pool, NULL);
        assert_said(cases[i].level ? "cloudstack-pool" : NULL, cases[i].level, cases[i].text);
    }
}

static void
pools_go_with_hypervisor_cluster_and_scope(void **state)
{
    (void)state;
    struct cloudstack_pool other = pool;
    snprintf(other.hypervisor, sizeof other.hypervisor, "VMware");
    check_cloud_disk(&cloud, 0, &other, NULL);
    assert_said("cloudstack-pool", CHECK_ERROR, "for VMware");
    snprintf(other.hypervisor, sizeof other.hypervisor, "Any");
    check_cloud_disk(&cloud, 0, &other, NULL);
    assert_said(NULL, CHECK_NONE, "");
    snprintf(other.cluster, sizeof other.cluster, "c");
    other.scope = CLOUDSTACK_SCOPE_CLUSTER;
    check_cloud_disk(&cloud, 1, &other, NULL);
    assert_said("cloudstack-pool", CHECK_WARNING, "copies the disk");
    snprintf(other.cluster, sizeof other.cluster, "c2");
    check_cloud_disk(&cloud, 0, &other, NULL);
    assert_said("cloudstack-pool", CHECK_ERROR, "another cluster");
    other = pool;
    other.scope = CLOUDSTACK_SCOPE_HOST;
    check_cloud_disk(&cloud, 0, &other, NULL);
    assert_said("cloudstack-offering", CHECK_ERROR, "shared storage, and pool 'nfs1' is local");
    disk_offering.local = true;
    check_cloud_disk(&cloud, 1, &pool, &disk_offering);
    assert_said("cloudstack-disk-offering", CHECK_ERROR, "local storage");
}

static void
a_pool_has_all_tags(void **state)
{
    (void)state;
    static const struct {
        const char *wanted, *has, *lacks;
    } cases[] = {
        { "", "", NULL },         { "ssd", "ssd", NULL },    { "b, a", "a,b,c", NULL },
        { "ssd", "ssd2", "ssd" }, { "ssd2", "ssd", "ssd2" }, { "a,b", "a", "'b'" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        snprintf(offering.tags, sizeof offering.tags, "%s", cases[i].wanted);
        snprintf(pool.tags, sizeof pool.tags, "%s", cases[i].has);
        check_cloud_disk(&cloud, 0, &pool, NULL);
        assert_said(cases[i].lacks ? "cloudstack-tags" : NULL, CHECK_ERROR, cases[i].lacks);
    }
    pool.tags_are_rule = true;
    check_cloud_disk(&cloud, 0, &pool, NULL);
    assert_said(NULL, CHECK_NONE, "");
}

static void
sizes_are_in_whole_gib(void **state)
{
    (void)state;
    uint64_t *bytes = &machine.vm->disks[1].capacity_bytes;
    *bytes = GIB - 512;
    check_cloud_disk(&cloud, 1, &pool, NULL);
    assert_said("cloudstack-disk-offering", CHECK_ERROR, "1 to 1024 GiB");
    *bytes = 1025 * GIB - 512; /* 1024, floored */
    check_cloud_disk(&cloud, 1, &pool, &disk_offering);
    assert_said(NULL, CHECK_NONE, "");
    *bytes = 1025 * GIB;
    check_cloud_disk(&cloud, 1, &pool, &disk_offering);
    assert_said("cloudstack-disk-offering", CHECK_ERROR, "1024 GiB");
    disk_offering.custom = false;
    disk_offering.size_gib = 1025;
    check_cloud_disk(&cloud, 1, &pool, &disk_offering);
    assert_said(NULL, CHECK_NONE, "");
    about.imports_volumes = false;
    check_cloud_disk(&cloud, 1, &pool, &disk_offering);
    assert_said("cloudstack-import", CHECK_ERROR, "importVolume");
    check_cloud_disk(&cloud, 0, &pool, NULL);
    assert_said(NULL, CHECK_NONE, "");
}

static void
limits_are_compared_with_what_it_gets(void **state)
{
    (void)state;
    struct cloudstack_quota quota = { "the domain 'ROOT'", { -1, -1, -1, -1, 19 } };
    check_cloud_quota(&cloud, &quota);
    assert_said("cloudstack-quota", CHECK_ERROR, "19 more GiB of primary storage");
    quota = (struct cloudstack_quota){ "the domain 'ROOT'", { 0, -1, -1, -1, -1 } };
    check_cloud_quota(&cloud, &quota);
    assert_said("cloudstack-quota", CHECK_ERROR, "0 more machines");
    offering.cpus = 8; /* counts, not the machine's 2 */
    quota = (struct cloudstack_quota){ "the domain 'ROOT'", { -1, 7, -1, -1, -1 } };
    check_cloud_quota(&cloud, &quota);
    assert_said("cloudstack-quota", CHECK_ERROR, "7 more CPUs, and the machine needs 8");
}

static void
the_server_is_judged(void **state)
{
    (void)state;
    check_cloud_server("cs", false, -CLOUDSTACK_SKEW_MAX_S - 1, &about, note, NULL);
    assert_said("cloudstack-clock", CHECK_WARNING, "301 s behind the one here");
    check_cloud_server("cs", false, CLOUDSTACK_SKEW_MAX_S + 1, &about, note, NULL);
    assert_said("cloudstack-clock", CHECK_WARNING, "301 s ahead of the one here");
    check_cloud_server("cs", true, 0, &about, note, NULL);
    assert_said("cloudstack-plain", CHECK_WARNING, "HTTP");
    const struct cloudstack_owner owner = { .project = "p", .enabled = false };
    check_cloud_owner(&owner, note, NULL);
    assert_said("cloudstack-owner", CHECK_ERROR, "project");
    pool.sized = false;
    check_cloud_room(&pool, 2 * TIB, TIB, "the disks", note, NULL);
    assert_said(NULL, CHECK_NONE, "");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_fits_is_passed_over, setup, teardown),
        cmocka_unit_test_setup_teardown(the_place_is_enabled_and_of_kvm, setup, teardown),
        cmocka_unit_test_setup_teardown(offerings_bound_what_they_leave_open, setup, teardown),
        cmocka_unit_test_setup_teardown(pools_are_of_a_type_that_is_taken_over_from, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(pools_go_with_hypervisor_cluster_and_scope, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_pool_has_all_tags, setup, teardown),
        cmocka_unit_test_setup_teardown(sizes_are_in_whole_gib, setup, teardown),
        cmocka_unit_test_setup_teardown(limits_are_compared_with_what_it_gets, setup, teardown),
        cmocka_unit_test_setup_teardown(the_server_is_judged, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
