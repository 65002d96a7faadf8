"""Machines, volumes and interfaces as answers have them, and their lists."""

from . import identity, owners, refusal
from .listing import select


def machine_row(world, machine):
    owner = machine.owner
    root = next((item for item in world.volumes_of(machine) if item.type == "ROOT"), None)
    return dict(ownership(owner), id=machine.id, name=machine.name, displayname=machine.displayname,
                instancename=machine.instancename, state=machine.state, created=machine.created, haenable=machine.ha,
                displayvm=machine.displayvm, group=machine.group, zoneid=machine.zone.id, zonename=machine.zone.name,
                hostid=machine.host and machine.host.id, hostname=machine.host and machine.host.name,
                serviceofferingid=machine.offering.id, serviceofferingname=machine.offering.name,
                cpunumber=machine.cpus, cpuspeed=machine.mhz, memory=machine.memory_mib, templateid=machine.template.id,
                templatename=machine.template.name, ostypeid=machine.ostype.id, guestosid=machine.ostype.id,
                osdisplayname=machine.ostype.name, hypervisor="KVM", rootdeviceid=root and root.device,
                rootdevicetype="ROOT",
                boottype="UEFI" if machine.firmware else "BIOS", bootmode=machine.firmware or "LEGACY",
                deleteprotection=machine.delete_protection, pooltype=root and root.pool.type,
                arch="x86_64" if world.site.since("4.22.0") else None, details=dict(machine.details),
                nic=[nic_row(item) for item in machine.nics], tags=identity.tags_of(world, machine))


def ownership(owner):
    fields = {"domainid": owner.domain.id, "domain": owner.domain.label}
    if owner.project:
        return dict(fields, projectid=owner.project.id, project=owner.project.name)
    return dict(fields, account=owner.name)


def nic_row(nic):
    network = nic.network
    subnet = network.subnet
    return {"id": nic.id, "networkid": network.id, "networkname": network.name, "macaddress": nic.mac,
            "ipaddress": nic.ip, "netmask": str(subnet.netmask) if nic.ip else None,
            "gateway": network.gateway if nic.ip else None, "isdefault": nic.default, "type": network.type,
            "traffictype": "Guest", "deviceid": str(nic.device), "broadcasturi": f"vlan://{network.vlan}",
            "isolationuri": f"vlan://{network.vlan}", "secondaryip": []}


def volume_row(world, volume):
    machine, pool = volume.machine, volume.pool
    file = world.file(pool, volume.path)
    physical = file.stat().st_blocks * 512 if file.exists() else None
    return dict(ownership(volume.owner), id=volume.id, name=volume.name, type=volume.type, state=volume.state,
                deviceid=volume.device, size=volume.size, virtualsize=volume.size, physicalsize=physical,
                path=volume.path, storageid=pool.id, storage=pool.name, storagetype="local" if pool.local else "shared",
                zoneid=pool.zone.id, zonename=pool.zone.name, hypervisor="KVM", provisioningtype="thin",
                created=volume.created, attached=volume.attached, destroyed=volume.state == "Destroy",
                virtualmachineid=machine and machine.id, vmname=machine and machine.name,
                vmdisplayname=machine and machine.displayname, vmstate=machine and machine.state,
                diskofferingid=volume.offering.id if volume.type == "DATADISK" and volume.offering else None,
                diskofferingname=volume.offering.name if volume.type == "DATADISK" and volume.offering else None,
                serviceofferingid=volume.offering.id if volume.type == "ROOT" and volume.offering else None,
                isextractable=True, quiescevm=False, displayvolume=True, tags=identity.tags_of(world, volume))


# Lists.


def machines(call):
    args, world = call.args, call.world
    shown = owners.visible(call, world.all("vm"), args.get("id", args.get("ids")))
    if "networkid" in args:
        shown = [item for item in shown if any(nic.network is args["networkid"] for nic in item.nics)]
    if "storageid" in args:
        shown = [item for item in shown if any(disk.pool is args["storageid"] for disk in world.volumes_of(item))]
    if "clusterid" in args:
        shown = [item for item in shown if item.host and item.host.cluster is args["clusterid"]]
    if "name" in args:
        shown = [item for item in shown if args["name"].lower() in item.name.lower()]
    if "tags" in args:
        shown = identity.with_tags(world, shown, args["tags"])
    return select([machine_row(world, item) for item in shown], args, "id", "zoneid", "serviceofferingid", "hostid",
                  "templateid", "state", "hypervisor", "arch", "displayvm", haenable="haenable")


def volumes(call):
    args, world = call.args, call.world
    shown = owners.visible(call, world.all("volume"), args.get("id", args.get("ids")))
    if "tags" in args:
        shown = identity.with_tags(world, shown, args["tags"])
    return select([volume_row(world, item) for item in shown], args, "id", "virtualmachineid", "zoneid",
                  "diskofferingid", "storageid", "name", "type", "state")


def nics(call):
    machine = call.args["virtualmachineid"]
    if machine.removed:
        raise refusal.invalid("Virtual machine id does not exist", ("virtualMachineId", machine))
    owners.may_see(call.account, machine.owner)
    return select([dict(nic_row(item), virtualmachineid=machine.id) for item in machine.nics], call.args, "networkid",
                  nicid="id")
