#include "model/spec.h"

#include <stdio.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "base/checked.h"

/* Every key there is, of the four targets in four specs. */
static const char every_key[] =
    "vms:\n"
    "- vm: {name: web01, moref: vm-123, uuid: '{50112233-4455-6677-8899-AABBCCDDEEFF}',\n"
    "       path: /DC0/vm/prod/web01}\n"
    "  source: {transport: https, vcenter: prod}\n"
    "  migration:\n"
    "    mode: cold\n"
    "    delta_interval: 120\n"
    "    finalize_at: 2026-11-30T22:00\n"
    "    finalize_delta_interval: 15\n"
    "    finalize_window: 900\n"
    "    finalize_settle_seconds: 45\n"
    "    readers: 8\n"
    "    parallel_disks: 2\n"
    "    run_virt_v2v: true\n"
    "    snapshot_quiesce: true\n"
    "    shutdown_mode: manual\n"
    "    start_vm_after_import: true\n"
    "    verify: full\n"
    "    bandwidth: 200MiB\n"
    "    max_downtime: 120\n"
    "    max_rounds: 50\n"
    "    power_on_after_failure: false\n"
    "  target:\n"
    "    cloudstack:\n"
    "      zoneid: 1\n"
    "      clusterid: 2\n"
    "      storageid: 3\n"
    "      networkid: 4\n"
    "      serviceofferingid: 5\n"
    "      diskofferingid: 6\n"
    "      ostypeid: 7\n"
    "      boottype: UEFI\n"
    "      bootmode: Secure\n"
    "      rootdiskcontroller: virtio-scsi\n"
    "      nicadapter: virtio\n"
    "      nic_mappings:\n"
    "        4000: {networkid: n0, source_label: Network adapter 1, source_index: 0}\n"
    "        \"4001\": {networkid: n1, source_index: 1, source_network: VM Network,\n"
    "               source_mac: 00:50:56:00:00:01, source_device_key: 4001}\n"
    "      account: admin\n"
    "      domainid: d\n"
    "      projectid: p\n"
    "      preserve_mac: false\n"
    "      ip: keep\n"
    "  conversion:\n"
    "    run_virt_v2v: true\n"
    "    virtio_win: /srv/virtio-win.iso\n"
    "    keys: ['/dev/sda2:file:/etc/keys/a', 'all:clevis']\n"
    "    first_boot: [/srv/first.sh]\n"
    "  disks:\n"
    "    1: {storageid: s1, diskofferingid: o1}\n"
    "    scsi0:1: {storageid: s2}\n"
    "- vm: {moref: 12}\n"
    "  target: {kubevirt: {namespace: vms, kubeconfig: /etc/kubeconfig, storage_class: fast,\n"
    "           network_map: {VM Network: default/net}, run_strategy: always}}\n"
    "- vm: {name: db 01}\n"
    "  target: {libvirt: {uri: 'qemu+ssh://kvm1/system', pool: ssd, network_map: {a: b}}}\n"
    "- vm: {name: mail}\n"
    "  target: {files: {directory: /srv/images}}\n";

