/* A password, from a file or from the person at the terminal. */
#ifndef CLI_PASSWORD_H
#define CLI_PASSWORD_H

#include "base/err.h"

#define PASSWORD_MAX 1024 /* bytes, with the NUL */

/* The first line of a file, without its line break; "-": of stdin. An empty one is allowed. */
int password_read(const char *path, char password[PASSWORD_MAX], struct err *err);

/* Ask at the controlling terminal, without echo: "Password for USER at SERVER: ". ERR_INVALID
 * without a terminal, naming the option (as it is written here) that says a file. */
int password_ask(const char *user, const char *server, const char *option,
                 char password[PASSWORD_MAX], struct err *err);

/* Wipe it. */
void password_wipe(char password[PASSWORD_MAX]);

#endif
