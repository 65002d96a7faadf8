/* Two forms. A line in 70-persistent-net.rules is read by every udev there is, and wins over any
 * other naming. A .link file is what udev from version 209 on looks for first, and what tools that
 * list the naming show. Both match hardware only ("DRIVERS", "Path"): bonds, bridges and VLANs
 * share the MAC of a NIC and must not be renamed.
 *
 * It does not matter whether virt-v2v has been there before. An initrd that knows the rules gives
 * the right name the first time; after one that does not, the udev of the running system renames
 * the NIC by the line in the rules, also versions that follow a .link file only once. */
#include "guest/netid-guest.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/checked.h"
#include "guest/netid-plan.h"

#define RULES_DIR "/etc/udev/rules.d"
#define RULES_NAME "70-persistent-net.rules"
#define RULES_PATH RULES_DIR "/" RULES_NAME
#define LINK_DIR "/etc/systemd/network"
#define RULES_MAX ((size_t)1 << 20)

typedef void reader_fn(struct netid_config *config, const char *text, const char *source);

static const struct {
    const char *pattern;
    reader_fn *read;
} sources[] = {
    { "/etc/network/interfaces", netid_read_ifupdown },
    { "/etc/network/interfaces.d/*", netid_read_ifupdown },
    { "/etc/NetworkManager/system-connections/*", netid_read_keyfile },
    { "/usr/lib/NetworkManager/system-connections/*", netid_read_keyfile },
    { "/etc/sysconfig/network-scripts/ifcfg-*", netid_read_ifcfg },
    { "/etc/sysconfig/network/ifcfg-*", netid_read_ifcfg },
    { "/etc/netplan/*.yaml", netid_read_netplan },
    { "/lib/netplan/*.yaml", netid_read_netplan },
    { "/etc/systemd/network/*.network", netid_read_networkd },
    { "/etc/udev/rules.d/*.rules", netid_read_udev_rules },
    { "/etc/systemd/network/*.link", netid_read_link },
};

static void
read_config(struct look *look, struct netid_config *config)
{
    for (size_t i = 0; i < ARRAY_LEN(sources); i++) {
        auto_strv char **paths = look_glob(look, sources[i].pattern);
        for (char **path = paths; path && *path; path++) {
            auto_free char *text = look_read(look, *path);
            if (text)
                sources[i].read(config, text, *path);
        }
    }
}

void
netid_note_names(struct look *look)
{
    struct netid_config config = { 0 };
    char list[256] = "";
    size_t used = 0;
    read_config(look, &config);
    for (size_t i = 0; i < config.n_names && used < sizeof list; i++)
        used += (size_t)snprintf(list + used, sizeof list - used, "%s%s", used ? ", " : "",
                                 config.names[i].name);
    if (used > 0)
        guest_report_add(&look->report, FINDING_INFO, "network-names",
                         "its network configuration goes by the names %s, which will be kept",
                         list);
}

/* ---- writing ---- */

static bool
has_line(const char *text, const char *line)
{
    size_t len = strlen(line);
    for (const char *p = strstr(text, line); p; p = strstr(p + 1, line))
        if ((p == text || p[-1] == '\n') && (p[len] == '\n' || p[len] == '\0'))
            return true;
    return false;
}

/* On a guest with SELinux a new file without a label is one that udev must not read, and nothing
 * may relabel it before the next start. By policy both kinds have the label of their directory. */
static void
copy_label(struct look *look, const char *from, const char *to)
{
    size_t len = 0;
    auto_free char *bytes = guestfs_lgetxattr(look->g, from, "security.selinux", &len);
    /* What comes as bytes goes as a string. */
    auto_free char *label = bytes ? strndup(bytes, len) : NULL;
    if (label)
        guestfs_lsetxattr(look->g, "security.selinux", label, (int)len, to);
}

/* dir/name; dir's parent is there. What exists keeps its owner, mode and label. */
static int
write_file(struct look *look, const char *dir, const char *name, const char *text, size_t len,
           struct err *err)
{
    char path[128], parent[64];
    snprintf(parent, sizeof parent, "%.*s", (int)(strrchr(dir, '/') - dir), dir);
    snprintf(path, sizeof path, "%s/%s", dir, name);
    if (!look_exists(look, dir)) {
        if (guestfs_mkdir_p(look->g, dir) < 0)
            return look_error(look, err, "make a directory in the guest");
        copy_label(look, parent, dir);
    }
    bool is_new = !look_exists(look, path);
    if (guestfs_write(look->g, path, text, len) < 0)
        return look_error(look, err, "write the rules for network names in the guest");
    if (is_new)
        copy_label(look, dir, path);
    return 0;
}

