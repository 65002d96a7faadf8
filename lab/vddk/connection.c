/* Connect params, ConnectEx and Disconnect. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "disk.h"

#define PORT_MAX 65535
#define IDENTITY_MAX 50

static pthread_mutex_t list_lock = PTHREAD_MUTEX_INITIALIZER;
static struct vix_connection *connections; /* closed ones stay, so that they are known again */

static void check_params(const struct vix_connect_params *params, const char *function);
static void keep_strings(struct vix_connection *connection,
                         const struct vix_connect_params *params);

/* ---- params ---- */

EXPORT struct vix_connect_params *
VixDiskLib_AllocateConnectParams(void)
{
    watch_call("AllocateConnectParams");
    struct vix_connect_params *params = calloc(1, sizeof *params);
    if (params)
        watch_given(WATCH_PARAMS, params);
    return params;
}

EXPORT void
VixDiskLib_FreeConnectParams(struct vix_connect_params *params)
{
    watch_call("FreeConnectParams");
    if (!params)
        return;
    watch_back(WATCH_PARAMS, params, "FreeConnectParams");
    memset(params, 0xa5, sizeof *params);
    free(params);
}

static void
check_member(const char *function, const char *name, const char *value)
{
    if (!value)
        violation("%s with %s NULL: the real library crashes", function, name);
}

static void
check_params(const struct vix_connect_params *params, const char *function)
{
    if (!params)
        violation("%s without params", function);
    if (params->state || params->private_use)
        violation("%s: params were not zeroed: privateUse or state is set", function);
    if (params->port > PORT_MAX || params->nfc_host_port > PORT_MAX)
        violation("%s: port %u and nfcHostPort %u: no ports; were params zeroed?", function,
                  params->port, params->nfc_host_port);
    if (!params->vmx_spec && !params->server_name)
        return; /* files of this machine */
    check_member(function, "vmxSpec", params->vmx_spec);
    check_member(function, "serverName", params->server_name);
    if (params->cred_type == VIX_CRED_UID) {
        check_member(function, "userName", params->uid.user_name);
        check_member(function, "password", params->uid.password);
    } else if (params->cred_type == VIX_CRED_SESSIONID) {
        check_member(function, "cookie", params->session.cookie);
        check_member(function, "userName", params->session.user_name);
        check_member(function, "key", params->session.key);
    } else {
        violation("%s with credType %d: 1 is a user, 2 a session", function, params->cred_type);
    }
    if (params->spec_type != 0)
        violation("%s with specType %d: 0 is the one that means a VM in every version", function,
                  params->spec_type);
    if (strncmp(params->vmx_spec, "moref=", 6) != 0 && !strstr(params->vmx_spec, "?dcPath="))
        violation("%s with vmxSpec \"%s\": moref=... or PATH.vmx?dcPath=..&dsName=..", function,
                  params->vmx_spec);
}

/* ---- connect ---- */

EXPORT uint64_t
VixDiskLib_ConnectEx(const struct vix_connect_params *params, char read_only,
                     const char *snapshot_ref, const char *transport_modes,
                     struct vix_connection **ret)
{
    static _Atomic uint64_t n_connects;
    watch_control("ConnectEx");
    check_params(params, "ConnectEx");
    if (!ret)
        violation("ConnectEx without a place for the connection");
    if (snapshot_ref && (!params->vmx_spec || strchr(snapshot_ref, '=') || !*snapshot_ref))
        violation("ConnectEx with snapshotRef \"%s\": the bare moref of a snapshot of the machine",
                  snapshot_ref);
    const struct fault *fault = fault_hit(FAULT_CONNECT, atomic_fetch_add(&n_connects, 1) + 1);
    if (fault) {
        fault_act(fault);
        watch_control_end();
        return fault->value;
    }
    struct vix_connection *connection = calloc(1, sizeof *connection);
    if (!connection) {
        watch_control_end();
        return VIX_E_OUT_OF_MEMORY;
    }
    connection->remote = params->server_name != NULL;
    connection->read_only = read_only != 0;
    connection->foreign_params = variant.has_allocate && !watch_is_given(WATCH_PARAMS, params);
    connection->cred_type = params->cred_type;
    connection->port = params->port ? params->port : 443;
    connection->nfc_port = params->nfc_host_port ? params->nfc_host_port : 902;
    connection->snapshot = snapshot_ref ? strdup(snapshot_ref) : NULL;
    connection->transports = transport_modes ? strdup(transport_modes) : NULL;
    keep_strings(connection, params);
    pthread_mutex_lock(&list_lock);
    connection->next = connections;
    connections = connection;
    pthread_mutex_unlock(&list_lock);
    log_line(LOG_INFO, "VixDiskLib_ConnectEx: vmxSpec %s, server %s, transport modes %s",
             params->vmx_spec ? params->vmx_spec : "none",
             params->server_name ? params->server_name : "none",
             transport_modes ? transport_modes : "default");
    if (settings.noise)
        log_noise();
    *ret = connection;
    watch_control_end();
    return VIX_OK;
}

static void
keep(struct vix_connection *connection, const char *name, const char *theirs)
{
    if (!theirs)
        return;
    char *copy = strdup(theirs);
    if (!copy)
        violation("no memory for a copy of %s", name);
    connection->kept[connection->n_kept++] = (struct kept){ name, theirs, copy };
}

static void
keep_strings(struct vix_connection *connection, const struct vix_connect_params *params)
{
    keep(connection, "vmxSpec", params->vmx_spec);
    keep(connection, "serverName", params->server_name);
    keep(connection, "thumbPrint", params->thumb_print);
    keep(connection, "vimApiVer", params->vim_api_ver);
    if (params->cred_type == VIX_CRED_UID) {
        keep(connection, "userName", params->uid.user_name);
        keep(connection, "password", params->uid.password);
    } else if (params->cred_type == VIX_CRED_SESSIONID) {
        keep(connection, "cookie", params->session.cookie);
        keep(connection, "userName", params->session.user_name);
        keep(connection, "key", params->session.key);
    }
}

