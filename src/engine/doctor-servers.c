/* The doctor: do names resolve, do ports answer, who answers there? */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "engine/doctor-probe.h"
#include "engine/reach.h"
#include "wire/http.h"
#include "wire/url.h"

#define GROUP "servers"
#define NFC_PORT 902
#define SSH_PORT 22

static void
say_bad(struct doctor *d, const char *code, const char *what, const char *cause, const char *cure)
{
    doctor_say(
        d,
        &(struct doctor_word){
            .level = DOCTOR_ERROR, .group = GROUP, .code = code, .cause = cause, .cure = cure },
        "%s", what);
}

static void
look_at_certificate(struct doctor *d, const char *host, unsigned port)
{
    struct http_certificate cert;
    struct err err = ERR_INIT;
    char endpoint[URL_ENDPOINT_MAX];
    url_endpoint(host, port, endpoint);
    if (http_peek_certificate(host, port, NULL, &cert, &err) < 0) {
        say_bad(d, "certificate", err.text, "vSphere is spoken to over TLS 1.2 or newer",
                "look whether a vCenter or ESXi answers at this port");
        return;
    }
    doctor_say(d,
               &(struct doctor_word){ .group = GROUP,
                                      .code = "certificate",
                                      .value = cert.sha1,
                                      .origin = "from the server" },
               "%s: %s%s%s; SHA-1 %s, SHA-256 %s", endpoint,
               cert.trusted ? "its certificate is signed by a CA of this host"
                            : "its certificate will be kept at its first use",
               cert.trusted ? "" : ": ", cert.trusted ? "" : cert.why, cert.sha1, cert.sha256);
}

static const char *
use_of(unsigned port)
{
    return port == NFC_PORT ? "VDDK reads the disks of an ESXi host through it; HTTPS, export and "
                              "SSH need it not, nor does a vCenter answer there"
           : port == SSH_PORT ? "Xen hosts, and ESXi with -it ssh, are spoken to through it"
                              : "vSphere is spoken to through it";
}

/* named: the port was, and so is wanted; a vCenter needs not answer at 902. */
static void
look_at_port(struct doctor *d, const char *host, const struct reach_addresses *addresses,
             unsigned port, bool named)
{
    struct err err = ERR_INIT;
    char endpoint[URL_ENDPOINT_MAX];
    if (reach_port(host, addresses, port, REACH_LIMIT_NS, &err) < 0) {
        doctor_say(d,
                   &(struct doctor_word){
                       .level = port == NFC_PORT && !named ? DOCTOR_WARNING : DOCTOR_ERROR,
                       .group = GROUP,
                       .code = "port",
                       .cause = use_of(port),
                       .cure = "open this port between this host and that one, and start what "
                               "listens there; vmferry uses no proxy",
                   },
                   "%s", err.text);
        return;
    }
    doctor_say(d, &(struct doctor_word){ .group = GROUP, .code = "port" }, "%s: answers",
               url_endpoint(host, port, endpoint));
    if (port != NFC_PORT && port != SSH_PORT)
        look_at_certificate(d, host, port);
}

/* "name", "name:443", "[::1]:443", "::1". */
static bool
split(const char *text, char host[URL_HOST_MAX], unsigned *ret_port)
{
    const char *end = text + strlen(text), *colon = strrchr(text, ':');
    const char *start = text;
    *ret_port = 0;
    if (*text == '[') {
        start = text + 1;
        end = strchr(text, ']');
        if (!end)
            return false;
        colon = end[1] == ':' ? end + 1 : NULL;
        if (!colon && end[1])
            return false;
    } else if (colon && strchr(text, ':') != colon) {
        colon = NULL; /* an IPv6 address */
    } else if (colon) {
        end = colon;
    }
    size_t len = (size_t)(end - start);
    if (colon) {
        char *rest;
        unsigned long port = strtoul(colon + 1, &rest, 10);
        if (colon[1] < '0' || colon[1] > '9' || *rest || port == 0 || port > 65535)
            return false;
        *ret_port = (unsigned)port;
    }
    if (len == 0 || len >= URL_HOST_MAX)
        return false;
    snprintf(host, URL_HOST_MAX, "%.*s", (int)len, start);
    return true;
}

static void
look_at_server(struct doctor *d, const char *text)
{
    static const unsigned usual[] = { 443, NFC_PORT };
    char host[URL_HOST_MAX], list[REACH_MAX_ADDRESSES * (INET6_ADDRSTRLEN + 2)] = "";
    unsigned port;
    struct reach_addresses addresses;
    struct err err = ERR_INIT;
    if (!split(text, host, &port)) {
        doctor_say(d,
                   &(struct doctor_word){ .level = DOCTOR_ERROR,
                                          .group = GROUP,
                                          .code = "name",
                                          .cause = "a server is a name or an address, with a port "
                                                   "or without",
                                          .cure = "write NAME or NAME:PORT" },
                   "--host %s: is no server", text);
        return;
    }
    if (reach_resolve(host, &addresses, &err) < 0) {
        say_bad(d, "name", err.text,
                "VDDK, HTTPS and export go to ESXi hosts by the names that vCenter knows",
                "enter it in the name server, or in /etc/hosts");
        return;
    }
    for (size_t i = 0, n = 0; i < addresses.n; i++)
        n += (size_t)snprintf(list + n, sizeof list - n, "%s%s", n ? ", " : "",
                              addresses.list[i].text);
    doctor_say(d, &(struct doctor_word){ .group = GROUP, .code = "name" }, "%s: %s", host, list);
    for (size_t i = 0; i < (port ? 1 : ARRAY_LEN(usual)); i++)
        look_at_port(d, host, &addresses, port ? port : usual[i], port != 0);
}

void
doctor_servers(struct doctor *d)
{
    size_t i;
    json_t *host;
    json_array_foreach (json_object_get(d->start, "hosts"), i, host)
        look_at_server(d, json_string_value(host));
}
