/* The disks of a machine from vSphere: by which transport, and what each of them needs. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "engine/reach.h"
#include "engine/source-vsphere.h"
#include "engine/transport.h"
#include "vmware/datastore.h"
#include "vmware/lease.h"
#include "wire/known-hosts.h"

#define LEASE_READY_S 600 /* a large machine's disks are opened one after another */

static int begin_vddk(struct vsphere_source *v, size_t i, struct err *err);
static int begin_https(struct vsphere_source *v, size_t i, struct err *err);
static int begin_export(struct vsphere_source *v, size_t i, struct err *err);
static int begin_ssh(struct vsphere_source *v, size_t i, struct copy_request *request,
                     struct err *err);

static const char *
endpoint_text(const struct vsphere_source *v, const char *key)
{
    return json_get_str(v->source.job->vsphere.endpoint, key, NULL);
}

static unsigned
endpoint_port(const struct vsphere_source *v)
{
    return (unsigned)json_get_int(v->source.job->vsphere.endpoint, "port", VMWARE_DEFAULT_PORT);
}

/* ---- the choice ---- */

/* Highest first: the command line, this host's CloudStack agent, the usual places. */
static void
find_library(struct vsphere_source *v, struct transport_facts *facts, struct err *why)
{
    const char *libdir = v->source.job->vsphere.libdir;
    struct err ignored = ERR_INIT;
    if (agent_properties_read(NULL, &v->agent, &ignored) < 0)
        source_log(&v->source, LOG_LEVEL_WARNING, NULL, "%s", ignored.text);
    if (!libdir)
        libdir = v->agent.vddk_lib_dir;
    facts->library = vddk_library_find(libdir, &v->library, why) == 0;
    facts->library_why = why->text;
}

/* Disks are served by the host that the machine is on, whoever we logged in to. */
static const char *
nfc_host(const struct vsphere_source *v)
{
    const char *name = v->machine->host_name;
    return vmware_is_vcenter(v->session) && *name ? name : endpoint_text(v, "server");
}

static void
probe_nfc(struct vsphere_source *v, struct transport_facts *facts, struct err *why)
{
    struct reach_addresses addresses;
    facts->nfc = reach_resolve(nfc_host(v), &addresses, why) == 0 &&
                 reach_port(nfc_host(v), &addresses, v->source.job->vsphere.nfc_port,
                            REACH_LIMIT_NS, why) == 0;
    facts->nfc_why = why->text;
}

int
vsphere_choose(struct vsphere_source *v, unsigned possible, struct err *err)
{
    enum job_transport asked = v->source.job->vsphere.transport;
    struct err library_why = ERR_INIT, nfc_why = ERR_INIT;
    struct transport_facts facts = { .machine = v->machine->name, .possible = possible };
    char why[TRANSPORT_WHY_MAX];
    bool vddk = asked == JOB_TRANSPORT_VDDK || asked == JOB_TRANSPORT_AUTO;
    facts.library_why = facts.nfc_why = "";
    v->possible = possible;
    if (vddk)
        find_library(v, &facts, &library_why);
    if (vddk && facts.library)
        probe_nfc(v, &facts, &nfc_why);
    if (transport_choose(&facts, asked, &v->transport, why, err) < 0)
        return -1;
    source_log(&v->source, LOG_LEVEL_INFO, "transport", "%s", why);
    if (v->transport == JOB_TRANSPORT_VDDK && !facts.nfc)
        source_log(&v->source, LOG_LEVEL_WARNING, "nfc-port",
                   "VDDK reads through this port unless it has another transport: %s",
                   nfc_why.text);
    return 0;
}

/* Chosen because it was there, VDDK may still be of no use: another version of the library, a
 * privilege that is missing, a host that serves no disks. */
