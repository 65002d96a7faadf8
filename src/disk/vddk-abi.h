/* The binary interface of libvixDiskLib (VDDK) on x86-64 Linux, as far as a reader needs it.
 *
 * Written from the published layouts of versions 6.7 to 9; there is no header of VMware's here.
 * Older versions know shorter structs, and a larger one that is zero where they end does them no
 * harm. Sectors are 512 bytes everywhere, whatever the disk's own sectors are.
 */
#ifndef DISK_VDDK_ABI_H
#define DISK_VDDK_ABI_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

/* A VixError: its low 16 bits are the code, what is above them says where it arose. */
#define VDDK_CODE(error) ((unsigned)((error)&0xffff))

#define VDDK_OK 0
#define VDDK_ASYNC 25000 /* of ReadAsync: accepted, the callback has the result */

#define VDDK_OPEN_READ_ONLY 4

/* QueryAllocatedBlocks. */
#define VDDK_CHUNK_SECTORS 128   /* the smallest chunk: 64 KiB */
#define VDDK_QUERY_CHUNKS 524288 /* the most of one question */

enum vddk_cred_type { VDDK_CRED_UID = 1, VDDK_CRED_SESSION_ID = 2 };

struct vddk_connect_params {
    char *vmx_spec; /* "moref=vm-16" */
    char *server_name;
    char *thumbprint;
    long private_use;
    int cred_type;
    union {
        struct {
            char *user_name;
            char *password;
        } uid;
        struct {
            char *cookie;
            char *user_name;
            char *key;
        } session;
    } creds;
    uint32_t port;
    uint32_t nfc_host_port;
    char *vim_api_version; /* versions before 6.7 end here */
    char reserved[8];
    void *state;
    void *spec[3];
    int spec_type;
};
_Static_assert(offsetof(struct vddk_connect_params, vmx_spec) == 0, "vmxSpec");
_Static_assert(offsetof(struct vddk_connect_params, server_name) == 8, "serverName");
_Static_assert(offsetof(struct vddk_connect_params, thumbprint) == 16, "thumbPrint");
_Static_assert(offsetof(struct vddk_connect_params, private_use) == 24, "privateUse");
_Static_assert(offsetof(struct vddk_connect_params, cred_type) == 32, "credType");
_Static_assert(offsetof(struct vddk_connect_params, creds.uid.user_name) == 40, "userName");
_Static_assert(offsetof(struct vddk_connect_params, creds.uid.password) == 48, "password");
_Static_assert(offsetof(struct vddk_connect_params, creds.session.cookie) == 40, "cookie");
_Static_assert(offsetof(struct vddk_connect_params, creds.session.user_name) == 48, "userName");
_Static_assert(offsetof(struct vddk_connect_params, creds.session.key) == 56, "key");
_Static_assert(offsetof(struct vddk_connect_params, port) == 64, "port");
_Static_assert(offsetof(struct vddk_connect_params, nfc_host_port) == 68, "nfcHostPort");
_Static_assert(offsetof(struct vddk_connect_params, vim_api_version) == 72, "vimApiVer");
_Static_assert(offsetof(struct vddk_connect_params, reserved) == 80, "reserved");
_Static_assert(offsetof(struct vddk_connect_params, state) == 88, "state");
_Static_assert(offsetof(struct vddk_connect_params, spec) == 96, "spec");
_Static_assert(offsetof(struct vddk_connect_params, spec_type) == 120, "specType");
_Static_assert(sizeof(struct vddk_connect_params) == 128, "VixDiskLibConnectParams");

struct vddk_geometry {
    uint32_t cylinders, heads, sectors;
};

struct vddk_info {
    struct vddk_geometry bios_geometry, physical_geometry;
    uint64_t capacity; /* sectors */
    int adapter_type;
    int n_links;
    char *parent_file_name_hint;
    char *uuid;
    uint32_t logical_sector_size, physical_sector_size; /* of version 7 and later */
};
_Static_assert(offsetof(struct vddk_info, bios_geometry) == 0, "biosGeo");
_Static_assert(offsetof(struct vddk_info, physical_geometry) == 12, "physGeo");
_Static_assert(offsetof(struct vddk_info, capacity) == 24, "capacity");
_Static_assert(offsetof(struct vddk_info, adapter_type) == 32, "adapterType");
_Static_assert(offsetof(struct vddk_info, n_links) == 36, "numLinks");
_Static_assert(offsetof(struct vddk_info, parent_file_name_hint) == 40, "parentFileNameHint");
_Static_assert(offsetof(struct vddk_info, uuid) == 48, "uuid");
_Static_assert(offsetof(struct vddk_info, logical_sector_size) == 56, "logicalSectorSize");
_Static_assert(offsetof(struct vddk_info, physical_sector_size) == 60, "physicalSectorSize");
_Static_assert(sizeof(struct vddk_info) == 64, "VixDiskLibInfo");

struct vddk_block {
    uint64_t offset, length; /* sectors */
};
_Static_assert(offsetof(struct vddk_block, length) == 8, "length");
_Static_assert(sizeof(struct vddk_block) == 16, "VixDiskLibBlock");

struct vddk_block_list {
    uint32_t n_blocks;
    struct vddk_block blocks[];
};
_Static_assert(offsetof(struct vddk_block_list, blocks) == 8, "VixDiskLibBlockList");

struct vddk_connection;
struct vddk_handle;

typedef void vddk_log_fn(const char *fmt, va_list ap);
typedef void vddk_completion_fn(void *data, uint64_t error);

/* The functions by their names without "VixDiskLib_". */
struct vddk_api {
    uint64_t (*init_ex)(uint32_t major, uint32_t minor, vddk_log_fn *log, vddk_log_fn *warn,
                        vddk_log_fn *panic, const char *lib_dir, const char *config_file);
    void (*exit)(void);
    char *(*get_error_text)(uint64_t error, const char *locale);
    void (*free_error_text)(char *text);
    void (*free_connect_params)(struct vddk_connect_params *params);
    uint64_t (*connect_ex)(const struct vddk_connect_params *params, char read_only,
                           const char *snapshot, const char *transports,
                           struct vddk_connection **ret);
    uint64_t (*disconnect)(struct vddk_connection *connection);
    uint64_t (*open)(struct vddk_connection *connection, const char *path, uint32_t flags,
                     struct vddk_handle **ret);
    uint64_t (*close)(struct vddk_handle *handle);
    const char *(*get_transport_mode)(struct vddk_handle *handle);
    uint64_t (*get_info)(struct vddk_handle *handle, struct vddk_info **ret);
    void (*free_info)(struct vddk_info *info);
    uint64_t (*read)(struct vddk_handle *handle, uint64_t start, uint64_t n, uint8_t *data);

    /* NULL in older versions. */
    struct vddk_connect_params *(*allocate_connect_params)(void);
    uint64_t (*read_async)(struct vddk_handle *handle, uint64_t start, uint64_t n, uint8_t *data,
                           vddk_completion_fn *done, void *arg);
    uint64_t (*wait)(struct vddk_handle *handle);
    uint64_t (*query_allocated_blocks)(struct vddk_handle *handle, uint64_t start, uint64_t n,
                                       uint64_t chunk, struct vddk_block_list **ret);
    uint64_t (*free_block_list)(struct vddk_block_list *list);
};

#endif
