#include "engine/machine-filter.h"

#include <fnmatch.h>
#include <string.h>
#include <strings.h>

#include "base/checked.h"

static const char *const field_names[] = {
    [MACHINE_NAME] = "name",
    [MACHINE_PATH] = "path",
    [MACHINE_HOST] = "host",
    [MACHINE_GUEST] = "guest",
    [MACHINE_DATACENTER] = "datacenter",
    [MACHINE_POWER] = "power",
    [MACHINE_TEMPLATE] = "template",
};

/* The fields that have a few words only. */
static const struct {
    enum machine_field field;
    const char *words[4];
} closed_fields[] = {
    { MACHINE_POWER, { "on", "off", "suspended", NULL } },
    { MACHINE_TEMPLATE, { "yes", "no", NULL } },
};

/* "power=off": the field, and where its glob begins. Without a field's name it is a name. */
static enum machine_field
split(const char *word, const char **ret_glob)
{
    for (size_t i = 0; i < ARRAY_LEN(field_names); i++) {
        size_t len = strlen(field_names[i]);
        if (strncmp(word, field_names[i], len) == 0 && word[len] == '=') {
            *ret_glob = word + len + 1;
            return (enum machine_field)i;
        }
    }
    *ret_glob = word;
    return MACHINE_NAME;
}

static int
check_closed(enum machine_field field, const char *glob, struct err *err)
{
    for (size_t i = 0; i < ARRAY_LEN(closed_fields); i++) {
        if (closed_fields[i].field != field)
            continue;
        const char *const *word = closed_fields[i].words;
        while (*word && strcasecmp(*word, glob) != 0)
            word++;
        if (!*word)
            return err_set(err, ERR_INVALID, "%s=%s: %s is %s", field_names[field], glob,
                           field_names[field],
                           field == MACHINE_POWER ? "on, off or suspended" : "yes or no");
    }
    return 0;
}

int
machine_filter_parse(const json_t *words, struct machine_filter *ret, struct err *err)
{
    *ret = (struct machine_filter){ .n = 0 };
    if ((words && !json_is_array(words)) || json_array_size(words) > MACHINE_FILTER_MAX)
        return err_set(err, ERR_INVALID, "'filter' is not a list of at most %d words",
                       MACHINE_FILTER_MAX);
    for (size_t i = 0; i < json_array_size(words); i++) {
        const char *word = json_string_value(json_array_get(words, i));
        if (!word || !*word)
            return err_set(err, ERR_INVALID, "'filter' holds something that is no word");
        ret->words[i].field = split(word, &ret->words[i].glob);
        if (check_closed(ret->words[i].field, ret->words[i].glob, err) < 0)
            return -1;
        ret->n++;
    }
    return 0;
}

bool
machine_filter_matches(const struct machine_filter *filter,
                       const char *const values[MACHINE_FIELDS])
{
    bool wanted[MACHINE_FIELDS] = { false }, found[MACHINE_FIELDS] = { false };
    for (size_t i = 0; i < filter->n; i++) {
        enum machine_field field = filter->words[i].field;
        const char *value = values[field] ? values[field] : "";
        wanted[field] = true;
        found[field] = found[field] || fnmatch(filter->words[i].glob, value, FNM_CASEFOLD) == 0;
    }
    for (size_t i = 0; i < MACHINE_FIELDS; i++)
        if (wanted[i] && !found[i])
            return false;
    return true;
}
