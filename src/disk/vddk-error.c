#include "disk/vddk-error.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "disk/vddk-library.h"
#include "disk/vddk-log.h"

#define LIBRARY_TEXT_MAX 160 /* bytes of the library's own text for a code */

/* Above the code of some errors: a part of the library that says more, in 16 bits of the other 48.
 */
#define SUB_ERROR_LOCK 16392 /* the file is locked */

struct meaning {
    unsigned code;
    enum err_kind kind;
    enum vddk_remedy remedy; /* of a read; what was never open is not opened again but for some */
    const char *way_out;     /* NULL: the library's text says it all */
};

static const char privilege[] =
    "mostly a privilege that the user lacks: give the role "
    "VirtualMachine.Provisioning.DiskRandomRead and VirtualMachine.Provisioning.GetVmFiles, on the "
    "machine and its datastore";
static const char memory[] =
    "the NFC server of the ESXi host has no memory left; backups and other copies from the same "
    "host share it: run fewer at once, or wait for the backup";
static const char port_902[] =
    "TCP port 902 (or the NFC port given) of the ESXi host on which the machine is must be open "
    "from here; vCenter names the host, so that name must resolve here, too";
static const char broken[] = "the connection to the ESXi host broke: look at the network, and "
                             "whether the host is up and not in maintenance mode";
static const char locked[] =
    "the disk is in use: a running machine must be read through a snapshot, and no other tool may "
    "hold the disk";
static const char encrypted[] =
    "the disk is encrypted: the user needs Cryptographer.Access and Cryptographer.Decrypt, and "
    "the transport must be nbdssl";
static const char chain[] =
    "the chain of the disk's snapshots is broken: consolidate the machine's disks in vSphere";
static const char snapshot_gone[] =
    "the snapshot is not there any more, or the path is not the one in its configuration";

static const struct meaning meanings[] = {
    { 2, ERR_UNAVAILABLE, VDDK_SHRINK, memory },
    { 3, ERR_INVALID, VDDK_GIVE_UP,
      "the library refuses an argument: check machine, snapshot and path" },
    { 4, ERR_NOT_FOUND, VDDK_GIVE_UP,
      "there is no such disk: for a snapshot it is the path in the snapshot's configuration that "
      "counts; an independent disk is in no snapshot at all" },
    { 5, ERR_UNAVAILABLE, VDDK_SHRINK, memory },
    { 6, ERR_INVALID, VDDK_GIVE_UP, "choose another transport" },
    { 9, ERR_INVALID, VDDK_GIVE_UP, "this is no disk that the library can read" },
    { 10, ERR_CANCELLED, VDDK_GIVE_UP, NULL },
    { 13, ERR_DENIED, VDDK_GIVE_UP, privilege },
    { 15, ERR_CONFLICT, VDDK_GIVE_UP, locked },
    { 26, ERR_UNAVAILABLE, VDDK_RECONNECT, broken },
    { 30, ERR_DENIED, VDDK_GIVE_UP, encrypted },
    { 32, ERR_DENIED, VDDK_GIVE_UP, privilege },
    { 35, ERR_DENIED, VDDK_GIVE_UP, "wrong user or password, or the session has expired" },
    { 36, ERR_UNAVAILABLE, VDDK_RECONNECT, broken },
    { 13000, ERR_NOT_FOUND, VDDK_GIVE_UP, snapshot_gone },
    { 13001, ERR_NOT_FOUND, VDDK_GIVE_UP, snapshot_gone },
    { 13002, ERR_NOT_FOUND, VDDK_GIVE_UP, snapshot_gone },
    { 13003, ERR_NOT_FOUND, VDDK_GIVE_UP, snapshot_gone },
    { 13004, ERR_NOT_FOUND, VDDK_GIVE_UP, snapshot_gone },
    { 13005, ERR_NOT_FOUND, VDDK_GIVE_UP, snapshot_gone },
    { 13006, ERR_NOT_FOUND, VDDK_GIVE_UP, snapshot_gone },
    { 14008, ERR_UNAVAILABLE, VDDK_RECONNECT,
      "the name of the ESXi host, as vCenter has it, does not resolve here: add it to DNS or to "
      "/etc/hosts" },
    { 14009, ERR_UNAVAILABLE, VDDK_RECONNECT, port_902 },
    { 14010, ERR_UNAVAILABLE, VDDK_RECONNECT, port_902 },
    { 14011, ERR_UNAVAILABLE, VDDK_RECONNECT, broken },
    { 16003, ERR_IO, VDDK_GIVE_UP, chain },
    { 16006, ERR_IO, VDDK_GIVE_UP, chain },
    { 16007, ERR_BUG, VDDK_GIVE_UP, "a read behind the disk's end" },
    { 16008, ERR_IO, VDDK_GIVE_UP, chain },
    { 16012, ERR_IO, VDDK_GIVE_UP, chain },
    { 16014, ERR_DENIED, VDDK_GIVE_UP, encrypted },
    { 16030, ERR_IO, VDDK_GIVE_UP, chain },
    { 16052, ERR_DENIED, VDDK_GIVE_UP, encrypted },
    { 16053, ERR_INVALID, VDDK_GIVE_UP,
      "a part of the library does not start: is lib64/ of the VDDK whole, and is its temporary "
      "directory writable?" },
    { 16054, ERR_UNAVAILABLE, VDDK_RECONNECT, broken },
    { 16064, ERR_DENIED, VDDK_GIVE_UP, privilege },
    { 18000, ERR_UNAVAILABLE, VDDK_RECONNECT,
      "the server cannot be reached: check its name, ports 443 and 902, and that no firewall is "
      "between" },
    { 26000, ERR_BUG, VDDK_RETRY, NULL },
};

