/* The log callbacks, and the words for errors. */
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "library.h"

static vix_log_fn *functions[3];

void
log_set(vix_log_fn *log, vix_log_fn *warn, vix_log_fn *panic)
{
    functions[LOG_INFO] = log;
    functions[LOG_WARN] = warn;
    functions[LOG_PANIC] = panic;
}

static void
call(vix_log_fn *fn, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fn(fmt, ap);
    va_end(ap);
}

void
log_line(enum log_channel channel, const char *fmt, ...)
{
    if (!functions[channel])
        return;
    char line[1024];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    /* With a format and arguments, as the real one: who prints the format alone shall see it. */
    call(functions[channel], "%s[%d]: %s\n", "VixDiskLib", (int)gettid(), line);
}

void
log_noise(void)
{
    log_line(LOG_WARN, "VDDK_PhoneHome: Failed to load phone home library: libvddkVac2.so: cannot "
                       "open shared object file: No such file or directory");
    log_line(LOG_PANIC, "Get CEIP status failed.");
}

const char *
error_text(uint64_t error)
{
    static const struct {
        uint64_t code;
        const char *text;
    } texts[] = {
        { VIX_OK, "The operation was successful" },
        { VIX_E_FAIL, "Unknown error" },
        { VIX_E_OUT_OF_MEMORY, "Memory allocation failed. Out of memory." },
        { VIX_E_INVALID_ARG, "One of the parameters was invalid" },
        { VIX_E_FILE_NOT_FOUND, "A file was not found" },
        { VIX_E_OBJECT_IS_BUSY, "This function cannot be performed because the handle is in use" },
        { VIX_E_NOT_SUPPORTED, "The operation is not supported" },
        { VIX_E_FILE_ERROR, "A file access error occurred on the host or guest" },
        { VIX_E_INCORRECT_FILE_TYPE, "The file type is incorrect" },
        { VIX_E_CANCELLED, "The operation was canceled" },
        { VIX_E_FILE_READ_ONLY, "The file is write-protected" },
        { VIX_E_FILE_ACCESS_ERROR, "Insufficient permission to access the file" },
        { VIX_E_FILE_ALREADY_LOCKED, "The file is already in use" },
        { VIX_E_BUFFER_TOOSMALL, "The buffer is too small" },
        { VIX_E_HOST_NOT_CONNECTED, "The host is not connected" },
        { VIX_E_AUTHENTICATION_FAIL, "Authentication failure or insufficient permissions" },
        { VIX_E_HOST_CONNECTION_LOST, "The connection to the host was lost" },
        { VIX_E_HOST_SERVER_NOT_FOUND, "The server cannot be found" },
        { VIX_E_HOST_NETWORK_CONN_REFUSED, "The network connection was refused" },
        { VIX_E_HOST_TCP_SOCKET_ERROR, "There was a TCP socket error" },
        { VIX_E_HOST_TCP_CONN_LOST, "The TCP connection was lost" },
        { VIX_E_DISK_OUTOFRANGE, "The requested sectors are outside of the disk" },
        { VIX_E_DISK_OPENPARENT, "The parent of this virtual disk could not be opened" },
        { VIX_E_DISK_KEY_NOTFOUND, "The specified metadata key does not exist" },
        { VIX_E_DISK_SUBSYSTEM_INIT_FAIL, "The disk subsystem could not be initialised" },
        { VIX_E_DISK_INVALID_CONNECTION, "The connection is invalid" },
        { VIX_E_DISK_NOLICENSE, "The host is not licensed for this feature" },
        { VIX_E_CANNOT_CONNECT_TO_HOST, "Cannot connect to the host" },
        { VIX_ASYNC, "The operation is pending" },
        { VIX_E_ASYNC_MIXEDMODE_UNSUPPORTED,
          "Synchronous and asynchronous operations cannot be mixed" },
    };
    for (unsigned i = 0; i < sizeof texts / sizeof texts[0]; i++)
        if (texts[i].code == VIX_CODE(error))
            return texts[i].text;
    return NULL;
}
