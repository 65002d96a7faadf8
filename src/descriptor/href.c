#include "descriptor/href.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

static int
hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)tolower((unsigned char)c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool
has_dot_dot(const char *name)
{
    for (const char *part = name; part; part = strchr(part, '/')) {
        part += *part == '/';
        if (strncmp(part, "..", 2) == 0 && (part[2] == '/' || part[2] == '\0'))
            return true;
    }
    return false;
}

int
href_check_name(const char *name, struct err *err)
{
    const char *why = NULL;
    size_t len = strlen(name);
    if (len == 0)
        why = "it is empty";
    else if (len > HREF_MAX)
        why = "it is too long";
    else if (name[0] == '/')
        why = "it is an absolute path";
    else if (has_dot_dot(name))
        why = "it leads out of the package ('..')";
    else if (strchr(name, ':'))
        why = "it names another place than the package (':')";
    else if (name[len - 1] == '/')
        why = "it names a directory";
    for (const char *c = name; *c && !why; c++)
        if (iscntrl((unsigned char)*c))
            why = "it has control characters";
    if (!why)
        return 0;
    return err_set(err, ERR_INVALID, "reference '%.200s' is refused: %s", name, why);
}

int
href_decode(const char *href, char **ret_name, struct err *err)
{
    auto_free char *name = strdup(href);
    if (!name)
        return err_errno(err, ENOMEM, "a reference");
    char *to = name;
    for (const char *from = href; *from; to++) {
        int high = *from == '%' ? hex_value(from[1]) : -1;
        int low = high >= 0 ? hex_value(from[2]) : -1;
        if (low < 0) {
            *to = *from++;
            continue;
        }
        *to = (char)(high << 4 | low);
        if (*to == '\0')
            return err_set(err, ERR_INVALID, "reference '%.200s' is refused: it has a NUL", href);
        from += 3;
    }
    *to = '\0';
    char *start = name;
    while (start[0] == '.' && start[1] == '/')
        start += 2;
    if (href_check_name(start, err) < 0)
        return -1;
    memmove(name, start, strlen(start) + 1);
    *ret_name = TAKE_PTR(name);
    return 0;
}
