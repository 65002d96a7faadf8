#include "guest/domxml.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "guest/domxml-devices.h"
#include "wire/xml-writer.h"

/* Theory: what the guest is decides more than what it was. A modern guest gets the q35 chipset,
 * virtio for everything, and PCI Express ports to spare; one from before about 2007 gets the old
 * chipset; one whose virtio drivers only speak the pre-1.0 protocol gets "transitional" devices;
 * one without virtio drivers gets nothing of virtio at all. */

static void plan_make(const struct domxml_spec *spec, struct domxml_plan *plan);
static bool older_than(const struct guest_facts *facts, bool chipset);
static void put_identity(struct xml_writer *w, const struct domxml_plan *plan);
static void put_metadata(struct xml_writer *w, const struct domxml_plan *plan);
static bool full_osinfo(const char *short_id, char ret_id[128]);
static void put_cpu(struct xml_writer *w, const struct domxml_plan *plan);
static void put_os(struct xml_writer *w, const struct domxml_plan *plan);
static void put_features(struct xml_writer *w, const struct domxml_plan *plan);
static void put_clock(struct xml_writer *w, const struct domxml_plan *plan);

int
domxml_write(const struct domxml_spec *spec, struct buf *ret, struct err *err)
{
    struct xml_writer writer = XML_WRITER_INIT(ret), *w = &writer;
    struct domxml_plan plan;
    plan_make(spec, &plan);
    xml_open(w, "domain");
    xml_put_attr(w, "type", plan.kvm ? "kvm" : "qemu");
    put_identity(w, &plan);
    put_cpu(w, &plan);
    put_os(w, &plan);
    put_features(w, &plan);
    put_clock(w, &plan);
    xml_put_element(w, "on_poweroff", "destroy");
    xml_put_element(w, "on_reboot", "restart");
    xml_put_element(w, "on_crash", "restart");
    domxml_put_devices(w, &plan);
    xml_close(w);
    return xml_writer_end(w, err) < 0 ? err_prefix(err, "domain XML") : 0;
}

static void
plan_make(const struct domxml_spec *spec, struct domxml_plan *plan)
{
    const struct guest_facts *facts = spec->facts;
    *plan = (struct domxml_plan){
        .spec = spec,
        .vm = spec->vm,
        .windows = facts && facts->type == GUEST_WINDOWS,
        .kvm = !spec->emulated,
    };
    /* OVMF is at home on q35, and every guest that boots by UEFI knows it. */
    plan->old_chipset = spec->firmware == VM_FIRMWARE_BIOS && older_than(facts, true);
    plan->transitional = !spec->no_virtio && !plan->old_chipset && older_than(facts, false);
}

/* Is the guest from before PCI Express (chipset), or before virtio 1.0? */
static bool
older_than(const struct guest_facts *facts, bool chipset)
{
    static const struct {
        const char *distro;
        int pcie, virtio1; /* first major version that has it */
    } linuxes[] = {
        { "rhel", 5, 7 },    { "centos", 5, 7 },     { "oraclelinux", 5, 7 },
        { "sles", 10, 12 },  { "opensuse", 10, 13 }, { "debian", 4, 8 },
        { "ubuntu", 7, 15 }, { "fedora", 7, 22 },    { "scientificlinux", 5, 7 },
    };
    if (!facts || facts->major == 0)
        return false;
    if (facts->type == GUEST_WINDOWS) /* 6.0 is Vista and 2008; drivers come with virtio-win */
        return chipset && facts->major < 6;
    for (size_t i = 0; facts->distro && i < ARRAY_LEN(linuxes); i++)
        if (strcmp(facts->distro, linuxes[i].distro) == 0)
            return facts->major < (chipset ? linuxes[i].pcie : linuxes[i].virtio1);
    return false;
}

