/* What virt-v2v prints for people, on stdout: "[  12.3] Stage", "PROGRAM: warning: text",
 * "PROGRAM: text". Everything else there belongs to programs it runs. */
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "guest/convert.h"

/* How far the conversion is when a stage begins. From what the stages take: the appliance's start a
 * tenth, inspection another, the change of the guest (its initrd) nearly all the rest. A text that
 * is not here (there are more with every version) moves nothing. */
static const struct {
    const char *prefix;
    int pct;
} stages[] = {
    { "Setting up the source", 0 },
    { "Opening the source", 1 },
    { "Checking filesystem integrity before", 10 },
    { "Detecting if this guest uses BIOS or UEFI", 11 },
    { "Inspecting the source", 12 },
    { "Detecting the boot device", 18 },
    { "Checking for sufficient free disk space", 18 },
    { "Converting ", 20 },
    { "Setting a random seed", 88 },
    { "Setting the machine ID", 88 },
    { "SELinux relabelling", 89 },
    { "Mapping filesystem data", 93 },
    { "Skipping fstrim", 93 },
    { "Checking filesystem integrity after", 96 },
    { "Closing the overlay", 97 },
    { "Assigning disks to buses", 98 },
    { "Checking if the guest needs BIOS or UEFI", 99 },
    { "Finishing off", 100 },
};

static bool read_stage(const char *line, struct convert_event *ret_event);
static bool read_message(const char *line, struct convert_event *ret_event);

bool
convert_line_read(const char *line, struct convert_event *ret_event)
{
    return read_stage(line, ret_event) || read_message(line, ret_event);
}

static bool
read_stage(const char *line, struct convert_event *ret_event)
{
    if (*line != '[')
        return false;
    char *end;
    double seconds = strtod(line + 1, &end);
    if (end == line + 1 || *end != ']' || !isfinite(seconds) || seconds < 0 || seconds > 1e9)
        return false;
    const char *text = end + 1;
    while (*text == ' ')
        text++;
    if (!*text)
        return false;
    int pct = -1;
    for (size_t i = 0; i < ARRAY_LEN(stages); i++)
        if (strncmp(text, stages[i].prefix, strlen(stages[i].prefix)) == 0)
            pct = stages[i].pct;
    *ret_event = (struct convert_event){
        .line = CONVERT_STAGE, .text = text, .at_ms = (int64_t)(seconds * 1000), .pct = pct
    };
    return true;
}

static bool
read_message(const char *line, struct convert_event *ret_event)
{
    static const char warning[] = "warning: ";
    if (strncmp(line, "virt-v2v", 8) != 0)
        return false;
    size_t name = strspn(line, "abcdefghijklmnopqrstuvwxyz0123456789-");
    if (strncmp(line + name, ": ", 2) != 0 || !line[name + 2])
        return false;
    const char *text = line + name + 2;
    bool warns = strncmp(text, warning, strlen(warning)) == 0;
    *ret_event = (struct convert_event){ .line = warns ? CONVERT_WARNING : CONVERT_INFO,
                                         .text = warns ? text + strlen(warning) : text,
                                         .at_ms = -1,
                                         .pct = -1 };
    return true;
}
