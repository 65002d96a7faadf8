/* What the parts of the doctor share. */
#ifndef ENGINE_DOCTOR_PROBE_H
#define ENGINE_DOCTOR_PROBE_H

#include "engine/agent-properties.h"
#include "engine/talk.h"

enum doctor_level { DOCTOR_OK, DOCTOR_WARNING, DOCTOR_ERROR };

struct doctor {
    const json_t *start;
    const struct talk *talk;
    const char *agent_path; /* of the agent.properties that was read */
    struct agent_properties agent;
    struct err agent_error; /* why it could not be read */
    unsigned counts[DOCTOR_ERROR + 1];
};

/* One finding. Texts are lower-case phrases; NULL: nothing to say. */
struct doctor_word {
    enum doctor_level level;
    const char *group; /* "tools", "windows", "vddk", "host", "directories", "libvirt", "servers",
                          "settings" */
    const char *code;  /* stable */
    const char *value, *origin; /* an effective setting and where it comes from */
    const char *cause, *cure;
};

/* what: the thing and how it was found. */
void doctor_say(struct doctor *doctor, const struct doctor_word *word, const char *what, ...)
    __attribute__((format(printf, 3, 4)));

/* A value on the command line ("vddk" / "libdir"), NULL when not given. */
const char *doctor_given(const struct doctor *doctor, const char *key);

/* The parts, in the order in which they speak. */
void doctor_tools(struct doctor *doctor);
void doctor_windows(struct doctor *doctor);
void doctor_vddk(struct doctor *doctor);
void doctor_host(struct doctor *doctor);
void doctor_directories(struct doctor *doctor);
void doctor_libvirt(struct doctor *doctor);
void doctor_servers(struct doctor *doctor);
void doctor_settings(struct doctor *doctor);

#endif
