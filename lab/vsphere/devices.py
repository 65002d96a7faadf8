"""The virtual hardware of a machine as its configuration lists it: controllers, disks with their chains, adapters.

Keys are those that the product gives: 200 IDE, 1000 SCSI, 15000 SATA, 31000 NVMe, disks after their place on a bus,
4000 network adapters. A disk's key is its identity; it is the same in every snapshot.
"""

import dataclasses

from .schema import Obj
from .site import CDROM_KEY, CONTROLLERS, NICS

FIXED = (("VirtualIDEController", 200, "IDE 0"), ("VirtualIDEController", 201, "IDE 1"),
         ("VirtualPS2Controller", 300, "PS2 controller 0"), ("VirtualPCIController", 100, "PCI controller 0"),
         ("VirtualSIOController", 400, "SIO controller 0"))
SUMMARIES = {"ide": "IDE", "pvscsi": "VMware paravirtual SCSI", "lsilogic": "LSI Logic", "lsisas": "LSI Logic SAS",
             "buslogic": "BusLogic", "sata": "AHCI", "nvme": "NVME"}
SCSI = ("pvscsi", "lsilogic", "lsisas", "buslogic")


@dataclasses.dataclass
class Link:
    """A disk as a configuration shows it: its newest file, what that file stands on, and its tracking."""
    file_name: str
    chain: list                 # file names, the newest first
    capacity: int
    content_id: str = None
    change_id: str = ""


def described(kind, key, label, summary=None, **fields):
    return Obj(kind, key=key, deviceInfo=Obj("Description", label=label, summary=summary or label), **fields)


def connectable(machine, key, connected=True, start=True, status="ok"):
    """What is plugged in, with what a reconfiguration has changed of it."""
    changed = machine.connections.get(key, {})
    running = machine.power == "poweredOn"
    return Obj("VirtualDeviceConnectInfo", migrateConnect="unset", allowGuestControl=True,
               startConnected=changed.get("startConnected", start),
               connected=changed.get("connected", running and connected), status=status if running else "untried")


def device_list(machine, links):
    """All devices of a machine. `links`: Link by disk key; a disk without one is not in this configuration."""
    spec, extra = machine.spec, machine.spec.extra
    disks = [disk for disk in spec.disks if disk.key in links]
    devices = [described(kind, key, label, busNumber=key % 100 if key >= 200 else 0, device=[])
               for kind, key, label in FIXED]
    devices.append(described("VirtualKeyboard", 600, "Keyboard", controllerKey=300, unitNumber=0))
    devices.append(described("VirtualPointingDevice", 700, "Pointing device", "Pointing device; Device", unitNumber=1,
                             controllerKey=300, backing=Obj("VirtualPointingDeviceDeviceBackingInfo", deviceName="",
                                                            useAutoDetect=False, hostPointingDevice="autodetect")))
    devices.append(described("VirtualMachineVideoCard", 500, "Video card", controllerKey=100, unitNumber=0,
                             videoRamSizeInKB=8192, numDisplays=1, useAutoDetect=False, enable3DSupport=False,
                             use3dRenderer="automatic", graphicsMemorySizeInKB=262144))
    devices.append(described("VirtualMachineVMCIDevice", 12000, "VMCI device",
                             "Device on the virtual machine PCI bus that provides support for the virtual machine "
                             "communication interface", controllerKey=100, unitNumber=17, id=-1,
                             allowUnrestrictedCommunication=False, filterEnable=True))
    devices += controllers(spec, extra)
    devices += [disk_device(machine, disk, links[disk.key]) for disk in disks]
    devices += other_devices(machine, extra)
    devices += [nic_device(machine, order, nic) for order, nic in enumerate(spec.nics)]
    by_key = {device.key: device for device in devices}
    for device in devices:
        controller = by_key.get(device.controllerKey)
        if controller is not None and "device" in controller.fields:
            controller.fields["device"].append(device.key)
    return devices


def controllers(spec, extra):
    made, shared = {}, extra.get("shared_bus", {})
    for disk in spec.disks:
        kind, key = CONTROLLERS[disk.kind][0], disk.controller_key
        if disk.kind == "ide" or key in made:
            continue
        if disk.kind in SCSI:
            slot = 16 if disk.bus == 0 else 160 + 32 * disk.bus
            device = described(kind, key, f"SCSI controller {disk.bus}", SUMMARIES[disk.kind], controllerKey=100,
                               unitNumber=3 + disk.bus, busNumber=disk.bus, device=[], hotAddRemove=True,
                               sharedBus=shared.get(disk.controller, "noSharing"), scsiCtlrUnitNumber=7,
                               slotInfo=Obj("VirtualDevicePciBusSlotInfo", pciSlotNumber=slot))
        else:
            name = "SATA" if disk.kind == "sata" else "NVME"
            device = described(kind, key, f"{name} controller {disk.bus}", SUMMARIES[disk.kind], controllerKey=100,
                               unitNumber=(24 if disk.kind == "sata" else 30) + disk.bus, busNumber=disk.bus, device=[])
        made[key] = device
    return list(made.values())


