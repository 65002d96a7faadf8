/* --machine-readable, as virt-v2v has it: a list of features, or messages as JSON lines. */
#ifndef CLI_MACHINE_H
#define CLI_MACHINE_H

#include <stdio.h>

#include "base/err.h"

/* Open what --machine-readable=FORMAT names: "" is stdout; "file:PATH", "stream:stdout",
 * "stream:stderr", "fd:N". The stream stays open until the program ends. */
int machine_open(const char *format, FILE **ret_stream, struct err *err);

/* One feature a line: what is really there. */
void machine_print_features(FILE *stream);

/* {"message": TEXT, "timestamp": ..., "type": TYPE}; type is "message" (a stage), "info",
 * "warning" or "error". A NULL stream: nothing. */
void machine_message(FILE *stream, const char *type, const char *text);

#endif
