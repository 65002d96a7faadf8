/* The switch over: the source goes off, once, and, when what follows fails, on again. */
#ifndef ENGINE_CUTOVER_H
#define ENGINE_CUTOVER_H

#include "engine/migration.h"

/* Key of the state: {"begun_at": S, "boot_time": TEXT, "off_at": S, "shutdown_s": N}; there while
 * we are switching the source off, or have. */
#define CUTOVER_STATE "cutover"
#define CUTOVER_TRIED "finalize_tried"  /* key of the state: the finalize_at that was tried */
#define CUTOVER_SHUTDOWN_S "shutdown_s" /* key of the state: how long the last one took */

/* Have the machine off, as the job says. 0: it is; STAGE_WAITS: somebody was asked. A machine that
 * was switched on again after we had switched it off is left alone: ERR_CONFLICT. */
int cutover_switch_off(struct migration *m, struct err *err);

/* Whether we have switched it off, or are about to. */
bool cutover_is_begun(const struct migration *m);

/* Past the point where the source could run again and nothing be lost. */
bool cutover_is_final(const struct migration *m);

/* Switch the source on again, if it was us who switched it off and the job wants that, and go back
 * to rounds. *ret_on: it runs again. */
int cutover_take_back(struct migration *m, bool *ret_on, struct err *err);

#endif
