/* Drives src/vmware from outside, one command a line: the hand of the tests in this folder.
 *
 *     vmware-interop HOST PORT USER THUMBPRINT|- [CA|-]
 *
 * The first line of stdin is the password. Each further line is a command, its words separated by
 * tabs. The answer is lines of words separated by tabs, then "ok", or "error KIND FAULT TEXT".
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/log.h"
#include "vmware/cbt.h"
#include "vmware/datastore.h"
#include "vmware/find.h"
#include "vmware/host.h"
#include "vmware/inventory.h"
#include "vmware/lease.h"
#include "vmware/machine.h"
#include "vmware/power.h"
#include "vmware/privilege.h"
#include "vmware/session.h"
#include "vmware/snapshot.h"
#include "vmware/task.h"

#define WORDS_MAX 32
#define LINE_MAX_BYTES 16384

static struct vmware_session *session;
static struct vmware_lease *lease;
static struct vmware_machine *exported;

typedef int command_fn(char **word, size_t n, struct err *err);

/* A word that was not given is "", one that is "-" is NULL. */
static const char *
word_or_null(char **word, size_t n, size_t i)
{
    return i < n && strcmp(word[i], "-") != 0 ? word[i] : NULL;
}

static int
do_about(char **word, size_t n, struct err *err)
{
    (void)word, (void)n, (void)err;
    const struct vmware_about *about = vmware_about(session);
    printf("%s\t%s\t%s\t%s\t%s\t%s\n", about->full_name, about->version, about->build,
           about->api_version, about->spoken, about->vcenter ? "vcenter" : "esxi");
    return 0;
}

static int
print_summary(const struct vmware_summary *s, void *arg, struct err *err)
{
    (void)arg, (void)err;
    printf("%s\t%s\t%s\t%s\t%s\t%d\t%u\t%" PRIu64 "\t%u\t%" PRIu64 "\t%u\t%s\t%s\n", s->moref,
           s->name, s->path, s->datacenter_path, s->host_name, s->power, s->n_cpus, s->memory_bytes,
           s->n_disks, s->capacity_bytes, s->n_snapshots, s->uuid, s->instance_uuid);
    return 0;
}

static int
do_inventory(char **word, size_t n, struct err *err)
{
    struct vmware_inventory_options options = {
        .datacenter_path = word_or_null(word, n, 1),
        .without_devices = n > 2 && strcmp(word[2], "light") == 0,
    };
    return vmware_inventory(session, &options, print_summary, NULL, err);
}

static int
print_machine_line(const struct vmware_machine *m, void *arg, struct err *err)
{
    (void)arg, (void)err;
    printf("%s\t%s\t%s\t%zu\t%zu\t%s\n", m->moref, m->name, m->path, m->n_disks, m->n_nics,
           m->unreadable ? m->unreadable : "");
    return 0;
}

static int
do_machines(char **word, size_t n, struct err *err)
{
    return vmware_machines(session, word_or_null(word, n, 1), print_machine_line, NULL, err);
}

static int
do_find(char **word, size_t n, struct err *err)
{
    auto_vmware_found struct vmware_found found = { .name = NULL };
    if (vmware_find(session, word[1], word_or_null(word, n, 2), &found, err) < 0)
        return -1;
    printf("%s\t%s\t%s\t%s\n", found.moref, found.name, found.path, found.datacenter_path);
    return 0;
}

static void
print_disk(const struct vmware_machine *m, size_t i)
{
    char id[VM_DISK_ID_MAX];
    const struct vmware_disk *d = &m->disks[i];
    printf("disk\t%s\t%d\t%s\t%" PRIu64 "\t%s\t%s\t%s\t%s\t%d\t%d\t%s\t%" PRIu64 "\t%s\n",
           vm_disk_id(&m->vm->disks[i], id), d->key, d->file, d->capacity_bytes, d->uuid,
           d->change_id, d->datastore, d->datastore_name, d->backing, d->mode, d->datastore_type,
           d->datastore_free_bytes, d->base_file);
}

