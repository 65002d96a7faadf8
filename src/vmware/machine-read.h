/* From the server's properties to a machine. For this folder only. */
#ifndef VMWARE_MACHINE_READ_H
#define VMWARE_MACHINE_READ_H

#include "vmware/machine.h"
#include "vmware/names.h"

/* What to ask of a VirtualMachine, and of a VirtualMachineSnapshot. */
extern const char *const machine_paths[];
extern const char *const machine_snapshot_paths[];

/* object: the machine. hardware: where its hardware is read from, the machine again or a snapshot
 * of it. Names and places are still morefs. ERR_INVALID: what the server says of it contradicts
 * itself. */
int machine_parse(const struct object *object, const struct object *hardware,
                  struct vmware_machine **ret, struct err *err);

/* What remains of one whose configuration contradicts itself: no more than its state. */
int machine_parse_without(const struct object *object, const char *why, struct vmware_machine **ret,
                          struct err *err);

/* Put in names and places of what the machine refers to. parent: the machine's folder or vApp. */
int machine_resolve(struct vmware_machine *machine, const struct names *names, const char *parent,
                    struct err *err);

/* The machine's folder or vApp; "" unknown. */
const char *machine_parent(const struct object *object, const char **ret_type);

/* Of machine-device.c: the device list into disks, NICs and others. */
int machine_parse_devices(struct vmware_machine *machine, const struct object *hardware,
                          struct err *err);

/* The bus of a controller's class; false: it is none for disks. */
bool controller_bus(const char *type, enum vm_bus *ret);

/* The addresses of its cards, as Tools tell them, which the machine of now has and no snapshot. */
int machine_parse_addresses(struct vmware_machine *machine, const struct object *object,
                            struct err *err);

/* Of machine-state.c: everything but the hardware. */
int machine_parse_state(struct vmware_machine *machine, const struct object *object,
                        struct err *err);
int machine_parse_snapshots(struct vmware_machine *machine, const struct object *object,
                            struct err *err);

/* The value of a key of config.extraConfig, any case; NULL: it has none. */
const char *extra_config(const struct object *object, const char *key);

enum vmware_power power_of(const char *text);
enum vmware_connection connection_of(const char *text);

#endif