static void
put_identity(struct xml_writer *w, const struct domxml_plan *plan)
{
    const struct vm *vm = plan->vm;
    xml_put_element(w, "name", plan->spec->name ? plan->spec->name : vm->name);
    xml_put_element(w, "uuid", vm->uuid);
    xml_put_element(w, "genid", vm->genid);
    xml_put_element(w, "title", vm->title);
    xml_put_element(w, "description", vm->description);
    put_metadata(w, plan);
    /* Without a unit it is KiB everywhere; some readers overlook the unit. */
    xml_put_elementf(w, "memory", "%" PRIu64, div_up(vm->memory_bytes, KIB));
    xml_put_elementf(w, "currentMemory", "%" PRIu64, div_up(vm->memory_bytes, KIB));
}

static void
put_metadata(struct xml_writer *w, const struct domxml_plan *plan)
{
    const struct guest_facts *facts = plan->spec->facts;
    char id[128];
    const char *osinfo = plan->vm->osinfo;
    if (facts && facts->osinfo && full_osinfo(facts->osinfo, id))
        osinfo = id;
    if (!osinfo && !plan->spec->mark_id)
        return;
    xml_open(w, "metadata");
    if (osinfo) {
        xml_open(w, "libosinfo:libosinfo");
        xml_put_attr(w, "xmlns:libosinfo", "http://libosinfo.org/xmlns/libvirt/domain/1.0");
        xml_put_empty(w, "libosinfo:os", "id", osinfo, NULL);
        xml_close(w);
    }
    if (plan->spec->mark_id)
        xml_put_empty(w, "vmferry:migration", "xmlns:vmferry", plan->spec->mark_ns, "id",
                      plan->spec->mark_id, NULL);
    xml_close(w);
}

/* libguestfs gives libosinfo's short id, libvirt's metadata wants the long one. */
static bool
full_osinfo(const char *short_id, char ret_id[128])
{
    static const struct {
        const char *word, *url;
    } known[] = {
        { "debian", "http://debian.org/debian/" },
        { "ubuntu", "http://ubuntu.com/ubuntu/" },
        { "rhel", "http://redhat.com/rhel/" },
        { "centos-stream", "http://centos.org/centos-stream/" },
        { "centos", "http://centos.org/centos/" },
        { "rocky", "http://rockylinux.org/rocky/" },
        { "almalinux", "http://almalinux.org/almalinux/" },
        { "ol", "http://oracle.com/ol/" },
        { "fedora", "http://fedoraproject.org/fedora/" },
        { "opensuse", "http://opensuse.org/opensuse/" },
        { "winxp", NULL },
        { "win", "http://microsoft.com/win/" },
        { "freebsd", "http://freebsd.org/freebsd/" },
    };
    if (strstr(short_id, "://")) {
        snprintf(ret_id, 128, "%s", short_id);
        return true;
    }
    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        size_t len = strlen(known[i].word);
        if (strncmp(short_id, known[i].word, len) != 0)
            continue;
        if (known[i].url && isdigit((unsigned char)short_id[len])) {
            snprintf(ret_id, 128, "%s%.60s", known[i].url, short_id + len);
            return true;
        }
    }
    return false;
}

static void
put_cpu(struct xml_writer *w, const struct domxml_plan *plan)
{
    const struct vm *vm = plan->vm;
    xml_put_elementf(w, "vcpu", "%u", vm->vcpus);
    xml_open(w, "cpu");
    if (vm->cpu_model && plan->kvm) {
        xml_put_attr(w, "mode", "custom");
        xml_put_attr(w, "match", "exact");
        xml_open(w, "model");
        xml_put_attr(w, "fallback", "allow");
        xml_put_text(w, vm->cpu_model);
        xml_close(w);
    } else {
        /* host-model, not host-passthrough: the machine can move on to another host, and it has
         * all that x86-64-v2 and v3 guests need. */
        xml_put_attr(w, "mode", plan->kvm ? "host-model" : "maximum");
    }
    if (vm->sockets) {
        xml_open(w, "topology");
        xml_put_attrf(w, "sockets", "%u", vm->sockets);
        xml_put_attrf(w, "cores", "%u", vm->cores);
        xml_put_attrf(w, "threads", "%u", vm->threads);
        xml_close(w);
    }
    xml_close(w);
}

