#include "cli/cmd.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const struct cmd *const cmds[] = {
    &cmd_run,        &cmd_status, &cmd_finalize,  &cmd_cancel, &cmd_pause,
    &cmd_resume,     &cmd_retry,  &cmd_shutdown,  &cmd_limit,  &cmd_serve,
    &cmd_v2v,        &cmd_copy,   &cmd_inventory, &cmd_check,  &cmd_doctor,
    &cmd_completion, &cmd_help,   &cmd_version,   NULL,
};

const struct cmd *
cmd_find(const char *name)
{
    for (const struct cmd *const *cmd = cmds; *cmd; cmd++)
        if (strcmp((*cmd)->name, name) == 0)
            return *cmd;
    return NULL;
}

bool
cmd_parse(const struct cmd *cmd, int argc, char **argv, void *args, int *ret_first,
          enum exit_code *ret_exit)
{
    struct err err = ERR_INIT;
    enum opt_outcome outcome;
    if (opt_parse(&cmd->options, argc, argv, args, ret_first, &outcome, &err) < 0) {
        *ret_exit = cmd_usage_error(cmd, "%s", err.text);
        return false;
    }
    if (outcome == OPT_SHOW_HELP) {
        cmd_print_help(cmd);
        *ret_exit = EXIT_DONE;
        return false;
    }
    return true;
}

enum exit_code
cmd_usage_error(const struct cmd *cmd, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    fprintf(stderr, "vmferry: %s: ", cmd->name);
    vfprintf(stderr, fmt, args);
    fprintf(stderr, "\nTry 'vmferry %s --help'.\n", cmd->name);
    va_end(args);
    return EXIT_USAGE;
}

void
cmd_print_help(const struct cmd *cmd)
{
    printf("Usage: vmferry %s [OPTION...]%s%s\n\n%s\n", cmd->name, *cmd->usage ? " " : "",
           cmd->usage, cmd->about ? cmd->about : cmd->summary);
    printf("\nOptions:\n");
    opt_print_help(&cmd->options, stdout);
    printf("\nSee also: man vmferry-%s\n", cmd->name);
}

void
cmd_print_list(void)
{
    printf("Usage: vmferry COMMAND [OPTION...] [ARGUMENT...]\n\n"
           "Move virtual machines from VMware to KVM.\n\nCommands:\n");
    for (const struct cmd *const *cmd = cmds; *cmd; cmd++)
        printf("  %-12s%s\n", (*cmd)->name, (*cmd)->summary);
    printf("\n'vmferry COMMAND --help' says more about one. See also: man vmferry\n");
}
