/* The commands of vmferry. Each is a file cmd-NAME.c with one of these in it; main.c has the list.
 */
#ifndef CLI_CMD_H
#define CLI_CMD_H

#include "cli/option.h"

/* What vmferry exits with. */
enum exit_code {
    EXIT_DONE = 0,
    EXIT_FAILED = 1,        /* one line on stderr says what, why and what to do */
    EXIT_USAGE = 2,         /* the command line is wrong */
    EXIT_SOME_FAILED = 3,   /* of several machines; the others are well */
    EXIT_WAITING = 4,       /* for a person, who is not here: how a source is shut down */
    EXIT_INTERRUPTED = 130, /* by SIGINT; the same command goes on where it stopped */
};

struct cmd {
    const char *name;
    const char *usage;   /* what comes after the options: "SOURCE TARGET" */
    const char *summary; /* a few words for the list of commands */
    const char *about;   /* lines for --help, between usage and options; or NULL */
    struct opt_table options;
    /* argv[0] is the command's name (or that of a link to us). Returns an exit code. */
    enum exit_code (*run)(const struct cmd *cmd, int argc, char **argv);
};

extern const struct cmd cmd_run, cmd_status, cmd_finalize, cmd_cancel, cmd_pause, cmd_resume,
    cmd_retry, cmd_shutdown, cmd_limit, cmd_serve, cmd_v2v, cmd_copy, cmd_inventory, cmd_check,
    cmd_doctor, cmd_completion, cmd_help, cmd_version;

/* In the order of the list of commands; NULL-terminated. */
extern const struct cmd *const cmds[];

/* NULL: there is none of that name. */
const struct cmd *cmd_find(const char *name);

/* The first thing of every run(): parse options into args. Returns true to go on. Otherwise
 * *ret_exit is what to return: --help was printed, or a complaint about the options. *ret_first is
 * the index of the first operand. */
bool cmd_parse(const struct cmd *cmd, int argc, char **argv, void *args, int *ret_first,
               enum exit_code *ret_exit);

/* "vmferry: copy: TEXT", and a hint at --help; returns EXIT_USAGE. */
enum exit_code cmd_usage_error(const struct cmd *cmd, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

void cmd_print_help(const struct cmd *cmd);
void cmd_print_list(void);

#endif
