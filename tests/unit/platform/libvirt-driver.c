/* Calls one operation of -o libvirt, for the tests from outside:
 *
 * libvirt-driver OPERATION '{"uri", "pool", "dir", "name", "uuid", "id", "xml", "networks": [...]}'
 *
 * prints {"ok": true, ...} or {"ok": false, "kind", "text"}. */
#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "platform/platform.h"
#include "wire/json.h"

static int
find_dir(const struct placement *p, json_t *said, struct err *err)
{
    char *dir = NULL;
    if (platform_libvirt.find_dir(p, &dir, err) < 0)
        return -1;
    json_object_set_new(said, "dir", json_string(dir));
    free(dir);
    return 0;
}

static int
has_kvm(const struct placement *p, json_t *said, struct err *err)
{
    bool kvm = false;
    if (platform_libvirt.has_kvm(p, &kvm, err) < 0)
        return -1;
    json_object_set_new(said, "kvm", json_boolean(kvm));
    return 0;
}

static int
look(const struct placement *p, json_t *said, struct err *err)
{
    struct platform_look look = { .there = false };
    if (platform_libvirt.look(p, &look, err) < 0)
        return -1;
    json_object_set_new(said, "there", json_boolean(look.there));
    json_object_set_new(said, "ours", json_boolean(look.ours));
    json_object_set_new(said, "running", json_boolean(look.running));
    json_object_set_new(said, "started", json_boolean(look.started));
    return 0;
}

static int
act(const char *op, const struct placement *p, json_t *said, struct err *err)
{
    const struct {
        const char *name;
        int (*run)(const struct placement *, struct err *);
    } plain[] = {
        { "check", platform_libvirt.check }, { "define", platform_libvirt.define },
        { "start", platform_libvirt.start }, { "undo", platform_libvirt.undo },
        { "place", platform_libvirt.place },
    };
    for (size_t i = 0; i < ARRAY_LEN(plain); i++)
        if (strcmp(op, plain[i].name) == 0)
            return plain[i].run(p, err);
    return strcmp(op, "find-dir") == 0  ? find_dir(p, said, err)
           : strcmp(op, "has-kvm") == 0 ? has_kvm(p, said, err)
           : strcmp(op, "look") == 0    ? look(p, said, err)
                                        : err_set(err, ERR_INVALID, "no operation '%s'", op);
}

int
main(int argc, char **argv)
{
    struct err err = ERR_INIT;
    auto_json json_t *given = argc == 3 ? json_parse_object(argv[2], strlen(argv[2]), &err) : NULL;
    auto_json json_t *said = json_object();
    if (!given || !said) {
        fprintf(stderr, "libvirt-driver: %s\n", *err.text ? err.text : "two arguments are needed");
        return 2;
    }
    struct placement p = {
        .dir = json_get_str(given, "dir", NULL),
        .name = json_get_str(given, "name", NULL),
        .uuid = json_get_str(given, "uuid", NULL),
        .id = json_get_str(given, "id", NULL),
        .file_mode = 0644,
        .made_xml = json_get_str(given, "xml", NULL),
        .host = { .uri = json_get_str(given, "uri", NULL),
                  .pool = json_get_str(given, "pool", NULL) },
    };
    size_t i;
    json_t *network;
    json_array_foreach (json_object_get(given, "networks"), i, network)
        if (i < VM_MAX_NICS)
            p.host.networks[p.host.n_networks++] = json_string_value(network);
    int r = act(argv[1], &p, said, &err);
    json_object_set_new(said, "ok", json_boolean(r == 0));
    if (r < 0) {
        json_object_set_new(said, "kind", json_string(err_kind_name(err.kind)));
        json_object_set_new(said, "text", json_text(err.text));
    }
    json_dumpf(said, stdout, 0);
    printf("\n");
    return r < 0 ? 1 : 0;
}
