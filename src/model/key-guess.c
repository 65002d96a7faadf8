#include "model/key-guess.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/checked.h"

#define MAX_KEY 40 /* longer than any of ours */
#define MAX_PATH 128

static const struct field *find_nearest(const char *key, const struct field *fields);
static bool find_elsewhere(const char *key, const struct field *fields, char path[MAX_PATH]);

int
key_guess(const char *key, const struct field *fields, const struct field *root, struct buf *buf,
          struct err *err)
{
    char path[MAX_PATH] = "";
    const struct field *nearest = find_nearest(key, fields);
    if (!nearest && find_elsewhere(key, root, path)) {
        if (path[0] == '\0')
            return buf_add_str(buf, " (it belongs at the top)", err);
        return buf_printf(buf, err, " (it belongs under '%s')", path);
    }
    if (!nearest)
        nearest = find_nearest(key, root);
    return nearest ? buf_printf(buf, err, " (did you mean '%s'?)", nearest->key) : 0;
}

/* How many letters must be put in, left out, replaced, or swapped with their neighbour. */
static unsigned
distance(const char *a, const char *b)
{
    size_t a_len = strlen(a), b_len = strlen(b);
    unsigned rows[3][MAX_KEY + 1]; /* of a[..i-2], a[..i-1], a[..i] */
    if (a_len > MAX_KEY || b_len > MAX_KEY)
        return MAX_KEY;
    for (size_t j = 0; j <= b_len; j++)
        rows[0][j] = (unsigned)j;
    for (size_t i = 1; i <= a_len; i++) {
        unsigned *row = rows[i % 3];
        const unsigned *last = rows[(i + 2) % 3], *before = rows[(i + 1) % 3];
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= b_len; j++) {
            unsigned same = tolower((unsigned char)a[i - 1]) == tolower((unsigned char)b[j - 1]);
            row[j] = MIN(MIN(last[j] + 1, row[j - 1] + 1), last[j - 1] + !same);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                row[j] = MIN(row[j], before[j - 2] + 1);
        }
    }
    return rows[a_len % 3][b_len];
}

/* One of the two is the other's beginning. */
static const struct field *
find_longer(const char *key, const struct field *fields)
{
    size_t len = strlen(key);
    for (const struct field *field = fields; len >= 4 && field->key; field++) {
        size_t field_len = strlen(field->key);
        if (field_len >= 4 && strncmp(key, field->key, MIN(len, field_len)) == 0)
            return field;
    }
    return NULL;
}

/* A third of the letters may be wrong, but more than two only where it does not begin alike. */
static const struct field *
find_nearest(const char *key, const struct field *fields)
{
    const struct field *nearest = NULL;
    unsigned best = (unsigned)strlen(key) / 3 + 1;
    for (const struct field *field = fields; field->key; field++) {
        unsigned far = distance(key, field->key);
        if (far >= best)
            continue;
        best = far;
        nearest = field;
    }
    const struct field *longer = nearest && best <= 2 ? NULL : find_longer(key, fields);
    return longer ? longer : nearest;
}

static bool
find_elsewhere(const char *key, const struct field *fields, char path[MAX_PATH])
{
    size_t len = strlen(path);
    for (const struct field *field = fields; field->key; field++)
        if (strcmp(field->key, key) == 0)
            return true;
    for (const struct field *field = fields; field->key; field++) {
        if (field->type != FIELD_OBJECT)
            continue;
        snprintf(path + len, MAX_PATH - len, "%s%s", len ? "." : "", field->key);
        if (find_elsewhere(key, field->fields, path))
            return true;
        path[len] = '\0';
    }
    return false;
}
