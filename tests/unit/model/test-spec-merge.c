/* Precedence: command line over spec over config over built-in defaults. */
#include <stdio.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "base/checked.h"
#include "model/config.h"
#include "model/spec.h"

static const char plain_config[] = "vcenter: {host: VC1.example.org, user: u}\n";
static const char files_spec[] = "vm: {name: a}\ntarget: {files: {directory: /x}}\n";

struct scene {
    struct config config;
    struct spec_list list;
};

/* What config and spec say together; the error is in err. */
static int
merge(struct scene *scene, const char *config, const char *spec,
      const struct spec_overrides *overrides, struct err *err)
{
    *scene = (struct scene){ 0 };
    if (config_read(config, strlen(config), "c.yaml", false, &scene->config, err) < 0 ||
        spec_read(spec, strlen(spec), "s.yaml", false, &scene->list, err) < 0)
        fail_msg("%s", err->text);
    return spec_merge(&scene->config, overrides, &scene->list.items[0], err);
}

static const struct spec *
merge_good(struct scene *scene, const char *config, const char *spec,
           const struct spec_overrides *overrides)
{
    struct err err = ERR_INIT;
    if (merge(scene, config, spec, overrides, &err) < 0)
        fail_msg("%s", err.text);
    return &scene->list.items[0];
}

static void
scene_free(struct scene *scene)
{
    config_free(&scene->config);
    spec_list_free(&scene->list);
}

#define auto_scene AUTO(scene_free)

static void
built_in_defaults(void **state)
{
    (void)state;
    auto_scene struct scene scene;
    const struct spec *spec = merge_good(&scene, plain_config, files_spec, NULL);
    const struct spec_migration *migration = &spec->migration;
    assert_int_equal(spec->source.transport, SPEC_TRANSPORT_AUTO);
    assert_int_equal(migration->mode, SPEC_MODE_WARM);
    assert_int_equal(migration->delta_interval_s, 300);
    assert_int_equal(migration->finalize_at, 0);
    assert_int_equal(migration->finalize_delta_interval_s, 30);
    assert_int_equal(migration->finalize_window_s, 600);
    assert_int_equal(migration->finalize_settle_s, 0);
    assert_int_equal(migration->readers, 4);
    assert_int_equal(migration->parallel_disks, 4);
    assert_int_equal(migration->snapshot_quiesce, SPEC_QUIESCE_AUTO);
    assert_int_equal(migration->shutdown_mode, SPEC_SHUTDOWN_AUTO);
    assert_int_equal(migration->start_vm_after_import, TRISTATE_NO);
    assert_int_equal(migration->verify, SPEC_VERIFY_CHANGED);
    assert_int_equal(migration->bandwidth_bytes_s, 0);
    assert_int_equal(migration->max_downtime_s, 0);
    assert_int_equal(migration->max_rounds, 0);
    assert_int_equal(migration->power_on_after_failure, TRISTATE_YES);
    assert_null(spec->conversion.virtio_win);
    assert_false(spec->target.has_libvirt);
    assert_null(spec->target.libvirt.uri);

    auto_scene struct scene second;
    spec = merge_good(&second, plain_config, "vm: {name: a}\ntarget: {libvirt: }", NULL);
    assert_string_equal(spec->target.libvirt.uri, "qemu:///system");
    assert_string_equal(spec->target.libvirt.pool, "default");
    auto_scene struct scene third;
    spec = merge_good(&third, plain_config, "vm: {name: a}\ntarget: {kubevirt: {}}", NULL);
    assert_int_equal(spec->target.kubevirt.run_strategy, SPEC_RUN_HALTED);
}

static const char full_config[] =
    "vcenter: {host: vc1}\n"
    "migration: {parallel_disks: 2, snapshot_quiesce: false, shutdown_mode: force,\n"
    "            finalize_settle_seconds: 7}\n"
    "virt: {virtio_iso: /iso}\n";

static void
config_over_defaults(void **state)
{
    (void)state;
    auto_scene struct scene scene;
    const struct spec *spec = merge_good(&scene, full_config, files_spec, NULL);
    assert_int_equal(spec->migration.parallel_disks, 2);
    assert_int_equal(spec->migration.snapshot_quiesce, SPEC_QUIESCE_FALSE);
    assert_int_equal(spec->migration.shutdown_mode, SPEC_SHUTDOWN_FORCE);
    assert_int_equal(spec->migration.finalize_settle_s, 7);
    assert_string_equal(spec->conversion.virtio_win, "/iso");
}

static const char full_spec[] =
    "vm: {name: a}\n"
    "migration: {parallel_disks: 3, snapshot_quiesce: true, shutdown_mode: manual, readers: 5,\n"
    "            finalize_settle_seconds: 9}\n"
    "conversion: {virtio_win: /mine}\n"
    "target: {files: {directory: /x}}\n";

