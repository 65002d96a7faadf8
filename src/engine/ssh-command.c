#include "engine/ssh-command.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fd.h"
#include "wire/child.h"

#define LIMIT_NS (120 * NS_PER_S)
#define CONNECT_LIMIT "ConnectTimeout=30"
#define WORDS_MAX 400
#define OPTION_MAX 4096
#define PASSWORD_MAX 4096
#define SSH_FAILED 255 /* ssh's own exit status; all others are the command's */

/* What comes back while it runs. */
struct listener {
    const struct ssh_command *command;
    struct buf *out;
    char words[WORDS_MAX]; /* its last line on stderr */
    struct err err;        /* more came than there is room for */
    int line_err;
};

static int fill_argv(const struct ssh_command *command, const char **argv, char *known_hosts,
                     char *port);
static int password_pipe(const char *password, struct err *err);
static int explain(const struct ssh_command *command, const struct listener *listener,
                   const struct err *why, struct err *err);

static void
take_line(int stream, const char *line, size_t len, void *arg)
{
    struct listener *listener = arg;
    if (stream == 2 && len > 0)
        snprintf(listener->words, sizeof listener->words, "%.*s", (int)MIN(len, (size_t)WORDS_MAX),
                 line);
    if (stream != 1 || listener->line_err < 0)
        return;
    listener->line_err = buf_add(listener->out, line, len, &listener->err);
    if (listener->line_err == 0)
        listener->line_err = buf_add(listener->out, "\n", 1, &listener->err);
}

static bool
is_cancelled(void *arg)
{
    const struct listener *listener = arg;
    return listener->command->cancelled && listener->command->cancelled(listener->command->arg);
}

int
ssh_command_run(const struct ssh_command *command, struct buf *out, struct err *err)
{
    const char *argv[32];
    char known_hosts[OPTION_MAX], port[16];
    auto_free char *askpass = NULL, *askpass_env = NULL;
    auto_close int password_fd = -1;
    const char *env[] = { "SSH_ASKPASS_REQUIRE=force", NULL, NULL };
    const char *const no_env[] = { "SSH_ASKPASS", "SSH_ASKPASS_REQUIRE", NULL };
    struct proc_spec spec = PROC_SPEC_INIT;
    if (fill_argv(command, argv, known_hosts, port) < 0)
        return err_set(err, ERR_INVALID, "%s: a file's name for ssh is too long",
                       command->host->host);
    spec.argv = argv;
    spec.env_drop = no_env;
    spec.guarded = true;
    if (command->host->password) {
        if (child_program_find("vmferry-askpass", &askpass, err) < 0 ||
            (password_fd = password_pipe(command->host->password, err)) < 0)
            return -1;
        if (asprintf(&askpass_env, "SSH_ASKPASS=%s", askpass) < 0) {
            askpass_env = NULL;
            return err_errno(err, ENOMEM, "start ssh");
        }
        env[1] = askpass_env;
        spec.env_add = env;
        spec.env_drop = NULL;
        spec.stdin_fd = password_fd;
    }
    struct listener listener = { .command = command, .out = out, .err = ERR_INIT };
    struct err why = ERR_INIT;
    int r = proc_run(&spec, clock_now_ns() + LIMIT_NS, take_line, is_cancelled, &listener, &why);
    if (r < 0)
        return explain(command, &listener, &why, err);
    if (listener.line_err < 0)
        return err_set(err, ERR_INVALID, "%s: the answer to '%.40s' is too long: %s",
                       command->host->host, command->command, listener.err.text);
    return 0;
}

int
ssh_quote(const char *text, struct buf *out, struct err *err)
{
    if (buf_add(out, "'", 1, err) < 0)
        return -1;
    for (const char *at = text; *at; at++) {
        int r = *at == '\'' ? buf_add(out, "'\\''", 4, err) : buf_add(out, at, 1, err);
        if (r < 0)
            return -1;
    }
    return buf_add(out, "'", 1, err);
}

/* Of files' names ssh takes % for the beginning of a token. */
static int
escape_percent(const char *from, char *to, size_t size)
{
    size_t len = strlen(to);
    for (; *from; from++) {
        if (len + 3 > size)
            return -1;
        if (*from == '%')
            to[len++] = '%';
        to[len++] = *from;
    }
    to[len] = '\0';
    return 0;
}

