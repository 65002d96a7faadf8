#include "engine/describe.h"

static json_t *
describe_disk(const struct vm_disk *disk)
{
    char address[VM_DISK_ID_MAX];
    return json_pack("{s:s, s:I, s:s?, s:s?, s:b}", "address", vm_disk_id(disk, address),
                     "capacity_bytes", (json_int_t)disk->capacity_bytes, "path", disk->image.path,
                     "format", disk->image.format, "gzip", disk->image.gzip);
}

static json_t *
describe_nic(const struct vm_nic *nic)
{
    return json_pack("{s:s, s:s?, s:b, s:s?, s:b}", "mac", nic->mac, "network", nic->network,
                     "bridge", nic->bridge, "model", nic->model, "connected", nic->connected);
}

json_t *
describe_vm(const struct vm *vm)
{
    auto_json json_t *disks = json_array();
    auto_json json_t *nics = json_array();
    for (size_t i = 0; i < vm->n_disks; i++)
        if (json_array_append_new(disks, describe_disk(&vm->disks[i])) < 0)
            return NULL;
    for (size_t i = 0; i < vm->n_nics; i++)
        if (json_array_append_new(nics, describe_nic(&vm->nics[i])) < 0)
            return NULL;
    const char *firmware = !vm->firmware_known                ? "unknown"
                           : vm->firmware == VM_FIRMWARE_UEFI ? "uefi"
                                                              : "bios";
    return json_pack("{s:s, s:s?, s:s?, s:s?, s:s?, s:s, s:b, s:b, s:i, s:i, s:i, s:i, s:s?, s:I, "
                     "s:i, s:O, s:O}",
                     "name", vm->name, "uuid", vm->uuid, "genid", vm->genid, "title", vm->title,
                     "osinfo", vm->osinfo, "firmware", firmware, "secure_boot", vm->secure_boot,
                     "tpm", vm->tpm, "vcpus", (int)vm->vcpus, "sockets", (int)vm->sockets, "cores",
                     (int)vm->cores, "threads", (int)vm->threads, "cpu_model", vm->cpu_model,
                     "memory_bytes", (json_int_t)vm->memory_bytes, "cdroms", (int)vm->n_cdroms,
                     "disks", disks, "nics", nics);
}
