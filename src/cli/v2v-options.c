#include "cli/v2v.h"

#include <string.h>

#define FIELD(name) offsetof(struct v2v_args, name)
#define REFUSED(name)                                                                              \
    {                                                                                              \
        0, name, NULL, OPT_REFUSED, 0, ""                                                          \
    }
#define REFUSED_WITH(name, arg)                                                                    \
    {                                                                                              \
        0, name, arg, OPT_REFUSED, 0, ""                                                           \
    }

const struct opt v2v_options[] = {
    { 'i', "i", "MODE", OPT_TEXT, FIELD(input), "where from: libvirt, disk, ova or libvirtxml" },
    { 0, "ic", "URI", OPT_TEXT, FIELD(connection),
      "of -i libvirt: vpx://USER@VCENTER/DC/HOST, esx://root@HOST or xen+ssh://root@HOST" },
    { 0, "it", "TRANSPORT", OPT_TEXT, FIELD(transport),
      "from vSphere by vddk, ssh, https, export or auto (default)" },
    { 0, "io", "KEY=VALUE", OPT_LIST, FIELD(input_options),
      "for the transport: vddk-libdir=DIR ...; -io ? lists them" },
    { 0, "ip", "FILE", OPT_TEXT, FIELD(password_file), "the password of -ic is its first line" },
    { 0, "snapshot", NULL, OPT_FLAG, FIELD(snapshot),
      "read a running machine from a snapshot, removed afterwards" },
    { 0, "if", "FORMAT", OPT_TEXT, FIELD(input_format),
      "format of the disks of -i disk (default: look at their headers)" },
    { 'o', "o", "MODE", OPT_TEXT, FIELD(output), "where to: libvirt (default), local or null" },
    { 0, "oc", "URI", OPT_TEXT, FIELD(output_connection),
      "of -o libvirt: qemu:///system (default), or another one on this host" },
    { 0, "os", "DIR|POOL", OPT_TEXT, FIELD(storage),
      "the directory of -o local; of -o libvirt the pool (default), or a directory with a /" },
    { 0, "of", "FORMAT", OPT_TEXT, FIELD(disk_format), "raw (default) or qcow2" },
    { 0, "oa", "HOW", OPT_TEXT, FIELD(allocation), "sparse (default) or preallocated (raw only)" },
    { 0, "on", "NAME", OPT_TEXT, FIELD(name), "another name for the machine" },
    { 0, "mac", "MAC:HOW:OUT", OPT_LIST, FIELD(macs),
      "map one NIC: MAC:network:OUT, MAC:bridge:OUT, MAC:ip:ADDRESS (Windows)" },
    { 'n', "network", "[IN:]OUT", OPT_LIST, FIELD(networks), "map network IN, or all others" },
    { 'b', "bridge", "[IN:]OUT", OPT_LIST, FIELD(bridges), "map bridge IN, or all others" },
    { 0, "root", "WHICH", OPT_TEXT, FIELD(root),
      "of several systems: first (default), single or a device" },
    { 0, "key", "SELECTOR", OPT_LIST, FIELD(keys),
      "a disk's key: ID:key:SECRET, ID:file:PATH or ID:clevis" },
    { 0, "keys-from-stdin", NULL, OPT_FLAG, FIELD(keys_from_stdin), "read keys, one a line" },
    { 0, "block-driver", "DRIVER", OPT_TEXT, FIELD(block_driver),
      "Windows: virtio-blk or virtio-scsi" },
    { 0, "no-fstrim", NULL, OPT_FLAG, FIELD(no_fstrim), "do not trim file systems" },
    { 0, "memsize", "MIB", OPT_NUMBER, FIELD(memsize_mib), "memory for the conversion" },
    { 0, "no-convert", NULL, OPT_FLAG, FIELD(no_convert), "leave the guest as it is" },
    { 0, "limit", "RATE", OPT_SIZE, FIELD(limit_bytes_s),
      "copy at most so many bytes a second: 200M" },
    { 0, "verify", NULL, OPT_FLAG, FIELD(verify), "read each copied disk again and compare" },
    { 0, "discard", NULL, OPT_FLAG, FIELD(discard), "drop what an interrupted run left" },
    { 0, "print-source", NULL, OPT_FLAG, FIELD(print_source), "describe the source and stop" },
    { 0, "machine-readable", "FORMAT", OPT_MAYBE, FIELD(machine_readable),
      "alone: list features; else say all as JSON" },
    { 0, "json", NULL, OPT_FLAG, FIELD(output_how.json), "one JSON object per event" },
    { 'q', "quiet", NULL, OPT_FLAG, FIELD(output_how.quiet), "no stages and no progress" },
    { 'v', "verbose", NULL, OPT_FLAG, FIELD(output_how.verbose), "say more" },
    { 'x', "x", NULL, OPT_FLAG, FIELD(trace), "trace libguestfs calls into the conversion's log" },
    { 0, "colours", NULL, OPT_FLAG, FIELD(output_how.color), "colours even off a terminal" },
    { 0, "color", NULL, OPT_FLAG, FIELD(output_how.color), NULL },
    { 0, "colors", NULL, OPT_FLAG, FIELD(output_how.color), NULL },
    { 0, "colour", NULL, OPT_FLAG, FIELD(output_how.color), NULL },
    { 0, "no-color", NULL, OPT_FLAG, FIELD(output_how.no_color), "no colours" },
    { 0, "wrap", NULL, OPT_FLAG, FIELD(output_how.wrap), "break long lines" },
    { 'V', "version", NULL, OPT_FLAG, FIELD(version), "print the version" },
    { 0, "help", NULL, OPT_HELP, 0, "show this" },

    REFUSED_WITH("op", "FILE"),
    REFUSED_WITH("oo", "OPTION"),
    REFUSED_WITH("bandwidth", "BPS"),
    REFUSED_WITH("bandwidth-file", "FILE"),
    REFUSED("collect"),
    REFUSED_WITH("collect-output", "FILE"),
    REFUSED_WITH("compat", "VERSION"),
    REFUSED("compressed"),
    REFUSED("debug-gc"),
    REFUSED("debug-overlays"),
    REFUSED("echo-keys"),
    REFUSED("in-place"),
    REFUSED("no-copy"),
    REFUSED_WITH("no-trim", "WHAT"),
    REFUSED_WITH("parallel", "N"),
    REFUSED_WITH("password-file", "FILE"),
    REFUSED("print-estimate"),
    REFUSED("qemu-boot"),
    REFUSED("selinux-relabel-at-boot"),
    REFUSED_WITH("selinux-relabel-excludes", "PATTERN"),
    REFUSED_WITH("smp", "N"),
    REFUSED_WITH("vddk-config", "FILE"),
    REFUSED_WITH("vddk-cookie", "COOKIE"),
    REFUSED_WITH("vddk-libdir", "DIR"),
    REFUSED_WITH("vddk-nfchostport", "PORT"),
    REFUSED_WITH("vddk-port", "PORT"),
    REFUSED_WITH("vddk-snapshot", "MOREF"),
    REFUSED_WITH("vddk-thumbprint", "THUMBPRINT"),
    REFUSED_WITH("vddk-transports", "TRANSPORTS"),
    REFUSED_WITH("vdsm-compat", "VERSION"),
    REFUSED_WITH("vdsm-image-uuid", "UUID"),
    REFUSED_WITH("vdsm-ovf-flavour", "FLAVOUR"),
    REFUSED_WITH("vdsm-ovf-output", "DIR"),
    REFUSED_WITH("vdsm-vm-uuid", "UUID"),
    REFUSED_WITH("vdsm-vol-uuid", "UUID"),
    REFUSED_WITH("vmtype", "TYPE"),

    /* virt-customize's, which virt-v2v has had since 2.6. */
    REFUSED_WITH("append-line", "FILE:LINE"),
    REFUSED_WITH("chmod", "MODE:FILE"),
    REFUSED_WITH("chown", "UID:GID:FILE"),
    REFUSED_WITH("commands-from-file", "FILE"),
    REFUSED_WITH("copy", "SOURCE:TARGET"),
    REFUSED_WITH("copy-in", "LOCAL:REMOTE"),
    REFUSED_WITH("delete", "PATH"),
    REFUSED_WITH("edit", "FILE:EXPR"),
    REFUSED_WITH("firstboot", "SCRIPT"),
    REFUSED_WITH("firstboot-command", "COMMAND"),
    REFUSED_WITH("firstboot-install", "PACKAGES"),
    REFUSED_WITH("hostname", "NAME"),
    REFUSED_WITH("inject-blnsvr", "METHOD"),
    REFUSED_WITH("inject-qemu-ga", "METHOD"),
    REFUSED_WITH("inject-virtio-win", "METHOD"),
    REFUSED_WITH("install", "PACKAGES"),
    REFUSED_WITH("link", "TARGET:LINK"),
    REFUSED_WITH("mkdir", "DIR"),
    REFUSED_WITH("move", "SOURCE:TARGET"),
    REFUSED("no-logfile"),
    REFUSED_WITH("password", "USER:SELECTOR"),
    REFUSED_WITH("password-crypto", "METHOD"),
    REFUSED_WITH("root-password", "SELECTOR"),
    REFUSED_WITH("run", "SCRIPT"),
    REFUSED_WITH("run-command", "COMMAND"),
    REFUSED_WITH("scrub", "FILE"),
    REFUSED_WITH("sm-attach", "SELECTOR"),
    REFUSED_WITH("sm-credentials", "SELECTOR"),
    REFUSED("sm-register"),
    REFUSED("sm-remove"),
    REFUSED("sm-unregister"),
    REFUSED_WITH("ssh-inject", "USER[:SELECTOR]"),
    REFUSED_WITH("tar-in", "TARFILE:DIR"),
    REFUSED_WITH("timezone", "ZONE"),
    REFUSED_WITH("touch", "FILE"),
    REFUSED_WITH("truncate", "FILE"),
    REFUSED_WITH("truncate-recursive", "PATH"),
    REFUSED_WITH("uninstall", "PACKAGES"),
    REFUSED("update"),
    REFUSED_WITH("upload", "FILE:DEST"),
    REFUSED_WITH("write", "FILE:CONTENT"),
    { 0 },
};

