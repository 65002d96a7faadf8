#include "disk/vddk-disk.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <string.h>

#include "base/cleanup.h"
#include "disk/vddk-log.h"

#define DEFAULT_TRANSPORTS "nbdssl:nbd"
#define COOKIE_NAME "vmware_soap_session="

#define SHA1_PAIRS 20
#define SHA256_PAIRS 32

/* ConnectEx, Open, Close and Disconnect are not made for two threads at once. */
static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;

/* ---- what it is opened with ---- */

static int
check_remote(const struct source_remote *r, const char *name, struct err *err)
{
    const char *missing = NULL;
    if (!r->path || !*r->path)
        missing = "path";
    else if (r->server && (!r->vm || !*r->vm))
        missing = "vm";
    else if (r->server && (!r->user || !*r->user))
        missing = "user";
    else if (r->server && !r->password && !r->cookie)
        missing = "password";
    if (missing)
        return err_set(err, ERR_INVALID, "%s: '%s' is needed to read a disk with VMware's library",
                       name, missing);
    if (!r->server && r->path[0] != '/')
        return err_set(err, ERR_INVALID,
                       "%s: without a server the path must be that of a file of this host, from / "
                       "on, and '%s' is not",
                       name, r->path);
    return 0;
}

/* "aabb.." or "aa:bb:.." as the library wants it, "AA:BB:..". NULL: neither. The caller frees. */
static char *
thumbprint_of(const char *text)
{
    char hex[2 * SHA256_PAIRS];
    size_t n = 0;
    for (; *text; text++) {
        if (*text == ':' && n > 0 && n % 2 == 0)
            continue;
        if (!isxdigit((unsigned char)*text) || n == sizeof hex)
            return NULL;
        hex[n++] = (char)toupper((unsigned char)*text);
    }
    if (n != 2 * SHA1_PAIRS && n != 2 * SHA256_PAIRS)
        return NULL;
    char *out = malloc(n / 2 * 3);
    for (size_t i = 0; out && i < n / 2; i++) {
        out[3 * i] = hex[2 * i];
        out[3 * i + 1] = hex[2 * i + 1];
        out[3 * i + 2] = i + 1 < n / 2 ? ':' : '\0';
    }
    return out;
}

static char *
copy_of(const char *text, bool *failed)
{
    char *copy = text ? strdup(text) : NULL;
    *failed |= text && !copy;
    return copy;
}

/* A session's cookie has only its value for the library. */
static const char *
cookie_value(const char *cookie)
{
    size_t len = strlen(COOKIE_NAME);
    return cookie && strncmp(cookie, COOKIE_NAME, len) == 0 ? cookie + len : cookie;
}

static void
hide_secrets(struct vddk_access *access)
{
    size_t n = 0;
    if (access->password[0])
        access->secrets[n++] = access->password;
    if (access->cookie)
        access->secrets[n++] = access->cookie;
    access->secrets[n] = NULL;
    vddk_log_hide(access->secrets);
}

int
vddk_access_init(struct vddk_access *access, const struct source_remote *remote, struct err *err)
{
    const char *name = remote->name && *remote->name ? remote->name
                       : remote->path                ? remote->path
                                                     : "a disk";
    *access = (struct vddk_access){ .port = remote->port, .nfc_port = remote->nfc_port };
    if (check_remote(remote, name, err) < 0)
        return -1;
    if (remote->thumbprint && !(access->thumbprint = thumbprint_of(remote->thumbprint)))
        return err_set(err, ERR_INVALID,
                       "%s: '%s' is no thumbprint: it is the SHA-1 of the server's certificate, 20 "
                       "pairs of hex digits with colons",
                       name, remote->thumbprint);
    bool failed = false;
    access->name = copy_of(name, &failed);
    access->server = copy_of(remote->server, &failed);
    access->user = copy_of(remote->user, &failed);
    access->vm = copy_of(remote->vm, &failed);
    access->snapshot = copy_of(remote->snapshot, &failed);
    access->path = copy_of(remote->path, &failed);
    access->password = copy_of(remote->password ? remote->password : "", &failed);
    access->cookie = copy_of(cookie_value(remote->cookie), &failed);
    const char *usual = remote->server ? DEFAULT_TRANSPORTS : NULL;
    access->transports = copy_of(remote->transports ? remote->transports : usual, &failed);
    if (failed)
        return err_errno(err, ENOMEM, "%s", name);
    hide_secrets(access);
    return 0;
}

