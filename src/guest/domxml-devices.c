#include "guest/domxml-devices.h"

#include <ctype.h>
#include <string.h>

#include "base/checked.h"

#define ROOT_PORTS_SPARE 4 /* for hot-plug */
#define ROOT_PORTS_MAX 200 /* a multifunction slot takes 8, and pcie.0 has not many more slots */
#define IDE_MAX_DISKS 4

static void put_virtio_model(struct xml_writer *w, const struct domxml_plan *plan);
static void put_controllers(struct xml_writer *w, const struct domxml_plan *plan);
static void put_disk(struct xml_writer *w, const struct domxml_plan *plan, size_t i);
static void put_nic(struct xml_writer *w, const struct domxml_plan *plan, size_t i);
static unsigned boot_rank(const struct vm *vm, unsigned order, bool is_nic, size_t index);
static bool serial_is_plain(const char *serial);
static const char *nic_model(const struct domxml_plan *plan, const struct vm_nic *nic);
static void put_consoles(struct xml_writer *w, const struct domxml_plan *plan);
static void put_helpers(struct xml_writer *w, const struct domxml_plan *plan);

void
domxml_put_devices(struct xml_writer *w, const struct domxml_plan *plan)
{
    xml_open(w, "devices");
    put_controllers(w, plan);
    for (size_t i = 0; i < plan->vm->n_disks; i++)
        put_disk(w, plan, i);
    for (size_t i = 0; i < plan->vm->n_nics; i++)
        put_nic(w, plan, i);
    put_consoles(w, plan);
    put_helpers(w, plan);
    xml_close(w);
}

static void
put_virtio_model(struct xml_writer *w, const struct domxml_plan *plan)
{
    if (plan->transitional)
        xml_put_attr(w, "model", "virtio-transitional");
}

static void
put_controllers(struct xml_writer *w, const struct domxml_plan *plan)
{
    const struct vm *vm = plan->vm;
    const struct guest_facts *facts = plan->spec->facts;
    /* Windows learned USB 3 with 8 (6.2). */
    bool no_usb3 = plan->old_chipset ||
                   (plan->windows && facts->major && facts->major * 10 + facts->minor < 62);
    if (!no_usb3)
        xml_put_empty(w, "controller", "type", "usb", "model", "qemu-xhci", "ports", "15", NULL);
    if (!plan->spec->no_virtio) {
        xml_open(w, "controller");
        xml_put_attr(w, "type", "virtio-serial");
        xml_put_attr(w, "index", "0");
        put_virtio_model(w, plan);
        xml_close(w);
    }
    if (plan->old_chipset)
        return;
    /* One each for what sits on PCI Express (USB, virtio-serial, rng, balloon, disks, NICs), and
     * some to plug into. */
    size_t ports = ROOT_PORTS_SPARE + 1 + vm->n_nics;
    if (!plan->spec->no_virtio)
        ports += 3 + vm->n_disks;
    xml_put_empty(w, "controller", "type", "pci", "index", "0", "model", "pcie-root", NULL);
    for (size_t i = 0; i < MIN(ports, (size_t)ROOT_PORTS_MAX); i++)
        xml_put_empty(w, "controller", "type", "pci", "model", "pcie-root-port", NULL);
}

static void
put_disk(struct xml_writer *w, const struct domxml_plan *plan, size_t i)
{
    const struct vm_disk *disk = &plan->vm->disks[i];
    const struct domxml_disk *target = &plan->spec->disks[i];
    bool ide = plan->spec->no_virtio && plan->old_chipset && plan->vm->n_disks <= IDE_MAX_DISKS;
    const char *bus = !plan->spec->no_virtio ? "virtio" : ide ? "ide" : "sata";
    char letters[4];
    xml_open(w, "disk");
    xml_put_attr(w, "type", target->block ? "block" : "file");
    xml_put_attr(w, "device", "disk");
    if (!plan->spec->no_virtio)
        put_virtio_model(w, plan);
    xml_open(w, "driver");
    xml_put_attr(w, "name", "qemu");
    xml_put_attr(w, "type", target->format);
    if (!target->no_direct) {
        /* io='native' is only allowed with O_DIRECT, which is what cache='none' asks for. */
        xml_put_attr(w, "cache", "none");
        xml_put_attr(w, "io", "native");
    }
    xml_put_attr(w, "discard", "unmap");
    xml_put_attr(w, "detect_zeroes", "unmap");
    xml_close(w);
    xml_put_empty(w, "source", target->block ? "dev" : "file", target->path, NULL);
    xml_open(w, "target");
    xml_put_attrf(w, "dev", "%s%s",
                  !plan->spec->no_virtio ? "vd"
                  : ide                  ? "hd"
                                         : "sd",
                  vm_drive_letters(i, letters));
    xml_put_attr(w, "bus", bus);
    xml_close(w);
    if (disk->serial && serial_is_plain(disk->serial))
        xml_put_element(w, "serial", disk->serial);
    unsigned rank = boot_rank(plan->vm, disk->boot_order, false, i);
    if (rank > 0) {
        xml_open(w, "boot");
        xml_put_attrf(w, "order", "%u", rank);
        xml_close(w);
    }
    xml_close(w);
}

