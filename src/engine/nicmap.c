#include "engine/nicmap.h"

#include <string.h>

#define MAC_LEN 17 /* "00:50:56:aa:bb:01" */

enum mac_use { MAC_NETWORK, MAC_BRIDGE, MAC_IP };

struct mac_option {
    char mac[18];
    enum mac_use use;
    const char *rest;
};

static int parse_mac(const char *option, struct mac_option *ret, struct err *err);
static void map_by_name(const struct job *job, const struct vm_nic *nic, struct domxml_nic *target);

int
nic_map_make(const struct job *job, const struct vm *vm, struct nic_map *ret_map, struct err *err)
{
    struct nic_map *map = ret_map;
    size_t n_ip = 0;
    *map = (struct nic_map){ .ip_macs = { NULL } };
    for (size_t i = 0; i < vm->n_nics; i++) {
        map->nics[i] = (struct domxml_nic){ vm->nics[i].network, vm->nics[i].bridge };
        map_by_name(job, &vm->nics[i], &map->nics[i]);
    }
    for (const char **option = job->macs; *option; option++) {
        struct mac_option mac;
        if (parse_mac(*option, &mac, err) < 0)
            return -1;
        size_t i = 0;
        while (i < vm->n_nics && strcmp(vm->nics[i].mac, mac.mac) != 0)
            i++;
        if (i == vm->n_nics)
            return err_set(
                err, ERR_INVALID,
                "--mac %s: the machine has no NIC with this address (see --print-source)", *option);
        if (mac.use == MAC_IP)
            map->ip_macs[n_ip++] = *option;
        else
            map->nics[i] = (struct domxml_nic){ mac.rest, mac.use == MAC_BRIDGE };
    }
    return 0;
}

static int
parse_mac(const char *option, struct mac_option *ret, struct err *err)
{
    static const char *const uses[] = {
        [MAC_NETWORK] = ":network:",
        [MAC_BRIDGE] = ":bridge:",
        [MAC_IP] = ":ip:",
    };
    char text[MAC_LEN + 1] = "";
    struct err ignored = ERR_INIT;
    if (strlen(option) > MAC_LEN)
        memcpy(text, option, MAC_LEN);
    if (vm_mac_parse(text, ret->mac, &ignored) == 0)
        for (int use = MAC_NETWORK; use <= MAC_IP; use++) {
            size_t len = strlen(uses[use]);
            if (strncmp(option + MAC_LEN, uses[use], len) != 0 || !option[MAC_LEN + len])
                continue;
            ret->use = (enum mac_use)use;
            ret->rest = option + MAC_LEN + len;
            return 0;
        }
    return err_set(err, ERR_INVALID,
                   "--mac %s: write MAC:network:NAME, MAC:bridge:NAME or MAC:ip:ADDRESS...",
                   option);
}

/* In "IN:OUT" or "OUT": does it map a NIC whose source is called name? 2: by name; 1: as all
 * others; 0: not. */
static int
match(const char *option, const char *name, const char **ret_out)
{
    const char *colon = strchr(option, ':');
    *ret_out = colon ? colon + 1 : option;
    if (!colon)
        return 1;
    size_t len = (size_t)(colon - option);
    return name && strlen(name) == len && strncmp(option, name, len) == 0 ? 2 : 0;
}

static void
map_by_name(const struct job *job, const struct vm_nic *nic, struct domxml_nic *target)
{
    bool either = job->input == JOB_INPUT_OVA;
    const char *mapped =
        nic->network && !nic->bridge ? json_get_str(job->network_map, nic->network, NULL) : NULL;
    if (mapped) {
        *target = (struct domxml_nic){ mapped, false };
        return;
    }
    int best = 0;
    for (int bridge = 0; bridge <= 1; bridge++) {
        if (!either && nic->bridge != (bool)bridge)
            continue;
        for (const char **option = bridge ? job->bridges : job->networks; *option; option++) {
            const char *out;
            int how = match(*option, nic->network, &out);
            if (how <= best)
                continue;
            best = how;
            *target = (struct domxml_nic){ out, (bool)bridge };
        }
    }
}