int
vddk_access_set_cookie(struct vddk_access *access, const char *cookie, struct err *err)
{
    char *copy = strdup(cookie_value(cookie));
    if (!copy)
        return err_errno(err, ENOMEM, "%s", access->name);
    vddk_log_hide(NULL);
    secret_free(access->cookie);
    access->cookie = copy;
    hide_secrets(access);
    return 0;
}

void
vddk_access_done(struct vddk_access *access)
{
    vddk_log_hide(NULL);
    secret_free(access->password);
    secret_free(access->cookie);
    free(access->name);
    free(access->server);
    free(access->user);
    free(access->thumbprint);
    free(access->vm);
    free(access->snapshot);
    free(access->path);
    free(access->transports);
    *access = (struct vddk_access){ 0 };
}

/* ---- opening ---- */

/* The library's own allocation knows how long the struct is for it. */
static struct vddk_connect_params *
new_params(const struct vddk_access *access)
{
    const struct vddk_api *api = &vddk_library()->api;
    struct vddk_connect_params *p =
        api->allocate_connect_params ? api->allocate_connect_params() : calloc(1, sizeof *p);
    if (!p || !access->server)
        return p;
    p->vmx_spec = access->vm;
    p->server_name = access->server;
    p->thumbprint = access->thumbprint;
    p->port = access->port;
    p->nfc_host_port = access->nfc_port;
    if (access->cookie) {
        p->cred_type = VDDK_CRED_SESSION_ID;
        p->creds.session.cookie = access->cookie;
        p->creds.session.user_name = access->user;
        p->creds.session.key = access->password; /* NULL would crash it */
    } else {
        p->cred_type = VDDK_CRED_UID;
        p->creds.uid.user_name = access->user;
        p->creds.uid.password = access->password;
    }
    return p;
}

/* The strings are ours and shared: not even a library that would free them gets them. */
static void
free_params(struct vddk_connect_params *p)
{
    const struct vddk_api *api = &vddk_library()->api;
    if (!p)
        return;
    p->vmx_spec = p->server_name = p->thumbprint = NULL;
    memset(&p->creds, 0, sizeof p->creds);
    if (api->allocate_connect_params)
        api->free_connect_params(p);
    else
        free(p);
}

static uint64_t
connect_and_open(struct vddk_disk *disk, const char **ret_what)
{
    const struct vddk_api *api = &vddk_library()->api;
    const struct vddk_access *access = disk->access;
    *ret_what = "connect";
    uint64_t error =
        api->connect_ex(disk->params, 1, access->snapshot, access->transports, &disk->connection);
    if (VDDK_CODE(error) != VDDK_OK) {
        disk->connection = NULL;
        return error;
    }
    *ret_what = "open";
    error = api->open(disk->connection, access->path, VDDK_OPEN_READ_ONLY, &disk->handle);
    if (VDDK_CODE(error) == VDDK_OK)
        return error;
    disk->handle = NULL;
    api->disconnect(disk->connection);
    disk->connection = NULL;
    return error;
}

int
vddk_disk_open(struct vddk_disk *disk, const struct vddk_access *access,
               enum vddk_remedy *ret_remedy, struct err *err)
{
    *disk = (struct vddk_disk){ .access = access, .params = new_params(access) };
    if (!disk->params) {
        if (ret_remedy)
            *ret_remedy = VDDK_GIVE_UP;
        return err_errno(err, ENOMEM, "%s", access->name);
    }
    const char *what;
    uint64_t mark = vddk_log_mark();
    pthread_mutex_lock(&turn);
    uint64_t error = connect_and_open(disk, &what);
    pthread_mutex_unlock(&turn);
    if (VDDK_CODE(error) == VDDK_OK)
        return 0;
    free_params(disk->params);
    disk->params = NULL;
    if (ret_remedy)
        *ret_remedy = vddk_error_remedy(error, mark);
    return vddk_error_set(err, access->name, what, VDDK_OPENING, error, mark);
}

void
vddk_disk_close(struct vddk_disk *disk)
{
    const struct vddk_api *api = &vddk_library()->api;
    pthread_mutex_lock(&turn);
    if (disk->handle)
        api->close(disk->handle);
    if (disk->connection)
        api->disconnect(disk->connection);
    pthread_mutex_unlock(&turn);
    free_params(disk->params);
    *disk = (struct vddk_disk){ .access = disk->access };
}

/* ---- what it is ---- */

