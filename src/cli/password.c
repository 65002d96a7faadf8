#include "cli/password.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"

/* Byte by byte, so that no buffer of stdio keeps it. */
static int
read_line(int fd, const char *name, char password[PASSWORD_MAX], struct err *err)
{
    size_t len = 0;
    for (;;) {
        ssize_t n = read(fd, password + len, 1);
        if (n < 0 && errno == EINTR)
            return err_set(err, ERR_CANCELLED, "%s: interrupted", name);
        if (n < 0)
            return err_errno(err, errno, "%s: read", name);
        if (n == 0 || password[len] == '\n')
            break;
        if (password[len] == '\0')
            return err_set(err, ERR_INVALID, "%s: there is a NUL in the password", name);
        if (++len == PASSWORD_MAX)
            return err_set(err, ERR_INVALID, "%s: the password is longer than %d bytes", name,
                           PASSWORD_MAX - 1);
    }
    if (len && password[len - 1] == '\r')
        len--;
    password[len] = '\0';
    return 0;
}

int
password_read(const char *path, char password[PASSWORD_MAX], struct err *err)
{
    if (strcmp(path, "-") == 0)
        return read_line(STDIN_FILENO, "the password on standard input", password, err);
    auto_close int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_errno(err, errno, "%s: read the password", path);
    return read_line(fd, path, password, err);
}

int
password_ask(const char *user, const char *server, const char *option, char password[PASSWORD_MAX],
             struct err *err)
{
    struct termios was, quiet;
    char prompt[512];
    auto_close int fd = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
    if (fd < 0 || tcgetattr(fd, &was) < 0)
        return err_set(err, ERR_INVALID,
                       "no password for %s at %s, and no terminal to ask for it: give a file with "
                       "%s",
                       user, server, option);
    quiet = was;
    quiet.c_lflag &= ~(tcflag_t)ECHO;
    quiet.c_lflag |= ICANON;
    int n = snprintf(prompt, sizeof prompt, "Password for %.200s at %.200s: ", user, server);
    if (tcsetattr(fd, TCSAFLUSH, &quiet) < 0 ||
        fd_write(fd, prompt, (size_t)n, "/dev/tty", err) < 0)
        return err_errno(err, errno, "/dev/tty");
    int r = read_line(fd, "/dev/tty", password, err);
    tcsetattr(fd, TCSAFLUSH, &was);
    struct err ignored = ERR_INIT;
    fd_write(fd, "\n", 1, "/dev/tty", &ignored);
    return r;
}

void
password_wipe(char password[PASSWORD_MAX])
{
    explicit_bzero(password, PASSWORD_MAX);
}
