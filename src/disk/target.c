#include "disk/target.h"

#include <string.h>
#include <sys/stat.h>

bool
target_is_in_place(const char *uri)
{
    struct stat st;
    return strncmp(uri, "nbd", 3) == 0 && strstr(uri, "://")
               ? true
               : stat(uri, &st) == 0 && !S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode);
}

int
target_open(const struct target_spec *spec, struct target **ret, struct err *err)
{
    if (spec->bytes == 0 || spec->bytes > DISK_MAX_BYTES)
        return err_set(err, ERR_INVALID, "%s: a disk of %llu bytes is out of range", spec->uri,
                       (unsigned long long)spec->bytes);
    if (strncmp(spec->uri, "nbd", 3) == 0 && strstr(spec->uri, "://")) {
        if (spec->open_nbd)
            return spec->open_nbd(spec, ret, err);
        return err_set(err, ERR_INVALID,
                       "%s: a disk that is read with VMware's library cannot be written to an NBD "
                       "server, because the libraries for both do not go together in one process; "
                       "write it to a file or a block device, or read it by another transport",
                       spec->uri);
    }
    if (strcmp(spec->format, "raw") == 0)
        return target_raw_open(spec, ret, err);
    if (strcmp(spec->format, "qcow2") == 0)
        return target_qcow2_open(spec, ret, err);
    return err_set(err, ERR_INVALID,
                   "%s: cannot write format '%s'; use raw or qcow2, or an NBD server for others",
                   spec->uri, spec->format);
}

void
target_close(struct target *tgt)
{
    if (tgt)
        tgt->ops->close(tgt);
}
