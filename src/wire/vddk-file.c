#include "wire/vddk-file.h"

#include <stdio.h>
#include <unistd.h>

#include "base/checked.h"

bool
vddk_file_find(const char *libdir, char ret_path[PATH_MAX], unsigned *ret_major)
{
    static const char *const folders[] = { "lib64/", "" };
    if (!*libdir)
        return false;
    for (unsigned major = VDDK_MAJOR_MAX; major >= VDDK_MAJOR_MIN; major--)
        for (size_t i = 0; i < ARRAY_LEN(folders); i++) {
            int len =
                snprintf(ret_path, PATH_MAX, "%s/%slibvixDiskLib.so.%u", libdir, folders[i], major);
            if (len < 0 || len >= PATH_MAX || access(ret_path, F_OK) < 0)
                continue;
            *ret_major = major;
            return true;
        }
    return false;
}
