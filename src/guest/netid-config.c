#include "guest/netid-config.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/checked.h"
#include "model/vm.h"

/* ---- what was found ---- */

static bool
mac_parse(const char *text, char ret[NETID_MAC_MAX])
{
    struct err ignored = ERR_INIT;
    return text && vm_mac_parse(text, ret, &ignored) == 0;
}

/* Names that a kernel, udev or biosdevname gives to hardware; all others are made by somebody who
 * therefore has a rule for them, or are no hardware. */
static bool
is_hardware_name(const char *name)
{
    static const char *const prefixes[] = { "eth", "ens", "eno", "enp", "enx", "em", "p" };
    for (size_t i = 0; i < ARRAY_LEN(prefixes); i++) {
        size_t len = strlen(prefixes[i]);
        if (strncmp(name, prefixes[i], len) != 0 ||
            !(isdigit((unsigned char)name[len]) ||
              (name[2] == 'x' && isxdigit((unsigned char)name[len]))))
            continue;
        /* p1p1 of biosdevname */
        return prefixes[i][0] != 'p' || (isdigit((unsigned char)name[1]) && strchr(name + 1, 'p'));
    }
    return false;
}

void
netid_add_name(struct netid_config *config, const char *name, size_t len, const char *mac,
               const char *source)
{
    struct netid_name add = { 0 };
    size_t base = 0;
    while (base < len && name[base] != ':' && name[base] != '.')
        base++;
    if (base == 0 || base >= sizeof add.name)
        return;
    memcpy(add.name, name, base);
    if (strspn(add.name, "abcdefghijklmnopqrstuvwxyz0123456789") != base ||
        !is_hardware_name(add.name))
        return;
    mac_parse(mac, add.mac);
    snprintf(add.source, sizeof add.source, "%s", source);
    for (size_t i = 0; i < config->n_names; i++) {
        struct netid_name *known = &config->names[i];
        if (strcmp(known->name, add.name) != 0)
            continue;
        if (!known->mac[0])
            memcpy(known->mac, add.mac, sizeof known->mac);
        return;
    }
    if (config->n_names < NETID_MAX_NAMES)
        config->names[config->n_names++] = add;
}

void
netid_add_rule(struct netid_config *config, const char *name, const char *mac)
{
    struct netid_rule add = { 0 };
    if (!mac_parse(mac, add.mac) || strlen(name) >= sizeof add.name || !*name ||
        config->n_rules == NETID_MAX_NAMES)
        return;
    snprintf(add.name, sizeof add.name, "%s", name);
    config->rules[config->n_rules++] = add;
}

/* ---- lines and words ---- */

/* The next line into line (cut at size), comments and the space around it removed; false at the
 * end. A backslash at the end of a line joins the next. */
static bool
next_line(const char **cursor, char *line, size_t size)
{
    size_t used = 0;
    if (!**cursor)
        return false;
    const char *p = *cursor + strspn(*cursor, " \t");
    for (; *p && *p != '\n'; p++) {
        if (p[0] == '\\' && p[1] == '\n')
            p++;
        else if (used + 1 < size)
            line[used++] = *p == '\r' || *p == '\\' ? ' ' : *p;
    }
    *cursor = *p ? p + 1 : p;
    while (used > 0 && isspace((unsigned char)line[used - 1]))
        used--;
    line[used] = '\0';
    if (line[0] == '#' || line[0] == ';')
        line[0] = '\0';
    return true;
}

/* Each word of text, separated by any of sep. */
static void
add_words(struct netid_config *config, const char *text, const char *sep, const char *mac,
          const char *source)
{
    for (text += strspn(text, sep); *text; text += strspn(text, sep)) {
        size_t len = strcspn(text, sep);
        netid_add_name(config, text, len, mac, source);
        text += len;
    }
}

/* "KEY = value" of an INI or shell file, quotes removed; NULL: another key or none. Changes line.
 */
static char *
value_of(char *line, const char *key)
{
    size_t len = strlen(key);
    if (strncasecmp(line, key, len) != 0)
        return NULL;
    char *p = line + len + strspn(line + len, " \t");
    if (*p != '=')
        return NULL;
    p += 1 + strspn(p + 1, " \t");
    if (*p == '"' || *p == '\'') {
        char *end = strchr(p + 1, *p);
        if (end)
            *end = '\0';
        p++;
    }
    return p;
}

/* ---- ifupdown ---- */

void
netid_read_ifupdown(struct netid_config *config, const char *text, const char *source)
{
    static const char *const lists[] = {
        "auto",   "bridge_ports",    "bridge-ports",    "bond-slaves", "bond_slaves",
        "slaves", "vlan-raw-device", "vlan_raw_device", "bond-primary"
    };
    char line[1024];
    while (next_line(&text, line, sizeof line)) {
        size_t len = strcspn(line, " \t");
        const char *rest = line + len;
        if (strncmp(line, "iface", 5) == 0 && len == 5) {
            rest += strspn(rest, " \t");
            netid_add_name(config, rest, strcspn(rest, " \t"), NULL, source);
            continue;
        }
        bool takes = strncmp(line, "allow-", 6) == 0;
        for (size_t i = 0; i < ARRAY_LEN(lists); i++)
            takes |= strlen(lists[i]) == len && strncmp(line, lists[i], len) == 0;
        if (takes)
            add_words(config, rest, " \t", NULL, source);
    }
}

/* ---- NetworkManager ---- */

