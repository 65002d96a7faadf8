#include "model/field-scalar.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/checked.h"
#include "base/size.h"
#include "model/text.h"
#include "model/timestamp.h"

static int set_text(const struct field *field, const char *text, char **member, struct err *err);
static int set_int(const struct field *field, const char *text, int64_t *ret, struct err *err);
static int set_size(const struct field *field, const char *text, uint64_t *ret, struct err *err);
static int set_tristate(const char *text, enum tristate *ret, struct err *err);
static int set_choice(const struct field *field, const char *text, unsigned *ret, struct err *err);

bool
field_is_scalar(const struct field *field)
{
    return field->type <= FIELD_CHOICE;
}

int
field_scalar_set(const struct field *field, const char *text, void *object, struct err *err)
{
    void *member = (char *)object + field->offset;
    switch (field->type) {
    case FIELD_TEXT:
    case FIELD_SECRET:
        return set_text(field, text, member, err);
    case FIELD_INT:
        return set_int(field, text, member, err);
    case FIELD_SIZE:
        return set_size(field, text, member, err);
    case FIELD_TIME:
        return timestamp_parse(text, member, err);
    case FIELD_TRISTATE:
        return set_tristate(text, member, err);
    case FIELD_CHOICE:
        return set_choice(field, text, member, err);
    default:
        return err_set(err, ERR_BUG, "%s is no single value", field->key);
    }
}

static int
set_text(const struct field *field, const char *text, char **member, struct err *err)
{
    char *copy;
    if (field_text_copy(field, text, &copy, err) < 0)
        return -1;
    secret_free(*member);
    *member = copy;
    return 0;
}

int
field_text_copy(const struct field *field, const char *text, char **ret, struct err *err)
{
    if (strlen(text) > FIELD_MAX_TEXT)
        return err_set(err, ERR_INVALID, "longer than %d bytes", FIELD_MAX_TEXT);
    if (text_utf8_len(text) != strlen(text))
        return err_set(err, ERR_INVALID, "it is not UTF-8");
    if (field->type != FIELD_SECRET && text_has_control(text))
        return err_set(err, ERR_INVALID, "a control character (a line break, a tab) is in it");
    auto_secret char *copy = strdup(text);
    if (!copy)
        return err_set(err, ERR_UNAVAILABLE, "no memory");
    if (field->check && field->check(copy, err) < 0)
        return -1;
    *ret = TAKE_PTR(copy);
    return 0;
}

/* Decimal digits alone: "010" is eight to some and ten to others. */
static int
set_int(const struct field *field, const char *text, int64_t *ret, struct err *err)
{
    const char *digits = text + (*text == '-' || *text == '+');
    if (!isdigit((unsigned char)*digits) || digits[strspn(digits, "0123456789")] ||
        (digits[0] == '0' && digits[1]))
        return err_set(err, ERR_INVALID, "'%.60s' is not a whole number", text);
    errno = 0;
    int64_t number = strtoll(text, NULL, 10);
    if (errno == ERANGE || number < field->low || number > field->high)
        return err_set(err, ERR_INVALID, "%.60s is not from %" PRId64 " to %" PRId64, text,
                       field->low, field->high);
    *ret = number;
    return 0;
}

static int
set_size(const struct field *field, const char *text, uint64_t *ret, struct err *err)
{
    uint64_t bytes;
    if (strlen(text) > 60)
        return err_set(err, ERR_INVALID, "'%.60s...' is not a size", text);
    if (size_parse(text, &bytes, err) < 0)
        return -1;
    if (bytes != 0 && (bytes < (uint64_t)field->low || bytes > (uint64_t)field->high)) {
        char low[SIZE_TEXT_MAX], high[SIZE_TEXT_MAX];
        return err_set(err, ERR_INVALID, "%s is not from %s to %s", text,
                       size_format((uint64_t)field->low, low),
                       size_format((uint64_t)field->high, high));
    }
    *ret = bytes;
    return 0;
}