bool
vsphere_fall_back(struct source *src, size_t i, const struct err *failure)
{
    struct vsphere_source *v = to_vsphere(src);
    struct transport_facts facts = { .machine = v->machine->name,
                                     .possible = v->possible,
                                     .vddk_failed = failure->text };
    char why[TRANSPORT_WHY_MAX];
    struct err none = ERR_INIT;
    bool by_vddk = v->reads[i] && strcmp(v->reads[i]->remote.kind, "vddk") == 0;
    if (!by_vddk || src->job->vsphere.transport != JOB_TRANSPORT_AUTO ||
        failure->kind == ERR_CANCELLED || failure->kind == ERR_BUG)
        return false;
    if (v->transport != JOB_TRANSPORT_VDDK) /* another disk was first to find that out */
        return true;
    enum job_transport next;
    if (transport_choose(&facts, JOB_TRANSPORT_AUTO, &next, why, &none) < 0)
        return false;
    v->transport = next;
    source_log(src, LOG_LEVEL_WARNING, "transport", "%s: VDDK cannot open it, so from here on %s",
               v->machine->disks[i].file, why);
    return true;
}

/* ---- trust ---- */

/* As endpoint_login trusted it: by what was given, or as it was kept at its first use. */
static int
find_pin(struct vsphere_source *v, struct err *err)
{
    struct http_tls tls = { .thumbprint = endpoint_text(v, "thumbprint"),
                            .ca_file = endpoint_text(v, "ca") };
    struct known_host known;
    if (v->pin[0])
        return 0;
    if (tls.thumbprint) {
        snprintf(v->pin, sizeof v->pin, "%s", tls.thumbprint);
        return 0;
    }
    if (known_hosts_check(endpoint_text(v, "server"), endpoint_port(v), &tls, &known, err) < 0)
        return -1;
    if (known.pinned)
        snprintf(v->pin, sizeof v->pin, "%s", known.sha256);
    return 0;
}

/* VDDK compares SHA-1: that of the certificate that is trusted by the better means. */
static int
find_sha1(struct vsphere_source *v, struct err *err)
{
    const char *server = endpoint_text(v, "server");
    struct http_tls tls = { .ca_file = endpoint_text(v, "ca") };
    struct http_certificate seen;
    uint8_t wanted[32], sha1[32], sha256[32];
    if (v->sha1[0])
        return 0;
    if (find_pin(v, err) < 0 ||
        http_peek_certificate(server, endpoint_port(v), &tls, &seen, err) < 0)
        return -1;
    enum http_pin pin = http_thumbprint_parse(v->pin, wanted);
    http_thumbprint_parse(seen.sha1, sha1);
    http_thumbprint_parse(seen.sha256, sha256);
    bool same = pin == HTTP_PIN_SHA1     ? memcmp(wanted, sha1, 20) == 0
                : pin == HTTP_PIN_SHA256 ? memcmp(wanted, sha256, 32) == 0
                                         : seen.trusted;
    if (!same)
        return err_set(err, ERR_DENIED,
                       "%s: shows another certificate than a moment ago (SHA-256 %s): see who "
                       "answers there",
                       vmware_endpoint(v->session), seen.sha256);
    snprintf(v->sha1, sizeof v->sha1, "%s", seen.sha1);
    return 0;
}

/* ---- one disk ---- */

static int
begin_read(struct vsphere_source *v, size_t i, struct err *err)
{
    if (!v->reads[i]) {
        v->reads[i] = calloc(1, sizeof *v->reads[i]);
        if (!v->reads[i])
            return err_errno(err, ENOMEM, "%s", v->machine->disks[i].file);
        v->reads[i]->kit = NBDKIT_INIT;
    }
    struct vsphere_read *read = v->reads[i];
    read->pct = 0;
    read->remote = (struct copy_remote){
        .kind = job_transport_name(v->transport),
        .name = v->machine->disks[i].file,
        .identity = vsphere_disk_content(v, i, read->identity),
    };
    return 0;
}

void
vsphere_reads_end(struct vsphere_source *v)
{
    for (size_t i = 0; i < VM_MAX_DISKS; i++)
        if (v->reads[i])
            nbdkit_stop(&v->reads[i]->kit);
}