/* The password is read from stdin by the program that ssh asks: with -n the command there gets none
 * of it. A second question would find the pipe empty. */
static int
fill_argv(const struct ssh_command *command, const char **argv, char *known_hosts, char *port)
{
    const struct ssh_host *host = command->host;
    size_t n = 0;
    const char *always[] = {
        "ssh",
        "-n",
        "-T",
        "-x",
        "-o",
        host->password ? "BatchMode=no" : "BatchMode=yes",
        "-o",
        command->accept_new ? "StrictHostKeyChecking=accept-new" : "StrictHostKeyChecking=yes",
        "-o",
        "NumberOfPasswordPrompts=1",
        "-o",
        CONNECT_LIMIT,
        "-o",
        "ServerAliveInterval=15",
        "-o",
        "ClearAllForwardings=yes"
    };
    for (; n < ARRAY_LEN(always); n++)
        argv[n] = always[n];
    if (host->known_hosts) {
        snprintf(known_hosts, OPTION_MAX, "UserKnownHostsFile=\"");
        if (escape_percent(host->known_hosts, known_hosts, OPTION_MAX - 1) < 0)
            return -1;
        size_t len = strlen(known_hosts);
        snprintf(known_hosts + len, OPTION_MAX - len, "\"");
        argv[n++] = "-o";
        argv[n++] = known_hosts;
    }
    if (host->port) {
        snprintf(port, 16, "%u", host->port);
        argv[n++] = "-p";
        argv[n++] = port;
    }
    if (host->user) {
        argv[n++] = "-l";
        argv[n++] = host->user;
    }
    if (host->identity) {
        argv[n++] = "-i";
        argv[n++] = host->identity;
    }
    argv[n++] = "--";
    argv[n++] = host->host;
    argv[n++] = command->command;
    argv[n] = NULL;
    return 0;
}

static int
password_pipe(const char *password, struct err *err)
{
    int fds[2];
    size_t len = strlen(password);
    if (len >= PASSWORD_MAX)
        return err_set(err, ERR_INVALID, "the password for SSH is longer than %d bytes",
                       PASSWORD_MAX - 1);
    if (pipe2(fds, O_CLOEXEC) < 0)
        return err_errno(err, errno, "hand the password to ssh");
    auto_close int from = fds[0];
    auto_close int into = fds[1];
    if (fd_write(into, password, len, "the password for ssh", err) < 0 ||
        fd_write(into, "\n", 1, "the password for ssh", err) < 0)
        return -1;
    return TAKE_FD(from);
}

/* ---- what went wrong ---- */

static int
explain(const struct ssh_command *command, const struct listener *listener, const struct err *why,
        struct err *err)
{
    const char *host = command->host->host, *words = listener->words;
    const char *user = command->host->user ? command->host->user : "this user";
    if (why->kind == ERR_CANCELLED || why->kind == ERR_NOT_FOUND)
        return err_set(err, why->kind, "%s", why->text);
    if (strstr(words, "Host key verification failed") || strstr(words, "host key is known for"))
        return err_set(err, ERR_DENIED,
                       "%s: its SSH host key is not known here, or is another than the known one: "
                       "log in once with ssh, compare the fingerprint and accept it, or name a "
                       "file of known keys: %s",
                       host, words);
    if (strstr(words, "Permission denied"))
        return err_set(err, ERR_DENIED,
                       "%s: SSH does not let %s in: %s: %s, or have a key accepted there", host,
                       user, words,
                       command->host->password ? "see whether the password is right"
                                               : "give the password's file with -ip");
    char status[32];
    snprintf(status, sizeof status, "exit status %d", SSH_FAILED);
    if (why->kind == ERR_UNAVAILABLE || strstr(why->text, status))
        return err_set(err, ERR_UNAVAILABLE, "%s: not reached by SSH: %s", host,
                       *words ? words : why->text);
    return err_set(err, ERR_NOT_FOUND, "%s: %s", host, *words ? words : why->text);
}
