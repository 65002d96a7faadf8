"""Network interfaces of machines: their addresses, and adding, choosing and removing them."""

import ipaddress
import re

from . import deploy, owners, refusal
from .world import Nic, fresh_id

MAC = re.compile(r"[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}")


def make(world, network, first=False, ip=None, mac=None):
    """An interface that nothing holds yet: with a free address, except on L2, and a MAC of the product's."""
    return Nic(fresh_id(), network, mac or world.new_mac(), address(world, network, ip), default=first)


def address(world, network, wanted):
    if network.type == "L2":
        return None
    taken = {nic.ip for nic in world.all("nic") if nic.network is network} | {network.gateway}
    first, last = map(ipaddress.IPv4Address, network.range)
    if wanted:
        check_wanted(network, wanted, taken, first, last)
        return wanted
    for number in range(int(first), int(last) + 1):
        if str(ipaddress.IPv4Address(number)) not in taken:
            return str(ipaddress.IPv4Address(number))
    raise refusal.runtime(f"Unable to acquire Guest IP address for network {network.name}")


def check_wanted(network, wanted, taken, first, last):
    try:
        number = ipaddress.IPv4Address(wanted)
    except ValueError as error:
        raise refusal.invalid(f"Invalid format for IP address parameter: {wanted}") from error
    inside = first <= number <= last if network.type == "Shared" else number in network.subnet
    if not inside or wanted in taken:
        raise refusal.invalid(f"The requested IP address {wanted} is not available in network {network.name}")


def add(call):
    args, world = call.args, call.world
    machine, network = checked_machine(call), args["networkid"]
    deploy.check_network(call, machine.owner, network)
    if network.zone is not machine.zone:
        raise refusal.invalid(f"{network.name} is in a different zone than the VM")
    if any(nic.network is network for nic in machine.nics):
        raise refusal.runtime(f"A NIC already exists for VM:{machine.instancename} in network: {network.id}")
    mac = args.get("macaddress", "").lower()
    if not MAC.fullmatch(mac) or int(mac[:2], 16) & 1:
        mac = None                      # silently replaced
    if mac and any(nic.mac == mac and nic.network is network for nic in world.all("nic")):
        raise refusal.runtime(f"A NIC with this MAC address exists for network: {network.id}")
    nic = make(world, network, not machine.nics, args.get("ipaddress"), mac)
    used = {item.device for item in machine.nics}
    nic.device = next(number for number in range(len(used) + 1) if number not in used)
    machine.nics.append(world.add("nic", nic))
    return machine


def choose(call):
    """updateDefaultNicForVirtualMachine."""
    machine, nic = checked_machine(call), own_nic(call)
    if nic.default:
        raise refusal.runtime("refusing to set default nic because chosen nic is already the default")
    for item in machine.nics:
        item.default = item is nic
    return machine


def remove(call):
    machine, nic = checked_machine(call), own_nic(call)
    if nic.default:
        raise refusal.invalid(f"Unable to remove NIC from {machine.instancename} in {nic.network.id}, NIC is default.")
    machine.nics.remove(nic)
    nic.removed = True
    return machine


def checked_machine(call):
    machine = call.args["virtualmachineid"]
    if machine.removed:
        raise refusal.invalid("unable to find a virtual machine with specified id", ("vmId", machine))
    owners.may_see(call.account, machine.owner)
    if machine.state not in ("Running", "Stopped"):
        raise refusal.invalid(f"{machine.instancename} is not in a state in which its NICs can be changed: "
                              f"{machine.state}")
    return machine


def own_nic(call):
    nic = call.args["nicid"]
    if nic.removed or nic not in call.args["virtualmachineid"].nics:
        raise refusal.invalid("unable to find a nic with specified id on the VM")
    return nic
