/* The switch over: the source goes off, once, and, when what follows fails, on again. */
#ifndef ENGINE_CUTOVER_H
#define ENGINE_CUTOVER_H

#include "engine/migration.h"

/* Key of the state: {"begun_at": S, "boot_time": TEXT, "off_at": S}; there while we are switching
 * the source off, or have. */
#define CUTOVER_STATE "cutover"
#define CUTOVER_TRIED "finalize_tried"  /* key of the state: the finalize_at that was tried */
#define CUTOVER_SHUTDOWN_S "shutdown_s" /* key of the state: how long the last one took */

/* Have the machine off, as the job says. 0: it is; STAGE_WAITS: somebody was asked. A machine that
 * was switched on again after we had switched it off is left alone: ERR_CONFLICT. */
int cutover_switch_off(struct migration *m, struct err *err);

/* How long it is watched, once it is off, before it is read, in seconds: as the job says, else by
 * what kind of guest it is. */
int cutover_settle_s(const struct migration *m);

/* Whether we have switched it off, or are about to. */
bool cutover_is_begun(const struct migration *m);

/* The same of what was remembered, before it is taken up; and not past the point below. */
bool cutover_was_begun(const json_t *state);

/* Past the point where the source could run again and nothing be lost. */
bool cutover_is_final(const struct migration *m);

/* After the last copy, and again before anything of it is put to use: is the source off still? One
 * that somebody has switched on writes what was not copied: what was placed is taken back, the
 * rounds go on, and this is ERR_CONFLICT. A migration that is final is not asked. */
int cutover_check_off(struct migration *m, struct err *err);

/* Take back what was placed, switch the source on again, if it was us who switched it off and the
 * job wants that, and go back to rounds. Where the new machine runs already the source stays off,
 * and this is ERR_CONFLICT. *ret_on: it runs again, in an error, too. */
int cutover_take_back(struct migration *m, bool *ret_on, struct err *err);

#endif
