/* One run of virt-v2v-in-place: what it may be asked, its command line and environment, its keys,
 * its words. */
#include "guest/convert.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/checked.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/proc.h"

#define SILENCE_LIMIT_NS (30 * 60 * NS_PER_S)
#define START_SILENCE_LIMIT_NS                                                                     \
    (10 * 60 * NS_PER_S) /* before it inspects: an appliance that hangs */
#define INSPECTING_PCT 12
#define MAX_ARGS 256
#define MAX_KEYS 64
#define KEY_MAX_BYTES 65536
#define TAIL_BYTES                                                                                 \
    ((size_t)64 * 1024)     /* of its last words; a guest's initrd builder says a lot              \
                             */
#define SOCKET_NAME_ROOM 24 /* "/v2v.XXXXXX/in0" and kin below temp_dir */

struct run {
    const struct convert_spec *spec;
    convert_stage_fn *stage;
    bool (*cancelled)(void *arg);
    void *arg;
    int log_fd;
    int64_t last_word_ns;
    int64_t silence_limit_ns;
    int pct;     /* of the last stage that we know */
    bool silent; /* it was stopped for that */
    struct buf tail;
    char error[512]; /* the line with "error: " */
};

struct command {
    size_t n_args;
    const char *argv[MAX_ARGS + 1];
    char memsize[16];
    size_t n_owned;
    char *owned[MAX_KEYS]; /* key options, also the names of their files */
};

static int check_spec(const struct convert_spec *spec, const struct convert_features *features,
                      struct err *err);
static int build_command(const struct convert_spec *spec, const struct convert_features *features,
                         const char *xml_path, struct command *cmd, struct err *err);
static void command_done(struct command *cmd);
static int run_command(struct run *run, const struct command *cmd,
                       const struct convert_features *features, struct err *err);
static int explain(struct run *run, const struct err *failure, struct err *err);
static void run_done(struct run *run);

