#include "engine/job.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "model/spec-fields.h"
#include "model/spec.h"

#define PORT_MAX 65535
#define NFC_PORT 902

static const char *const input_names[] = {
    [JOB_INPUT_OVA] = "ova",
    [JOB_INPUT_DISK] = "disk",
    [JOB_INPUT_LIBVIRTXML] = "libvirtxml",
    [JOB_INPUT_XEN_SSH] = "xen-ssh",
    [JOB_INPUT_VSPHERE] = "vsphere",
    NULL,
};

static int parse_input(const json_t *input, struct job *job, struct err *err);
static int parse_copy(const json_t *start, struct job *job, struct err *err);
static int parse_ssh(const json_t *ssh, struct job *job, struct err *err);
static int parse_vsphere(const json_t *input, struct job *job, struct err *err);
static int parse_output(const json_t *output, struct job *job, struct err *err);
static int parse_host(const json_t *output, struct job *job, struct err *err);
static int parse_convert(const json_t *convert, struct job *job, struct err *err);
static int parse_strings(const json_t *obj, const char *key, const char ***ret, struct err *err);

int
job_parse(const json_t *start, struct job *ret_job, struct err *err)
{
    struct job *job = ret_job;
    *job = (struct job){ .describe = false };
    const char *action;
    if (json_need_str(start, "action", &action, err) < 0)
        return -1;
    job->describe = strcmp(action, "describe") == 0;
    if (!job->describe && strcmp(action, "migrate") != 0)
        return err_set(err, ERR_INVALID, "'action': no such action: %s", action);
    const json_t *nics = json_object_get(start, "nics");
    if (parse_input(json_object_get(start, "input"), job, err) < 0 ||
        parse_output(json_object_get(start, "output"), job, err) < 0 ||
        parse_convert(json_object_get(start, "convert"), job, err) < 0 ||
        parse_strings(nics, "macs", &job->macs, err) < 0 ||
        parse_strings(nics, "networks", &job->networks, err) < 0 ||
        parse_strings(nics, "bridges", &job->bridges, err) < 0 ||
        parse_strings(start, "keys", &job->keys, err) < 0)
        return -1;
    if (parse_copy(start, job, err) < 0 || job_parse_warm(start, job, err) < 0)
        return -1;
    job->discard = json_get_bool(start, "discard", false);
    return 0;
}

void
job_free(struct job *job)
{
    free(job->paths);
    free(job->macs);
    free(job->networks);
    free(job->bridges);
    free(job->keys);
    *job = (struct job){ .describe = false };
}

const char *
job_input_name(enum job_input input)
{
    return input_names[input];
}

const char *
job_transport_name(enum job_transport transport)
{
    return spec_transport_names[transport];
}

const char *
job_source_text(const struct job *job)
{
    return job->n_paths ? job->paths[0] : job->vm;
}

bool
job_find_word(const char *word, const char *const *words, unsigned *ret)
{
    unsigned i = 0;
    while (words[i] && strcmp(word, words[i]) != 0)
        i++;
    if (!words[i])
        return false;
    *ret = i;
    return true;
}

static int
parse_input(const json_t *input, struct job *job, struct err *err)
{
    const char *kind;
    unsigned i;
    if (json_need_str(input, "kind", &kind, err) < 0 ||
        parse_strings(input, "paths", &job->paths, err) < 0)
        return -1;
    if (!job_find_word(kind, input_names, &i))
        return err_set(err, ERR_INVALID, "'input.kind': no such kind of input: %s", kind);
    job->input = (enum job_input)i;
    if (job->input == JOB_INPUT_XEN_SSH)
        return json_need_str(input, "vm", &job->vm, err) < 0 ? -1 : parse_ssh(input, job, err);
    if (job->input == JOB_INPUT_VSPHERE)
        return parse_vsphere(input, job, err);
    while (job->paths[job->n_paths])
        job->n_paths++;
    if (job->n_paths == 0 || (job->n_paths > 1 && job->input != JOB_INPUT_DISK))
        return err_set(err, ERR_INVALID, "'input.paths': %zu are not what '%s' takes", job->n_paths,
                       kind);
    job->input_format = json_get_str(input, "format", NULL);
    return 0;
}

