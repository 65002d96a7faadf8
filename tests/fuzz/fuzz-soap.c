/* What a vCenter answers. The first byte says what is asked of it, a letter; the rest are its
 * answers. What is made of them must keep the promises of src/vmware. */
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/clock.h"
#include "soap-double.h"
#include "vmware/cbt.h"
#include "vmware/datastore.h"
#include "vmware/find.h"
#include "vmware/host.h"
#include "vmware/inventory.h"
#include "vmware/lease.h"
#include "vmware/machine.h"
#include "vmware/power.h"
#include "vmware/privilege.h"
#include "vmware/session.h"
#include "vmware/snapshot.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CAPACITY 1000000

static void
must(bool holds)
{
    if (!holds)
        abort();
}

/* ERR_BUG is a broken rule of ours, which no answer may bring about. */
static void
must_say(int r, const struct err *err)
{
    must(r == 0 || (err->kind != ERR_NONE && err->kind != ERR_BUG && *err->text));
}

static void
must_be_whole(const struct vmware_machine *m)
{
    struct err err = ERR_INIT;
    must(*m->moref && *m->name && m->vm && m->vm->name && m->path && m->datacenter_path);
    if (!m->config_present)
        return;
    must(vm_check(m->vm, &err) == 0);
    must(m->n_disks == m->vm->n_disks && m->n_nics == m->vm->n_nics);
    for (size_t i = 0; i < m->n_disks; i++) {
        const struct vmware_disk *disk = &m->disks[i];
        must(disk->capacity_bytes == m->vm->disks[i].capacity_bytes);
        must(disk->file && disk->base_file && disk->change_id && disk->datastore &&
             disk->datastore_name && disk->datastore_type && disk->uuid && disk->label);
        must(vmware_machine_disk(m, disk->key) == disk);
    }
    for (size_t i = 0; i < m->n_snapshots; i++)
        must(*m->snapshots[i].moref && m->snapshots[i].parent && m->snapshots[i].name);
    for (size_t i = 0; i < m->n_devices; i++)
        must(m->devices[i].label != NULL);
}

static int
on_machine(const struct vmware_machine *machine, void *arg, struct err *err)
{
    (void)arg, (void)err;
    must_be_whole(machine);
    return 0;
}

static int
on_summary(const struct vmware_summary *s, void *arg, struct err *err)
{
    (void)arg, (void)err;
    must(*s->moref && *s->name && *s->path && s->datacenter_path && s->uuid && s->guest &&
         s->host_name && s->annotation);
    return 0;
}

static int
on_host(const struct vmware_host *host, void *arg, struct err *err)
{
    (void)arg, (void)err;
    must(*host->moref && host->name && host->version && host->datacenter_path);
    return 0;
}

static int
on_area(uint64_t start, uint64_t length, void *arg, struct err *err)
{
    uint64_t *end = arg;
    (void)err;
    must(length > 0 && (start > *end || *end == 0) && start + length <= CAPACITY);
    *end = start + length;
    return 0;
}

static int
read_machine(struct vmware_session *session, const char *snapshot, struct err *err)
{
    auto_vmware_machine struct vmware_machine *machine = NULL;
    if (vmware_machine_read(session, "vm-1", snapshot, &machine, err) < 0)
        return -1;
    must_be_whole(machine);
    return 0;
}

static int export(struct vmware_session *session, struct err *err)
{
    auto_vmware_machine struct vmware_machine *machine = NULL;
    auto_vmware_lease struct vmware_lease *lease = NULL;
    const struct vmware_lease_entry *entries;
    const struct vmware_manifest_entry *manifest;
    size_t n;
    if (vmware_machine_read(session, "vm-1", NULL, &machine, err) < 0 ||
        vmware_lease_export(session, machine, NULL, &lease, err) < 0 ||
        vmware_lease_wait(lease, 0, err) < 0)
        return -1;
    n = vmware_lease_entries(lease, &entries);
    for (size_t i = 0; i < n; i++)
        must(entries[i].disk_index >= -1 && entries[i].disk_index < (int)machine->n_disks &&
             strncmp(entries[i].url, "https://", 8) == 0 && *entries[i].host);
    if (vmware_lease_progress(lease, 50, err) < 0 ||
        vmware_lease_manifest(lease, &manifest, &n, err) < 0)
        return -1;
    for (size_t i = 0; i < n; i++)
        must(manifest[i].key && manifest[i].sha1 && manifest[i].sha256);
    return vmware_lease_complete(lease, err);
}