/* As YAML 1.1 writes booleans, whose words yaml.v3, and so v2c-engine, takes as well. */
static int
set_tristate(const char *text, enum tristate *ret, struct err *err)
{
    static const char *const yes[] = { "true", "yes", "on", "y" };
    static const char *const no[] = { "false", "no", "off", "n" };
    for (size_t i = 0; i < ARRAY_LEN(yes); i++) {
        if (strcasecmp(text, yes[i]) == 0 || strcasecmp(text, no[i]) == 0) {
            *ret = strcasecmp(text, yes[i]) == 0 ? TRISTATE_YES : TRISTATE_NO;
            return 0;
        }
    }
    return err_set(err, ERR_INVALID, "'%.60s' is neither true nor false", text);
}

static int
set_choice(const struct field *field, const char *text, unsigned *ret, struct err *err)
{
    for (unsigned i = 0; field->choices[i]; i++) {
        if (strcasecmp(text, field->choices[i]) == 0) {
            *ret = i + 1;
            return 0;
        }
    }
    auto_buf struct buf all = BUF_INIT(FIELD_MAX_TEXT);
    for (unsigned i = 0; field->choices[i]; i++)
        if (buf_printf(&all, err, "%s%s", i ? ", " : "", field->choices[i]) < 0)
            return -1;
    return err_set(err, ERR_INVALID, "'%.60s' is none of %s", text, all.data);
}

bool
field_scalar_given(const struct field *field, const void *object)
{
    const void *member = (const char *)object + field->offset;
    switch (field->type) {
    case FIELD_TEXT:
    case FIELD_SECRET:
        return *(char *const *)member != NULL;
    case FIELD_INT:
    case FIELD_SIZE:
    case FIELD_TIME:
        return *(const int64_t *)member != 0;
    default:
        return *(const unsigned *)member != 0;
    }
}

int
field_scalar_write(const struct field *field, const void *object, struct buf *buf, struct err *err)
{
    const void *member = (const char *)object + field->offset;
    char time[TIMESTAMP_MAX];
    switch (field->type) {
    case FIELD_TEXT:
    case FIELD_SECRET:
        return field_quote(*(char *const *)member, buf, err);
    case FIELD_INT:
    case FIELD_SIZE:
        return buf_printf(buf, err, "%" PRId64, *(const int64_t *)member);
    case FIELD_TIME:
        return field_quote(timestamp_format(*(const int64_t *)member, time), buf, err);
    case FIELD_TRISTATE:
        return buf_add_str(buf, *(const enum tristate *)member == TRISTATE_YES ? "true" : "false",
                           err);
    case FIELD_CHOICE:
        return field_quote(field->choices[*(const unsigned *)member - 1], buf, err);
    default:
        return err_set(err, ERR_BUG, "%s is no single value", field->key);
    }
}

/* The character at text, and how many bytes it has. text is UTF-8. */
static unsigned
code_point(const char *text, size_t *ret_len)
{
    const unsigned char *c = (const unsigned char *)text;
    *ret_len = c[0] < 0x80 ? 1 : c[0] < 0xe0 ? 2 : c[0] < 0xf0 ? 3 : 4;
    unsigned code = *ret_len == 1 ? c[0] : c[0] & (0x7f >> *ret_len);
    for (size_t i = 1; i < *ret_len; i++)
        code = code << 6 | (c[i] & 0x3f);
    return code;
}

/* What YAML does not take as it is, or takes for a line break. */
static bool
needs_escape(unsigned code)
{
    return code < 0x20 || (code >= 0x7f && code < 0xa0) || code == 0x2028 || code == 0x2029 ||
           code == 0xfeff || code == 0xfffe || code == 0xffff;
}

int
field_quote(const char *text, struct buf *buf, struct err *err)
{
    if (text_utf8_len(text) != strlen(text))
        return err_set(err, ERR_INVALID, "a text that is not UTF-8");
    if (buf_add(buf, "\"", 1, err) < 0)
        return -1;
    for (size_t len; *text; text += len) {
        unsigned code = code_point(text, &len);
        int result;
        if (needs_escape(code))
            result = buf_printf(buf, err, "\\u%04x", code);
        else if (code == '"' || code == '\\')
            result = buf_printf(buf, err, "\\%c", (char)code);
        else
            result = buf_add(buf, text, len, err);
        if (result < 0)
            return -1;
    }
    return buf_add(buf, "\"", 1, err);
}
