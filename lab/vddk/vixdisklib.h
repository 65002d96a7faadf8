/* The ABI of libvixDiskLib on x86-64 Linux, as far as a reader or writer of disks meets it.
 *
 * Written from the layouts and signatures that the field knows, not from VMware's headers. Sectors
 * are 512 bytes everywhere. A caller that is compiled against something else notices at once: every
 * offset is asserted below.
 */
#ifndef LAB_VDDK_VIXDISKLIB_H
#define LAB_VDDK_VIXDISKLIB_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#define VIX_SECTOR_BYTES 512

/* The low 16 bits of a VixError are the code, what is above them are sub-errors. */
#define VIX_CODE(error) ((error)&0xffff)

enum vix_code {
    VIX_OK = 0,
    VIX_E_FAIL = 1,
    VIX_E_OUT_OF_MEMORY = 2,
    VIX_E_INVALID_ARG = 3,
    VIX_E_FILE_NOT_FOUND = 4,
    VIX_E_OBJECT_IS_BUSY = 5,
    VIX_E_NOT_SUPPORTED = 6,
    VIX_E_FILE_ERROR = 7,
    VIX_E_DISK_FULL = 8,
    VIX_E_INCORRECT_FILE_TYPE = 9,
    VIX_E_CANCELLED = 10,
    VIX_E_FILE_READ_ONLY = 11,
    VIX_E_FILE_ACCESS_ERROR = 13,
    VIX_E_FILE_ALREADY_LOCKED = 15,
    VIX_E_BUFFER_TOOSMALL = 24,
    VIX_E_HOST_NOT_CONNECTED = 26,
    VIX_E_NEED_KEY = 30,
    VIX_E_AUTHENTICATION_FAIL = 35,
    VIX_E_HOST_CONNECTION_LOST = 36,
    VIX_E_HOST_SERVER_NOT_FOUND = 14008,
    VIX_E_HOST_NETWORK_CONN_REFUSED = 14009,
    VIX_E_HOST_TCP_SOCKET_ERROR = 14010,
    VIX_E_HOST_TCP_CONN_LOST = 14011,
    VIX_E_DISK_OUTOFRANGE = 16007,
    VIX_E_DISK_OPENPARENT = 16012,
    VIX_E_DISK_KEY_NOTFOUND = 16052,
    VIX_E_DISK_SUBSYSTEM_INIT_FAIL = 16053,
    VIX_E_DISK_INVALID_CONNECTION = 16054,
    VIX_E_DISK_NOLICENSE = 16064,
    VIX_E_CANNOT_CONNECT_TO_HOST = 18000,
    VIX_ASYNC = 25000,
    VIX_E_ASYNC_MIXEDMODE_UNSUPPORTED = 26000,
};

enum vix_cred {
    VIX_CRED_UID = 1,
    VIX_CRED_SESSIONID = 2,
};

enum vix_open_flag {
    VIX_OPEN_UNBUFFERED = 1,
    VIX_OPEN_SINGLE_LINK = 2,
    VIX_OPEN_READ_ONLY = 4,
    VIX_OPEN_COMPRESSION_ZLIB = 16,
    VIX_OPEN_COMPRESSION_FASTLZ = 32,
    VIX_OPEN_COMPRESSION_SKIPZ = 64,
};

#define VIX_MIN_CHUNK_SECTORS 128
#define VIX_MAX_CHUNKS 524288

struct vix_connect_params {
    char *vmx_spec;
    char *server_name;
    char *thumb_print;
    long private_use;
    int cred_type;
    union {
        struct {
            char *user_name, *password;
        } uid;
        struct {
            char *cookie, *user_name, *key;
        } session;
    };
    uint32_t port;
    uint32_t nfc_host_port;
    char *vim_api_ver;
    char reserved[8];
    void *state;
    void *spec[3];
    int spec_type;
};
_Static_assert(sizeof(struct vix_connect_params) == 128, "size");
_Static_assert(offsetof(struct vix_connect_params, cred_type) == 32, "credType");
_Static_assert(offsetof(struct vix_connect_params, uid.user_name) == 40, "creds");
_Static_assert(offsetof(struct vix_connect_params, port) == 64, "port");
_Static_assert(offsetof(struct vix_connect_params, vim_api_ver) == 72, "vimApiVer");
_Static_assert(offsetof(struct vix_connect_params, state) == 88, "state");
_Static_assert(offsetof(struct vix_connect_params, spec_type) == 120, "specType");

