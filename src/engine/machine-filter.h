/* Which machines of an inventory are meant.
 *
 * Words of the form FIELD=GLOB, or a GLOB alone for the name; globs as fnmatch(3) has them, upper
 * and lower case the same. Fields: name, path, host, guest, datacenter, power (on, off, suspended),
 * template (yes, no). A machine must match one word of each field that is named.
 */
#ifndef ENGINE_MACHINE_FILTER_H
#define ENGINE_MACHINE_FILTER_H

#include <stdbool.h>
#include <stddef.h>

#include "wire/json.h"

enum machine_field {
    MACHINE_NAME,
    MACHINE_PATH,
    MACHINE_HOST,
    MACHINE_GUEST,
    MACHINE_DATACENTER,
    MACHINE_POWER,
    MACHINE_TEMPLATE,
    MACHINE_FIELDS,
};

#define MACHINE_FILTER_MAX 256

struct machine_filter {
    size_t n;
    struct {
        enum machine_field field;
        const char *glob; /* borrowed from the message */
    } words[MACHINE_FILTER_MAX];
};

/* From an array of strings, which must outlive the filter; NULL: all machines. ERR_INVALID names
 * the word that is none. */
int machine_filter_parse(const json_t *words, struct machine_filter *ret, struct err *err);

/* values: what the machine has, by field; NULL is "". */
bool machine_filter_matches(const struct machine_filter *filter,
                            const char *const values[MACHINE_FIELDS]);

#endif
