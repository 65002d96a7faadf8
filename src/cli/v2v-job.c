#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/v2v.h"

#define KEY_MAX 65536 /* bytes of one line of --keys-from-stdin */

static json_t *
strings(const char *const *texts, size_t n)
{
    json_t *array = json_array();
    for (size_t i = 0; array && i < n; i++)
        if (json_array_append_new(array, json_string(texts[i])) < 0) {
            json_decref(array);
            return NULL; /* not UTF-8 */
        }
    return array;
}

/* Each line is tried on every encrypted disk, which is what virt-v2v does with them in turn. */
static int
add_keys_from_stdin(json_t *keys, struct err *err)
{
    auto_free char *line = NULL;
    size_t cap = 0;
    ssize_t len;
    while ((len = getline(&line, &cap, stdin)) >= 0) {
        if (len > KEY_MAX || json_array_size(keys) == OPT_LIST_MAX)
            return err_set(err, ERR_INVALID, "--keys-from-stdin: more or longer keys than %d",
                           OPT_LIST_MAX);
        line[strcspn(line, "\n")] = '\0';
        if (json_array_append_new(keys, json_sprintf("all:key:%s", line)) < 0)
            return err_set(err, ERR_INVALID, "--keys-from-stdin: a key is not UTF-8");
        explicit_bzero(line, (size_t)len);
    }
    return ferror(stdin) ? err_errno(err, errno, "--keys-from-stdin") : 0;
}

/* The parts of a job. NULL when a text is not UTF-8; json_pack takes them over, also when it then
 * fails. */
static int
input_of(const struct v2v_args *a, char *const *operands, json_t **ret, struct err *err)
{
    size_t n = 0;
    while (operands[n])
        n++;
    if (strcmp(a->input, "libvirt") == 0)
        return v2v_connection_job(a, operands[0], ret, err);
    *ret = json_pack("{s:s, s:o, s:s?}", "kind", a->input, "paths",
                     strings((const char *const *)operands, n), "format", a->input_format);
    return *ret ? 0 : err_set(err, ERR_INVALID, "a name on the command line is not UTF-8");
}

static json_t *
output_of(const struct v2v_args *a)
{
    /* "disk" is virt-v2v's newer word for "local". */
    const char *output_mode = v2v_output(a), *storage = a->storage;
    const char *kind = strcmp(output_mode, "disk") == 0 ? "local" : output_mode;
    bool preallocated = a->allocation && strcmp(a->allocation, "preallocated") == 0;
    bool libvirt = strcmp(kind, "libvirt") == 0;
    if (libvirt && !storage)
        storage = "default";
    bool pool = libvirt && *storage != '/';
    json_t *output = json_pack(
        "{s:s, s:s?, s:s?, s:s, s:b}", "kind", kind, "dir", pool ? NULL : storage, "name", a->name,
        "disk_format", a->disk_format ? a->disk_format : "raw", "preallocated", preallocated);
    json_t *host = !output || !libvirt ? NULL
                                       : json_pack("{s:s?, s:s?}", "uri", a->output_connection,
                                                   "pool", pool ? storage : NULL);
    if (libvirt && (!host || json_object_update(output, host) < 0)) {
        json_decref(output);
        output = NULL;
    }
    json_decref(host);
    return output;
}

static json_t *
convert_of(const struct v2v_args *a)
{
    return json_pack("{s:b, s:s?, s:s?, s:i, s:b, s:b}", "wanted", !a->no_convert, "root", a->root,
                     "block_driver", a->block_driver, "memsize_mib", (int)a->memsize_mib,
                     "no_fstrim", a->no_fstrim, "trace", a->trace);
}

static json_t *
nics_of(const struct v2v_args *a)
{
    return json_pack("{s:o, s:o, s:o}", "macs", strings(a->macs.values, a->macs.n), "networks",
                     strings(a->networks.values, a->networks.n), "bridges",
                     strings(a->bridges.values, a->bridges.n));
}

int
v2v_job(const struct v2v_args *a, char *const *operands, json_t **ret_job, struct err *err)
{
    auto_json json_t *keys = strings(a->keys.values, a->keys.n);
    if (keys && a->keys_from_stdin && add_keys_from_stdin(keys, err) < 0)
        return -1;
    json_t *input = NULL;
    if (input_of(a, operands, &input, err) < 0)
        return -1;
    json_t *job = json_pack("{s:s, s:o, s:o, s:o, s:o, s:O, s:I, s:s, s:b}", "action",
                            a->print_source ? "describe" : "migrate", "input", input, "output",
                            output_of(a), "convert", convert_of(a), "nics", nics_of(a), "keys",
                            keys, "limit_bytes_s", (json_int_t)a->limit_bytes_s, "verify",
                            a->verify ? "full" : "none", "discard", a->discard);
    if (!job)
        return err_set(err, ERR_INVALID, "a name on the command line is not UTF-8");
    *ret_job = job;
    return 0;
}
