/* Paths as a user writes them. */
#ifndef DESCRIPTOR_LOCAL_PATH_H
#define DESCRIPTOR_LOCAL_PATH_H

#include <stdbool.h>

#include "base/err.h"

/* An NBD URI: nbd, nbds, nbd+unix, nbds+unix, nbd+vsock. */
bool local_path_is_nbd(const char *path);

/* path, if relative then below dir (NULL: the working directory). Links stay as they are. The
 * caller frees it. */
int local_path_absolute(const char *path, const char *dir, char **ret_path, struct err *err);

#endif
