/* How the double behaves: the configuration file of InitEx, and the one in LAB_VDDK_CONFIG.
 *
 * A line is `name = value`, # begins a comment. README.md has the keys.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "library.h"

struct settings settings;

enum value_type {
    VALUE_MS,     /* milliseconds, with a fraction; kept in ns */
    VALUE_MIB,    /* MiB; kept in bytes */
    VALUE_KIB,    /* KiB; kept in bytes */
    VALUE_NUMBER, /* uint64_t */
    VALUE_SIGNED,
    VALUE_UINT,
    VALUE_BOOL,
    VALUE_TEXT,
};

#define FIELD(type, member)                                                                        \
    {                                                                                              \
        type, offsetof(struct settings, member)                                                    \
    }

static const struct key {
    const char *name;
    struct {
        enum value_type type;
        size_t offset;
    } field;
} keys[] = {
    { "lab.latency_ms", FIELD(VALUE_MS, latency_ns) },
    { "lab.jitter_ms", FIELD(VALUE_MS, jitter_ns) },
    { "lab.open_ms", FIELD(VALUE_MS, open_ns) },
    { "lab.query_ms", FIELD(VALUE_MS, query_ns) },
    { "lab.bandwidth_mib_s", FIELD(VALUE_MIB, bandwidth) },
    { "lab.threads", FIELD(VALUE_UINT, threads) },
    { "lab.init_error", FIELD(VALUE_NUMBER, init_error) },
    { "lab.info_error", FIELD(VALUE_NUMBER, info_error) },
    { "lab.query_error", FIELD(VALUE_NUMBER, query_error) },
    { "lab.query_all", FIELD(VALUE_BOOL, query_all) },
    { "lab.fail_at_call", FIELD(VALUE_BOOL, fail_at_call) },
    { "lab.null_thumbprint", FIELD(VALUE_BOOL, null_thumbprint) },
    { "lab.need_plugin", FIELD(VALUE_BOOL, need_plugin) },
    { "lab.drop_nbdssl", FIELD(VALUE_BOOL, drop_nbdssl) },
    { "lab.allow_fork", FIELD(VALUE_BOOL, allow_fork) },
    { "lab.any_thread", FIELD(VALUE_BOOL, any_thread) },
    { "lab.leak_abort", FIELD(VALUE_BOOL, leak_abort) },
    { "lab.noise", FIELD(VALUE_UINT, noise) },
    { "lab.capacity_sectors", FIELD(VALUE_SIGNED, capacity) },
    { "lab.max_request_kib", FIELD(VALUE_KIB, max_request_bytes) },
    { "lab.nfc_memory_kib", FIELD(VALUE_KIB, nfc_memory_bytes) },
    { "lab.nfc_memory_error", FIELD(VALUE_NUMBER, nfc_memory_error) },
    { "lab.transports", FIELD(VALUE_TEXT, transports) },
    { "lab.local_transport", FIELD(VALUE_TEXT, local_transport) },
    { "lab.datastores", FIELD(VALUE_TEXT, datastores) },
    { "lab.user", FIELD(VALUE_TEXT, user) },
    { "lab.password", FIELD(VALUE_TEXT, password) },
    { "lab.cookie", FIELD(VALUE_TEXT, cookie) },
    { "lab.thumbprint", FIELD(VALUE_TEXT, thumbprint) },
    { "vixDiskLib.nfcAio.Session.BufSizeIn64KB", FIELD(VALUE_UINT, aio_size_64k) },
    { "vixDiskLib.nfcAio.Session.BufSizeIn64K", FIELD(VALUE_UINT, aio_size_64k) },
    { "vixDiskLib.nfcAio.Session.BufCount", FIELD(VALUE_UINT, aio_count) },
};

/* Keys of the real library that change nothing here. */
static const char *const known_keys[] = {
    "vixDiskLib.nfc.",       "vixDiskLib.nfcFssrvr.", "vixDiskLib.nfcFssrvrWrite.",
    "vixDiskLib.transport.", "tmpDirectory",          "log.fileName",
    "log.fileLevel",         "EnablePhoneHome",
};

