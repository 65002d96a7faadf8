#include "descriptor/local-path.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/cleanup.h"

bool
local_path_is_nbd(const char *path)
{
    static const char *const schemes[] = { "nbd://", "nbds://", "nbd+unix://", "nbds+unix://",
                                           "nbd+vsock://" };
    for (size_t i = 0; i < ARRAY_LEN(schemes); i++)
        if (strncmp(path, schemes[i], strlen(schemes[i])) == 0)
            return true;
    return false;
}

int
local_path_absolute(const char *path, const char *dir, char **ret_path, struct err *err)
{
    auto_free char *base = NULL;
    if (path[0] != '/') {
        base = dir ? realpath(dir, NULL) : getcwd(NULL, 0);
        if (!base)
            return err_errno(err, errno, "%s", dir ? dir : "working directory");
    }
    char *full;
    if (asprintf(&full, "%s%s%s", base ? base : "", base ? "/" : "", path) < 0)
        return err_errno(err, ENOMEM, "%s", path);
    *ret_path = full;
    return 0;
}
