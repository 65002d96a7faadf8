"""Volumes: importing, attaching, detaching, forgetting and deleting them."""

import shutil

from . import agent, importing, owners, refusal
from .infrastructure import reaches
from .world import Volume, fresh_id, now, pool_ready, tags_fit

GIB = 1 << 30
DISKS_MAX = 6                   # data disks of a KVM machine where the product has no row that says more
CDROM = 3                       # a device id that is never given out


def import_volume(call):
    args, world = call.args, call.world
    owners.check_root(call.account)
    owner = owners.of_call(call)
    pool, path = args["storageid"], args["path"]
    pool_ready(pool)
    if not path.strip():
        raise refusal.runtime(f"Volume path is null or blank: {path}")
    if world.volume_at(pool, path):
        raise refusal.runtime(f"Volume is already managed by CloudStack: {path}")
    if path in pool.templates:
        raise refusal.runtime(f"Volume is a base image of a template: {path}")
    found = agent.volumes_on(call, pool, path)[0]
    agent.check_usable(call, found)
    offering = disk_offering(call, owner, pool)
    size = found.image.virtual_size
    if offering.custom:
        check_size(world, size // GIB)
    if not tags_fit(offering.tags, pool):
        raise refusal.runtime(f"Disk offering: {offering.name} storage tags are not compatible with selected storage "
                              f"pool: {pool.name}")
    importing.check_storage_limits(call, owner, size)
    form = "RAW" if pool.type == "RBD" and call.has("main") else "QCOW2"
    return world.add("volume", Volume(fresh_id(), world.next_number(), args.get("name", "").strip() or path, "DATADISK",
                                      owner, pool, found.name, size, offering, form, created=now()))


def disk_offering(call, owner, pool):
    offering = call.args.get("diskofferingid")
    if offering is None:
        return call.world.default_offering(pool.local)
    if offering.removed or offering.state != "Active":
        raise refusal.runtime(f"Disk offering {offering.name} is not active")
    if (offering.storage == "local") != pool.local:
        raise refusal.runtime(f"Disk offering {offering.name} should use {'local' if pool.local else 'shared'} storage")
    if offering.encrypt:
        raise refusal.runtime(f"Disk offering {offering.name} should not support volume encryption")
    domains = [item for item in call.world.all("domain") if item.name in offering.domains]
    if offering.domains and not any(item.over(owner.domain) for item in domains):
        raise refusal.runtime(f"Disk offering {offering.name} is not accessible by owner {owner.name}")
    return offering


def check_size(world, gib):
    least, most = (int(world.setting(f"custom.diskoffering.size.{end}")) for end in ("min", "max"))
    if not least <= gib <= most:
        raise refusal.invalid(f"Volume size: {gib} GB is out of allowed range. Min: {least}. Max: {most}")


def known(call, volume):
    if volume.removed:
        raise refusal.invalid(f"Unable to find a volume with the specified id {volume.id}", ("volumeId", volume))
    owners.may_see(call.account, volume.owner)
    return volume


# Attaching.


def attach(call):
    volume, machine = known(call, call.args["id"]), call.args["virtualmachineid"]
    if machine.removed:
        raise refusal.invalid("Unable to find the VM by ID", ("virtualMachineId", machine))
    owners.may_see(call.account, machine.owner)
    if volume.type != "DATADISK" or volume.machine:
        raise refusal.invalid("Please specify a volume that is not attached to any VM.", ("volumeId", volume))
    if machine.state not in ("Running", "Stopped"):
        raise refusal.invalid("Please specify a VM that is either running or stopped.", ("virtualMachineId", machine))
    if volume.owner is not machine.owner:
        raise refusal.denied("Volume and VM belong to different accounts: they must have the same owner")
    if volume.pool.zone is not machine.zone:
        raise refusal.invalid("Please specify a volume and a VM that are in the same zone.")
    if volume.state != "Ready":
        raise refusal.invalid(f"Volume state must be in Allocated, Ready or in Uploaded state: {volume.state}")
    disks = call.world.volumes_of(machine)
    if sum(item.type == "DATADISK" for item in disks) >= DISKS_MAX:
        raise refusal.invalid(f"The specified VM already has the maximum number of data disks ({DISKS_MAX}) attached. "
                              "Please specify another VM.")
    device = device_id(call.args.get("deviceid"), {item.device for item in disks})
    bring_near(call.world, volume, machine)
    volume.machine, volume.device, volume.attached = machine, device, now()
    return volume


def device_id(wanted, taken):
    if wanted is None:
        return next(number for number in range(1, 256) if number not in taken and number != CDROM)
    if wanted == 0:
        raise refusal.invalid("Vm already has root volume attached to it")
    if wanted == CDROM or wanted in taken:
        raise refusal.invalid(f"deviceId {wanted} is used by VM or reserved")
    return wanted


def bring_near(world, volume, machine):
    """The copy that the product makes when the pool of a data disk is not where that of the root disk is."""
    root = world.root_of(machine)
    here, there = volume.pool, root.pool
    if here is there or not moves(here, there, machine):
        return
    if here.local or there.local:
        if here.host is not there.host:
            raise refusal.runtime("Unable to move volume: local pools of different hosts")
        return
    name = fresh_id()
    shutil.copyfile(world.file(here, volume.path), world.file(there, name))
    world.delete_file(volume)
    world.moves.append({"volume": volume.id, "from": here.name, "to": there.name})
    volume.pool, volume.path = there, name


def moves(here, there, machine):
    if here.local or there.local:
        return True
    if machine.last_host:
        return not reaches(machine.last_host, here)
    if here.scope == "CLUSTER" and there.scope == "ZONE":
        return True
    return here.scope == there.scope == "CLUSTER" and here.cluster is not there.cluster


def detach(call):
    args = call.args
    if ("id" in args) == ("virtualmachineid" in args) or ("virtualmachineid" in args) != ("deviceid" in args):
        raise refusal.invalid("Please provide either a volume id, or a tuple(device id, instance id)")
    volume = args.get("id") or next((item for item in call.world.volumes_of(args["virtualmachineid"])
                                     if item.device == args["deviceid"]), None)
    if volume is None:
        raise refusal.invalid("Unable to find volume with ID: null")
    known(call, volume)
    machine = volume.machine
    if machine is None:
        raise refusal.invalid("The specified volume is not attached to a VM.")
    if volume.type != "DATADISK" and machine.state == "Running":
        raise refusal.invalid("Please specify a data volume.")
    if machine.state not in ("Running", "Stopped", "Destroyed"):
        raise refusal.invalid("Please specify a VM that is either running or stopped.")
    volume.machine = volume.device = volume.attached = None
    return volume


# Letting go.


def unmanage(call):
    """The record goes, the file stays."""
    owners.check_root(call.account)
    volume = call.args["id"]
    if volume.removed:
        raise refusal.runtime(f"Volume (ID: {volume.id}) does not exist")
    if volume.state != "Ready":
        raise refusal.runtime(f"Volume {volume.name} is not ready")
    if volume.machine:
        raise refusal.runtime(f"Volume {volume.name} is attached to VM (ID: {volume.machine.id})")
    pool_ready(volume.pool)
    agent.check_usable(call, agent.volumes_on(call, volume.pool, volume.path)[0])
    call.world.forget_volume(volume, "Destroy")
    return True


def destroy(call):
    volume = loose(call)
    if call.args.get("expunge"):
        expunge(call.world, volume)
    else:
        volume.state = "Destroy"
    return volume


def delete(call):
    expunge(call.world, loose(call))
    return True


def loose(call):
    volume = known(call, call.args["id"])
    if volume.machine:
        raise refusal.invalid("Please specify a volume that is not attached to any VM.", ("volumeId", volume))
    return volume


def expunge(world, volume):
    """The file is gone with the record."""
    world.delete_file(volume)
    world.forget_volume(volume)
