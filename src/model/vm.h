/* A virtual machine as data: what it is at the source, before anything moves.
 *
 * Every reader of a description (OVF, libvirt XML, later vSphere) fills one; inspection, copying,
 * conversion and the writers of target descriptions read it. No I/O here. Strings are owned by the
 * struct (vm_free), UTF-8 without control characters, NULL when unknown.
 */
#ifndef MODEL_VM_H
#define MODEL_VM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"

#define VM_MAX_DISKS 256
#define VM_MAX_NICS 64
#define VM_MAX_VCPUS 4096
#define VM_MAX_MEMORY_BYTES ((uint64_t)1 << 46) /* 64 TiB */
#define VM_MAX_DISK_BYTES ((uint64_t)1 << 56)   /* 64 PiB */
#define VM_MAX_NAME 255                         /* bytes */

/* In the order in which a BIOS looks for disks, and so the guest names them. */
enum vm_bus { VM_BUS_SCSI, VM_BUS_SATA, VM_BUS_IDE, VM_BUS_NVME, VM_BUS_VIRTIO };

enum vm_firmware { VM_FIRMWARE_BIOS, VM_FIRMWARE_UEFI };

/* Where the bytes of a disk image lie. Shared by descriptions, inspection and copying. */
struct vm_image {
    char *path;             /* file, block device or NBD URI; NULL: an empty disk, all zero */
    char *format;           /* qemu's name: raw, vmdk, qcow2, vhdx, ...; NULL: look at the header */
    uint64_t window_offset; /* bytes; the image is this part of the file (a member of a tar) ... */
    uint64_t window_bytes;  /* ... 0: all of it */
    bool gzip;              /* the bytes there are gzip-ed */
};

struct vm_disk {
    enum vm_bus bus;
    unsigned controller, unit; /* "scsi0:1" is bus scsi, controller 0, unit 1 */
    uint64_t capacity_bytes;   /* 0: unknown until the image is opened */
    struct vm_image image;
    char *serial;        /* as the guest sees it */
    unsigned boot_order; /* 1 first; 0: not given */
};

struct vm_nic {
    char mac[18];      /* "00:50:56:aa:bb:01", lower case; "" unknown */
    char *network;     /* name of the network or bridge at the source */
    bool bridge;       /* network names a bridge, not a network */
    char *model;       /* vmxnet3, e1000, virtio ... at the source */
    bool connected;    /* link is up at power on */
    unsigned pci_slot; /* VMware's pciSlotNumber, which names ens192 and kin; 0 unknown */
    unsigned boot_order;
};

struct vm {
    char *name;
    char *uuid; /* 36 characters, lower case */
    char *genid;
    char *title;
    char *description;
    char *osinfo; /* libosinfo id, "http://debian.org/debian/12" */

    enum vm_firmware firmware;
    bool firmware_known; /* false: nobody said; the partition table decides */
    bool secure_boot;
    bool tpm;

    unsigned vcpus;                   /* >= 1 */
    unsigned sockets, cores, threads; /* 0: no topology given; else their product is vcpus */
    char *cpu_model;                  /* libvirt's name; NULL: leave it to the writer */
    uint64_t memory_bytes;            /* > 0 */
    bool rtc_localtime;

    size_t n_disks;
    struct vm_disk disks[VM_MAX_DISKS]; /* sorted as the guest sees them: vm_sort_disks */
    size_t n_nics;
    struct vm_nic nics[VM_MAX_NICS]; /* in the source's order */
    size_t n_cdroms;                 /* drives; their media stay behind */
};

struct vm *vm_new(struct err *err);
void vm_free(struct vm *vm);
void vm_cleanup(struct vm **vm);
#define auto_vm AUTO(vm_cleanup)

/* Fill to, fresh from vm_new, with a copy of all that from has. ERR_UNAVAILABLE: no memory. */
int vm_copy(const struct vm *from, struct vm *to, struct err *err);

/* For readers. The next free place, zeroed (a NIC starts connected); NULL and ERR_INVALID when all
 * are taken. */
struct vm_disk *vm_add_disk(struct vm *vm, struct err *err);
struct vm_nic *vm_add_nic(struct vm *vm, struct err *err);

/* Put a copy of text (NULL: nothing) into *field, freeing what was there: control characters become
 * spaces, space around it goes, and what is then empty is NULL. ERR_INVALID when it is not UTF-8 or
 * longer than VM_MAX_TEXT. */
#define VM_MAX_TEXT 65536
int vm_set_text(char **field, const char *text, struct err *err);

/* Set the name, made fit to be a file name ('/' becomes '-'); where that changed something the
 * title keeps the name as it was. */
int vm_set_name(struct vm *vm, const char *text, struct err *err);

/* Sort by bus, controller, unit: as the guest names them, which its fstab may rely on. The boot
 * order has no part in it; it is written into the target's description. Stable. */
void vm_sort_disks(struct vm *vm);

/* "scsi0:1" into text; returns text. */
#define VM_DISK_ID_MAX 40
const char *vm_disk_id(const struct vm_disk *disk, char text[VM_DISK_ID_MAX]);

/* The letters after "sd" or "vd" for the n-th disk: a .. z, aa ... ; n < VM_MAX_DISKS. */
const char *vm_drive_letters(size_t n, char text[4]);

/* Check what every reader must guarantee: name present, no '/' or control character in it, counts
 * in range, topology product = vcpus, MAC shape, no two disks at one address. ERR_INVALID says
 * which. */
int vm_check(const struct vm *vm, struct err *err);

/* Parse a MAC in any common form (colons, dashes, none) to lower case with colons. */
int vm_mac_parse(const char *text, char ret_mac[18], struct err *err);

/* Parse a UUID, in braces or not, to 36 lower-case characters. */
#define VM_UUID_MAX 37
int vm_uuid_parse(const char *text, char ret_uuid[VM_UUID_MAX], struct err *err);

const char *vm_bus_name(enum vm_bus bus);

#endif