static const struct {
    const char *name;
    enum fault_op op;
    enum fault_action action;
} fault_keys[] = {
    { "lab.read_fail", FAULT_READ, FAULT_FAIL },
    { "lab.read_crash", FAULT_READ, FAULT_CRASH },
    { "lab.read_abort", FAULT_READ, FAULT_ABORT },
    { "lab.read_hang", FAULT_READ, FAULT_HANG },
    { "lab.read_lost", FAULT_READ, FAULT_LOST },
    { "lab.read_zero", FAULT_READ, FAULT_ZERO },
    { "lab.open_fail", FAULT_OPEN, FAULT_FAIL },
    { "lab.open_crash", FAULT_OPEN, FAULT_CRASH },
    { "lab.open_hang", FAULT_OPEN, FAULT_HANG },
    { "lab.connect_fail", FAULT_CONNECT, FAULT_FAIL },
};

static uint64_t read_file(const char *path);
static void set_key(const char *path, const char *name, char *value);

uint64_t
settings_read(const char *config_file)
{
    settings = (struct settings){
        .threads = 2,
        .capacity = -1,
        .max_request_bytes = 23 * MIB,
        .nfc_memory_error = VIX_E_OUT_OF_MEMORY,
        .aio_size_64k = 1,
        .aio_count = 4,
    };
    uint64_t r = config_file ? read_file(config_file) : VIX_OK;
    const char *more = getenv("LAB_VDDK_CONFIG");
    if (r == VIX_OK && more && read_file(more) != VIX_OK)
        violation("LAB_VDDK_CONFIG=%s: %s", more, strerror(errno));
    if (settings.threads < 1 || settings.threads > 64)
        violation("lab.threads = %u: 1 to 64", settings.threads);
    return r;
}

void
settings_free(void)
{
    for (unsigned i = 0; i < sizeof keys / sizeof keys[0]; i++)
        if (keys[i].field.type == VALUE_TEXT)
            free(*(char **)((char *)&settings + keys[i].field.offset));
    for (unsigned i = 0; i < settings.n_faults; i++)
        free(settings.faults[i].marker);
    settings = (struct settings){ .threads = 1, .capacity = -1 };
}

/* ---- lines ---- */

static char *
trim(char *text)
{
    text += strspn(text, " \t\r\n");
    size_t len = strlen(text);
    while (len > 0 && strchr(" \t\r\n", text[len - 1]))
        text[--len] = '\0';
    if (len >= 2 && text[0] == '"' && text[len - 1] == '"') {
        text[len - 1] = '\0';
        text++;
    }
    return text;
}

static uint64_t
read_file(const char *path)
{
    FILE *f = fopen(path, "re");
    if (!f)
        return VIX_E_FILE_NOT_FOUND;
    char *line = NULL;
    size_t size = 0;
    while (getline(&line, &size, f) >= 0) {
        char *name = trim(line);
        if (*name == '#' || *name == '\0')
            continue;
        char *equals = strchr(name, '=');
        if (!equals)
            violation("%s: \"%s\" is no line of the form name=value", path, name);
        *equals = '\0';
        set_key(path, trim(name), trim(equals + 1));
    }
    free(line);
    fclose(f);
    return VIX_OK;
}

static uint64_t
number(const char *path, const char *name, const char *text, char **ret_end)
{
    char *end;
    errno = 0;
    uint64_t value = strtoull(text, &end, 0);
    if (end == text || errno || *text == '-' || (!ret_end && *end))
        violation("%s: %s = %s: a number is wanted", path, name, text);
    if (ret_end)
        *ret_end = end;
    return value;
}

static double
fraction(const char *path, const char *name, const char *text)
{
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end || !(value >= 0 && value < 1e9))
        violation("%s: %s = %s: a number is wanted", path, name, text);
    return value;
}

static void
set_value(const char *path, const struct key *key, const char *text)
{
    void *at = (char *)&settings + key->field.offset;
    switch (key->field.type) {
    case VALUE_MS:
        *(uint64_t *)at = (uint64_t)(fraction(path, key->name, text) * (double)NS_PER_MS);
        break;
    case VALUE_MIB:
        *(uint64_t *)at = (uint64_t)(fraction(path, key->name, text) * (double)MIB);
        break;
    case VALUE_KIB:
        *(uint64_t *)at = (uint64_t)(fraction(path, key->name, text) * 1024);
        break;
    case VALUE_NUMBER:
        *(uint64_t *)at = number(path, key->name, text, NULL);
        break;
    case VALUE_SIGNED:
        *(int64_t *)at = (int64_t)number(path, key->name, text, NULL);
        break;
    case VALUE_UINT:
        *(unsigned *)at = (unsigned)number(path, key->name, text, NULL);
        break;
    case VALUE_BOOL:
        *(bool *)at = number(path, key->name, text, NULL) != 0;
        break;
    case VALUE_TEXT:
        free(*(char **)at);
        *(char **)at = strdup(text);
        break;
    }
}

