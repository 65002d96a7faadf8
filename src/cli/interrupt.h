/* SIGINT and SIGTERM as wishes: once, stop at the next good moment; twice, stop now. */
#ifndef CLI_INTERRUPT_H
#define CLI_INTERRUPT_H

#include "wire/child.h"

/* From now on signals are counted and do not end the program. */
void interrupt_install(void);

/* For child_spec.wish and copy_watch.wish; arg is not used. */
enum child_wish interrupt_wish(void *arg);

#endif
