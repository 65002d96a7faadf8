/* `vmferry check --spec`: what a machine would find in the CloudStack that its spec names. Asks the
 * management server; check-cloudstack.c judges. For check-run.c only. */
#ifndef ENGINE_CHECK_PLACE_H
#define ENGINE_CHECK_PLACE_H

#include "engine/check-site.h"
#include "model/spec.h"

/* The key "cloudstack" of the start message, when there is one: ask that server who it is, and
 * judge it. One that cannot be asked is a finding that stops all machines. Fills site->place. -1:
 * the message is malformed, or somebody asked to stop. */
int check_place_open(struct check_site *site, const json_t *start, struct err *err);

/* The site's machine, as its spec wants it there. -1: somebody asked to stop. */
int check_place_judge(struct check_site *site, const struct spec *spec, struct err *err);

/* The machines that were judged, together. */
void check_place_judge_all(struct check_site *site);

void check_place_close(struct check_site *site);

#endif
