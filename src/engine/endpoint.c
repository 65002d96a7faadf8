#include "engine/endpoint.h"

#include <string.h>

#include "wire/known-hosts.h"

static int
read_face(const json_t *endpoint, enum vmware_kind *ret, struct err *err)
{
    const char *face = json_get_str(endpoint, "face", NULL);
    *ret = VMWARE_ANY;
    if (!face)
        return 0;
    if (strcmp(face, "vcenter") == 0)
        *ret = VMWARE_VCENTER;
    else if (strcmp(face, "esxi") == 0)
        *ret = VMWARE_ESXI;
    else
        return err_set(err, ERR_INVALID, "'endpoint.face': %s is neither vcenter nor esxi", face);
    return 0;
}

int
endpoint_login(const json_t *endpoint, bool (*cancelled)(void *arg), void *arg,
               struct vmware_session **ret, struct err *err)
{
    struct vmware_options options = {
        .port = (unsigned)json_get_int(endpoint, "port", VMWARE_DEFAULT_PORT),
        .thumbprint = json_get_str(endpoint, "thumbprint", NULL),
        .ca_file = json_get_str(endpoint, "ca", NULL),
        .cancelled = cancelled,
        .cancelled_arg = arg,
    };
    if (json_need_str(endpoint, "server", &options.host, err) < 0 ||
        json_need_str(endpoint, "user", &options.user, err) < 0 ||
        json_need_str(endpoint, "password", &options.password, err) < 0 ||
        read_face(endpoint, &options.expected, err) < 0)
        return -1;
    if (options.port == 0 || options.port > 65535)
        return err_set(err, ERR_INVALID, "'endpoint.port' is no port");

    struct http_tls tls = { .ca_file = options.ca_file, .thumbprint = options.thumbprint };
    struct known_host known;
    if (known_hosts_check(options.host, options.port, &tls, &known, err) < 0)
        return -1;
    if (known.pinned)
        options.thumbprint = known.sha256;
    return vmware_login(&options, ret, err);
}