void
vsphere_reads_free(struct vsphere_source *v)
{
    vsphere_reads_end(v);
    for (size_t i = 0; i < VM_MAX_DISKS; i++) {
        if (!v->reads[i])
            continue;
        free(v->reads[i]->uri);
        secret_free(v->reads[i]->cookie);
        free(TAKE_PTR(v->reads[i]));
    }
}

int
vsphere_begin_disk(struct source *src, size_t i, struct copy_request *request, struct err *err)
{
    struct vsphere_source *v = to_vsphere(src);
    if (begin_read(v, i, err) < 0)
        return -1;
    int r = v->transport == JOB_TRANSPORT_VDDK     ? begin_vddk(v, i, err)
            : v->transport == JOB_TRANSPORT_HTTPS  ? begin_https(v, i, err)
            : v->transport == JOB_TRANSPORT_EXPORT ? begin_export(v, i, err)
                                                   : begin_ssh(v, i, request, err);
    if (r < 0)
        return -1;
    if (v->transport != JOB_TRANSPORT_SSH)
        request->remote = &v->reads[i]->remote;
    return 0;
}

static int
begin_vddk(struct vsphere_source *v, size_t i, struct err *err)
{
    const struct job_vsphere *job = &v->source.job->vsphere;
    struct vsphere_read *read = v->reads[i];
    if (find_sha1(v, err) < 0)
        return -1;
    snprintf(read->vm_text, sizeof read->vm_text, "moref=%s", v->machine->moref);
    read->remote.libdir = v->library.libdir;
    read->remote.config = job->config;
    read->remote.server = endpoint_text(v, "server");
    read->remote.port = endpoint_port(v);
    read->remote.nfc_port = job->nfc_port;
    read->remote.user = endpoint_text(v, "user");
    read->remote.password = endpoint_text(v, "password");
    read->remote.thumbprint = v->sha1;
    read->remote.vm = read->vm_text;
    read->remote.snapshot = v->snapshot[0] ? v->snapshot : NULL;
    read->remote.path = v->machine->disks[i].file;
    read->remote.transports = job->transports ? job->transports : v->agent.vddk_transports;
    return 0;
}

/* The one flat file that holds all of a disk, "[ds] dir/x-flat.vmdk", into a fresh string. */
static int
find_flat(struct vsphere_source *v, size_t i, char **ret, struct err *err)
{
    const struct vmware_disk *disk = &v->machine->disks[i];
    auto_vmware_descriptor struct vmware_descriptor *d = NULL;
    if (vmware_descriptor_read(v->session, v->machine->datacenter_path, disk->file, &d, err) < 0)
        return -1;
    const struct vmware_extent *extent = &d->extents[0];
    bool flat = d->n_extents == 1 && extent->file && extent->offset_bytes == 0 &&
                (strcmp(extent->type, "VMFS") == 0 || strcmp(extent->type, "FLAT") == 0);
    if (!flat || d->parent)
        return err_set(err, ERR_INVALID,
                       "%s: is no single flat file (%s, %zu extents%s): read it with -it export or "
                       "-it vddk",
                       disk->file, d->create_type, d->n_extents, d->parent ? ", a parent" : "");
    if (d->capacity_bytes != disk->capacity_bytes)
        return err_set(err, ERR_CONFLICT,
                       "%s: its descriptor says %" PRIu64 " bytes, the machine's configuration "
                       "%" PRIu64,
                       disk->file, d->capacity_bytes, disk->capacity_bytes);
    *ret = strdup(extent->file);
    return *ret ? 0 : err_errno(err, ENOMEM, "%s", disk->file);
}

static int
check_size(const struct vsphere_source *v, size_t i, const char *file, uint64_t bytes,
           struct err *err)
{
    uint64_t capacity = v->machine->disks[i].capacity_bytes;
    if (bytes == capacity)
        return 0;
    return err_set(err, ERR_CONFLICT,
                   "%s: has %" PRIu64 " bytes, and the disk should have %" PRIu64
                   ": it was changed, or is no flat file",
                   file, bytes, capacity);
}

