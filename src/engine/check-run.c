#include "engine/check-run.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/log.h"
#include "engine/check-place.h"
#include "engine/endpoint.h"
#include "engine/inventory.h"
#include "engine/vddk-library.h"
#include "vmware/find.h"
#include "vmware/host.h"
#include "vmware/privilege.h"
#include "vmware/snapshot.h"

#define QUERIES_MAX 1000
#define NFC_PORT 902

static int read_start(const json_t *start, struct check_site *site, struct err *err);
static int look_around(struct check_site *site, const json_t *start, struct err *err);
static int look_at_named(struct check_site *site, const json_t *start, struct err *err);
static int look_at_all(struct check_site *site, const json_t *start, struct err *err);
static void look_at_sums(struct check_site *site, const json_t *start);

int
check_run(const json_t *start, const struct talk *talk, json_t **ret_detail, struct err *err)
{
    struct check_site site = { .talk = talk };
    auto_vmware_session struct vmware_session *session = NULL;
    if (read_start(start, &site, err) < 0 ||
        endpoint_login(json_object_get(start, "endpoint"), talk->cancelled, talk->arg, &session,
                       err) < 0)
        return -1;
    site.session = session;
    site.context.esxi = !vmware_is_vcenter(session);
    bool named = json_array_size(json_object_get(start, "machines")) > 0;
    int r = look_around(&site, start, err);
    if (r == 0)
        r = (named ? look_at_named : look_at_all)(&site, start, err);
    check_hosts_free(&site);
    if (r == 0)
        look_at_sums(&site, start);
    check_place_close(&site);
    if (r < 0)
        return -1;
    *ret_detail = json_pack("{s:i, s:i, s:i, s:i}", "machines", site.n_machines, "blocked",
                            site.n_blocked, "errors", site.n_errors, "warnings", site.n_warnings);
    return *ret_detail ? 0 : err_errno(err, ENOMEM, "check");
}

/* ---- what was asked ---- */

static int
read_word(const json_t *start, const char *key, const char *const *words, size_t n, size_t *ret,
          struct err *err)
{
    const char *text = json_get_str(start, key, words[0]);
    for (*ret = 0; *ret < n; (*ret)++)
        if (strcmp(words[*ret], text) == 0)
            return 0;
    return err_set(err, ERR_INVALID, "'%s': no such word: %s", key, text);
}

static int
read_start(const json_t *start, struct check_site *site, struct err *err)
{
    static const char *const modes[] = { "any", "cold", "warm" };
    static const char *const transports[] = { "auto", "vddk", "https", "export", "ssh" };
    size_t mode, transport;
    if (read_word(start, "mode", modes, ARRAY_LEN(modes), &mode, err) < 0 ||
        read_word(start, "transport", transports, ARRAY_LEN(transports), &transport, err) < 0)
        return -1;
    site->wish = (enum check_wish)mode;
    site->context.transports = transport ? 1u << (transport - 1) : 0;
    /* The others read whole disks only. */
    if (site->wish == CHECK_WISH_ANY && transport && !(site->context.transports & CHECK_BY_WARM))
        site->wish = CHECK_WISH_COLD;
    site->context.ours = VMWARE_SNAPSHOT_PREFIX;
    site->server = json_get_str(json_object_get(start, "endpoint"), "server", "");
    int64_t port = json_get_int(start, "nfc_port", NFC_PORT);
    if (port < 1 || port > 65535)
        return err_set(err, ERR_INVALID, "'nfc_port' is no port");
    site->nfc_port = (unsigned)port;
    const json_t *machines = json_object_get(start, "machines");
    if ((machines && !json_is_array(machines)) || json_array_size(machines) > QUERIES_MAX)
        return err_set(err, ERR_INVALID, "'machines' is not a list of at most %d", QUERIES_MAX);
    const json_t *specs = json_object_get(start, "specs");
    if (specs && json_array_size(specs) != json_array_size(machines))
        return err_set(err, ERR_INVALID, "'specs' are not those of 'machines'");
    return 0;
}

/* ---- saying it ---- */

/* What a finding amounts to for the way that is wanted. Where either way will do, what stops only
 * one of them is a warning. */
static enum check_level
level_for(enum check_wish wish, const enum check_level level[CHECK_WAYS])
{
    enum check_level cold = level[CHECK_COLD], warm = level[CHECK_WARM];
    if (wish == CHECK_WISH_COLD)
        return cold;
    if (wish == CHECK_WISH_WARM)
        return warm;
    enum check_level worse = MAX(cold, warm);
    return worse == CHECK_ERROR && cold != warm ? CHECK_WARNING : worse;
}