static const char *const refused_inputs[] = { "vmx", NULL };
static const char *const refused_outputs[] = {
    "glance", "kubevirt", "openstack",  "ovirt", "ovirt-upload", "qemu",
    "rhv",    "rhev",     "rhv-upload", "vdsm",  NULL,
};

static bool
is_one_of(const char *word, const char *const *words)
{
    for (; *words; words++)
        if (strcmp(word, *words) == 0)
            return true;
    return false;
}

static int
check_mode(const char *option, const char *mode, const char *const *known,
           const char *const *refused, const char *choice, struct err *err)
{
    if (is_one_of(mode, known))
        return 0;
    if (is_one_of(mode, refused))
        return err_set(err, ERR_INVALID, "%s %s is not supported by this version of vmferry: %s",
                       option, mode, choice);
    return err_set(err, ERR_INVALID, "%s %s: no such mode: give %s", option, mode, choice);
}

static int
check_input(const struct v2v_args *args, int n_operands, struct err *err)
{
    static const char *const known[] = { "disk", "libvirt", "libvirtxml", "ova", NULL };
    if (!args->input)
        return err_set(err, ERR_INVALID,
                       "-i is missing: give -i libvirt, -i disk, -i ova or -i libvirtxml");
    if (check_mode("-i", args->input, known, refused_inputs,
                   "-i libvirt, -i disk, -i ova or -i libvirtxml", err) < 0)
        return -1;
    bool disk = strcmp(args->input, "disk") == 0, libvirt = strcmp(args->input, "libvirt") == 0;
    if (args->input_format && !disk)
        return err_set(err, ERR_INVALID, "-if goes with -i disk only");
    if (n_operands == 0)
        return err_set(err, ERR_INVALID, "-i %s: expecting %s", args->input,
                       disk      ? "the names of disk images"
                       : libvirt ? "the name of a machine"
                                 : "the name of a file");
    if (n_operands > 1 && !disk)
        return err_set(err, ERR_INVALID, "-i %s: expecting one name, not %d", args->input,
                       n_operands);
    return v2v_check_connection(args, err);
}