/* The place of a device among all that have a boot order, from 1: libvirt wants each number once.
 * When none has, the first disk is it. */
static unsigned
boot_rank(const struct vm *vm, unsigned order, bool is_nic, size_t index)
{
    unsigned rank = 1;
    bool any = false;
    for (size_t i = 0; i < vm->n_disks; i++) {
        unsigned other = vm->disks[i].boot_order;
        any |= other > 0;
        if (other > 0 && (other < order || (other == order && (is_nic || i < index))))
            rank++;
    }
    for (size_t i = 0; i < vm->n_nics; i++) {
        unsigned other = vm->nics[i].boot_order;
        any |= other > 0;
        if (other > 0 && (other < order || (other == order && is_nic && i < index)))
            rank++;
    }
    if (!any)
        return !is_nic && index == 0 ? 1 : 0;
    return order > 0 ? rank : 0;
}

/* What libvirt's schema lets a serial be. */
static bool
serial_is_plain(const char *serial)
{
    for (const char *c = serial; *c; c++)
        if (!isalnum((unsigned char)*c) && !strchr("_.+- ", *c))
            return false;
    return *serial != '\0';
}

/* A guest without virtio keeps the Intel card that it knew, if it was one that QEMU has. */
static const char *
nic_model(const struct domxml_plan *plan, const struct vm_nic *nic)
{
    if (plan->transitional)
        return "virtio-transitional";
    if (!plan->spec->no_virtio)
        return "virtio";
    if (plan->old_chipset || (nic->model && strcmp(nic->model, "e1000") == 0))
        return "e1000";
    return "e1000e";
}

static void
put_nic(struct xml_writer *w, const struct domxml_plan *plan, size_t i)
{
    const struct vm_nic *nic = &plan->vm->nics[i];
    struct domxml_nic target = { .network = nic->network, .bridge = nic->bridge };
    if (plan->spec->nics)
        target = plan->spec->nics[i];
    if (!target.network)
        target = (struct domxml_nic){ .network = "default" };
    xml_open(w, "interface");
    xml_put_attr(w, "type", target.bridge ? "bridge" : "network");
    if (*nic->mac)
        xml_put_empty(w, "mac", "address", nic->mac, NULL);
    xml_put_empty(w, "source", target.bridge ? "bridge" : "network", target.network, NULL);
    xml_put_empty(w, "model", "type", nic_model(plan, nic), NULL);
    if (!nic->connected)
        domxml_put_state(w, "link", "down");
    unsigned rank = boot_rank(plan->vm, nic->boot_order, true, i);
    if (rank > 0) {
        xml_open(w, "boot");
        xml_put_attrf(w, "order", "%u", rank);
        xml_close(w);
    }
    xml_close(w);
}

/* Both a serial line, so that ttyS0 is there, and the console that `virsh console` looks for. */
static void
put_consoles(struct xml_writer *w, const struct domxml_plan *plan)
{
    xml_open(w, "serial");
    xml_put_attr(w, "type", "pty");
    xml_put_empty(w, "target", "port", "0", NULL);
    xml_close(w);
    xml_open(w, "console");
    xml_put_attr(w, "type", "pty");
    xml_put_empty(w, "target", "type", "serial", "port", "0", NULL);
    xml_close(w);
    if (!plan->spec->no_virtio) {
        xml_open(w, "channel");
        xml_put_attr(w, "type", "unix");
        xml_put_empty(w, "target", "type", "virtio", "name", "org.qemu.guest_agent.0", NULL);
        xml_close(w);
    }
    xml_put_empty(w, "input", "type", "tablet", "bus", "usb", NULL);
    xml_open(w, "graphics");
    xml_put_attr(w, "type", "vnc");
    xml_put_attr(w, "port", "-1");
    xml_put_attr(w, "autoport", "yes");
    xml_put_attr(w, "listen", "127.0.0.1");
    xml_put_empty(w, "listen", "type", "address", "address", "127.0.0.1", NULL);
    xml_close(w);
    xml_open(w, "video");
    xml_put_empty(w, "model", "type", "vga", "vram", "16384", "heads", "1", NULL);
    xml_close(w);
}

static void
put_helpers(struct xml_writer *w, const struct domxml_plan *plan)
{
    const char *virtio = plan->transitional ? "virtio-transitional" : "virtio";
    if (plan->vm->tpm) {
        xml_open(w, "tpm");
        xml_put_attr(w, "model", "tpm-crb");
        xml_put_empty(w, "backend", "type", "emulator", "version", "2.0", NULL);
        xml_close(w);
    }
    xml_put_empty(w, "memballoon", "model", plan->spec->no_virtio ? "none" : virtio, NULL);
    if (!plan->spec->no_virtio) {
        xml_open(w, "rng");
        xml_put_attr(w, "model", virtio);
        xml_open(w, "backend");
        xml_put_attr(w, "model", "random");
        xml_put_text(w, "/dev/urandom");
        xml_close(w);
        xml_close(w);
    }
    if (plan->windows && plan->kvm)
        xml_put_empty(w, "panic", "model", "hyperv", NULL);
}
