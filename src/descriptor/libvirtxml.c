#include "descriptor/libvirtxml.h"

#include <errno.h>
#include <inttypes.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/checked.h"
#include "base/cleanup.h"
#include "base/fd.h"
#include "descriptor/local-path.h"
#include "descriptor/number.h"
#include "wire/xml.h"

static int read_domain(const struct xml_node *domain, const char *dir, struct vm *vm,
                       struct err *err);
static int read_identity(const struct xml_node *domain, struct vm *vm, struct err *err);
static int read_uuid(const struct xml_node *domain, const char *path, char **field,
                     struct err *err);
static int read_cpu(const struct xml_node *domain, struct vm *vm, struct err *err);
static int read_memory(const struct xml_node *domain, struct vm *vm, struct err *err);
static void read_firmware(const struct xml_node *os, struct vm *vm);
static int read_disk(const struct xml_node *node, const char *dir, struct vm *vm, struct err *err);
static int read_image(const struct xml_node *node, const char *dir, struct vm_image *image,
                      struct err *err);
static int read_nbd(const struct xml_node *source, struct vm_image *image, struct err *err);
static int add_escaped(struct buf *buf, const char *text, struct err *err);
static int read_address(const struct xml_node *node, struct vm_disk *disk, struct err *err);
static bool target_bus(const char *target, const char *bus, enum vm_bus *ret_bus);
static int target_unit(const char *target, struct vm_disk *disk, struct err *err);
static int read_nic(const struct xml_node *node, struct vm *vm, struct err *err);
static int read_boot_order(const struct xml_node *node, unsigned *order, struct err *err);

#define MAX_ADDRESS 65535
#define NBD_PORT 10809

int
libvirtxml_read(const char *path, struct vm *vm, struct err *err)
{
    auto_free char *text = NULL;
    auto_free char *absolute = NULL;
    size_t len;
    if (file_read(path, XML_MAX_BYTES, &text, &len, err) < 0 ||
        local_path_absolute(path, NULL, &absolute, err) < 0)
        return -1;
    if (libvirtxml_parse(text, len, path, dirname(absolute), vm, err) < 0)
        return -1;
    for (size_t i = 0; i < vm->n_disks; i++) {
        const char *image = vm->disks[i].image.path;
        if (!local_path_is_nbd(image) && access(image, F_OK) < 0)
            return err_errno(err, errno, "%s: disk %s", path, image);
    }
    return 0;
}

int
libvirtxml_parse(const char *text, size_t len, const char *name, const char *dir, struct vm *vm,
                 struct err *err)
{
    auto_xml_doc struct xml_doc *doc = NULL;
    if (xml_parse(text, len, name, &doc, err) < 0)
        return -1;
    const struct xml_node *domain = xml_root(doc);
    if (strcmp(domain->name, "domain") != 0)
        return err_set(err, ERR_INVALID, "%s: not a libvirt domain: it is a <%.60s>", name,
                       domain->name);
    if (read_domain(domain, dir, vm, err) < 0)
        return err_prefix(err, "%s", name);
    vm_sort_disks(vm);
    if (vm_check(vm, err) < 0)
        return err_prefix(err, "%s", name);
    return 0;
}

static int
read_domain(const struct xml_node *domain, const char *dir, struct vm *vm, struct err *err)
{
    if (read_identity(domain, vm, err) < 0 || read_cpu(domain, vm, err) < 0 ||
        read_memory(domain, vm, err) < 0)
        return -1;
    read_firmware(xml_child(domain, "os"), vm);
    const char *clock = xml_attr_at(domain, "clock", "offset");
    vm->rtc_localtime = clock && strcmp(clock, "localtime") == 0;
    const struct xml_node *devices = xml_child(domain, "devices");
    vm->tpm = xml_child(devices, "tpm") != NULL;
    for (const struct xml_node *d = xml_child(devices, "disk"); d; d = xml_next(d, "disk"))
        if (read_disk(d, dir, vm, err) < 0)
            return err_prefix(err, "line %u: disk", d->line);
    for (const struct xml_node *i = xml_child(devices, "interface"); i;
         i = xml_next(i, "interface"))
        if (read_nic(i, vm, err) < 0)
            return err_prefix(err, "line %u: interface", i->line);
    return vm->n_disks > 0 ? 0 : err_set(err, ERR_INVALID, "the machine has no disks");
}

