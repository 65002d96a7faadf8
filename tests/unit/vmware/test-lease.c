#include "vmware/lease.h"

#include "http-double.h"

#include <string.h>

#include "base/checked.h"
#include "base/clock.h"

static struct err err;
static struct vmware_session *session;
static struct vmware_machine *machine; /* scsi0:0, scsi0:1, sata0:2 */
static struct vmware_lease *lease;

static void
add_disk(enum vm_bus bus, unsigned unit)
{
    struct vm_disk *disk = vm_add_disk(machine->vm, &err);
    assert_non_null(disk);
    disk->bus = bus;
    disk->unit = unit;
    machine->n_disks++;
}

static int
setup(void **state)
{
    (void)state;
    err = ERR_INIT;
    clock_fake_ns(NS_PER_S);
    session = double_login();
    machine = calloc(1, sizeof *machine);
    assert_non_null(machine);
    machine->vm = vm_new(&err);
    machine->name = "web01";
    memcpy(machine->moref, "vm-1", 5);
    add_disk(VM_BUS_SCSI, 0);
    add_disk(VM_BUS_SCSI, 1);
    add_disk(VM_BUS_SATA, 2);
    lease = NULL;
    return 0;
}

#define ABORT                                                                                      \
    {                                                                                              \
        .expect = { "<HttpNfcLeaseAbort ", "<_this type=\"HttpNfcLease\">session[1]lease</_this>", \
                    "<fault xsi:type=\"SystemError\">", "<reason>given up</reason>" },             \
        .status = 200, .body = RESPONSE("HttpNfcLeaseAbort", ""),                                  \
    }

static int
teardown(void **state)
{
    (void)state;
    vmware_lease_free(lease);
    double_done();
    double_logout(session);
    vmware_machine_free(machine);
    clock_fake_ns(-1);
    return 0;
}

#define EXPORT                                                                                     \
    {                                                                                              \
        .expect = { "<ExportVm ", "<_this type=\"VirtualMachine\">vm-1</_this>" }, .fresh = true,  \
        .status = 200, .body = REF("ExportVm", "HttpNfcLease", "session[1]lease"),                 \
    }
#define STATE(sets)                                                                                \
    {                                                                                              \
        .expect = { "<obj type=\"HttpNfcLease\">session[1]lease</obj>",                            \
                    "<pathSet>info</pathSet>" },                                                   \
        .status = 200, .body = PROPERTIES(OBJECT("HttpNfcLease", "session[1]lease", sets)),        \
    }
#define DEVICE(key, url, disk)                                                                     \
    "<deviceUrl><key>" key "</key><importKey/><url>" url "</url><sslThumbprint>AA:BB"              \
    "</sslThumbprint><disk>" disk "</disk><targetId>t</targetId></deviceUrl>"
#define READY(devices)                                                                             \
    STATE(SET("state", "ready") "<propSet><name>info</name><val><lease>x</lease>" devices          \
                                "<totalDiskCapacityInKB>1</totalDiskCapacityInKB>"                 \
                                "<leaseTimeout>300</leaseTimeout></val></propSet>")

static void
entries_are_matched_to_disks(void **state)
{
    (void)state;
    const struct vmware_lease_entry *entries;
    static const struct exchange list[] = {
        EXPORT,
        READY(DEVICE("/vm-1/VirtualAHCIController0:2", "https://*/nfc/1/d2.vmdk", "true") DEVICE(
            "/vm-1/ParaVirtualSCSIController0:1", "https://*:443/nfc/1/d1.vmdk", "true")
                  DEVICE("/vm-1/VirtualLsiLogicController0:0", "https://esx1.test/nfc/1/d0.vmdk",
                         "true") DEVICE("/vm-1/nvram", "https://*/nfc/1/nvram", "false")
                      DEVICE("/vm-1/VirtualLsiLogicController3:9", "https://[2001:db8::1]:8443/x",
                             "true")),
    };
    PLAY(list);
    assert_int_equal(vmware_lease_export(session, machine, NULL, &lease, &err), 0);
    assert_int_equal(vmware_lease_wait(lease, 0, &err), 0);
    double_done();
    assert_int_equal(vmware_lease_entries(lease, &entries), 5);
    assert_int_equal(entries[0].disk_index, 2);
    assert_string_equal(entries[0].url, "https://vc.test:443/nfc/1/d2.vmdk");
    assert_true(entries[0].same_server && entries[0].disk);
    assert_int_equal(entries[1].disk_index, 1);
    assert_string_equal(entries[1].url, "https://vc.test:443/nfc/1/d1.vmdk");
    assert_int_equal(entries[2].disk_index, 0);
    assert_false(entries[2].same_server);
    assert_string_equal(entries[2].host, "esx1.test:443");
    assert_string_equal(entries[2].ssl_thumbprint, "AA:BB");
    assert_false(entries[3].disk);
    assert_int_equal(entries[3].disk_index, -1);
    assert_int_equal(entries[4].disk_index, -1);
    assert_string_equal(entries[4].host, "[2001:db8::1]:8443");
    assert_int_equal(vmware_lease_timeout_s(lease), 300);
    assert_string_equal(vmware_lease_moref(lease), "session[1]lease");
    static const struct exchange end[] = { ABORT };
    PLAY(end); /* by vmware_lease_free */
}

static void
export_and_wait(const struct exchange *list, size_t n, enum err_kind kind, const char *word)
{
    double_play(list, n);
    assert_int_equal(vmware_lease_export(session, machine, NULL, &lease, &err), 0);
    assert_int_equal(vmware_lease_wait(lease, 0, &err), -1);
    double_done();
    assert_int_equal(err.kind, kind);
    if (!strstr(err.text, word))
        fail_msg("no \"%s\" in: %s", word, err.text);
}

