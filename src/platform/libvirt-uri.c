#include "platform/libvirt-uri.h"

#include <stdlib.h>
#include <string.h>

#include "base/checked.h"

#define SHOWN_MAX ((size_t)32)

static bool is_word(const char *text, size_t len, const char *word);

const char *
libvirt_uri_or_usual(const char *uri)
{
    const char *given = uri ? uri : getenv("LIBVIRT_DEFAULT_URI");
    return given && *given ? given : LIBVIRT_URI_USUAL;
}

int
libvirt_uri_check(const char *uri, struct err *err)
{
    const char *rest = strstr(uri, "://");
    if (!rest)
        return err_set(err, ERR_INVALID,
                       "the libvirt is not named by a URI: write it like " LIBVIRT_URI_USUAL);
    size_t scheme = (size_t)(rest - uri), driver = MIN(strcspn(uri, "+"), scheme);
    const char *transport = uri + driver + (driver < scheme);
    size_t transport_len = (size_t)(rest - transport);
    int shown = (int)MIN(scheme, SHOWN_MAX);
    rest += strlen("://");
    if (!is_word(uri, driver, "qemu") && !is_word(uri, driver, "test"))
        return err_set(err, ERR_INVALID,
                       "libvirt %.*s://: is not supported by this version of vmferry: machines "
                       "arrive on KVM, so write " LIBVIRT_URI_USUAL " or the like",
                       shown, uri);
    if (*rest != '/' || (transport_len && !is_word(transport, transport_len, "unix")))
        return err_set(err, ERR_INVALID,
                       "libvirt %.*s://: a libvirt on another host is not supported by this "
                       "version of vmferry, for its disks are written as files: run vmferry on "
                       "that host with " LIBVIRT_URI_USUAL ", or mount its storage here and use "
                       "-o local",
                       shown, uri);
    /* It has no event loop of ours to run in, and would die with this process. */
    if (strncmp(rest, "/embed", strlen("/embed")) == 0)
        return err_set(err, ERR_INVALID,
                       "libvirt qemu:///embed: a machine of a driver inside this process would end "
                       "with it: write " LIBVIRT_URI_USUAL);
    return 0;
}

static bool
is_word(const char *text, size_t len, const char *word)
{
    return strlen(word) == len && strncmp(text, word, len) == 0;
}