static void
spec_over_config(void **state)
{
    (void)state;
    auto_scene struct scene scene;
    const struct spec *spec = merge_good(&scene, full_config, full_spec, NULL);
    assert_int_equal(spec->migration.parallel_disks, 3);
    assert_int_equal(spec->migration.snapshot_quiesce, SPEC_QUIESCE_TRUE);
    assert_int_equal(spec->migration.shutdown_mode, SPEC_SHUTDOWN_MANUAL);
    assert_int_equal(spec->migration.finalize_settle_s, 9);
    assert_int_equal(spec->migration.readers, 5);
    assert_string_equal(spec->conversion.virtio_win, "/mine");
}

static void
command_line_over_spec(void **state)
{
    (void)state;
    auto_scene struct scene scene;
    const struct spec_overrides overrides = { .readers = 16, .parallel_disks = 1 };
    const struct spec *spec = merge_good(&scene, full_config, full_spec, &overrides);
    assert_int_equal(spec->migration.readers, 16);
    assert_int_equal(spec->migration.parallel_disks, 1);
}

/* The old key and the new one, all who have a say, and what CloudStack's users are used to. */
static void
who_says_whether_to_convert(void **state)
{
    (void)state;
    static const struct {
        const char *config, *spec, *target;
        enum tristate line, want;
    } cases[] = {
        { "", "", "files: {directory: /x}", TRISTATE_UNSET, TRISTATE_YES },
        { "", "", "libvirt: ", TRISTATE_UNSET, TRISTATE_YES },
        { "", "", "cloudstack: {zoneid: 1}", TRISTATE_UNSET, TRISTATE_NO },
        { "virt: {run_virt_v2v: false}", "", "libvirt: ", TRISTATE_UNSET, TRISTATE_NO },
        { "virt: {run_virt_v2v: true}", "", "cloudstack: ", TRISTATE_UNSET, TRISTATE_YES },
        { "virt: {run_virt_v2v: true}", "migration: {run_virt_v2v: false}",
          "cloudstack: ", TRISTATE_UNSET, TRISTATE_NO },
        { "", "conversion: {run_virt_v2v: false}", "libvirt: ", TRISTATE_UNSET, TRISTATE_NO },
        { "", "conversion: {run_virt_v2v: false}", "libvirt: ", TRISTATE_YES, TRISTATE_YES },
        { "", "migration: {run_virt_v2v: true}", "cloudstack: ", TRISTATE_NO, TRISTATE_NO },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char config[512], spec[512];
        snprintf(config, sizeof config,
                 "vcenter: {host: v}\ncloudstack_defaults: {zoneid: 1, clusterid: 2, storageid: 3, "
                 "networkid: 4, serviceofferingid: 5}\n%s\n",
                 cases[i].config);
        snprintf(spec, sizeof spec, "vm: {name: a}\n%s\ntarget:\n  %s\n", cases[i].spec,
                 cases[i].target);
        auto_scene struct scene scene;
        const struct spec_overrides overrides = { .run_virt_v2v = cases[i].line };
        const struct spec *merged = merge_good(&scene, config, spec, &overrides);
        if (merged->conversion.run_virt_v2v != cases[i].want)
            fail_msg("case %zu", i);
        assert_int_equal(merged->migration.run_virt_v2v, cases[i].want);
    }
}

static void
cloudstack_is_completed_from_the_config(void **state)
{
    (void)state;
    auto_scene struct scene scene;
    const struct spec *spec =
        merge_good(&scene,
                   "vcenter: {host: v}\n"
                   "cloudstack_defaults:\n"
                   "  {zoneid: z, clusterid: c, storageid: s, networkid: n,\n"
                   "   serviceofferingid: o, diskofferingid: d, ostypeid: t,\n"
                   "   boottype: UEFI, bootmode: LEGACY,\n"
                   "   rootdiskcontroller: scsi, nicadapter: e1000}\n",
                   "vm: {name: a}\ntarget: {cloudstack: {storageid: mine}}\n", NULL);
    const struct spec_cloudstack_ids *ids = &spec->target.cloudstack.ids;
    assert_string_equal(ids->zoneid, "z");
    assert_string_equal(ids->clusterid, "c");
    assert_string_equal(ids->storageid, "mine");
    assert_string_equal(ids->networkid, "n");
    assert_string_equal(ids->serviceofferingid, "o");
    assert_string_equal(ids->diskofferingid, "d");
    assert_string_equal(ids->ostypeid, "t");
    assert_string_equal(ids->boottype, "UEFI");
    assert_string_equal(ids->bootmode, "LEGACY");
    assert_string_equal(ids->rootdiskcontroller, "scsi");
    assert_string_equal(ids->nicadapter, "e1000");
    assert_int_equal(spec->target.cloudstack.preserve_mac, TRISTATE_YES);
    assert_int_equal(spec->target.cloudstack.ip, SPEC_IP_AUTO);
}

static void
without_a_target_the_config_s_cloudstack_is_meant(void **state)
{
    (void)state;
    auto_scene struct scene scene;
    const struct spec *spec = merge_good(&scene,
                                         "vcenter: {host: v}\n"
                                         "cloudstack_defaults: {zoneid: z, clusterid: c, "
                                         "storageid: s, networkid: n, serviceofferingid: o}\n",
                                         "vm: {name: a}", NULL);
    assert_int_equal(spec_target_kind(spec), SPEC_TARGET_CLOUDSTACK);
}