const char *
v2v_output(const struct v2v_args *args)
{
    return args->output ? args->output : "libvirt";
}

static int
check_output(const struct v2v_args *args, struct err *err)
{
    static const char *const known[] = { "local", "disk", "libvirt", "null", NULL };
    static const char *const formats[] = { "raw", "qcow2", NULL };
    static const char *const allocations[] = { "sparse", "preallocated", NULL };
    const char *output = v2v_output(args);
    if (check_mode("-o", output, known, refused_outputs, "-o local, -o libvirt or -o null", err) <
        0)
        return -1;
    bool null = strcmp(output, "null") == 0, libvirt = strcmp(output, "libvirt") == 0;
    if (args->output_connection && !libvirt)
        return err_set(err, ERR_INVALID, "-oc goes with -o libvirt only");
    if (!null && !libvirt && !args->storage)
        return err_set(err, ERR_INVALID, "-o local: -os is missing: name the output directory");
    if (null && args->storage)
        return err_set(err, ERR_INVALID, "-o null writes nothing: leave -os out");
    if (args->disk_format && !is_one_of(args->disk_format, formats))
        return err_set(err, ERR_INVALID, "-of %s: give raw or qcow2", args->disk_format);
    if (args->allocation && !is_one_of(args->allocation, allocations))
        return err_set(err, ERR_INVALID, "-oa %s: give sparse or preallocated", args->allocation);
    if (args->allocation && strcmp(args->allocation, "preallocated") == 0 && args->disk_format &&
        strcmp(args->disk_format, "qcow2") == 0)
        return err_set(err, ERR_INVALID,
                       "-oa preallocated with -of qcow2 is not supported by this version of "
                       "vmferry: use -of raw");
    return 0;
}

int
v2v_check(const struct v2v_args *args, int n_operands, struct err *err)
{
    if (check_input(args, n_operands, err) < 0)
        return -1;
    if (!args->print_source && check_output(args, err) < 0)
        return -1;
    if (args->root && strcmp(args->root, "ask") == 0)
        return err_set(err, ERR_INVALID,
                       "--root ask is not supported by this version of vmferry: give first, "
                       "single or a device");
    if (args->no_convert && (args->keys.n || args->keys_from_stdin || args->block_driver))
        return err_set(err, ERR_INVALID,
                       "--no-convert leaves the guest alone: --key, --keys-from-stdin and "
                       "--block-driver have nothing to do");
    return 0;
}
