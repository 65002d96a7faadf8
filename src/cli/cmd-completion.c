#include <stdio.h>
#include <string.h>

#include "cli/cmd.h"

static const struct opt options[] = {
    { 'h', "help", NULL, OPT_HELP, 0, "show this" },
    { 0 },
};

static void
print_options_of(const struct cmd *cmd)
{
    printf("    %s) words=\"", cmd->name);
    const char *space = "";
    for (const struct opt *opt = cmd->options.opts; opt->name; opt++) {
        char text[OPT_TEXT_MAX];
        if (opt->type == OPT_REFUSED || !opt->help)
            continue;
        printf("%s%s", space, opt_text(&cmd->options, opt, text));
        space = " ";
    }
    printf("\" ;;\n");
}

static enum exit_code
run(const struct cmd *cmd, int argc, char **argv)
{
    int first;
    enum exit_code code;
    char no_args;
    if (!cmd_parse(cmd, argc, argv, &no_args, &first, &code))
        return code;
    if (argc - first != 1 || strcmp(argv[first], "bash") != 0)
        return cmd_usage_error(cmd, "name one shell: bash");

    printf("# bash completion for vmferry: source <(vmferry completion bash)\n"
           "_vmferry() {\n"
           "    local word=${COMP_WORDS[COMP_CWORD]} words\n"
           "    if [ \"$COMP_CWORD\" -eq 1 ]; then\n"
           "        words=\"");
    for (const struct cmd *const *each = cmds; *each; each++)
        printf("%s%s", each == cmds ? "" : " ", (*each)->name);
    printf("\"\n"
           "    else case ${COMP_WORDS[1]} in\n");
    for (const struct cmd *const *each = cmds; *each; each++)
        print_options_of(*each);
    printf("    esac; fi\n"
           "    case $word in -*) ;; *) [ \"$COMP_CWORD\" -gt 1 ] && return ;; esac\n"
           "    COMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n"
           "}\n"
           "complete -o default -F _vmferry vmferry\n");
    return EXIT_DONE;
}

const struct cmd cmd_completion = {
    .name = "completion",
    .usage = "bash",
    .summary = "print a completion script for a shell",
    .options = { .opts = options },
    .run = run,
};