static void
what_is_missing_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *config, *spec, *want;
    } cases[] = {
        { "", "vm: {name: a}\ntarget: {libvirt: }", "the config names no vCenter" },
        { "vcenter: {user: u}", "vm: {name: a}\ntarget: {libvirt: }", "names no vCenter" },
        { "vcenter: {host: v}", "vm: {name: a}", "no target: write one of cloudstack" },
        { "vcenter: {host: v}", "vm: {name: a}\ntarget: {cloudstack: {}}",
          "target.cloudstack: missing: zoneid, clusterid, storageid, networkid (or a nic_mappings "
          "with one), serviceofferingid; give them" },
        { "vcenter: {host: v}\ncloudstack_defaults: {zoneid: 1, storageid: 2}",
          "vm: {name: a}\ntarget: {cloudstack: {nic_mappings: {1: {networkid: n}}}}",
          "missing: clusterid, serviceofferingid;" },
        { "vcenter: {host: v}", "vm: {name: a}\nsource: {vcenter: x}\ntarget: {libvirt: }",
          "source.vcenter: 'x': the config has no 'vcenters'" },
        { "vcenters: {a: {host: a}, b: {host: b}}", "vm: {name: a}\ntarget: {libvirt: }",
          "several vCenters: write one of 'a', 'b' as source.vcenter" },
        { "vcenters: {a: {host: a}, b: {host: b}}",
          "vm: {name: a}\nsource: {vcenter: c}\ntarget: {libvirt: }",
          "source.vcenter: 'c': the config has only 'a', 'b'" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err err = ERR_INIT;
        auto_scene struct scene scene;
        if (merge(&scene, cases[i].config, cases[i].spec, NULL, &err) == 0)
            fail_msg("case %zu was taken", i);
        assert_int_equal(err.kind, ERR_INVALID);
        if (!strstr(err.text, cases[i].want))
            fail_msg("'%s' does not say '%s'", err.text, cases[i].want);
    }
}

static void
merging_twice_changes_nothing(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    auto_scene struct scene scene;
    auto_buf struct buf once = BUF_INIT(65536), twice = BUF_INIT(65536);
    merge_good(&scene, full_config, full_spec, NULL);
    assert_int_equal(spec_write_json(&scene.list.items[0], &once, &err), 0);
    assert_int_equal(spec_merge(&scene.config, NULL, &scene.list.items[0], &err), 0);
    assert_int_equal(spec_write_json(&scene.list.items[0], &twice, &err), 0);
    assert_string_equal(once.data, twice.data);
    auto_spec_list struct spec_list again = { 0 };
    assert_int_equal(spec_read(once.data, once.len, "again", false, &again, &err), 0);
}

static void
a_key_tells_migrations_apart(void **state)
{
    (void)state;
    static const struct {
        const char *config, *vm, *want;
    } cases[] = {
        { plain_config, "{name: web 01}", "vc1.example.org/name:web 01" },
        { plain_config, "{name: w, path: /DC/vm/w}", "vc1.example.org/path:/DC/vm/w" },
        { plain_config, "{name: w, uuid: 50112233-4455-6677-8899-AABBCCDDEEFF, path: /w}",
          "vc1.example.org/uuid:50112233-4455-6677-8899-aabbccddeeff" },
        { plain_config, "{name: w, moref: vm-1, uuid: 50112233-4455-6677-8899-aabbccddeeff}",
          "vc1.example.org/moref:vm-1" },
        { "vcenter: {host: 'https://VC:443/sdk'}", "{name: vm-1}", "vc/name:vm-1" },
        { "vcenters: {lab: {host: 127.0.0.1:8989}}", "{name: w}", "127.0.0.1:8989/name:w" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err err = ERR_INIT;
        char spec[256];
        snprintf(spec, sizeof spec, "vm: %s\ntarget: {libvirt: }", cases[i].vm);
        auto_scene struct scene scene;
        auto_buf struct buf key = BUF_INIT(1024);
        const struct spec *merged = merge_good(&scene, cases[i].config, spec, NULL);
        assert_int_equal(spec_key(merged, &scene.config, &key, &err), 0);
        assert_string_equal(key.data, cases[i].want);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(built_in_defaults),
        cmocka_unit_test(config_over_defaults),
        cmocka_unit_test(spec_over_config),
        cmocka_unit_test(command_line_over_spec),
        cmocka_unit_test(who_says_whether_to_convert),
        cmocka_unit_test(cloudstack_is_completed_from_the_config),
        cmocka_unit_test(without_a_target_the_config_s_cloudstack_is_meant),
        cmocka_unit_test(what_is_missing_is_named),
        cmocka_unit_test(merging_twice_changes_nothing),
        cmocka_unit_test(a_key_tells_migrations_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