static void
put_os(struct xml_writer *w, const struct domxml_plan *plan)
{
    bool uefi = plan->spec->firmware == VM_FIRMWARE_UEFI;
    const char *secure = plan->vm->secure_boot ? "yes" : "no";
    xml_open(w, "os");
    /* libvirt picks the firmware's files by its features on the host where it is defined; paths of
     * another host would be wrong there. */
    if (uefi)
        xml_put_attr(w, "firmware", "efi");
    xml_open(w, "type");
    xml_put_attr(w, "arch", "x86_64");
    /* Without a version: we do not know which versions the destination has (they differ by
     * distribution), and libvirt writes the newest one it has into the definition, so that from
     * then on the hardware stays as it is. */
    xml_put_attr(w, "machine", plan->old_chipset ? "pc" : "q35");
    xml_put_text(w, "hvm");
    xml_close(w);
    if (uefi) {
        xml_open(w, "firmware");
        xml_put_empty(w, "feature", "enabled", secure, "name", "secure-boot", NULL);
        xml_put_empty(w, "feature", "enabled", secure, "name", "enrolled-keys", NULL);
        xml_close(w);
    }
    xml_close(w);
}

void
domxml_put_state(struct xml_writer *w, const char *name, const char *state)
{
    xml_put_empty(w, name, "state", state, NULL);
}

/* What makes Windows a quiet guest; all of it is known to QEMU 4.2 and libvirt 5.0. Left out on
 * purpose: evmcs (Intel only), reenlightenment (ties the machine to the host's TSC). */
static void
put_hyperv(struct xml_writer *w)
{
    static const char *const before[] = { "relaxed", "vapic" };
    static const char *const after[] = { "vpindex", "runtime", "synic" };
    static const char *const last[] = { "reset", "frequencies", "tlbflush", "ipi" };
    xml_open(w, "hyperv");
    xml_put_attr(w, "mode", "custom");
    for (size_t i = 0; i < ARRAY_LEN(before); i++)
        domxml_put_state(w, before[i], "on");
    xml_put_empty(w, "spinlocks", "state", "on", "retries", "8191", NULL);
    for (size_t i = 0; i < ARRAY_LEN(after); i++)
        domxml_put_state(w, after[i], "on");
    xml_open(w, "stimer");
    xml_put_attr(w, "state", "on");
    domxml_put_state(w, "direct", "on");
    xml_close(w);
    for (size_t i = 0; i < ARRAY_LEN(last); i++)
        domxml_put_state(w, last[i], "on");
    xml_close(w);
}

static void
put_features(struct xml_writer *w, const struct domxml_plan *plan)
{
    xml_open(w, "features");
    xml_put_empty(w, "acpi", NULL);
    xml_put_empty(w, "apic", NULL);
    if (plan->windows && plan->kvm)
        put_hyperv(w);
    /* VMware's port would make the guest think it still runs there. */
    domxml_put_state(w, "vmport", "off");
    if (plan->spec->firmware == VM_FIRMWARE_UEFI && plan->vm->secure_boot)
        domxml_put_state(w, "smm", "on");
    xml_close(w);
}

static void
put_clock(struct xml_writer *w, const struct domxml_plan *plan)
{
    const struct guest_facts *facts = plan->spec->facts;
    bool local =
        facts && facts->type != GUEST_UNKNOWN ? facts->rtc_localtime : plan->vm->rtc_localtime;
    xml_open(w, "clock");
    xml_put_attr(w, "offset", local ? "localtime" : "utc");
    xml_put_empty(w, "timer", "name", "rtc", "tickpolicy", "catchup", NULL);
    xml_put_empty(w, "timer", "name", "pit", "tickpolicy", "delay", NULL);
    xml_put_empty(w, "timer", "name", "hpet", "present", "no", NULL);
    if (plan->windows && plan->kvm)
        xml_put_empty(w, "timer", "name", "hypervclock", "present", "yes", NULL);
    xml_close(w);
}
