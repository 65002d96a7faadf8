#include "descriptor/ovf-hardware.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "descriptor/number.h"
#include "descriptor/ovf-disk.h"
#include "descriptor/ovf-item.h"

static int read_cpu(const struct ovf_scope *scope, const struct xml_node *item, struct err *err);
static int read_memory(const struct ovf_scope *scope, const struct xml_node *item, struct err *err);
static int read_nic(const struct ovf_scope *scope, const struct xml_node *item, struct err *err);
static int read_nic_model(const struct xml_node *item, struct vm_nic *nic, struct err *err);
static void read_config(const struct ovf_scope *scope);
static void read_config_entry(struct vm *vm, const char *key, const char *value);
static void read_virtualbox(const struct ovf_scope *scope);
static void read_ovirt(const struct ovf_scope *scope);

int
ovf_read_hardware(const struct ovf_scope *scope, struct err *err)
{
    auto_free struct ovf_items *items = calloc(1, sizeof *items);
    if (!items)
        return err_errno(err, ENOMEM, "the hardware");
    if (ovf_collect_items(scope, items, err) < 0)
        return -1;
    bool cpu = false, memory = false;
    for (size_t i = 0; i < items->n; i++) {
        const struct xml_node *item = items->nodes[i];
        int r = 0;
        switch (ovf_item_type(item)) {
        case OVF_CPU: /* the first: a second one would be another architecture's */
            r = cpu ? 0 : read_cpu(scope, item, err);
            cpu = true;
            break;
        case OVF_MEMORY:
            r = memory ? 0 : read_memory(scope, item, err);
            memory = true;
            break;
        case OVF_ETHERNET:
            r = read_nic(scope, item, err);
            break;
        case OVF_CD:
        case OVF_DVD:
            scope->vm->n_cdroms++;
            break;
        default:
            /* vSphere's TPM is of type "other", oVirt's a Device */
            if (strcasecmp(ovf_item_text(item, "ResourceSubType"), "vmware.vtpm") == 0 ||
                strcmp(ovf_item_text(item, "Device"), "tpm") == 0)
                scope->vm->tpm = true;
        }
        if (r < 0)
            return err_prefix(err, "line %u", item->line);
    }
    if (!memory)
        return err_set(err, ERR_INVALID, "the machine has no memory item");
    read_config(scope);
    read_virtualbox(scope);
    read_ovirt(scope);
    return ovf_read_disks(scope, items, err);
}

static int
read_cpu(const struct ovf_scope *scope, const struct xml_node *item, struct err *err)
{
    struct vm *vm = scope->vm;
    uint64_t n, cores = 0, threads = 1;
    if (number_read_max(xml_text_at(item, "VirtualQuantity"), "number of CPUs", VM_MAX_VCPUS, &n,
                        err) < 0)
        return -1;
    vm->vcpus = (unsigned)n;
    const char *per_socket = xml_text_at(item, "CoresPerSocket"); /* vmw: */
    if (!per_socket)
        per_socket = xml_text_at(item, "cpu_per_socket"); /* oVirt */
    const char *per_core = xml_text_at(item, "threads_per_cpu");
    if (per_socket &&
        number_read_max(per_socket, "cores per socket", VM_MAX_VCPUS, &cores, err) < 0)
        return -1;
    if (per_core && number_read_max(per_core, "threads per core", VM_MAX_VCPUS, &threads, err) < 0)
        return -1;
    /* VMware itself lets the last socket be half full; then there is no topology to give. */
    if (cores == 0 || threads == 0 || n % (cores * threads) != 0)
        return 0;
    vm->sockets = (unsigned)(n / (cores * threads));
    vm->cores = (unsigned)cores;
    vm->threads = (unsigned)threads;
    return 0;
}

static int
read_memory(const struct ovf_scope *scope, const struct xml_node *item, struct err *err)
{
    const char *unit = ovf_item_text(item, "AllocationUnits");
    return number_bytes(xml_text_at(item, "VirtualQuantity"), *unit ? unit : "byte * 2^20",
                        "memory", &scope->vm->memory_bytes, err);
}

static int
read_nic(const struct ovf_scope *scope, const struct xml_node *item, struct err *err)
{
    struct vm_nic *nic = vm_add_nic(scope->vm, err);
    if (!nic || vm_set_text(&nic->network, xml_text_at(item, "Connection"), err) < 0 ||
        read_nic_model(item, nic, err) < 0)
        return -1;
    const char *mac = ovf_item_text(item, "Address");
    if (!*mac)
        mac = ovf_item_text(item, "MACAddress"); /* oVirt */
    if (*mac && vm_mac_parse(mac, nic->mac, err) < 0)
        return -1;
    const char *connected = xml_text_at(item, "AutomaticAllocation");
    const char *linked = xml_text_at(item, "linked"); /* oVirt */
    nic->connected =
        (!connected || number_is_true(connected)) && (!linked || number_is_true(linked));
    for (const struct xml_node *c = xml_child(item, "Config"); c; c = xml_next(c, "Config")) {
        const char *key = xml_attr(c, "key");
        uint64_t slot;
        struct err none;
        if (key && strcmp(key, "slotInfo.pciSlotNumber") == 0 &&
            number_read_max(xml_attr(c, "value"), key, INT32_MAX, &slot, &none) == 0)
            nic->pci_slot = (unsigned)slot;
    }
    return 0;
}

