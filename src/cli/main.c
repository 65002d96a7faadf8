/* vmferry: what a person types. */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/proc.h"
#include "cli/cmd.h"
#include "wire/json.h"

/* Called through a link of this name we are `vmferry v2v`. */
#define V2V_LINK "virt-v2v"

int
main(int argc, char **argv)
{
    proc_forbid_core(); /* passwords are read here */
    json_wipe_freed();  /* passwords pass through */
    log_setup("vmferry", LOG_LEVEL_WARNING, NULL, NULL);
    const char *slash = strrchr(argv[0], '/');
    if (strcmp(slash ? slash + 1 : argv[0], V2V_LINK) == 0)
        return (int)cmd_v2v.run(&cmd_v2v, argc, argv);

    if (argc < 2) {
        cmd_print_list();
        return EXIT_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        cmd_print_list();
        return EXIT_DONE;
    }
    if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0)
        return (int)cmd_version.run(&cmd_version, argc - 1, argv + 1);
    const struct cmd *cmd = cmd_find(argv[1]);
    if (!cmd) {
        fprintf(stderr, "vmferry: no command '%s'\nTry 'vmferry help'.\n", argv[1]);
        return EXIT_USAGE;
    }
    return (int)cmd->run(cmd, argc - 1, argv + 1);
}