static int
ask_areas(struct vmware_session *session, struct err *err)
{
    enum vmware_cbt_answer answer;
    uint64_t end = 0;
    char why[512];
    struct vmware_cbt_query query = { .machine_moref = "vm-1",
                                      .snapshot_moref = "snapshot-1",
                                      .disk_key = 2000,
                                      .capacity_bytes = CAPACITY,
                                      .change_id = "52 de/1" };
    return vmware_cbt_areas(session, &query, on_area, &end, &answer, why, err);
}

static int
make_snapshot(struct vmware_session *session, struct err *err)
{
    struct vmware_snapshot_made made = { .found = false };
    if (vmware_snapshot_create(session, "vm-1", "vmferry-1", "", VMWARE_QUIESCE_TRY, &made, err) <
        0)
        return -1;
    return vmware_snapshot_remove(session, "vm-1", *made.moref ? made.moref : "snapshot-1", NULL,
                                  err);
}

static int
read_files(struct vmware_session *session, struct err *err)
{
    auto_vmware_descriptor struct vmware_descriptor *descriptor = NULL;
    if (vmware_descriptor_read(session, "/DC0", "[ds] d/x.vmdk", &descriptor, err) < 0)
        return -1;
    uint64_t sum = 0;
    for (size_t i = 0; i < descriptor->n_extents; i++)
        sum += descriptor->extents[i].bytes;
    must(sum == descriptor->capacity_bytes && sum > 0);
    return 0;
}

static int
look_around(struct vmware_session *session, struct err *err)
{
    static const char *const ids[] = { "A", "B", NULL };
    bool missing[2], read_only;
    char name[128];
    enum vmware_power power;
    if (vmware_licence(session, &read_only, name, err) < 0 ||
        vmware_privileges_missing(session, "VirtualMachine", "vm-1", ids, missing, err) < 0 ||
        vmware_power_state(session, "vm-1", &power, err) < 0)
        return -1;
    return vmware_hosts(session, NULL, on_host, NULL, err);
}

static int
find_one(struct vmware_session *session, struct err *err)
{
    auto_vmware_found struct vmware_found found = { .name = NULL };
    if (vmware_find(session, "prod/x", NULL, &found, err) < 0)
        return -1;
    must(*found.moref && found.name && found.path && found.datacenter_path);
    return 0;
}

static int
ask(struct vmware_session *session, char what, struct err *err)
{
    switch (what) {
    case 'r':
        return read_machine(session, NULL, err);
    case 's':
        return read_machine(session, "snapshot-1", err);
    case 'i':
        return vmware_inventory(session, NULL, on_summary, NULL, err);
    case 'm':
        return vmware_machines(session, NULL, on_machine, NULL, err);
    case 'f':
        return find_one(session, err);
    case 'c':
        return ask_areas(session, err);
    case 'e':
        return export(session, err);
    case 'n':
        return make_snapshot(session, err);
    case 'd':
        return read_files(session, err);
    default:
        return look_around(session, err);
    }
}

#define BODY(content)                                                                              \
    "<e:Envelope xmlns:e=\"http://schemas.xmlsoap.org/soap/envelope/\"><e:Body>" content           \
    "</e:Body></e:Envelope>"
static const char first[] =
    "<namespaces><namespace><name>urn:vim25</name><version>7.0</version></namespace></"
    "namespaces>\0" BODY(
        "<R><returnval><rootFolder>f</rootFolder><propertyCollector>c</propertyCollector>"
        "<viewManager>v</viewManager><about><apiType>VirtualCenter</apiType></about>"
        "<sessionManager>s</sessionManager><searchIndex>i</searchIndex>"
        "<authorizationManager>a</authorizationManager><licenseManager>l</licenseManager>"
        "</returnval></R>") "\0" BODY("<R><returnval><key>k</key></returnval></R>");

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err err = ERR_INIT;
    struct vmware_session *session = NULL;
    struct vmware_options options = { .host = "h", .user = "u", .password = "p" };
    if (size == 0)
        return 0;
    clock_fake_ns(NS_PER_S); /* pauses pass at once */
    if (data[0] == 'l') {    /* the login itself */
        soap_double_feed(data + 1, size - 1);
        must_say(vmware_login(&options, &session, &err), &err);
    } else {
        soap_double_feed((const uint8_t *)first, sizeof first - 1);
        must(vmware_login(&options, &session, &err) == 0);
        soap_double_feed(data + 1, size - 1);
        must_say(ask(session, (char)data[0], &err), &err);
    }
    soap_double_feed(NULL, 0);
    vmware_logout(session);
    return 0;
}