int
convert_run(const struct convert_spec *spec, convert_stage_fn *stage, bool (*cancelled)(void *arg),
            void *arg, struct err *err)
{
    struct convert_features features;
    if (convert_features_ask(spec->program, &features, err) < 0 ||
        check_spec(spec, &features, err) < 0)
        return -1;
    auto_free char *xml_path = realpath(spec->xml_path, NULL);
    if (!xml_path)
        return err_errno(err, errno, "%s", spec->xml_path);

    AUTO(run_done)
    struct run run = { .spec = spec,
                       .stage = stage,
                       .cancelled = cancelled,
                       .arg = arg,
                       .tail = BUF_INIT(2 * TAIL_BYTES + PROC_LINE_MAX) };
    run.silence_limit_ns = spec->silence_limit_ns ? spec->silence_limit_ns : SILENCE_LIMIT_NS;
    run.log_fd = open(spec->log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (run.log_fd < 0)
        return err_errno(err, errno, "%s: open", spec->log_path);

    AUTO(command_done) struct command cmd = { 0 };
    struct err failure = ERR_INIT;
    if (build_command(spec, &features, xml_path, &cmd, err) < 0)
        return -1;
    if (run_command(&run, &cmd, &features, &failure) < 0)
        return explain(&run, &failure, err);
    return 0;
}

static void
run_done(struct run *run)
{
    buf_free(&run->tail);
    if (run->log_fd >= 0)
        close(run->log_fd);
}

/* ---- what it may be asked ---- */

static int
refuse(const struct convert_features *features, const char *option, const char *since,
       struct err *err)
{
    return err_set(err, ERR_INVALID, "virt-v2v %s here has no %s: it came with %s",
                   features->version, option, since);
}

static int
check_spec(const struct convert_spec *spec, const struct convert_features *features,
           struct err *err)
{
    if (spec->root && strcmp(spec->root, "ask") == 0)
        return err_set(err, ERR_INVALID,
                       "--root ask needs somebody to ask: use first, single or a device");
    if (spec->block_driver && !features->block_driver)
        return refuse(features, "--block-driver", "2.4", err);
    if (spec->no_fstrim && !features->no_fstrim)
        return refuse(features, "--no-fstrim", "2.12", err);
    for (const char *const *mac = spec->macs; mac && *mac; mac++)
        if (strstr(*mac, ":ip:") && !features->mac_ip)
            return refuse(features, "--mac MAC:ip:...", "2.0", err);
    for (const char *const *key = spec->keys; key && *key; key++)
        if (strncmp(*key, "all:", 4) == 0 && !features->key_all)
            return refuse(features, "--key all:...", "2.4", err);
    struct sockaddr_un *unused = NULL;
    if (strlen(spec->temp_dir) + SOCKET_NAME_ROOM >= sizeof unused->sun_path)
        return err_set(err, ERR_INVALID,
                       "%s: too long for the sockets that virt-v2v makes in it: set TMPDIR to a "
                       "shorter one",
                       spec->temp_dir);
    return 0;
}

/* ---- its command line ---- */

static int
add_arg(struct command *cmd, const char *arg, struct err *err)
{
    if (cmd->n_args == MAX_ARGS)
        return err_set(err, ERR_INVALID, "more than %d arguments for virt-v2v", MAX_ARGS);
    cmd->argv[cmd->n_args++] = arg;
    return 0;
}

static int
add_option(struct command *cmd, const char *option, const char *value, struct err *err)
{
    if (!value)
        return 0;
    return add_arg(cmd, option, err) < 0 ? -1 : add_arg(cmd, value, err);
}

/* A secret becomes a file of its own in temp_dir, 0600, named relative to it: virt-v2v splits the
 * option at colons, and a path may have some. ID:clevis goes as it is. */
static int
add_key(struct command *cmd, const char *temp_dir, const char *key, struct err *err)
{
    if (cmd->n_owned + 2 > MAX_KEYS)
        return err_set(err, ERR_INVALID, "more than %d keys", MAX_KEYS / 2);
    size_t id_len = strcspn(key, ":");
    const char *kind = key + id_len;
    if (strcmp(kind, ":clevis") == 0)
        return add_option(cmd, "--key", key, err);
    bool is_file = strncmp(kind, ":file:", 6) == 0;
    if (id_len == 0 || (!is_file && strncmp(kind, ":key:", 5) != 0))
        return err_set(err, ERR_INVALID,
                       "a key must be ID:key:PASSPHRASE, ID:file:PATH or ID:clevis");
    auto_free char *from_file = NULL;
    const char *secret = kind + 5;
    if (is_file) {
        if (file_read(kind + 6, KEY_MAX_BYTES, &from_file, NULL, err) < 0)
            return err_prefix(err, "key of %.*s", (int)id_len, key);
        secret = from_file;
    }
    char *path = NULL, *option = NULL;
    if (asprintf(&path, "%s/key-%zu", temp_dir, cmd->n_owned) < 0)
        return err_errno(err, ENOMEM, "keys");
    size_t slot = cmd->n_owned;
    cmd->owned[cmd->n_owned++] = path;
    if (asprintf(&option, "%.*s:file:key-%zu", (int)id_len, key, slot) < 0)
        return err_errno(err, ENOMEM, "keys");
    cmd->owned[cmd->n_owned++] = option;
    auto_close int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_errno(err, errno, "%s: create", path);
    int r = fd_write(fd, secret, strlen(secret), path, err);
    if (from_file)
        explicit_bzero(from_file, strlen(from_file));
    return r < 0 ? -1 : add_option(cmd, "--key", option, err);
}

static void
command_done(struct command *cmd)
{
    for (size_t i = 0; i < cmd->n_owned; i++) {
        if (i % 2 == 0)
            unlink(cmd->owned[i]);
        free(cmd->owned[i]);
    }
}

static int
build_command(const struct convert_spec *spec, const struct convert_features *features,
              const char *xml_path, struct command *cmd, struct err *err)
{
    if (add_arg(cmd, spec->program ? spec->program : "virt-v2v-in-place", err) < 0 ||
        add_arg(cmd, "-v", err) < 0 || (spec->trace && add_arg(cmd, "-x", err) < 0) ||
        add_option(cmd, "--root", spec->root ? spec->root : "first", err) < 0 ||
        add_option(cmd, "--block-driver", spec->block_driver, err) < 0)
        return -1;
    if (spec->no_fstrim && add_arg(cmd, "--no-fstrim", err) < 0)
        return -1;
    if (spec->memsize_mib && features->memsize) {
        snprintf(cmd->memsize, sizeof cmd->memsize, "%u", spec->memsize_mib);
        if (add_option(cmd, "--memsize", cmd->memsize, err) < 0)
            return -1;
    }
    for (const char *const *mac = spec->macs; mac && *mac; mac++)
        if (add_option(cmd, "--mac", *mac, err) < 0)
            return -1;
    for (const char *const *key = spec->keys; key && *key; key++)
        if (add_key(cmd, spec->temp_dir, *key, err) < 0)
            return -1;
    return add_option(cmd, "-i", "libvirtxml", err) < 0 ? -1 : add_arg(cmd, xml_path, err);
}

/* ---- running ---- */

static void
log_line(struct run *run, const char *line, size_t len)
{
    struct err ignored = ERR_INIT;
    /* A full disk must not end a conversion that goes well. */
    if (fd_write(run->log_fd, line, len, "log", &ignored) == 0)
        fd_write(run->log_fd, "\n", 1, "log", &ignored);
}

static void
keep_tail(struct run *run, const char *line, size_t len)
{
    struct err ignored = ERR_INIT;
    if (run->tail.len > 2 * TAIL_BYTES)
        buf_consume(&run->tail, run->tail.len - TAIL_BYTES);
    if (buf_add(&run->tail, line, len, &ignored) == 0)
        buf_add_str(&run->tail, "\n", &ignored);
}

static void
on_line(int stream, const char *line, size_t len, void *arg)
{
    struct run *run = arg;
    struct convert_event event;
    run->last_word_ns = clock_now_ns();
    log_line(run, line, len);
    if (stream == 1 && convert_line_read(line, &event)) {
        run->pct = MAX(run->pct, event.pct);
        if (run->stage)
            run->stage(&event, run->arg);
        return;
    }
    keep_tail(run, line, len);
    const char *error = strncmp(line, "virt-v2v", 8) == 0 ? strstr(line, ": error: ") : NULL;
    if (error)
        snprintf(run->error, sizeof run->error, "%s", error + strlen(": error: "));
}

static int64_t
silence_limit_ns(const struct run *run)
{
    return run->pct < INSPECTING_PCT ? MIN(run->silence_limit_ns, START_SILENCE_LIMIT_NS)
                                     : run->silence_limit_ns;
}

static bool
must_stop(void *arg)
{
    struct run *run = arg;
    if (run->cancelled && run->cancelled(run->arg))
        return true;
    run->silent = clock_now_ns() - run->last_word_ns > silence_limit_ns(run);
    return run->silent;
}

static void
log_command(struct run *run, const struct command *cmd, const struct convert_features *features)
{
    struct err ignored = ERR_INIT;
    auto_buf struct buf text = BUF_INIT(65536);
    buf_printf(&text, &ignored, "=== virt-v2v %s, acceleration: %s:", features->version,
               accel_name(run->spec->accel));
    for (size_t i = 0; i < cmd->n_args; i++)
        buf_printf(&text, &ignored, " %s", cmd->argv[i]);
    if (text.data)
        log_line(run, text.data, text.len);
}

/* libguestfs keeps its appliance (15 s to build) in its cache directory, which is TMPDIR when
 * nobody says otherwise. TMPDIR becomes ours, so the cache is named as it would have been without.
 */
static const char *
shared_cache_dir(void)
{
    const char *dir = getenv("LIBGUESTFS_CACHEDIR");
    if (!dir || !*dir)
        dir = getenv("TMPDIR");
    return dir && *dir ? dir : "/var/tmp";
}

static int
run_command(struct run *run, const struct command *cmd, const struct convert_features *features,
            struct err *err)
{
    const struct convert_spec *spec = run->spec;
    auto_free char *tmp = NULL, *big_tmp = NULL, *small_tmp = NULL, *cache = NULL, *win = NULL;
    char memory[48];
    if (asprintf(&tmp, "TMPDIR=%s", spec->temp_dir) < 0 ||
        asprintf(&big_tmp, "VIRT_V2V_TMPDIR=%s", spec->temp_dir) < 0 ||
        asprintf(&small_tmp, "LIBGUESTFS_TMPDIR=%s", spec->temp_dir) < 0 ||
        asprintf(&cache, "LIBGUESTFS_CACHEDIR=%s", shared_cache_dir()) < 0 ||
        (spec->virtio_win && asprintf(&win, "VIRTIO_WIN=%s", spec->virtio_win) < 0))
        return err_errno(err, ENOMEM, "start virt-v2v");
    const char *env[16] = { tmp, big_tmp, small_tmp, cache, "LC_ALL=C" };
    size_t n = 5;
    if (win)
        env[n++] = win;
    for (const char *const *add = accel_env(spec->accel); *add; add++)
        env[n++] = *add;
    if (spec->memsize_mib && !features->memsize) {
        /* Before --memsize virt-v2v took twice what libguestfs would. */
        snprintf(memory, sizeof memory, "LIBGUESTFS_MEMSIZE=%u", spec->memsize_mib / 2);
        env[n++] = memory;
    }

    struct proc_spec proc = PROC_SPEC_INIT;
    proc.guarded = true; /* its qemu-nbd and nbdkit outlive it when it is killed */
    proc.argv = cmd->argv;
    proc.env_add = env;
    proc.dir = spec->temp_dir;
    log_command(run, cmd, features);
    run->last_word_ns = clock_now_ns();
    return proc_run(&proc, -1, on_line, must_stop, run, err);
}

/* ---- why it failed ---- */

static int
explain(struct run *run, const struct err *failure, struct err *err)
{
    const char *log = run->spec->log_path;
    bool kvm = run->spec->accel == ACCEL_KVM;
    if (run->silent && kvm && run->pct < INSPECTING_PCT)
        accel_forget_kvm("virt-v2v's appliance with KVM hung");
    if (run->silent)
        return err_set(err, ERR_UNAVAILABLE,
                       "virt-v2v said nothing for %d minutes and was stopped: the appliance hangs, "
                       "or this host is overloaded; what it said is in %s",
                       (int)(silence_limit_ns(run) / NS_PER_S / 60), log);
    if (failure->kind == ERR_CANCELLED || failure->kind == ERR_NOT_FOUND) {
        *err = *failure;
        return -1;
    }
    /* Its own error line first: the tail holds complaints that did no harm as well. */
    const struct convert_failure *known = convert_failure_find(run->error);
    if (!known && run->tail.data)
        known = convert_failure_find(run->tail.data);
    if (known)
        return err_set(err, known->kind,
                       "conversion: %s: %s%s%s%s; all that virt-v2v said is in %s", known->cause,
                       known->cure, run->error[0] ? " (\"" : "", run->error,
                       run->error[0] ? "\")" : "", log);
    return err_set(err, failure->kind, "conversion: %s; all that virt-v2v said is in %s",
                   run->error[0] ? run->error : failure->text, log);
}
