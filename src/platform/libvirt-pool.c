#include "platform/libvirt-pool.h"

#include <errno.h>
#include <libvirt/virterror.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/checked.h"
#include "platform/libvirt-xml.h"

#define OFFERED_MAX 8 /* names in an error's text */

static void
pool_cleanup(virStoragePoolPtr *pool)
{
    if (*pool)
        virStoragePoolFree(*pool);
}
#define auto_pool AUTO(pool_cleanup)

static int no_such_pool(virConnectPtr conn, const char *name, struct err *err);
static int read_pool(virStoragePoolPtr pool, struct libvirt_pool *ret, struct err *err);
static void pool_done(struct libvirt_pool *pool);
static int no_such_network(virConnectPtr conn, const char *name, struct err *err);

int
libvirt_pool_find_dir(virConnectPtr conn, struct libvirt_request *request, struct err *err)
{
    auto_pool virStoragePoolPtr pool = virStoragePoolLookupByName(conn, request->pool);
    if (!pool)
        return libvirt_error_is(VIR_ERR_NO_STORAGE_POOL)
                   ? no_such_pool(conn, request->pool, err)
                   : libvirt_error(err, "pool '%s': look for it", request->pool);
    AUTO(pool_done) struct libvirt_pool is = { .active = false };
    if (read_pool(pool, &is, err) < 0)
        return -1;
    if (!is.dir)
        return err_set(err, ERR_INVALID,
                       "pool '%s': is of the type '%s', whose volumes are no files in a directory: "
                       "give a pool of the type dir, fs or netfs",
                       request->pool, is.type);
    if (!is.active)
        return err_set(err, ERR_CONFLICT,
                       "pool '%s': is not active: start it with virsh pool-start", request->pool);
    request->found_dir = TAKE_PTR(is.dir);
    return 0;
}

static int
no_such_pool(virConnectPtr conn, const char *name, struct err *err)
{
    char text[LIBVIRT_NAMES_MAX];
    const char *names[OFFERED_MAX];
    virStoragePoolPtr *pools = NULL;
    size_t n_names = 0;
    int n = virConnectListAllStoragePools(conn, &pools, 0);
    for (int i = 0; i < n && n_names < OFFERED_MAX; i++)
        names[n_names++] = virStoragePoolGetName(pools[i]);
    err_set(err, ERR_NOT_FOUND,
            "pool '%s': there is none of that name in this libvirt; its pools: %s", name,
            libvirt_names(names, n_names, text));
    for (int i = 0; i < n; i++)
        virStoragePoolFree(pools[i]);
    free(pools);
    return -1;
}

static int
read_pool(virStoragePoolPtr pool, struct libvirt_pool *ret, struct err *err)
{
    const char *name = virStoragePoolGetName(pool);
    auto_free char *xml = virStoragePoolGetXMLDesc(pool, 0);
    if (!xml)
        return libvirt_error(err, "pool '%s': read its description", name);
    AUTO(pool_done) struct libvirt_pool is = { .active = virStoragePoolIsActive(pool) == 1 };
    is.name = strdup(name);
    if (!is.name)
        return err_errno(err, ENOMEM, "libvirt");
    if (libvirt_xml_pool(xml, &is.type, &is.dir, err) < 0)
        return -1;
    *ret = is;
    is = (struct libvirt_pool){ .active = false };
    return 0;
}

static void
pool_done(struct libvirt_pool *pool)
{
    free(pool->name);
    free(pool->type);
    free(pool->dir);
}

void
libvirt_pool_refresh(virConnectPtr conn, const struct libvirt_request *request)
{
    auto_pool virStoragePoolPtr pool =
        request->pool  ? virStoragePoolLookupByName(conn, request->pool)
        : request->dir ? virStoragePoolLookupByTargetPath(conn, request->dir)
                       : NULL;
    if (pool)
        virStoragePoolRefresh(pool, 0);
}

/* ---- all pools ---- */

static const char *
why_not(const struct libvirt_pool *pool)
{
    struct stat st;
    if (!pool->dir)
        return "its volumes are no files in a directory";
    if (!pool->active)
        return "it is not active";
    if (stat(pool->dir, &st) < 0 || !S_ISDIR(st.st_mode))
        return "its directory is not there";
    if (access(pool->dir, W_OK | X_OK) < 0)
        return "this user may not write to its directory";
    return NULL;
}

int
libvirt_pool_survey(virConnectPtr conn, struct libvirt_survey *survey, struct err *err)
{
    virStoragePoolPtr *pools = NULL;
    int r = 0, n = virConnectListAllStoragePools(conn, &pools, 0);
    if (n < 0)
        return libvirt_error(err, "list the storage pools");
    for (int i = 0; i < n; i++) {
        if (r == 0 && survey->n_pools < LIBVIRT_MAX_POOLS) {
            struct libvirt_pool *pool = &survey->pools[survey->n_pools];
            r = read_pool(pools[i], pool, err);
            if (r == 0) {
                pool->why = why_not(pool);
                survey->n_pools++;
            }
        } else {
            survey->n_left_out++;
        }
        virStoragePoolFree(pools[i]);
    }
    free(pools);
    return r;
}

void
libvirt_survey_free(struct libvirt_survey *survey)
{
    free(survey->uri);
    for (size_t i = 0; i < survey->n_pools; i++)
        pool_done(&survey->pools[i]);
    *survey = (struct libvirt_survey){ .n_pools = 0 };
}

/* ---- networks ---- */

static int
check_network(virConnectPtr conn, const char *name, struct err *err)
{
    virNetworkPtr network = virNetworkLookupByName(conn, name);
    if (!network)
        return libvirt_error_is(VIR_ERR_NO_NETWORK)
                   ? no_such_network(conn, name, err)
                   : libvirt_error(err, "network '%s': look for it", name);
    bool active = virNetworkIsActive(network) == 1;
    virNetworkFree(network);
    if (active)
        return 0;
    return err_set(err, ERR_CONFLICT,
                   "network '%s': is not active, so the machine would not start: start it with "
                   "virsh net-start",
                   name);
}

int
libvirt_networks_check(virConnectPtr conn, const struct libvirt_request *request, struct err *err)
{
    for (size_t i = 0; i < request->n_networks; i++)
        if (check_network(conn, request->networks[i], err) < 0)
            return -1;
    return 0;
}

static int
no_such_network(virConnectPtr conn, const char *name, struct err *err)
{
    char text[LIBVIRT_NAMES_MAX];
    const char *names[OFFERED_MAX];
    virNetworkPtr *networks = NULL;
    size_t n_names = 0;
    int n = virConnectListAllNetworks(conn, &networks, 0);
    for (int i = 0; i < n && n_names < OFFERED_MAX; i++)
        names[n_names++] = virNetworkGetName(networks[i]);
    err_set(err, ERR_NOT_FOUND,
            "network '%s': there is none of that name in this libvirt, whose networks are: %s: map "
            "it to one of them, or to a bridge",
            name, libvirt_names(names, n_names, text));
    for (int i = 0; i < n; i++)
        virNetworkFree(networks[i]);
    free(networks);
    return -1;
}
