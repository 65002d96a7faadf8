/* The tables of a spec, for what reads and writes it, and for the test that holds vmferry-spec(5)
 * against them. */
#ifndef MODEL_SPEC_FIELDS_H
#define MODEL_SPEC_FIELDS_H

#include "model/field.h"

extern const struct field spec_fields[];

/* Of struct spec_cloudstack_ids; the config has the same. */
extern const struct field spec_cloudstack_ids_fields[];

extern const char *const spec_transport_names[];
extern const char *const spec_mode_names[];
extern const char *const spec_quiesce_names[];
extern const char *const spec_shutdown_names[];
extern const char *const spec_verify_names[];

/* Ranges that the config shares. The zero that all begin with is v2c-engine's way to say "not
 * given". */
#define SPEC_MIN_BANDWIDTH 65536
#define SPEC_MAX_BANDWIDTH ((int64_t)1 << 50)

/* For a field's check: a path that begins with "/". */
int spec_check_absolute(char *text, struct err *err);

#endif