void
netid_read_keyfile(struct netid_config *config, const char *text, const char *source)
{
    char line[1024], type[32] = "", name[NETID_NAME_MAX] = "", mac[64] = "", parent[32] = "";
    char section[32] = "";
    while (next_line(&text, line, sizeof line)) {
        const char *value;
        if (line[0] == '[') {
            snprintf(section, sizeof section, "%.*s", (int)strcspn(line + 1, "]"), line + 1);
            continue;
        }
        bool ethernet = strcmp(section, "ethernet") == 0 || strcmp(section, "802-3-ethernet") == 0;
        if (strcmp(section, "connection") == 0 && (value = value_of(line, "type")))
            snprintf(type, sizeof type, "%s", value);
        else if (strcmp(section, "connection") == 0 && (value = value_of(line, "interface-name")))
            snprintf(name, sizeof name, "%.15s", value);
        else if (strcmp(section, "match") == 0 && (value = value_of(line, "interface-name")))
            add_words(config, value, ";, \t", NULL, source);
        else if (ethernet && (value = value_of(line, "mac-address")))
            snprintf(mac, sizeof mac, "%s", value);
        else if ((strcmp(section, "vlan") == 0 || strcmp(section, "macvlan") == 0) &&
                 (value = value_of(line, "parent")))
            snprintf(parent, sizeof parent, "%s", value);
    }
    netid_add_name(config, parent, strlen(parent), NULL, source);
    if (strcmp(type, "ethernet") == 0 || strcmp(type, "802-3-ethernet") == 0)
        netid_add_name(config, name, strlen(name), mac, source);
}

/* ---- ifcfg ---- */

void
netid_read_ifcfg(struct netid_config *config, const char *text, const char *source)
{
    const char *file = strrchr(source, '/');
    file = file ? file + 1 : source;
    char line[1024], name[64] = "", mac[64] = "";
    if (strncmp(file, "ifcfg-", 6) == 0)
        snprintf(name, sizeof name, "%s", file + 6);
    bool virtual = false;
    while (next_line(&text, line, sizeof line)) {
        const char *value;
        if ((value = value_of(line, "DEVICE")))
            snprintf(name, sizeof name, "%s", value);
        else if ((value = value_of(line, "HWADDR")))
            snprintf(mac, sizeof mac, "%s", value);
        else if ((value = value_of(line, "TYPE")))
            virtual |= strcasecmp(value, "Ethernet") != 0;
        else if ((value = value_of(line, "BRIDGE_PORTS")) || (value = value_of(line, "PHYSDEV")) ||
                 (value = value_of(line, "ETHERDEVICE")) ||
                 (strncmp(line, "BONDING_SLAVE", 13) == 0 && (value = strchr(line, '='))))
            add_words(config, value, " \t='\"", NULL, source);
    }
    if (!virtual)
        netid_add_name(config, name, strlen(name), mac, source);
}

/* ---- systemd-networkd, .link files ---- */

void
netid_read_networkd(struct netid_config *config, const char *text, const char *source)
{
    char line[1024], names[512] = "", mac[64] = "";
    bool match = false;
    while (next_line(&text, line, sizeof line)) {
        const char *value;
        if (line[0] == '[')
            match = strncasecmp(line, "[Match]", 7) == 0;
        else if (match && (value = value_of(line, "Name")))
            snprintf(names, sizeof names, "%s", value);
        else if (match && (value = value_of(line, "MACAddress")))
            snprintf(mac, sizeof mac, "%s", value);
    }
    if (names[0] != '!')
        add_words(config, names, " \t", mac, source);
}

void
netid_read_link(struct netid_config *config, const char *text, const char *source)
{
    char line[1024], name[64] = "", macs[512] = "";
    bool match = false, link = false;
    (void)source;
    while (next_line(&text, line, sizeof line)) {
        const char *value;
        if (line[0] == '[') {
            match = strncasecmp(line, "[Match]", 7) == 0;
            link = strncasecmp(line, "[Link]", 6) == 0;
        } else if (match && ((value = value_of(line, "MACAddress")) ||
                             (value = value_of(line, "PermanentMACAddress")))) {
            snprintf(macs, sizeof macs, "%s", value);
        } else if (link && (value = value_of(line, "Name"))) {
            snprintf(name, sizeof name, "%s", value);
        }
    }
    char *save = macs;
    for (char *mac = strsep(&save, " \t"); mac; mac = strsep(&save, " \t"))
        netid_add_rule(config, name, mac);
}

/* ---- udev rules ---- */

/* The value of KEY=="value", KEY="value" or KEY:="value" in a rule; false: not there. */
static bool
udev_value(const char *rule, const char *key, char *ret, size_t size)
{
    size_t len = strlen(key);
    for (const char *p = strstr(rule, key); p; p = strstr(p + len, key)) {
        if (p > rule && !strchr(" \t,", p[-1]))
            continue;
        const char *value = p + len + strspn(p + len, " \t=:");
        if (value == p + len || *value != '"')
            continue;
        snprintf(ret, size, "%.*s", (int)strcspn(value + 1, "\""), value + 1);
        return true;
    }
    return false;
}

void
netid_read_udev_rules(struct netid_config *config, const char *text, const char *source)
{
    char rule[1024];
    (void)source;
    while (next_line(&text, rule, sizeof rule)) {
        char name[64], mac[64], place[128];
        if (!udev_value(rule, "NAME", name, sizeof name) ||
            (!udev_value(rule, "ATTR{address}", mac, sizeof mac) &&
             !udev_value(rule, "SYSFS{address}", mac, sizeof mac)))
            continue;
        /* One that also asks for the place or the driver will not match any more. */
        if (udev_value(rule, "KERNELS", place, sizeof place) ||
            (udev_value(rule, "DRIVERS", place, sizeof place) && strcmp(place, "?*") != 0))
            continue;
        netid_add_rule(config, name, mac);
    }
}