static int
begin_https(struct vsphere_source *v, size_t i, struct err *err)
{
    const char *datacenter = v->machine->datacenter_path;
    struct vsphere_read *read = v->reads[i];
    auto_free char *flat = NULL;
    uint64_t bytes;
    if (find_flat(v, i, &flat, err) < 0 ||
        vmware_datastore_size(v->session, datacenter, flat, &bytes, err) < 0 ||
        check_size(v, i, flat, bytes, err) < 0 || find_pin(v, err) < 0)
        return -1;
    free(TAKE_PTR(read->uri));
    secret_free(TAKE_PTR(read->cookie));
    if (vmware_datastore_url(v->session, datacenter, flat, &read->uri, err) < 0 ||
        vmware_cookie(v->session, &read->cookie, err) < 0)
        return -1;
    read->remote.uri = read->uri;
    read->remote.cookie = read->cookie;
    read->remote.thumbprint = v->pin[0] ? v->pin : NULL;
    read->remote.ca = endpoint_text(v, "ca");
    return 0;
}

/* ---- export ---- */

static int
open_lease(struct vsphere_source *v, struct err *err)
{
    if (v->lease)
        return 0;
    if (vmware_lease_export(v->session, v->machine, v->snapshot[0] ? v->snapshot : NULL, &v->lease,
                            err) < 0)
        return -1;
    return vmware_lease_wait(v->lease, LEASE_READY_S, err);
}

static int
begin_export(struct vsphere_source *v, size_t i, struct err *err)
{
    const struct vmware_lease_entry *entries, *entry = NULL;
    struct copy_remote *remote = &v->reads[i]->remote;
    if (open_lease(v, err) < 0)
        return -1;
    size_t n = vmware_lease_entries(v->lease, &entries);
    for (size_t e = 0; e < n; e++)
        if (entries[e].disk && entries[e].disk_index == (int)i)
            entry = &entries[e];
    if (!entry)
        return err_set(err, ERR_NOT_FOUND,
                       "%s: the export has no stream of it (an independent disk is left out of an "
                       "export, for one)",
                       v->machine->disks[i].file);
    /* Only the server itself is known by its pin; another host by what the lease says of it. */
    remote->uri = entry->url;
    if (*entry->ssl_thumbprint) {
        remote->thumbprint = entry->ssl_thumbprint;
    } else if (entry->same_server) {
        if (find_pin(v, err) < 0)
            return -1;
        remote->thumbprint = v->pin[0] ? v->pin : NULL;
    }
    remote->ca = endpoint_text(v, "ca");
    remote->identity = "";
    return 0;
}

/* ---- SSH ---- */

/* "[ds1] web01/web01-flat.vmdk" is /vmfs/volumes/ds1/web01/web01-flat.vmdk on every ESXi. */
static int
volume_path(const char *file, char **ret, struct err *err)
{
    auto_free char *datastore = NULL, *path = NULL;
    if (vmware_datastore_path_split(file, &datastore, &path, err) < 0)
        return -1;
    if (asprintf(ret, "/vmfs/volumes/%s/%s", datastore, path) < 0) {
        *ret = NULL;
        return err_errno(err, ENOMEM, "%s", file);
    }
    return 0;
}

