/* -i libvirt with its -ic, -it, -io and -ip: which machine of which vCenter, ESXi or Xen host, and
 * how its disks are read. libvirt itself has no part in it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/checked.h"
#include "cli/endpoint.h"
#include "cli/password.h"
#include "cli/v2v.h"
#include "wire/url.h"

#define NFC_PORT 902
#define PORT_MAX 65535

/* The keys of -io. */
enum io {
    IO_LIBDIR,
    IO_THUMBPRINT,
    IO_TRANSPORTS,
    IO_CONFIG,
    IO_NFC_PORT,
    IO_PORT,
    IO_SSH_HOST,
    IO_SSH_PORT,
    IO_SSH_USER,
    IO_SSH_IDENTITY,
    IO_SSH_KNOWN_HOSTS,
    IO_SSH_PASSWORD_FILE,
    N_IO,
};

static const struct {
    const char *key, *arg, *help; /* help NULL: known to virt-v2v, not here */
} io_keys[] = {
    [IO_LIBDIR] = { "vddk-libdir", "DIR",
                    "where VMware's disk library is (found in its usual "
                    "places)" },
    [IO_THUMBPRINT] = { "vddk-thumbprint", "HEX",
                        "SHA-1 (or SHA-256) of the certificate of the server of -ic: only this "
                        "one is accepted" },
    [IO_TRANSPORTS] = { "vddk-transports", "LIST", "nbdssl:nbd, or others that the library has" },
    [IO_CONFIG] = { "vddk-config", "FILE", "configuration file of the library" },
    [IO_NFC_PORT] = { "vddk-nfchostport", "PORT", "where the ESXi hosts serve disks (902)" },
    [IO_PORT] = { "vddk-port", "PORT", "of the server of -ic (443)" },
    [IO_SSH_HOST] = { "ssh-host", "HOST", "-it ssh: the ESXi host, if not reached by its name" },
    [IO_SSH_PORT] = { "ssh-port", "PORT", "-it ssh: its port (22)" },
    [IO_SSH_USER] = { "ssh-user", "USER", "-it ssh: who logs in there (root)" },
    [IO_SSH_IDENTITY] = { "ssh-identity", "FILE", "-it ssh: private key, tried first" },
    [IO_SSH_KNOWN_HOSTS] = { "ssh-known-hosts", "FILE", "-it ssh: keys of known hosts" },
    [IO_SSH_PASSWORD_FILE] = { "ssh-password-file", "FILE",
                               "-it ssh: its first line is the password there" },
    { "vddk-cookie", NULL, NULL },
    { "vddk-file", NULL, NULL },
    { "vddk-snapshot", NULL, NULL },
    { "vddk-compression", NULL, NULL },
    { "vddk-noextents", NULL, NULL },
};

/* Their values; NULL: not given. */
struct io_values {
    char *of[N_IO];
};

static int read_io(const struct v2v_args *args, struct io_values *ret, struct err *err);
static int vsphere_input(const struct v2v_args *args, const struct url *url,
                         const struct io_values *io, const char *machine, json_t **ret,
                         struct err *err);
static int xen_input(const struct v2v_args *args, const struct url *url, const char *machine,
                     json_t **ret, struct err *err);

static void
io_values_done(struct io_values *io)
{
    for (size_t i = 0; i < N_IO; i++)
        free(io->of[i]);
}

static bool
is_vsphere(const struct url *url)
{
    return strcmp(url->scheme, "vpx") == 0 || strcmp(url->scheme, "esx") == 0;
}

static bool
is_xen(const struct url *url)
{
    return strcmp(url->scheme, "xen+ssh") == 0;
}

bool
v2v_print_input_options(const struct v2v_args *args)
{
    bool asked = false;
    for (size_t i = 0; i < args->input_options.n; i++)
        asked = asked || strcmp(args->input_options.values[i], "?") == 0;
    for (size_t i = 0; asked && i < ARRAY_LEN(io_keys); i++)
        if (io_keys[i].help)
            printf("  -io %s=%s\n      %s\n", io_keys[i].key, io_keys[i].arg, io_keys[i].help);
    return asked;
}

/* ---- what can be said at once ---- */

