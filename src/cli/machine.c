#include "cli/machine.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "cli/output.h"

/* The words of virt-v2v, which programs look for, and of ours those that it lacks. */
static const char *const features[] = {
    "virt-v2v",
    "virt-v2v-2.0",
    "vmferry",
    "libguestfs-rewrite",
    "colours-option",
    "mac-option",
    "mac-ip-option",
    "no-convert-option",
    "input:disk",
    "input:libvirt",
    "input:libvirtxml",
    "input:ova",
    "vcenter-https",
    "vddk",
    "xen-ssh",
    "output:libvirt",
    "output:local",
    "output:null",
    "convert:linux",
    "convert:windows",
    NULL,
};

void
machine_print_features(FILE *stream)
{
    for (const char *const *feature = features; *feature; feature++)
        fprintf(stream, "%s\n", *feature);
    fflush(stream);
}

static int
open_fd(const char *number, FILE **ret_stream, struct err *err)
{
    char *end;
    errno = 0;
    long fd = strtol(number, &end, 10);
    if (*number < '0' || *number > '9' || *end || errno || fd > INT_MAX ||
        fcntl((int)fd, F_GETFD) < 0)
        return err_set(err, ERR_INVALID, "--machine-readable=fd:%s: no such open descriptor",
                       number);
    *ret_stream = fdopen((int)fd, "w");
    return *ret_stream ? 0 : err_errno(err, errno, "--machine-readable=fd:%s", number);
}

int
machine_open(const char *format, FILE **ret_stream, struct err *err)
{
    if (strcmp(format, "") == 0 || strcmp(format, "stream:stdout") == 0) {
        *ret_stream = stdout;
        return 0;
    }
    if (strcmp(format, "stream:stderr") == 0) {
        *ret_stream = stderr;
        return 0;
    }
    if (strncmp(format, "fd:", 3) == 0)
        return open_fd(format + 3, ret_stream, err);
    if (strncmp(format, "file:", 5) == 0 && format[5]) {
        *ret_stream = fopen(format + 5, "we");
        return *ret_stream ? 0 : err_errno(err, errno, "--machine-readable=%s: open", format);
    }
    return err_set(err, ERR_INVALID,
                   "--machine-readable=%s: write file:PATH, stream:stdout, stream:stderr or fd:N",
                   format);
}

void
machine_message(FILE *stream, const char *type, const char *text)
{
    char at[EVENT_TIME_MAX];
    if (!stream)
        return;
    auto_json json_t *msg = json_pack("{s:s, s:s, s:s}", "message", text, "timestamp",
                                      output_timestamp(at), "type", type);
    auto_free char *line = msg ? json_dumps(msg, 0) : NULL;
    if (line)
        fprintf(stream, "%s\n", line);
    fflush(stream);
}