static int
begin_ssh(struct vsphere_source *v, size_t i, struct copy_request *request, struct err *err)
{
    auto_free char *flat = NULL, *path = NULL;
    struct ssh_host host = v->source.job->ssh;
    struct vsphere_read *read = v->reads[i];
    if (find_flat(v, i, &flat, err) < 0 || volume_path(flat, &path, err) < 0)
        return -1;
    if (!host.host)
        host.host = nfc_host(v);
    if (!host.user)
        host.user = "root";
    /* The account that we logged in with is the same one there, on the host itself. */
    const char *login = endpoint_text(v, "user");
    if (!host.password && !vmware_is_vcenter(v->session) && login && strcmp(login, host.user) == 0)
        host.password = endpoint_text(v, "password");
    if (nbdkit_ssh_start(&read->kit, &host, path, NULL, 0, err) < 0)
        return err_prefix(err, "-it ssh needs SSH running on the ESXi host");
    if (check_size(v, i, path, read->kit.bytes, err) < 0)
        return -1;
    snprintf(read->socket_uri, sizeof read->socket_uri, "nbd+unix:///?socket=%s", read->kit.socket);
    request->source_uri = read->socket_uri;
    request->source_format = "raw";
    request->source_name = read->remote.name;
    request->source_identity = read->remote.identity;
    return 0;
}

/* ---- while it is read ---- */

static unsigned
overall_pct(const struct vsphere_source *v)
{
    unsigned sum = 0;
    for (size_t i = 0; i < v->source.vm->n_disks; i++)
        sum += v->reads[i] ? v->reads[i]->pct : 0;
    return sum / (unsigned)MAX(v->source.vm->n_disks, (size_t)1);
}

void
vsphere_tick(struct source *src, size_t i, unsigned pct)
{
    struct vsphere_source *v = to_vsphere(src);
    struct err trouble = ERR_INIT;
    if (v->reads[i])
        v->reads[i]->pct = MIN(pct, 100u);
    int r = v->lease ? vmware_lease_progress(v->lease, overall_pct(v), &trouble)
                     : vmware_keepalive(v->session, &trouble);
    if (r < 0 && v->tick_err.kind == ERR_NONE && trouble.kind != ERR_CANCELLED)
        v->tick_err = trouble;
}

int
vsphere_need(struct source *src, size_t i, const char *what, char **ret_value, struct err *err)
{
    struct vsphere_source *v = to_vsphere(src);
    struct vsphere_read *read = v->reads[i];
    if (strcmp(what, "cookie") != 0)
        return err_set(err, ERR_INVALID, "no new %s can be had of vSphere", what);
    char *fresh = NULL;
    if (vmware_cookie_renew(v->session, read->cookie, &fresh, err) < 0)
        return -1;
    secret_free(read->cookie);
    read->cookie = fresh;
    *ret_value = strdup(fresh);
    return *ret_value ? 0 : err_errno(err, ENOMEM, "a cookie");
}

static void
add_cause(const struct vsphere_source *v, size_t i, struct err *err)
{
    char words[NBDKIT_WORDS_MAX];
    struct err why = *err;
    nbdkit_last_words(&v->reads[i]->kit, words);
    if (why.kind == ERR_CANCELLED)
        return;
    if (*words)
        err_set(err, why.kind, "SSH: %s: %s", words, why.text);
    else if (v->tick_err.kind != ERR_NONE)
        err_set(err, why.kind, "%s (before that: %s)", why.text, v->tick_err.text);
    else if (v->transport == JOB_TRANSPORT_VDDK &&
             v->source.job->vsphere.transport == JOB_TRANSPORT_AUTO)
        err_set(err, why.kind,
                "%s (VDDK was chosen because it is here: -it https or -it export do "
                "without it)",
                why.text);
}

int
vsphere_end_disk(struct source *src, size_t i, const struct copy_result *result, struct err *err)
{
    struct vsphere_source *v = to_vsphere(src);
    if (!result)
        add_cause(v, i, err);
    nbdkit_stop(&v->reads[i]->kit);
    if (!result)
        return -1;
    v->reads[i]->pct = 100;
    struct vsphere_sent *sent = &v->sent[i];
    sent->known = v->lease && result->has_digest;
    sent->bytes = result->stream_bytes;
    snprintf(sent->sha1, sizeof sent->sha1, "%s", result->stream_sha1);
    snprintf(sent->sha256, sizeof sent->sha256, "%s", result->stream_sha256);
    return 0;
}

/* ---- the end of an export ---- */