static int
read_identity(const struct xml_node *domain, struct vm *vm, struct err *err)
{
    if (vm_set_name(vm, xml_text_at(domain, "name"), err) < 0 ||
        read_uuid(domain, "uuid", &vm->uuid, err) < 0 ||
        read_uuid(domain, "genid", &vm->genid, err) < 0)
        return -1;
    const char *title = xml_text_at(domain, "title");
    if ((title && vm_set_text(&vm->title, title, err) < 0) ||
        vm_set_text(&vm->description, xml_text_at(domain, "description"), err) < 0)
        return -1;
    return vm_set_text(&vm->osinfo, xml_attr_at(domain, "metadata/libosinfo/os", "id"), err);
}

static int
read_uuid(const struct xml_node *domain, const char *path, char **field, struct err *err)
{
    const char *text = xml_text_at(domain, path);
    char uuid[VM_UUID_MAX];
    if (!text || !*text) /* an empty <genid/> means: make one */
        return 0;
    return vm_uuid_parse(text, uuid, err) < 0 ? -1 : vm_set_text(field, uuid, err);
}

static int
read_cpu(const struct xml_node *domain, struct vm *vm, struct err *err)
{
    static const char *const parts[] = { "sockets", "dies", "cores", "threads" };
    uint64_t n, product = 1, topology[ARRAY_LEN(parts)];
    if (xml_child(domain, "vcpu") &&
        number_read_max(xml_text_at(domain, "vcpu"), "vcpu", VM_MAX_VCPUS, &n, err) == 0)
        vm->vcpus = (unsigned)n;
    else if (xml_child(domain, "vcpu"))
        return -1;
    const struct xml_node *cpu = xml_child(domain, "cpu");
    const struct xml_node *given = xml_child(cpu, "topology");
    for (size_t i = 0; given && i < ARRAY_LEN(parts); i++) {
        const char *text = xml_attr(given, parts[i]);
        topology[i] = 1;
        if (text && number_read_max(text, parts[i], VM_MAX_VCPUS, &topology[i], err) < 0)
            return -1;
        product *= topology[i]; /* 2^48 at most */
    }
    /* libvirt insists on the product; other writers do not. */
    if (given && product == vm->vcpus) {
        vm->sockets = (unsigned)(topology[0] * topology[1]);
        vm->cores = (unsigned)topology[2];
        vm->threads = (unsigned)topology[3];
    }
    const char *mode = xml_attr(cpu, "mode");
    if (mode && strcmp(mode, "custom") != 0)
        return 0;
    return vm_set_text(&vm->cpu_model, xml_text_at(cpu, "model"), err);
}

/* libvirt's default unit is KiB, and unlike OVF it tells KB (1000) from KiB and k. */
static int
read_memory(const struct xml_node *domain, struct vm *vm, struct err *err)
{
    static const struct {
        const char *word;
        uint64_t bytes;
    } units[] = {
        { "b", 1 },           { "bytes", 1 },    { "KB", 1000 }, { "k", KIB },
        { "KiB", KIB },       { "MB", 1000000 }, { "M", MIB },   { "MiB", MIB },
        { "GB", 1000000000 }, { "G", GIB },      { "GiB", GIB }, { "TB", UINT64_C(1000000000000) },
        { "T", TIB },         { "TiB", TIB },
    };
    const struct xml_node *memory = xml_child(domain, "memory");
    if (!memory) {
        vm->memory_bytes = GIB; /* as virt-v2v takes it */
        return 0;
    }
    const char *unit = xml_attr(memory, "unit");
    uint64_t number, bytes = unit ? 0 : KIB;
    for (size_t i = 0; unit && i < ARRAY_LEN(units); i++)
        if (strcasecmp(unit, units[i].word) == 0)
            bytes = units[i].bytes;
    if (bytes == 0)
        return err_set(err, ERR_INVALID, "memory: unknown unit '%.40s'", unit);
    if (number_read(memory->text, "memory", &number, err) < 0)
        return -1;
    if (!checked_mul(number, bytes, &vm->memory_bytes))
        return err_set(err, ERR_INVALID, "memory: %" PRIu64 " %s is too large", number, unit);
    return 0;
}

static void
read_firmware(const struct xml_node *os, struct vm *vm)
{
    const char *firmware = xml_attr(os, "firmware");
    const struct xml_node *loader = xml_child(os, "loader");
    const char *type = xml_attr(loader, "type");
    vm->firmware_known = os != NULL;
    if ((firmware && strcmp(firmware, "efi") == 0) || (type && strcmp(type, "pflash") == 0))
        vm->firmware = VM_FIRMWARE_UEFI;
    vm->secure_boot = number_is_true(xml_attr(loader, "secure"));
    const struct xml_node *list = xml_child(os, "firmware");
    for (const struct xml_node *f = xml_child(list, "feature"); f; f = xml_next(f, "feature")) {
        const char *name = xml_attr(f, "name");
        if (name && strcmp(name, "secure-boot") == 0)
            vm->secure_boot = number_is_true(xml_attr(f, "enabled"));
    }
}