static int
check_transport(const struct v2v_args *args, const struct url *url, struct err *err)
{
    static const char *const known[] = { "auto", "vddk", "ssh", "https", "export" };
    if (is_xen(url) && (args->transport || args->snapshot))
        return err_set(err, ERR_INVALID, "%s is for vSphere: a Xen host is read by SSH",
                       args->transport ? "-it" : "--snapshot");
    for (size_t i = 0; args->transport && i < ARRAY_LEN(known); i++)
        if (strcmp(args->transport, known[i]) == 0)
            return 0;
    if (!args->transport)
        return 0;
    return err_set(err, ERR_INVALID, "-it %s: give vddk, ssh, https, export or auto",
                   args->transport);
}

int
v2v_check_connection(const struct v2v_args *args, struct err *err)
{
    auto_url struct url url = { .port = 0 };
    AUTO(io_values_done) struct io_values io = { { NULL } };
    if (strcmp(args->input, "libvirt") != 0) {
        const char *stray = args->connection        ? "-ic"
                            : args->transport       ? "-it"
                            : args->input_options.n ? "-io"
                            : args->password_file   ? "-ip"
                            : args->snapshot        ? "--snapshot"
                                                    : NULL;
        return stray ? err_set(err, ERR_INVALID, "%s goes with -i libvirt only", stray) : 0;
    }
    if (!args->connection)
        return err_set(err, ERR_INVALID,
                       "-i libvirt without -ic, a machine of the local libvirt, is not supported "
                       "by this version of vmferry: give -ic vpx://, esx:// or xen+ssh://, or save "
                       "the machine's XML and use -i libvirtxml");
    if (url_parse(args->connection, &url, err) < 0)
        return err_prefix(err, "-ic");
    if (!is_vsphere(&url) && !is_xen(&url))
        return err_set(err, ERR_INVALID,
                       "-ic %s:// is not supported by this version of vmferry: give vpx://, "
                       "esx:// or xen+ssh://",
                       url.scheme);
    if (check_transport(args, &url, err) < 0 || read_io(args, &io, err) < 0)
        return -1;
    if (is_xen(&url) && args->input_options.n)
        return err_set(err, ERR_INVALID, "-io is for vSphere: it has nothing for a Xen host");
    return 0;
}

/* ---- -io ---- */

static int
read_one(const char *text, struct io_values *ret, struct err *err)
{
    size_t len = strcspn(text, "=");
    for (size_t i = 0; i < ARRAY_LEN(io_keys); i++) {
        if (strlen(io_keys[i].key) != len || strncmp(io_keys[i].key, text, len) != 0)
            continue;
        if (!io_keys[i].help)
            return err_set(err, ERR_INVALID, "-io %s is not supported by this version of vmferry",
                           io_keys[i].key);
        if (text[len] != '=' || !text[len + 1])
            return err_set(err, ERR_INVALID, "-io %s needs a value: %s=%s", io_keys[i].key,
                           io_keys[i].key, io_keys[i].arg);
        if (ret->of[i])
            return err_set(err, ERR_INVALID, "-io %s is given twice", io_keys[i].key);
        ret->of[i] = strdup(text + len + 1);
        return ret->of[i] ? 0 : err_errno(err, ENOMEM, "-io");
    }
    return err_set(err, ERR_INVALID, "-io %.*s: no such option: -io ? lists them",
                   (int)MIN(len, (size_t)60), text);
}

static int
parse_port(const char *key, const char *text, unsigned fallback, unsigned *ret, struct err *err)
{
    char *end;
    *ret = fallback;
    if (!text)
        return 0;
    errno = 0;
    unsigned long number = strtoul(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || errno || number < 1 || number > PORT_MAX)
        return err_set(err, ERR_INVALID, "-io %s=%.40s: no port, which is 1 to %d", key, text,
                       PORT_MAX);
    *ret = (unsigned)number;
    return 0;
}

static int
read_io(const struct v2v_args *args, struct io_values *ret, struct err *err)
{
    unsigned port;
    for (size_t i = 0; i < args->input_options.n; i++)
        if (read_one(args->input_options.values[i], ret, err) < 0)
            return -1;
    static const enum io ports[] = { IO_NFC_PORT, IO_PORT, IO_SSH_PORT };
    for (size_t i = 0; i < ARRAY_LEN(ports); i++)
        if (parse_port(io_keys[ports[i]].key, ret->of[ports[i]], 0, &port, err) < 0)
            return -1;
    return 0;
}

