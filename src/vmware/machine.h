/* Everything about one machine that matters for moving it: as a description (struct vm), and as
 * plain fields what only vSphere has. Nothing is judged here.
 */
#ifndef VMWARE_MACHINE_H
#define VMWARE_MACHINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "model/vm.h"

struct vmware_session;
struct vmware_texts;

#define VMWARE_MAX_SNAPSHOTS 512
#define VMWARE_MAX_DEVICES 256 /* of those kept in devices[] */
#define VMWARE_MAX_ADDRESSES 64
#define VMWARE_MAX_DISABLED 64

enum vmware_connection {
    VMWARE_CONNECTED,
    VMWARE_DISCONNECTED,
    VMWARE_ORPHANED,
    VMWARE_INACCESSIBLE,
    VMWARE_INVALID,
};

enum vmware_power { VMWARE_POWERED_OFF, VMWARE_POWERED_ON, VMWARE_SUSPENDED };

enum vmware_mode {
    VMWARE_MODE_PERSISTENT,
    VMWARE_MODE_NONPERSISTENT,
    VMWARE_MODE_UNDOABLE,
    VMWARE_MODE_INDEPENDENT_PERSISTENT,
    VMWARE_MODE_INDEPENDENT_NONPERSISTENT,
    VMWARE_MODE_APPEND,
};

enum vmware_backing {
    VMWARE_BACKING_FLAT,     /* FlatVer2: VMFS, NFS, vSAN, vVol; on ESXi deltas too */
    VMWARE_BACKING_SESPARSE, /* a delta of its own format */
    VMWARE_BACKING_RDM_VIRTUAL,
    VMWARE_BACKING_RDM_PHYSICAL,
    VMWARE_BACKING_PMEM,
    VMWARE_BACKING_OTHER, /* SparseVer1/2, FlatVer1, raw disks of hosted products, unknown */
};

/* Parallel to vm->disks. */
struct vmware_disk {
    int key;           /* of the device: the only identity that survives snapshots */
    const char *label; /* "Hard disk 1" */
    const char *file;  /* "[ds1] web01/web01-000001.vmdk" as recorded there; "" unknown */
    enum vmware_backing backing;
    enum vmware_mode mode;
    bool thin;
    bool has_parent;            /* a delta over other files */
    const char *base_file;      /* the last of its chain; == file without a parent */
    unsigned n_parents;         /* how many files lie under it */
    bool multi_writer;          /* sharing sharingMultiWriter */
    bool shared_bus;            /* its controller's sharedBus is not noSharing */
    bool encrypted;             /* the backing has a keyId */
    bool native_4k;             /* virtualDiskFormat native_4k */
    bool object_store;          /* vSAN or vVol: no flat file that could be read */
    const char *uuid;           /* "6000C29a-..." of the backing; "" none */
    const char *content_id;     /* "" none */
    const char *change_id;      /* "" none: not tracked */
    const char *lun_uuid;       /* RDM; "" else */
    const char *device_name;    /* RDM: "vml.0200..."; "" else */
    uint64_t capacity_bytes;    /* == vm->disks[].capacity_bytes */
    const char *datastore;      /* moref; "" unknown */
    const char *datastore_name; /* out of file, where the datastore is not known */
    bool datastore_known;       /* the next three are */
    const char *datastore_type; /* "VMFS", "NFS", "NFS41", "vsan", "VVOL" */
    uint64_t datastore_free_bytes;
    uint64_t datastore_capacity_bytes;
};

/* Parallel to vm->nics. */
struct vmware_nic {
    int key;
    const char *label;
    const char *network_moref;                   /* "" unknown */
    bool distributed;                            /* a port group of a distributed switch */
    bool opaque;                                 /* NSX */
    const char *opaque_id;                       /* "" else */
    const char *address_type;                    /* "manual", "generated", "assigned" */
    size_t n_addresses;                          /* as Tools tell them, while the guest runs */
    const char *addresses[VMWARE_MAX_ADDRESSES]; /* "10.0.0.5/24", "fe80::1/64" */
};

/* Flattened, a parent before its children. */
struct vmware_snapshot {
    const char *moref;
    const char *parent; /* moref; "" a root */
    const char *name;   /* decoded */
    const char *description;
    const char *created; /* as the server says it: "2026-11-21T10:15:30.123Z" */
    int id;
    bool current;
    bool quiesced;
    enum vmware_power state; /* of the machine in it */
};