/* One or more words; oVirt has numbers of its own. */
static int
read_nic_model(const struct xml_node *item, struct vm_nic *nic, struct err *err)
{
    static const char *const ovirt[] = { NULL, "rtl8139", "e1000", "virtio", NULL, NULL };
    const char *text = ovf_item_text(item, "ResourceSubType");
    char model[32];
    size_t len = strcspn(text, " ");
    if (len == 1 && text[0] >= '0' && text[0] < '0' + (int)ARRAY_LEN(ovirt))
        return vm_set_text(&nic->model, ovirt[text[0] - '0'], err);
    if (len == 0 || len >= sizeof model)
        return 0;
    for (size_t i = 0; i < len; i++)
        model[i] = (char)tolower((unsigned char)text[i]);
    model[len] = '\0';
    return vm_set_text(&nic->model, model, err);
}

/* vmw:Config and vmw:ExtraConfig of the section: what has no place in the standard. */
static void
read_config(const struct ovf_scope *scope)
{
    for (const struct xml_node *c = xml_child(scope->hardware, NULL); c; c = xml_next(c, NULL)) {
        if (strcmp(c->name, "Config") != 0 && strcmp(c->name, "ExtraConfig") != 0)
            continue;
        const char *key = xml_attr(c, "key"), *value = xml_attr(c, "value");
        if (key && value)
            read_config_entry(scope->vm, key, value);
    }
}

static void
read_config_entry(struct vm *vm, const char *key, const char *value)
{
    unsigned n;
    int end = 0;
    if (strcmp(key, "firmware") == 0) {
        vm->firmware_known = true;
        vm->firmware = strcasecmp(value, "efi") == 0 ? VM_FIRMWARE_UEFI : VM_FIRMWARE_BIOS;
    } else if (strcmp(key, "bootOptions.efiSecureBootEnabled") == 0 ||
               strcasecmp(key, "uefi.secureBoot.enabled") == 0) {
        vm->secure_boot = number_is_true(value);
    } else if (strcasecmp(key, "vtpm.present") == 0) {
        vm->tpm = number_is_true(value);
    } else if (sscanf(key, "ethernet%2u.pciSlotNumber%n", &n, &end) == 1 && end > 0 &&
               key[end] == '\0' && n < vm->n_nics) {
        uint64_t slot;
        struct err none;
        if (number_read_max(value, key, INT32_MAX, &slot, &none) == 0)
            vm->nics[n].pci_slot = (unsigned)slot;
    }
}

/* VirtualBox writes its own description of the machine beside the standard one, and only there what
 * the MAC addresses and the firmware are. Its enabled adapters are our NICs in the same order. */
static void
read_virtualbox(const struct ovf_scope *scope)
{
    struct vm *vm = scope->vm;
    const struct xml_node *hardware = xml_find(scope->system, "Machine/Hardware");
    const char *firmware = xml_attr_at(hardware, "Firmware", "type");
    if (firmware) {
        vm->firmware_known = true;
        vm->firmware = strncasecmp(firmware, "EFI", 3) == 0 ? VM_FIRMWARE_UEFI : VM_FIRMWARE_BIOS;
    }
    const char *tpm = xml_attr_at(hardware, "TrustedPlatformModule", "type");
    vm->tpm |= tpm && strcasecmp(tpm, "None") != 0;
    size_t n = 0;
    for (const struct xml_node *a = xml_find(hardware, "Network/Adapter"); a && n < vm->n_nics;
         a = xml_next(a, "Adapter")) {
        const char *mac = xml_attr(a, "MACAddress");
        if (!number_is_true(xml_attr(a, "enabled")))
            continue;
        struct vm_nic *nic = &vm->nics[n++];
        struct err none;
        if (mac && !*nic->mac && vm_mac_parse(mac, nic->mac, &none) < 0)
            *nic->mac = '\0';
    }
}

/* oVirt's BiosType: 1 and 2 SeaBIOS, 3 OVMF, 4 OVMF with secure boot. */
static void
read_ovirt(const struct ovf_scope *scope)
{
    const char *type = xml_text_at(scope->system, "BiosType");
    if (!type || type[0] < '1' || type[0] > '4' || type[1])
        return;
    scope->vm->firmware_known = true;
    scope->vm->firmware = type[0] >= '3' ? VM_FIRMWARE_UEFI : VM_FIRMWARE_BIOS;
    scope->vm->secure_boot = type[0] == '4';
}
