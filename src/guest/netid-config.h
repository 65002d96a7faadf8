/* Which interface names a guest's network configuration uses. Pure functions on the text of its
 * files; what cannot be understood is passed over.
 *
 * Sources: interfaces(5) of ifupdown, nm-settings-keyfile(5), ifcfg(5) of SUSE's wicked and
 * sysconfig.txt of Red Hat's initscripts, netplan(5), systemd.network(5), systemd.link(5), udev(7).
 */
#ifndef GUEST_NETID_CONFIG_H
#define GUEST_NETID_CONFIG_H

#include <stdbool.h>
#include <stddef.h>

#define NETID_NAME_MAX 16 /* IFNAMSIZ, the NUL counted */
#define NETID_MAC_MAX 18
#define NETID_MAX_NAMES 64

struct netid_name {
    char name[NETID_NAME_MAX];
    char mac[NETID_MAC_MAX]; /* which the configuration demands beside the name; "" none */
    char source[64];         /* the file that it was first seen in */
};

struct netid_rule {
    char name[NETID_NAME_MAX];
    char mac[NETID_MAC_MAX];
};

struct netid_config {
    size_t n_names;
    struct netid_name names[NETID_MAX_NAMES]; /* of hardware; the guest may have it or not */
    size_t n_rules;
    struct netid_rule rules[NETID_MAX_NAMES]; /* MAC to name, which the guest has already */
};

/* text: NUL-terminated content of a file; source: its name. */
void netid_read_ifupdown(struct netid_config *config, const char *text, const char *source);
void netid_read_keyfile(struct netid_config *config, const char *text, const char *source);
void netid_read_ifcfg(struct netid_config *config, const char *text, const char *source);
void netid_read_netplan(struct netid_config *config, const char *text, const char *source);
void netid_read_networkd(struct netid_config *config, const char *text, const char *source);
void netid_read_udev_rules(struct netid_config *config, const char *text, const char *source);
void netid_read_link(struct netid_config *config, const char *text, const char *source);

/* For the readers: len bytes of a name as it stands in a file. An alias (":0") or VLAN (".100") is
 * taken off; what is no name of hardware ("br0", "lo", a pattern) is passed over. mac may be NULL.
 */
void netid_add_name(struct netid_config *config, const char *name, size_t len, const char *mac,
                    const char *source);
void netid_add_rule(struct netid_config *config, const char *name, const char *mac);

#endif