/* Devices that do not become part of struct vm and that somebody should know of. */
enum vmware_device_kind {
    VMWARE_DEVICE_PCI_PASSTHROUGH,
    VMWARE_DEVICE_SRIOV,
    VMWARE_DEVICE_VGPU,
    VMWARE_DEVICE_NVDIMM,
    VMWARE_DEVICE_USB, /* a host's device, handed in */
    VMWARE_DEVICE_SERIAL,
    VMWARE_DEVICE_PARALLEL,
    VMWARE_DEVICE_MEDIUM, /* an ISO image, a host's drive or a floppy image, in its drive */
    VMWARE_DEVICE_WATCHDOG,
    VMWARE_DEVICE_CLOCK,
};
struct vmware_device {
    enum vmware_device_kind kind;
    int key;
    const char *label; /* "CD/DVD drive 1" */
    const char *file;  /* NULL: none */
};

/* Texts are UTF-8 without control characters, "" when unknown unless said otherwise, and belong to
 * the machine. */
struct vmware_machine {
    char moref[64];
    const char *name;            /* decoded, as in vSphere; vm->name is made fit for a file name */
    const char *path;            /* "/DC0/vm/prod/web01", segments as the API has them */
    const char *datacenter_path; /* "/DC0"; what /folder takes as dcPath */
    const char *datacenter_moref;
    const char *host_moref, *host_name;
    const char *instance_uuid;
    enum vmware_connection connection;
    enum vmware_power power;
    bool template;
    bool config_present; /* false (inaccessible, no rights): what follows is empty; vm has a name */
    const char *unreadable; /* NULL; else why its configuration, which is there, makes no sense
                               (of vmware_machines; vmware_machine_read fails with it) */

    struct vm *vm;

    const char *guest_id;        /* "debian12_64Guest" as set */
    const char *guest_full_name; /* as set */
    const char *guest_host_name; /* as Tools say */
    const char *annotation;
    const char *vmx_file;      /* "[ds1] web01/web01.vmx" */
    const char *smbios_serial; /* "VMware-42 2c ...": what the guest sees */
    const char *boot_time;
    unsigned hw_version; /* 19 for vmx-19; 0 unknown */
    uint64_t committed_bytes;

    bool tools_running;
    const char *tools_version_status; /* "guestToolsCurrent", ... */
    bool tools_mounted;               /* their installer is in the CD drive */
    const char *question;             /* NULL: none; else its text */
    const char *question_id;
    bool consolidation_needed;
    bool cbt_supported, cbt_enabled;
    bool disk_uuid_enabled; /* disk.EnableUUID */
    bool encrypted;         /* config.keyId */
    bool crypto_locked;
    bool fault_tolerance;
    bool instant_clone_frozen;
    bool snapshot_in_background;
    bool vbs, nested_hv, sev, sgx;
    bool cpu_hot_add, memory_hot_add;
    bool replicated;
    bool ovf_environment;
    const char *managed_by;          /* NULL: nobody; else the extension's key */
    const char *latency_sensitivity; /* "normal", "high" */
    bool has_reservation;            /* of CPU or memory */
    bool has_affinity;

    size_t n_disks;
    struct vmware_disk disks[VM_MAX_DISKS];
    size_t n_nics;
    struct vmware_nic nics[VM_MAX_NICS];
    size_t n_snapshots;
    struct vmware_snapshot snapshots[VMWARE_MAX_SNAPSHOTS];
    size_t n_devices;
    struct vmware_device devices[VMWARE_MAX_DEVICES];
    size_t n_disabled; /* methods switched off by somebody: "RelocateVM_Task" */
    const char *disabled[VMWARE_MAX_DISABLED];

    struct vmware_texts *texts; /* holds the texts */
};

/* Read a machine, and with snapshot (a moref, NULL: as it is now) its hardware and the files of its
 * disks as that snapshot recorded them; the state (power, snapshots, question, ...) is always that
 * of now. ERR_NOT_FOUND when it is gone. A machine whose configuration the server does not give is
 * no error. vm->disks are in the guest's order, vm->disks[].serial is the UUID that the guest sees
 * when disk_uuid_enabled, vm->disks[].image is empty (its data is read by a transport). */
int vmware_machine_read(struct vmware_session *session, const char *moref, const char *snapshot,
                        struct vmware_machine **ret, struct err *err);
void vmware_machine_free(struct vmware_machine *machine);
static inline void
vmware_machine_cleanup(struct vmware_machine **machine)
{
    vmware_machine_free(*machine);
}
#define auto_vmware_machine AUTO(vmware_machine_cleanup)

/* The disk with that device key, or NULL. */
const struct vmware_disk *vmware_machine_disk(const struct vmware_machine *machine, int key);

#endif
