"""What the agent on a KVM host finds in a pool: it looks at real files, and in the pool's root only."""

import dataclasses

from . import image as images
from . import refusal
from .infrastructure import reaches
from .world import is_file_pool, pool_ready

IMPORT_POOLS = {"NetworkFilesystem": "4.19", "Filesystem": "4.19", "SharedMountPoint": "4.22.1", "RBD": "main"}
VOLUME_POOLS = dict(IMPORT_POOLS, RBD="4.19")
NOT_FOUND = "Disk not found or is invalid"


@dataclasses.dataclass
class Found:
    """An image in a pool and what qemu-img says of it."""

    name: str
    full_path: str
    image: images.Image
    locked: bool

    @property
    def format(self):
        return self.image.format.upper()

    def details(self):
        image = self.image
        made = {"FILE_FORMAT": image.format, "IS_LOCKED": str(self.locked).lower()}
        if image.cluster_size:
            made["CLUSTER_SIZE"] = str(image.cluster_size)
        if image.backing:
            made["BACKING_FILE"] = image.backing
            made["BACKING_FILE_FORMAT"] = image.backing_format or None
        if image.encrypted:
            made["IS_ENCRYPTED"] = "true"
        return made


def look(world, pool, path):
    """The image of that name in the root of a pool, or None when there is none that can be read."""
    file = world.file(pool, path)
    try:
        if not file.name or not file.is_file():
            return None
        return Found(file.name, str(file), images.read(file), images.locked(file))
    except (images.ImageError, OSError):
        return None


def check_volume(call, pool, path):
    """CheckVolumeCommand: the image that importVm is to adopt, or the refusal that its job ends with."""
    found = None
    if call.has(IMPORT_POOLS.get(pool.type, "never")):
        found = look(call.world, pool, path)
    if found is None or found.image.format not in ("qcow2", "raw") or not found.image.virtual_size:
        raise refusal.internal(NOT_FOUND)
    if path.endswith(".qcow2") and images.inspect(found.full_path):
        raise refusal.internal(NOT_FOUND)
    if pool.type == "RBD" and found.image.format != "raw":
        raise refusal.internal(NOT_FOUND)
    check_usable(call, found, backing=call.has("4.22.0"))
    return found


def check_usable(call, found, backing=True):
    """Not locked, not encrypted and, as far as a release looks for it, without a backing file."""
    if found.locked:
        raise refusal.runtime("Locked volume cannot be imported or unmanaged.")
    if found.image.encrypted:
        raise refusal.runtime("Encrypted volume cannot be imported or unmanaged.")
    allowed = call.has("4.22.1") and call.world.setting("allow.import.volume.with.backing.file") == "true"
    if found.image.backing and backing and not allowed:
        raise refusal.runtime("Volume with backing file cannot be imported or unmanaged.")


def volumes_on(call, pool, path=None, keyword=None):
    """GetVolumesOnStorageCommand: what there is in a pool, or of one path; refused like the product when it cannot."""
    host = next((item for item in call.world.all("host") if item.state == "Up" and reaches(item, pool)), None)
    if host is None:
        raise refusal.runtime("No host found to perform volume import")
    if not call.has(VOLUME_POOLS.get(pool.type, "never")):
        raise refusal.runtime(f"Importing and unmanaging volume are not supported for pool type {pool.type} on "
                              "hypervisor KVM")
    if path:
        return [one_volume(call, pool, path)]
    names = sorted(file.name for file in call.world.file(pool, "x").parent.iterdir() if file.is_file())
    found = [look(call.world, pool, name) for name in names if not keyword or keyword in name]
    return [item for item in found if item is not None and item.image.format in ("qcow2", "raw")]


def one_volume(call, pool, path):
    found = look(call.world, pool, path)
    if found is None:
        raise refusal.runtime(f"Cannot find volume on storage pool: {path}")
    if path not in (found.name, found.full_path):
        raise refusal.runtime(f"Volume cannot be imported due to Volume path mismatch. Expected volume path ({path}) "
                              f"is not the same as the actual name ({found.name}) and path ({found.full_path})")
    if found.image.format not in ("qcow2", "raw"):
        raise refusal.runtime(f"Volume cannot be imported due to disk format {found.format} is unsupported")
    if pool.type == "RBD" and found.image.format != "raw":
        raise refusal.runtime(f"Volume cannot be imported due to The file format is {found.image.format}, but "
                              "expected to be RAW")
    return found


def check_image_opens(world, volume):
    """ImageError unless a machine could be started with this volume: on a pool of files it is declared qcow2."""
    file = world.file(volume.pool, volume.path)
    if is_file_pool(volume.pool):
        images.check_opens(file)
    elif not file.is_file():
        raise images.ImageError(f"error reading header from {volume.path}: No such file or directory")
    if images.locked(file):
        raise images.ImageError('Failed to get "write" lock. Is another process using the image '
                                f"[{file}]?")


def list_for_import(call):
    """listVolumesForImport: what no record says that it is managed, and that is no base of a template."""
    pool = call.args["storageid"]
    pool_ready(pool)
    found = volumes_on(call, pool, call.args.get("path"), call.args.get("keyword"))
    return [{"name": item.name, "path": item.name, "fullpath": item.full_path, "format": item.format,
             "size": item.image.size, "virtualsize": item.image.virtual_size, "storageid": pool.id,
             "storage": pool.name, "storagetype": pool.type, "details": item.details()} for item in found
            if not call.world.volume_at(pool, item.name) and item.name not in pool.templates]