/* N[:VALUE[:COUNT]][@MARKER], N may be * */
static void
add_fault(const char *path, const char *name, char *text, enum fault_op op,
          enum fault_action action)
{
    if (settings.n_faults == FAULTS_MAX)
        violation("%s: more than %d faults", path, FAULTS_MAX);
    struct fault *fault = &settings.faults[settings.n_faults++];
    *fault = (struct fault){ op, action, 0, 1, VIX_E_FAIL, NULL };
    char *marker = strchr(text, '@');
    if (marker) {
        *marker = '\0';
        fault->marker = strdup(marker + 1);
    }
    char *end = text + 1;
    if (*text != '*')
        fault->nth = number(path, name, text, &end);
    if (*end == ':')
        fault->value = number(path, name, end + 1, &end);
    if (*end == ':')
        fault->count = number(path, name, end + 1, &end);
    if (*end || (*text != '*' && fault->nth == 0))
        violation("%s: %s = %s: N[:VALUE[:COUNT]][@MARKER] is wanted, N from 1 or *", path, name,
                  text);
}

static void
set_completion(const char *path, const char *text)
{
    static const char *const names[] = { "auto", "thread", "inside", "mixed" };
    for (unsigned i = 0; i < 4; i++)
        if (strcmp(text, names[i]) == 0) {
            settings.completion = (enum completion)i;
            return;
        }
    violation("%s: lab.completion = %s: auto, thread, inside or mixed", path, text);
}

static void
set_key(const char *path, const char *name, char *value)
{
    for (unsigned i = 0; i < sizeof keys / sizeof keys[0]; i++)
        if (strcmp(name, keys[i].name) == 0) {
            set_value(path, &keys[i], value);
            return;
        }
    for (unsigned i = 0; i < sizeof fault_keys / sizeof fault_keys[0]; i++)
        if (strcmp(name, fault_keys[i].name) == 0) {
            add_fault(path, name, value, fault_keys[i].op, fault_keys[i].action);
            return;
        }
    if (strcmp(name, "lab.completion") == 0) {
        set_completion(path, value);
        return;
    }
    if (strncmp(name, "lab.", 4) == 0)
        violation("%s: %s: no such key of the lab", path, name);
    for (unsigned i = 0; i < sizeof known_keys / sizeof known_keys[0]; i++)
        if (strncmp(name, known_keys[i], strlen(known_keys[i])) == 0)
            return;
    log_line(LOG_WARN, "%s: unknown key %s", path, name);
}

/* ---- faults ---- */

static bool
make_marker(const char *marker)
{
    if (!marker)
        return true;
    int fd = open(marker, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd >= 0)
        close(fd);
    else if (errno != EEXIST)
        violation("the marker %s cannot be made: %s", marker, strerror(errno));
    return fd >= 0;
}

const struct fault *
fault_hit(enum fault_op op, uint64_t nth)
{
    for (unsigned i = 0; i < settings.n_faults; i++) {
        const struct fault *fault = &settings.faults[i];
        bool hit = fault->op == op &&
                   (fault->nth == 0 || (nth >= fault->nth && nth - fault->nth < fault->count));
        if (hit && make_marker(fault->marker))
            return fault;
    }
    return NULL;
}

void
fault_act(const struct fault *fault)
{
    static volatile int *volatile nowhere;
    switch (fault->action) {
    case FAULT_CRASH:
        report("the fault asked for: SIGSEGV");
        *nowhere = 1;
        break;
    case FAULT_ABORT:
        report("the fault asked for: SIGABRT");
        abort();
    case FAULT_HANG:
        wait_until_ns(now_ns() + fault->value * NS_PER_MS);
        break;
    case FAULT_FAIL:
    case FAULT_LOST:
    case FAULT_ZERO:
        break;
    }
}