/* ---- the job ---- */

int
v2v_connection_job(const struct v2v_args *args, const char *machine, json_t **ret, struct err *err)
{
    auto_url struct url url = { .port = 0 };
    AUTO(io_values_done) struct io_values io = { { NULL } };
    if (url_parse(args->connection, &url, err) < 0)
        return err_prefix(err, "-ic");
    if (read_io(args, &io, err) < 0)
        return -1;
    return is_xen(&url) ? xen_input(args, &url, machine, ret, err)
                        : vsphere_input(args, &url, &io, machine, ret, err);
}

/* The value of one key of the query into *ret; which keys there may be. */
static int
take_query(const struct url *url, const char *const *known, struct err *err)
{
    for (const char *at = url->query; at && *at; at += *at == '&') {
        size_t len = strcspn(at, "&"), name = strcspn(at, "=&");
        bool found = len == 0;
        for (const char *const *key = known; *key; key++)
            found = found || (strlen(*key) == name && strncmp(at, *key, name) == 0);
        if (!found)
            return err_set(err, ERR_INVALID,
                           "-ic %s://%s: '%.*s' in the query is not supported by this version of "
                           "vmferry",
                           url->scheme, url->host, (int)MIN(name, (size_t)40), at);
        at += len;
    }
    return 0;
}

static int
query_flag(const struct url *url, const char *name, bool *ret, struct err *err)
{
    auto_free char *value = NULL;
    if (url_query_get(url, name, &value, err) < 0)
        return -1;
    *ret = value && *value && strcmp(value, "0") != 0;
    return 0;
}

/* The password of a file, into a fresh string; NULL without a file. */
static int
read_password(const char *file, char **ret, struct err *err)
{
    char password[PASSWORD_MAX];
    *ret = NULL;
    if (!file)
        return 0;
    if (password_read(file, password, err) < 0)
        return -1;
    *ret = strdup(password);
    password_wipe(password);
    return *ret ? 0 : err_errno(err, ENOMEM, "%s", file);
}

/* As an absolute name, for a process with another working directory. */
static int
absolute(const char *option, const char *file, char **ret, struct err *err)
{
    *ret = NULL;
    if (!file)
        return 0;
    *ret = realpath(file, NULL);
    return *ret ? 0 : err_errno(err, errno, "%s %s", option, file);
}

/* The URL as an endpoint is written: without the query, which is ours to read, and with the port of
 * -io vddk-port. */
static int
make_endpoint(const struct v2v_args *args, const struct url *url, const struct io_values *io,
              json_t **ret, struct err *err)
{
    auto_free char *ca = NULL, *text = NULL;
    char where[URL_ENDPOINT_MAX];
    unsigned port;
    auto_buf struct buf user = BUF_INIT(4 * URL_USER_MAX);
    if (url_query_get(url, "cacert", &ca, err) < 0 ||
        parse_port("vddk-port", io->of[IO_PORT], url->port ? url->port : 443, &port, err) < 0 ||
        (url->has_user && (url_encode(url->user, URL_KEEP_NOTHING, &user, err) < 0 ||
                           buf_add_str(&user, "@", err) < 0)))
        return -1;
    if (url->port && url->port != port)
        return err_set(err, ERR_INVALID, "-io vddk-port=%u: -ic says port %u", port, url->port);
    if (asprintf(&text, "%s://%s%s%s", url->scheme, user.data ? user.data : "",
                 url_endpoint(url->host, port, where), url->path) < 0) {
        text = NULL;
        return err_errno(err, ENOMEM, "-ic");
    }
    struct endpoint_args endpoint = {
        .password_file = args->password_file,
        .thumbprint = io->of[IO_THUMBPRINT],
        .ca = ca,
    };
    return endpoint_make(&endpoint, text, ret, err);
}

