/* `vmferry check`: the hosts of the machines, asked for once and tried once. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "engine/check-site.h"
#include "engine/reach.h"
#include "vmware/host.h"

#define HOSTS_MAX 10000
#define HTTPS_PORT 443
#define SSH_PORT 22

/* ---- asking ---- */

static int
keep_host(const struct vmware_host *host, void *arg, struct err *err)
{
    struct check_site *site = arg;
    if (site->n_hosts == HOSTS_MAX)
        return err_set(err, ERR_INVALID, "more than %d hosts", HOSTS_MAX);
    struct check_host_entry *grown =
        reallocarray(site->hosts, site->n_hosts + 1, sizeof *site->hosts);
    if (!grown)
        return err_errno(err, ENOMEM, "the list of hosts");
    site->hosts = grown;
    struct check_host_entry *entry = &site->hosts[site->n_hosts++];
    *entry = (struct check_host_entry){
        .moref = strdup(host->moref),
        .name = strdup(host->name),
        .version = strdup(host->version),
        .build = strtoull(host->build, NULL, 10),
        .connected = host->connected,
        .maintenance = host->in_maintenance,
    };
    if (!entry->moref || !entry->name || !entry->version)
        return err_errno(err, ENOMEM, "the list of hosts");
    return 0;
}

int
check_hosts_load(struct check_site *site, struct err *err)
{
    return vmware_hosts(site->session, NULL, keep_host, site, err);
}

void
check_hosts_free(struct check_site *site)
{
    for (size_t i = 0; i < site->n_hosts; i++) {
        free(site->hosts[i].moref);
        free(site->hosts[i].name);
        free(site->hosts[i].version);
    }
    free(site->hosts);
    site->hosts = NULL;
    site->n_hosts = 0;
}

/* ---- trying ---- */

/* A host that we are logged in to is reached by the name that the user gave, not by its own. */
static void
reach(const struct check_site *site, struct check_host_entry *host)
{
    const char *name = site->context.esxi ? site->server : host->name;
    unsigned transports = site->context.transports ? site->context.transports
                                                   : (unsigned)(CHECK_BY_VDDK | CHECK_BY_EXPORT);
    struct reach_addresses addresses;
    host->reached = true;
    if (reach_resolve(name, &addresses, &host->name_error) < 0)
        return;
    if (transports & CHECK_BY_VDDK)
        reach_port(name, &addresses, site->nfc_port, REACH_LIMIT_NS, &host->nfc_error);
    if ((transports & CHECK_BY_EXPORT) && !site->context.esxi)
        reach_port(name, &addresses, HTTPS_PORT, REACH_LIMIT_NS, &host->https_error);
    if (transports & CHECK_BY_SSH)
        reach_port(name, &addresses, SSH_PORT, REACH_LIMIT_NS, &host->ssh_error);
}

/* ---- judging ---- */

struct judging {
    struct check_site *site;
    struct check_host_entry *host;
};

/* Each finding stops its machine; the first time it is said as well. */
static void
found(const struct check_finding *finding, void *arg)
{
    struct judging *judging = arg;
    struct check_site *site = judging->site;
    struct check_host_entry *host = judging->host;
    check_stop_by(&site->stop, finding);
    for (size_t i = 0; i < host->n_said; i++)
        if (strcmp(host->said[i], finding->code) == 0)
            return;
    if (host->n_said < CHECK_HOST_CODES)
        host->said[host->n_said++] = finding->code;
    check_site_say(site, NULL, finding);
}

static struct check_host_entry *
find_host(const struct check_site *site)
{
    for (size_t i = 0; i < site->n_hosts; i++)
        if (strcmp(site->hosts[i].moref, site->machine->host_moref) == 0)
            return &site->hosts[i];
    return NULL;
}

static void
judge_reach(struct judging *judging)
{
    const struct check_host_entry *host = judging->host;
    unsigned may = judging->site->context.transports;
    /* HTTPS goes through vCenter. */
    if (may == CHECK_BY_HTTPS)
        return;
    bool through_host = may && !(may & CHECK_BY_HTTPS);
    check_host_reach(host->name, 0, &host->name_error, through_host, found, judging);
    check_host_reach(host->name, judging->site->nfc_port, &host->nfc_error, may == CHECK_BY_VDDK,
                     found, judging);
    check_host_reach(host->name, HTTPS_PORT, &host->https_error, may == CHECK_BY_EXPORT, found,
                     judging);
    check_host_reach(host->name, SSH_PORT, &host->ssh_error, may == CHECK_BY_SSH, found, judging);
}

void
check_hosts_judge(struct check_site *site)
{
    struct check_host_entry *entry = find_host(site);
    if (!entry)
        return;
    struct judging judging = { site, entry };
    struct check_host host = {
        .name = entry->name,
        .version = entry->version,
        .build = entry->build,
        .connected = entry->connected,
        .maintenance = entry->maintenance,
        .only_vddk = site->context.transports == CHECK_BY_VDDK,
    };
    for (size_t i = 0; i < site->machine->n_disks; i++)
        host.largest_disk_bytes =
            MAX(host.largest_disk_bytes, site->machine->disks[i].capacity_bytes);
    check_host(&host, found, &judging);
    if (!entry->connected)
        return;
    if (!entry->reached)
        reach(site, entry);
    judge_reach(&judging);
}
