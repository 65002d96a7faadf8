#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/proc.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "guest/convert.h"

#define ANSWER_MAX ((size_t)256 * 1024)
#define ANSWER_LIMIT_NS (30 * NS_PER_S)

static int ask(const char *program, const char *question, struct buf *answer, struct err *err);
static bool has_line(const char *text, const char *word);

int
convert_features_ask(const char *program, struct convert_features *ret_features, struct err *err)
{
    if (!program)
        program = "virt-v2v-in-place";
    auto_buf struct buf machine = BUF_INIT(ANSWER_MAX);
    auto_buf struct buf help = BUF_INIT(ANSWER_MAX);
    auto_buf struct buf version = BUF_INIT(ANSWER_MAX);
    if (ask(program, "--machine-readable", &machine, err) < 0 ||
        ask(program, "--help", &help, err) < 0 || ask(program, "--version", &version, err) < 0)
        return -1;
    convert_features_read(machine.data, help.data, version.data, ret_features);
    return 0;
}

/* Feature words where there are any; the help text for what no list names; the version for what
 * neither shows. */
void
convert_features_read(const char *machine, const char *help, const char *version,
                      struct convert_features *ret_features)
{
    struct convert_features f = { 0 };
    unsigned major = 0, minor = 0;
    const char *number = strrchr(version, ' ');
    number = number ? number + 1 : version;
    snprintf(f.version, sizeof f.version, "%.*s", (int)strspn(number, "0123456789."), number);
    if (sscanf(f.version, "%4u.%4u", &major, &minor) != 2)
        major = minor = 0;

    f.mac_ip = has_line(machine, "mac-ip-option");
    f.block_driver =
        has_line(machine, "block-driver-option") || strstr(help, "--block-driver") != NULL;
    f.memsize = strstr(help, "--memsize") != NULL;
    f.no_fstrim = strstr(help, "--no-fstrim") != NULL;
    f.key_all = major > 2 || (major == 2 && minor >= 4);
    *ret_features = f;
}

static void
keep_line(int stream, const char *line, size_t len, void *arg)
{
    struct buf *answer = arg;
    struct err ignored = ERR_INIT;
    /* A line that does not fit any more is one we would not look for. */
    if (stream == 1 && buf_add(answer, line, len, &ignored) == 0)
        buf_add_str(answer, "\n", &ignored);
}

static int
ask(const char *program, const char *question, struct buf *answer, struct err *err)
{
    const char *argv[] = { program, question, NULL };
    struct proc_spec spec = PROC_SPEC_INIT;
    spec.argv = argv;
    if (buf_add_str(answer, "", err) < 0 ||
        proc_run(&spec, clock_now_ns() + ANSWER_LIMIT_NS, keep_line, NULL, answer, err) < 0)
        return err_prefix(err, "ask virt-v2v what it can do");
    return 0;
}

static bool
has_line(const char *text, const char *word)
{
    size_t len = strlen(word);
    for (const char *line = text; line && *line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, word, len) == 0 && (line[len] == '\n' || line[len] == '\0'))
            return true;
    }
    return false;
}
