#include "base/size.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/checked.h"

static const char units[] = "KMGTP";

/* What the letters after a number stand for, in bytes; 0: nothing we know. */
static uint64_t
unit_bytes(const char *suffix)
{
    if (*suffix == '\0' || strcasecmp(suffix, "b") == 0)
        return 1;
    const char *unit = strchr(units, toupper((unsigned char)*suffix));
    const char *rest = suffix + 1;
    if (!unit || (*rest && strcasecmp(rest, "b") != 0 && strcasecmp(rest, "ib") != 0 &&
                  strcasecmp(rest, "i") != 0))
        return 0;
    return UINT64_C(1) << (10 * (unit - units + 1));
}

/* Digits after the point, as a part of unit; moves *text behind them. */
static uint64_t
parse_fraction(const char **text, uint64_t unit)
{
    double scale = (double)unit, sum = 0;
    for (; isdigit((unsigned char)**text); (*text)++) {
        scale /= 10;
        sum += (**text - '0') * scale;
    }
    return (uint64_t)sum;
}

int
size_parse(const char *text, uint64_t *ret_bytes, struct err *err)
{
    if (!isdigit((unsigned char)text[0]))
        goto bad;
    char *end;
    errno = 0;
    uint64_t bytes = strtoull(text, &end, 10);
    const char *fraction = *end == '.' ? end + 1 : "";
    uint64_t unit = unit_bytes(*end == '.' ? fraction + strspn(fraction, "0123456789") : end);
    if (errno == ERANGE || unit == 0 || (*end == '.' && !isdigit((unsigned char)*fraction)))
        goto bad;
    if (!checked_mul(bytes, unit, &bytes) ||
        !checked_add(bytes, parse_fraction(&fraction, unit), &bytes) || bytes > INT64_MAX)
        goto bad;
    *ret_bytes = bytes;
    return 0;
bad:
    return err_set(err, ERR_INVALID, "'%s' is not a size: write a number and K, M, G or T", text);
}

const char *
size_format(uint64_t bytes, char text[SIZE_TEXT_MAX])
{
    double number = (double)bytes;
    int unit = -1;
    while (number >= 1024 && unit < (int)strlen(units) - 1) {
        number /= 1024;
        unit++;
    }
    if (unit < 0)
        snprintf(text, SIZE_TEXT_MAX, "%" PRIu64 " B", bytes);
    else
        snprintf(text, SIZE_TEXT_MAX, number < 10 ? "%.2f %ciB" : "%.1f %ciB", number, units[unit]);
    return text;
}
