/* Does a man page say the keys that the tables have, with their defaults, and no others?
 *
 *     man-keys spec|config PAGE
 */
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/fd.h"
#include "model/config-fields.h"
#include "model/spec-fields.h"

#define MAX_BYTES (1024 * 1024)
#define MAX_PATH 256

static unsigned complaints;

/* The line of a key: "\fBmigration.readers\fR (...)". */
static const char *
find_line(const char *page, const char *path)
{
    char want[MAX_PATH + 16];
    snprintf(want, sizeof want, "\n\\fB%s\\fR", path);
    const char *line = strstr(page, want);
    return line ? line + 1 : NULL;
}

static void
check_field(const char *page, const struct field *field, const char *path)
{
    const char *line = find_line(page, path);
    if (!line) {
        printf("%s is not in the page\n", path);
        complaints++;
        return;
    }
    char text[512], want[128];
    snprintf(text, sizeof text, "%.*s", (int)strcspn(line, "\n"), line);
    snprintf(want, sizeof want, "default %s)", field->fallback ? field->fallback : "");
    if (field->fallback && !strstr(text, want)) {
        printf("%s: the page does not say \"%s\" in its line\n", path, want);
        complaints++;
    }
}

/* Calls check_field for each key, or, with wanted, is true when that is one of them. */
static bool
walk(const char *page, const struct field *fields, const char *before, const char *wanted)
{
    for (const struct field *field = fields; field->key; field++) {
        char path[MAX_PATH];
        snprintf(path, sizeof path, "%s%s%s", before, *before ? "." : "", field->key);
        if (wanted && strcmp(path, wanted) == 0)
            return true;
        if (field->fields) {
            if (field->type == FIELD_OBJECTS)
                snprintf(path, sizeof path, "%s%s%s.\\fIKEY\\fB", before, *before ? "." : "",
                         field->key);
            if (walk(page, field->fields, path, wanted))
                return true;
        } else if (!wanted)
            check_field(page, field, path);
    }
    return false;
}

/* Each line that looks like a key's is one. */
static void
check_page(const char *page, const struct field *fields)
{
    static const char begin[] = "\n\\fB", end[] = "\\fR";
    for (const char *at = page; (at = strstr(at, begin)); at++) {
        const char *key = at + strlen(begin), *stop = strstr(key, end);
        char path[MAX_PATH];
        if (!stop)
            return;
        snprintf(path, sizeof path, "%.*s", (int)(stop - key), key);
        if (!walk(page, fields, "", path)) {
            printf("%s is in the page and is no key\n", path);
            complaints++;
        }
    }
}

int
main(int argc, char **argv)
{
    struct err err = ERR_INIT;
    auto_free char *page = NULL;
    if (argc != 3 || file_read(argv[2], MAX_BYTES, &page, NULL, &err) < 0) {
        fprintf(stderr, "man-keys: %s\n", argc == 3 ? err.text : "spec|config PAGE");
        return 1;
    }
    const struct field *fields = strcmp(argv[1], "config") == 0 ? config_fields : spec_fields;
    walk(page, fields, "", NULL);
    check_page(page, fields);
    return complaints > 0;
}
