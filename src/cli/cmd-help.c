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
    if (first == argc) {
        cmd_print_list();
        return EXIT_DONE;
    }
    const struct cmd *about = cmd_find(argv[first]);
    if (!about || first + 1 < argc)
        return cmd_usage_error(cmd, "no command '%s'", argv[argc - 1]);
    cmd_print_help(about);
    return EXIT_DONE;
}

const struct cmd cmd_help = {
    .name = "help",
    .usage = "[COMMAND]",
    .summary = "list the commands, or show the options of one",
    .options = { .opts = options },
    .run = run,
};
