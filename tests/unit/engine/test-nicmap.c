#include "engine/nicmap.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/checked.h"

#define NONE ((const char *[]){ NULL })
#define LIST(...) ((const char *[]){ __VA_ARGS__, NULL })

/* NIC 0 on network "lan", 1 on bridge "br0", 2 on network "dmz". */
static struct vm *
make_vm(void)
{
    struct err err = ERR_INIT;
    struct vm *vm = vm_new(&err);
    static const struct {
        const char *mac, *network;
        bool bridge;
    } nics[] = { { "00:50:56:00:00:01", "lan", false },
                 { "00:50:56:00:00:02", "br0", true },
                 { "00:50:56:00:00:03", "dmz", false } };
    for (size_t i = 0; i < ARRAY_LEN(nics); i++) {
        struct vm_nic *nic = vm_add_nic(vm, &err);
        memcpy(nic->mac, nics[i].mac, sizeof nic->mac);
        nic->bridge = nics[i].bridge;
        assert_int_equal(vm_set_text(&nic->network, nics[i].network, &err), 0);
    }
    return vm;
}

static void
check(const struct nic_map *map, size_t i, const char *network, bool bridge)
{
    assert_string_equal(map->nics[i].network, network);
    assert_int_equal(map->nics[i].bridge, bridge);
}

static void
without_options_all_stays(void **state)
{
    (void)state;
    auto_vm struct vm *vm = make_vm();
    struct job job = { .macs = NONE, .networks = NONE, .bridges = NONE };
    struct nic_map map;
    struct err err = ERR_INIT;
    assert_int_equal(nic_map_make(&job, vm, &map, &err), 0);
    check(&map, 0, "lan", false);
    check(&map, 1, "br0", true);
    check(&map, 2, "dmz", false);
}

static void
the_narrowest_option_wins(void **state)
{
    (void)state;
    auto_vm struct vm *vm = make_vm();
    struct job job = {
        .input = JOB_INPUT_LIBVIRTXML,
        .macs = LIST("00-50-56-00-00-03:bridge:br9"),
        .networks = LIST("default", "lan:vlan1", "br0:wrong"),
        .bridges = LIST("other"),
    };
    struct nic_map map;
    struct err err = ERR_INIT;
    assert_int_equal(nic_map_make(&job, vm, &map, &err), 0);
    check(&map, 0, "vlan1", false);
    check(&map, 1, "other", true);
    check(&map, 2, "br9", true);
}

static void
the_job_maps_networks_by_name(void **state)
{
    (void)state;
    auto_vm struct vm *vm = make_vm();
    auto_json json_t *networks = json_pack("{s:s, s:s}", "lan", "default", "br0", "wrong");
    struct job job = { .macs = LIST("00:50:56:00:00:03:network:a:b"),
                       .networks = NONE,
                       .bridges = NONE,
                       .network_map = networks };
    struct nic_map map;
    struct err err = ERR_INIT;
    assert_int_equal(nic_map_make(&job, vm, &map, &err), 0);
    check(&map, 0, "default", false);
    check(&map, 1, "br0", true);
    check(&map, 2, "a:b", false);
}

static void
an_ovf_does_not_tell_networks_from_bridges(void **state)
{
    (void)state;
    auto_vm struct vm *vm = make_vm();
    struct job job = {
        .input = JOB_INPUT_OVA,
        .macs = NONE,
        .networks = LIST("default"),
        .bridges = LIST("lan:br1"),
    };
    struct nic_map map;
    struct err err = ERR_INIT;
    assert_int_equal(nic_map_make(&job, vm, &map, &err), 0);
    check(&map, 0, "br1", true);
    check(&map, 2, "default", false);
}

static void
addresses_are_for_virt_v2v(void **state)
{
    (void)state;
    auto_vm struct vm *vm = make_vm();
    struct job job = {
        .macs = LIST("00:50:56:00:00:01:ip:192.0.2.9,192.0.2.1,24"),
        .networks = NONE,
        .bridges = NONE,
    };
    struct nic_map map;
    struct err err = ERR_INIT;
    assert_int_equal(nic_map_make(&job, vm, &map, &err), 0);
    assert_string_equal(map.ip_macs[0], job.macs[0]);
    assert_null(map.ip_macs[1]);
    check(&map, 0, "lan", false);
}

static void
bad_options_are_named(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "x",
        "00:50:56:00:00:01",
        "00:50:56:00:00:01:network:",
        "00:50:56:00:00:01:net:x",
        "00:50:56:00:00:zz:network:x",
        "00:50:56:00:00:99:network:x",
    };
    auto_vm struct vm *vm = make_vm();
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct job job = { .macs = LIST(bad[i]), .networks = NONE, .bridges = NONE };
        struct nic_map map;
        struct err err = ERR_INIT;
        assert_int_equal(nic_map_make(&job, vm, &map, &err), -1);
        assert_int_equal(err.kind, ERR_INVALID);
        assert_non_null(strstr(err.text, bad[i]));
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_options_all_stays),
        cmocka_unit_test(the_narrowest_option_wins),
        cmocka_unit_test(the_job_maps_networks_by_name),
        cmocka_unit_test(an_ovf_does_not_tell_networks_from_bridges),
        cmocka_unit_test(addresses_are_for_virt_v2v),
        cmocka_unit_test(bad_options_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
