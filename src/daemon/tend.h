/* After each change: who gets a worker, who may read from a host, how fast each may read, and when
 * to look again. */
#ifndef DAEMON_TEND_H
#define DAEMON_TEND_H

#include "base/err.h"

struct daemon;

int tend_open(struct daemon *daemon, struct err *err);

/* Once the loop is free; any number of calls before are one. */
void tend_soon(struct daemon *daemon);

#endif