struct vix_geometry {
    uint32_t cylinders, heads, sectors;
};

struct vix_info {
    struct vix_geometry bios_geo, phys_geo;
    uint64_t capacity; /* sectors */
    int adapter_type;
    int num_links;
    char *parent_file_name_hint;
    char *uuid;
    uint32_t logical_sector_size, physical_sector_size; /* of a library of 7 and later */
};
_Static_assert(sizeof(struct vix_info) == 64, "size");
_Static_assert(offsetof(struct vix_info, capacity) == 24, "capacity");
_Static_assert(offsetof(struct vix_info, logical_sector_size) == 56, "logicalSectorSize");

struct vix_block {
    uint64_t offset, length; /* sectors */
};

struct vix_block_list {
    uint32_t num_blocks;
    struct vix_block blocks[];
};
_Static_assert(offsetof(struct vix_block_list, blocks) == 8, "blocks");

struct vix_connection;
struct vix_handle;

typedef void vix_log_fn(const char *fmt, va_list ap);
typedef void vix_completion_fn(void *data, uint64_t result);

uint64_t VixDiskLib_InitEx(uint32_t major, uint32_t minor, vix_log_fn *log, vix_log_fn *warn,
                           vix_log_fn *panic, const char *lib_dir, const char *config_file);
void VixDiskLib_Exit(void);
char *VixDiskLib_GetErrorText(uint64_t error, const char *locale);
void VixDiskLib_FreeErrorText(char *text);

struct vix_connect_params *VixDiskLib_AllocateConnectParams(void);
void VixDiskLib_FreeConnectParams(struct vix_connect_params *params);
uint64_t VixDiskLib_ConnectEx(const struct vix_connect_params *params, char read_only,
                              const char *snapshot_ref, const char *transport_modes,
                              struct vix_connection **ret);
uint64_t VixDiskLib_Disconnect(struct vix_connection *connection);
uint64_t VixDiskLib_PrepareForAccess(const struct vix_connect_params *params, const char *identity);
uint64_t VixDiskLib_EndAccess(const struct vix_connect_params *params, const char *identity);
uint64_t VixDiskLib_Cleanup(const struct vix_connect_params *params, uint32_t *ret_cleaned,
                            uint32_t *ret_remaining);
const char *VixDiskLib_ListTransportModes(void);

uint64_t VixDiskLib_Open(struct vix_connection *connection, const char *path, uint32_t flags,
                         struct vix_handle **ret);
uint64_t VixDiskLib_Close(struct vix_handle *handle);
const char *VixDiskLib_GetTransportMode(struct vix_handle *handle);
uint64_t VixDiskLib_GetInfo(struct vix_handle *handle, struct vix_info **ret);
void VixDiskLib_FreeInfo(struct vix_info *info);
uint64_t VixDiskLib_GetMetadataKeys(struct vix_handle *handle, char *keys, size_t len,
                                    size_t *ret_need);
uint64_t VixDiskLib_ReadMetadata(struct vix_handle *handle, const char *key, char *value,
                                 size_t len, size_t *ret_need);

uint64_t VixDiskLib_Read(struct vix_handle *handle, uint64_t start, uint64_t n, uint8_t *buf);
uint64_t VixDiskLib_Write(struct vix_handle *handle, uint64_t start, uint64_t n,
                          const uint8_t *buf);
uint64_t VixDiskLib_ReadAsync(struct vix_handle *handle, uint64_t start, uint64_t n, uint8_t *buf,
                              vix_completion_fn *done, void *data);
uint64_t VixDiskLib_WriteAsync(struct vix_handle *handle, uint64_t start, uint64_t n,
                               const uint8_t *buf, vix_completion_fn *done, void *data);
uint64_t VixDiskLib_Flush(struct vix_handle *handle);
uint64_t VixDiskLib_Wait(struct vix_handle *handle);
uint64_t VixDiskLib_QueryAllocatedBlocks(struct vix_handle *handle, uint64_t start, uint64_t n,
                                         uint64_t chunk, struct vix_block_list **ret);
uint64_t VixDiskLib_FreeBlockList(struct vix_block_list *list);

#endif
