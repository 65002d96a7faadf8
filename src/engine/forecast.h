/* How long the machine would be away if it were switched over now, and what that is made of. */
#ifndef ENGINE_FORECAST_H
#define ENGINE_FORECAST_H

#include "engine/migration.h"

/* After a round. What was measured counts, else history, else a stated default. */
int64_t forecast_seconds(const struct migration *m);

/* Say it to the daemon, with its basis. Without one, or before the first round: nothing. */
void forecast_say(const struct migration *m);

#endif