static const char *
way_text(enum check_level level)
{
    return level == CHECK_NONE ? "none" : check_level_name(level);
}

enum check_level
check_site_say(struct check_site *site, const struct vmware_machine *m,
               const struct check_finding *f)
{
    enum check_level level = level_for(site->wish, f->level);
    if (level == CHECK_NONE)
        return level;
    site->n_errors += level == CHECK_ERROR;
    site->n_warnings += level == CHECK_WARNING;
    json_t *message =
        json_pack("{s:s, s:o, s:o, s:s, s:s, s:s, s:s, s:o, s:o, s:s, s:s}", "type", "finding",
                  "machine", m ? json_text(m->moref) : json_null(), "path",
                  json_text(m ? m->path : vmware_endpoint(site->session)), "level",
                  check_level_name(level), "cold", way_text(f->level[CHECK_COLD]), "warm",
                  way_text(f->level[CHECK_WARM]), "code", f->code, "subject", json_text(f->subject),
                  "what", json_text(f->what), "cause", f->cause, "cure", f->cure);
    site->talk->say(message, site->talk->arg);
    return level;
}

void
check_stop_by(struct check_stop *stop, const struct check_finding *finding)
{
    bool stops = false;
    for (size_t way = 0; way < CHECK_WAYS; way++) {
        stops = stops || finding->level[way] == CHECK_ERROR;
        stop->ways[way] = stop->ways[way] || finding->level[way] == CHECK_ERROR;
    }
    for (size_t i = 0; i < stop->n_codes; i++)
        stops = stops && strcmp(stop->codes[i], finding->code) != 0;
    if (stops && stop->n_codes < CHECK_MAX_REASONS)
        stop->codes[stop->n_codes++] = finding->code;
}

void
check_site_found(const struct check_finding *finding, void *arg)
{
    struct check_site *site = arg;
    check_stop_by(site->machine ? &site->stop : &site->all, finding);
    enum check_level level = check_site_say(site, site->machine, finding);
    site->errors += level == CHECK_ERROR;
    site->warnings += level == CHECK_WARNING;
}

static json_t *
codes_of(const struct check_site *site)
{
    const struct check_stop *stops[] = { &site->stop, &site->all };
    json_t *codes = json_array();
    for (size_t i = 0; i < ARRAY_LEN(stops); i++)
        for (size_t j = 0; j < stops[i]->n_codes; j++)
            json_array_append_new(codes, json_string(stops[i]->codes[j]));
    return codes;
}

static void
say_machine(struct check_site *site, const char *moref, const char *name, const char *path,
            const char *failure)
{
    bool can[CHECK_WAYS];
    for (size_t way = 0; way < CHECK_WAYS; way++)
        can[way] = !failure && !site->stop.ways[way] && !site->all.ways[way];
    bool blocked = site->wish == CHECK_WISH_COLD   ? !can[CHECK_COLD]
                   : site->wish == CHECK_WISH_WARM ? !can[CHECK_WARM]
                                                   : !can[CHECK_COLD] && !can[CHECK_WARM];
    site->n_machines++;
    site->n_blocked += blocked;
    json_t *message =
        json_pack("{s:s, s:o, s:o, s:o, s:b, s:b, s:b, s:i, s:i, s:o, s:o}", "type", "machine",
                  "machine", json_text(moref), "name", json_text(name), "path", json_text(path),
                  "blocked", blocked, "cold", can[CHECK_COLD], "warm", can[CHECK_WARM], "errors",
                  site->errors, "warnings", site->warnings, "stopped_by", codes_of(site), "failure",
                  failure ? json_text(failure) : json_null());
    site->talk->say(message, site->talk->arg);
}

/* ---- what concerns all machines ---- */

static int
look_around(struct check_site *site, const json_t *start, struct err *err)
{
    bool read_only = false;
    unsigned *may = &site->context.transports;
    struct vddk_library library;
    struct err why = ERR_INIT;
    if (site->context.esxi && vmware_licence(site->session, &read_only, NULL, err) < 0)
        return -1;
    if (read_only)
        check_free_licence(&site->context, check_site_found, site);
    const char *libdir = json_get_str(json_object_get(start, "vddk"), "libdir", NULL);
    bool asked = *may != 0;
    if ((!asked || *may == CHECK_BY_VDDK) && vddk_library_find(libdir, &library, &why) < 0) {
        check_vddk_unusable(why.text, asked, check_site_found, site);
        /* What is left of those that are taken without being asked for (engine/transport.h). */
        if (!asked)
            *may = CHECK_BY_HTTPS | CHECK_BY_EXPORT;
    }
    return check_place_open(site, start, err) < 0 ? -1 : check_hosts_load(site, err);
}

