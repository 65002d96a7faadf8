#include "descriptor/number.h"

#include <ctype.h>
#include <inttypes.h>
#include <string.h>
#include <strings.h>

#include "base/checked.h"

#define UNIT_MAX 64

static bool unit_product(const char *at, uint64_t *ret);
static bool unit_number(const char **at, uint64_t *ret);

static const struct {
    const char *word;
    uint64_t bytes;
} unit_words[] = {
    { "kb", KIB },       { "kib", KIB },       { "kilobyte", KIB }, { "kilobytes", KIB },
    { "kibibyte", KIB }, { "kibibytes", KIB }, { "mb", MIB },       { "mib", MIB },
    { "megabyte", MIB }, { "megabytes", MIB }, { "mebibyte", MIB }, { "mebibytes", MIB },
    { "gb", GIB },       { "gib", GIB },       { "gigabyte", GIB }, { "gigabytes", GIB },
    { "gibibyte", GIB }, { "gibibytes", GIB }, { "tb", TIB },       { "tib", TIB },
    { "terabyte", TIB }, { "terabytes", TIB }, { "tebibyte", TIB }, { "tebibytes", TIB },
    { "b", 1 },
};

int
number_read(const char *text, const char *what, uint64_t *ret, struct err *err)
{
    if (!text)
        return err_set(err, ERR_INVALID, "%s is missing", what);
    const char *at = text;
    uint64_t number = 0;
    bool any = false, fits = true;
    while (isspace((unsigned char)*at))
        at++;
    for (; isdigit((unsigned char)*at); at++, any = true)
        fits = fits && checked_mul(number, 10, &number) &&
               checked_add(number, (uint64_t)(*at - '0'), &number);
    while (isspace((unsigned char)*at))
        at++;
    if (!any || *at)
        return err_set(err, ERR_INVALID, "%s: '%.80s' is not a whole number", what, text);
    if (!fits)
        return err_set(err, ERR_INVALID, "%s: %.80s is too large", what, text);
    *ret = number;
    return 0;
}

int
number_read_max(const char *text, const char *what, uint64_t max, uint64_t *ret, struct err *err)
{
    uint64_t number;
    if (number_read(text, what, &number, err) < 0)
        return -1;
    if (number > max)
        return err_set(err, ERR_INVALID, "%s: %" PRIu64 " is more than the %" PRIu64 " that can be",
                       what, number, max);
    *ret = number;
    return 0;
}

int
number_unit(const char *unit, uint64_t *ret_bytes, struct err *err)
{
    /* Compare without space and in lower case. */
    char plain[UNIT_MAX] = "";
    size_t len = 0;
    for (const char *c = unit; *c && len < sizeof plain - 1; c++)
        if (!isspace((unsigned char)*c))
            plain[len++] = (char)tolower((unsigned char)*c);
    plain[len] = '\0';
    if (strncmp(plain, "byte", 4) == 0) {
        const char *rest = plain + 4 + (plain[4] == 's');
        if (unit_product(rest, ret_bytes))
            return 0;
    }
    for (size_t i = 0; i < ARRAY_LEN(unit_words); i++)
        if (strcmp(unit_words[i].word, plain) == 0) {
            *ret_bytes = unit_words[i].bytes;
            return 0;
        }
    return err_set(err, ERR_INVALID, "unknown unit '%.80s'", unit);
}

/* "", "*2^20", "*1024*1024". */
static bool
unit_product(const char *at, uint64_t *ret)
{
    uint64_t product = 1;
    while (*at == '*') {
        uint64_t base, power = 1;
        at++;
        if (!unit_number(&at, &base))
            return false;
        if (*at == '^') {
            at++;
            if (!unit_number(&at, &power) || power > 63)
                return false;
        }
        while (power-- > 0)
            if (!checked_mul(product, base, &product))
                return false;
    }
    if (*at || product == 0)
        return false;
    *ret = product;
    return true;
}

static bool
unit_number(const char **at, uint64_t *ret)
{
    uint64_t number = 0;
    const char *start = *at;
    for (; isdigit((unsigned char)**at); (*at)++)
        if (!checked_mul(number, 10, &number) ||
            !checked_add(number, (uint64_t)(**at - '0'), &number))
            return false;
    *ret = number;
    return *at > start;
}

int
number_bytes(const char *text, const char *unit, const char *what, uint64_t *ret_bytes,
             struct err *err)
{
    uint64_t number, unit_bytes;
    if (number_read(text, what, &number, err) < 0)
        return -1;
    if (number_unit(unit, &unit_bytes, err) < 0)
        return err_prefix(err, "%s", what);
    if (!checked_mul(number, unit_bytes, ret_bytes))
        return err_set(err, ERR_INVALID, "%s: %" PRIu64 " times '%.80s' is too large", what, number,
                       unit);
    return 0;
}

bool
number_is_true(const char *text)
{
    return text && (strcasecmp(text, "true") == 0 || strcasecmp(text, "yes") == 0 ||
                    strcasecmp(text, "on") == 0 || strcmp(text, "1") == 0);
}
