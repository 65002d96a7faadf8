"""importVm of an image that lies in a pool already; what of the other sources can be refused without having them."""

import re

from . import agent, deploy, interfaces, owners, refusal
from .world import Machine, Volume, fresh_id, now, tags_fit

LABEL = re.compile(r"[A-Za-z]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
SOURCES = ("unmanaged", "vmware", "external", "shared", "local")


def import_vm(call):
    args = call.args
    owners.check_root(call.account)
    source = args["importsource"].lower()
    if source not in SOURCES:
        raise refusal.invalid(f"Invalid import source: {args['importsource']}")
    if args["hypervisor"].lower() != "kvm":
        raise refusal.invalid(f"VM import is currently not supported for hypervisor: {args['hypervisor']}")
    if source == "vmware":
        refuse_vmware(call)
    if source not in ("shared", "local"):
        raise refusal.internal(f"VM with name: {args['name']} not found on the source: the lab has none of {source}")
    return adopt(call, source)


def import_unmanaged(call):
    """The hosts of the lab run nothing that nobody manages."""
    owners.check_root(call.account)
    raise refusal.internal(f"Unable to retrieve details for unmanaged VM: {call.args['name']}")


def refuse_vmware(call):
    """The rules about parameters of importsource=vmware."""
    args = call.args
    login = [word for word in ("vcenter", "datacentername", "username", "password") if word in args]
    if "existingvcenterid" in args and "vcenter" in args:
        raise refusal.parameter("Please provide an existing vCenter ID or a vCenter IP/Name, parameters are mutually "
                                "exclusive")
    if "existingvcenterid" not in args and len(login) != 4:
        raise refusal.parameter("Please set all the information for a vCenter IP/Name, datacenter, username and "
                                "password")
    if call.has("4.22.1") and args.get("usevddk", True) and args.get("forcemstoimportvmfiles"):
        raise refusal.parameter("Parameters forcemstoimportvmfiles and usevddk are mutually exclusive")
    if args.get("forceconverttopool") and "convertinstancepoolid" not in args:
        raise refusal.parameter("The parameter convertinstancepoolid is required with forceconverttopool")


def adopt(call, source):
    """A machine of an image. All that can be refused is refused before there is any record."""
    args, world = call.args, call.world
    owner = owners.of_call(call)
    name = host_name(args)
    offering = checked_offering(call, owner)
    pool, network = required(call, source)
    deploy.check_network(call, owner, network)
    if world.volume_at(pool, args["diskpath"]):
        raise refusal.invalid("Disk image is already in use")
    if not tags_fit(offering.tags, pool):
        raise refusal.invalid(f"Service offering: {offering.name} storage tags are not compatible with selected "
                              f"storage pool: {pool.name}")
    details = (args.get("details") or [{}])[0]
    cpus, mhz, memory = resources(offering, details)
    check_limits(call, owner, cpus, memory)
    deploy.plan_import(call, source, offering, pool, cpus * mhz, memory)
    machine = Machine(fresh_id(), world.next_number(), name, args.get("displayname", args["name"]), owner,
                      args["zoneid"], offering, world.dummy_ostype(), args.get("templateid", world.dummy), cpus, mhz,
                      memory, dict(details), created=now())
    nic = interfaces.make(world, network, first=True)
    found = agent.check_volume(call, pool, args["diskpath"])
    check_storage_limits(call, owner, found.image.virtual_size)
    machine.nics.append(world.add("nic", nic))
    world.add("vm", machine)
    world.add("volume", Volume(fresh_id(), world.next_number(), f"ROOT-{machine.number}", "ROOT", owner, pool,
                               args["diskpath"], found.image.virtual_size, offering,
                               "RAW" if pool.type == "RBD" else "QCOW2", machine=machine, device=1, created=now(),
                               attached=now()))
    return machine


def host_name(args):
    if "hostname" not in args and not LABEL.fullmatch(args["name"]):
        raise refusal.internal("Please provide a valid hostname for the VM. VM name contains unsupported characters "
                               "that cannot be used as hostname.")
    name = args.get("hostname", args["name"])
    if not LABEL.fullmatch(name):
        raise refusal.parameter("Invalid VM hostname. VM hostname can contain ASCII letters 'a' through 'z', the "
                                "digits '0' through '9', and the hyphen ('-'), must be between 1 and 63 characters "
                                "long, and can't start or end with \"-\" and can't start with digit")
    return name


def checked_offering(call, owner):
    offering = call.args["serviceofferingid"]
    if offering.removed or offering.state != "Active":
        raise refusal.invalid(f"Service offering with ID: {offering.id} cannot be found or is not active")
    domains = [item for item in call.world.all("domain") if item.name in offering.domains]
    if offering.domains and not any(item.over(owner.domain) for item in domains):
        raise refusal.denied(f"Account {owner.name} does not have access to service offering {offering.name}")
    if offering.zones and call.args["zoneid"].name not in offering.zones:
        raise refusal.denied(f"Service offering {offering.name} is not available in zone {call.args['zoneid'].name}")
    return offering


def required(call, source):
    args = call.args
    if not args.get("diskpath"):
        raise refusal.invalid("Disk Path is required for Import shared/local storage")
    if "networkid" not in args:
        raise refusal.invalid("Network is required for Import shared/local storage")
    if "storageid" not in args:
        raise refusal.invalid("Storage Pool is required for Import shared/local storage")
    if source == "local" and "hostid" not in args:
        raise refusal.invalid("Host is required for Import local storage")
    pool = args["storageid"]
    if pool.removed or pool.zone is not args["zoneid"]:
        raise refusal.invalid(f"Storage pool {pool.name} is not in the zone", ("storageid", pool))
    return pool, args["networkid"]


def resources(offering, details):
    """(CPUs, MHz, MiB) of a machine, of the offering or of the details that a custom one insists on."""
    if not offering.custom:
        return offering.cpus, offering.mhz, offering.memory_mib
    for word in ("cpuNumber", "memory"):
        if word not in details:
            raise refusal.invalid(f"Detail '{word}' must be provided for a custom service offering")
    try:
        cpus, memory = int(details["cpuNumber"]), int(details["memory"])
        mhz = int(details.get("cpuSpeed", offering.mhz))
    except ValueError as error:
        raise refusal.runtime(f"For input string: {str(error).rsplit(': ', 1)[-1]}") from error
    for what, value, least, most in (("CPU cores", cpus, offering.min_cpus, offering.max_cpus),
                                     ("memory", memory, offering.min_memory_mib, offering.max_memory_mib)):
        if value < (least or 1) or (most is not None and value > most):
            raise refusal.invalid(f"Invalid {what} value, specify a value between {least or 1} and "
                                  f"{most or 2147483647}")
    return cpus, mhz, memory


def check_limits(call, owner, cpus, memory):
    quota(call, owner, user_vm=1, cpu=cpus, memory=memory)


def check_storage_limits(call, owner, size):
    quota(call, owner, volume=1, primary_storage=size / owners.GIB)


def quota(call, owner, **wanted):
    """Importing tells of a full quota as an internal error."""
    try:
        owners.check_quota(call.world, owner, **wanted)
    except refusal.Refusal as error:
        raise refusal.internal(f"VM resource allocation error for account: {owner.id}. {error.text}") from error
