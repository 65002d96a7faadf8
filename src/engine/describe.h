/* A machine as JSON, for --print-source. */
#ifndef ENGINE_DESCRIBE_H
#define ENGINE_DESCRIBE_H

#include "model/vm.h"
#include "wire/json.h"

/* NULL without memory. */
json_t *describe_vm(const struct vm *vm);

#endif