static void
look_at_target(struct check_site *site, const char *dir)
{
    struct statvfs fs;
    struct err why = ERR_INIT;
    bool usable = access(dir, W_OK | X_OK) == 0 && statvfs(dir, &fs) == 0;
    if (!usable) {
        err_errno(&why, errno, "%s", dir);
        check_target_unusable(why.text, check_site_found, site);
    } else {
        check_target(dir, (uint64_t)fs.f_bavail * fs.f_frsize, site->capacity_bytes,
                     site->used_bytes, check_site_found, site);
    }
}

/* What no machine has alone. */
static void
look_at_sums(struct check_site *site, const json_t *start)
{
    const char *dir = json_get_str(start, "target", NULL);
    site->machine = NULL;
    if (dir)
        look_at_target(site, dir);
    check_place_judge_all(site);
    bool cold = site->all.ways[CHECK_COLD], warm = site->all.ways[CHECK_WARM];
    if ((cold || site->wish == CHECK_WISH_WARM) && (warm || site->wish == CHECK_WISH_COLD))
        site->n_blocked = site->n_machines;
}

/* ---- privileges ---- */

struct lacking {
    bool on[CHECK_ENTITIES][VMWARE_PRIVILEGES_MAX];
};

static bool
lacks(enum check_entity entity, const char *id, void *arg)
{
    const struct lacking *lacking = arg;
    for (size_t i = 0; check_privilege_ids[entity][i]; i++)
        if (strcmp(check_privilege_ids[entity][i], id) == 0)
            return lacking->on[entity][i];
    return false;
}

/* Adds what is missing on one datastore. */
static int
ask_datastore(struct check_site *site, const char *moref, struct lacking *lacking, struct err *err)
{
    bool missing[VMWARE_PRIVILEGES_MAX] = { false };
    const char *const *ids = check_privilege_ids[CHECK_ON_DATASTORE];
    if (vmware_privileges_missing(site->session, "Datastore", moref, ids, missing, err) < 0)
        return -1;
    for (size_t i = 0; ids[i]; i++)
        lacking->on[CHECK_ON_DATASTORE][i] = lacking->on[CHECK_ON_DATASTORE][i] || missing[i];
    return 0;
}

static bool
is_repeated(const struct vmware_machine *m, size_t i)
{
    for (size_t j = 0; j < i; j++)
        if (strcmp(m->disks[j].datastore, m->disks[i].datastore) == 0)
            return true;
    return false;
}

static int
look_at_privileges(struct check_site *site, struct err *err)
{
    const struct vmware_machine *m = site->machine;
    struct lacking lacking = { { { false } } };
    struct check_privileges privileges = {
        .encrypted = m->encrypted,
        .transports = check_transports(m, &site->context),
        .lacks = lacks,
        .arg = &lacking,
    };
    if (vmware_privileges_missing(site->session, "VirtualMachine", m->moref,
                                  check_privilege_ids[CHECK_ON_MACHINE],
                                  lacking.on[CHECK_ON_MACHINE], err) < 0)
        return -1;
    for (size_t i = 0; i < m->n_disks; i++)
        if (*m->disks[i].datastore && !is_repeated(m, i) &&
            ask_datastore(site, m->disks[i].datastore, &lacking, err) < 0)
            return -1;
    check_privileges(&privileges, &site->context, check_site_found, site);
    return 0;
}

/* ---- machines ---- */

/* A server that cannot tell what its user may do is no reason to stop. */
static int
look_at_machine(struct check_site *site, const struct vmware_machine *m, struct err *err)
{
    struct err why = ERR_INIT;
    site->machine = m;
    site->stop = (struct check_stop){ .n_codes = 0 };
    site->errors = site->warnings = 0;
    check_hosts_judge(site);
    check_machine(m, &site->context, check_site_found, site);
    if (m->config_present && look_at_privileges(site, &why) < 0) {
        if (why.kind != ERR_UNAVAILABLE || site->talk->cancelled(site->talk->arg)) {
            *err = why;
            return -1;
        }
        log_debug("%s: what the user may do is not known: %s", m->name, why.text);
    }
    if (m->config_present && site->spec && check_place_judge(site, site->spec, err) < 0)
        return -1;
    for (size_t i = 0; i < m->n_disks; i++)
        site->capacity_bytes += m->disks[i].capacity_bytes;
    site->used_bytes += m->committed_bytes;
    say_machine(site, m->moref, m->name, m->path, NULL);
    site->machine = NULL;
    return 0;
}

