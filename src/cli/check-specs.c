#include "cli/check-specs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define TASK_MAX 1000 /* machines that the worker takes at once */

static int merge(struct check_specs *specs, struct err *err);
static int add_machine(const struct spec *spec, json_t *machines, json_t *texts, bool *clouded,
                       struct err *err);
static json_t *endpoint_of(const struct config_vcenter *vcenter, struct err *err);
static json_t *cloudstack_of(const struct config_cloudstack *cloudstack);

int
check_specs_read(const struct opt_list *paths, const struct site_args *site, struct output *out,
                 struct check_specs *ret, struct err *err)
{
    if (site_read(site, out, &ret->config, err) < 0 ||
        spec_set_read(paths->values, paths->n, site->lenient, out, &ret->set, err) < 0)
        return -1;
    if (ret->set.n == 0)
        return err_set(err, ERR_INVALID, "the specs name no machine");
    ret->done = calloc(ret->set.n, sizeof *ret->done);
    if (!ret->done)
        return err_errno(err, ENOMEM, "specs");
    if (merge(ret, err) < 0 || spec_set_keys(&ret->set, &ret->config, err) < 0)
        return -1;
    return site_secrets(&ret->config, err);
}

/* The entries show what is in the lists. */
static int
merge(struct check_specs *specs, struct err *err)
{
    size_t n = 0;
    for (size_t i = 0; i < specs->set.n_lists; i++)
        for (size_t j = 0; j < specs->set.lists[i].n; j++, n++)
            if (spec_merge(&specs->config, NULL, &specs->set.lists[i].items[j], err) < 0)
                return err_prefix(err, "%s:%u", specs->set.entries[n].file,
                                  specs->set.entries[n].spec->line);
    return 0;
}

void
check_specs_free(struct check_specs *specs)
{
    free(specs->done);
    spec_set_free(&specs->set);
    config_free(&specs->config);
}

/* ---- tasks ---- */

/* What the machines of one task have in common. */
struct way {
    const struct config_vcenter *vcenter;
    const char *mode, *transport, *target; /* target NULL: no directory */
};

static bool
is_same(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static int
way_of(const struct check_specs *specs, const struct check_words *words, const struct spec *spec,
       struct way *ret, struct err *err)
{
    const char *directory = spec->target.has_files ? spec->target.files.directory : NULL;
    *ret = (struct way){
        .vcenter = config_vcenter(&specs->config, spec->source.vcenter, err),
        .mode = words->mode ? words->mode : spec_mode_name(spec->migration.mode),
        .transport =
            words->transport ? words->transport : spec_transport_name(spec->source.transport),
        .target = words->target ? words->target : directory,
    };
    return ret->vcenter ? 0 : -1;
}

/* Takes all that go the way of the first one that is left. */
static int
gather(struct check_specs *specs, const struct check_words *words, struct way *ret_way,
       json_t *machines, json_t *texts, bool *ret_clouded, struct err *err)
{
    bool any = false;
    for (size_t i = 0; i < specs->set.n && json_array_size(machines) < TASK_MAX; i++) {
        const struct spec *spec = specs->set.entries[i].spec;
        struct way way;
        if (specs->done[i])
            continue;
        if (way_of(specs, words, spec, &way, err) < 0)
            return -1;
        if (any &&
            (way.vcenter != ret_way->vcenter || !is_same(way.mode, ret_way->mode) ||
             !is_same(way.transport, ret_way->transport) || !is_same(way.target, ret_way->target)))
            continue;
        any = specs->done[i] = true;
        *ret_way = way;
        if (add_machine(spec, machines, texts, ret_clouded, err) < 0)
            return -1;
    }
    return any;
}

int
check_specs_next(struct check_specs *specs, const struct check_words *words, json_t **ret_start,
                 struct err *err)
{
    auto_json json_t *machines = json_array(), *texts = json_array();
    const struct config *config = &specs->config;
    struct way way = { .vcenter = NULL };
    bool clouded = false;
    int r = gather(specs, words, &way, machines, texts, &clouded, err);
    if (r <= 0)
        return r;
    json_t *endpoint = endpoint_of(way.vcenter, err);
    if (!endpoint)
        return -1;
    const char *libdir = words->vddk_libdir ? words->vddk_libdir : config->migration.vddk_path;
    *ret_start =
        json_pack("{s:s, s:o, s:O, s:[], s:O, s:o, s:s, s:s, s:s?, s:i, s:{s:s?}}", "action",
                  "check", "endpoint", endpoint, "machines", machines, "filter", "specs", texts,
                  "cloudstack", clouded ? cloudstack_of(&config->cloudstack) : json_null(), "mode",
                  way.mode, "transport", way.transport, "target", way.target, "nfc_port",
                  words->nfc_port ? (int)words->nfc_port : (int)way.vcenter->nfc_port, "vddk",
                  "libdir", libdir);
    return *ret_start ? 1 : err_errno(err, ENOMEM, "specs");
}

static int
add_machine(const struct spec *spec, json_t *machines, json_t *texts, bool *clouded,
            struct err *err)
{
    auto_buf struct buf text = BUF_INIT(SITE_FILE_MAX);
    if (spec_write_json(spec, &text, err) < 0)
        return -1;
    json_t *json = json_parse_object(text.data, text.len, err);
    if (!json)
        return -1;
    *clouded = *clouded || spec->target.has_cloudstack;
    if (json_array_append_new(texts, json) < 0 ||
        json_array_append_new(machines, json_string(spec_machine(spec))) < 0)
        return err_errno(err, ENOMEM, "specs");
    return 0;
}

static json_t *
endpoint_of(const struct config_vcenter *vcenter, struct err *err)
{
    char host[CONFIG_HOST_MAX];
    unsigned port;
    if (site_ask_password(vcenter, err) < 0 ||
        config_vcenter_endpoint(vcenter, host, &port, err) < 0)
        return NULL;
    if (!vcenter->user) {
        err_set(err, ERR_INVALID, "%s: the config names no user (vcenter.user)", host);
        return NULL;
    }
    json_t *json =
        json_pack("{s:s, s:i, s:n, s:n, s:s, s:s, s:s?, s:s?}", "server", host, "port", (int)port,
                  "face", "datacenter", "user", vcenter->user, "password", vcenter->password.value,
                  "thumbprint", vcenter->tls.thumbprint, "ca", vcenter->tls.ca);
    if (!json)
        err_set(err, ERR_INVALID, "%s: the password is not UTF-8", host);
    return json;
}

/* What is missing is said by who would need it. */
static json_t *
cloudstack_of(const struct config_cloudstack *cloudstack)
{
    return json_pack("{s:s?, s:s?, s:s?, s:I, s:s?, s:s?}", "endpoint", cloudstack->endpoint,
                     "api_key", cloudstack->api_key.value, "secret_key",
                     cloudstack->secret_key.value, "timeout_s", (json_int_t)cloudstack->timeout_s,
                     "thumbprint", cloudstack->tls.thumbprint, "ca", cloudstack->tls.ca);
}
