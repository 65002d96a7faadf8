/* The doctor: the VDDK library, and each effective setting with where it comes from. Precedence:
 * command line, agent.properties, what is found by looking. */
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "engine/doctor-probe.h"
#include "engine/vddk-library.h"
#include "wire/http.h"

#define DEFAULT_TRANSPORTS "nbdssl:nbd"

struct setting {
    const char *value; /* NULL: nobody said */
    const char *origin;
};

static struct setting effective(const struct doctor *d, const char *key, const char *option,
                                const char *agent_value);

/* ---- the library ---- */

static void
say_unusable(struct doctor *d, const struct setting *libdir, const char *why)
{
    bool wanted = libdir->value != NULL;
    doctor_say(d,
               &(struct doctor_word){
                   .level = wanted ? DOCTOR_ERROR : DOCTOR_WARNING,
                   .group = "vddk",
                   .code = "vddk",
                   .value = libdir->value,
                   .origin = libdir->origin,
                   .cause = "without VDDK, disks come over HTTPS, by export or SSH, from machines "
                            "that are off or frozen by a snapshot; warm migration needs it",
                   .cure = wanted ? "name the directory of a VDDK for Linux on x86-64, unpacked "
                                    "whole"
                                  : "if you have the VDDK package, unpack it to "
                                    "/opt/vmware-vix-disklib-distrib, or name its directory",
               },
               "%s", why);
}

static void
say_transports(struct doctor *d, const struct vddk_library *library, const char *transports)
{
    bool advanced = transports && (strstr(transports, "hotadd") || strstr(transports, "san"));
    if (!advanced || library->plugin)
        return;
    doctor_say(d,
               &(struct doctor_word){
                   .level = DOCTOR_WARNING,
                   .group = "vddk",
                   .code = "vddk-plugin",
                   .cause = "hotadd and san need libdiskLibPlugin.so, and without it VDDK passes "
                            "them over in silence",
                   .cure = "unpack the whole VDDK package, or ask for nbdssl:nbd",
               },
               "%s: libdiskLibPlugin.so is not there", library->libdir);
}

void
doctor_vddk(struct doctor *d)
{
    struct vddk_library library;
    struct err err = ERR_INIT;
    struct setting libdir = effective(d, "libdir", "--vddk-libdir", d->agent.vddk_lib_dir);
    struct setting transports =
        effective(d, "transports", "--vddk-transports", d->agent.vddk_transports);
    if (vddk_library_find(libdir.value, &library, &err) < 0) {
        say_unusable(d, &libdir, err.text);
        return;
    }
    if (vddk_library_check(&library, &err) < 0 && err.kind != ERR_NOT_FOUND) {
        if (!libdir.value)
            libdir = (struct setting){ library.libdir, "found by looking" };
        say_unusable(d, &libdir, err.text);
        return;
    }
    doctor_say(d,
               &(struct doctor_word){ .group = "vddk", .code = "vddk", .value = library.version },
               "VDDK %s: %s", library.version, library.path);
    say_transports(d, &library, transports.value);
}

/* ---- settings ---- */

static struct setting
effective(const struct doctor *d, const char *key, const char *option, const char *agent_value)
{
    const char *given = doctor_given(d, key);
    if (given)
        return (struct setting){ given, option };
    if (agent_value)
        return (struct setting){ agent_value, d->agent_path };
    return (struct setting){ NULL, NULL };
}

static void
say_setting(struct doctor *d, const char *code, const struct setting *setting)
{
    doctor_say(
        d,
        &(struct doctor_word){
            .group = "settings", .code = code, .value = setting->value, .origin = setting->origin },
        "%s = %s", code, setting->value ? setting->value : "(none)");
}

static void
say_wrong(struct doctor *d, const char *code, const struct setting *setting, const char *cause,
          const char *cure)
{
    doctor_say(d,
               &(struct doctor_word){ .level = DOCTOR_ERROR,
                                      .group = "settings",
                                      .code = code,
                                      .value = setting->value,
                                      .origin = setting->origin,
                                      .cause = cause,
                                      .cure = cure },
               "%s = %s (%s)", code, setting->value, setting->origin);
}

/* Colon-separated words that VDDK knows. */
static bool
transports_are_known(const char *text)
{
    static const char *const known[] = { "file", "san", "hotadd", "nbdssl", "nbd" };
    for (;;) {
        size_t len = strcspn(text, ":"), i = 0;
        while (i < ARRAY_LEN(known) &&
               (strlen(known[i]) != len || strncmp(known[i], text, len) != 0))
            i++;
        if (i == ARRAY_LEN(known))
            return false;
        if (!text[len])
            return true;
        text += len + 1;
    }
}

static void
say_agent_error(struct doctor *d)
{
    if (d->agent_error.kind == ERR_NONE)
        return;
    doctor_say(d,
               &(struct doctor_word){
                   .level = DOCTOR_ERROR,
                   .group = "settings",
                   .code = "agent-properties",
                   .cause = "its settings of VDDK and virt-v2v are not used",
                   .cure = "run as a user who may read it, correct it, or name the right file",
               },
               "%s", d->agent_error.text);
}

void
doctor_settings(struct doctor *d)
{
    struct vddk_library library;
    struct err ignored = ERR_INIT;
    say_agent_error(d);
    struct setting libdir = effective(d, "libdir", "--vddk-libdir", d->agent.vddk_lib_dir);
    if (!libdir.value && vddk_library_find(NULL, &library, &ignored) == 0)
        libdir = (struct setting){ library.libdir, "found by looking" };
    say_setting(d, "vddk.lib.dir", &libdir);

    struct setting transports =
        effective(d, "transports", "--vddk-transports", d->agent.vddk_transports);
    if (!transports.value)
        transports = (struct setting){ DEFAULT_TRANSPORTS, "default" };
    if (transports_are_known(transports.value))
        say_setting(d, "vddk.transports", &transports);
    else
        say_wrong(d, "vddk.transports", &transports,
                  "VDDK knows file, san, hotadd, nbdssl and nbd, separated by colons",
                  "write for example nbdssl:nbd");

    struct setting thumbprint =
        effective(d, "thumbprint", "--vddk-thumbprint", d->agent.vddk_thumbprint);
    if (!thumbprint.value)
        thumbprint.origin = "from the server at its first use, then kept";
    if (!thumbprint.value || http_thumbprint_parse(thumbprint.value, NULL) == HTTP_PIN_SHA1)
        say_setting(d, "vddk.thumbprint", &thumbprint);
    else
        say_wrong(d, "vddk.thumbprint", &thumbprint,
                  "VDDK wants the SHA-1 thumbprint of the vCenter's certificate: 20 pairs of hex "
                  "digits",
                  "leave it out: it is then asked from the server and shown");

    struct setting verbose = { "false", "default" };
    if (d->agent.verbose_known)
        verbose = (struct setting){ d->agent.verbose ? "true" : "false", d->agent_path };
    say_setting(d, "virtv2v.verbose.enabled", &verbose);
}