def disk_device(machine, disk, link):
    number = machine.spec.disks.index(disk) + 1
    return described("VirtualDisk", disk.key, disk.label or f"Hard disk {number}", f"{link.capacity >> 10:,} KB",
                     backing=disk_backing(machine, disk, link), controllerKey=disk.controller_key, unitNumber=disk.unit,
                     capacityInKB=link.capacity >> 10, capacityInBytes=link.capacity,
                     shares=Obj("SharesInfo", shares=1000, level="normal"),
                     diskObjectId=f"{machine.ref.value.rpartition('-')[2]}-{disk.key}",
                     nativeUnmanagedLinkedClone=bool(disk.parent), virtualDiskFormat=disk.format)


def disk_backing(machine, disk, link):
    """The backing of the newest link, with its parents inside it."""
    backing = None
    for position in range(len(link.chain) - 1, -1, -1):
        newest = position == 0
        backing = one_backing(machine, disk, link, link.chain[position], backing, newest)
    return backing


def one_backing(machine, disk, link, file_name, parent, newest):
    fields = {"fileName": file_name, "datastore": machine.datastore_ref(file_name), "backingObjectId": ""}
    if disk.backing == "raw":
        return Obj("VirtualDiskRawDiskVer2BackingInfo", deviceName="vml.lab", useAutoDetect=False,
                   descriptorFileName=file_name, uuid=disk.uuid, sharing=disk.sharing,
                   changeId=link.change_id or None)
    fields["diskMode"] = disk.mode
    key = Obj("CryptoKeyId", keyId=disk.key_id, providerId=Obj("KeyProviderId", id="lab")) if disk.key_id else None
    if disk.backing == "pmem":
        return Obj("VirtualDiskLocalPMemBackingInfo", uuid=disk.uuid, contentId=link.content_id, **fields)
    fields.update(contentId=link.content_id, parent=parent)
    if disk.backing == "flat-v1":
        return Obj("VirtualDiskFlatVer1BackingInfo", split=False, writeThrough=False, **fields)
    fields.update(uuid=disk.uuid, changeId=(link.change_id or None) if newest else None)
    if disk.backing in ("rdm-physical", "rdm-virtual"):
        mode = "physicalMode" if disk.backing == "rdm-physical" else "virtualMode"
        return Obj("VirtualDiskRawDiskMappingVer1BackingInfo", lunUuid="0200000000600508b1001c", deviceName="vml.lab",
                   compatibilityMode=mode, sharing=disk.sharing, **fields)
    fields.update(keyId=key)
    if disk.backing == "sparse":
        return Obj("VirtualDiskSparseVer2BackingInfo", split=False, writeThrough=False, spaceUsedInKB=0, **fields)
    delta = "redoLogFormat" if parent is not None else None
    if disk.backing == "sesparse":
        return Obj("VirtualDiskSeSparseBackingInfo", writeThrough=False, deltaDiskFormat=delta, digestEnabled=False,
                   grainSize=8, **fields)
    return Obj("VirtualDiskFlatVer2BackingInfo", split=False, writeThrough=False, thinProvisioned=disk.thin,
               eagerlyScrub=None if disk.thin else True, deltaDiskFormat=delta, digestEnabled=False,
               deltaDiskFormatVariant="vmfsSparseVariant" if delta else None, sharing=disk.sharing, **fields)


def nic_device(machine, order, nic):
    network = machine.networks[nic.network]
    spec, key = network.spec, 4000 + order
    if spec.kind == "distributed":
        port = Obj("DistributedVirtualSwitchPortConnection",
                   switchUuid="50 2a 1c 7f 00 00 00 00-00 00 00 00 00 00 00 01", portgroupKey=spec.key,
                   portKey=str(order), connectionCookie=1)
        backing, summary = Obj("VirtualEthernetCardDistributedVirtualPortBackingInfo", port=port), "DVSwitch: lab"
    elif spec.kind == "opaque":
        backing = Obj("VirtualEthernetCardOpaqueNetworkBackingInfo", opaqueNetworkId=spec.key or spec.id,
                      opaqueNetworkType="nsx.LogicalSwitch")
        summary = "nsx.LogicalSwitch: " + (spec.key or spec.id)
    else:
        backing = Obj("VirtualEthernetCardNetworkBackingInfo", deviceName=spec.name, useAutoDetect=False,
                      network=network.ref, inPassthroughMode=False)
        summary = spec.name
    more = {"allowGuestOSMtuChange": False} if nic.type == "sriov" else {}
    return described(NICS[nic.type], key, f"Network adapter {order + 1}", summary, backing=backing,
                     connectable=connectable(machine, key, nic.connected, nic.connected), controllerKey=100,
                     unitNumber=7 + order, addressType=nic.address_type, macAddress=nic.mac, wakeOnLanEnabled=True,
                     slotInfo=Obj("VirtualDevicePciBusSlotInfo", pciSlotNumber=nic.pci_slot),
                     uptCompatibilityEnabled=nic.type == "vmxnet3", **more)