static int
write_udev_rules(struct look *look, const struct netid_plan *plan, struct err *err)
{
    auto_free char *old = look_read(look, RULES_PATH);
    if (!old && look_exists(look, RULES_PATH))
        return err_set(err, ERR_INVALID, "%s in the guest cannot be read", RULES_PATH);
    auto_buf struct buf text = BUF_INIT(RULES_MAX * 2);
    if (buf_add_str(&text, old ? old : "", err) < 0)
        return -1;
    if (text.len > 0 && text.data[text.len - 1] != '\n' && buf_add_str(&text, "\n", err) < 0)
        return -1;
    size_t before = text.len;
    for (size_t i = 0; i < plan->n; i++) {
        char line[256];
        snprintf(line, sizeof line,
                 "SUBSYSTEM==\"net\", ACTION==\"add\", DRIVERS==\"?*\", ATTR{type}==\"1\", "
                 "ATTR{address}==\"%s\", NAME=\"%s\"",
                 plan->rules[i].mac, plan->rules[i].name);
        if (old && has_line(old, line))
            continue;
        if (text.len == before &&
            buf_add_str(&text, "# The names that these NICs had before the migration.\n", err) < 0)
            return -1;
        if (buf_printf(&text, err, "%s\n", line) < 0)
            return -1;
    }
    if (text.len == before)
        return 0;
    return write_file(look, RULES_DIR, RULES_NAME, text.data, text.len, err);
}

static int
write_link_files(struct look *look, const struct netid_plan *plan, struct err *err)
{
    if (!look_exists(look, "/lib/udev/rules.d/80-net-setup-link.rules") &&
        !look_exists(look, "/usr/lib/udev/rules.d/80-net-setup-link.rules"))
        return 0;
    for (size_t i = 0; i < plan->n; i++) {
        const struct netid_rule *rule = &plan->rules[i];
        char name[64], text[256];
        snprintf(name, sizeof name, "10-vmferry-%s.link", rule->name);
        int len = snprintf(text, sizeof text,
                           "# The name that this NIC had before the migration.\n"
                           "[Match]\nMACAddress=%s\nPath=*\n\n[Link]\nName=%s\n",
                           rule->mac, rule->name);
        if (write_file(look, LINK_DIR, name, text, (size_t)len, err) < 0)
            return -1;
    }
    return 0;
}

/* ---- the task ---- */

static size_t
read_nics(const json_t *start, struct vm_nic nics[VM_MAX_NICS])
{
    size_t i, n = 0;
    json_t *item;
    json_array_foreach (json_object_get(start, "nics"), i, item) {
        if (n == VM_MAX_NICS)
            break;
        snprintf(nics[n].mac, sizeof nics[n].mac, "%s", json_get_str(item, "mac", ""));
        nics[n].pci_slot = (unsigned)json_get_u64(item, "pci_slot", 0);
        n++;
    }
    return n;
}

int
netid_in_guest(struct look *look, struct err *err)
{
    struct vm_nic nics[VM_MAX_NICS] = { 0 };
    struct netid_config config = { 0 };
    struct netid_plan plan;
    if (look->report.facts.type != GUEST_LINUX) {
        guest_report_add(&look->report, FINDING_INFO, "netid-unsupported",
                         "not a Linux guest: its network is left alone");
        return 0;
    }
    look_step(look, "netid", "keeping the names of its network interfaces");
    size_t n_nics = read_nics(look->start, nics);
    read_config(look, &config);
    if (config.n_names == 0)
        guest_report_add(&look->report, FINDING_INFO, "netid-unneeded",
                         "the guest's network configuration names no interface");
    netid_decide(&config, nics, n_nics, &plan, &look->report);
    if (plan.n == 0)
        return 0;
    if (write_udev_rules(look, &plan, err) < 0)
        return -1;
    return write_link_files(look, &plan, err);
}
