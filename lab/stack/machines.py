"""Machines after their import: changing, starting, stopping, destroying and forgetting them."""

from . import agent, deploy, domain, image, owners, refusal, volumes
from .importing import LABEL


def known(call):
    machine = call.args["id"]
    if machine.removed:
        raise refusal.invalid("Unable to find a virtual machine with specified vmId", ("vmId", machine))
    owners.may_see(call.account, machine.owner)
    return machine


def update(call):
    args, machine = call.args, known(call)
    if "name" in args and args["name"] != machine.name and not LABEL.fullmatch(args["name"]):
        raise refusal.invalid("Invalid name. Vm name can contain ASCII letters 'a' through 'z', the digits '0' through "
                              "'9', and the hyphen ('-'), must be between 1 and 63 characters long, and can't start or "
                              "end with \"-\" and can't start with digit")
    if machine.state != "Stopped" and ("ostypeid" in args or args.get("name", machine.name) != machine.name):
        raise refusal.invalid(f"Cannot change the name or the OS type of {machine.instancename}: it is not stopped")
    details = new_details(args, machine)
    machine.details = details
    for word in ("displayname", "name", "group"):
        setattr(machine, word, args.get(word, getattr(machine, word)))
    machine.ostype = args.get("ostypeid", machine.ostype)
    machine.ha = args.get("haenable", machine.ha)
    machine.displayvm = args.get("displayvm", machine.displayvm)
    machine.delete_protection = args.get("deleteprotection", machine.delete_protection)
    return machine


def new_details(args, machine):
    """The details replace all there were; of a custom offering the numbers stay."""
    if args.get("cleanupdetails"):
        return {}
    if "details" not in args:
        return machine.details
    given = args["details"][0]
    for word in ("cpuNumber", "memory", "cpuSpeed"):
        if word in given and given[word] != machine.details.get(word):
            raise refusal.invalid(f"Detail {word} cannot be changed here: scale the virtual machine")
    return dict(given)


def start(call):
    machine = known(call)
    if machine.state == "Running":
        raise refusal.internal(f"VM with id: {machine.id} is already running")
    if machine.state != "Stopped":
        raise refusal.invalid(f"Unable to start {machine.instancename}: it is {machine.state}")
    host = deploy.host_for(call, machine)
    text = domain.xml(call, machine, host)
    for disk in call.world.volumes_of(machine):
        try:
            agent.check_image_opens(call.world, disk)
        except image.ImageError as error:
            raise refusal.internal(f"Unable to start a VM [{machine.instancename}] due to [{error}].") from error
    file = call.world.domain_file(machine)
    for directory in (file.parent, call.world.directory / "nvram"):
        directory.mkdir(exist_ok=True)
    file.write_text(text, encoding="utf-8")
    machine.state, machine.host, machine.last_host = "Running", host, host
    return machine


def stop(call):
    machine = known(call)
    if machine.state not in ("Running", "Stopped"):
        raise refusal.invalid(f"Unable to stop {machine.instancename}: it is {machine.state}")
    machine.state, machine.host = "Stopped", None
    return machine


def destroy(call):
    """Data disks are only detached, unless they are named; with expunge the file of the root disk goes."""
    machine, world = known(call), call.world
    if machine.delete_protection:
        raise refusal.runtime(f"Instance {machine.instancename} has delete protection enabled and cannot be deleted")
    doomed = [volumes.known(call, item) for item in call.args.get("volumeids", [])]
    if any(item.machine is not machine or item.type != "DATADISK" for item in doomed):
        raise refusal.invalid("Unable to delete a volume: it is no data disk of the VM")
    if call.args.get("expunge") and not call.account.admin:
        raise refusal.denied("Parameter expunge can be passed by root admin only")
    machine.state, machine.host = "Destroyed", None
    for item in doomed:
        volumes.expunge(world, item)
    if call.args.get("expunge"):
        expunge(call)
    else:
        let_go(world, machine)
    return machine


def expunge(call):
    machine, world = known(call), call.world
    owners.check_root(call.account)
    if machine.state != "Destroyed":
        raise refusal.invalid(f"Please destroy vm with specified vmId before expunge: {machine.state}",
                              ("vmId", machine))
    let_go(world, machine)
    for item in world.volumes_of(machine):
        volumes.expunge(world, item)
    world.forget_machine(machine)
    return True


def let_go(world, machine):
    for item in world.volumes_of(machine):
        if item.type == "DATADISK":
            item.machine = item.device = item.attached = None


def recover(call):
    machine = known(call)
    if machine.state != "Destroyed":
        raise refusal.invalid("Unable to recover VM: it is not destroyed", ("vmId", machine))
    machine.state = "Stopped"
    return machine


def unmanage(call):
    """The records go; the files, and on a host the domain, stay."""
    owners.check_root(call.account)
    machine, world = known(call), call.world
    if machine.state not in ("Running", "Stopped"):
        raise refusal.invalid(f"VM {machine.instancename} must be running or stopped to be unmanaged",
                              ("vmId", machine))
    host = machine.host or machine.last_host or call.args.get("hostid")
    if host is None and call.has("4.22.0"):
        raise refusal.runtime(f"Cannot find a host to keep the domain of {machine.instancename} on: it never ran")
    for item in world.volumes_of(machine):
        world.forget_volume(item, "Destroy")
    machine.state = "Stopped"
    kept = world.domain_file(machine).read_bytes() if world.domain_file(machine).exists() else None
    world.forget_machine(machine)
    if kept:
        world.domain_file(machine).write_bytes(kept)
    return {"success": True, "hostid": host and host.id}