static int
do_read(char **word, size_t n, struct err *err)
{
    auto_vmware_machine struct vmware_machine *m = NULL;
    if (vmware_machine_read(session, word[1], word_or_null(word, n, 2), &m, err) < 0)
        return -1;
    printf("machine\t%s\t%s\t%s\t%s\t%s\t%d\t%d\t%u\t%u\t%" PRIu64 "\n", m->moref, m->name, m->path,
           m->datacenter_path, m->host_name, m->power, m->config_present, m->hw_version,
           m->vm->vcpus, m->vm->memory_bytes);
    printf("flags\tcbt_supported=%d\tcbt=%d\ttools=%d\ttemplate=%d\tuefi=%d\tencrypted=%d\n",
           m->cbt_supported, m->cbt_enabled, m->tools_running, m->template,
           m->vm->firmware == VM_FIRMWARE_UEFI, m->encrypted);
    for (size_t i = 0; i < m->n_disks; i++)
        print_disk(m, i);
    for (size_t i = 0; i < m->n_nics; i++)
        printf("nic\t%d\t%s\t%s\t%s\t%u\n", m->nics[i].key, m->vm->nics[i].mac,
               m->vm->nics[i].model, m->vm->nics[i].network ? m->vm->nics[i].network : "",
               m->vm->nics[i].pci_slot);
    for (size_t i = 0; i < m->n_snapshots; i++)
        printf("snapshot\t%s\t%s\t%s\t%d\n", m->snapshots[i].moref, m->snapshots[i].name,
               m->snapshots[i].parent, m->snapshots[i].current);
    return 0;
}

static int
do_snapshot_create(char **word, size_t n, struct err *err)
{
    struct vmware_snapshot_made made;
    enum vmware_quiesce quiesce = n > 3 && strcmp(word[3], "try") == 0    ? VMWARE_QUIESCE_TRY
                                  : n > 3 && strcmp(word[3], "must") == 0 ? VMWARE_QUIESCE_MUST
                                                                          : VMWARE_QUIESCE_NO;
    if (vmware_snapshot_create(session, word[1], word[2], "interop", quiesce, &made, err) < 0)
        return -1;
    printf("%s\t%d\t%d\t%s\n", made.moref, made.found, made.quiesced, made.why_not);
    return 0;
}

static int
do_snapshot_remove(char **word, size_t n, struct err *err)
{
    return vmware_snapshot_remove(session, word[1], word[2], word_or_null(word, n, 3), err);
}

static int
do_snapshot_find(char **word, size_t n, struct err *err)
{
    static struct vmware_snapshot_ours ours[VMWARE_SNAPSHOTS_OURS_MAX];
    size_t n_ours;
    if (vmware_snapshot_find(session, word[1], word_or_null(word, n, 2), ours, &n_ours, err) < 0)
        return -1;
    for (size_t i = 0; i < n_ours; i++)
        printf("%s\t%s\t%s\n", ours[i].moref, ours[i].name, ours[i].created);
    return 0;
}

static int
do_power(char **word, size_t n, struct err *err)
{
    enum vmware_power power;
    int number = n > 3 ? (int)strtol(word[3], NULL, 10) : 0;
    if (strcmp(word[1], "off") == 0)
        return vmware_power_off(session, word[2], err);
    if (strcmp(word[1], "on") == 0)
        return vmware_power_on(session, word[2], err);
    if (strcmp(word[1], "shutdown") == 0)
        return vmware_shutdown_guest(session, word[2], number, err);
    if (strcmp(word[1], "confirm-off") == 0)
        return vmware_power_confirm_off(session, word[2], number, err);
    if (vmware_power_state(session, word[2], &power, err) < 0)
        return -1;
    printf("%d\n", power);
    return 0;
}

static int
do_file(char **word, size_t n, struct err *err)
{
    auto_free char *text = NULL;
    size_t len;
    uint64_t bytes;
    bool there;
    const char *datacenter = word_or_null(word, n, 2);
    if (strcmp(word[1], "url") == 0) {
        if (vmware_datastore_url(session, datacenter, word[3], &text, err) < 0)
            return -1;
        printf("%s\n", text);
    } else if (strcmp(word[1], "size") == 0) {
        if (vmware_datastore_size(session, datacenter, word[3], &bytes, err) < 0)
            return -1;
        printf("%" PRIu64 "\n", bytes);
    } else if (strcmp(word[1], "exists") == 0) {
        if (vmware_datastore_exists(session, datacenter, word[3], &there, err) < 0)
            return -1;
        printf("%d\n", there);
    } else {
        if (vmware_datastore_read(session, datacenter, word[3], MIB, &text, &len, err) < 0)
            return -1;
        printf("%zu\t%.*s\n", len, (int)strcspn(text, "\n\t"), text);
    }
    return 0;
}

