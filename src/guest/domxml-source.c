#include "guest/domxml.h"

#include <inttypes.h>

#include "base/checked.h"
#include "wire/xml-writer.h"

static void put_source_disk(struct xml_writer *w, const struct domxml_spec *spec, size_t i);
static void put_source_nics(struct xml_writer *w, const struct vm *vm);

int
domxml_write_source(const struct domxml_spec *spec, struct buf *ret, struct err *err)
{
    struct xml_writer writer = XML_WRITER_INIT(ret), *w = &writer;
    const struct vm *vm = spec->vm;
    xml_open(w, "domain");
    xml_put_attr(w, "type", "kvm");
    xml_put_element(w, "name", spec->name ? spec->name : vm->name);
    /* In KiB and without a unit, which virt-v2v (2.2 and 2.10) does not look at. */
    xml_put_elementf(w, "memory", "%" PRIu64, div_up(vm->memory_bytes, KIB));
    xml_put_elementf(w, "vcpu", "%u", vm->vcpus);
    xml_open(w, "os");
    if (spec->firmware == VM_FIRMWARE_UEFI)
        xml_put_attr(w, "firmware", "efi");
    xml_open(w, "type");
    xml_put_attr(w, "arch", "x86_64");
    xml_put_text(w, "hvm");
    xml_close(w);
    xml_close(w);
    xml_open(w, "features");
    xml_put_empty(w, "acpi", NULL);
    xml_put_empty(w, "apic", NULL);
    xml_close(w);
    xml_open(w, "devices");
    for (size_t i = 0; i < vm->n_disks; i++)
        put_source_disk(w, spec, i);
    put_source_nics(w, vm);
    xml_close(w);
    xml_close(w);
    return xml_writer_end(w, err) < 0 ? err_prefix(err, "source XML") : 0;
}

static void
put_source_disk(struct xml_writer *w, const struct domxml_spec *spec, size_t i)
{
    static const struct {
        const char *bus, *prefix;
    } names[] = {
        [VM_BUS_SCSI] = { "scsi", "sd" },     [VM_BUS_SATA] = { "sata", "sd" },
        [VM_BUS_IDE] = { "ide", "hd" },       [VM_BUS_NVME] = { "nvme", "nvme" },
        [VM_BUS_VIRTIO] = { "virtio", "vd" },
    };
    enum vm_bus bus = spec->vm->disks[i].bus;
    const struct domxml_disk *disk = &spec->disks[i];
    char letters[4];
    xml_open(w, "disk");
    xml_put_attr(w, "type", disk->block ? "block" : "file");
    xml_put_attr(w, "device", "disk");
    xml_put_empty(w, "driver", "name", "qemu", "type", disk->format, NULL);
    xml_put_empty(w, "source", disk->block ? "dev" : "file", disk->path, NULL);
    xml_open(w, "target");
    if (bus == VM_BUS_NVME)
        xml_put_attrf(w, "dev", "nvme%zun1", i);
    else
        xml_put_attrf(w, "dev", "%s%s", names[bus].prefix, vm_drive_letters(i, letters));
    xml_put_attr(w, "bus", names[bus].bus);
    xml_close(w);
    xml_close(w);
}

static void
put_source_nics(struct xml_writer *w, const struct vm *vm)
{
    for (size_t i = 0; i < vm->n_nics; i++) {
        xml_open(w, "interface");
        xml_put_attr(w, "type", "network");
        if (*vm->nics[i].mac)
            xml_put_empty(w, "mac", "address", vm->nics[i].mac, NULL);
        xml_put_empty(w, "source", "network", "default", NULL);
        xml_close(w);
    }
}