static int
parse_ssh(const json_t *ssh, struct job *job, struct err *err)
{
    uint64_t port = json_get_u64(ssh, "port", 0);
    if (port > PORT_MAX)
        return err_set(err, ERR_INVALID, "'port' of SSH: %" PRIu64 " is no port", port);
    job->ssh = (struct ssh_host){
        .host = json_get_str(ssh, "host", NULL),
        .port = (unsigned)port,
        .user = json_get_str(ssh, "user", NULL),
        .password = json_get_str(ssh, "password", NULL),
        .identity = json_get_str(ssh, "identity", NULL),
        .known_hosts = json_get_str(ssh, "known_hosts", NULL),
    };
    job->ssh_accept_new = json_get_bool(ssh, "accept_new", false);
    if (job->input == JOB_INPUT_XEN_SSH && !job->ssh.host)
        return err_set(err, ERR_INVALID, "'host' is missing or not a string");
    return 0;
}

static int
parse_vsphere(const json_t *input, struct job *job, struct err *err)
{
    const json_t *vddk = json_object_get(input, "vddk");
    const char *transport = json_get_str(input, "transport", "auto");
    unsigned i;
    uint64_t nfc_port = json_get_u64(input, "nfc_port", NFC_PORT);
    if (!job_find_word(transport, spec_transport_names, &i))
        return err_set(err, ERR_INVALID, "'input.transport': no such transport: %s", transport);
    if (nfc_port < 1 || nfc_port > PORT_MAX)
        return err_set(err, ERR_INVALID, "'input.nfc_port': %" PRIu64 " is no port", nfc_port);
    job->vsphere = (struct job_vsphere){
        .endpoint = json_object_get(input, "endpoint"),
        .transport = (enum job_transport)i,
        .snapshot = json_get_bool(input, "snapshot", false),
        .no_verify = json_get_bool(input, "no_verify", false),
        .libdir = json_get_str(vddk, "libdir", NULL),
        .config = json_get_str(vddk, "config", NULL),
        .transports = json_get_str(vddk, "transports", NULL),
        .nfc_port = (unsigned)nfc_port,
    };
    if (!json_is_object(job->vsphere.endpoint))
        return err_set(err, ERR_INVALID, "'input.endpoint' is missing");
    if (json_need_str(input, "vm", &job->vm, err) < 0)
        return -1;
    return parse_ssh(json_object_get(input, "ssh"), job, err);
}

static int
parse_output(const json_t *output, struct job *job, struct err *err)
{
    const char *kind;
    if (json_need_str(output, "kind", &kind, err) < 0 ||
        json_need_str(output, "disk_format", &job->disk_format, err) < 0)
        return -1;
    job->platform = platform_find(kind);
    if (!job->platform)
        return err_set(err, ERR_INVALID, "'output.kind': no such destination: %s", kind);
    if (strcmp(job->disk_format, "raw") != 0 && strcmp(job->disk_format, "qcow2") != 0)
        return err_set(err, ERR_INVALID, "'output.disk_format': %s is neither raw nor qcow2",
                       job->disk_format);
    if (parse_host(output, job, err) < 0)
        return -1;
    job->name = json_get_str(output, "name", NULL);
    job->start = json_get_bool(output, "start", false);
    job->preallocated = json_get_bool(output, "preallocated", false);
    if (job->preallocated && strcmp(job->disk_format, "raw") != 0)
        return err_set(err, ERR_INVALID, "'output.preallocated' is for raw disks");
    return 0;
}

