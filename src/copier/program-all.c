#include "copier/program.h"

#include <stddef.h>

static const struct source_kind *const kinds[] = {
    &source_kind_file,
    &source_kind_https,
    &source_kind_export,
    NULL,
};

const struct copier_program copier_program = {
    .name = "vmferry-copy",
    .kinds = kinds,
    .open_nbd = target_nbd_open,
};
