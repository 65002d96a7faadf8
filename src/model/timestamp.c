#include "model/timestamp.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define SECONDS_PER_DAY 86400

struct moment {
    unsigned year, month, day, hour, minute, second;
    int zone_s; /* east of UTC */
};

static bool scan_moment(const char *text, struct moment *ret);
static bool moment_is_real(const struct moment *moment);
static int64_t days_since_1970(unsigned year, unsigned month, unsigned day);

int
timestamp_parse(const char *text, int64_t *ret_unix_s, struct err *err)
{
    struct moment moment = { 0 };
    if (!scan_moment(text, &moment) || !moment_is_real(&moment))
        return err_set(err, ERR_INVALID,
                       "'%s' is no time: write it as 2026-11-30T22:00:00Z, or without Z for UTC",
                       text);
    *ret_unix_s = days_since_1970(moment.year, moment.month, moment.day) * SECONDS_PER_DAY +
                  moment.hour * 3600 + moment.minute * 60 + moment.second - moment.zone_s;
    return 0;
}

/* Exactly n digits; moves *text behind them. */
static bool
scan_digits(const char **text, int n, unsigned *ret)
{
    unsigned number = 0;
    for (int i = 0; i < n; i++, (*text)++) {
        if (!isdigit((unsigned char)**text))
            return false;
        number = number * 10 + (unsigned)(**text - '0');
    }
    *ret = number;
    return true;
}

static bool
scan_mark(const char **text, const char *marks)
{
    if (**text == '\0' || !strchr(marks, **text))
        return false;
    (*text)++;
    return true;
}

/* Nothing, "Z" or "+01:00", and then the end. */
static bool
scan_zone(const char *text, int *ret_s)
{
    unsigned hours = 0, minutes = 0;
    bool west = *text == '-';
    *ret_s = 0;
    if (*text == '\0' || strcmp(text, "Z") == 0 || strcmp(text, "z") == 0)
        return true;
    if (!scan_mark(&text, "+-") || !scan_digits(&text, 2, &hours) || !scan_mark(&text, ":") ||
        !scan_digits(&text, 2, &minutes) || *text || hours > 23 || minutes > 59)
        return false;
    *ret_s = (int)(hours * 3600 + minutes * 60) * (west ? -1 : 1);
    return true;
}

static bool
scan_moment(const char *text, struct moment *ret)
{
    if (!scan_digits(&text, 4, &ret->year) || !scan_mark(&text, "-") ||
        !scan_digits(&text, 2, &ret->month) || !scan_mark(&text, "-") ||
        !scan_digits(&text, 2, &ret->day) || !scan_mark(&text, "Tt ") ||
        !scan_digits(&text, 2, &ret->hour) || !scan_mark(&text, ":") ||
        !scan_digits(&text, 2, &ret->minute))
        return false;
    if (scan_mark(&text, ":")) {
        if (!scan_digits(&text, 2, &ret->second))
            return false;
        if (scan_mark(&text, ".")) {
            size_t digits = strspn(text, "0123456789");
            if (digits == 0)
                return false;
            text += digits;
        }
    }
    return scan_zone(text, &ret->zone_s);
}

static bool
moment_is_real(const struct moment *moment)
{
    static const unsigned char days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    if (moment->year < 2000 || moment->month < 1 || moment->month > 12 || moment->day < 1)
        return false;
    bool leap = moment->year % 4 == 0 && (moment->year % 100 != 0 || moment->year % 400 == 0);
    unsigned last = days[moment->month - 1] + (moment->month == 2 && leap);
    return moment->day <= last && moment->hour <= 23 && moment->minute <= 59 &&
           moment->second <= 59;
}

/* Of the Gregorian calendar: years begin in March here, so that the leap day is their last. The way
 * of "chrono-Compatible Low-Level Date Algorithms" by Howard Hinnant. */
static int64_t
days_since_1970(unsigned year, unsigned month, unsigned day)
{
    if (month <= 2)
        year--;
    unsigned era = year / 400, year_of_era = year % 400;
    unsigned day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    unsigned day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return (int64_t)era * 146097 + day_of_era - 719468;
}

const char *
timestamp_format(int64_t unix_s, char text[TIMESTAMP_MAX])
{
    int64_t days = unix_s / SECONDS_PER_DAY;
    unsigned second = (unsigned)(unix_s % SECONDS_PER_DAY);
    int64_t shifted = days + 719468, era = shifted / 146097;
    unsigned day_of_era = (unsigned)(shifted % 146097);
    unsigned year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    unsigned day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    unsigned march = (5 * day_of_year + 2) / 153; /* months since March */
    unsigned day = day_of_year - (153 * march + 2) / 5 + 1;
    unsigned month = march < 10 ? march + 3 : march - 9;
    snprintf(text, TIMESTAMP_MAX, "%04u-%02u-%02uT%02u:%02u:%02uZ",
             (unsigned)era * 400 + year_of_era + (month <= 2), month, day, second / 3600,
             second / 60 % 60, second % 60);
    return text;
}