static int
make_ssh(const struct io_values *io, json_t **ret, struct err *err)
{
    auto_free char *identity = NULL, *known_hosts = NULL;
    auto_secret char *password = NULL;
    unsigned port;
    if (parse_port("ssh-port", io->of[IO_SSH_PORT], 0, &port, err) < 0 ||
        absolute("-io ssh-identity", io->of[IO_SSH_IDENTITY], &identity, err) < 0 ||
        absolute("-io ssh-known-hosts", io->of[IO_SSH_KNOWN_HOSTS], &known_hosts, err) < 0 ||
        read_password(io->of[IO_SSH_PASSWORD_FILE], &password, err) < 0)
        return -1;
    *ret = json_pack("{s:s?, s:i, s:s?, s:s?, s:s?, s:s?, s:b}", "host", io->of[IO_SSH_HOST],
                     "port", (int)port, "user", io->of[IO_SSH_USER], "password", password,
                     "identity", identity, "known_hosts", known_hosts, "accept_new", false);
    return *ret ? 0 : err_set(err, ERR_INVALID, "-io ssh-...: a value is not UTF-8");
}

static int
vsphere_input(const struct v2v_args *args, const struct url *url, const struct io_values *io,
              const char *machine, json_t **ret, struct err *err)
{
    static const char *const known[] = { "no_verify", "auto_answer", "cacert", NULL };
    auto_json json_t *endpoint = NULL, *ssh = NULL;
    auto_free char *libdir = NULL, *config = NULL;
    unsigned nfc_port;
    bool no_verify;
    if (take_query(url, known, err) < 0 || query_flag(url, "no_verify", &no_verify, err) < 0 ||
        parse_port("vddk-nfchostport", io->of[IO_NFC_PORT], NFC_PORT, &nfc_port, err) < 0 ||
        absolute("-io vddk-libdir", io->of[IO_LIBDIR], &libdir, err) < 0 ||
        absolute("-io vddk-config", io->of[IO_CONFIG], &config, err) < 0 ||
        make_ssh(io, &ssh, err) < 0 || make_endpoint(args, url, io, &endpoint, err) < 0)
        return -1;
    *ret = json_pack("{s:s, s:O, s:s, s:s, s:b, s:b, s:{s:s?, s:s?, s:s?}, s:i, s:O}", "kind",
                     "vsphere", "endpoint", endpoint, "vm", machine, "transport",
                     args->transport ? args->transport : "auto", "snapshot", args->snapshot,
                     "no_verify", no_verify, "vddk", "libdir", libdir, "config", config,
                     "transports", io->of[IO_TRANSPORTS], "nfc_port", (int)nfc_port, "ssh", ssh);
    return *ret ? 0 : err_set(err, ERR_INVALID, "a name on the command line is not UTF-8");
}

/* The query as libvirt has it for its SSH transports. */
static int
xen_input(const struct v2v_args *args, const struct url *url, const char *machine, json_t **ret,
          struct err *err)
{
    static const char *const known[] = { "no_verify", "keyfile", "known_hosts", NULL };
    auto_free char *keyfile = NULL, *hosts = NULL, *identity = NULL, *known_hosts = NULL;
    auto_secret char *password = NULL;
    bool no_verify;
    if (take_query(url, known, err) < 0 || query_flag(url, "no_verify", &no_verify, err) < 0 ||
        url_query_get(url, "keyfile", &keyfile, err) < 0 ||
        url_query_get(url, "known_hosts", &hosts, err) < 0 ||
        absolute("-ic keyfile", keyfile, &identity, err) < 0 ||
        absolute("-ic known_hosts", hosts, &known_hosts, err) < 0 ||
        read_password(args->password_file, &password, err) < 0)
        return -1;
    if (strlen(url->path) > 1)
        return err_set(err, ERR_INVALID,
                       "-ic xen+ssh://%s%s: there is nothing behind the host's name", url->host,
                       url->path);
    *ret = json_pack("{s:s, s:s, s:i, s:s?, s:s?, s:s?, s:s?, s:b, s:s}", "kind", "xen-ssh", "host",
                     url->host, "port", (int)url->port, "user", url->has_user ? url->user : NULL,
                     "password", password, "identity", identity, "known_hosts", known_hosts,
                     "accept_new", no_verify, "vm", machine);
    return *ret ? 0 : err_set(err, ERR_INVALID, "a name on the command line is not UTF-8");
}
