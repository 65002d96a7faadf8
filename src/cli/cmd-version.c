#include <stdio.h>

#include "cli/cmd.h"

static const struct opt options[] = {
    { 'h', "help", NULL, OPT_HELP, 0, "show this" },
    { 0 },
};

static enum exit_code
run(const struct cmd *cmd, int argc, char **argv)
{
    int first;
    enum exit_code code;
    char no_args;
    if (!cmd_parse(cmd, argc, argv, &no_args, &first, &code))
        return code;
    if (first < argc)
        return cmd_usage_error(cmd, "'%s': takes no arguments", argv[first]);
    printf("vmferry %s\n", VMFERRY_VERSION);
    return EXIT_DONE;
}

const struct cmd cmd_version = {
    .name = "version",
    .usage = "",
    .summary = "print the version",
    .options = { .opts = options },
    .run = run,
};