EXPORT uint64_t
VixDiskLib_Disconnect(struct vix_connection *connection)
{
    watch_control("Disconnect");
    connection_check(connection, "Disconnect");
    if (connection->n_handles > 0)
        violation("Disconnect with %u disks open: Close comes first", connection->n_handles);
    connection_check_strings(connection, "Disconnect");
    for (unsigned i = 0; i < connection->n_kept; i++) {
        explicit_bzero(connection->kept[i].copy, strlen(connection->kept[i].copy));
        free(connection->kept[i].copy);
    }
    connection->n_kept = 0;
    free(connection->snapshot);
    free(connection->transports);
    connection->closed = true;
    log_line(LOG_INFO, "VixDiskLib_Disconnect: done");
    watch_control_end();
    return VIX_OK;
}

/* ---- looking after one ---- */

void
connection_check(struct vix_connection *connection, const char *function)
{
    pthread_mutex_lock(&list_lock);
    struct vix_connection *it = connections;
    while (it && it != connection)
        it = it->next;
    pthread_mutex_unlock(&list_lock);
    if (!it)
        violation("%s(%p): no connection of this library", function, (void *)connection);
    if (it->closed)
        violation("%s on a connection that was ended by Disconnect", function);
}

unsigned
connection_count(void)
{
    unsigned n = 0;
    pthread_mutex_lock(&list_lock);
    for (struct vix_connection *it = connections; it; it = it->next)
        n += !it->closed;
    pthread_mutex_unlock(&list_lock);
    return n;
}

void
connections_free(void)
{
    while (connections) {
        struct vix_connection *next = connections->next;
        free(connections);
        connections = next;
    }
}

void
connection_check_strings(const struct vix_connection *connection, const char *function)
{
    for (unsigned i = 0; i < connection->n_kept; i++) {
        const struct kept *kept = &connection->kept[i];
        size_t len = strlen(kept->copy) + 1;
        char *now = malloc(len);
        if (!now)
            return;
        /* Asked of the kernel: what was given back to it shall be told, not crash here. */
        struct iovec ours = { now, len };
        struct iovec theirs = { (void *)(uintptr_t)kept->theirs, len };
        ssize_t got = process_vm_readv(getpid(), &ours, 1, &theirs, 1, 0);
        if (got != (ssize_t)len || memcmp(now, kept->copy, len) != 0)
            violation("%s: the caller's string %s was freed or changed: keep the strings of the "
                      "params alive until after Disconnect",
                      function, kept->name);
        explicit_bzero(now, len);
        free(now);
    }
}

const char *
connection_word(const struct vix_connection *connection, const char *name)
{
    for (unsigned i = 0; i < connection->n_kept; i++)
        if (strcmp(connection->kept[i].name, name) == 0)
            return connection->kept[i].copy;
    return "";
}

static bool
list_has(const char *list, const char *word, size_t len)
{
    while (*list) {
        size_t n = strcspn(list, ":");
        if (n == len && memcmp(list, word, n) == 0)
            return true;
        list += n + (list[n] == ':');
    }
    return false;
}

const char *
connection_transport(const struct vix_connection *connection)
{
    static const char *const names[] = { "san", "hotadd", "nbdssl", "nbd" };
    const char *offered = VixDiskLib_ListTransportModes();
    const char *list = connection->transports ? connection->transports : "san:hotadd:nbdssl:nbd";
    for (size_t n; *list; list += n + (list[n] == ':')) {
        n = strcspn(list, ":");
        if (!list_has("file:san:hotadd:nbdssl:nbd", list, n))
            log_line(LOG_WARN, "Transport mode %.*s is not known", (int)n, list);
        for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++) {
            if (strlen(names[i]) != n || memcmp(names[i], list, n) != 0 ||
                !list_has(offered, list, n))
                continue;
            /* Seen in the field: a block of params of an older layout loses nbdssl in silence. */
            if (strcmp(names[i], "nbdssl") == 0 &&
                (connection->foreign_params || settings.drop_nbdssl))
                continue;
            return names[i];
        }
    }
    return NULL;
}

/* ---- access to the machine as a whole ---- */

EXPORT uint64_t
VixDiskLib_PrepareForAccess(const struct vix_connect_params *params, const char *identity)
{
    watch_control("PrepareForAccess");
    check_params(params, "PrepareForAccess");
    uint64_t r = VIX_OK;
    if (!identity || strlen(identity) > IDENTITY_MAX || !params->vmx_spec)
        r = VIX_E_INVALID_ARG;
    watch_control_end();
    return r;
}

EXPORT uint64_t
VixDiskLib_EndAccess(const struct vix_connect_params *params, const char *identity)
{
    watch_control("EndAccess");
    check_params(params, "EndAccess");
    uint64_t r = identity && params->vmx_spec ? VIX_OK : VIX_E_INVALID_ARG;
    watch_control_end();
    return r;
}

EXPORT uint64_t
VixDiskLib_Cleanup(const struct vix_connect_params *params, uint32_t *ret_cleaned,
                   uint32_t *ret_remaining)
{
    watch_control("Cleanup");
    if (!params || !ret_cleaned || !ret_remaining)
        violation("Cleanup without params or places for its counters");
    if (params->vmx_spec)
        violation("Cleanup with vmxSpec \"%s\": it must be NULL", params->vmx_spec);
    *ret_cleaned = 0;
    *ret_remaining = 0;
    watch_control_end();
    return VIX_OK;
}