int
vddk_disk_bytes(struct vddk_disk *disk, uint64_t *ret_bytes, struct err *err)
{
    const struct vddk_api *api = &vddk_library()->api;
    const char *name = disk->access->name;
    struct vddk_info *info = NULL;
    uint64_t mark = vddk_log_mark();
    uint64_t error = api->get_info(disk->handle, &info);
    if (VDDK_CODE(error) != VDDK_OK || !info)
        return vddk_error_set(err, name, "ask for its size", VDDK_OPENING, error, mark);
    uint64_t sectors = info->capacity;
    api->free_info(info);
    if (sectors == 0 || sectors > DISK_MAX_BYTES / SECTOR_BYTES)
        return err_set(err, ERR_INVALID,
                       "%s: the library says that the disk has %" PRIu64 " sectors, which cannot "
                       "be: try another version of it, or another transport",
                       name, sectors);
    *ret_bytes = sectors * SECTOR_BYTES;
    return 0;
}

const char *
vddk_disk_transport(struct vddk_disk *disk)
{
    const char *transport = vddk_library()->api.get_transport_mode(disk->handle);
    return transport ? transport : "unknown";
}

/* ---- what is allocated ---- */

/* Runs of allocated sectors, ascending, with holes between. False: that cannot be. */
static bool
is_sound(const struct vddk_block_list *list, uint64_t start, uint64_t n)
{
    uint64_t at = start, end = start + n;
    if (list->n_blocks > n / VDDK_CHUNK_SECTORS)
        return false;
    for (uint32_t i = 0; i < list->n_blocks; i++) {
        const struct vddk_block *block = &list->blocks[i];
        if (block->offset < at || block->offset >= end || block->length == 0 ||
            block->length > end - block->offset)
            return false;
        at = block->offset + block->length;
    }
    return true;
}

/* Holes between data that are shorter than hole_min are data. */
static int
fill_extents(const struct vddk_block_list *list, uint64_t start, uint64_t n, uint64_t hole_min,
             struct extent_list *ret, struct err *err)
{
    uint64_t at = start, end = start + n;
    for (uint32_t i = 0; i <= list->n_blocks; i++) {
        uint64_t from = i < list->n_blocks ? list->blocks[i].offset : end;
        uint64_t len = i < list->n_blocks ? list->blocks[i].length : 0;
        bool hole = (from - at) * SECTOR_BYTES >= hole_min || at == start || len == 0;
        if (from > at &&
            extent_add(ret, at * SECTOR_BYTES, (from - at) * SECTOR_BYTES, hole, err) < 0)
            return -1;
        if (len > 0 && extent_add(ret, from * SECTOR_BYTES, len * SECTOR_BYTES, false, err) < 0)
            return -1;
        at = from + len;
    }
    return 0;
}

int
vddk_disk_allocated(struct vddk_disk *disk, uint64_t offset, uint64_t len, uint64_t hole_min,
                    struct extent_list *ret, uint64_t *ret_error, struct err *err)
{
    const struct vddk_api *api = &vddk_library()->api;
    uint64_t chunk_bytes = VDDK_CHUNK_SECTORS * SECTOR_BYTES;
    uint64_t start = offset / SECTOR_BYTES;
    uint64_t n = round_down(MIN(len, VDDK_QUERY_BYTES), chunk_bytes) / SECTOR_BYTES;
    extent_clear(ret);
    *ret_error = VDDK_OK;
    if (n == 0) /* the tail of the disk: it cannot be asked for */
        return extent_add(ret, offset, len, false, err);
    struct vddk_block_list *list = NULL;
    uint64_t error = api->query_allocated_blocks(disk->handle, start, n, VDDK_CHUNK_SECTORS, &list);
    if (VDDK_CODE(error) != VDDK_OK || !list) {
        *ret_error = VDDK_CODE(error) != VDDK_OK ? error : VDDK_NONSENSE;
        return 0;
    }
    int r = 0;
    if (is_sound(list, start, n))
        r = fill_extents(list, start, n, hole_min, ret, err);
    else
        *ret_error = VDDK_NONSENSE;
    api->free_block_list(list);
    return r;
}
_Static_assert(VDDK_QUERY_BYTES / (VDDK_CHUNK_SECTORS * SECTOR_BYTES) <= VDDK_QUERY_CHUNKS,
               "one question");
_Static_assert(VDDK_CHUNK_SECTORS *SECTOR_BYTES == CLUSTER_BYTES, "a chunk is a cluster");
