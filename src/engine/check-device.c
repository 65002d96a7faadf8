/* Rules about what the machine is made of, beside its disks. */
#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "engine/check-rule.h"

static void
look_tpm(struct check *c)
{
    if (c->m->vm->tpm)
        check_say(c, NULL, "it has a virtual TPM");
}

static void
look_uefi(struct check *c)
{
    if (c->m->vm->firmware_known && c->m->vm->firmware == VM_FIRMWARE_UEFI)
        check_say(c, NULL, "its firmware is UEFI");
}

static void
look_secure_boot(struct check *c)
{
    if (c->m->vm->secure_boot)
        check_say(c, NULL, "secure boot is on");
}

static void
look_vbs(struct check *c)
{
    if (c->m->vbs)
        check_say(c, NULL, "virtualization-based security is on");
}

static void
look_nested(struct check *c)
{
    if (c->m->nested_hv)
        check_say(c, NULL, "it may run virtual machines itself");
}

/* Devices of these kinds, each by its label. */
static void
say_devices(struct check *c, unsigned kinds, enum check_level warm_running)
{
    bool running = c->m->power == VMWARE_POWERED_ON;
    for (size_t i = 0; i < c->m->n_devices; i++) {
        const struct vmware_device *device = &c->m->devices[i];
        if (!(kinds & (1u << device->kind)))
            continue;
        enum check_level warm = running ? MAX(c->rule->warm, warm_running) : c->rule->warm;
        check_say_at(c, c->rule->cold, warm, NULL, "%.100s", device->label);
    }
}

static void
look_passthrough(struct check *c)
{
    say_devices(c,
                1u << VMWARE_DEVICE_PCI_PASSTHROUGH | 1u << VMWARE_DEVICE_SRIOV |
                    1u << VMWARE_DEVICE_VGPU,
                CHECK_ERROR);
}

static void
look_nvdimm(struct check *c)
{
    say_devices(c, 1u << VMWARE_DEVICE_NVDIMM, CHECK_ERROR);
}

static void
look_usb(struct check *c)
{
    say_devices(c, 1u << VMWARE_DEVICE_USB, CHECK_NONE);
}

static void
look_ports(struct check *c)
{
    say_devices(c, 1u << VMWARE_DEVICE_SERIAL | 1u << VMWARE_DEVICE_PARALLEL, CHECK_NONE);
}

static void
look_media(struct check *c)
{
    if (c->m->tools_mounted)
        check_say(c, NULL, "the installer of VMware Tools is in its CD drive");
    for (size_t i = 0; i < c->m->n_devices; i++)
        if (c->m->devices[i].kind == VMWARE_DEVICE_MEDIUM)
            check_say(c, NULL, "%.100s: %.200s", c->m->devices[i].label,
                      c->m->devices[i].file ? c->m->devices[i].file : "a medium");
}

bool
check_is_service(const struct vmware_machine *machine)
{
    static const char *const own[] = { "com.vmware.vim.eam", "com.vmware.vsphere.client",
                                       "com.vmware.vcls" };
    if (!machine->managed_by)
        return false;
    for (size_t i = 0; i < ARRAY_LEN(own); i++)
        if (strcmp(machine->managed_by, own[i]) == 0)
            return true;
    return strncmp(machine->name, "vCLS", 4) == 0;
}

static void
look_managed(struct check *c)
{
    enum check_level level = check_is_service(c->m) ? CHECK_ERROR : CHECK_WARNING;
    if (c->m->managed_by)
        check_say_at(c, level, level, NULL, "it is managed by %.200s", c->m->managed_by);
}

static void
look_replicated(struct check *c)
{
    if (c->m->replicated)
        check_say(c, NULL, "it is replicated by vSphere Replication");
}

static void
look_vapp(struct check *c)
{
    if (c->m->ovf_environment)
        check_say(c, NULL, "it gets settings from vSphere (OVF environment)");
}

const struct check_rule check_device_rules[] = {
    { "tpm", CHECK_WARNING, CHECK_WARNING, look_tpm,
      "its secrets cannot be exported: the target's TPM is empty, and BitLocker or measured boot "
      "will ask for the recovery key",
      "suspend BitLocker before, and have its recovery key at hand" },
    { "uefi", CHECK_INFO, CHECK_INFO, look_uefi,
      "boot entries in the NVRAM stay behind; the guest starts by the fallback on its EFI system "
      "partition",
      "see that the target has OVMF" },
    { "secure-boot", CHECK_WARNING, CHECK_WARNING, look_secure_boot,
      "the target needs an OVMF with secure boot and Microsoft's keys, and drivers must be signed",
      "see that the target has it, or turn secure boot off in the machine first" },
    { "vbs", CHECK_WARNING, CHECK_WARNING, look_vbs,
      "Windows protects itself by virtualisation, which the target's processor must offer to the "
      "guest",
      "give the machine a host CPU with nested virtualisation at the target, or turn it off in "
      "Windows first" },
    { "nested-virtualization", CHECK_INFO, CHECK_INFO, look_nested,
      "the target offers virtualisation to a guest only when it is told to",
      "give the machine a host CPU with nested virtualisation at the target" },
    { "passthrough", CHECK_WARNING, CHECK_WARNING, look_passthrough,
      "a device of the host cannot move; a running machine that has one cannot be frozen by a "
      "snapshot",
      "take it out before a warm migration; give the machine such a device at the target anew" },
    { "nvdimm", CHECK_ERROR, CHECK_ERROR, look_nvdimm,
      "what persistent memory holds cannot be read through vSphere",
      "move its data to a disk and take it out of the machine" },
    { "usb-device", CHECK_WARNING, CHECK_WARNING, look_usb, "a device of the host cannot move",
      "give the machine such a device at the target anew" },
    { "ports", CHECK_WARNING, CHECK_WARNING, look_ports, "serial and parallel ports stay behind",
      "add such a port at the target if the guest uses it" },
    { "media", CHECK_INFO, CHECK_INFO, look_media,
      "media stay behind, and a missing one raises questions when the machine is switched on",
      "take it out, if you switch the machine on again" },
    { "managed", CHECK_WARNING, CHECK_WARNING, look_managed,
      "its manager makes, changes and removes it on its own; vSphere's service machines have no "
      "meaning elsewhere",
      "leave service machines behind; tell the manager of others before" },
    { "replicated", CHECK_WARNING, CHECK_WARNING, look_replicated,
      "replication makes snapshots of its own, and freezing the guest may fail",
      "pause the replication while the machine is migrated" },
    { "ovf-environment", CHECK_WARNING, CHECK_WARNING, look_vapp,
      "the guest may read its address or passwords from there when it starts",
      "see what the guest takes from it, and set that in the guest" },
    { 0 },
};