static void
read_good(const char *text, struct spec_list *list)
{
    struct err err = ERR_INIT;
    *list = (struct spec_list){ 0 };
    if (spec_read(text, strlen(text), "web.yaml", false, list, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(list->warnings.n, 0);
}

static void
check_migration(const struct spec_migration *migration)
{
    assert_int_equal(migration->mode, SPEC_MODE_COLD);
    assert_int_equal(migration->delta_interval_s, 120);
    assert_int_equal(migration->finalize_at, 1796076000);
    assert_int_equal(migration->finalize_delta_interval_s, 15);
    assert_int_equal(migration->finalize_window_s, 900);
    assert_int_equal(migration->finalize_settle_s, 45);
    assert_int_equal(migration->readers, 8);
    assert_int_equal(migration->parallel_disks, 2);
    assert_int_equal(migration->run_virt_v2v, TRISTATE_YES);
    assert_int_equal(migration->snapshot_quiesce, SPEC_QUIESCE_TRUE);
    assert_int_equal(migration->shutdown_mode, SPEC_SHUTDOWN_MANUAL);
    assert_int_equal(migration->start_vm_after_import, TRISTATE_YES);
    assert_int_equal(migration->verify, SPEC_VERIFY_FULL);
    assert_int_equal(migration->bandwidth_bytes_s, 200 * MIB);
    assert_int_equal(migration->max_downtime_s, 120);
    assert_int_equal(migration->max_rounds, 50);
    assert_int_equal(migration->power_on_after_failure, TRISTATE_NO);
}

static void
check_cloudstack(const struct spec_cloudstack *cloudstack)
{
    const struct spec_cloudstack_ids *ids = &cloudstack->ids;
    assert_string_equal(ids->zoneid, "1");
    assert_string_equal(ids->clusterid, "2");
    assert_string_equal(ids->storageid, "3");
    assert_string_equal(ids->networkid, "4");
    assert_string_equal(ids->serviceofferingid, "5");
    assert_string_equal(ids->diskofferingid, "6");
    assert_string_equal(ids->ostypeid, "7");
    assert_string_equal(ids->boottype, "UEFI");
    assert_string_equal(ids->bootmode, "Secure");
    assert_string_equal(ids->rootdiskcontroller, "virtio-scsi");
    assert_string_equal(ids->nicadapter, "virtio");
    assert_int_equal(cloudstack->n_nics, 2);
    assert_string_equal(cloudstack->nics[0].key, "4000");
    assert_string_equal(cloudstack->nics[0].networkid, "n0");
    assert_string_equal(cloudstack->nics[0].source_label, "Network adapter 1");
    assert_int_equal(cloudstack->nics[1].source_index, 1);
    assert_string_equal(cloudstack->nics[1].source_network, "VM Network");
    assert_string_equal(cloudstack->nics[1].source_mac, "00:50:56:00:00:01");
    assert_string_equal(cloudstack->nics[1].source_device_key, "4001");
    assert_string_equal(cloudstack->account, "admin");
    assert_string_equal(cloudstack->domainid, "d");
    assert_string_equal(cloudstack->projectid, "p");
    assert_int_equal(cloudstack->preserve_mac, TRISTATE_NO);
    assert_int_equal(cloudstack->ip, SPEC_IP_KEEP);
}

static void
every_key_is_read(void **state)
{
    (void)state;
    auto_spec_list struct spec_list list;
    read_good(every_key, &list);
    assert_int_equal(list.n, 4);
    const struct spec *spec = &list.items[0];
    assert_int_equal(spec->line, 2);
    assert_string_equal(spec->vm.name, "web01");
    assert_string_equal(spec->vm.moref, "vm-123");
    assert_string_equal(spec->vm.uuid, "50112233-4455-6677-8899-aabbccddeeff");
    assert_string_equal(spec->vm.path, "/DC0/vm/prod/web01");
    assert_int_equal(spec->source.transport, SPEC_TRANSPORT_HTTPS);
    assert_string_equal(spec->source.vcenter, "prod");
    check_migration(&spec->migration);
    assert_int_equal(spec_target_kind(spec), SPEC_TARGET_CLOUDSTACK);
    check_cloudstack(&spec->target.cloudstack);
    assert_int_equal(spec->conversion.run_virt_v2v, TRISTATE_YES);
    assert_string_equal(spec->conversion.virtio_win, "/srv/virtio-win.iso");
    assert_int_equal(spec->conversion.keys.n, 2);
    assert_string_equal(spec->conversion.keys.items[1], "all:clevis");
    assert_string_equal(spec->conversion.first_boot.items[0], "/srv/first.sh");
    assert_int_equal(spec->n_disks, 2);
    assert_string_equal(spec->disks[0].key, "1");
    assert_string_equal(spec->disks[0].diskofferingid, "o1");
    assert_string_equal(spec->disks[1].key, "scsi0:1");
    assert_string_equal(spec->disks[1].storageid, "s2");

    const struct spec_kubevirt *kubevirt = &list.items[1].target.kubevirt;
    assert_int_equal(spec_target_kind(&list.items[1]), SPEC_TARGET_KUBEVIRT);
    assert_string_equal(list.items[1].vm.moref, "12");
    assert_string_equal(kubevirt->namespace, "vms");
    assert_string_equal(kubevirt->kubeconfig, "/etc/kubeconfig");
    assert_string_equal(kubevirt->storage_class, "fast");
    assert_string_equal(text_map_get(&kubevirt->network_map, "VM Network"), "default/net");
    assert_int_equal(kubevirt->run_strategy, SPEC_RUN_ALWAYS);

    const struct spec_libvirt *libvirt = &list.items[2].target.libvirt;
    assert_int_equal(spec_target_kind(&list.items[2]), SPEC_TARGET_LIBVIRT);
    assert_string_equal(libvirt->uri, "qemu+ssh://kvm1/system");
    assert_string_equal(libvirt->pool, "ssd");
    assert_string_equal(text_map_get(&libvirt->network_map, "a"), "b");

    assert_int_equal(spec_target_kind(&list.items[3]), SPEC_TARGET_FILES);
    assert_string_equal(list.items[3].target.files.directory, "/srv/images");
}

/* As v2c-engine's users write one: no target, quoted and bare values in every mixture. */
static void
a_spec_of_v2c_engine_is_read(void **state)
{
    (void)state;
    auto_spec_list struct spec_list list;
    read_good("vm:\n"
              "  name: \"Web Server 01\"\n"
              "migration:\n"
              "  delta_interval: 300\n"
              "  finalize_at: \"2026-11-30T23:00:00+01:00\"\n"
              "  snapshot_quiesce: false\n"
              "  run_virt_v2v: no\n"
              "  finalize_settle_seconds: 0\n"
              "target:\n"
              "  cloudstack:\n"
              "    zoneid: 7d1c6f8a\n"
              "    storageid: 12345\n"
              "    boottype: ''\n"
              "    nic_mappings:\n"
              "      '4000':\n"
              "        source_label:\n"
              "disks: {}\n",
              &list);
    assert_int_equal(list.n, 1);
    const struct spec *spec = &list.items[0];
    assert_string_equal(spec->vm.name, "Web Server 01");
    assert_int_equal(spec->migration.finalize_at, 1796076000);
    assert_int_equal(spec->migration.snapshot_quiesce, SPEC_QUIESCE_FALSE);
    assert_int_equal(spec->migration.run_virt_v2v, TRISTATE_NO);
    assert_int_equal(spec->migration.finalize_settle_s, 0);
    assert_int_equal(spec->migration.mode, SPEC_MODE_UNSET);
    assert_string_equal(spec->target.cloudstack.ids.storageid, "12345");
    assert_null(spec->target.cloudstack.ids.boottype);
    assert_int_equal(spec->target.cloudstack.n_nics, 1);
    assert_int_equal(spec->n_disks, 0);
}

static void
quiesce_in_every_spelling(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum spec_quiesce want;
    } cases[] = {
        { "true", SPEC_QUIESCE_TRUE },       { "'true'", SPEC_QUIESCE_TRUE },
        { "True", SPEC_QUIESCE_TRUE },       { "false", SPEC_QUIESCE_FALSE },
        { "\"false\"", SPEC_QUIESCE_FALSE }, { "auto", SPEC_QUIESCE_AUTO },
        { "~", SPEC_QUIESCE_UNSET },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char text[128];
        snprintf(text, sizeof text, "vm: {name: a}\nmigration: {snapshot_quiesce: %s}\n",
                 cases[i].text);
        auto_spec_list struct spec_list list;
        read_good(text, &list);
        assert_int_equal(list.items[0].migration.snapshot_quiesce, cases[i].want);
    }
}

static void
bad_specs_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text, *want;
    } cases[] = {
        { "", "s.yaml:1: no machine is named" },
        { "target: {}", "s.yaml:1: no machine is named" },
        { "\nvm: {name: ''}", "s.yaml:2: no machine is named" },
        { "vm: web01", "s.yaml:1: vm: a map of keys and values belongs here" },
        { "vms: []", "s.yaml:1: vms: no machine in the list" },
        { "vms: {}", "s.yaml:1: vms: a list of specs belongs here" },
        { "vms: [1]", "s.yaml:1: a map of keys and values belongs here" },
        { "vms:\n- vm: {name: a}\n-", "s.yaml:3: no machine is named" },
        { "vms:\n- vm: {name: a}\nmigration: {}",
          "s.yaml:3: unknown key 'migration' beside 'vms'" },
        { "vm: {name: a}\ntarget: {files: {}, libvirt: }", "s.yaml:2: target: more than one" },
        { "vm: {name: a}\ntarget: {files: }", "s.yaml:2: target.files: directory is missing" },
        { "vm: {name: a}\ntarget: {files: {directory: x}}", "directory: 'x' is no absolute path" },
        { "vm: {name: a}\nmigration: {run_virt_v2v: yes}\nconversion: {run_virt_v2v: no}",
          "s.yaml:3: conversion.run_virt_v2v: migration.run_virt_v2v says the contrary" },
        { "vm: {moref: 'vm 1'}", "vm.moref: 'vm 1' is no reference" },
        { "vm: {uuid: 1234}", "vm.uuid: '1234' is not a UUID" },
        { "vm: {path: web01}", "vm.path: 'web01' is no absolute path" },
        { "vm: {name: a}\nsource: {transport: ftp}", "'ftp' is none of auto, vddk, https" },
        { "vm: {name: a}\nmigration: {mode: hot}", "'hot' is none of warm, cold" },
        { "vm: {name: a}\nmigration: {readers: 257}", "257 is not from 0 to 256" },
        { "vm: {name: a}\nmigration: {parallel_disks: -1}", "-1 is not from 0 to 64" },
        { "vm: {name: a}\nmigration: {parallel_disks: 65}", "65 is not from 0 to 64" },
        { "vm: {name: a}\nmigration: {delta_interval: 5m}", "'5m' is not a whole number" },
        { "vm: {name: a}\nmigration: {finalize_at: 22:00}", "'22:00' is no time" },
        { "vm: {name: a}\nmigration: {finalize_window: 99999999}", "is not from 0 to 31622400" },
        { "vm: {name: a}\nmigration: {shutdown_mode: hard}", "none of auto, force, manual" },
        { "vm: {name: a}\nmigration: {snapshot_quiesce: maybe}", "none of auto, true, false" },
        { "vm: {name: a}\nmigration: {verify: all}", "none of none, changed, sample, full" },
        { "vm: {name: a}\nmigration: {bandwidth: 1K}", "1K is not from 64.0 KiB" },
        { "vm: {name: a}\nmigration: {start_vm_after_import: 2}", "'2' is neither true nor false" },
        { "vm: {name: a}\ntarget: {cloudstack: {ip: 10.0.0.1}}", "none of auto, keep" },
        { "vm: {name: a}\ntarget: {kubevirt: {run_strategy: On}}", "none of Always" },
        { "vm: {name: a}\nconversion: {keys: ['/dev/sda1:key:hunter2']}",
          "a passphrase does not belong into a spec" },
        { "vm: {name: a}\nconversion: {keys: ['x']}", "a key must be ID:file:/PATH or ID:clevis" },
        { "vm: {name: a}\nconversion: {keys: ['x:file:y']}", "a key must be" },
        { "vm: {name: a}\nconversion: {keys: [':clevis']}", "a key must be" },
        { "vm: {name: a}\nconversion: {first_boot: [x]}", "'x' is no absolute path" },
        { "vm: {name: a}\ndisks: {1: {storage: x}}",
          "unknown key 'storage' under 'disks.1' (did you mean 'storageid'?)" },
        { "vm: {name: a}\nmigration:\n  delta_intervall: 3",
          "s.yaml:3: unknown key 'delta_intervall' under 'migration' (did you mean "
          "'delta_interval'?)" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err err = ERR_INIT;
        struct spec_list list = { 0 };
        if (spec_read(cases[i].text, strlen(cases[i].text), "s.yaml", false, &list, &err) == 0)
            fail_msg("'%s' was taken", cases[i].text);
        assert_int_equal(err.kind, ERR_INVALID);
        if (!strstr(err.text, cases[i].want))
            fail_msg("'%s' does not say '%s'", err.text, cases[i].want);
        assert_null(strstr(err.text, "hunter2"));
        assert_null(list.items);
    }
}

