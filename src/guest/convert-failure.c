/* What virt-v2v's words mean. The fragments are its own (2.2 to 2.13), libguestfs' and the guest's
 * tools'. Order matters: the first found counts, so what is special stands before what is general.
 */
#include <string.h>

#include "base/checked.h"
#include "guest/convert.h"

static const struct convert_failure failures[] = {
    { "could not find key to open LUKS encrypted", ERR_DENIED,
      "an encrypted disk of the guest could not be opened", "give its passphrase with --key" },
    { "could not read key from user", ERR_DENIED,
      "an encrypted disk of the guest needs a passphrase", "give it with --key" },
    { "getline: Inappropriate ioctl for device", ERR_DENIED,
      "an encrypted disk of the guest needs a passphrase", "give it with --key" },
    { "Not enough available memory to open a keyslot", ERR_UNAVAILABLE,
      "the appliance has too little memory for the guest's LUKS2 key",
      "give it more with --memsize 4096" },
    { "No root device found in this operating system image", ERR_INVALID,
      "no operating system was found on the disks: blank, encrypted, not supported, or a disk is "
      "missing or in another order",
      "give all disks of the machine in its order, and keys; or copy it with --no-convert" },
    { "multi-boot operating systems", ERR_INVALID, "there is more than one operating system",
      "choose one with --root first or --root DEVICE" },
    { "inspection could not detect the source guest", ERR_INVALID,
      "virt-v2v does not know this operating system", "copy it as it is with --no-convert" },
    { "inspection field 'i_distro' was 'unknown'", ERR_INVALID,
      "virt-v2v does not know this distribution", "copy it as it is with --no-convert" },
    { "unable to convert this guest type", ERR_INVALID,
      "virt-v2v cannot convert this operating system", "copy it as it is with --no-convert" },
    { "no installed kernel packages were found", ERR_INVALID,
      "virt-v2v found no kernel package; before 2.4 it does not know those of RHEL 9 and its kin",
      "use a newer virt-v2v" },
    { "only Xen kernels are installed", ERR_INVALID, "the guest has kernels for Xen only",
      "install an ordinary kernel in it first" },
    { "no bootloader detected", ERR_INVALID, "the guest's boot loader is not GRUB",
      "copy it as it is with --no-convert" },
    { "not enough free space for conversion on filesystem", ERR_INVALID,
      "a file system of the guest is too full", "free at least 100 MB in it first" },
    { "not enough free inodes for conversion on filesystem", ERR_INVALID,
      "a file system of the guest has no inodes left", "remove files in it first" },
    { "unsafe state", ERR_CONFLICT,
      "Windows is hibernated or was shut down with Fast Startup, its disk cannot be written",
      "boot it once more and shut it down with 'shutdown /s /t 0'" },
    { "Windows Hibernation or Fast Restart", ERR_CONFLICT,
      "Windows is hibernated or was shut down with Fast Startup, its disk cannot be written",
      "boot it once more and shut it down with 'shutdown /s /t 0'" },
    { "filesystem was mounted read-only", ERR_CONFLICT,
      "a file system of the guest is dirty and cannot be written",
      "start the machine once and shut it down cleanly" },
    { "rhsrvany.exe", ERR_NOT_FOUND,
      "this host lacks rhsrvany.exe, without which no Windows is "
      "converted",
      "install virt-v2v's Windows tools in /usr/share/virt-tools, or set "
      "VIRT_TOOLS_DATA_DIR" },
    { "pvvxsvc.exe", ERR_NOT_FOUND,
      "this host lacks pvvxsvc.exe, without which no Windows is "
      "converted",
      "install virt-v2v's Windows tools in /usr/share/virt-tools, or set "
      "VIRT_TOOLS_DATA_DIR" },
    { "there are no virtio drivers available for this version of Windows", ERR_NOT_FOUND,
      "virtio-win has no drivers for this version of Windows",
      "set VIRTIO_WIN, or a spec's conversion.virtio_win, to an ISO that has" },
    { "ntfs-3g", ERR_UNAVAILABLE, "the appliance cannot read NTFS",
      "install ntfs-3g on this host and remove the old appliance (/var/tmp/.guestfs-*)" },
    { "resolv.conf: Operation not permitted", ERR_CONFLICT,
      "the guest's /etc/resolv.conf is immutable", "remove the flag in the guest with chattr -i" },
    { "dracut: installkernel failed in module", ERR_INVALID,
      "dracut in the guest could not build an initrd", "mend it there first (dracut -f)" },
    { "dracut module 'network-legacy'", ERR_INVALID,
      "dracut in the guest lacks a module that its own configuration asks for",
      "install dracut-network there, or remove it from /etc/dracut.conf.d" },
    { "unable to rebuild initrd", ERR_INVALID,
      "the guest's initrd could not be rebuilt: a full /boot, or its builder is broken",
      "free space in /boot, or mend dracut or initramfs-tools in it" },
    { "mkinitrd or dracut", ERR_INVALID, "the guest has no program to build an initrd with",
      "install dracut in it first" },
    { "Couldn't find device with uuid", ERR_INVALID,
      "a volume group of the guest spans a disk that was not given", "give all disks" },
    { "Cannot process volume group", ERR_INVALID, "a volume group of the guest is not complete",
      "give all disks of the machine" },
    { "No space left on device", ERR_IO,
      "no space left, in the guest or in the scratch directory of this host",
      "free space there; --no-fstrim needs less of it here" },
    { "nbdkit VDDK plugin is not installed", ERR_NOT_FOUND, "nbdkit has no VDDK plugin here",
      "use another transport" },
    { "supermin exited with error", ERR_UNAVAILABLE,
      "libguestfs could not build its appliance: no kernel in /boot that we may read",
      "install a kernel package, or make it readable with chmod 0644 /boot/vmlinuz-*" },
    { "appliance closed the connection unexpectedly", ERR_UNAVAILABLE,
      "the appliance died: acceleration that does not work, or too little memory",
      "try VMFERRY_ACCEL=tcg", true },
    { "child process died unexpectedly", ERR_UNAVAILABLE,
      "the appliance died: acceleration that does not work, or too little memory",
      "try VMFERRY_ACCEL=tcg", true },
    { "Cannot allocate memory", ERR_UNAVAILABLE, "this host has too little memory free",
      "convert fewer machines at a time" },
    { "Failed to get \"write\" lock", ERR_CONFLICT, "a disk image is in use by another program",
      "end that first" },
    { "unrecognized option", ERR_BUG, "virt-v2v does not know an option we gave it",
      "say which version it is" },
};

const struct convert_failure *
convert_failure_find(const char *tail)
{
    for (size_t i = 0; i < ARRAY_LEN(failures); i++)
        if (strstr(tail, failures[i].fragment))
            return &failures[i];
    return NULL;
}