static const struct meaning *
find_meaning(unsigned code)
{
    for (size_t i = 0; i < ARRAY_LEN(meanings); i++)
        if (meanings[i].code == code)
            return &meanings[i];
    return NULL;
}

static bool
is_lock(uint64_t error)
{
    for (error >>= 16; error; error >>= 16)
        if (VDDK_CODE(error) == SUB_ERROR_LOCK)
            return true;
    return false;
}

/* "Failed to allocate the requested N bytes": a full NFC server, whatever the code says. */
static bool
is_memory(const char *lines)
{
    return strstr(lines, "ailed to allocate the requested") != NULL;
}

static bool
is_thumbprint(const char *lines)
{
    return strstr(lines, "thumbprint") != NULL;
}

enum vddk_remedy
vddk_error_remedy(uint64_t error, uint64_t log_mark)
{
    char lines[VDDK_LOG_TEXT_MAX];
    const struct meaning *meaning = find_meaning(VDDK_CODE(error));
    vddk_log_since(log_mark, lines, sizeof lines);
    if (is_memory(lines))
        return VDDK_SHRINK;
    if (is_lock(error))
        return VDDK_GIVE_UP;
    /* Libraries before 8.0.2 have one code for all that can go wrong with opening. */
    return meaning ? meaning->remedy : VDDK_RETRY;
}

/* Of a code that says nothing by itself. */
static void
guess(struct meaning *ret, enum vddk_doing doing, uint64_t error, const char *lines)
{
    *ret = (struct meaning){ .kind = ERR_IO };
    if (is_lock(error)) {
        ret->kind = ERR_CONFLICT;
        ret->way_out = locked;
    } else if (is_memory(lines)) {
        ret->kind = ERR_UNAVAILABLE;
        ret->way_out = memory;
    } else if (doing == VDDK_OPENING && is_thumbprint(lines)) {
        ret->kind = ERR_DENIED;
        ret->way_out = "the server's certificate is not the one whose thumbprint was given: give "
                       "the one it has now, if you know that it was changed";
    } else if (doing == VDDK_OPENING) {
        ret->kind = ERR_UNAVAILABLE;
        ret->way_out = "the library says no more; in the field it is a thumbprint that is not the "
                       "server's, port 902 that is closed, a name of a host that does not resolve, "
                       "or a running machine that is not read through a snapshot";
    } else {
        ret->way_out = "the same command again goes on; if it fails at the same place, look at the "
                       "datastore in vSphere";
    }
}

int
vddk_error_set(struct err *err, const char *name, const char *what, enum vddk_doing doing,
               uint64_t error, uint64_t log_mark)
{
    const struct vddk_api *api = &vddk_library()->api;
    char lines[VDDK_LOG_TEXT_MAX], of_library[LIBRARY_TEXT_MAX] = "no reason given";
    vddk_log_since(log_mark, lines, sizeof lines);
    char *text = api->get_error_text ? api->get_error_text(error, NULL) : NULL;
    if (text) {
        snprintf(of_library, sizeof of_library, "%s", text);
        api->free_error_text(text);
    }
    const struct meaning *found = find_meaning(VDDK_CODE(error));
    struct meaning meaning;
    if (found && !is_lock(error) && !is_memory(lines))
        meaning = *found;
    else
        guess(&meaning, doing, error, lines);
    if (VDDK_CODE(error) == 5 && doing == VDDK_OPENING && !is_memory(lines)) {
        meaning.kind = ERR_CONFLICT;
        meaning.way_out = locked;
    }
    return err_set(err, meaning.kind, "%s: %s: %s (VixError %" PRIu64 ")%s%s%s%s%s", name, what,
                   of_library, error, meaning.way_out ? ": " : "",
                   meaning.way_out ? meaning.way_out : "", lines[0] ? " (the library's log: " : "",
                   lines, lines[0] ? ")" : "");
}
