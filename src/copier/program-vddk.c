#include "copier/program.h"

#include <stddef.h>

static const struct source_kind *const kinds[] = { &source_kind_vddk, NULL };

const struct copier_program copier_program = {
    .name = "vmferry-copy-vddk",
    .kinds = kinds,
};
