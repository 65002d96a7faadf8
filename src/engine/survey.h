/* The look into a guest before it is converted: facts for its description, and what would stop or
 * hurt the conversion, said before it costs anything.
 */
#ifndef ENGINE_SURVEY_H
#define ENGINE_SURVEY_H

#include "engine/migration.h"

/* Look at these images (the vm's, in its order) unless the facts are known; then they are kept in
 * the state. Findings go to the log; the first one that makes a conversion impossible is the error
 * (ERR_INVALID, with its cure). When the guest is not to be converted, a look that fails is only a
 * warning, and is not tried again. */
int survey_make(struct migration *m, const struct vm_image *images, struct err *err);

#endif
