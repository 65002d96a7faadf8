/* What one variant of the library is. */
#include "library.h"

const struct variant variant = {
    .major = LAB_VDDK_MAJOR,
    .minor = LAB_VDDK_MINOR,
    .has_async = LAB_VDDK_HAS_ASYNC,
    .has_wait = LAB_VDDK_HAS_WAIT,
    .has_allocate = LAB_VDDK_HAS_ALLOCATE,
};