static void
its_error_is_the_error(void **state)
{
    (void)state;
    static const struct exchange list[] = {
        EXPORT,
        STATE(
            SET("state", "error") "<propSet><name>error</name><val><fault xsi:type=\"FileLocked\"/>"
                                  "<localizedMessage>locked</localizedMessage></val></propSet>"),
    };
    export_and_wait(list, ARRAY_LEN(list), ERR_CONFLICT, "locked (FileLocked)");
}

static void
what_it_offers_must_make_sense(void **state)
{
    (void)state;
    static const struct exchange end[] = { ABORT };
    static const struct exchange twice[] = {
        EXPORT,
        READY(DEVICE("/vm-1/ParaVirtualSCSIController0:1", "https://*/a", "true")
                  DEVICE("/vm-1/VirtualLsiLogicController0:1", "https://*/b", "true")),
    };
    export_and_wait(twice, ARRAY_LEN(twice), ERR_INVALID, "two streams for one disk");
    PLAY(end);
    vmware_lease_free(TAKE_PTR(lease));
    static const struct exchange clear[] = {
        EXPORT,
        READY(DEVICE("/vm-1/ParaVirtualSCSIController0:1", "http://x/a", "true")),
    };
    export_and_wait(clear, ARRAY_LEN(clear), ERR_INVALID, "not by https");
    PLAY(end);
}

#define PROGRESS(percent)                                                                          \
    {                                                                                              \
        .expect = { "<HttpNfcLeaseProgress ", "<percent>" percent "</percent>" }, .status = 200,   \
        .body = RESPONSE("HttpNfcLeaseProgress", ""),                                              \
    }
#define ONE READY(DEVICE("/vm-1/ParaVirtualSCSIController0:1", "https://*/a", "true"))

static void
become_ready(void)
{
    static const struct exchange list[] = { EXPORT, ONE };
    PLAY(list);
    assert_int_equal(vmware_lease_export(session, machine, NULL, &lease, &err), 0);
    assert_int_equal(vmware_lease_wait(lease, 0, &err), 0);
    double_done();
}

static void
it_is_kept_alive(void **state)
{
    (void)state;
    become_ready();
    static const struct exchange list[] = { PROGRESS("5"), PROGRESS("5"), PROGRESS("100") };
    PLAY(list);
    assert_int_equal(vmware_lease_progress(lease, 0, &err), 0); /* nothing new, and no need */
    assert_int_equal(vmware_lease_progress(lease, 5, &err), 0);
    assert_int_equal(vmware_lease_progress(lease, 5, &err), 0);
    clock_fake_ns(52 * NS_PER_S);
    assert_int_equal(vmware_lease_progress(lease, 5, &err), 0);
    assert_int_equal(vmware_lease_progress(lease, 400, &err), 0);
    double_done();
    static const struct exchange gone[] = {
        { .expect = { "<HttpNfcLeaseProgress " },
          .status = 500,
          .body = FAULT("ManagedObjectNotFound", "x", "") },
    };
    PLAY(gone);
    clock_fake_ns(400 * NS_PER_S);
    assert_int_equal(vmware_lease_progress(lease, 100, &err), -1);
    double_done();
    assert_int_equal(err.kind, ERR_CONFLICT);
    assert_non_null(strstr(err.text, "silent for more than 300 s"));
    /* It is over: nothing to abort. */
}

static void
its_manifest_and_its_end(void **state)
{
    (void)state;
    const struct vmware_manifest_entry *entries;
    size_t n;
    become_ready();
    static const struct exchange list[] = {
        { .expect = { "<HttpNfcLeaseGetManifest " },
          .status = 200,
          .body = RESPONSE("HttpNfcLeaseGetManifest",
                           "<returnval><key>k</key><sha1>ABCD</sha1><size>10</size>"
                           "<disk>true</disk><capacity>1024</capacity></returnval>"
                           "<returnval><key>l</key><sha1/><checksum>EF</checksum>"
                           "<checksumType>sha256</checksumType><size>11</size></returnval>") },
        { .expect = { "<HttpNfcLeaseComplete " },
          .status = 200,
          .body = RESPONSE("HttpNfcLeaseComplete", "") },
    };
    PLAY(list);
    assert_int_equal(vmware_lease_manifest(lease, &entries, &n, &err), 0);
    assert_int_equal(n, 2);
    assert_string_equal(entries[0].sha1, "abcd");
    assert_string_equal(entries[0].sha256, "");
    assert_true(entries[0].bytes == 10 && entries[0].capacity_bytes == 1024 && entries[0].disk);
    assert_string_equal(entries[1].sha1, "");
    assert_string_equal(entries[1].sha256, "ef");
    assert_int_equal(vmware_lease_complete(lease, &err), 0);
    double_done();
}

static void
a_running_machine_is_not_exported(void **state)
{
    (void)state;
    static const struct exchange list[] = { {
        .expect = { "<ExportSnapshot ", "<_this type=\"VirtualMachineSnapshot\">s-1</_this>" },
        .status = 500,
        .body = FAULT("InvalidPowerState", "not now",
                      "<requestedState>poweredOff</requestedState>"
                      "<existingState>poweredOn</existingState>"),
    } };
    PLAY(list);
    assert_int_equal(vmware_lease_export(session, machine, "s-1", &lease, &err), -1);
    double_done();
    assert_int_equal(err.kind, ERR_CONFLICT);
    assert_non_null(strstr(err.text, "the machine is poweredOn and would have to be poweredOff"));
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(entries_are_matched_to_disks),   TEST(its_error_is_the_error),
        TEST(what_it_offers_must_make_sense), TEST(it_is_kept_alive),
        TEST(its_manifest_and_its_end),       TEST(a_running_machine_is_not_exported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