static const struct vmware_manifest_entry *
manifest_entry(const struct vmware_manifest_entry *manifest, size_t n, const char *key)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(manifest[i].key, key) == 0)
            return &manifest[i];
    return NULL;
}

static int
compare_sent(const struct vsphere_source *v, size_t i, const struct vmware_manifest_entry *said,
             struct err *err)
{
    const struct vsphere_sent *sent = &v->sent[i];
    const char *file = v->machine->disks[i].file;
    const char *wanted = *said->sha256 ? said->sha256 : said->sha1;
    const char *got = *said->sha256 ? sent->sha256 : sent->sha1;
    if (said->bytes && said->bytes != sent->bytes)
        return err_set(err, ERR_IO,
                       "%s: the server sent %" PRIu64 " bytes and %" PRIu64 " arrived: give the "
                       "command again",
                       file, said->bytes, sent->bytes);
    if (*wanted && strcmp(wanted, got) != 0)
        return err_set(err, ERR_IO,
                       "%s: what arrived is not what the server sent (its manifest has the "
                       "checksum %s, the data have %s): give the command again",
                       file, wanted, got);
    return 0;
}

static int
compare_all(struct vsphere_source *v, size_t *ret_bad, struct err *err)
{
    const struct vmware_manifest_entry *manifest;
    const struct vmware_lease_entry *entries;
    size_t n_manifest, compared = 0, received = 0;
    size_t n = vmware_lease_entries(v->lease, &entries);
    if (vmware_lease_manifest(v->lease, &manifest, &n_manifest, err) < 0)
        return -1;
    for (size_t e = 0; e < n; e++) {
        int i = entries[e].disk_index;
        if (!entries[e].disk || i < 0 || !v->sent[i].known)
            continue;
        received++;
        const struct vmware_manifest_entry *said =
            manifest_entry(manifest, n_manifest, entries[e].key);
        if (!said || (!*said->sha1 && !*said->sha256))
            continue;
        if (compare_sent(v, (size_t)i, said, err) < 0) {
            *ret_bad = (size_t)i;
            return -1;
        }
        compared++;
    }
    if (compared < received)
        source_log(&v->source, LOG_LEVEL_WARNING, "no-manifest",
                   "the server gave checksums of %zu of %zu disks: damage of the others on their "
                   "way here would not be seen",
                   compared, received);
    return 0;
}

/* A machine that is off may be switched on by anybody; only a snapshot holds its disks still. */
static int
check_still(const struct vsphere_source *v, size_t *ret_bad, struct err *err)
{
    const struct vmware_machine *then = v->machine;
    auto_vmware_machine struct vmware_machine *now = NULL;
    if (v->snapshot[0])
        return 0;
    if (vmware_machine_read(v->session, then->moref, NULL, &now, err) < 0)
        return -1;
    bool same = now->power != VMWARE_POWERED_ON && now->n_disks == then->n_disks;
    for (size_t i = 0; same && i < then->n_disks; i++)
        same = now->disks[i].key == then->disks[i].key &&
               strcmp(now->disks[i].file, then->disks[i].file) == 0 &&
               strcmp(now->disks[i].content_id, then->disks[i].content_id) == 0;
    if (same)
        return 0;
    *ret_bad = SOURCE_BAD_ALL;
    return err_set(err, ERR_CONFLICT,
                   "%s: was switched on or changed while its disks were copied, so what was read "
                   "does not count: keep it off meanwhile ('vmferry v2v --snapshot' reads from a "
                   "snapshot)",
                   then->name);
}

int
vsphere_finish(struct source *src, size_t *ret_bad, struct err *err)
{
    struct vsphere_source *v = to_vsphere(src);
    *ret_bad = SOURCE_BAD_NONE;
    if (check_still(v, ret_bad, err) < 0)
        return -1;
    if (!v->lease)
        return 0;
    if (compare_all(v, ret_bad, err) < 0)
        return -1;
    int r = vmware_lease_complete(v->lease, err);
    if (r == 0)
        vmware_lease_free(TAKE_PTR(v->lease));
    return r;
}