/* Where exactly: a directory, or what the platform finds one by. */
static int
parse_host(const json_t *output, struct job *job, struct err *err)
{
    const char *key;
    json_t *value;
    job->dir = json_get_str(output, "dir", NULL);
    job->uri = json_get_str(output, "uri", NULL);
    job->pool = json_get_str(output, "pool", NULL);
    job->network_map = json_object_get(output, "networks");
    bool either = job->platform->find_dir;
    if (!either && (job->uri || job->pool || json_object_size(job->network_map)))
        return err_set(err, ERR_INVALID, "'output.%s' is not for '%s'",
                       job->uri    ? "uri"
                       : job->pool ? "pool"
                                   : "networks",
                       job->platform->name);
    if (job->dir && job->pool)
        return err_set(err, ERR_INVALID, "'output.dir' and 'output.pool' are both there");
    if (job->platform->keeps && !job->dir && !job->pool && !job->describe)
        return err_set(err, ERR_INVALID, "'output.dir'%s is missing",
                       either ? " or 'output.pool'" : "");
    json_object_foreach ((json_t *)job->network_map, key, value)
        if (!json_string_length(value))
            return err_set(err, ERR_INVALID, "'output.networks': '%s' is mapped to no name", key);
    if (job->network_map && !json_is_object(job->network_map) && !json_is_null(job->network_map))
        return err_set(err, ERR_INVALID, "'output.networks' is no object");
    return 0;
}

static int
parse_convert(const json_t *convert, struct job *job, struct err *err)
{
    uint64_t memsize_mib = json_get_u64(convert, "memsize_mib", 0);
    if (!json_is_object(convert) || memsize_mib > UINT32_MAX)
        return err_set(err, ERR_INVALID, "'convert' is missing or out of range");
    job->convert = json_get_bool(convert, "wanted", true);
    job->root = json_get_str(convert, "root", NULL);
    job->block_driver = json_get_str(convert, "block_driver", NULL);
    job->memsize_mib = (unsigned)memsize_mib;
    job->no_fstrim = json_get_bool(convert, "no_fstrim", false);
    job->trace = json_get_bool(convert, "trace", false);
    job->virtio_win = json_get_str(convert, "virtio_win", NULL);
    return 0;
}

/* A missing list is an empty one. */
static int
parse_strings(const json_t *obj, const char *key, const char ***ret, struct err *err)
{
    const json_t *array = json_object_get(obj, key);
    size_t n = json_array_size(array);
    if ((array && !json_is_array(array)) || n > JOB_MAX_STRINGS)
        return err_set(err, ERR_INVALID, "'%s' is not a list of at most %d strings", key,
                       JOB_MAX_STRINGS);
    *ret = calloc(n + 1, sizeof **ret);
    if (!*ret)
        return err_errno(err, ENOMEM, "'%s'", key);
    for (size_t i = 0; i < n; i++) {
        (*ret)[i] = json_string_value(json_array_get(array, i));
        if (!(*ret)[i])
            return err_set(err, ERR_INVALID, "'%s' holds something that is not a string", key);
    }
    return 0;
}

static int
parse_copy(const json_t *start, struct job *job, struct err *err)
{
    const char *word = json_get_str(start, "verify", spec_verify_names[JOB_VERIFY_NONE]);
    int64_t parallel = json_get_int(start, "parallel_disks", 1);
    unsigned verify;
    if (!job_find_word(word, spec_verify_names, &verify))
        return err_set(err, ERR_INVALID, "'verify': no such word: %s", word);
    if (parallel < 1 || parallel > SPEC_MAX_PARALLEL_DISKS)
        return err_set(err, ERR_INVALID, "'parallel_disks': %" PRId64 " is not between 1 and %d",
                       parallel, SPEC_MAX_PARALLEL_DISKS);
    job->limit_bytes_s = json_get_u64(start, "limit_bytes_s", 0);
    job->verify = (enum job_verify)verify;
    job->parallel_disks = (unsigned)parallel;
    return 0;
}
