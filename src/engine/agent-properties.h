/* What a CloudStack KVM agent on this host says in its agent.properties, as far as it concerns us.
 *
 * A Java properties file: "key=value" lines, '#' and '!' begin comments, a '\' at the end of a line
 * continues it, "\\", "\:", "\=", "\t" and "\uXXXX" are escapes.
 */
#ifndef ENGINE_AGENT_PROPERTIES_H
#define ENGINE_AGENT_PROPERTIES_H

#include <stdbool.h>

#include "base/err.h"

#define AGENT_PROPERTIES_PATH "/etc/cloudstack/agent/agent.properties"
#define AGENT_PROPERTY_MAX 4096 /* bytes of a value */

/* Owned; NULL: not set. */
struct agent_properties {
    bool present;                /* there is such a file */
    char *vddk_lib_dir;          /* vddk.lib.dir */
    char *vddk_transports;       /* vddk.transports */
    char *vddk_thumbprint;       /* vddk.thumbprint */
    bool verbose_known, verbose; /* virtv2v.verbose.enabled */
};

/* path NULL: AGENT_PROPERTIES_PATH. No file is an empty answer. ERR_DENIED: it may not be read;
 * ERR_INVALID: larger than 1 MiB, or a value that is too long. */
int agent_properties_read(const char *path, struct agent_properties *ret, struct err *err);

/* The same from text. */
int agent_properties_parse(const char *text, struct agent_properties *ret, struct err *err);

void agent_properties_free(struct agent_properties *properties);
#define auto_agent_properties AUTO(agent_properties_free)

#endif