static int
read_disk(const struct xml_node *node, const char *dir, struct vm *vm, struct err *err)
{
    const char *device = xml_attr(node, "device");
    if (device && strcmp(device, "cdrom") == 0) {
        vm->n_cdroms++;
        return 0;
    }
    if (device && strcmp(device, "floppy") == 0)
        return 0;
    if (device && strcmp(device, "disk") != 0)
        return err_set(err, ERR_INVALID, "a device='%.40s' cannot be moved", device);
    struct vm_disk *disk = vm_add_disk(vm, err);
    if (!disk || read_image(node, dir, &disk->image, err) < 0 ||
        read_address(node, disk, err) < 0 ||
        vm_set_text(&disk->serial, xml_text_at(node, "serial"), err) < 0)
        return -1;
    return read_boot_order(node, &disk->boot_order, err);
}

static int
read_image(const struct xml_node *node, const char *dir, struct vm_image *image, struct err *err)
{
    const char *type = xml_attr(node, "type");
    const struct xml_node *source = xml_child(node, "source");
    const char *format = xml_attr_at(node, "driver", "type");
    if (!type)
        type = "file";
    if (xml_child(node, "encryption") || xml_child(source, "encryption"))
        return err_set(err, ERR_INVALID, "an encrypted disk: decrypt it first");
    /* As libvirt: without a format it is raw, never what the guest wrote into its first bytes. */
    if (vm_set_text(&image->format, format ? format : "raw", err) < 0)
        return -1;
    if (strcmp(type, "network") == 0)
        return read_nbd(source, image, err);
    const char *path;
    if (strcmp(type, "file") == 0)
        path = xml_attr(source, "file");
    else if (strcmp(type, "block") == 0)
        path = xml_attr(source, "dev");
    else
        return err_set(err, ERR_INVALID,
                       "type='%.40s' is not read: name its file, block device or NBD server", type);
    if (!path || !*path)
        return err_set(err, ERR_INVALID, "it has no source");
    return local_path_absolute(path, dir, &image->path, err);
}

/* <source protocol='nbd' name='export'><host name= port= | transport='unix' socket=/></source> as
 * an NBD URI. */
static int
read_nbd(const struct xml_node *source, struct vm_image *image, struct err *err)
{
    const char *protocol = xml_attr(source, "protocol");
    const struct xml_node *host = xml_child(source, "host");
    const char *transport = xml_attr(host, "transport");
    if (!protocol || strcmp(protocol, "nbd") != 0)
        return err_set(err, ERR_INVALID, "network protocol '%.40s' is not read, only nbd is",
                       protocol ? protocol : "");
    const char *s = number_is_true(xml_attr(source, "tls")) ? "s" : "";
    const char *export = xml_attr(source, "name");
    auto_buf struct buf uri = BUF_INIT(4096);
    if (transport && strcmp(transport, "unix") == 0) {
        const char *path = xml_attr(host, "socket");
        if (!path)
            return err_set(err, ERR_INVALID, "an NBD host without a socket");
        if (buf_printf(&uri, err, "nbd%s+unix:///", s) < 0 || add_escaped(&uri, export, err) < 0 ||
            buf_add_str(&uri, "?socket=", err) < 0 || add_escaped(&uri, path, err) < 0)
            return -1;
    } else {
        const char *name = xml_attr(host, "name"), *port = xml_attr(host, "port");
        bool v6 = name && strchr(name, ':');
        uint64_t number = NBD_PORT;
        if (port && number_read_max(port, "port", 65535, &number, err) < 0)
            return -1;
        if (buf_printf(&uri, err, "nbd%s://%s", s, v6 ? "[" : "") < 0 ||
            add_escaped(&uri, name ? name : "localhost", err) < 0 ||
            buf_printf(&uri, err, "%s:%" PRIu64 "/", v6 ? "]" : "", number) < 0 ||
            add_escaped(&uri, export, err) < 0)
            return -1;
    }
    image->path = TAKE_PTR(uri.data);
    return 0;
}

/* Percent-encode all but what RFC 3986 lets stand in a path. */
static int
add_escaped(struct buf *buf, const char *text, struct err *err)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                "0123456789-._~/:";
    for (; text && *text; text++) {
        int r = strchr(plain, *text)
                    ? buf_add(buf, text, 1, err)
                    : buf_printf(buf, err, "%%%02X", (unsigned)(unsigned char)*text);
        if (r < 0)
            return -1;
    }
    return 0;
}

