/* vmferry-askpass: what ssh(1) asks for a password when it was given one by the engine
 * (engine/ssh-command.c). ssh leaves its standard input to the program that it asks; the password
 * is a line in that pipe, so it is in no argument, no environment and no file.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/proc.h"

#define PASSWORD_MAX 4096

int
main(void)
{
    proc_forbid_core();
    char text[PASSWORD_MAX];
    size_t len = 0;
    while (len < sizeof text) {
        ssize_t n = read(STDIN_FILENO, text + len, sizeof text - len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        len += (size_t)n;
    }
    for (size_t done = 0; done < len;) {
        ssize_t n = write(STDOUT_FILENO, text + done, len - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        done += (size_t)n;
    }
    explicit_bzero(text, sizeof text);
    return len > 0 ? 0 : 1;
}