static void
lenient_passes_over_what_is_not_known(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    auto_spec_list struct spec_list list = { 0 };
    static const char text[] = "vms:\n- vm: {name: a, nam: b}\n- vm: {name: c}\nnotes: x\n";
    assert_int_equal(spec_read(text, strlen(text), "s.yaml", true, &list, &err), 0);
    assert_int_equal(list.n, 2);
    assert_int_equal(list.warnings.n, 2);
    assert_non_null(strstr(list.warnings.items[0], "s.yaml:4: unknown key 'notes'"));
    assert_non_null(strstr(list.warnings.items[1], "s.yaml:2: unknown key 'nam'"));
}

static void
what_is_written_is_read_again(void **state)
{
    (void)state;
    struct err err = ERR_INIT;
    auto_spec_list struct spec_list list;
    read_good(every_key, &list);
    for (size_t i = 0; i < list.n; i++) {
        auto_buf struct buf json = BUF_INIT(65536), yaml = BUF_INIT(65536), again = BUF_INIT(65536);
        auto_spec_list struct spec_list from_json, from_yaml;
        assert_int_equal(spec_write_json(&list.items[i], &json, &err), 0);
        assert_int_equal(spec_write_yaml(&list.items[i], &yaml, &err), 0);
        read_good(json.data, &from_json);
        read_good(yaml.data, &from_yaml);
        assert_int_equal(spec_write_json(&from_json.items[0], &again, &err), 0);
        assert_string_equal(again.data, json.data);
        again.len = 0;
        assert_int_equal(spec_write_json(&from_yaml.items[0], &again, &err), 0);
        assert_string_equal(again.data, json.data);
        if (i > 0)
            continue;
        check_migration(&from_json.items[0].migration);
        check_cloudstack(&from_json.items[0].target.cloudstack);
        check_cloudstack(&from_yaml.items[0].target.cloudstack);
    }
}

static void
names_of_choices(void **state)
{
    (void)state;
    assert_null(spec_mode_name(SPEC_MODE_UNSET));
    assert_string_equal(spec_mode_name(SPEC_MODE_WARM), "warm");
    assert_string_equal(spec_transport_name(SPEC_TRANSPORT_SSH), "ssh");
    assert_string_equal(spec_quiesce_name(SPEC_QUIESCE_FALSE), "false");
    assert_string_equal(spec_shutdown_name(SPEC_SHUTDOWN_MANUAL), "manual");
    assert_string_equal(spec_verify_name(SPEC_VERIFY_SAMPLE), "sample");
    assert_string_equal(spec_target_name(SPEC_TARGET_FILES), "files");
    assert_null(spec_target_name(SPEC_TARGET_UNSET));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_key_is_read),
        cmocka_unit_test(a_spec_of_v2c_engine_is_read),
        cmocka_unit_test(quiesce_in_every_spelling),
        cmocka_unit_test(bad_specs_are_refused),
        cmocka_unit_test(lenient_passes_over_what_is_not_known),
        cmocka_unit_test(what_is_written_is_read_again),
        cmocka_unit_test(names_of_choices),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
