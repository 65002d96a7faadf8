#include "disk/source-witness.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "disk/cluster.h"

#define DESCRIPTOR_MAGIC "# Disk DescriptorFile"
#define DESCRIPTOR_MAX 65536 /* bytes of it that we look at */

struct source_witness {
    int fd;
    char *path;
    uint64_t offset, bytes;
    char text[SOURCE_IDENTITY_MAX];
};

static int describe(const struct source_witness *witness, char ret[SOURCE_IDENTITY_MAX],
                    struct err *err);

static void
witness_cleanup(struct source_witness **witness)
{
    source_witness_close(*witness);
}

int
source_witness_open(int fd, const char *path, uint64_t offset, uint64_t bytes,
                    struct source_witness **ret, struct err *err)
{
    AUTO(witness_cleanup) struct source_witness *witness = calloc(1, sizeof *witness);
    if (!witness)
        return err_errno(err, ENOMEM, "%s", path);
    witness->offset = offset;
    witness->bytes = bytes;
    witness->path = strdup(path);
    witness->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (!witness->path || witness->fd < 0)
        return err_errno(err, witness->fd < 0 ? errno : ENOMEM, "%s", path);
    if (describe(witness, witness->text, err) < 0)
        return -1;
    *ret = TAKE_PTR(witness);
    return 0;
}

void
source_witness_close(struct source_witness *witness)
{
    if (!witness)
        return;
    if (witness->fd >= 0)
        close(witness->fd);
    free(witness->path);
    free(witness);
}

const char *
source_witness_text(const struct source_witness *witness)
{
    return witness->text;
}

int
source_witness_check(const struct source_witness *witness, struct err *err)
{
    char now[SOURCE_IDENTITY_MAX];
    if (describe(witness, now, err) < 0)
        return -1;
    if (strcmp(now, witness->text) == 0)
        return 0;
    return err_set(err, ERR_CONFLICT,
                   "%s: was written to while it was copied, so the copy is of no moment in time: "
                   "stop its user and copy again",
                   witness->path);
}

static uint64_t
add_to_hash(uint64_t hash, const struct stat *st)
{
    uint64_t numbers[] = {
        hash,
        (uint64_t)st->st_dev,
        (uint64_t)st->st_ino,
        (uint64_t)st->st_size,
        (uint64_t)st->st_mtim.tv_sec,
        (uint64_t)st->st_mtim.tv_nsec,
    };
    return cluster_hash(numbers, sizeof numbers);
}

/* The name between quotes of a line "RW 4192256 FLAT "disk-flat.vmdk" 0", cut out of it; or NULL.
 */
static char *
extent_name(char *line)
{
    static const char *const accesses[] = { "RW ", "RDONLY ", "NOACCESS " };
    for (size_t i = 0; i < ARRAY_LEN(accesses); i++) {
        char *begin, *end;
        if (strncasecmp(line, accesses[i], strlen(accesses[i])) != 0)
            continue;
        if (!(begin = strchr(line, '"')) || !(end = strchr(begin + 1, '"')))
            return NULL;
        *end = '\0';
        return begin + 1;
    }
    return NULL;
}

/* The data of a disk with a text descriptor lies in other files: they count, too. 0: there are
 * none. A file that is missing is left for the opening to complain of. */
static int
hash_extents(const struct source_witness *witness, uint64_t *ret_hash, struct err *err)
{
    char text[DESCRIPTOR_MAX + 1];
    ssize_t n = fd_pread(witness->fd, text, MIN((uint64_t)DESCRIPTOR_MAX, witness->bytes),
                         witness->offset, witness->path, err);
    if (n < 0)
        return -1;
    text[n] = '\0';
    *ret_hash = 0;
    if (strncmp(text, DESCRIPTOR_MAGIC, strlen(DESCRIPTOR_MAGIC)) != 0)
        return 0;
    auto_free char *copy = strdup(witness->path);
    if (!copy)
        return err_errno(err, ENOMEM, "%s", witness->path);
    const char *dir = dirname(copy);
    char *rest = text, *line;
    while ((line = strsep(&rest, "\n"))) {
        char *name = extent_name(line);
        auto_free char *path = NULL;
        struct stat st;
        if (!name)
            continue;
        if (asprintf(&path, "%s%s%s", *name == '/' ? "" : dir, *name == '/' ? "" : "/", name) < 0) {
            path = NULL;
            return err_errno(err, ENOMEM, "%s", witness->path);
        }
        if (stat(path, &st) == 0)
            *ret_hash = add_to_hash(*ret_hash, &st);
    }
    return 0;
}

static int
describe(const struct source_witness *witness, char ret[SOURCE_IDENTITY_MAX], struct err *err)
{
    struct stat st;
    uint64_t extents;
    if (fstat(witness->fd, &st) < 0)
        return err_errno(err, errno, "%s: stat", witness->path);
    if (hash_extents(witness, &extents, err) < 0)
        return -1;
    snprintf(ret, SOURCE_IDENTITY_MAX,
             "file %" PRIu64 ":%" PRIu64 " %" PRIu64 " %lld.%09ld %" PRIu64 "+%" PRIu64 " %" PRIx64,
             (uint64_t)st.st_dev, (uint64_t)st.st_ino, (uint64_t)st.st_size,
             (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec, witness->offset, witness->bytes,
             extents);
    return 0;
}
