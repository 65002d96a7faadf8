/* The tables of a config, for what reads and writes it, and for the test that holds
 * vmferry-config(5) against them. */
#ifndef MODEL_CONFIG_FIELDS_H
#define MODEL_CONFIG_FIELDS_H

#include "model/field.h"

extern const struct field config_fields[];

#endif
