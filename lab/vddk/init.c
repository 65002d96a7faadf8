/* InitEx, Exit, error texts. */
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#include "disk.h"

#define MAJOR_MIN 5

static bool has_plugin;

EXPORT uint64_t
VixDiskLib_InitEx(uint32_t major, uint32_t minor, vix_log_fn *log, vix_log_fn *warn,
                  vix_log_fn *panic, const char *lib_dir, const char *config_file)
{
    watch_init();
    if (!log || !warn || !panic)
        violation("InitEx with a NULL log function (log %s, warn %s, panic %s): the library's own "
                  "are not thread-safe",
                  log ? "given" : "NULL", warn ? "given" : "NULL", panic ? "given" : "NULL");
    log_set(log, warn, panic);
    settings_free();
    uint64_t r = settings_read(config_file);
    if (r != VIX_OK) {
        log_line(LOG_WARN, "Cannot open the configuration file %s", config_file);
        return r;
    }
    if (settings.init_error)
        return settings.init_error;
    if (major < MAJOR_MIN || major > variant.major ||
        (major == variant.major && minor > variant.minor)) {
        log_line(LOG_WARN, "API version %u.%u is not supported, this is %u.%u", major, minor,
                 variant.major, variant.minor);
        return VIX_E_NOT_SUPPORTED;
    }
    log_line(LOG_INFO, "OBJLIB-LIB: ObjLib initialized, lib dir %s", lib_dir ? lib_dir : "default");
    if (settings.need_plugin) {
        has_plugin = dlopen("libdiskLibPlugin.so", RTLD_NOW) != NULL;
        if (!has_plugin)
            log_line(LOG_INFO, "Advanced transports are not available: %s", dlerror());
    }
    watch_init_done();
    if (settings.noise)
        log_noise();
    return VIX_OK;
}

EXPORT void
VixDiskLib_Exit(void)
{
    watch_control("Exit");
    if (handle_count() > 0 || connection_count() > 0)
        violation("Exit with %u disks open and %u connections", handle_count(), connection_count());
    watch_control_end();
    watch_exit();
    handles_free();
    connections_free();
    settings_free();
}

EXPORT const char *
VixDiskLib_ListTransportModes(void)
{
    watch_call("ListTransportModes");
    if (settings.need_plugin && !has_plugin)
        return "file";
    return settings.transports ? settings.transports : "file:nbdssl:nbd";
}

EXPORT char *
VixDiskLib_GetErrorText(uint64_t error, const char *locale)
{
    watch_call("GetErrorText");
    if (locale)
        violation("GetErrorText with the locale \"%s\": only NULL is safe", locale);
    const char *text = error_text(error);
    char *copy = strdup(text ? text : "Unknown error");
    if (copy)
        watch_given(WATCH_ERROR_TEXT, copy);
    return copy;
}

EXPORT void
VixDiskLib_FreeErrorText(char *text)
{
    watch_call("FreeErrorText");
    if (!text)
        return;
    watch_back(WATCH_ERROR_TEXT, text, "FreeErrorText");
    memset(text, 0xa5, strlen(text));
    free(text);
}