static int
do_descriptor(char **word, size_t n, struct err *err)
{
    auto_vmware_descriptor struct vmware_descriptor *d = NULL;
    if (vmware_descriptor_read(session, word_or_null(word, n, 1), word[2], &d, err) < 0)
        return -1;
    printf("%s\t%" PRIu64 "\t%s\n", d->create_type, d->capacity_bytes, d->parent ? d->parent : "");
    for (size_t i = 0; i < d->n_extents; i++)
        printf("extent\t%s\t%s\t%" PRIu64 "\n", d->extents[i].type,
               d->extents[i].file ? d->extents[i].file : "", d->extents[i].bytes);
    return 0;
}

static int
print_host(const struct vmware_host *h, void *arg, struct err *err)
{
    (void)arg, (void)err;
    printf("%s\t%s\t%s\t%d\t%s\t%s\t%s\n", h->moref, h->name, h->connection, h->in_maintenance,
           h->version, h->ssl_thumbprint, h->datacenter_path);
    return 0;
}

static int
do_hosts(char **word, size_t n, struct err *err)
{
    return vmware_hosts(session, word_or_null(word, n, 1), print_host, NULL, err);
}

static int
do_privileges(char **word, size_t n, struct err *err)
{
    const char *ids[WORDS_MAX + 1] = { NULL };
    bool missing[WORDS_MAX];
    for (size_t i = 3; i < n; i++)
        ids[i - 3] = word[i];
    if (vmware_privileges_missing(session, word[1], word_or_null(word, n, 2), ids, missing, err) <
        0)
        return -1;
    for (size_t i = 0; ids[i]; i++)
        printf("%s\t%s\n", ids[i], missing[i] ? "missing" : "there");
    return 0;
}

static int
do_licence(char **word, size_t n, struct err *err)
{
    (void)word, (void)n;
    bool read_only;
    char name[128];
    if (vmware_licence(session, &read_only, name, err) < 0)
        return -1;
    printf("%d\t%s\n", read_only, name);
    return 0;
}

static int
do_cbt(char **word, size_t n, struct err *err)
{
    (void)n;
    bool now;
    if (strcmp(word[1], "off") == 0)
        return vmware_cbt_disable(session, word[2], err);
    if (vmware_cbt_enable(session, word[2], &now, err) < 0)
        return -1;
    printf("%d\n", now);
    return 0;
}

static int
print_area(uint64_t start, uint64_t length, void *arg, struct err *err)
{
    (void)arg, (void)err;
    printf("%" PRIu64 "\t%" PRIu64 "\n", start, length);
    return 0;
}

static int
do_areas(char **word, size_t n, struct err *err)
{
    enum vmware_cbt_answer answer;
    char why[512] = "";
    if (n < 6)
        return err_set(err, ERR_INVALID, "areas MOREF SNAPSHOT KEY CAPACITY CHANGE-ID");
    struct vmware_cbt_query query = {
        .machine_moref = word[1],
        .snapshot_moref = word_or_null(word, n, 2),
        .disk_key = (int)strtol(word[3], NULL, 10),
        .capacity_bytes = strtoull(word[4], NULL, 10),
        .change_id = word[5],
    };
    if (vmware_cbt_areas(session, &query, print_area, NULL, &answer, why, err) < 0)
        return -1;
    printf("%s\t%s\n", answer == VMWARE_CBT_GIVEN ? "given" : "reset", why);
    return 0;
}

static int
do_export(char **word, size_t n, struct err *err)
{
    const struct vmware_lease_entry *entries;
    if (vmware_machine_read(session, word[1], NULL, &exported, err) < 0 ||
        vmware_lease_export(session, exported, word_or_null(word, n, 2), &lease, err) < 0 ||
        vmware_lease_wait(lease, 0, err) < 0)
        return -1;
    n = vmware_lease_entries(lease, &entries);
    for (size_t i = 0; i < n; i++)
        printf("%s\t%s\t%s\t%d\t%d\t%d\t%s\n", entries[i].key, entries[i].url, entries[i].host,
               entries[i].same_server, entries[i].disk, entries[i].disk_index,
               entries[i].ssl_thumbprint);
    return 0;
}

