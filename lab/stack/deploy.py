"""Where a machine can run: networks that its owner may use, hosts with room, pools that they reach."""

from . import refusal
from .infrastructure import reaches

SUITABLE = "Suitable deployment destination not found"


def check_network(call, owner, network):
    if network.removed or network.zone is not call.args.get("zoneid", network.zone):
        raise refusal.invalid(f"Network {network.name} is not in the zone", ("networkId", network))
    if not may_use(owner, network):
        raise refusal.denied(f"Unable to use network with id= {network.id}, permission denied")


def may_use(owner, network):
    if network.project:
        return owner is network.project.owner
    if network.account:
        return owner is network.account
    return network.domain is None or network.domain.over(owner.domain)


def room(world, host, mhz, memory):
    """Whether a host has that much left beside what runs on it."""
    running = [item for item in world.all("vm") if item.host is host]
    return (host.state == "Up" and host.resource_state == "Enabled" and host.cluster.allocation == "Enabled"
            and host.zone.allocation == "Enabled"
            and sum(item.cpus * item.mhz for item in running) + mhz <= host.cpus * host.mhz
            and sum(item.memory_mib for item in running) + memory <= host.memory_mib)


def plan_import(call, source, offering, pool, mhz, memory):
    """The planner that importVm asks although the machine stays off. Of the cluster it took no notice before main."""
    world = call.world
    hosts = [item for item in world.all("host") if item.zone is call.args["zoneid"] and reaches(item, pool)
             and item.cluster.hypervisor == "KVM" and room(world, item, mhz, memory)]
    if call.has("main"):
        hosts = [item for item in hosts if item.cluster is call.args["clusterid"]]
    if source == "local":
        hosts = [item for item in hosts if item is call.args["hostid"]]
    full = pool.used_gib > pool.capacity_gib * float(world.setting("pool.storage.capacity.disablethreshold"))
    if not hosts or pool.state != "Up" or full or (offering.storage == "local") != pool.local:
        raise refusal.internal(f"Import failed for Vm {call.args['name']}. {SUITABLE}")


def host_for(call, machine):
    """Where a machine starts. Its disks and its firmware decide with the room."""
    world, args = call.world, call.args
    hosts = [item for item in world.all("host") if item.zone is machine.zone and item.cluster.hypervisor == "KVM"
             and all(reaches(item, disk.pool) for disk in world.volumes_of(machine))
             and (not machine.firmware or item.uefi)
             and room(world, item, machine.cpus * machine.mhz, machine.memory_mib)]
    for word, of in (("hostid", lambda item: item), ("clusterid", lambda item: item.cluster),
                     ("podid", lambda item: item.pod)):
        if word in args:
            hosts = [item for item in hosts if of(item) is args[word]]
    bad = [disk for disk in world.volumes_of(machine) if disk.pool.state != "Up"]
    if not hosts or bad:
        raise refusal.capacity(f"Unable to create a deployment for VM instance "
                               f"{{\"id\":{machine.number},\"instanceName\":"
                               f"\"{machine.instancename}\"}}")
    return machine.last_host if machine.last_host in hosts else hosts[0]