def media(value, word):
    """The file of a CD or floppy, or None for the drive of the client. `value` is that file, or {"file": ..}."""
    return (value.get("file") if isinstance(value, dict) else value) if value not in (None, word) else None


def other_devices(machine, extra):
    devices = []
    if "cdrom" in extra:
        devices.append(cdrom(machine, media(extra["cdrom"], "client")))
    if "floppy" in extra:
        devices.append(floppy(machine, media(extra["floppy"], "client")))
    if extra.get("usb"):
        devices.append(described("VirtualUSBXHCIController", 14000, "USB xHCI controller", controllerKey=100,
                                 unitNumber=23, busNumber=0, device=[], autoConnectDevices=False))
        devices.append(described("VirtualUSB", 14001, "USB 1", "Lab stick", controllerKey=14000, connected=True,
                                 backing=Obj("VirtualUSBUSBBackingInfo", deviceName="path:1/0/1", useAutoDetect=False),
                                 vendor=0x46f4, product=1))
    if "serial" in extra:
        devices.append(serial(machine, extra["serial"]))
    if extra.get("tpm"):
        devices.append(described("VirtualTPM", 11000, "Virtual TPM", "Trusted Platform Module"))
    if extra.get("nvdimm"):
        backing = Obj("VirtualNVDIMMBackingInfo", fileName=machine.file_name("nvdimm.vmdk"))
        devices.append(described("VirtualNVDIMMController", 50000, "NVDIMM controller", busNumber=0, device=[]))
        devices.append(described("VirtualNVDIMM", 51000, "NVDIMM 1", controllerKey=50000, unitNumber=0, backing=backing,
                                 capacityInMB=1024))
    if extra.get("pci_passthrough"):
        backing = Obj("VirtualPCIPassthroughDeviceBackingInfo", deviceName="Lab adapter", useAutoDetect=False,
                      id="0000:3b:00.0", deviceId="1572", systemId="lab", vendorId=-32634)
        devices.append(described("VirtualPCIPassthrough", 13000, "PCI device 0", controllerKey=100, unitNumber=18,
                                 backing=backing))
    if extra.get("vgpu"):
        devices.append(described("VirtualPCIPassthrough", 13001, "PCI device 1", "NVIDIA GRID vGPU grid_lab",
                                 controllerKey=100, unitNumber=19,
                                 backing=Obj("VirtualPCIPassthroughVmiopBackingInfo", vgpu="grid_lab")))
    return devices


def cdrom(machine, file_name):
    if file_name:
        backing = Obj("VirtualCdromIsoBackingInfo", fileName=file_name, datastore=machine.datastore_ref(file_name))
    else:
        backing = Obj("VirtualCdromRemotePassthroughBackingInfo", deviceName="", useAutoDetect=True, exclusive=False)
    return described("VirtualCdrom", CDROM_KEY, "CD/DVD drive 1", "ISO " + file_name if file_name else "Remote device",
                     controllerKey=201, unitNumber=0, backing=backing,
                     connectable=connectable(machine, CDROM_KEY, bool(file_name), bool(file_name)))


def floppy(machine, file_name):
    if file_name:
        backing = Obj("VirtualFloppyImageBackingInfo", fileName=file_name, datastore=machine.datastore_ref(file_name))
    else:
        backing = Obj("VirtualFloppyRemoteDeviceBackingInfo", deviceName="", useAutoDetect=False)
    return described("VirtualFloppy", 8000, "Floppy drive 1", "Floppy", controllerKey=400, unitNumber=0,
                     backing=backing, connectable=connectable(machine, 8000, bool(file_name), bool(file_name)))


def serial(machine, value):
    """A serial port: to a file (its name), or {"pipe": NAME} or {"uri": URI}."""
    if isinstance(value, dict) and "uri" in value:
        backing = Obj("VirtualSerialPortURIBackingInfo", serviceURI=value["uri"], direction="server")
    elif isinstance(value, dict) and "pipe" in value:
        backing = Obj("VirtualDevicePipeBackingInfo", pipeName=value["pipe"])
    else:
        name = media(value, None)
        backing = Obj("VirtualSerialPortFileBackingInfo", fileName=name, datastore=machine.datastore_ref(name))
    return described("VirtualSerialPort", 9000, "Serial port 1", "Remote device", controllerKey=400, unitNumber=0,
                     backing=backing, connectable=connectable(machine, 9000), yieldOnPoll=True)