static int
read_address(const struct xml_node *node, struct vm_disk *disk, struct err *err)
{
    const char *target = xml_attr_at(node, "target", "dev"),
               *bus = xml_attr_at(node, "target", "bus");
    if (!target)
        return err_set(err, ERR_INVALID, "it has no target device");
    if (!target_bus(target, bus, &disk->bus))
        return err_set(err, ERR_INVALID, "%.40s: bus '%.40s' is not known", target, bus ? bus : "");
    if (target_unit(target, disk, err) < 0)
        return -1;
    /* <address type='drive' controller= bus= target= unit=/> wins, with the meaning that libvirt
     * gives it: on IDE the bus is one of two channels of two units, on SCSI the target comes first.
     */
    const struct xml_node *address = xml_child(node, "address");
    const char *type = xml_attr(address, "type");
    if (!type || strcmp(type, "drive") != 0 || disk->bus == VM_BUS_VIRTIO)
        return 0;
    static const char *const parts[] = { "controller", "bus", "target", "unit" };
    uint64_t numbers[ARRAY_LEN(parts)] = { 0 };
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        const char *text = xml_attr(address, parts[i]);
        if (text &&
            number_read_max(text, parts[i], i == 0 ? MAX_ADDRESS : 255, &numbers[i], err) < 0)
            return -1;
    }
    disk->controller = (unsigned)numbers[0];
    disk->unit = (unsigned)(disk->bus == VM_BUS_IDE ? numbers[1] * 2 + numbers[3]
                                                    : numbers[2] * 256 + numbers[3]);
    return 0;
}

static bool
target_bus(const char *target, const char *bus, enum vm_bus *ret_bus)
{
    static const struct {
        const char *bus, *prefix; /* one of them decides */
        enum vm_bus value;
    } known[] = {
        { "scsi", "sd", VM_BUS_SCSI }, { "sata", NULL, VM_BUS_SATA },
        { "ide", "hd", VM_BUS_IDE },   { "virtio", "vd", VM_BUS_VIRTIO },
        { "xen", "xvd", VM_BUS_IDE },  { "nvme", "nvme", VM_BUS_NVME },
        { "usb", NULL, VM_BUS_SCSI },
    };
    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        const char *prefix = known[i].prefix;
        if (bus ? strcmp(bus, known[i].bus) == 0
                : prefix && strncmp(target, prefix, strlen(prefix)) == 0) {
            *ret_bus = known[i].value;
            return true;
        }
    }
    return false;
}

/* sda is 0, sdb 1, sdaa 26; nvme1n1 is controller 1. */
static int
target_unit(const char *target, struct vm_disk *disk, struct err *err)
{
    unsigned controller, namespace;
    int end = 0;
    if (sscanf(target, "nvme%4un%4u%n", &controller, &namespace, &end) == 2 && end > 0 &&
        !target[end] && namespace > 0) {
        disk->controller = controller;
        disk->unit = namespace - 1;
        return 0;
    }
    const char *letters =
        strncmp(target, "xvd", 3) == 0 ? target + 3 : target + MIN(strlen(target), (size_t)2);
    unsigned n = 0;
    for (const char *c = letters; *c; c++) {
        if (*c < 'a' || *c > 'z' || n > MAX_ADDRESS)
            return err_set(err, ERR_INVALID, "'%.40s' is not a disk's name", target);
        n = n * 26 + (unsigned)(*c - 'a') + 1;
    }
    if (n == 0)
        return err_set(err, ERR_INVALID, "'%.40s' is not a disk's name", target);
    disk->unit = n - 1;
    return 0;
}

static int
read_nic(const struct xml_node *node, struct vm *vm, struct err *err)
{
    const char *type = xml_attr(node, "type"), *mac = xml_attr_at(node, "mac", "address");
    if (type && strcmp(type, "hostdev") == 0)
        return 0; /* a piece of the source's hardware */
    struct vm_nic *nic = vm_add_nic(vm, err);
    if (!nic)
        return -1;
    nic->bridge = type && strcmp(type, "bridge") == 0;
    const char *network = xml_attr_at(node, "source", nic->bridge ? "bridge" : "network");
    const char *link = xml_attr_at(node, "link", "state");
    nic->connected = !link || strcmp(link, "down") != 0;
    if (vm_set_text(&nic->network, network, err) < 0 ||
        vm_set_text(&nic->model, xml_attr_at(node, "model", "type"), err) < 0 ||
        (mac && vm_mac_parse(mac, nic->mac, err) < 0))
        return -1;
    return read_boot_order(node, &nic->boot_order, err);
}

static int
read_boot_order(const struct xml_node *node, unsigned *order, struct err *err)
{
    const char *text = xml_attr_at(node, "boot", "order");
    uint64_t number = 0;
    if (text && number_read_max(text, "boot order", MAX_ADDRESS, &number, err) < 0)
        return -1;
    *order = (unsigned)number;
    return 0;
}