/* named: somebody asked for this one. */
static int
read_and_look(struct check_site *site, const char *moref, bool named, struct err *err)
{
    auto_vmware_machine struct vmware_machine *machine = NULL;
    if (site->talk->cancelled(site->talk->arg))
        return err_set(err, ERR_CANCELLED, "stopped on request");
    if (vmware_machine_read(site->session, moref, NULL, &machine, err) < 0)
        return -1;
    if (!named && check_is_service(machine)) {
        log_info("%s: is a service machine of vSphere, and left out", machine->path);
        return 0;
    }
    return look_at_machine(site, machine, err);
}

/* Whether it is this machine's failure and no other's: it is not there, or not the only one of its
 * name, may not be seen, or makes no sense. */
static bool
is_its_own(const struct check_site *site, const struct err *why)
{
    return why->kind == ERR_NOT_FOUND || why->kind == ERR_CONFLICT || why->kind == ERR_INVALID ||
           strcmp(vmware_last_fault(site->session), "NoPermission") == 0;
}

static void
say_failure(struct check_site *site, const char *moref, const char *name, const struct err *why)
{
    site->errors = 1;
    site->warnings = 0;
    site->n_errors++;
    site->machine = NULL;
    site->stop = (struct check_stop){ .n_codes = 0 };
    say_machine(site, moref, name, name, why->text);
}

static int
read_spec(const json_t *start, size_t i, struct spec_list *ret, struct err *err)
{
    const json_t *json = json_array_get(json_object_get(start, "specs"), i);
    auto_free char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
    if (!json)
        return 0;
    return text ? spec_read(text, strlen(text), "specs", false, ret, err)
                : err_errno(err, ENOMEM, "a spec");
}

static int
look_at_named(struct check_site *site, const json_t *start, struct err *err)
{
    const char *datacenter = json_get_str(json_object_get(start, "endpoint"), "datacenter", NULL);
    size_t i;
    json_t *query;
    json_array_foreach (json_object_get(start, "machines"), i, query) {
        auto_vmware_found struct vmware_found found = { .name = NULL };
        auto_spec_list struct spec_list specs = { .n = 0 };
        const char *text = json_string_value(query);
        struct err why = ERR_INIT;
        if (!text)
            return err_set(err, ERR_INVALID, "'machines' holds something that is not a string");
        if (read_spec(start, i, &specs, err) < 0)
            return -1;
        site->spec = specs.n > 0 ? &specs.items[0] : NULL;
        int r = vmware_find(site->session, text, datacenter, &found, &why);
        if (r == 0)
            r = read_and_look(site, found.moref, true, &why);
        if (r < 0 && !is_its_own(site, &why)) {
            *err = why;
            return -1;
        }
        if (r < 0)
            say_failure(site, *found.moref ? found.moref : text, text, &why);
        site->spec = NULL;
    }
    return 0;
}

struct morefs {
    const struct machine_filter *filter;
    size_t n;
    char (*list)[VMWARE_MOREF_MAX];
};

static int
keep_moref(const struct vmware_summary *summary, void *arg, struct err *err)
{
    struct morefs *morefs = arg;
    const char *values[MACHINE_FIELDS];
    inventory_values(summary, values);
    if (!machine_filter_matches(morefs->filter, values))
        return 0;
    if (morefs->n % 256 == 0) {
        void *grown = reallocarray(morefs->list, morefs->n + 256, sizeof *morefs->list);
        if (!grown)
            return err_errno(err, ENOMEM, "the list of machines");
        morefs->list = grown;
    }
    snprintf(morefs->list[morefs->n++], VMWARE_MOREF_MAX, "%s", summary->moref);
    return 0;
}

/* First who there is, then each: between two pages of a list the server cannot be asked. */
static int
look_at_all(struct check_site *site, const json_t *start, struct err *err)
{
    struct machine_filter filter;
    struct morefs morefs = { .filter = &filter };
    struct vmware_inventory_options options = {
        .datacenter_path = json_get_str(json_object_get(start, "endpoint"), "datacenter", NULL),
        .without_devices = true,
    };
    if (machine_filter_parse(json_object_get(start, "filter"), &filter, err) < 0)
        return -1;
    int r = vmware_inventory(site->session, &options, keep_moref, &morefs, err);
    for (size_t i = 0; r == 0 && i < morefs.n; i++) {
        struct err why = ERR_INIT;
        r = read_and_look(site, morefs.list[i], false, &why);
        if (r == 0 || why.kind == ERR_NOT_FOUND) { /* it has been removed meanwhile */
            r = 0;
        } else if (is_its_own(site, &why)) {
            say_failure(site, morefs.list[i], morefs.list[i], &why);
            r = 0;
        } else {
            *err = why;
        }
    }
    free(morefs.list);
    return r;
}