static int
do_lease(char **word, size_t n, struct err *err)
{
    const struct vmware_manifest_entry *entries;
    if (!lease)
        return err_set(err, ERR_INVALID, "no lease");
    if (strcmp(word[1], "progress") == 0)
        return vmware_lease_progress(lease, (unsigned)strtoul(word[2], NULL, 10), err);
    if (strcmp(word[1], "manifest") == 0) {
        if (vmware_lease_manifest(lease, &entries, &n, err) < 0)
            return -1;
        for (size_t i = 0; i < n; i++)
            printf("%s\t%s\t%s\t%" PRIu64 "\n", entries[i].key, entries[i].sha1, entries[i].sha256,
                   entries[i].bytes);
        return 0;
    }
    int r = strcmp(word[1], "complete") == 0 ? vmware_lease_complete(lease, err)
                                             : vmware_lease_abort(lease, "a test", err);
    vmware_lease_free(TAKE_PTR(lease));
    vmware_machine_free(TAKE_PTR(exported));
    return r;
}

/* The cookie itself is not shown: whether it is another one. */
static int
do_renew(char **word, size_t n, struct err *err)
{
    (void)word, (void)n;
    auto_secret char *before = NULL, *after = NULL;
    if (vmware_cookie(session, &before, err) < 0 ||
        vmware_cookie_renew(session, before, &after, err) < 0)
        return -1;
    printf("%s\n", strcmp(before, after) == 0 ? "same" : "another");
    return 0;
}

static const struct {
    const char *name;
    size_t words; /* at least */
    command_fn *run;
} commands[] = {
    { "about", 1, do_about },
    { "inventory", 1, do_inventory },
    { "machines", 1, do_machines },
    { "find", 2, do_find },
    { "read", 2, do_read },
    { "snapshot-create", 3, do_snapshot_create },
    { "snapshot-remove", 3, do_snapshot_remove },
    { "snapshot-find", 2, do_snapshot_find },
    { "power", 3, do_power },
    { "file", 4, do_file },
    { "descriptor", 3, do_descriptor },
    { "hosts", 1, do_hosts },
    { "privileges", 3, do_privileges },
    { "licence", 1, do_licence },
    { "cbt", 3, do_cbt },
    { "areas", 6, do_areas },
    { "export", 2, do_export },
    { "lease", 2, do_lease },
    { "renew", 1, do_renew },
};

static void
answer(int r, const struct err *err)
{
    if (r == 0)
        printf("ok\n");
    else
        printf("error\t%s\t%s\t%s\n", err_kind_name(err->kind),
               session ? vmware_last_fault(session) : "", err->text);
    fflush(stdout);
}

static void
run_line(char *line)
{
    char *words[WORDS_MAX] = { NULL };
    size_t n = 0;
    struct err err = ERR_INIT;
    for (char *word; n < WORDS_MAX && (word = strsep(&line, "\t"));)
        words[n++] = word;
    for (size_t i = 0; n > 0 && i < ARRAY_LEN(commands); i++)
        if (strcmp(commands[i].name, words[0]) == 0 && n >= commands[i].words) {
            answer(commands[i].run(words, n, &err), &err);
            return;
        }
    answer(err_set(&err, ERR_INVALID, "no such command: %s", n ? words[0] : ""), &err);
}

static bool
read_line(char line[LINE_MAX_BYTES])
{
    if (!fgets(line, LINE_MAX_BYTES, stdin))
        return false;
    line[strcspn(line, "\n")] = '\0';
    return true;
}

int
main(int argc, char **argv)
{
    static char line[LINE_MAX_BYTES], password[LINE_MAX_BYTES];
    struct err err = ERR_INIT;
    log_setup("vmware-interop", LOG_LEVEL_DEBUG, NULL, NULL);
    if (argc < 5 || !read_line(password)) {
        fprintf(stderr, "usage: vmware-interop HOST PORT USER THUMBPRINT|- [CA] [esxi|vcenter]\n");
        return 2;
    }
    struct vmware_options options = {
        .host = argv[1],
        .port = (unsigned)strtoul(argv[2], NULL, 10),
        .user = argv[3],
        .password = password,
        .thumbprint = strcmp(argv[4], "-") == 0 ? NULL : argv[4],
        .ca_file = argc > 5 && strcmp(argv[5], "-") != 0 ? argv[5] : NULL,
        .expected = argc < 7                       ? VMWARE_ANY
                    : strcmp(argv[6], "esxi") == 0 ? VMWARE_ESXI
                                                   : VMWARE_VCENTER,
        .operation = "interop",
    };
    int r = vmware_login(&options, &session, &err);
    answer(r, &err);
    while (r == 0 && read_line(line))
        run_line(line);
    vmware_lease_free(lease);
    vmware_machine_free(exported);
    vmware_logout(session);
    return r == 0 ? 0 : 1;
}
